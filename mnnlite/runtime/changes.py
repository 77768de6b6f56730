"""What `Runtime.add` and its like do: tasks are checked, loaded, swapped, closed, one change at a time."""

from __future__ import annotations

import logging
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from mnnlite.arena import check_available
from mnnlite.engine_options import GPUS
from mnnlite.errors import ArgumentError, BackendUnavailableError, MnnliteError, name_task
from mnnlite.runtime.batch import NewTask, connected, load_side_by_side
from mnnlite.runtime.budget import NoRoomError
from mnnlite.runtime.cores import read_cores
from mnnlite.runtime.loaded_task import absolute, check_spec, needs_of
from mnnlite.runtime.schedule import lanes_there
from mnnlite.task import try_task
from mnnlite.trial import seconds_of

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from concurrent.futures import Future

    from mnnlite.runtime.change_lock import ChangeLock
    from mnnlite.runtime.lane import Lane
    from mnnlite.runtime.loaded_task import LoadedTask
    from mnnlite.runtime.rebalancer import Rebalancer
    from mnnlite.runtime.registry import TaskRegistry
    from mnnlite.runtime.residency import ModelResidency
    from mnnlite.runtime.schedule import Schedule
    from mnnlite.runtime.urgency import Urgency
    from mnnlite.specs import ImageSpec, TaskSpec

__all__ = ["TaskChanges"]


class TaskChanges:
    """Tasks come and go.

    Parameters
    ----------
    registry : TaskRegistry
    residency : ModelResidency
    rebalancer : Rebalancer
    urgency : Urgency
    lanes : list of Lane
    change_lock : ChangeLock
    threads : int
        Of the engine, where a task does not say.
    trial : float, optional
        How many seconds the trial of a new task may take in a child process; None: only tasks that ask for one are tried.
    tuned : bool
        Tasks get the options that were measured to be best.
    gpu_lane : callable
        Gives the lane of a backend, under the change lock.
    """

    def __init__(
        self,
        registry: TaskRegistry,
        residency: ModelResidency,
        rebalancer: Rebalancer,
        urgency: Urgency,
        lanes: Sequence[Lane],
        change_lock: ChangeLock,
        threads: int,
        trial: float | None,
        tuned: bool,
        gpu_lane: Callable[[str], Lane],
    ) -> None:
        self._registry, self._residency, self._rebalancer = registry, residency, rebalancer
        self._urgency = urgency
        self._lanes, self._change_lock, self._threads, self._trial = lanes, change_lock, threads, trial
        self._tuned, self._gpu_lane = tuned, gpu_lane

    def add(self, name: str, spec: TaskSpec | str | os.PathLike[str], schedule: Schedule) -> None:
        """As `Runtime.add`."""
        new = self._new(name, spec, schedule)
        # Found before the lock: it may take a child process.
        self._residency.demand_of(name, new.spec, 0, new.schedule.preempts)
        with self._change():
            needed = self._needed(new, {})
            lane = self._lane_of(new, {each.name: each.lane for each in needed})
            self._urgency.release(needed)
            lanes = self._rebalancer.lanes_for(new.spec) if lane is None else [lane]
            self._enter([new], {name: self._load(name, new.spec, new.schedule, lanes)})

    def add_all(
        self, tasks: Mapping[str, TaskSpec | str | os.PathLike[str]], schedules: Mapping[str, Schedule]
    ) -> None:
        """As `Runtime.add_all`."""
        if self._residency.budget is not None:  # what there is room for is known when the one before is there
            self._add_each(tasks, schedules)
            return
        batch = []
        for name, spec in tasks.items():
            with _of_task(name):
                batch.append(self._new(name, spec, schedules[name]))
        with self._change():
            needed: dict[str, LoadedTask] = {}
            before: dict[str, NewTask] = {}
            for new in batch:
                with _of_task(new.name):
                    needed |= {each.name: each for each in self._needed(new, before)}
                before[new.name] = new
            lanes = self._lanes_of(batch, {name: task.lane for name, task in needed.items()})
            self._urgency.release(needed.values())
            queues: dict[Lane, list[NewTask]] = {}
            for new in batch:
                queues.setdefault(lanes[new.name], []).append(new)
            self._enter(batch, load_side_by_side(queues, list(tasks), self._load_soon, self._registry.close_soon))

    def _add_each(
        self, tasks: Mapping[str, TaskSpec | str | os.PathLike[str]], schedules: Mapping[str, Schedule]
    ) -> None:
        """One after the other; all or none."""
        added = []
        try:
            for name, spec in tasks.items():
                with _of_task(name):
                    self.add(name, spec, schedules[name])
                added.append(name)
        except BaseException:
            for name in reversed(added):
                with suppress(MnnliteError):  # another thread removed it, or closed the runtime
                    self.remove(name)
            raise

    def _new(self, name: str, spec: TaskSpec | str | os.PathLike[str], schedule: Schedule) -> NewTask:
        """The task as it will be loaded, checked and tried. Without the lock."""
        name, spec = check_spec(name, spec)
        spec, wanted = self._on_backend(name, absolute(spec))
        spec = self._with_options(name, spec, schedule)
        self._look_at_threads(name, spec)
        self._try(spec)
        is_automatic = schedule.preempts == "auto"
        if is_automatic:
            schedule = replace(schedule, preempts=False)  # until it is known what there is
        return NewTask(name, spec, schedule, wanted, is_automatic)

    def _needed(self, new: NewTask, before: Mapping[str, NewTask]) -> list[LoadedTask]:
        """The tasks that are there and that a new one takes something from; its name is free. `before`: those that come with it."""
        tasks = self._registry.snapshot()
        if new.name in tasks:
            raise ArgumentError(f"there is a task {new.name!r} already; remove it first, or replace it with replace()")
        schedules = {each.name: each.schedule for each in tasks.values()}
        schedules |= {each.name: each.schedule for each in before.values()}
        for each in new.needs:
            if each in schedules and schedules[each].evictable:
                raise ArgumentError(f"task {new.name!r} comes after {each!r}, which is evictable; make that one stay")
        return [tasks[each] for each in new.needs if each in tasks]

    def _enter(self, batch: Sequence[NewTask], made: Mapping[str, LoadedTask]) -> None:
        """From the next frame on they take part, all of them."""
        with self._registry.lock:
            for new in batch:
                made[new.name].is_automatic = new.is_automatic
                self._registry.enter(made[new.name], new.wanted)
        for new in batch:
            self._join(self._registry.get(new.name))
        for new in batch:  # where joining left them
            self._rebalancer.added(self._registry.get(new.name))
        self._urgency.reconsider()

    def _load_soon(self, new: NewTask, lane: Lane, made: Mapping[str, LoadedTask]) -> Future[LoadedTask]:
        others = {**self._registry.snapshot(), **made}
        return self._residency.load_soon(new.name, new.spec, new.schedule, lane, others)

    def _load(self, name: str, spec: TaskSpec, schedule: Schedule, lanes: Sequence[Lane]) -> LoadedTask:
        """In the first of the lanes in which there is room: what a task shares with others is its lane's."""
        for lane in lanes[:-1]:
            with suppress(NoRoomError):
                return self._residency.load(name, spec, schedule, lane)
        return self._residency.load(name, spec, schedule, lanes[-1])

    def _look_at_threads(self, name: str, spec: TaskSpec) -> None:
        """Those of a runtime are refused where there are fewer cores; a task's are its own, and said."""
        threads = spec.threads or 1
        if threads == 1 or spec.engine.backend_in(self._lanes[0].options) in GPUS:  # which have none, and say so
            return
        if threads > (there := len(read_cores())):
            self._registry.say(
                logging.WARNING,
                f"task {name!r} has {threads} threads, more than the {there} cores this process may use, so they slow each other "
                "down; take fewer",
            )
            self._registry.log()

    def _on_backend(self, name: str, spec: TaskSpec) -> tuple[TaskSpec, str | None]:
        """The task on a backend that is there, and the one that it was to have where it fell back; before the lock."""
        defaults = self._lanes[0].options
        backend = spec.engine.backend_in(defaults)
        if backend == "cpu":
            return spec, None
        try:
            check_available(backend)
        except BackendUnavailableError as error:
            if (spec.fallback or defaults.get("fallback")) is None:
                raise
            self._registry.say(logging.WARNING, f"task {name!r} runs on 'cpu' in place of {backend!r}: {error}")
            self._registry.log()
            return replace(spec, backend="cpu", tuning=None, gpu_memory=None), backend
        return spec, None

    def _lane_of(self, new: NewTask, needed: Mapping[str, Lane]) -> Lane | None:
        """The lane that it must be in: with what it takes something from, as it says, or its backend's; None: any of the CPU's."""
        backend, said = new.spec.engine.backend_in(self._lanes[0].options), new.schedule.lane
        count = sum(lane.backend == "cpu" for lane in self._lanes)
        name = new.name
        if said is not None and backend in GPUS:
            raise ArgumentError(
                f"task {name!r} says lane {said}, but runs on {backend!r}, which has a lane of its own; leave lane out"
            )
        if said is not None and said >= count:
            raise ArgumentError(f"task {name!r} says lane {said}; {lanes_there(count)}")
        if len({lane.index for lane in needed.values()}) > 1:
            both = ", ".join(map(repr, needed))
            raise ArgumentError(
                f"task {name!r} takes something from {both}, which are in different lanes; use one lane, or add what "
                "connects them first"
            )
        for other, lane in needed.items():
            if said not in (None, lane.index):
                advice = "say the same lane of both" if lane.backend == "cpu" else "a GPU's; leave lane out"
                raise ArgumentError(
                    f"task {name!r} says lane {said}, but takes something from {other!r}, which is in lane "
                    f"{lane.index}{';' if lane.backend == 'cpu' else ','} {advice}"
                )
            return lane
        if said is not None:
            return self._lanes[said]
        return self._gpu_lane(backend) if backend in GPUS else None

    def _lanes_of(self, batch: Sequence[NewTask], there: Mapping[str, Lane]) -> dict[str, Lane]:
        """A lane for each of several; those that take something from one another are in one. `there` is where the others are."""
        groups = connected(batch)
        fixed: list[Lane | None] = []
        for group in groups:
            lanes = []
            for new in group:
                with _of_task(new.name):
                    lanes.append(self._lane_of(new, {name: there[name] for name in new.needs if name in there}))
            fixed.append(next((lane for lane in lanes if lane is not None), None))
        places = self._rebalancer.lanes_for_groups([[new.spec for new in group] for group in groups], fixed)
        lane_of = dict(there)
        group_lane = {new.name: lane for group, lane in zip(groups, places, strict=True) for new in group}
        for new in batch:
            with _of_task(new.name):
                found = self._lane_of(new, {name: lane_of[name] for name in new.needs if name in lane_of})
            lane_of[new.name] = found or group_lane[new.name]
        return lane_of

    def _join(self, new: LoadedTask) -> None:
        """Tasks of the same network whose session has not the outputs of the new one come over to the new session."""
        tasks = self._registry.snapshot()
        for old in tasks.values():
            here, there = old.shared, new.shared
            if here is None or there is None or here is there or old.lane is not new.lane or old.absence is not None:
                continue
            if here.key != there.key or not there.covers(old.spec):
                continue
            if any(old.name in other.needs for other in tasks.values()):
                continue  # others look at the tensors that it has
            self._swap(old, self._residency.load(old.name, old.spec, old.schedule, old.lane))

    def remove(self, name: str) -> None:
        """As `Runtime.remove`."""
        with self._change():
            task = self._unneeded(name)
            if self._registry.leave(task):
                self._registry.close_soon(task).result()
            self._urgency.reconsider()

    def replace(self, name: str, spec: TaskSpec | str | os.PathLike[str]) -> None:
        """As `Runtime.replace`."""
        _, spec = check_spec(name, spec)
        spec, wanted = self._on_backend(name, absolute(spec))
        spec = self._with_options(name, spec, self._registry.get(name).schedule)
        self._try(spec)
        self._residency.demand_of(name, spec, 0, False)  # found before the lock: it may take a child process
        with self._change():
            old = self._unneeded(name)
            if needs_of(spec, old.schedule) != old.needs:
                raise ArgumentError(f"task {name!r} takes tensors of other tasks now; remove it and add it anew")
            backend = spec.engine.backend_in(old.lane.options)
            if not old.needs and backend != old.lane.backend:
                raise ArgumentError(
                    f"task {name!r} is on backend {old.lane.backend!r}; on {backend!r} it is another lane's, remove it and add it anew"
                )
            self._swap(old, self._residency.load(name, spec, old.schedule, old.lane))
            self._registry.falls_back(name, wanted)
            self._urgency.reconsider()

    def _with_options(self, name: str, spec: TaskSpec, schedule: Schedule) -> TaskSpec:
        """The task with what was measured to be best, where that is wanted: the fastest for which there is room now."""
        if not self._tuned:
            return spec
        from mnnlite.runtime.tuned import is_said, tuned_alternatives  # not for those who do not tune

        if is_said(spec):
            return spec
        choices = sorted(tuned_alternatives(name, spec, self._threads), key=lambda each: each.ms)
        budget = self._residency.budget
        if budget is None:
            return choices[0].spec(spec)
        demands = [each.demand for each in self._registry.snapshot().values() if each.demand and each.name != name]
        for each in choices:
            demand = budget.demand_with(name, spec, 0, each.cost, preempts=bool(schedule.preempts))
            if budget.needed(demands, demand) <= budget.limit:
                return each.spec(spec)
        return choices[0].spec(spec)

    def _try(self, spec: TaskSpec) -> None:
        """In a child process, where that is wanted; before the lock, so that nobody waits for it."""
        seconds = seconds_of(spec.trial) or self._trial
        if seconds is not None:
            options = self._lanes[0].model_options(spec.engine, self._threads)
            try_task(spec, options, seconds)

    def resize(
        self,
        name: str,
        shapes: Mapping[str, Sequence[int]] | None,
        image: ImageSpec | Mapping[str, ImageSpec] | None,
    ) -> None:
        """As `Runtime.resize`."""
        if shapes is None and image is None:
            raise ArgumentError("neither shapes nor an image spec is given; say what the task's inputs become")
        spec = self._registry.get(name).spec
        changed: dict[str, Any] = {} if image is None else {"image": image}
        if shapes is not None:
            changed["shapes"] = {**(spec.shapes or {}), **shapes}
        self.replace(name, replace(spec, **changed))

    def _swap(self, old: LoadedTask, new: LoadedTask) -> None:
        new.is_automatic = old.is_automatic
        if self._registry.leave(old, new):
            self._registry.close_soon(old).result()

    def clear(self) -> None:
        """At the end: close all tasks. Nothing is on its way any more."""
        for task in reversed(self._registry.snapshot().values()):
            self._registry.leave(task)
            if task.absence is None:  # whoever still has results to collect does not need the model for it
                self._registry.close_soon(task).result()

    @contextmanager
    def _change(self) -> Iterator[None]:
        try:
            with self._change_lock:
                self._registry.check_open()
                yield
        except NoRoomError as error:
            # Only now: what would fit is found with child processes, and nobody else waits for them.
            budget = self._residency.budget
            assert budget is not None
            raise budget.refusal(error) from None
        finally:
            self._registry.log()
        self._residency.look_for_starved()
        self._registry.log()

    def _unneeded(self, name: str) -> LoadedTask:
        """The task of that name, that no other takes anything from."""
        task = self._registry.get(name)
        users = [other.name for other in self._registry.snapshot().values() if name in other.needs]
        if users:
            raise ArgumentError(f"task {name!r} is needed by {', '.join(map(repr, users))}; remove those first")
        return task


@contextmanager
def _of_task(name: str) -> Iterator[None]:
    """Errors of one task among several name it."""
    try:
        yield
    except MnnliteError as error:
        name_task(name, error)
        raise
