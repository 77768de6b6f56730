"""A task of a Runtime: how it is loaded into a lane, tied to others, and closed."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mnnlite import _core
from mnnlite.engine_options import GPUS
from mnnlite.errors import ArgumentError, MnnliteError
from mnnlite.integrity import weights_beside
from mnnlite.runtime.counters import TaskCounters
from mnnlite.runtime.sharing import SharedModel, key_of, outputs_of
from mnnlite.specs import TaskSpec
from mnnlite.suggest import did_you_mean
from mnnlite.task import Task, load_model, ready_spec

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mnnlite.arena import Arena
    from mnnlite.decoders import Decoder
    from mnnlite.runtime.budget import MemoryDemand
    from mnnlite.runtime.lane import Lane
    from mnnlite.runtime.schedule import Schedule
    from mnnlite.runtime.sharing import SessionKey

__all__ = ["Absence", "LoadedTask", "absolute", "check_spec", "file_bytes", "load", "needs_of"]

# Crops of one frame, where nobody says how many: room for results is made for all of them.
DEFAULT_MAX_CROPS = 32


def check_spec(name: object, spec: object) -> tuple[str, TaskSpec]:
    """The name and the spec of a task; a path is a network that is used as it says."""
    if not isinstance(name, str) or not name or "." in name:
        raise ArgumentError(f"the task's name is {name!r}; it must be a text without a dot")
    if isinstance(spec, (str, os.PathLike)):
        from mnnlite.conversion import ready
        from mnnlite.descriptions import describe

        spec = describe(ready(spec), source=spec).one()
    if not isinstance(spec, TaskSpec):
        raise ArgumentError(f"the task is a {type(spec).__name__}; pass a mnnlite.TaskSpec, or the path of a network")
    return name, ready_spec(spec)


def absolute(spec: TaskSpec) -> TaskSpec:
    """The spec with absolute paths: it is loaded again later, wherever the process has gone meanwhile."""
    changed: dict[str, Any] = {
        name: type(path)(os.path.abspath(path)) if isinstance(path, (str, Path)) else os.path.abspath(path)
        for name in ("model", "external")
        if isinstance(path := getattr(spec, name), (str, os.PathLike)) and not os.path.isabs(path)
    }
    return replace(spec, **changed) if changed else spec


def file_bytes(spec: TaskSpec) -> int:
    """The size of the network's files: what is known of its work and memory before it is loaded. 0 where one is missing."""
    if isinstance(spec.model, (bytes, bytearray, memoryview)):
        return len(spec.model)
    weights = spec.external or weights_beside(spec.model)
    try:
        return sum(os.path.getsize(path) for path in (spec.model, weights) if path is not None)
    except OSError:
        return 0  # loading it says what is wrong


@dataclass(eq=False)
class LoadedTask:
    """A task and its loaded model. Made and closed on its lane's thread; what changes is under the registry's lock."""

    name: str
    spec: TaskSpec
    schedule: Schedule
    lane: Lane
    task: Task
    node: _core.GraphNode
    decoders: Mapping[str, Decoder]
    needs: tuple[str, ...] = ()
    cost_ns: int = 0  # of one run, as measured once it was loaded, by this process or an earlier one
    blocking_ns: int = 0  # the longest that it lets a task wait that preempts: an operator
    mflops: float = 0.0  # of one run, as the engine counts them
    dynamic: int | None = 0  # bytes of feature maps; None: not known
    failures: int = 0  # in a row
    in_flight: int = 0  # frames on their way that it takes part in
    is_automatic: bool = False  # it preempts where it needs to, and the schedule says whether it does now
    closing: bool = False  # it takes part in no further ones
    shared: SharedModel | None = None  # the model, where other tasks may use it too
    demand: MemoryDemand | None = None  # of the memory budget, if there is one
    used: int = -1  # the last frame it took part in, since it was loaded
    absence: Absence | None = None  # why and since when the model is not loaded
    stats: TaskCounters = field(default_factory=TaskCounters)

    @property
    def is_on_gpu(self) -> bool:
        """Its network is on another backend than the CPU."""
        return self.spec.engine.backend_in(self.lane.options) in GPUS

    def take_over(self, other: LoadedTask) -> None:
        """Be the same task as `other`, loaded anew."""
        self.stats, self.cost_ns, self.failures = other.stats, other.cost_ns, other.failures
        self.is_automatic = other.is_automatic

    def measure(self) -> None:
        """On the lane's thread: run once, for the time it takes. What is wrong with it shows on the first frame."""
        with suppress(MnnliteError):
            self.task.model.run(borrow=True)
            self.cost_ns = self.task.model.timing["infer"]

    def measure_blocking(self) -> None:
        """On the lane's thread: run twice, for how long its longest operator takes."""
        if self.schedule.preempts or self.blocking_ns or self.absence is not None:
            return
        with suppress(MnnliteError):
            runs = [_core.run_interrupted(self.task.model.native)[0] for _ in range(2)]
            self.blocking_ns = max(map(min, *runs))

    def close(self) -> None:
        """On the lane's thread: the network goes, and its arena gives back what it no longer needs."""
        del self.node
        self.task.close()
        if self.shared is not None:
            self.shared.leave(self.lane.models)
        self.lane.tidy()


@dataclass(eq=False)
class Absence:
    """Why a task is not loaded, and what is done about it.

    Parameters
    ----------
    why : str
        What frames without it say.
    """

    why: str
    loading: bool = False  # on its way back
    error: MnnliteError | None = None  # of the last attempt
    attempts: int = 0  # that failed, in a row
    retry_ns: int = 0  # no attempt before; steady clock
    refused: int = 0  # frames in a row for which there was no room to load it
    was_said: bool = False  # that it does not come back


def needs_of(spec: TaskSpec, schedule: Schedule) -> tuple[str, ...]:
    """Names of the tasks that this one takes something from."""
    found = list(schedule.needs.values())
    found += [source.split(".", 1)[0] for source in spec.feed.values() if isinstance(source, str)]
    return tuple(dict.fromkeys(found))


def load(
    name: str,
    spec: TaskSpec,
    schedule: Schedule,
    lane: Lane,
    threads: int,
    others: Mapping[str, LoadedTask],
    sharing: bool = False,
) -> LoadedTask:
    """On the lane's thread: load the model into the lane's arena and tie it to the tasks it takes something from.

    With `sharing` a task of the same network on the same picture in the lane has the session too.
    """
    gpu = spec.engine.backend_in(lane.options)
    if gpu in GPUS and schedule.preempts:
        raise ArgumentError(f"preempts: on backend {gpu!r} not yet, a GPU ends what it was given; take it away")
    if lane.cores is not None and gpu not in GPUS and (spec.threads or threads) > 1:
        raise ArgumentError(
            f"{spec.threads or threads} threads in a lane that is bound to cores: not yet, the engine's own threads belong to "
            "the process; use threads=1 and more lanes, or no cores"
        )
    _check_preempts(spec, schedule, others)
    arena = lane.arena(spec.engine, threads, bool(schedule.preempts))
    bare = replace(spec, threads=None, feed={})
    shared = None
    try:
        key = key_of(spec, schedule, lane.options) if sharing else None
        if key is not None:
            shared = _shared(key, name, spec, lane, arena, others)
        task = Task(bare, arena=arena, _model=None if shared is None else shared.model)
    except BaseException:
        if shared is not None:
            shared.leave(lane.models)
        lane.tidy()
        raise
    try:
        node = _core.GraphNode(task.native)
        made = LoadedTask(name, spec, schedule, lane, task, node, task.decoders, needs_of(spec, schedule))
        made.mflops = task.model.mflops
        made.dynamic = task.model.memory()["dynamic"]
        made.shared = shared
        made.stats.loading = {stage: ns for stage, ns in task.model.timing.items() if stage != "infer"}
        for target, source in spec.feed.items():
            if isinstance(source, str):
                _feed(made, target, source, others)
            else:
                task.model.input(target)[...] = source
        if schedule.after is not None:
            _follow(made, schedule, others)
        if schedule.turn_by is not None:
            _turn(made, schedule, others)
        if shared is not None:
            node.share_run(shared.run)
        node.share_input(lane.urgent_inputs if schedule.preempts else lane.inputs)
    except BaseException:
        task.close()
        if shared is not None:
            shared.leave(lane.models)
        lane.tidy()
        raise
    return made


def _check_preempts(spec: TaskSpec, schedule: Schedule, others: Mapping[str, LoadedTask]) -> None:
    """A task that preempts stands alone: what it would take is being made, and what it gives is made anew meanwhile."""
    needs = needs_of(spec, schedule)
    if schedule.preempts and needs:
        raise ArgumentError(
            f"preempts: the task takes something from {needs[0]!r} on the same frame, so it has to wait for that one; "
            "take its feed or preempts away"
        )
    urgent = next((name for name in needs if name in others and others[name].schedule.preempts), None)
    if urgent is not None:
        raise ArgumentError(
            f"task {urgent!r} preempts, so it may run again before a task that takes something from it has; take from another "
            f"task, or let {urgent!r} not preempt"
        )


def _shared(
    key: SessionKey, name: str, spec: TaskSpec, lane: Lane, arena: Arena, others: Mapping[str, LoadedTask]
) -> SharedModel:
    """The lane's model for this task, with one user more; made if there is none with its outputs."""
    found = lane.models.get(key)
    if found is None or not found.covers(spec):
        before = others[name].shared if name in others else None  # the task is moved, and so are those it shares with
        companions = [
            each
            for each in others.values()
            if each.absence is None and (each.lane is lane or (before is not None and each.shared is before))
        ]
        specs = [(each.spec, each.schedule) for each in companions if each.name != name]
        outputs = outputs_of(key, spec, specs, lane.options)
        made = load_model(replace(spec, threads=None, feed={}, decoder="raw", outputs=outputs), arena)
        found = lane.models[key] = SharedModel(key, made, outputs)
    found.users += 1
    return found


def _other(name: str, others: Mapping[str, LoadedTask], what: str) -> LoadedTask:
    if name not in others:
        hint = did_you_mean(name, others, "; add that one first", before="; ")
        raise ArgumentError(f"{what}: there is no task {name!r}{hint}")
    if others[name].absence is not None:
        raise ArgumentError(f"{what}: task {name!r} is not loaded at the moment")
    return others[name]


def _feed(made: LoadedTask, target: str, source: str, others: Mapping[str, LoadedTask]) -> None:
    name, dot, output = source.partition(".")
    if not dot:
        raise ArgumentError(f"feed: {source!r} is not 'task.output'")
    other = _other(name, others, "feed")
    made.node.feed(made.task.native, other.node, other.task.native, output, target)


def _follow(made: LoadedTask, schedule: Schedule, others: Mapping[str, LoadedTask]) -> None:
    name, _, chosen = str(schedule.after).partition(".")
    parent = _other(name, others, "after")
    keys = list(parent.decoders)
    if chosen in parent.task.functions:
        raise ArgumentError(
            f"after: {schedule.after!r} is decoded in Python, when the lanes are done with the frame; only boxes of native "
            "decoders can be cropped"
        )
    if not keys:
        raise ArgumentError(f"after: task {name!r} has no decoder, so it has no boxes")
    if not chosen and len(keys) > 1:
        raise ArgumentError(
            f"after: task {name!r} has several results; say which: {', '.join(repr(f'{name}.{key}') for key in keys)}"
        )
    if chosen and chosen not in keys:
        raise ArgumentError(f"after: task {name!r} has no result {chosen!r}; it has {', '.join(map(repr, keys))}")
    index = keys.index(chosen) if chosen else 0
    names = parent.decoders[keys[index]].names
    classes = None if schedule.only is None else _classes(schedule.only, names, f"only: task {name!r}")
    most = schedule.max_crops or DEFAULT_MAX_CROPS
    if schedule.max_crops is None and (made.task.functions or not made.decoders):
        most = made.spec.batch
    made.node.follow(parent.node, index, classes, most, schedule.padding)


def _turn(made: LoadedTask, schedule: Schedule, others: Mapping[str, LoadedTask]) -> None:
    name, _, chosen = str(schedule.turn_by).partition(".")
    other = _other(name, others, "turn_by")
    keys = list(other.decoders)
    if chosen in other.task.functions or (chosen and chosen not in keys) or (not chosen and len(keys) != 1):
        has = ", ".join(repr(f"{name}.{key}") for key in keys) or "none"
        raise ArgumentError(f"turn_by: {schedule.turn_by!r} is no result of a native decoder; task {name!r} has {has}")
    index = keys.index(chosen) if chosen else 0
    classes = _classes(schedule.turn_if, other.decoders[keys[index]].names, f"turn_if: task {name!r}")
    made.node.turn_by(other.node, index, classes)


def _classes(only: tuple[str | int, ...], names: tuple[str, ...], where: str) -> list[int]:
    classes: list[int] = []
    for each in only:
        if isinstance(each, int):
            classes.append(each)
        elif each in names:
            classes += [index for index, label in enumerate(names) if label == each]
        else:
            hint = did_you_mean(each, names, before="; ")
            raise ArgumentError(f"{where} knows no label {each!r}{hint}")
    return classes
