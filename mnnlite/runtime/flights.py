"""Frames on their way: admitted, waited for, collected. What `Runtime` and its streams share."""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING, Any

from mnnlite import _core
from mnnlite.errors import DecoderError
from mnnlite.runtime.result import FrameResult
from mnnlite.runtime.scheduler import Scheduler
from mnnlite.runtime.stats import LaneStats

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from mnnlite.errors import MnnliteError
    from mnnlite.frame import Frame
    from mnnlite.runtime.entry import Entry
    from mnnlite.runtime.replanning import Replan
    from mnnlite.runtime.rules import Plan
    from mnnlite.runtime.scheduler import Policy
    from mnnlite.runtime.tracing import Trace

__all__ = ["SLICE_NS", "Flight", "Flights"]

_log = logging.getLogger("mnnlite.runtime")
_RAN, _FAILED, _LEFT_OUT = 0, 1, 2  # Outcome::State
SLICE_NS = 100_000_000  # how long a wait goes without looking for Ctrl-C
_OWN_CLOCK_NS = 60_000_000_000  # a timestamp this near is of time.monotonic_ns


class Flight:
    """A frame on its way."""

    __slots__ = ("admitted_ns", "due", "frame", "frame_ns", "result", "ticket")

    def __init__(
        self, frame: Frame, admitted_ns: int, frame_ns: int, result: FrameResult, due: list[list[Entry]], ticket: Any
    ) -> None:
        self.frame, self.admitted_ns, self.frame_ns, self.result = frame, admitted_ns, frame_ns, result
        self.due = due
        self.ticket: _core.FrameTicket = ticket


class Flights:
    """The schedule, the lanes and the counts, under one lock.

    Parameters
    ----------
    lanes : int
    check : callable
        Raises if no frame may be admitted any more.
    max_failures : int
    watchdog_ns : int
    policy : {"edf", "fifo", "rate_monotonic"}
    """

    def __init__(
        self, lanes: int, check: Callable[[], None], max_failures: int, watchdog_ns: int, policy: Policy
    ) -> None:
        self.lock = threading.RLock()
        self.native = _core.Lanes(lanes)
        self.scheduler = Scheduler(lanes, policy)
        self.entries: dict[str, Entry] = {}
        self.lane_stats = [LaneStats(time.monotonic_ns()) for _ in range(lanes)]
        self.frames = self.dropped = self.flying = 0
        self.evicted: set[str] = set()
        self.reload: Callable[[Entry, set[str]], bool] = lambda _, __: False
        self.hung: dict[tuple[str, int], float] = {}
        self.watch_costs: Callable[[], None] | None = None  # after each frame, under the lock
        self.replans: list[Replan] = []
        self._check = check
        self._max_failures = max_failures
        self._watchdog_ns = watchdog_ns
        self._room = threading.Semaphore(lanes + 1)
        self._abandoned: list[Flight] = []
        self.trace: Trace | None = None

    # ---- in

    def take_room(self) -> None:
        """Wait until one more frame may be on its way."""
        while True:
            self.reap()
            if self._room.acquire(timeout=SLICE_NS / 1e9):
                return
            self.watch()
            self._check()

    def try_room(self) -> bool:
        """Take room for a frame if there is some."""
        self.reap()
        return self._room.acquire(blocking=False)

    def give_room(self) -> None:
        """The room that was taken is not needed."""
        self._room.release()

    @staticmethod
    def frame_ns(frame: Frame, now_ns: int) -> int:
        """When a frame was taken, on the clock of `time.monotonic_ns`."""
        stamp = frame.timestamp_ns
        return stamp if stamp is not None and 0 <= now_ns - stamp < _OWN_CLOCK_NS else now_ns

    def admit(self, frame: Frame, taken_ns: int, dropping: bool) -> Flight:
        """Plan a frame for which room was taken, and hand it to the lanes."""
        try:
            with self.lock:
                self._check()
                now = time.monotonic_ns()
                stamp = self.frame_ns(frame, taken_ns)
                if not dropping:
                    self.scheduler.offered(stamp)
                plan = self.scheduler.plan(now, stamp, dropping)
                result = FrameResult(self.frames, frame.timestamp_ns, frame.meta, (frame.width, frame.height))
                result.skipped = plan.skipped
                entries = self.entries
                if self.evicted:
                    self._bring_back(plan)
                due = [[entries[slot.name] for slot in slots] for slots in plan.lanes]
                members = [[(entries[slot.name].member, slot.not_after_ns) for slot in slots] for slots in plan.lanes]
                ticket = self.native.submit(frame._handle, members)
                for name in plan.skipped:
                    entries[name].stats.skipped += 1
                for each in due:
                    for entry in each:
                        entry.flying += 1
                        entry.used = self.frames
                self.frames += 1
                self.flying += 1
                return Flight(frame, now, stamp, result, due, ticket)
        except BaseException:
            self._room.release()
            raise

    def _bring_back(self, plan: Plan) -> None:
        """Load what was evicted and is due; what finds no room is left out."""
        # What this frame needs must not go to make room for the rest of it.
        keep = {slot.name for slots in plan.lanes for slot in slots} - self.evicted
        for slots in plan.lanes:
            for slot in list(slots):
                if slot.name not in self.evicted:
                    continue
                if self.reload(self.entries[slot.name], keep):
                    keep.add(slot.name)
                else:
                    slots.remove(slot)
                    plan.skipped[slot.name] = "evicted, and there is no room to load it now"
                    self.scheduler.shed(slot.name)

    def offered(self, frame: Frame, now_ns: int) -> None:
        """A source that does not wait has a frame."""
        with self.lock:
            self.scheduler.offered(self.frame_ns(frame, now_ns))

    def is_stale(self, frame: Frame, taken_ns: int) -> bool:
        """Tell whether a frame that waited is better dropped."""
        with self.lock:
            return self.scheduler.is_stale(time.monotonic_ns(), self.frame_ns(frame, taken_ns))

    def drop(self) -> None:
        """A frame was dropped for a fresher one."""
        with self.lock:
            self.dropped += 1
            if self.trace is not None:
                self.trace.dropped()

    def any_idle(self) -> bool:
        """Tell whether a lane has nothing to do."""
        return any(self.native.is_idle(lane) for lane in range(len(self.lane_stats)))

    # ---- out

    def finish(self, flight: Flight) -> FrameResult:
        """Wait for a frame and collect what came of it. One release of the GIL."""
        try:
            while not flight.ticket.wait(SLICE_NS):
                self.watch()
        except BaseException:  # Ctrl-C: the frame goes on, its results are for nobody
            self.abandon([flight])
            raise
        return self._collect(flight)

    def abandon(self, flights: list[Flight]) -> None:
        """Nobody waits for these frames any more."""
        with self.lock:
            self._abandoned.extend(flights)

    def reap(self) -> None:
        """Collect abandoned frames that are done."""
        if not self._abandoned:
            return
        with self.lock:
            done = [flight for flight in self._abandoned if flight.ticket.done]
            for flight in done:
                self._abandoned.remove(flight)
        for flight in done:
            self._collect(flight)

    def _collect(self, flight: Flight) -> FrameResult:
        with self.lock:
            try:
                result = self._read(flight)
                if self.watch_costs is not None:
                    self.watch_costs()
                return result
            finally:
                self.flying -= 1
                self._room.release()
                for due in flight.due:
                    for entry in due:
                        entry.flying -= 1
                        if entry.closing and entry.flying == 0:
                            entry.lane.call_soon(entry.close)

    def _read(self, flight: Flight) -> FrameResult:
        result = flight.result
        late: list[str] = []
        last = flight.admitted_ns
        lane_ns: list[int] = []
        shares = flight.ticket.take()
        for index, ((begin, end, outcomes), due) in enumerate(zip(shares, flight.due, strict=True)):
            lane_ns.append(end - begin if due else 0)
            if not due:
                continue
            took: dict[str, int] = {}
            for entry, outcome in zip(due, outcomes, strict=True):
                self._outcome(flight, entry, outcome, late, took)
            self.scheduler.ended(index, end, took)
            lane = self.lane_stats[index]
            lane.frames += 1
            lane.busy_ns += end - begin
            last = max(last, end)
        result.late = frozenset(late)
        result.elapsed_ns = last - flight.admitted_ns
        result.lane_ns = tuple(lane_ns)
        if self.trace is not None:
            self.trace.frame(flight, shares, last)
        return result

    def _outcome(self, flight: Flight, entry: Entry, outcome: Any, late: list[str], took: dict[str, int]) -> None:
        """What became of one task."""
        state, begin, end, preprocess, infer, decode, crops, eligible, error, found, raw, placed = outcome
        name, result, stats = entry.name, flight.result, entry.stats
        if crops == 0:  # nothing to run on: what lies in the outputs is of an earlier frame
            raw = {output: (each if each.ndim else each.reshape(1))[:0] for output, each in raw.items()}
        if state == _RAN:
            try:
                result._results[name], spent = entry.task.collect(found, raw, placed, flight.frame)
            except DecoderError as failure:  # of a decoder in Python: it fails as a native one does
                state, error = _FAILED, failure
            else:
                end, decode = end + spent, decode + spent
        if state == _RAN:
            result.timing[name] = {"preprocess": preprocess, "infer": infer, "decode": decode}
            if crops >= 0:
                result.crops[name] = (crops, eligible)
                stats.crops += crops
                stats.crops_left += eligible - crops
            deadline = entry.settings.deadline_ms
            if deadline is not None and end - flight.frame_ns > deadline * 1e6:
                late.append(name)
                stats.late += 1
            entry.failures = 0
            stats.ran(preprocess, infer, decode)
            if not entry.closing:
                took[name] = end - begin - spent
            return
        if state == _FAILED:
            result.errors[name] = error
            stats.failed += 1
            self._failed(entry, error)
            return
        if state == _LEFT_OUT:
            result.skipped[name] = "no time: it could not be started early enough"
            stats.shed += 1
            self.scheduler.shed(name)
        else:
            missing = next((each for each in entry.needs if each not in result._results), "?")
            result.skipped[name] = f"comes after {missing!r}, which gave no result on this frame"
        stats.skipped += 1

    def _failed(self, entry: Entry, error: MnnliteError) -> None:
        entry.failures += 1
        if entry.failures >= self._max_failures and self.entries.get(entry.name) is entry:
            reason = f"parked after {entry.failures} failures in a row, the last: {error}"
            self.scheduler.park(entry.name, reason)
            _log.error("task %r is %s", entry.name, reason)

    # ---- tasks come and go

    def enter(self, entry: Entry) -> None:
        """From the next frame on the task takes part."""
        with self.lock:
            self.entries[entry.name] = entry
            self.scheduler.add(entry.rule)

    def leave(self, entry: Entry, successor: Entry | None = None) -> bool:
        """From the next frame on the task takes no part, and `successor` may take its place.

        Returns
        -------
        bool
            Whether it can be closed. If not, the last frame that it takes part in closes it.
        """
        with self.lock:
            if successor is None:
                del self.entries[entry.name]
                self.scheduler.remove(entry.name)
            else:
                self.entries[entry.name] = successor
                self.scheduler.costs.forget(entry.name)
                self.scheduler.park(entry.name, None)
            entry.closing = True
            return entry.flying == 0

    def exchange(self, group: Sequence[Entry], made: Mapping[str, Entry], lane: int) -> list[Entry]:
        """From the next frame on tasks run where they were loaded anew.

        Returns
        -------
        list of Entry
            The old ones that can be closed, in that order. The others are closed by the last frame they take part in.
        """
        with self.lock:
            for old in group:
                made[old.name].take_over(old)
                self.entries[old.name] = made[old.name]
                self.scheduler.move(old.name, lane)
                old.closing = True
            return [old for old in reversed(group) if old.flying == 0]

    def drain(self) -> None:
        """Wait until all frames on their way are collected, by whoever waits for them."""
        while self.flying:
            self.reap()
            time.sleep(0.0005)

    # ---- the watchdog

    def watch(self) -> None:
        """Somebody has waited for long: does a run hang?"""
        now = time.monotonic_ns()
        for lane in range(len(self.lane_stats)):
            running = self.native.running(lane)
            if running is None or now - running[0] < self._watchdog_ns:
                continue
            begin, member = running
            with self.lock:
                name = next((name for name, entry in self.entries.items() if entry.member is member), "?")
                known = (name, begin) in self.hung
                self.hung[name, begin] = (now - begin) / 1e9
            if not known:
                _log.error("task %r has been running for %.1f s in lane %d", name, (now - begin) / 1e9, lane)
