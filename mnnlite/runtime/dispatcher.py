"""Frames on their way: admitted, waited for, and their outcomes made into results. What `Runtime` and its streams share."""

from __future__ import annotations

import logging
import time
from collections import deque
from typing import TYPE_CHECKING

from mnnlite.errors import MnnliteError, without_task
from mnnlite.runtime.flight import InFlightFrame
from mnnlite.runtime.outcome import make_results
from mnnlite.runtime.result import FrameResult

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mnnlite import _core
    from mnnlite.frame import Frame
    from mnnlite.runtime.flight import OfferedFrame
    from mnnlite.runtime.frame_plan import FramePlan
    from mnnlite.runtime.loaded_task import LoadedTask
    from mnnlite.runtime.registry import TaskRegistry
    from mnnlite.runtime.residency import ModelResidency

__all__ = ["SLICE_NS", "Dispatcher"]

SLICE_NS = 100_000_000  # how long a wait goes without looking for Ctrl-C
_OWN_CLOCK_NS = 60_000_000_000  # a timestamp this near is of time.monotonic_ns


class Dispatcher:
    """Hands frames to the lanes and collects what comes of them.

    A frame takes the registry's lock three times, each for microseconds: when it is admitted, when the lanes are through
    with it, and when its results are counted. They are made in between, decoders in Python included, without the lock.

    Parameters
    ----------
    registry : TaskRegistry
    residency : ModelResidency
        Asked for models that are not loaded and due.
    native : _core.Lanes
    max_failures : int
    watchdog_ns : int
    """

    def __init__(
        self,
        registry: TaskRegistry,
        residency: ModelResidency,
        native: _core.Lanes,
        max_failures: int,
        watchdog_ns: int,
    ) -> None:
        self.native = native
        self.frames = self.dropped = 0
        self.hung: dict[tuple[str, int], float] = {}
        self._registry, self._residency = registry, residency
        self._max_failures, self._watchdog_ns = max_failures, watchdog_ns
        self._lanes = len(registry.lane_counters)  # told of more by `lane_added`
        self._abandoned: deque[InFlightFrame] = deque()

    def lane_added(self) -> None:
        """There is one more, for which one more frame may be on its way."""
        self._lanes = len(self._registry.lane_counters)

    # ---- in

    @staticmethod
    def frame_ns(frame: Frame, now_ns: int) -> int:
        """When a frame was taken, on the clock of `time.monotonic_ns`."""
        stamp = frame.timestamp_ns
        return stamp if stamp is not None and 0 <= now_ns - stamp < _OWN_CLOCK_NS else now_ns

    def admit(self, offered: OfferedFrame, dropping: bool) -> InFlightFrame:
        """Plan a frame and hand it to the lanes; waits while they have one frame more than there are lanes.

        Lanes end a frame by themselves, so this waits for no thread of Python.
        """
        while (flight := self.try_admit(offered, dropping)) is None:
            self.wait_for_room()
        if self._registry.messages:
            self._registry.log()
        return flight

    def wait_for_room(self) -> None:
        """Wait until the lanes have room for one more frame, or for a moment."""
        seen = self.native.wait(0, 0)
        full = self.native.in_flight > self._lanes or self.native.urgent_in_flight > self._lanes
        if full and self.native.wait(seen, SLICE_NS) == seen:
            self.watch()

    def has_room(self, waiting: int) -> bool:
        """Tell whether one more frame may be on its way, for a stream that waits for so many."""
        if self._abandoned:
            self.reap()
        return waiting <= self._lanes and self.native.in_flight <= self._lanes

    def has_urgent_room(self, waiting: int) -> bool:
        """As `has_room`, for the tasks that preempt. False if there are none."""
        is_wanted = self._registry.scheduler.has_urgent and waiting <= self._lanes
        return is_wanted and self.native.urgent_in_flight <= self._lanes

    def try_admit(self, offered: OfferedFrame, dropping: bool) -> InFlightFrame | None:
        """As `admit`; None where it would wait. What there is to say, the caller logs."""
        registry = self._registry
        if self._abandoned:
            self.reap()
        with registry.lock:
            if registry.closed:
                registry.check_open()
            urgent = registry.scheduler.has_urgent and not offered.is_begun
            if self.native.in_flight > self._lanes or (urgent and self.native.urgent_in_flight > self._lanes):
                return None
            now = time.monotonic_ns()
            stamp = self.frame_ns(offered.frame, offered.taken_ns)
            if not dropping:
                registry.scheduler.offered(stamp)
            if urgent:
                return self._admit_both(offered, now, stamp, dropping)
            has_result = offered.index is not None
            flight = self._admit_part(offered, now, stamp, dropping, False)
            if has_result:
                flight.result.part = "rest"
            return flight

    def _admit_both(self, offered: OfferedFrame, now: int, stamp: int, dropping: bool) -> InFlightFrame:
        """Two parts, if there is something to do in both."""
        urgent = self._admit_part(offered, now, stamp, dropping, True)
        rest = self._admit_part(offered, now, stamp, dropping, False)
        for part, other in ((rest, urgent), (urgent, rest)):
            if not any(part.due):
                other.result.join(part.result)
                return other
        urgent.result.part, rest.result.part, rest.urgent = "urgent", "rest", urgent
        return rest

    def admit_urgent(self, offered: OfferedFrame) -> InFlightFrame | None:
        """Hand only the tasks that preempt to the lanes, which have room for them. None if none of them is due."""
        registry = self._registry
        with registry.lock:
            registry.check_open()
            now = time.monotonic_ns()
            flight = self._admit_part(offered, now, self.frame_ns(offered.frame, offered.taken_ns), False, True)
            flight.result.part = "urgent"
        registry.log()
        return None if flight.is_empty else flight

    def _admit_part(
        self, offered: OfferedFrame, now: int, stamp: int, dropping: bool, is_urgent: bool
    ) -> InFlightFrame:
        """Under the lock: plan the tasks that preempt, or the others, and hand them to the lanes."""
        registry = self._registry
        plan = registry.scheduler.plan(now, stamp, dropping, is_urgent)
        index = self.frames if offered.index is None else offered.index
        result = FrameResult(index, offered.frame, stamp, time.time_ns() - (now - stamp))
        result.skipped = plan.skipped
        if registry.absent:
            self._leave_out_absent(plan, result, now)
        tasks = registry.tasks
        due = [[tasks[planned.name] for planned in lane] for lane in plan.lanes]
        jobs = [
            [(task.node, planned.not_after_ns) for task, planned in zip(lane, slots, strict=True)]
            for lane, slots in zip(due, plan.lanes, strict=True)
        ]
        pending = self.native.submit(offered.frame._handle, jobs, is_urgent)
        missing = plan.skipped.keys() - plan.not_due
        for name in missing:
            tasks[name].stats.skipped += 1
        for lane in due:
            for task in lane:
                task.in_flight += 1
                task.used = index
        if is_urgent:
            offered.is_begun = True
        is_empty = not (missing or result.errors or any(due))
        if offered.index is None and not (is_urgent and is_empty):
            offered.index = index
            self.frames += 1
        return InFlightFrame(now, stamp, result, due, pending, is_urgent, is_empty)

    def _leave_out_absent(self, plan: FramePlan, result: FrameResult, now_ns: int) -> None:
        """Tasks that are due and not loaded: the frame goes without them, and they are loaded for later ones."""
        registry = self._registry
        keep = {slot.name for slots in plan.lanes for slot in slots} - registry.absent
        for slots in plan.lanes:
            for slot in [each for each in slots if each.name in registry.absent]:
                slots.remove(slot)
                task = registry.tasks[slot.name]
                why = self._residency.bring_back(task, keep, now_ns)
                if isinstance(why, str):
                    result.skipped[slot.name] = why
                else:
                    result.errors[slot.name] = why
                    task.stats.failed += 1
                registry.scheduler.shed(slot.name)

    def offered(self, frame: Frame, now_ns: int) -> None:
        """A source that does not wait has a frame."""
        with self._registry.lock:
            self._registry.scheduler.offered(self.frame_ns(frame, now_ns))

    def is_stale(self, frame: Frame, taken_ns: int) -> bool:
        """Tell whether a frame that waited is better dropped."""
        with self._registry.lock:
            return self._registry.scheduler.is_stale(time.monotonic_ns(), self.frame_ns(frame, taken_ns))

    def drop(self) -> None:
        """A frame was dropped for a fresher one."""
        with self._registry.lock:
            self.dropped += 1
            if self._registry.recorder is not None:
                self._registry.recorder.dropped()

    def any_idle(self) -> bool:
        """Tell whether a lane has nothing to do."""
        return any(self.native.is_idle(lane) for lane in range(self._lanes))

    # ---- out

    def finish(self, flight: InFlightFrame) -> FrameResult:
        """Wait for a frame and collect what came of it: one result. One release of the GIL a part."""
        if flight.urgent is not None:
            return self._finish_both(flight, flight.urgent)
        try:
            while not flight.pending.wait(SLICE_NS):
                self.watch()
        except BaseException:  # Ctrl-C: the frame goes on, its results are for nobody
            self.abandon([flight])
            raise
        lanes = self._take(flight)
        skipped: list[LoadedTask] = []
        spent = make_results(flight, lanes, skipped)
        with self._registry.lock:
            self._count(flight, lanes, spent, skipped)
        if self._registry.messages:
            self._registry.log()
        return flight.result

    def _finish_both(self, flight: InFlightFrame, urgent: InFlightFrame) -> FrameResult:
        flight.urgent = None
        try:
            result = self.finish(urgent)
        except BaseException:
            self.abandon([flight])
            raise
        result.join(self.finish(flight))
        return result

    def abandon(self, flights: Iterable[InFlightFrame]) -> None:
        """Nobody waits for these frames any more. Takes no lock: finalisers call it."""
        self._abandoned.extend(part for flight in flights for part in flight.parts)

    def discard(self, flight: InFlightFrame) -> None:
        """Wait for the lanes to be through with a frame whose results nobody wants."""
        for part in flight.parts:
            while not part.pending.wait(SLICE_NS):
                self.watch()
            self._count_only(part)

    def reap(self) -> None:
        """Let go of abandoned frames that are done."""
        for _ in range(len(self._abandoned)):
            try:
                flight = self._abandoned.popleft()
            except IndexError:  # another thread was quicker
                return
            if flight.pending.done:
                self._count_only(flight)
            else:
                self._abandoned.append(flight)

    def _count_only(self, flight: InFlightFrame) -> None:
        """Nothing is decoded in Python for nobody."""
        lanes = self._take(flight)
        for lane, due in zip(lanes, flight.due, strict=True):
            for task, outcome in zip(due, lane.tasks, strict=True):
                if outcome.error is not None:
                    flight.result.errors[task.name] = outcome.error
        with self._registry.lock:
            self._count(flight, lanes, {}, ())
        self._registry.log()

    def _take(self, flight: InFlightFrame) -> list[_core.LaneOutcome]:
        """The outcomes of a frame that the lanes are through with. They can go on with its tasks."""
        registry = self._registry
        lanes: list[_core.LaneOutcome] = []
        try:
            lanes = flight.pending.take()
        finally:
            with registry.lock:
                for index, (lane, due) in enumerate(zip(lanes, flight.due, strict=False)):
                    if due:
                        took = {
                            task.name: outcome.end_ns - outcome.begin_ns
                            for task, outcome in zip(due, lane.tasks, strict=True)
                            if outcome.ran and not task.closing
                        }
                        registry.scheduler.ended(index, lane.end_ns, took, flight.is_urgent)
                        counters = registry.lane_counters[index]
                        counters.frames += 1
                        counters.busy_ns += lane.end_ns - lane.begin_ns - lane.given_ns
                        if lane.preemptions:
                            counters.preemptions += lane.preemptions
                            counters.preempted_ns += lane.given_ns
                for due in flight.due:
                    for task in due:
                        task.in_flight -= 1
                        if task.closing and task.in_flight == 0 and not registry.closed:
                            registry.close_soon(task)
        return lanes

    def _count(
        self,
        flight: InFlightFrame,
        lanes: list[_core.LaneOutcome],
        spent: dict[str, int],
        skipped: Sequence[LoadedTask],
    ) -> None:
        """Under the lock: what became of each task, and what it took."""
        registry, result = self._registry, flight.result
        late: list[str] = []
        for lane, due in zip(lanes, flight.due, strict=True):
            for task, outcome in zip(due, lane.tasks, strict=True):
                stats, name = task.stats, task.name
                if (error := result.errors.get(name)) is not None:
                    stats.failed += 1
                    self._failed(task, error)
                elif outcome.ran:
                    preprocess, infer, crops = outcome.preprocess_ns, outcome.infer_ns, outcome.crops
                    in_python = spent.get(name, 0)
                    decode = outcome.decode_ns + in_python
                    result.timing[name] = {"preprocess": preprocess, "infer": infer, "decode": decode}
                    if crops >= 0:  # a task on crops
                        result.crops[name] = (crops, outcome.eligible)
                        stats.crops += crops
                        stats.crops_left += outcome.eligible - crops
                    deadline_ms = task.schedule.deadline_ms
                    if deadline_ms is not None and outcome.end_ns + in_python - flight.frame_ns > deadline_ms * 1e6:
                        late.append(name)
                        stats.late += 1
                    task.failures = 0
                    stats.ran(preprocess, infer, decode)
                    if outcome.preemptions:
                        stats.preemptions += outcome.preemptions
                        stats.given_ns += outcome.given_ns
                elif outcome.left_out:
                    stats.shed += 1
                    registry.scheduler.shed(name)
        for task in skipped:
            task.stats.skipped += 1
        result.late = frozenset(late)
        if registry.recorder is not None:
            times = (flight.frame_ns, flight.admitted_ns, flight.admitted_ns + result.elapsed_ns)
            registry.recorder.frame(result, times, [[task.name for task in due] for due in flight.due], lanes)

    def _failed(self, task: LoadedTask, error: MnnliteError) -> None:
        task.failures += 1
        if task.failures >= self._max_failures and self._registry.tasks.get(task.name) is task:
            reason = f"quarantined after {task.failures} failures in a row, the last: {without_task(task.name, error)}"
            self._registry.scheduler.quarantine(task.name, reason)
            self._registry.say(logging.ERROR, f"task {task.name!r} is {reason}")

    # ---- the end

    def drain(self) -> None:
        """Wait until the lanes are through with all frames. Whoever waits for their results gets them still."""
        while self._is_busy():
            seen = self.native.wait(0, 0)
            if self._is_busy():
                self.native.wait(seen, SLICE_NS)
        self.reap()

    def _is_busy(self) -> bool:
        return bool(self.native.in_flight or self.native.urgent_in_flight)

    # ---- the watchdog

    def watch(self) -> None:
        """Somebody has waited for long: does a run hang?"""
        now = time.monotonic_ns()
        for lane in range(self._lanes):
            running = self.native.running(lane)
            if running is None or now - running[0] < self._watchdog_ns:
                continue
            begin, node = running
            with self._registry.lock:
                tasks = self._registry.tasks
                name = next((name for name, task in tasks.items() if getattr(task, "node", None) is node), "?")
                known = (name, begin) in self.hung
                self.hung[name, begin] = (now - begin) / 1e9
            if not known:
                text = f"task {name!r} has been running for {(now - begin) / 1e9:.1f} s in lane {lane}"
                self._registry.say(logging.ERROR, text)
        self._registry.log()
