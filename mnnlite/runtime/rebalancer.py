"""Where the tasks of a runtime are: settled before the first frame, and moved while it runs if that is allowed."""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING

from mnnlite.errors import MnnliteError, StateError, about_task
from mnnlite.runtime.known_costs import KnownCosts
from mnnlite.runtime.loaded_task import file_bytes
from mnnlite.runtime.placement import assign_lanes, load_of, pays
from mnnlite.runtime.replanning import Replan, Replanner

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from concurrent.futures import Future

    from mnnlite.runtime.change_lock import ChangeLock
    from mnnlite.runtime.dispatcher import Dispatcher
    from mnnlite.runtime.known_costs import Known
    from mnnlite.runtime.lane import Lane
    from mnnlite.runtime.loaded_task import LoadedTask
    from mnnlite.runtime.registry import TaskRegistry
    from mnnlite.runtime.residency import ModelResidency
    from mnnlite.runtime.urgency import Urgency
    from mnnlite.specs import TaskSpec

__all__ = ["Rebalancer"]

_NS_PER_MFLOP = 100_000.0  # until one network was measured
_NS_PER_BYTE = 2.0  # of a network's file, until one was measured
_SEEN_RUNS = 32  # of a task, after which its mean says more than the one run at loading
_LOOK_S = 0.05  # between two looks while frames are worked on
_LOOK_FRAMES = 10  # and at least so many frames: costs are moving averages


class Rebalancer:
    """Knows what tasks cost and puts them where that is short.

    Parameters
    ----------
    registry : TaskRegistry
    residency : ModelResidency
    dispatcher : Dispatcher
    lanes : list of Lane
    change_lock : ChangeLock
    urgency : Urgency
        Told where tasks are.
    speeds : list of float
        Of the lanes of the CPU, which are the first.
    threads : int
        Of the engine, where a task does not say.
    replan : bool
        Move tasks while frames are worked on.

    Raises
    ------
    StateError
        The system gives no thread for it.
    """

    def __init__(
        self,
        registry: TaskRegistry,
        residency: ModelResidency,
        dispatcher: Dispatcher,
        lanes: Sequence[Lane],
        change_lock: ChangeLock,
        urgency: Urgency,
        speeds: Sequence[float],
        threads: int,
        replan: bool,
    ) -> None:
        self.replans: list[Replan] = []
        self._registry, self._residency, self._dispatcher = registry, residency, dispatcher
        self._lanes, self._change_lock, self._speeds = lanes, change_lock, speeds
        self._urgency = urgency
        self._measuring: list[Future[None]] = []
        self._known = KnownCosts(len(lanes), threads, lanes[0].options)
        self.settled = True  # no better placement is to be looked for before the next frame
        self._replanner = Replanner(speeds)
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        if replan and len(lanes) > 1:
            self._thread = threading.Thread(target=self._watch, name="mnnlite-rebalancer", daemon=True)
            try:
                self._thread.start()
            except RuntimeError as error:
                raise StateError(f"replan=True needs a thread, and the system gives none: {error}") from None

    # ---- what tasks cost

    def added(self, task: LoadedTask) -> None:
        """A task is new in its lane: if no earlier run measured it, measure it there while others are loaded elsewhere."""
        if len(self._lanes) == 1:
            return  # nothing is to be placed
        self.settled = self.settled and self._dispatcher.frames > 0
        known = self._known.of(task.spec).cost if task.lane.backend == "cpu" else 0
        if known:
            self._costs(task, int(known / self._speed(task.lane)))
            return
        self._measuring = [each for each in self._measuring if not each.done()]
        self._measuring.append(task.lane.call_soon(lambda: self._measure(task)))

    def _measure(self, task: LoadedTask) -> None:
        with self._registry.lock:
            if self._registry.tasks.get(task.name) is not task or task.absence is not None:
                return
        task.measure()
        self._costs(task, task.cost_ns)

    def _costs(self, task: LoadedTask, cost_ns: int) -> None:
        with self._registry.lock:
            task.cost_ns = cost_ns
            if task.cost_ns and self._registry.tasks.get(task.name) is task:
                self._registry.scheduler.latency.guess(task.name, task.cost_ns)

    def loads(self) -> list[float]:
        """Of each lane the nanoseconds a frame."""
        with self._registry.lock:
            tasks = list(self._registry.tasks.values())
            speeds = [self._speed(lane) for lane in self._lanes]
            return load_of([self._work(each) for each in tasks], [each.lane.index for each in tasks], speeds)

    def _speed(self, lane: Lane) -> float:
        """Relative to the fastest core; a GPU's lane is what it is."""
        return self._speeds[lane.index] if lane.backend == "cpu" else 1.0

    def _work(self, task: LoadedTask) -> float:
        """Nanoseconds a frame on average, in a lane of speed 1: as seen, as measured at loading, or by its operations."""
        scheduler = self._registry.scheduler
        seen = scheduler.latency.mean(task.name) or task.cost_ns
        if task.stats.given_ns:  # that is other tasks' work
            seen = max(1, seen - task.stats.given_ns // task.stats.runs)
        cost = float(seen) * self._speed(task.lane) if seen else self._guess(task)
        period = scheduler.period_ns
        if task.schedule.rate_hz and period:
            return cost * min(1.0, task.schedule.rate_hz * period / 1e9)
        return cost / task.schedule.every

    def _guess(self, task: LoadedTask) -> float:
        alike = [each for each in self._registry.tasks.values() if each.lane.backend == task.lane.backend]
        known = [each for each in alike if each.cost_ns and each.mflops]
        operations = sum(each.mflops for each in known)
        rate = (
            sum(each.cost_ns * self._speed(each.lane) for each in known) / operations if operations else _NS_PER_MFLOP
        )
        return max(1e5, rate * task.mflops)

    def lanes_for(self, spec: TaskSpec) -> list[Lane]:
        """The lanes of the CPU: first the one of an earlier start, then the one that has least to do."""
        lanes = [lane for lane in self._lanes if lane.backend == "cpu"]
        if len(lanes) == 1:
            return lanes
        load = self.loads()
        before = self._known.of(spec).lane
        return sorted(lanes, key=lambda lane: (lane.index != before, load[lane.index], lane.index))

    def lanes_for_groups(self, groups: Sequence[Sequence[TaskSpec]], fixed: Sequence[Lane | None]) -> list[Lane]:
        """A lane for each group of tasks that will be in one lane; None in `fixed`: any lane of the CPU.

        Those of an earlier start, and else the one that has least to do, the longest group first. What no start has measured is
        thought to take as long as its files are large.
        """
        lanes = [lane for lane in self._lanes if lane.backend == "cpu"]
        known = [[self._known.of(spec) for spec in group] for group in groups]
        sizes = [[file_bytes(spec) for spec in group] for group in groups]
        pairs = [pair for row, sized in zip(known, sizes, strict=True) for pair in zip(row, sized, strict=True)]
        there = sum(size for each, size in pairs if each.cost)
        rate = sum(each.cost for each, _ in pairs) / there if there else _NS_PER_BYTE
        costs = [
            sum(each.cost or rate * size for each, size in zip(*rows, strict=True))
            for rows in zip(known, sizes, strict=True)
        ]
        load = self.loads()
        found = {
            i: place for i, row in enumerate(known) if (place := fixed[i] or self._lane_before(row, lanes)) is not None
        }
        for i in sorted(range(len(groups)), key=lambda i: (i not in found, -costs[i], i)):
            if i not in found:
                found[i] = min(lanes, key=lambda lane: (load[lane.index] + costs[i] / self._speed(lane), lane.index))
            load[found[i].index] += costs[i] / self._speed(found[i])
        return [found[i] for i in range(len(groups))]

    def _lane_before(self, known: Sequence[Known], lanes: Sequence[Lane]) -> Lane | None:
        """The lane in which all of these were at an earlier start; None if there is none."""
        before = {each.lane for each in known}
        return next((lane for lane in lanes if before == {lane.index}), None)

    # ---- before the first frame

    def settle(self) -> None:
        """Before the first frame: with the cost of all tasks known, another placement may be better."""
        with self._change_lock:
            self._registry.check_open()
            for measured in self._measuring:
                measured.exception()  # what could not be measured is guessed
            self._measuring.clear()
            if not self.settled and self._dispatcher.frames == 0:
                self._place_anew()
                self._urgency.reconsider()
            if len(self._lanes) > 1 and not self.settled:
                tasks = self._registry.snapshot().values()
                self._known.keep((each, int(each.cost_ns * self._speed(each.lane))) for each in tasks)
            self.settled = True
        self._registry.log()

    def remember(self) -> None:
        """At the end: what tasks took is known to the next start. Under the lock of changes."""
        if len(self._lanes) == 1:
            return
        with self._registry.lock:
            mean = self._registry.scheduler.latency.mean
            tasks = [
                each for each in self._registry.tasks.values() if each.stats.runs >= _SEEN_RUNS and not each.absence
            ]
            seen = [(each, int(mean(each.name) * self._speed(each.lane))) for each in tasks]
        self._known.keep(seen)

    def _place_anew(self) -> None:
        with self._registry.lock:
            groups = self._groups()
            costs, memory, now = self._facts(groups)
            movable = [
                all(task.absence is None and task.in_flight == 0 and task.schedule.lane is None for task in group)
                for group in groups
            ]
        wanted = assign_lanes(costs, self._speeds, memory, now, movable)
        if not pays(costs, self._speeds, memory, now, wanted):
            return
        moves = [(group, lane) for group, old, lane in zip(groups, now, wanted, strict=True) if old != lane]
        for group, _ in moves:  # all of them first: what one lane gives up makes room for what it takes
            for task in reversed(group):
                self._residency.unload(task)
        for group, lane in moves:
            self._load_anew(group, self._lanes[lane])

    def _load_anew(self, group: Sequence[LoadedTask], lane: Lane) -> None:
        """Closed tasks, elsewhere; where that fails, in their old place; where that fails too, later."""
        try:
            made = self._load_group(group, lane)
        except MnnliteError as error:
            self._registry.say(logging.WARNING, about_task(group[0].name, "stays in its lane", error))
            lane = group[0].lane
            try:
                made = self._load_group(group, lane)
            except MnnliteError as failure:
                for task in group:
                    self._residency.lose(task, failure)
                return
        self._registry.exchange(group, made, lane.index)

    def _load_group(self, group: Sequence[LoadedTask], lane: Lane) -> dict[str, LoadedTask]:
        """All of them or none."""
        made: dict[str, LoadedTask] = {}
        try:
            for task in group:
                others = {**self._registry.snapshot(), **made}
                made[task.name] = self._residency.load(task.name, task.spec, task.schedule, lane, others)
        except BaseException:
            for task in reversed(made.values()):
                self._registry.close_soon(task).result()
            raise
        return made

    # Under the registry's lock:

    def _facts(self, groups: Sequence[Sequence[LoadedTask]]) -> tuple[list[float], list[float], list[int]]:
        """Of each group its cost, its feature maps and its lane."""
        costs = [sum(self._work(task) for task in group) for group in groups]
        memory = [float(max(0 if task.absence else task.dynamic or 0 for task in group)) for group in groups]
        return costs, memory, [group[0].lane.index for group in groups]

    def _groups(self) -> list[list[LoadedTask]]:
        """Tasks of the CPU's lanes that must be in one lane, together; each in the order of adding. Others stay where they are."""
        group_of: dict[str, list[LoadedTask]] = {}
        tasks = self._registry.tasks
        for task in tasks.values():
            near = [*task.needs, *self._sharing(task, group_of)]
            joined = {id(group_of[name]): group_of[name] for name in near}
            group = [*(each for other in joined.values() for each in other), task]
            group_of.update((each.name, group) for each in group)
        order = {name: i for i, name in enumerate(tasks)}
        groups = {id(group): group for group in group_of.values()}
        movable = [group for group in groups.values() if group[0].lane.backend == "cpu"]
        return [sorted(group, key=lambda each: order[each.name]) for group in movable]

    def _sharing(self, task: LoadedTask, before: Mapping[str, object]) -> list[str]:
        """Tasks that have their session in common with this one, of those that were seen before."""
        tasks = self._registry.tasks
        return [name for name in before if task.shared is not None and tasks[name].shared is task.shared]

    # ---- while frames are worked on

    def _watch(self) -> None:
        """The thread of ``replan=True``: looks every so often, and moves."""
        seen = self._dispatcher.frames
        while not self._stopping.wait(_LOOK_S):
            frames = self._dispatcher.frames
            if frames - seen < _LOOK_FRAMES:
                continue
            try:
                self._look(frames - seen)
            except Exception as error:  # a move that fails leaves tasks where they are
                self._registry.say(logging.WARNING, f"replanning ended early: {error}")
            seen = frames
            self._registry.log()

    def _look(self, frames: int) -> None:
        """Is another placement so much better, for so long, that it pays?"""
        with self._registry.lock:
            groups = self._groups()
            if not groups:
                return
            facts = self._facts(groups)
            # What a network remembers does not travel.
            movable = [
                not any(task.spec.state or task.absence or task.schedule.lane is not None for task in group)
                for group in groups
            ]
        found = self._replanner.look(frames, *facts, movable)
        if found is None:
            return
        self.replans.append(found)
        for first, lane in [(group[0].name, lane) for group, lane in zip(groups, found.lanes, strict=True)]:
            with self._change_lock:
                if self._stopping.is_set():
                    return
                with self._registry.lock:
                    group = next((each for each in self._groups() if each[0].name == first), [])
                if group and group[0].lane.index != lane and not any(task.absence for task in group):
                    self._move(group, self._lanes[lane])

    def _move(self, group: list[LoadedTask], lane: Lane) -> None:
        """Load a group where it is wanted and let the next frame find it there. Only the two lanes stop, to load."""
        begin = time.monotonic_ns()
        made = self._load_group(group, lane)
        for old in self._registry.exchange(group, made, lane.index):
            self._registry.close_soon(old)
        self._urgency.reconsider()
        took = (time.monotonic_ns() - begin) / 1e6
        names = ", ".join(map(repr, made))
        self._registry.say(logging.INFO, f"moved {names} to lane {lane.index} in {took:.1f} ms")

    def stop(self) -> None:
        """Move nothing any more. Does not wait: a finaliser calls it."""
        self._stopping.set()

    def join(self) -> None:
        """Wait for the thread's end, without the lock."""
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()
