"""Which models are loaded: under a memory budget some leave for others, and come back in their lane between two frames."""

from __future__ import annotations

import logging
import threading
import time
from functools import partial
from typing import TYPE_CHECKING

from mnnlite.errors import EngineError, MnnliteError, about_task, without_task
from mnnlite.proc import trim
from mnnlite.runtime.budget import NoRoomError, held, mib, most
from mnnlite.runtime.loaded_task import Absence, LoadedTask, load

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from concurrent.futures import Future

    from mnnlite.runtime.budget import Budget, MemoryDemand
    from mnnlite.runtime.lane import Lane
    from mnnlite.runtime.memory import BudgetState
    from mnnlite.runtime.registry import TaskRegistry
    from mnnlite.runtime.schedule import Schedule
    from mnnlite.specs import TaskSpec

__all__ = ["ModelResidency"]

_PATIENCE = 100  # frames in a row without room, after which it is said that a task does not run
_LONGEST_PAUSE_S = 60  # between two attempts to load a task whose file cannot be read


class ModelResidency:
    """Loads models, makes room for them by unloading others, and brings those back.

    Parameters
    ----------
    registry : TaskRegistry
    threads : int
        Of the engine, in each lane.
    budget : Budget, optional
        Without one nothing is unloaded.
    """

    def __init__(self, registry: TaskRegistry, threads: int, budget: Budget | None) -> None:
        self.budget = budget
        self._registry, self._threads = registry, threads
        self._reserved: list[MemoryDemand] = []  # found room, and not yet among the tasks

    # ---- because somebody asks for it

    def demand_of(self, name: str, spec: TaskSpec, lane: int, preempts: bool) -> MemoryDemand | None:
        """What a task would hold. May start a child process: hold nothing meanwhile. None without a budget."""
        if self.budget is None:
            return None
        demand = self.budget.demand_of(name, spec, lane, preempts=preempts)
        trim()  # what finding it left free would count as grown
        return demand

    def load(
        self,
        name: str,
        spec: TaskSpec,
        schedule: Schedule,
        lane: Lane,
        others: Mapping[str, LoadedTask] | None = None,
    ) -> LoadedTask:
        """Make room, load on the lane, and wait for it.

        Parameters
        ----------
        others : dict of str to LoadedTask, optional
            What the task is tied to; the registry's tasks if not given.

        Raises
        ------
        NoRoomError
            There is no room, even with all evictable tasks gone that are not at work.
        """
        demand = self.demand_of(name, spec, lane.index, schedule.preempts)  # known by now
        if demand is not None:
            with self._registry.lock:
                victims = self._victims(demand, {name})
                if victims is None:
                    assert self.budget is not None
                    demands = self._demands()
                    raise NoRoomError(demands, demand, self.budget.needed(demands, demand), self.budget.limit)
                self._reserved.append(demand)
                leaving = [self._evict(victim) for victim in victims]
            for each in leaving:
                each.result()
        try:
            return self.load_soon(name, spec, schedule, lane, others, demand).result()
        finally:
            if demand is not None:
                with self._registry.lock:
                    self._reserved.remove(demand)

    def load_soon(
        self,
        name: str,
        spec: TaskSpec,
        schedule: Schedule,
        lane: Lane,
        others: Mapping[str, LoadedTask] | None = None,
        demand: MemoryDemand | None = None,
    ) -> Future[LoadedTask]:
        """As `load`, in a lane in which there is room; does not wait."""
        loading = partial(self._load, name, spec, schedule, lane, others, demand)
        return lane.call_soon(loading, self._registry.stood_still)

    def _load(
        self,
        name: str,
        spec: TaskSpec,
        schedule: Schedule,
        lane: Lane,
        others: Mapping[str, LoadedTask] | None,
        demand: MemoryDemand | None,
    ) -> LoadedTask:
        """On the lane's thread."""
        others = self._registry.snapshot() if others is None else others
        if self.budget is not None:
            lane.shrink()  # the feature maps of the lane are not needed while it loads
        # Under a budget each task has its memory for itself, so that what it gives back is known.
        made = load(name, spec, schedule, lane, self._threads, others, sharing=self.budget is None)
        made.demand = demand
        together = [made, *(each for each in others.values() if each.lane is lane and each.name != name)]
        if any(each.schedule.preempts for each in together):
            for each in together:
                each.measure_blocking()
        return made

    # ---- because a frame wants it

    def bring_back(self, task: LoadedTask, keep: Collection[str], now_ns: int) -> str | MnnliteError:
        """A frame is planned that a task without its model is due on: load it for later frames. Under the registry's lock.

        Parameters
        ----------
        task : LoadedTask
        keep : set of str
            Tasks of the frame, which do not leave for this one.
        now_ns : int

        Returns
        -------
        str or MnnliteError
            Why the frame goes without: it was left out, or it failed.
        """
        absence = task.absence
        assert absence is not None
        if absence.loading:
            return "loading"
        if absence.error is not None and now_ns < absence.retry_ns:
            return absence.error
        missing = next((name for name in task.needs if name in self._registry.absent), None)
        if missing is not None:
            return f"comes after {missing!r}, which is not loaded"
        leaving: list[Future[None]] = []
        if task.demand is not None:
            victims = self._victims(task.demand, keep, at_rest=True)
            if victims is None:
                return self._refused(task)
            self._reserved.append(task.demand)
            leaving = [self._evict(victim) for victim in victims]
        absence.loading, absence.refused = True, 0
        _when_all_done(leaving, lambda: self._load_again(task))
        return "loading"

    def unload(self, task: LoadedTask) -> None:
        """Close a task's model for it to be loaded elsewhere; frames meanwhile say "loading". Waits."""
        with self._registry.lock:
            leaving = self._evict(task)
            assert task.absence is not None
            task.absence.loading = True
        leaving.result()

    def lose(self, task: LoadedTask, error: Exception) -> None:
        """A task was closed and could not be loaded elsewhere: frames say why, and it is tried again."""
        with self._registry.lock:
            task.absence = Absence("could not be loaded")
            self._registry.absent.add(task.name)
            self._failed(task, error)

    def _load_again(self, task: LoadedTask) -> None:
        registry = self._registry

        def work() -> None:
            with registry.lock:
                if registry.closed or registry.tasks.get(task.name) is not task:
                    return
            made = self._load(task.name, task.spec, task.schedule, task.lane, None, task.demand)
            with registry.lock:
                is_wanted = not registry.closed and registry.tasks.get(task.name) is task
                if is_wanted:
                    made.take_over(task)
                    made.failures = 0
                    made.stats.reloads += 1
                    registry.tasks[task.name] = made
                    registry.absent.discard(task.name)
            if not is_wanted:  # it was removed, replaced or moved meanwhile
                made.close()

        def done(future: Future[None]) -> None:
            error = future.exception()
            with registry.lock:
                if task.demand is not None:
                    self._reserved.remove(task.demand)
                assert task.absence is not None
                task.absence.loading = False
                if error is not None:
                    self._failed(task, error)
                elif task.absence.was_said:
                    registry.say(logging.WARNING, f"task {task.name!r} is loaded again")
            registry.log()

        task.lane.call_soon(work, registry.stood_still).add_done_callback(done)

    def _failed(self, task: LoadedTask, error: BaseException) -> None:
        """It could not be loaded: not before a pause is it tried again, and frames say why."""
        absence = task.absence
        assert absence is not None
        if not isinstance(error, MnnliteError):
            error = EngineError(f"the model could not be loaded: {type(error).__name__}: {error}")
        pause = min(_LONGEST_PAUSE_S, 2**absence.attempts)
        absence.attempts += 1
        absence.error = error
        absence.why = f"could not be loaded: {without_task(task.name, error)}"
        absence.retry_ns = time.monotonic_ns() + pause * 10**9
        if not absence.was_said:
            absence.was_said = True
            self._registry.say(logging.ERROR, about_task(task.name, "does not run, and is tried again", error))

    # ---- who goes

    def _victims(self, demand: MemoryDemand, keep: Collection[str], at_rest: bool = False) -> list[LoadedTask] | None:
        """As few as are needed, the least recently used first; None if all of them are not enough.

        With `at_rest` a task that was loaded and has not run since stays: else two would only take turns in loading.
        """
        assert self.budget is not None
        candidates = [
            each
            for each in self._registry.tasks.values()
            if each.schedule.evictable
            and each.absence is None
            and each.in_flight == 0
            and each.name not in {demand.name, *keep}
            and not (at_rest and each.used < 0)
        ]
        candidates.sort(key=lambda each: each.used)
        demands = self._demands()
        unknown = self.budget.unknown(demands)
        for count in range(len(candidates) + 1):
            gone = {id(each.demand) for each in candidates[:count]}
            if unknown + most([each for each in demands if id(each) not in gone], demand) <= self.budget.limit:
                return candidates[:count]
        return None

    def _demands(self) -> list[MemoryDemand]:
        """Of all tasks that are loaded or will be."""
        tasks = self._registry.tasks.values()
        return [each.demand for each in tasks if each.demand is not None and each.absence is None] + self._reserved

    def _evict(self, task: LoadedTask) -> Future[None]:
        task.absence = Absence("evicted")
        self._registry.absent.add(task.name)
        return self._registry.close_soon(task)

    # ---- who does not come back

    def _refused(self, task: LoadedTask) -> str:
        """There is no room for a task that is due. Says so once if that will not pass by itself."""
        absence = task.absence
        assert absence is not None
        absence.refused += 1
        absence.why = self._never(task) or "evicted, and there is no room to load it now"
        if absence.refused == _PATIENCE:
            self._say_once(task, f"{absence.why}, {_PATIENCE} frames in a row")
        return absence.why

    def look_for_starved(self) -> None:
        """After a change: say of which tasks it is known that they cannot come back."""
        with self._registry.lock:
            for name in self._registry.absent:
                task = self._registry.tasks[name]
                if task.demand is not None:
                    self._never(task)

    def _never(self, task: LoadedTask) -> str | None:
        """Why the task cannot run as long as the tasks that are not evictable stay; None if it can."""
        assert self.budget is not None
        assert task.demand is not None
        staying = [
            each.demand
            for each in self._registry.tasks.values()
            if each.demand is not None and each.absence is None and not each.schedule.evictable
        ]
        needed = self.budget.unknown(self._demands()) + most(staying, task.demand)
        if needed <= self.budget.limit:
            return None
        why = (
            f"evicted, and it cannot come back: with the tasks that are not evictable it needs {mib(needed)} of a budget of "
            f"{mib(self.budget.limit)}; raise memory=, or remove one"
        )
        self._say_once(task, why)
        return why

    def _say_once(self, task: LoadedTask, why: str) -> None:
        absence = task.absence
        assert absence is not None
        absence.why = why
        if not absence.was_said:
            absence.was_said = True
            self._registry.say(logging.ERROR, about_task(task.name, "does not run", why))

    # ---- what there is to know

    def state(self) -> BudgetState | None:
        """How the budget stands; None without one."""
        if self.budget is None:
            return None
        from mnnlite.runtime.memory import BudgetState

        grown = self.budget.grown()
        with self._registry.lock:
            evicted = tuple(sorted(self._registry.absent))
            return BudgetState(self.budget.limit, grown, held(self._demands()), evicted)


def _when_all_done(futures: Sequence[Future[None]], function: Callable[[], None]) -> None:
    """Call it when all are done, on the thread that ends the last one; now if there are none."""
    if not futures:
        function()
        return
    left = len(futures)
    counting = threading.Lock()

    def one_less(_: Future[None]) -> None:
        nonlocal left
        with counting:
            left -= 1
            is_last = left == 0
        if is_last:
            function()

    for each in futures:
        each.add_done_callback(one_less)
