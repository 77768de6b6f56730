"""How tasks and lanes stand between two frames: what the policy remembers. Plain data."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mnnlite.runtime.rules import Rule

__all__ = ["LaneTime", "State"]


@dataclass
class State:
    """How a rule stands."""

    rule: Rule
    priority: int = 0  # with that of the tasks that need it
    optional: bool = False  # or needs one that is
    waited: int = 0  # frames since it was planned
    next_ns: int | None = None  # by rate_hz
    parked: str | None = None  # why it does not run at all
    shed: int = 0  # times left out in a row for want of time
    shed_before: int = 0  # as `shed` was when the task was last planned


@dataclass
class LaneTime:
    """What is on its way in a lane."""

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
