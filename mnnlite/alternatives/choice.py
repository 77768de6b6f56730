"""One alternative for each task, for all tasks together: the multiple-choice knapsack problem, solved exactly. Pure.

Memory is what a runtime needs at its worst moment (`mnnlite.runtime.budget`): tasks are loaded one after the other; while one is
loaded its lane holds no feature maps. That is no sum, because tasks of an arena share the largest buffer. But it never falls
when a part of it grows, so of two choices for the first tasks with no part of the one larger the other can be forgotten
(dynamic programming with dominance; Kellerer, Pferschy, Pisinger, Knapsack Problems, 2004, chapter 11). Choices that cannot
become better than one that is known, by the relaxation for some prices of memory, are forgotten too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from numpy.typing import NDArray

__all__ = ["Group", "Item", "choose", "lane_times", "peak_of"]

_PRICES = 16  # of memory, for which the relaxation is asked
_BEAM = 64  # choices that are followed for a first answer


@dataclass(frozen=True)
class Item:
    """An alternative of a task. Whole numbers: of a unit of time, and bytes.

    Parameters
    ----------
    time : int
        It takes of its lane, a frame.
    held : int
        It holds while all run, beside what is shared.
    resting : int
        It holds while another one of its lane is loaded.
    loading : int
        The most while it is loaded itself.
    dynamic : int
        Of the buffer that the tasks of an arena share.
    shared : int
        Of the buffer for pictures that the tasks of a lane share.
    """

    time: int
    held: int
    resting: int
    loading: int
    dynamic: int
    shared: int = 0


@dataclass(frozen=True)
class Group:
    """A task and its alternatives.

    Parameters
    ----------
    items : sequence of Item
    lane : int
    arena, pool : hashable
        Tasks for which it is equal share one buffer for feature maps, or one for pictures.
    """

    items: Sequence[Item]
    lane: int = 0
    arena: Hashable = 0
    pool: Hashable = 0


def lane_times(groups: Sequence[Group], chosen: Sequence[int]) -> list[int]:
    """Of each lane what its tasks take together."""
    times: dict[int, int] = {}
    for group, index in zip(groups, chosen, strict=True):
        times[group.lane] = times.get(group.lane, 0) + group.items[index].time
    return [times[lane] for lane in sorted(times)]


def peak_of(groups: Sequence[Group], chosen: Sequence[int], a_lane: int = 0) -> int:
    """The most that is held while tasks are loaded one after the other, or all run: what `choose` reckons with."""
    peak = 0
    before: list[tuple[Group, Item]] = []
    for group, index in zip(groups, chosen, strict=True):
        item = group.items[index]
        others = [each for each in before if each[0].lane != group.lane]
        resting = sum(each.resting for other, each in before if other.lane == group.lane)
        before.append((group, item))
        peak = max(peak, _held(others, a_lane) + resting + a_lane + item.loading, _held(before, a_lane))
    return peak


def _held(tasks: list[tuple[Group, Item]], a_lane: int) -> int:
    arenas: dict[Hashable, int] = {}
    pools: dict[Hashable, int] = {}
    for group, item in tasks:
        arenas[group.arena] = max(arenas.get(group.arena, 0), item.dynamic)
        pools[group.pool] = max(pools.get(group.pool, 0), item.shared)
    lanes = {group.lane for group, _ in tasks}
    return sum(item.held for _, item in tasks) + sum(arenas.values()) + sum(pools.values()) + len(lanes) * a_lane


def choose(
    groups: Sequence[Group],
    *,
    memory: int | None = None,
    time: int | None = None,
    a_lane: int = 0,
    slack: float = 0.0,
) -> list[int] | None:
    """Choose an alternative for each task.

    Parameters
    ----------
    groups : sequence of Group
        In the order of loading. An arena or a pool belongs to one lane.
    memory : int, optional
        The most bytes. The lane that takes longest is as short as it can be within them.
    time : int, optional
        The most that a lane may take. Then memory is as small as it can be, and not bounded.
    a_lane : int
        Bytes that each lane holds.
    slack : float
        With `time`: so much more memory at the worst moment, as a fraction, counts as equal. Of such choices the one that holds
        least while all run is taken, of these the smallest.

    Returns
    -------
    list of int or None
        Indices; None: it cannot be done. Of the shortest choices the smallest, of the smallest ones the shortest, of those the
        first.
    """
    if not groups:
        return []
    search = _Search(groups, a_lane)
    by_memory = time is not None
    most_time, most_memory = search.bounds()
    most_time, most_memory = min(most_time, time or most_time), min(most_memory, memory or most_memory)
    if time is not None and time <= 0:
        return None
    first = search.run(most_time, most_memory, by_memory, _BEAM)
    if first is not None:
        if by_memory:
            most_memory = peak_of(groups, first, a_lane)
        else:
            most_time = max(lane_times(groups, first))
    found = search.run(most_time, most_memory, by_memory, None)
    if found is None or not by_memory or slack <= 0:
        return found
    within = int(peak_of(groups, found, a_lane) * (1 + slack))
    return search.run(most_time, within, by_memory, None, by_held=True)


class _Search:
    """States are rows: time, held and resting of each lane, the largest dynamic of each arena, the largest shared of each pool, and
    the peak so far.
    """

    def __init__(self, groups: Sequence[Group], a_lane: int) -> None:
        self._groups, self._a_lane = groups, a_lane
        lanes = sorted({group.lane for group in groups})
        arenas = list(dict.fromkeys(group.arena for group in groups))
        pools = list(dict.fromkeys(group.pool for group in groups))
        self._lane = {lane: number for number, lane in enumerate(lanes)}
        self._lanes = len(lanes)
        self._arena = {arena: 3 * len(lanes) + number for number, arena in enumerate(arenas)}
        self._pool = {pool: 3 * len(lanes) + len(arenas) + number for number, pool in enumerate(pools)}
        self._width = 3 * len(lanes) + len(arenas) + len(pools) + 1
        # Which buffers are each lane's.
        self._buffers = [
            sorted(
                {self._arena[group.arena] for group in groups if self._lane[group.lane] == lane}
                | {self._pool[group.pool] for group in groups if self._lane[group.lane] == lane}
            )
            for lane in range(len(lanes))
        ]
        self._prices = self._some_prices()
        self._rest = self._relaxed()

    def bounds(self) -> tuple[int, int]:
        """What no choice exceeds."""
        time = sum(max(item.time for item in group.items) for group in self._groups)
        total = sum(
            max(
                item.held + item.resting + item.loading + item.dynamic + item.shared + self._a_lane
                for item in group.items
            )
            for group in self._groups
        )
        return time, total + self._a_lane * (self._lanes + 1)

    def _some_prices(self) -> list[float]:
        """Prices of a byte at which two alternatives cost the same: the relaxation's solutions change nowhere else."""
        slopes = sorted(
            {
                (b.time - a.time) / (a.held - b.held)
                for group in self._groups
                for a in group.items
                for b in group.items
                if a.held > b.held and b.time > a.time
            }
        )
        picked = [slopes[round(i * (len(slopes) - 1) / (_PRICES - 1))] for i in range(_PRICES)] if slopes else []
        return [0.0, *dict.fromkeys(picked)]

    def _relaxed(self) -> list[dict[str, NDArray[np.float64]]]:
        """Before each task, and at the end: the least that those from there on add to a lane's time, to what is held, and to the sum
        of both at each price.
        """
        time, held = np.zeros(self._lanes), 0.0
        mixed = np.zeros(len(self._prices))
        found = [{"time": time.copy(), "held": np.array([held]), "mixed": mixed.copy()}]
        for group in reversed(self._groups):
            time[self._lane[group.lane]] += min(item.time for item in group.items)
            held += min(item.held for item in group.items)
            mixed += [min(item.time + price * item.held for item in group.items) for price in self._prices]
            found.append({"time": time.copy(), "held": np.array([held]), "mixed": mixed.copy()})
        return found[::-1]

    def run(
        self, most_time: int, most_memory: int, by_memory: bool, beam: int | None, by_held: bool = False
    ) -> list[int] | None:
        """Search; with `beam` only the most promising choices are followed."""
        states = np.zeros((1, self._width), np.int64)
        history: list[tuple[NDArray[np.int64], NDArray[np.int64]]] = []
        seen: set[int] = set()  # lanes with tasks
        for number, group in enumerate(self._groups):
            seen.add(self._lane[group.lane])
            grown = [self._extended(states, group, item, seen) for item in group.items]
            parents = np.tile(np.arange(len(states)), len(grown))
            items = np.repeat(np.arange(len(grown)), len(states))
            states = np.concatenate(grown)
            bound = self._held(states, seen)  # at the end at least, without what later tasks hold of their own
            fits = self._fit(states, bound, number + 1, most_time, most_memory)
            states, parents, items = states[fits], parents[fits], items[fits]
            if not len(states):
                return None
            kept = self._undominated(states)
            if beam is not None and len(kept) > beam:
                kept = self._promising(states, kept, bound[fits], number + 1, by_memory, beam)
            states, parents, items = states[kept], parents[kept], items[kept]
            history.append((parents, items))
        time, peak = states[:, : self._lanes].max(axis=1), states[:, -1]
        total = states[:, : self._lanes].sum(axis=1)
        keys = (total, time, peak) if by_memory else (total, peak, time)
        if by_held:
            keys = (*keys, self._held(states, seen))
        at = int(np.lexsort(keys)[0])
        chosen = []
        for parents, items in reversed(history):
            chosen.append(int(items[at]))
            at = int(parents[at])
        return chosen[::-1]

    def _extended(self, states: NDArray[np.int64], group: Group, item: Item, seen: set[int]) -> NDArray[np.int64]:
        lane, count = self._lane[group.lane], self._lanes
        made = states.copy()
        # While it is loaded: the other lanes as they run, those of its lane as they rest.
        moment = made[:, 2 * count + lane] + item.loading + self._a_lane
        for other in range(count):
            if other != lane:
                moment += made[:, count + other] + made[:, self._buffers[other]].sum(axis=1)
                moment += self._a_lane * (other in seen)
        made[:, lane] += item.time
        made[:, count + lane] += item.held
        made[:, 2 * count + lane] += item.resting
        for column, value in ((self._arena[group.arena], item.dynamic), (self._pool[group.pool], item.shared)):
            made[:, column] = np.maximum(made[:, column], value)
        made[:, -1] = np.maximum.reduce([made[:, -1], moment, self._held(made, seen)])
        return made

    def _held(self, states: NDArray[np.int64], seen: set[int]) -> NDArray[np.int64]:
        count = self._lanes
        held = states[:, count : 2 * count].sum(axis=1) + states[:, 3 * count : -1].sum(axis=1)
        return np.asarray(held + self._a_lane * len(seen))

    def _fit(
        self, states: NDArray[np.int64], bound: NDArray[np.int64], number: int, most_time: int, most_memory: int
    ) -> NDArray[np.bool_]:
        rest = self._rest[number]
        count = self._lanes
        fits = (states[:, -1] <= most_memory) & (bound + rest["held"][0] <= most_memory)
        fits &= (states[:, :count] + rest["time"] <= most_time).all(axis=1)
        total = states[:, :count].sum(axis=1)
        for price, mixed in zip(self._prices, rest["mixed"], strict=True):
            limit = count * most_time + price * most_memory
            fits &= total + price * bound + mixed <= limit * (1 + 1e-12) + 1e-6
        return np.asarray(fits)

    def _promising(
        self,
        states: NDArray[np.int64],
        kept: NDArray[np.int64],
        bound: NDArray[np.int64],
        number: int,
        by_memory: bool,
        beam: int,
    ) -> NDArray[np.int64]:
        """The best at each price, in turns."""
        total = states[kept, : self._lanes].sum(axis=1)
        ranks = [np.argsort(total + price * bound[kept], kind="stable") for price in self._prices]
        ranks.append(np.argsort(bound[kept], kind="stable"))
        ranks.append(np.argsort(total, kind="stable"))
        each = max(1, beam // len(ranks))
        return np.asarray(kept[np.unique(np.concatenate([rank[:each] for rank in ranks]))])

    @staticmethod
    def _undominated(states: NDArray[np.int64]) -> NDArray[np.int64]:
        """Indices of states than which no other one is as small in all parts; of equal ones the first."""
        order = np.lexsort((np.arange(len(states)), *states.T[::-1]))
        rows = states[order]
        fresh = np.ones(len(rows), bool)
        fresh[1:] = (rows[1:] != rows[:-1]).any(axis=1)
        order, rows = order[fresh], rows[fresh]
        # Constant columns say nothing.
        rows = rows[:, (rows != rows[:1]).any(axis=0)]
        if rows.shape[1] == 0:
            return order[:1]
        kept = np.zeros(len(rows), bool)
        front = np.empty((0, rows.shape[1]), rows.dtype)
        for begin in range(0, len(rows), 256):  # sorted: nothing is dominated by a later one
            block = rows[begin : begin + 256]
            alive = np.ones(len(block), bool)
            for at in range(0, len(front), 1024):
                alive[alive] = ~(front[at : at + 1024, None, :] <= block[None, alive, :]).all(axis=2).any(axis=0)
            inner = np.asarray((block[:, None, :] <= block[None, :, :]).all(axis=2))
            np.fill_diagonal(inner, False)
            alive &= ~(inner & alive[:, None]).any(axis=0)
            kept[begin : begin + 256] = alive
            front = np.concatenate([front, block[alive]])
        return np.sort(order[kept])
