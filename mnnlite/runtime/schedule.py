"""When a task runs and on what: what the user says of it beside its spec."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from mnnlite.errors import ArgumentError

__all__ = ["Schedule"]


@dataclass(frozen=True)
class Schedule:
    """When a task of a `Runtime` runs and on what. Checked when it is made.

    Parameters
    ----------
    every : int
        Run on each n-th frame.
    rate_hz : float, optional
        Run at most this often, instead.
    priority : int
        Larger is more important: it runs earlier, and is left out later.
    deadline_ms : float, optional
        From the frame's timestamp to the end of the task; a result that comes after is marked late.
    optional : bool
        May be left out of a frame when, by predicted cost, there is no time for it.
    after : str, optional
        Run on crops of this task's boxes instead of on the frame: ``"task"``, or ``"task.decoder"`` if it has several. A row
        with four corners gives the turned part between them. ``item`` of the results is the row.
    only : set of str or int, optional
        Labels or class numbers of the boxes to take. All if not given.
    max_crops : int, optional
        The most crops of a frame, best scores first: 32 if not said. More than the spec's ``batch`` run as several batches.
    padding : float
        Part of the box's width and height added on each side.
    turn_by : str, optional
        Another task, or ``"task.decoder"``, that runs on the same boxes (the same `after`) before this one: its class says
        which crops are upside down. They are turned by half; results stay in pixels of the frame.
    turn_if : set of str or int, optional
        Labels or class numbers of that task for which a crop is turned. The best row of the crop counts.
    evictable : bool
        With a memory budget: may be unloaded to make room for others, the least recently used first. It is loaded again, in
        its lane between two frames, when it is due and there is room. Nothing may come after it.
    preempts : bool or "auto"
        Does not wait for the lane's other tasks: it begins before the next operator of the network at work, and its results come
        in a `FrameResult` of their own, see `Runtime`. It has a session, and with those like it an arena, of its own. It neither
        takes from other tasks nor gives to them, and always runs when it is due. With
        ``"auto"`` it does so as long as less important tasks of its lane take so long that it could miss its deadline, by measured
        cost, whenever tasks come, go or move; one with a ``state``, or that others take from, does not.

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
