"""The tasks of a runtime: checked, loaded, swapped, closed. What `Runtime.add` and its like do."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from mnnlite.errors import ArgumentError, StateError
from mnnlite.proc import process
from mnnlite.runtime.entry import Entry, Settings, check_spec, load, needs_of
from mnnlite.runtime.placer import Placer
from mnnlite.runtime.store import on_lane

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mnnlite.proc import Process
    from mnnlite.runtime.flights import Flights
    from mnnlite.runtime.lane import Lane
    from mnnlite.runtime.store import Store
    from mnnlite.specs import TaskSpec

__all__ = ["Roster"]


class Roster:
    """Tasks come, go and move. One change at a time: under `changing`.

    Parameters
    ----------
    flights : Flights
    lanes : list of Lane
    threads : int
    store : Store, optional
        Loads under a memory budget.
    speeds, replan
        See `Placer`.
    """

    def __init__(
        self,
        flights: Flights,
        lanes: list[Lane],
        threads: int,
        store: Store | None,
        speeds: Sequence[float],
        replan: bool,
    ) -> None:
        self.flights, self.lanes, self.threads, self.store = flights, lanes, threads, store
        self.entries = flights.entries
        self.changing = threading.Lock()
        try:
            self.since: Process | None = process()  # before any task
        except StateError:  # a system that does not tell
            self.since = None
        self.placer = Placer(flights, lanes, self.changing, self._load, self._close, speeds, replan)

    def add(self, name: str, spec: TaskSpec, settings: Settings) -> None:
        """As `Runtime.add`."""
        name, spec = check_spec(name, spec, self.entries)
        lane = self._lane_for(name, spec, settings)
        for each in needs_of(spec, settings):
            if each in self.entries and self.entries[each].settings.evictable:
                raise ArgumentError(f"task {name!r} comes after {each!r}, which is evictable; make that one stay")
        entry = self._load(name, spec, settings, lane)
        self.flights.enter(entry)
        self._join(entry)
        self.placer.added(entry)

    def _join(self, new: Entry) -> None:
        """Tasks of the same network whose session has not the outputs of the new one come over to the new session."""
        for old in list(self.entries.values()):
            here, there = old.shared, new.shared
            if here is None or there is None or here is there or old.lane is not new.lane:
                continue
            if here.key != there.key or not there.covers(old.spec):
                continue
            if any(old.name in other.needs for other in self.entries.values()):
                continue  # others look at the tensors that it has
            entry = self._load(old.name, old.spec, old.settings, old.lane)
            if self.flights.leave(old, entry):
                self._close(old)

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
        return self.placer.shortest()

    def _load(
        self, name: str, spec: TaskSpec, settings: Settings, lane: Lane, others: Mapping[str, Entry] | None = None
    ) -> Entry:
        others = self.entries if others is None else others
        if self.store is not None:
            return self.store.load(name, spec, settings, lane, others)
        return on_lane(self.flights, lane, lambda: load(name, spec, settings, lane, self.threads, others, sharing=True))

    def _close(self, entry: Entry) -> None:
        on_lane(self.flights, entry.lane, entry.close)
