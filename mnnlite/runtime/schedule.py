"""When a task runs and on what: what the user says of it beside its spec."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from mnnlite.errors import ArgumentError
from mnnlite.records import Record

__all__ = ["Schedule", "lanes_there"]


def lanes_there(count: int) -> str:
    """The end of an error about a lane that is none of so many."""
    there = "is lane 0 alone; say it" if count == 1 else f"are lanes 0 to {count - 1}; say one of them"
    return f"there {there}, or more lanes of the runtime"


@dataclass(frozen=True, eq=False, repr=False)
class Schedule(Record):
    """When a task of a `Runtime` runs and on what. Checked when it is made.

    Parameters
    ----------
    every : int
        The task runs on each n-th frame.
    rate_hz : float, optional
        The task runs at most so many times a second. Not together with `every`.
    priority : int
        A task with a larger priority is more important: it runs earlier and is left out later.
    deadline_ms : float, optional
        The time from the frame's timestamp to the end of the task. A result that comes later is marked late.
    optional : bool
        The runtime may leave the task out of a frame when the predicted costs say that there is no time for it.
    after : str, optional
        The task runs on crops of this task's boxes instead of on the frame: ``"task"``, or ``"task.decoder"`` if that has
        several decoders. Where a row has four corners, the crop is the turned rectangle between them. ``item`` of the results
        is the row's index.
    only : set of str or int, optional
        Labels or class numbers of the boxes to crop. The default is all boxes.
    max_crops : int, optional
        The most crops of a frame, best scores first. The default is 32. More crops than the spec's ``batch`` run as several
        batches.
    padding : float
        The fraction of the box's width and height that is added on each side.
    turn_by : str, optional
        Another task, or ``"task.decoder"``, that runs on the same boxes (the same `after`) before this one: its class says
        which crops are upside down. They are turned by half; results stay in pixels of the frame.
    turn_if : set of str or int, optional
        Labels or class numbers of that task for which a crop is turned. The best row of the crop counts.
    evictable : bool
        With a memory budget the runtime may unload the task to make room for others, the least recently used first. Its lane
        loads it again between two frames, when it is due and there is room. No task may run on its boxes.
    preempts : bool or "auto"
        The task does not wait for the other tasks of its lane. It begins before the next operator of the network that is
        running, and its results come in a `FrameResult` of their own, see `Runtime`. It has a session of its own; the tasks of
        a lane that preempt have an arena of their own. It neither reads other tasks' results nor gives them its own, and it
        runs whenever it is due. With ``"auto"`` it preempts while less important tasks of its lane take so long, by measured
        cost, that it could miss its deadline. The runtime decides that whenever tasks are added, removed or moved. A task with
        a ``state``, or one whose results other tasks read, does not preempt.
    lane : int, optional
        The lane that the task is in, 0 for the first, and stays in. The default is for the runtime to place it by what tasks cost.
        `mnnlite tune` writes it where there are several lanes, for what lanes need depends on it.

    Raises
    ------
    ArgumentError
        A value that cannot be used, or two that exclude each other.
    """

    every: int = 1
    rate_hz: float | None = None
    priority: int = 0
    deadline_ms: float | None = None
    optional: bool = False
    after: str | None = None
    only: Any = None  # a tuple of labels and numbers, once checked
    max_crops: int | None = None
    padding: float = 0.0
    turn_by: str | None = None
    turn_if: Any = None  # as `only`
    evictable: bool = False
    preempts: Any = False  # or True, or "auto"; of a loaded task one of the first two
    lane: int | None = None

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
        if self.preempts not in (True, False, "auto"):
            raise ArgumentError(f"preempts is {self.preempts!r}; it must be true, false or 'auto'")
        if self.preempts:
            self._check_preempts()
        if self.after is None:
            for name, usual in (("only", None), ("max_crops", None), ("padding", 0.0), ("turn_by", None)):
                if getattr(self, name) != usual:
                    raise ArgumentError(f"{name} is about crops of another task's boxes; say which task with after=")
        elif not isinstance(self.after, str) or not self.after:
            raise ArgumentError(f"after is {self.after!r}; it must be the name of a task, or 'task.decoder'")
        if self.lane is not None:
            put(self, "lane", _whole("lane", self.lane, 0))
        if self.max_crops is not None:
            put(self, "max_crops", _whole("max_crops", self.max_crops, 1))
        if self.turn_by is not None and (not isinstance(self.turn_by, str) or not self.turn_by):
            raise ArgumentError(f"turn_by is {self.turn_by!r}; it must be the name of a task, or 'task.decoder'")
        if (self.turn_by is None) != (self.turn_if is None):
            raise ArgumentError(
                "turn_by says which task decides, turn_if for which of its classes a crop is turned; give both"
            )
        for name in ("only", "turn_if"):
            if getattr(self, name) is not None:
                put(self, name, _classes(name, getattr(self, name)))

    def _check_preempts(self) -> None:
        for name, why in (
            ("after", "runs on boxes that another task finds on the same frame, so it has to wait for that one"),
            ("optional", "is left out where time is short, and one that preempts is there for that"),
            ("evictable", "may not be loaded when it is due, and one that preempts must not wait for that"),
        ):
            if getattr(self, name):
                raise ArgumentError(f"preempts excludes {name}: such a task {why}; give one of them")

    @property
    def deadline_ns(self) -> int | None:
        """As `deadline_ms`, in whole nanoseconds."""
        return None if self.deadline_ms is None else round(self.deadline_ms * 1e6)

    @property
    def parent(self) -> str | None:
        """Name of the task whose boxes are cropped."""
        return None if self.after is None else self.after.split(".", 1)[0]

    @property
    def needs(self) -> dict[str, str]:
        """Names of other tasks, by the option that says them."""
        said = {"after": self.after, "turn_by": self.turn_by}
        return {option: task.split(".", 1)[0] for option, task in said.items() if task is not None}


def _classes(name: str, value: object) -> tuple[str | int, ...]:
    if isinstance(value, (str, int)) or not isinstance(value, Iterable):
        raise ArgumentError(f"{name} is {value!r}; it must be a set of labels or class numbers")
    chosen = tuple(sorted(set(value), key=str))
    if not chosen or not all(isinstance(each, (str, int)) for each in chosen):
        raise ArgumentError(f"{name} is {value!r}; it must hold labels or class numbers, at least one")
    return chosen


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
