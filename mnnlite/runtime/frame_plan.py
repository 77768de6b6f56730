"""What one frame gets: plain data."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

__all__ = ["FramePlan", "PlannedTask"]


class PlannedTask(NamedTuple):
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
class FramePlan:
    """What one frame gets.

    Parameters
    ----------
    lanes : list of list of PlannedTask
        For each lane what to run, in order.
    skipped : dict of str to str
        Why the other tasks do not run.
    not_due : set of str
        Those of them that were not to run on this frame, and those that come after them: nothing is missing.
    """

    lanes: list[list[PlannedTask]]
    skipped: dict[str, str] = field(default_factory=dict)
    not_due: set[str] = field(default_factory=set)
