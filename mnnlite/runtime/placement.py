"""Which task goes to which lane: longest first, then refined; by time first, then by memory. Pure."""

from __future__ import annotations

from itertools import permutations
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

__all__ = ["load_of", "memory_of", "pays", "assign_lanes"]

_GAIN = 0.1  # of the longest lane, for which tasks are loaded anew before the first frame
_MEMORY_GAIN = 0.2  # of the feature maps, likewise
_SLACK = 0.02  # of the longest lane, that less memory or fewer moves may cost: less than costs are known to
_MOST_NAMED = 4  # lanes whose names are tried in every order


def load_of(costs: Sequence[float], lanes: Sequence[int], speeds: Sequence[float]) -> list[float]:
    """Time of each lane: its costs over its speed."""
    load = [0.0] * len(speeds)
    for cost, lane in zip(costs, lanes, strict=True):
        load[lane] += cost / speeds[lane]
    return load


def memory_of(memory: Sequence[float], lanes: Sequence[int], count: int) -> float:
    """Memory of all lanes: tasks of a lane share one buffer, as large as the largest of them needs."""
    largest = [0.0] * count
    for size, lane in zip(memory, lanes, strict=True):
        largest[lane] = max(largest[lane], size)
    return sum(largest)


def assign_lanes(
    costs: Sequence[float],
    speeds: Sequence[float],
    memory: Sequence[float] | None = None,
    now: Sequence[int] | None = None,
    movable: Sequence[bool] | None = None,
) -> list[int]:
    """Give each task a lane so that the longest lane is short.

    Parameters
    ----------
    costs : sequence of float
        Time a frame in a lane of speed 1, any unit.
    speeds : sequence of float
        Of each lane: 0.5 takes twice as long.
    memory : sequence of float, optional
        Of the buffer that tasks of a lane share. Among placements that take as long, within 2 %, the one that needs least
        is taken.
    now : sequence of int, optional
        Where tasks are. Among placements that are as good, the one that moves fewest is taken.
    movable : sequence of bool, optional
        Tasks that may be moved from where they are; all if not given.

    Returns
    -------
    list of int
        Longest processing time first (Graham, SIAM J. Appl. Math. 17(2), 1969: at most 4/3 of the best), then single
        moves and swaps as long as one makes it better.
    """
    if not costs:
        return []
    count = len(speeds)
    free = [i for i in range(len(costs)) if now is None or movable is None or movable[i]]
    lanes = [0] * len(costs) if now is None else list(now)
    load = load_of([0.0 if i in free else cost for i, cost in enumerate(costs)], lanes, speeds)
    for item in sorted(free, key=lambda i: (-costs[i], i)):
        lanes[item] = min(range(count), key=lambda lane: (load[lane] + costs[item] / speeds[lane], lane))
        load[lanes[item]] += costs[item] / speeds[lanes[item]]

    def by_time(lanes: Sequence[int]) -> list[float]:
        return sorted(load_of(costs, lanes, speeds), reverse=True)

    best = _descend(lanes, count, free, by_time)
    if memory is None and now is None:
        return best
    sizes = memory if memory is not None else [0.0] * len(costs)
    limit = by_time(best)[0] * (1 + _SLACK)

    def by_all(lanes: Sequence[int]) -> tuple[Any, ...]:
        times = by_time(lanes)
        moved = 0 if now is None else sum(a != b for a, b in zip(now, lanes, strict=True))
        return max(times[0], limit), memory_of(sizes, lanes, count), moved, times

    starts = (
        [best]
        if now is None
        else [
            _descend(now, count, free, by_time),
            min(_renamed(best, count, len(free) == len(costs) and len(set(speeds)) == 1), key=by_all),
        ]
    )
    return min((_descend(start, count, free, by_all) for start in starts), key=by_all)


def pays(
    costs: Sequence[float], speeds: Sequence[float], memory: Sequence[float], now: Sequence[int], wanted: Sequence[int]
) -> bool:
    """Whether another placement is worth loading what it moves: the longest lane a tenth shorter, or memory a fifth less."""
    shorter = max(load_of(costs, wanted, speeds)) < (1 - _GAIN) * max(load_of(costs, now, speeds))
    count = len(speeds)
    return shorter or memory_of(memory, wanted, count) < (1 - _MEMORY_GAIN) * memory_of(memory, now, count)


def _renamed(lanes: Sequence[int], count: int, may: bool) -> Iterator[list[int]]:
    """The same placement with its lanes in other orders: which lane a group is in is all the same."""
    if count > _MOST_NAMED or not may:
        yield list(lanes)
        return
    for names in permutations(range(count)):
        yield [names[lane] for lane in lanes]


def _descend(lanes: Sequence[int], count: int, free: Sequence[int], worth: Callable[[Sequence[int]], Any]) -> list[int]:
    """Single moves and swaps, as long as one lowers `worth`."""
    found = list(lanes)
    best = worth(found)
    improved = True
    while improved:
        improved = False
        for trial in _neighbours(found, count, free):
            value = worth(trial)
            if value < best:
                found, best, improved = trial, value, True
                break
    return found


def _neighbours(lanes: list[int], count: int, free: Sequence[int]) -> Iterator[list[int]]:
    for item in free:
        for other in range(count):
            if other != lanes[item]:
                yield [*lanes[:item], other, *lanes[item + 1 :]]
    for a in free:
        for b in free:
            if b < a and lanes[a] != lanes[b]:
                trial = list(lanes)
                trial[a], trial[b] = lanes[b], lanes[a]
                yield trial
