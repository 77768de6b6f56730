"""Whether moving tasks to other lanes pays, while frames are worked on. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mnnlite.records import Record
from mnnlite.runtime.placement import assign_lanes, load_of

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Replan", "Replanner"]

GAIN = 0.2  # of the longest lane: moving means loading anew, which stops two lanes
FRAMES = 100


@dataclass(frozen=True, eq=False, repr=False)
class Replan(Record):
    """A decision to move.

    Parameters
    ----------
    lanes : list of int
        Where each group goes.
    moved : int
        How many groups that moves.
    longest_ns, expected_ns : int
        Of the longest lane, before and after, a frame.
    """

    lanes: list[int]
    moved: int
    longest_ns: int
    expected_ns: int


class Replanner:
    """Looks at measured costs and says when another placement has been better by a fifth for a hundred frames.

    Parameters
    ----------
    speeds : sequence of float
        Of the lanes.
    """

    def __init__(self, speeds: Sequence[float]) -> None:
        self._speeds = speeds
        self._better = 0

    def look(
        self,
        frames: int,
        costs: Sequence[float],
        memory: Sequence[float],
        now: Sequence[int],
        movable: Sequence[bool],
    ) -> Replan | None:
        """Compare where groups of tasks are with where they would be best.

        Parameters
        ----------
        frames : int
            Since the last look.
        costs : sequence of float
            Nanoseconds a frame of each group, in a lane of speed 1.
        memory : sequence of float
            Its feature maps.
        now : sequence of int
            Its lane.
        movable : sequence of bool
            Whether it may be moved.

        Returns
        -------
        Replan or None
            None: stay.
        """
        longest = max(load_of(costs, now, self._speeds))
        possible = sum(costs) / sum(self._speeds)
        if possible <= (1 - GAIN) * longest:  # else no placement is so much better, and none need be looked for
            wanted = assign_lanes(costs, self._speeds, memory, now, movable)
            expected = max(load_of(costs, wanted, self._speeds))
            if expected <= (1 - GAIN) * longest:
                self._better += frames
                if self._better < FRAMES:
                    return None
                self._better = 0
                moved = sum(a != b for a, b in zip(now, wanted, strict=True))
                return Replan(wanted, moved, round(longest), round(expected))
        self._better = 0
        return None
