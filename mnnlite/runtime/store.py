"""Loading under a memory budget: room is made first, by evicting what may go, or the load is refused."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, TypeVar

from mnnlite._engine import engine_bytes
from mnnlite.proc import trim
from mnnlite.runtime.budget import Budget, Share, held
from mnnlite.runtime.entry import Entry, Settings, load

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from mnnlite.runtime.flights import Flights
    from mnnlite.runtime.lane import Lane
    from mnnlite.specs import TaskSpec

__all__ = ["Store", "on_lane"]

T = TypeVar("T")


def on_lane(flights: Flights, lane: Lane, function: Callable[[], T]) -> T:
    """Call on the lane's thread, and count how long the lane stood still for it."""

    def timed() -> T:
        begin = time.monotonic_ns()
        try:
            return function()
        finally:
            end = time.monotonic_ns()
            flights.lane_stats[lane.index].stopped(end - begin)
            if flights.trace is not None:
                flights.trace.stopped(lane.index, begin, end)

    return lane.call(timed)


class Store:
    """The tasks of a runtime under its budget. What changes is under the flights' lock.

    Parameters
    ----------
    budget : Budget
    flights : Flights
    lanes : list of Lane
    threads : int
    """

    def __init__(self, budget: Budget, flights: Flights, lanes: list[Lane], threads: int) -> None:
        self._budget = budget
        self._flights, self._lanes, self._threads = flights, lanes, threads
        self._loading: list[Share] = []  # found room, and not yet among the tasks
        flights.reload = self._reload

    def load(self, name: str, spec: TaskSpec, settings: Settings, lane: Lane, others: Mapping[str, Entry]) -> Entry:
        """Find the cost, make room, load.

        Raises
        ------
        MemoryBudgetError
            There is no room, even with all evictable tasks gone that are not at work.
        """
        share = self._budget.share_of(name, spec, lane.index)
        trim()  # what finding it left free would count as grown
        with self._flights.lock:
            fits = self._make_room(share)
            shares = self._shares()
            if fits:
                self._loading.append(share)
        if not fits:
            self._budget.refuse(shares, share)
        try:
            return self._load(name, spec, settings, lane, share, others)
        finally:
            with self._flights.lock:
                self._loading.remove(share)

    def _load(
        self, name: str, spec: TaskSpec, settings: Settings, lane: Lane, share: Share, others: Mapping[str, Entry]
    ) -> Entry:
        def work() -> Entry:
            for arena in lane.arenas.values():  # the feature maps of the lane are not needed while it loads
                arena.shrink()
            return load(name, spec, settings, lane, self._threads, others)

        entry = on_lane(self._flights, lane, work)
        entry.share = share
        entry.used = self._flights.frames
        return entry

    def _shares(self) -> list[Share]:
        entries = self._flights.entries.values()
        return [each.share for each in entries if each.share is not None and not each.evicted] + self._loading

    def _make_room(self, share: Share, keep: Collection[str] = ()) -> bool:
        """Evict as few as are needed, the least recently used first; none if that is not enough."""
        candidates = [
            each
            for each in self._flights.entries.values()
            if each.settings.evictable
            and not each.evicted
            and each.flying == 0
            and each.name not in {share.name, *keep}
        ]
        candidates.sort(key=lambda each: each.used)
        shares = self._shares()
        going: list[Entry] = []
        while self._needed(shares, share, going) > self._budget.limit:
            if len(going) == len(candidates):
                return False
            going.append(candidates[len(going)])
        for entry in going:
            self._evict(entry)
        return True

    def _needed(self, shares: list[Share], share: Share, going: list[Entry]) -> int:
        gone = {id(entry.share) for entry in going}
        stay = [each for each in shares if id(each) not in gone]
        return self._budget.needed(stay, share, [each for each in shares if id(each) in gone])

    def _evict(self, entry: Entry) -> None:
        entry.evicted = True
        self._flights.evicted.add(entry.name)
        self._flights.scheduler.costs.set_extra(entry.name, sum(entry.stats.loading.values()))
        on_lane(self._flights, entry.lane, entry.close)

    def _reload(self, entry: Entry, keep: set[str]) -> bool:
        """Load an evicted task again if there is room; under the flights' lock, from within an admission."""
        share = entry.share
        if share is None or not self._make_room(share, keep):
            return False
        fresh = self._load(entry.name, entry.spec, entry.settings, entry.lane, share, self._flights.entries)
        fresh.take_over(entry)
        fresh.stats.reloads += 1
        self._flights.entries[entry.name] = fresh
        self._flights.evicted.discard(entry.name)
        self._flights.scheduler.costs.set_extra(entry.name, 0)
        return True

    def summary(self) -> dict[str, Any]:
        """As `Runtime.memory` says."""
        with self._flights.lock:
            return {
                "limit": self._budget.limit,
                "engine": engine_bytes(),
                "grown": self._budget.grown(),
                "expected": held(self._shares()),
                "evicted": sorted(self._flights.evicted),
            }
