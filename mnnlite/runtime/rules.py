"""What the user said of a task, and what one frame gets: plain data."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

__all__ = ["Plan", "Rule", "Slot"]


@dataclass(frozen=True)
class Rule:
    """What the user said of a task.

    Parameters
    ----------
    name : str
    every : int
        Run on each n-th frame.
    rate_hz : float, optional
        Run at most this often instead.
    priority : int
        Larger is more important.
    deadline_ns : int, optional
        Nanoseconds from the frame's timestamp to the end of the task.
    optional : bool
        May be left out of a frame when there is no time.
    needs : tuple of str
        Tasks whose results this one works on; it runs after them, in the same lane, and not without them.
    lane : int
    """

    name: str
    every: int = 1
    rate_hz: float | None = None
    priority: int = 0
    deadline_ns: int | None = None
    optional: bool = False
    needs: tuple[str, ...] = ()
    lane: int = 0


class Slot(NamedTuple):
    """One task of a planned frame.

    Parameters
    ----------
    name : str
    not_after_ns : int, optional
        An optional task that could not be started by then is better left out.
    """

    name: str
    not_after_ns: int | None = None


@dataclass
class Plan:
    """What one frame gets.

    Parameters
    ----------
    lanes : list of list of Slot
        For each lane what to run, in order.
    skipped : dict of str to str
        Why the other tasks do not run.
    """

    lanes: list[list[Slot]]
    skipped: dict[str, str] = field(default_factory=dict)
