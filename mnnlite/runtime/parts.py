"""The parts of a runtime: how they are put together, and how they end."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from mnnlite import _core
from mnnlite.errors import ArgumentError
from mnnlite.runtime.budget import Budget, parse
from mnnlite.runtime.change_lock import ChangeLock
from mnnlite.runtime.changes import TaskChanges
from mnnlite.runtime.completion import CompletionThread
from mnnlite.runtime.cores import assign, read_cores, speeds_of
from mnnlite.runtime.dispatcher import SLICE_NS, Dispatcher
from mnnlite.runtime.flight import OfferedFrame
from mnnlite.runtime.lane import Lane
from mnnlite.runtime.rebalancer import Rebalancer
from mnnlite.runtime.registry import TaskRegistry
from mnnlite.runtime.report import RuntimeReport
from mnnlite.runtime.residency import ModelResidency
from mnnlite.runtime.urgency import Urgency
from mnnlite.trial import seconds_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from concurrent.futures import Future

    from mnnlite.frame import Frame
    from mnnlite.runtime.result import FrameResult
    from mnnlite.runtime.stream import Stream

__all__ = ["RuntimeParts", "check_counts"]

_MOST = {"lanes": 64, "threads": 32, "max_failures": 10**9}


def check_counts(**counts: object) -> None:
    """Refuse numbers of lanes, threads or failures that a runtime cannot have.

    Raises
    ------
    ArgumentError
    """
    for name, value in counts.items():
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= _MOST[name]:
            raise ArgumentError(f"{name} is {value!r}; it must be a whole number from 1 to {_MOST[name]}")


class RuntimeParts:
    """What works behind a `Runtime`, whose parameters these are; `options` are its tasks', as `runtime_options` gives them.

    Nothing here holds the runtime itself.

    Raises
    ------
    ArgumentError, StateError
        As `Runtime` says.
    """

    def __init__(
        self,
        lanes: int,
        threads: int,
        memory: str | int | None,
        options: Mapping[str, str],
        cores: str | Sequence[Sequence[int]] | None,
        force: bool,
        replan: bool,
        max_failures: int,
        watchdog_s: float,
        trial: bool | float,
        heap: str,
        tune: str | None = None,
    ) -> None:
        check_counts(lanes=lanes, threads=threads, max_failures=max_failures)
        if heap not in ("share", "keep"):
            raise ArgumentError(f"heap is {heap!r}; it must be one of 'share', 'keep'")
        if tune not in (None, "auto"):
            raise ArgumentError(f"tune is {tune!r}; it must be None or 'auto'")
        if tune is not None and "backend" in options:
            raise ArgumentError(f"tune with backend={options['backend']!r}: not yet, only the CPU's options are tuned")
        there = read_cores()
        if lanes * threads > len(there) and not force:
            raise ArgumentError(
                f"{lanes} lanes of {threads} threads are more than the {len(there)} cores this process may use, so they would "
                "slow each other down; take fewer, or pass force=True"
            )
        bound = assign(there, lanes, cores, force)
        limit = None if memory is None else parse(memory)
        trial_s = seconds_of(trial)
        if heap == "keep":
            _core.keep_heap()
        budget = None if limit is None else Budget(limit, threads, lanes, options)
        callers: set[int] = set()  # threads that a lane waits for
        native = self._native = _core.Lanes(lanes)
        self._options, self._callers = options, callers
        self.change_lock = ChangeLock()
        self.registry = TaskRegistry(lanes, callers)
        self.residency = ModelResidency(self.registry, threads, budget)
        self.dispatcher = Dispatcher(self.registry, self.residency, native, max_failures, int(watchdog_s * 1e9))
        self.lanes: list[Lane] = []
        self._completion: CompletionThread | None = None
        self._starting = threading.Lock()
        try:
            for index in range(lanes):
                self.lanes.append(Lane(native, index, options, callers, None if bound is None else bound[index]))
            speeds = speeds_of(there, lanes, bound)
            urgency = Urgency(self.registry, self.residency, self.lanes)
            self.rebalancer = Rebalancer(
                self.registry,
                self.residency,
                self.dispatcher,
                self.lanes,
                self.change_lock,
                urgency,
                speeds,
                threads,
                replan,
            )
        except BaseException:
            for lane in self.lanes:
                lane.stop()
            raise
        self.changes = TaskChanges(
            self.registry,
            self.residency,
            self.rebalancer,
            urgency,
            self.lanes,
            self.change_lock,
            threads,
            trial_s,
            tune == "auto",
            self._gpu_lane,
        )
        self.report = RuntimeReport(
            self.registry, self.residency, self.dispatcher, self.rebalancer, self.lanes, threads
        )

    def start_lanes(self) -> None:
        """Before the first task: the process's heap is changed, unless that is refused, and the threads are started.

        Raises
        ------
        ArgumentError, StateError
            ``MNNLITE_HEAP`` is no known word; the system gives no thread.
        """
        if not all(lane.started for lane in self.lanes):
            _core.share_heap()
            for lane in self.lanes:
                lane.start()

    def _gpu_lane(self, backend: str) -> Lane:
        """The lane of a backend that is not the CPU, beside the others; made with its first task, under the change lock.

        Raises
        ------
        StateError
            The system gives no thread.
        """
        for lane in self.lanes:
            if lane.backend == backend:
                lane.start()
                return lane
        index = self.registry.add_lane(self._native)
        made = Lane(self._native, index, self._options, self._callers, backend=backend)
        self.lanes.append(made)
        self.dispatcher.lane_added()
        made.start()
        return made

    def submit(self, frame: Frame) -> Future[FrameResult]:
        """As `Runtime.submit`."""
        completion, registry = self._started(), self.registry
        while not completion.take_room(SLICE_NS / 1e9):
            registry.check_open()
            self.dispatcher.watch()
        try:
            if registry.scheduler.has_urgent:
                completion.expect_urgent()
            offered = OfferedFrame(frame, time.monotonic_ns())
            while True:
                with registry.lock:  # futures are completed in the order of admission
                    flight = self.dispatcher.try_admit(offered, dropping=False)
                    future = None if flight is None else completion.complete(flight)
                registry.log()
                if future is not None:
                    return future
                self.dispatcher.wait_for_room()
        except BaseException:
            completion.give_room()
            raise

    def _started(self) -> CompletionThread:
        """The thread that completes futures."""
        if self._completion is None:
            with self._starting:
                if self._completion is None:
                    self._completion = CompletionThread(self.dispatcher.finish, len(self.lanes) + 1)
        return self._completion

    def close(self, streams: Iterable[Stream]) -> bool:
        """As `Runtime.close`.

        Returns
        -------
        bool
            False if it was closed before.
        """
        self.rebalancer.stop()
        with self.change_lock:
            if not self.registry.close():
                return False
        # Without the lock: what is completed now may be waiting for it.
        for stream in streams:
            stream.close()
        if self._completion is not None:
            self._completion.close()
        self.dispatcher.drain()
        with self.change_lock:
            self.rebalancer.remember()
            self.changes.clear()
            for lane in self.lanes:
                if lane.started:
                    lane.call_soon(lane.close_arenas, always=True).result()
                    lane.stop()
        for lane in self.lanes:
            lane.join()
        self.rebalancer.join()
        return True

    def abandon(self) -> None:
        """The runtime was dropped: threads end once they have done what they were given. Waits for nothing."""
        self.rebalancer.stop()
        if self._completion is not None:
            self._completion.close(wait=False)
        for lane in self.lanes:
            lane.stop()
