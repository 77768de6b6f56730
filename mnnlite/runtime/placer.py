"""Where the tasks of a runtime are: measured, settled before the first frame, and moved while it runs if that is allowed."""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING

from mnnlite.errors import MnnliteError
from mnnlite.runtime.placement import load_of, memory_of, place
from mnnlite.runtime.replanning import Replanner

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from concurrent.futures import Future

    from mnnlite.runtime.entry import Entry, Settings
    from mnnlite.runtime.flights import Flights
    from mnnlite.runtime.lane import Lane
    from mnnlite.specs import TaskSpec

__all__ = ["Placer"]

_log = logging.getLogger("mnnlite.runtime")
_GAIN = 0.1  # of the longest lane, for which tasks are loaded anew before the first frame
_MEMORY_GAIN = 0.2  # of the feature maps, likewise
_NS_PER_MFLOP = 100_000.0  # until one network was measured


class Placer:
    """Knows what tasks cost and puts them where that is short.

    Parameters
    ----------
    flights : Flights
    lanes : list of Lane
    changing : threading.Lock
        Held while tasks come, go or move.
    load : callable
        Loads a task into a lane.
    close : callable
        Closes one.
    speeds : list of float
        Of the lanes.
    replan : bool
        Move tasks while frames are worked on.
    """

    def __init__(
        self,
        flights: Flights,
        lanes: Sequence[Lane],
        changing: threading.Lock,
        load: Callable[[str, TaskSpec, Settings, Lane, Mapping[str, Entry]], Entry],
        close: Callable[[Entry], None],
        speeds: Sequence[float],
        replan: bool,
    ) -> None:
        self._flights, self._lanes, self._changing = flights, lanes, changing
        self._load, self._close, self._speeds = load, close, speeds
        self._measuring: list[Future[None]] = []
        self._settled = True
        self._mover: threading.Thread | None = None
        self._stopping = False
        if replan and len(lanes) > 1:
            flights.watch_costs = self._look
        self._replanner = Replanner(speeds)

    # ---- what tasks cost

    def added(self, entry: Entry) -> None:
        """A task is new in its lane: measure it there while others are loaded elsewhere."""
        if len(self._lanes) == 1:
            return  # nothing is to be placed
        self._settled = self._settled and self._flights.frames > 0
        self._measuring = [each for each in self._measuring if not each.done()]
        self._measuring.append(entry.lane.call_soon(lambda: self._measure(entry)))

    def _measure(self, entry: Entry) -> None:
        entry.measure()
        if entry.cost_ns and self._flights.entries.get(entry.name) is entry:
            self._flights.scheduler.costs.guess(entry.name, entry.cost_ns)

    def loads(self) -> list[float]:
        """Of each lane the nanoseconds a frame."""
        entries = list(self._flights.entries.values())
        return load_of([self._work(each) for each in entries], [each.lane.index for each in entries], self._speeds)

    def _work(self, entry: Entry) -> float:
        """Nanoseconds a frame on average, in a lane of speed 1: as seen, as measured at loading, or by its operations."""
        scheduler = self._flights.scheduler
        seen = scheduler.costs.mean(entry.name) or entry.cost_ns
        cost = float(seen) * self._speeds[entry.lane.index] if seen else self._guess(entry)
        period = scheduler.period_ns
        if entry.settings.rate_hz and period:
            return cost * min(1.0, entry.settings.rate_hz * period / 1e9)
        return cost / entry.settings.every

    def _guess(self, entry: Entry) -> float:
        known = [each for each in self._flights.entries.values() if each.cost_ns and each.mflops]
        operations = sum(each.mflops for each in known)
        rate = (
            sum(each.cost_ns * self._speeds[each.lane.index] for each in known) / operations
            if operations
            else _NS_PER_MFLOP
        )
        return max(1e5, rate * entry.mflops)

    def shortest(self) -> Lane:
        """The lane that has least to do."""
        load = self.loads()
        return self._lanes[min(range(len(self._lanes)), key=lambda lane: (load[lane], lane))]

    # ---- before the first frame

    @property
    def settled(self) -> bool:
        """No better placement is to be looked for before the next frame."""
        return self._settled

    def settle(self) -> None:
        """Before the first frame: with the cost of all tasks known, another placement may be better."""
        with self._changing:
            for measured in self._measuring:
                measured.result()
            self._measuring.clear()
            with self._flights.lock:  # no frame is admitted meanwhile
                if not self._settled and self._flights.frames == 0:
                    self._place_anew()
                self._settled = True

    def _place_anew(self) -> None:
        groups = self._groups()
        costs, memory, now = self._facts(groups)
        count = len(self._lanes)
        wanted = place(costs, self._speeds, memory, now)
        shorter = max(load_of(costs, wanted, self._speeds)) < (1 - _GAIN) * max(load_of(costs, now, self._speeds))
        smaller = memory_of(memory, wanted, count) < (1 - _MEMORY_GAIN) * memory_of(memory, now, count)
        if not (shorter or smaller):
            return
        moves = [(group, lane) for group, old, lane in zip(groups, now, wanted, strict=True) if old != lane]
        for group, _ in moves:  # all of them first: what one lane gives up makes room for what it takes
            for entry in reversed(group):
                self._close(entry)
        for group, lane in moves:
            self._load_anew(group, self._lanes[lane])

    def _load_anew(self, group: Sequence[Entry], lane: Lane) -> None:
        """Closed tasks, elsewhere; where that fails, in their old place."""
        try:
            made = self._load_group(group, lane)
        except MnnliteError as error:
            _log.warning("task %r stays in its lane: %s", group[0].name, error)
            lane = group[0].lane
            made = self._load_group(group, lane)
        self._flights.exchange(group, made, lane.index)

    def _load_group(self, group: Sequence[Entry], lane: Lane) -> dict[str, Entry]:
        """All of them or none."""
        made: dict[str, Entry] = {}
        try:
            for entry in group:
                others = {**self._flights.entries, **made}
                made[entry.name] = self._load(entry.name, entry.spec, entry.settings, lane, others)
        except BaseException:
            for entry in reversed(made.values()):
                self._close(entry)
            raise
        return made

    def _facts(self, groups: Sequence[Sequence[Entry]]) -> tuple[list[float], list[float], list[int]]:
        """Of each group its cost, its feature maps and its lane."""
        costs = [sum(self._work(entry) for entry in group) for group in groups]
        memory = [float(max(entry.dynamic for entry in group)) for group in groups]
        return costs, memory, [group[0].lane.index for group in groups]

    def _groups(self) -> list[list[Entry]]:
        """Tasks that must be in one lane, together; each in the order of adding."""
        group_of: dict[str, list[Entry]] = {}
        for entry in self._flights.entries.values():
            joined = {id(group_of[name]): group_of[name] for name in entry.needs}
            group = [*(each for other in joined.values() for each in other), entry]
            group_of.update((each.name, group) for each in group)
        order = {name: i for i, name in enumerate(self._flights.entries)}
        groups = {id(group): group for group in group_of.values()}
        return [sorted(group, key=lambda each: order[each.name]) for group in groups.values()]

    # ---- while frames are worked on

    def _look(self) -> None:
        """After a frame, under the flights' lock: is another placement so much better, for so long, that it pays?"""
        if not self._replanner.is_due() or self._mover is not None or self._stopping:
            return
        groups = self._groups()
        # What a network remembers does not travel.
        movable = [not any(entry.spec.state or entry.evicted for entry in group) for group in groups]
        found = self._replanner.look(*self._facts(groups), movable)
        if found is None:
            return
        moves = {group[0].name: lane for group, lane in zip(groups, found.lanes, strict=True)}
        self._flights.replans.append(found)
        self._mover = threading.Thread(target=self._move, args=(moves,), name="mnnlite-mover", daemon=True)
        self._mover.start()

    def _move(self, moves: dict[str, int]) -> None:
        """Load groups anew where they are wanted and let the next frame find them there. Only these lanes stop, to load."""
        try:
            for first, lane in moves.items():
                with self._changing:
                    if self._stopping:
                        return
                    group = next((each for each in self._groups() if each[0].name == first), None)
                    if group is not None and group[0].lane.index != lane:
                        self._move_group(group, self._lanes[lane])
        except MnnliteError as error:
            _log.warning("replanning ended early: %s", error)
        finally:
            self._mover = None

    def _move_group(self, group: list[Entry], lane: Lane) -> None:
        begin = time.monotonic_ns()
        made = self._load_group(group, lane)
        for old in self._flights.exchange(group, made, lane.index):
            self._close(old)
        took = (time.monotonic_ns() - begin) / 1e6
        _log.info("moved %s to lane %d in %.1f ms", ", ".join(map(repr, made)), lane.index, took)

    def close(self) -> None:
        """Move nothing any more. Call it without `changing`."""
        self._stopping = True
        mover = self._mover
        if mover is not None:
            mover.join()
