"""Frames on their way: admitted, waited for, and their outcomes made into results. What `Runtime` and its streams share."""

from __future__ import annotations

import logging
import time
from collections import deque
from typing import TYPE_CHECKING

from mnnlite.runtime.outcome import make_result
from mnnlite.runtime.result import FrameResult

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mnnlite import _core
    from mnnlite.errors import MnnliteError
    from mnnlite.frame import Frame
    from mnnlite.runtime.frame_plan import FramePlan
    from mnnlite.runtime.loaded_task import LoadedTask
    from mnnlite.runtime.registry import TaskRegistry
    from mnnlite.runtime.residency import ModelResidency

__all__ = ["SLICE_NS", "Dispatcher", "InFlightFrame"]

SLICE_NS = 100_000_000  # how long a wait goes without looking for Ctrl-C
_OWN_CLOCK_NS = 60_000_000_000  # a timestamp this near is of time.monotonic_ns


class InFlightFrame:
    """A frame on its way."""

    __slots__ = ("admitted_ns", "due", "frame_ns", "pending", "result")

    def __init__(
        self,
        admitted_ns: int,
        frame_ns: int,
        result: FrameResult,
        due: list[list[LoadedTask]],
        pending: _core.PendingFrame,
    ) -> None:
        self.admitted_ns, self.frame_ns, self.result = admitted_ns, frame_ns, result
        self.due, self.pending = due, pending


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
        self._lanes = len(registry.lane_counters)
        self._abandoned: deque[InFlightFrame] = deque()

    # ---- in

    @staticmethod
    def frame_ns(frame: Frame, now_ns: int) -> int:
        """When a frame was taken, on the clock of `time.monotonic_ns`."""
        stamp = frame.timestamp_ns
        return stamp if stamp is not None and 0 <= now_ns - stamp < _OWN_CLOCK_NS else now_ns

    def admit(self, frame: Frame, taken_ns: int, dropping: bool) -> InFlightFrame:
        """Plan a frame and hand it to the lanes; waits while they have one frame more than there are lanes.

        Lanes end a frame by themselves, so this waits for no thread of Python.
        """
        while (flight := self.try_admit(frame, taken_ns, dropping)) is None:
            self.wait_for_room()
        if self._registry.messages:
            self._registry.log()
        return flight

    def wait_for_room(self) -> None:
        """Wait until the lanes have room for one more frame, or for a moment."""
        seen = self.native.wait(0, 0)
        if self.native.in_flight > self._lanes and self.native.wait(seen, SLICE_NS) == seen:
            self.watch()

    def has_room(self, waiting: int) -> bool:
        """Tell whether one more frame may be on its way, for a stream that waits for so many."""
        if self._abandoned:
            self.reap()
        return waiting <= self._lanes and self.native.in_flight <= self._lanes

    def try_admit(self, frame: Frame, taken_ns: int, dropping: bool) -> InFlightFrame | None:
        """As `admit`; None where it would wait. What there is to say, the caller logs."""
        registry = self._registry
        if self._abandoned:
            self.reap()
        with registry.lock:
            if registry.closed:
                registry.check_open()
            if self.native.in_flight > self._lanes:
                return None
            now = time.monotonic_ns()
            stamp = self.frame_ns(frame, taken_ns)
            if not dropping:
                registry.scheduler.offered(stamp)
            plan = registry.scheduler.plan(now, stamp, dropping)
            result = FrameResult(self.frames, frame, stamp, time.time_ns() - (now - stamp))
            result.skipped = plan.skipped
            if registry.absent:
                self._leave_out_absent(plan, result, now)
            tasks = registry.tasks
            due = [[tasks[planned.name] for planned in lane] for lane in plan.lanes]
            jobs = [
                [(task.node, planned.not_after_ns) for task, planned in zip(lane, slots, strict=True)]
                for lane, slots in zip(due, plan.lanes, strict=True)
            ]
            pending = self.native.submit(frame._handle, jobs)
            for name in plan.skipped.keys() - plan.not_due:
                tasks[name].stats.skipped += 1
            for lane in due:
                for task in lane:
                    task.in_flight += 1
                    task.used = self.frames
            self.frames += 1
        return InFlightFrame(now, stamp, result, due, pending)

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
        """Wait for a frame and collect what came of it. One release of the GIL."""
        try:
            while not flight.pending.wait(SLICE_NS):
                self.watch()
        except BaseException:  # Ctrl-C: the frame goes on, its results are for nobody
            self.abandon([flight])
            raise
        lanes = self._take(flight)
        skipped: list[LoadedTask] = []
        spent = self._make_results(flight, lanes, skipped)
        with self._registry.lock:
            self._count(flight, lanes, spent, skipped)
        if self._registry.messages:
            self._registry.log()
        return flight.result

    def abandon(self, flights: Iterable[InFlightFrame]) -> None:
        """Nobody waits for these frames any more. Takes no lock: finalisers call it."""
        self._abandoned.extend(flights)

    def discard(self, flight: InFlightFrame) -> None:
        """Wait for the lanes to be through with a frame whose results nobody wants."""
        while not flight.pending.wait(SLICE_NS):
            self.watch()
        self._count_only(flight)

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
                        registry.scheduler.ended(index, lane.end_ns, took)
                        counters = registry.lane_counters[index]
                        counters.frames += 1
                        counters.busy_ns += lane.end_ns - lane.begin_ns
                for due in flight.due:
                    for task in due:
                        task.in_flight -= 1
                        if task.closing and task.in_flight == 0 and not registry.closed:
                            registry.close_soon(task)
        return lanes

    def _make_results(
        self, flight: InFlightFrame, lanes: list[_core.LaneOutcome], skipped: list[LoadedTask]
    ) -> dict[str, int]:
        """Fill the result, users' decoders included. Without the lock.

        Returns
        -------
        dict of str to int
            Nanoseconds that decoders in Python took, where there are any.
        """
        result = flight.result
        spent: dict[str, int] = {}
        last = flight.admitted_ns
        lane_ns: list[int] = []
        for lane, due in zip(lanes, flight.due, strict=True):
            lane_ns.append(lane.end_ns - lane.begin_ns if due else 0)
            if not due:
                continue
            last = max(last, lane.end_ns)
            for task, outcome in zip(due, lane.tasks, strict=True):
                name = task.name
                if outcome.ran:
                    took = make_result(result, task, outcome)
                    if took:
                        spent[name] = took
                elif outcome.error is not None:
                    result.errors[name] = outcome.error
                elif outcome.left_out:
                    result.skipped[name] = "no time: it could not be started early enough"
                    skipped.append(task)
                else:
                    missing = next((each for each in task.needs if each not in result._results), "?")
                    result.skipped[name] = f"comes after {missing!r}, which gave no result on this frame"
                    skipped.append(task)
        result.elapsed_ns = last - flight.admitted_ns
        result.lane_ns = tuple(lane_ns)
        return spent

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
                    end_ns, preprocess, infer, decode, crops, eligible = outcome[3:9]  # faster than one by one
                    in_python = spent.get(name, 0)
                    decode += in_python
                    result.timing[name] = {"preprocess": preprocess, "infer": infer, "decode": decode}
                    if crops >= 0:  # a task on crops
                        result.crops[name] = (crops, eligible)
                        stats.crops += crops
                        stats.crops_left += eligible - crops
                    deadline_ms = task.schedule.deadline_ms
                    if deadline_ms is not None and end_ns + in_python - flight.frame_ns > deadline_ms * 1e6:
                        late.append(name)
                        stats.late += 1
                    task.failures = 0
                    stats.ran(preprocess, infer, decode)
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
            reason = f"quarantined after {task.failures} failures in a row, the last: {error}"
            self._registry.scheduler.quarantine(task.name, reason)
            self._registry.say(logging.ERROR, f"task {task.name!r} is {reason}")

    # ---- the end

    def drain(self) -> None:
        """Wait until the lanes are through with all frames. Whoever waits for their results gets them still."""
        while self.native.in_flight:
            seen = self.native.wait(0, 0)
            if self.native.in_flight:
                self.native.wait(seen, SLICE_NS)
        self.reap()

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
