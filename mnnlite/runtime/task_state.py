"""What the scheduler remembers of tasks and lanes from one frame to the next. Plain data."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mnnlite.runtime.schedule import Schedule

__all__ = ["LaneBacklog", "TaskState"]


@dataclass
class TaskState:
    """One task, as the scheduler sees it.

    Parameters
    ----------
    name : str
    schedule : Schedule
        What the user said.
    needs : tuple of str
        Tasks whose results this one works on; it runs after them, in the same lane, and not without them.
    lane : int
    """

    name: str
    schedule: Schedule
    needs: tuple[str, ...] = ()
    lane: int = 0
    priority: int = 0  # with that of the tasks that need it
    optional: bool = False  # or needs one that is
    deadline_ns: int | None = None  # from the frame's timestamp to the end of the task
    waited: int = 0  # frames since it was planned
    next_ns: int | None = None  # by rate_hz
    quarantined: str | None = None  # why it does not run at all
    shed: int = 0  # times left out in a row for want of time
    shed_before: int = 0  # as `shed` was when the task was last planned

    def __post_init__(self) -> None:
        self.deadline_ns = self.schedule.deadline_ns


@dataclass
class LaneBacklog:
    """Frames that a lane was given and has not ended."""

    since_ns: int = 0  # when the first frame of `expected` began, as far as known
    expected: list[tuple[int, int]] = field(default_factory=list)  # expected and worst nanoseconds of each frame

    def free_ns(self, now_ns: int) -> int:
        """When a frame admitted now would begin."""
        if not self.expected:
            return now_ns
        first, worst = self.expected[0]
        spent = now_ns - self.since_ns
        # A run that takes longer than expected is taken to be as long as the longest.
        rest = first - spent if spent <= first else max(0, worst - spent)
        return now_ns + rest + sum(frame for frame, _ in self.expected[1:])
