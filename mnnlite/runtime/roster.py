"""The tasks of a runtime: checked, loaded, placed, moved, closed. What `Runtime.add` and its like do."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from mnnlite.errors import ArgumentError, StateError
from mnnlite.proc import process
from mnnlite.runtime.entry import Entry, Settings, check_spec, load, needs_of
from mnnlite.runtime.placement import load_of, place
from mnnlite.runtime.store import on_lane

if TYPE_CHECKING:
    from mnnlite.proc import Process
    from mnnlite.runtime.flights import Flights
    from mnnlite.runtime.lane import Lane
    from mnnlite.runtime.store import Store
    from mnnlite.specs import TaskSpec

__all__ = ["Roster"]

_GAIN = 0.1  # of the longest lane, for which tasks are loaded anew before the first frame


class Roster:
    """Tasks come, go and move. One change at a time: under `changing`.

    Parameters
    ----------
    flights : Flights
    lanes : list of Lane
    threads : int
    store : Store, optional
        Loads under a memory budget.
    """

    def __init__(self, flights: Flights, lanes: list[Lane], threads: int, store: Store | None) -> None:
        self.flights, self.lanes, self.threads, self.store = flights, lanes, threads, store
        self.entries = flights.entries
        self.changing = threading.Lock()
        try:
            self.since: Process | None = process()  # before any task
        except StateError:  # a system that does not tell
            self.since = None
        self.settled = True  # no better placement is to be looked for

    def add(self, name: str, spec: TaskSpec, settings: Settings) -> None:
        """As `Runtime.add`."""
        name, spec = check_spec(name, spec, self.entries)
        lane = self._lane_for(name, spec, settings)
        for each in needs_of(spec, settings):
            if each in self.entries and self.entries[each].settings.evictable:
                raise ArgumentError(f"task {name!r} comes after {each!r}, which is evictable; make that one stay")
        self.flights.enter(self._load(name, spec, settings, lane))
        self.settled = self.settled and self.flights.frames > 0

    def remove(self, name: str) -> None:
        """As `Runtime.remove`."""
        entry = self._unneeded(name)
        if self.flights.leave(entry) and not entry.evicted:
            self._close(entry)

    def replace(self, name: str, spec: TaskSpec) -> None:
        """As `Runtime.replace`."""
        if name in self.entries and self.entries[name].evicted:
            raise ArgumentError(f"task {name!r} is evicted at the moment; remove it and add it anew")
        old = self._unneeded(name)
        _, spec = check_spec(name, spec, ())
        if needs_of(spec, old.settings) != old.needs:
            raise ArgumentError(f"task {name!r} takes tensors of other tasks now; remove it and add it anew")
        entry = self._load(name, spec, old.settings, old.lane)
        if self.flights.leave(old, entry):
            self._close(old)

    def clear(self) -> None:
        """Close all tasks. Nothing is on its way any more."""
        for entry in reversed([each for each in self.entries.values() if not each.evicted]):
            entry.lane.call(entry.close)
        self.entries.clear()

    def loaded(self, name: str) -> Entry:
        """The task of that name, if it is loaded."""
        if self._known(name).evicted:
            raise ArgumentError(f"task {name!r} is evicted at the moment")
        return self.entries[name]

    def _known(self, name: str) -> Entry:
        if name not in self.entries:
            known = ", ".join(map(repr, self.entries)) or "none"
            raise ArgumentError(f"there is no task {name!r}; there are {known}")
        return self.entries[name]

    def _unneeded(self, name: str) -> Entry:
        """The task of that name, that no other takes anything from."""
        entry = self._known(name)
        users = [other.name for other in self.entries.values() if name in other.needs]
        if users:
            raise ArgumentError(f"task {name!r} is needed by {', '.join(map(repr, users))}; remove those first")
        return entry

    def _lane_for(self, name: str, spec: TaskSpec, settings: Settings) -> Lane:
        needed = [self.entries[each] for each in needs_of(spec, settings) if each in self.entries]
        if len({entry.lane.index for entry in needed}) > 1:
            both = ", ".join(repr(entry.name) for entry in needed)
            raise ArgumentError(
                f"task {name!r} takes something from {both}, which are in different lanes; use one lane, or add what "
                "connects them first"
            )
        if needed:
            return needed[0].lane
        load = load_of(*self.costs(), len(self.lanes))
        return self.lanes[min(range(len(self.lanes)), key=lambda lane: (load[lane], lane))]

    def costs(self) -> tuple[list[float], list[int]]:
        """Of each task the nanoseconds a frame it takes on average, and its lane."""
        costs = [self._cost(entry) for entry in self.entries.values()]
        return costs, [entry.lane.index for entry in self.entries.values()]

    def _cost(self, entry: Entry) -> float:
        cost = float(self.flights.scheduler.costs.mean(entry.name) or entry.cost_ns or 1e6)
        period = self.flights.scheduler.period_ns
        if entry.settings.rate_hz and period:
            return cost * min(1.0, entry.settings.rate_hz * period / 1e9)
        return cost / entry.settings.every

    def _load(self, name: str, spec: TaskSpec, settings: Settings, lane: Lane, measure: bool = True) -> Entry:
        measure = measure and len(self.lanes) > 1  # with one lane nothing is to be placed
        if self.store is not None:
            return self.store.load(name, spec, settings, lane, measure)
        return on_lane(
            self.flights, lane, lambda: load(name, spec, settings, lane, self.threads, self.entries, measure)
        )

    def _close(self, entry: Entry) -> None:
        on_lane(self.flights, entry.lane, entry.close)

    def settle(self) -> None:
        """Before the first frame: with the cost of all tasks known, another placement may be better."""
        with self.changing, self.flights.lock:  # no frame is admitted meanwhile
            if self.settled:
                return
            if self.flights.frames == 0 and len(self.lanes) > 1:
                self._place_anew()
            self.settled = True

    def _place_anew(self) -> None:
        groups = self._groups()
        costs = [sum(self._cost(entry) for entry in group) for group in groups]
        now = [group[0].lane.index for group in groups]
        count = len(self.lanes)
        wanted = place(costs, count)
        if max(load_of(costs, wanted, count)) > (1 - _GAIN) * max(load_of(costs, now, count)):
            return
        for group, lane in zip(groups, wanted, strict=True):
            if group[0].lane.index != lane:
                self._move(group, self.lanes[lane])

    def _groups(self) -> list[list[Entry]]:
        """Tasks that must be in one lane, together."""
        group_of: dict[str, list[Entry]] = {}
        groups: list[list[Entry]] = []
        for entry in self.entries.values():
            joined = [group_of[name] for name in entry.needs]
            group = joined[0] if joined else []
            for other in joined[1:]:
                if other is not group:
                    group.extend(other)
                    groups.remove(other)
                    group_of.update((each.name, group) for each in other)
            if not joined:
                groups.append(group)
            group.append(entry)
            group_of[entry.name] = group
        return groups

    def _move(self, group: list[Entry], lane: Lane) -> None:
        """Load tasks anew in another lane, one after the other: nothing runs yet."""
        order = {name: i for i, name in enumerate(self.entries)}
        for entry in reversed(group):
            self._close(entry)
        for entry in sorted(group, key=lambda each: order[each.name]):
            new = self._load(entry.name, entry.spec, entry.settings, lane, measure=False)
            new.cost_ns = entry.cost_ns
            self.entries[entry.name] = new
            self.flights.scheduler.move(entry.name, lane.index)
