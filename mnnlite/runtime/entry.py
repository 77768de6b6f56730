"""A task of a Runtime: its spec and rule as checked data, and how it is loaded into a lane."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from mnnlite import _core
from mnnlite.descriptions import describe
from mnnlite.errors import ArgumentError, MnnliteError
from mnnlite.runtime.rules import Rule
from mnnlite.runtime.sharing import Shared, key_of, outputs_of
from mnnlite.runtime.stats import TaskStats
from mnnlite.specs import TaskSpec
from mnnlite.task import Task, load_model

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mnnlite.decoders import Decoder
    from mnnlite.model import Arena
    from mnnlite.runtime.budget import Share
    from mnnlite.runtime.lane import Lane
    from mnnlite.runtime.sharing import Key

__all__ = ["Entry", "Settings"]

# Crops of one frame, where nobody says how many: room for results is made for all of them.
DEFAULT_MAX_CROPS = 32


@dataclass(frozen=True)
class Settings:
    """What `Runtime.add` takes beside the spec; checked."""

    every: int = 1
    rate_hz: float | None = None
    priority: int = 0
    deadline_ms: float | None = None
    optional: bool = False
    after: str | None = None
    only: Any = None  # a tuple of labels and numbers, once checked
    max_crops: int | None = None
    padding: float = 0.0
    evictable: bool = False

    def __post_init__(self) -> None:
        put = object.__setattr__
        put(self, "every", _whole("every", self.every, 1))
        put(self, "priority", _whole("priority", self.priority, -(2**31)))
        for name in ("rate_hz", "deadline_ms"):
            if getattr(self, name) is not None:
                put(self, name, _number(name, getattr(self, name), above=0))
        put(self, "padding", _number("padding", self.padding, above=None))
        if self.rate_hz is not None and self.every != 1:
            raise ArgumentError("every and rate_hz both say how often the task runs; give one of them")
        if self.after is None:
            for name, usual in (("only", None), ("max_crops", None), ("padding", 0.0)):
                if getattr(self, name) != usual:
                    raise ArgumentError(f"{name} is about crops of another task's boxes; say which task with after=")
        elif not isinstance(self.after, str) or not self.after:
            raise ArgumentError(f"after is {self.after!r}; it must be the name of a task, or 'task.decoder'")
        if self.max_crops is not None:
            put(self, "max_crops", _whole("max_crops", self.max_crops, 1))
        if self.only is not None:
            if isinstance(self.only, (str, int)) or not isinstance(self.only, Iterable):
                raise ArgumentError(f"only is {self.only!r}; it must be a set of labels or class numbers")
            chosen = tuple(sorted(set(self.only), key=str))
            if not chosen or not all(isinstance(each, (str, int)) for each in chosen):
                raise ArgumentError(f"only is {self.only!r}; it must hold labels or class numbers, at least one")
            put(self, "only", chosen)


def _whole(name: str, value: object, low: int) -> int:
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise ArgumentError(f"{name} is {value!r}; it must be a whole number")
    number = int(value.__index__())
    if number < low:
        raise ArgumentError(f"{name} is {number}; it must be at least {low}")
    return number


def _number(name: str, value: object, above: float | None) -> float:
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        raise ArgumentError(f"{name} is {value!r}; it must be a number") from None
    if not math.isfinite(number) or number < 0 or (above is not None and number <= above):
        raise ArgumentError(f"{name} is {value!r}; it must be {'more than' if above is not None else 'at least'} 0")
    return number


def as_spec(spec: TaskSpec | str | os.PathLike[str]) -> TaskSpec:
    """A task of what may stand for one: a path is used as its file says."""
    return describe(spec).one() if isinstance(spec, (str, os.PathLike)) else spec


def check_spec(name: object, spec: object, taken: Iterable[str]) -> tuple[str, TaskSpec]:
    """The name and the spec of a new task."""
    if not isinstance(name, str) or not name or "." in name:
        raise ArgumentError(f"the task's name is {name!r}; it must be a text without a dot")
    if name in taken:
        raise ArgumentError(f"there is a task {name!r} already; remove it first, or replace it with replace()")
    if not isinstance(spec, TaskSpec):
        raise ArgumentError(f"the task is a {type(spec).__name__}; pass a mnnlite.TaskSpec, or the path of a network")
    return name, spec


@dataclass
class Entry:
    """A loaded task. Made and closed on its lane's thread."""

    name: str
    spec: TaskSpec
    settings: Settings
    lane: Lane
    task: Task
    member: _core.Member
    decoders: Mapping[str, Decoder]
    needs: tuple[str, ...] = ()
    cost_ns: int = 0  # of one run, as measured once it was loaded
    mflops: float = 0.0  # of one run, as the engine counts them
    failures: int = 0  # in a row
    flying: int = 0  # frames on their way that it takes part in
    closing: bool = False  # it takes part in no further ones
    shared: Shared | None = None  # the model, where other tasks may use it too
    share: Share | None = None  # of the memory budget, if there is one
    used: int = 0  # the last frame it took part in
    evicted: bool = False  # not loaded at the moment
    stats: TaskStats = field(default_factory=TaskStats)

    @property
    def rule(self) -> Rule:
        """What the scheduler knows of it."""
        deadline = self.settings.deadline_ms
        return Rule(
            self.name,
            self.settings.every,
            self.settings.rate_hz,
            self.settings.priority,
            None if deadline is None else round(deadline * 1e6),
            self.settings.optional,
            self.needs,
            self.lane.index,
        )

    @property
    def dynamic(self) -> int:
        """Bytes of feature maps."""
        return 0 if self.evicted else int(self.task.model.memory()["dynamic"])

    def take_over(self, other: Entry) -> None:
        """Be the same task as `other`, loaded anew."""
        self.stats, self.cost_ns, self.failures, self.used = other.stats, other.cost_ns, other.failures, other.used

    def measure(self) -> None:
        """On the lane's thread: run once, for the time it takes. What is wrong with it shows on the first frame."""
        with suppress(MnnliteError):
            self.task.model.run(borrow=True)
            self.cost_ns = self.task.model.timing["infer"]

    def close(self) -> None:
        """On the lane's thread: the network goes, and its arena gives back what it no longer needs."""
        del self.member
        self.task.close()
        if self.shared is not None:
            self.shared.leave(self.lane.models)
        self.lane.tidy()


def needs_of(spec: TaskSpec, settings: Settings) -> tuple[str, ...]:
    """Names of the tasks that this one takes something from."""
    found = [] if settings.after is None else [settings.after.split(".")[0]]
    found += [source.split(".", 1)[0] for source in spec.feed.values() if isinstance(source, str)]
    return tuple(dict.fromkeys(found))


def load(
    name: str,
    spec: TaskSpec,
    settings: Settings,
    lane: Lane,
    threads: int,
    others: Mapping[str, Entry],
    sharing: bool = False,
) -> Entry:
    """On the lane's thread: load the model into the lane's arena and tie it to the tasks it takes something from.

    With `sharing` a task of the same network on the same picture in the lane has the session too.
    """
    if lane.cores is not None and (spec.threads or threads) > 1:
        raise ArgumentError(
            f"{spec.threads or threads} threads in a lane that is bound to cores: not yet, the engine's own threads belong to "
            "the process; use threads=1 and more lanes, or no cores"
        )
    arena = lane.arena(spec.precision, spec.threads or threads)
    bare = replace(spec, threads=None, feed={})
    shared = None
    try:
        key = key_of(spec, settings) if sharing else None
        if key is not None:
            shared = _shared(key, name, spec, lane, arena, others)
        task = Task(bare, arena=arena, _model=None if shared is None else shared.model)
    except BaseException:
        if shared is not None:
            shared.leave(lane.models)
        lane.tidy()
        raise
    try:
        member = _core.Member(task.native)
        entry = Entry(name, spec, settings, lane, task, member, task.decoders, needs_of(spec, settings))
        entry.mflops = task.model.mflops
        entry.shared = shared
        entry.stats.loading = {stage: ns for stage, ns in task.model.timing.items() if stage != "infer"}
        for target, source in spec.feed.items():
            if isinstance(source, str):
                _feed(entry, target, source, others)
            else:
                task.model.input(target)[...] = source
        if settings.after is not None:
            _follow(entry, settings, others)
        if shared is not None:
            member.share_run(shared.run)
        member.share_input(lane.inputs)
    except BaseException:
        task.close()
        if shared is not None:
            shared.leave(lane.models)
        lane.tidy()
        raise
    return entry


def _shared(key: Key, name: str, spec: TaskSpec, lane: Lane, arena: Arena, others: Mapping[str, Entry]) -> Shared:
    """The lane's model for this task, with one user more; made if there is none with its outputs."""
    found = lane.models.get(key)
    if found is None or not found.covers(spec):
        before = others[name].shared if name in others else None  # the task is moved, and so are those it shares with
        companions = [
            each
            for each in others.values()
            if not each.evicted and (each.lane is lane or (before is not None and each.shared is before))
        ]
        outputs = outputs_of(key, spec, [each for each in companions if each.name != name])
        made = load_model(replace(spec, threads=None, feed={}, decoder="raw", outputs=outputs), arena)
        found = lane.models[key] = Shared(key, made, outputs)
    found.users += 1
    return found


def _other(entry: Entry, name: str, others: Mapping[str, Entry], what: str) -> Entry:
    if name not in others:
        close = get_close_matches(name, list(others), 1)
        hint = f"; did you mean {close[0]!r}?" if close else "; add that one first"
        raise ArgumentError(f"{what}: there is no task {name!r}{hint}")
    return others[name]


def _feed(entry: Entry, target: str, source: str, others: Mapping[str, Entry]) -> None:
    name, dot, output = source.partition(".")
    if not dot:
        raise ArgumentError(f"feed: {source!r} is not 'task.output'")
    other = _other(entry, name, others, "feed")
    entry.member.feed(entry.task.native, other.member, other.task.native, output, target)


def _follow(entry: Entry, settings: Settings, others: Mapping[str, Entry]) -> None:
    name, _, chosen = str(settings.after).partition(".")
    parent = _other(entry, name, others, "after")
    keys = list(parent.decoders)
    if chosen in parent.task.functions:
        raise ArgumentError(
            f"after: {settings.after!r} is decoded in Python, when the lanes are done with the frame; only boxes of native "
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
    classes = None if settings.only is None else _classes(settings.only, parent.decoders[keys[index]].names, name)
    most = settings.max_crops or DEFAULT_MAX_CROPS
    if settings.max_crops is None and (entry.task.functions or not entry.decoders):
        most = entry.spec.batch
    entry.member.follow(parent.member, index, classes, most, settings.padding)


def _classes(only: tuple[str | int, ...], names: tuple[str, ...], task: str) -> list[int]:
    classes: list[int] = []
    for each in only:
        if isinstance(each, int):
            classes.append(each)
        elif each in names:
            classes += [index for index, label in enumerate(names) if label == each]
        else:
            close = get_close_matches(each, names, 1)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            raise ArgumentError(f"only: task {task!r} knows no label {each!r}{hint}")
    return classes
