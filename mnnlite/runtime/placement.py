"""Which task goes to which lane: longest first, then refined. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["load_of", "place"]


def load_of(costs: Sequence[float], lanes: Sequence[int], count: int) -> list[float]:
    """Sum of costs in each of `count` lanes."""
    load = [0.0] * count
    for cost, lane in zip(costs, lanes, strict=True):
        load[lane] += cost
    return load


def place(costs: Sequence[float], count: int) -> list[int]:
    """Give each cost a lane so that the longest lane is short.

    Parameters
    ----------
    costs : sequence of float
        Time a frame, any unit.
    count : int
        Lanes.

    Returns
    -------
    list of int
        Longest processing time first (Graham, SIAM J. Appl. Math. 17(2), 1969: at most 4/3 of the best), then single
        moves and swaps as long as one shortens the longest lane or, that being equal, evens out the rest.
    """
    lanes = [0] * len(costs)
    load = [0.0] * count
    for item in sorted(range(len(costs)), key=lambda i: (-costs[i], i)):
        lanes[item] = min(range(count), key=lambda lane: (load[lane], lane))
        load[lanes[item]] += costs[item]

    def worth(load: Sequence[float]) -> list[float]:
        return sorted(load, reverse=True)

    best = worth(load)
    improved = True
    while improved:
        improved = False
        trials = [{item: lane} for item in range(len(costs)) for lane in range(count)]
        trials += [{a: lanes[b], b: lanes[a]} for a in range(len(costs)) for b in range(a)]
        for change in trials:
            trial = [change.get(item, lane) for item, lane in enumerate(lanes)]
            found = worth(load_of(costs, trial, count))
            if any(new < old * (1 - 1e-9) for new, old in zip(found, best, strict=True)) and found < best:
                lanes, best, improved = trial, found, True
                break
    return lanes
