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
    evictable : bool
        With a memory budget: may be unloaded to make room for others, the least recently used first. It is loaded again, in
        its lane between two frames, when it is due and there is room. Nothing may come after it.

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

    @property
    def deadline_ns(self) -> int | None:
        """As `deadline_ms`, in whole nanoseconds."""
        return None if self.deadline_ms is None else round(self.deadline_ms * 1e6)

    @property
    def parent(self) -> str | None:
        """Name of the task whose boxes are cropped."""
        return None if self.after is None else self.after.split(".", 1)[0]


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
