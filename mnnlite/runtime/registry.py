"""The tasks of a runtime and their schedule, under one lock that nobody holds for long."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, TypeVar

from mnnlite.errors import ArgumentError, ClosedError, StateError, about_task
from mnnlite.runtime.counters import LaneCounters
from mnnlite.runtime.scheduler import Scheduler

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from concurrent.futures import Future

    from mnnlite import _core
    from mnnlite.runtime.lane import Lane
    from mnnlite.runtime.loaded_task import LoadedTask
    from mnnlite.runtime.recorder import Recorder
    from mnnlite.task import Task

__all__ = ["TaskRegistry"]

T = TypeVar("T")
_log = logging.getLogger("mnnlite.runtime")


class TaskRegistry:
    """Which tasks there are, where they are loaded, and what the scheduler and the lanes count of them.

    `lock` is over all of it. Nobody loads, waits, logs or calls a user's code while holding it.

    Parameters
    ----------
    lanes : int
    callers : set of int
        Threads that are in a call between a lane's frames, see `Lane`.
    """

    def __init__(self, lanes: int, callers: set[int]) -> None:
        # Of the same thread again: a finaliser may run at any allocation and ask the runtime something.
        self.lock = threading.RLock()
        self.scheduler = Scheduler(lanes)
        self.tasks: dict[str, LoadedTask] = {}
        self.absent: set[str] = set()  # of the tasks, those whose model is not loaded
        self.fell_back: dict[str, str] = {}  # by task the backend that it was to have
        self.lane_counters = [LaneCounters(time.monotonic_ns()) for _ in range(lanes)]
        self.recorder: Recorder | None = None
        self._callers = callers
        self.closed = False  # `close` was called
        self._pid = os.getpid()
        self.messages: deque[tuple[int, str]] = deque()

    # ---- who may call

    @property
    def is_forked(self) -> bool:
        """The caller is a child of the process that the runtime was made in: its lanes and locks are not to be relied on."""
        return os.getpid() != self._pid

    def check_process(self) -> None:
        """Before any lock, which another thread may have held when this process was forked.

        Raises
        ------
        StateError
        """
        if self.is_forked:
            raise StateError("used after fork: the lanes stayed in the parent process; make the runtime in this one")

    def check_open(self) -> None:
        """Raise `StateError` after a fork, `ClosedError` after `close`."""
        self.check_process()
        if self.closed:
            raise ClosedError("the runtime is closed; make a new one")

    def check_may_wait(self, what: str) -> None:
        """As `check_open`, and `StateError` in a function that a lane waits for.

        Parameters
        ----------
        what : str
            What the caller would wait for, e.g. ``"process()"``.
        """
        # Each frame asks this, so what is fine calls nothing.
        if self.closed or os.getpid() != self._pid:
            self.check_open()
        if self._callers and threading.get_ident() in self._callers:
            raise StateError(
                f"{what} would wait for a lane that stands still until the function given to on_lane() returns; "
                "call it afterwards, or in another thread without waiting for it"
            )

    def close(self) -> bool:
        """From now on no frame is admitted and no task loaded. False if it was closed before."""
        with self.lock:
            was_open, self.closed = not self.closed, True
            return was_open

    # ---- messages

    def say(self, level: int, text: str) -> None:
        """Log `text` once nobody holds the lock: handlers are users' code."""
        self.messages.append((level, text))

    def log(self) -> None:
        """Write what is to be said. Without the lock."""
        while self.messages:
            try:
                level, text = self.messages.popleft()
            except IndexError:  # another thread was quicker
                return
            _log.log(level, "%s", text)

    # ---- lanes

    def add_lane(self, native: _core.Lanes) -> int:
        """One more, the last, from the next frame on.

        Returns
        -------
        int
            Its index.
        """
        with self.lock:
            native.add()
            self.scheduler.add_lane()
            self.lane_counters.append(LaneCounters(time.monotonic_ns()))
            return len(self.lane_counters) - 1

    # ---- recording

    def record(self, recorder: Recorder) -> None:
        """Tell `recorder` what happens from now on.

        Raises
        ------
        ArgumentError
            There is another one.
        """
        with self.lock:
            if self.recorder is not None:
                raise ArgumentError("the runtime is being traced already; close that trace first")
            self.recorder = recorder

    def end_recording(self) -> None:
        """Tell nobody any more."""
        with self.lock:
            self.recorder = None

    # ---- tasks come and go

    def get(self, name: str) -> LoadedTask:
        """The task of that name.

        Raises
        ------
        ArgumentError
        """
        with self.lock:
            if name not in self.tasks:
                known = ", ".join(map(repr, self.tasks)) or "none"
                raise ArgumentError(f"there is no task {name!r}; there are {known}")
            return self.tasks[name]

    def snapshot(self) -> dict[str, LoadedTask]:
        """The tasks as they are now."""
        with self.lock:
            return dict(self.tasks)

    def enter(self, task: LoadedTask, wanted: str | None = None) -> None:
        """From the next frame on the task takes part; `wanted` is the backend that it was to have, if it fell back."""
        with self.lock:
            self.falls_back(task.name, wanted)
            self.scheduler.add(task.name, task.schedule, task.needs, task.lane.index)
            self.tasks[task.name] = task
            self._allow_preemption(task, task.lane)

    def falls_back(self, name: str, wanted: str | None) -> None:
        """The backend that a task was to have and has not; None: it has it."""
        with self.lock:
            self.fell_back.pop(name, None)
            if wanted is not None:
                self.fell_back[name] = wanted

    def leave(self, task: LoadedTask, successor: LoadedTask | None = None) -> bool:
        """From the next frame on the task takes no part, and `successor` may take its place.

        Returns
        -------
        bool
            Whether it is to be closed now. If not, it is not loaded, or the last frame that it takes part in closes it.
        """
        with self.lock:
            self.absent.discard(task.name)
            if successor is None:
                self.fell_back.pop(task.name, None)
                del self.tasks[task.name]
                self.scheduler.remove(task.name)
                self._allow_preemption(task, task.lane)
            else:
                self.tasks[task.name] = successor
                self.scheduler.latency.forget(task.name)
                self.scheduler.quarantine(task.name, None)
            return self._retire(task)

    def reschedule(self, task: LoadedTask, successor: LoadedTask) -> bool:
        """From the next frame on the task runs as `successor`, which preempts where it did not, or the other way round.

        Returns
        -------
        bool
            As `leave`.
        """
        with self.lock:
            successor.take_over(task)
            self.tasks[task.name] = successor
            self.scheduler.add(task.name, successor.schedule, successor.needs, successor.lane.index)
            self._allow_preemption(successor if successor.schedule.preempts else task, task.lane)
            return self._retire(task)

    def exchange(self, group: Sequence[LoadedTask], made: Mapping[str, LoadedTask], lane: int) -> list[LoadedTask]:
        """From the next frame on tasks run where they were loaded anew.

        Returns
        -------
        list of LoadedTask
            The old ones that are to be closed now, in that order. The last frame that they take part in closes the others.
        """
        with self.lock:
            for old in group:
                made[old.name].take_over(old)
                self.tasks[old.name] = made[old.name]
                self.absent.discard(old.name)
                self.scheduler.move(old.name, lane)
                for each in (old.lane, made[old.name].lane):
                    self._allow_preemption(old, each)
            return [old for old in reversed(group) if self._retire(old)]

    def _allow_preemption(self, changed: LoadedTask, lane: Lane) -> None:
        if changed.schedule.preempts:
            lane.allow_preemption(any(each.schedule.preempts and each.lane is lane for each in self.tasks.values()))

    def _retire(self, task: LoadedTask) -> bool:
        task.closing = True
        return task.in_flight == 0 and task.absence is None

    # ---- on the lanes

    def stood_still(self, lane: int, begin_ns: int, end_ns: int) -> None:
        """A lane did no frames, for a call of this runtime: see `Lane.call`."""
        with self.lock:
            self.lane_counters[lane].stopped(end_ns - begin_ns)
            if self.recorder is not None:
                self.recorder.stopped(lane, begin_ns, end_ns)

    def call(self, name: str, function: Callable[[Task], T]) -> T:
        """As `Runtime.on_lane`."""
        loaded = self.get(name)

        def call() -> T:
            if loaded.absence is not None or loaded.task.model.closed:
                raise ArgumentError(f"task {name!r} is not loaded at the moment")
            return function(loaded.task)

        return loaded.lane.call(call, self.stood_still)

    def close_soon(self, task: LoadedTask) -> Future[None]:
        """Close a task's model on its lane. What goes wrong is logged: whoever waits has nothing to do about it."""

        def close() -> None:
            try:
                task.close()
            except Exception as error:
                self.say(logging.ERROR, about_task(task.name, "could not be closed", error))
                self.log()

        return task.lane.call_soon(close, self.stood_still, always=True)
