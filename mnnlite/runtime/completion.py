"""The threads behind `Runtime.submit`: they wait for frames in order and complete their futures."""

from __future__ import annotations

import queue
import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from mnnlite.errors import StateError

if TYPE_CHECKING:
    from collections.abc import Callable

    from mnnlite.runtime.flight import InFlightFrame

__all__ = ["CompletionThread"]

T = TypeVar("T")


class _FrameFuture(Future[T]):
    """A future that the thread which completes it does not wait for."""

    _completer: threading.Thread

    def result(self, timeout: float | None = None) -> T:
        self._refuse_own_thread()
        return super().result(timeout)

    def exception(self, timeout: float | None = None) -> BaseException | None:
        self._refuse_own_thread()
        return super().exception(timeout)

    def _refuse_own_thread(self) -> None:
        if threading.current_thread() is self._completer and not self.done():
            raise StateError(
                "this frame's future is completed by the thread that waits for it, which runs decoders in Python and "
                "callbacks of futures; call process() there, or wait in another thread"
            )


class CompletionThread:
    """Completes futures in the order in which frames were given; those of the tasks that preempt in a thread of their own.

    Parameters
    ----------
    finish : callable
        Waits for a frame and gives its result.
    limit : int
        The most frames that wait to be completed.

    Raises
    ------
    StateError
        The system gives no thread.
    """

    def __init__(self, finish: Callable[[Any], Any], limit: int) -> None:
        self._finish, self._room = finish, threading.Semaphore(limit)
        self._usual = self._start("mnnlite-completion")
        self._urgent: _Line | None = None
        self._starting = threading.Lock()

    def _start(self, name: str) -> _Line:
        # The thread holds the queue and what it finishes frames with, and nothing that holds the runtime.
        waiting: queue.SimpleQueue[Any] = queue.SimpleQueue()  # (frame, its future, room was taken); None: end
        thread = threading.Thread(target=_complete, args=(waiting, self._room, self._finish), name=name, daemon=True)
        try:
            thread.start()
        except RuntimeError as error:
            raise StateError(f"submit() needs a thread, and the system gives none: {error}") from None
        return _Line(waiting, thread)

    def expect_urgent(self) -> None:
        """Before the first frame with a part that does not wait. Twice is fine. `StateError` as for the first thread."""
        if self._urgent is None:
            with self._starting:  # callers of submit() come from several threads
                if self._urgent is None:
                    self._urgent = self._start("mnnlite-completion-urgent")

    @property
    def is_current(self) -> bool:
        """The caller is one of these threads: a decoder in Python, or a callback of a future."""
        return any(threading.current_thread() is each.thread for each in self._lines)

    @property
    def _lines(self) -> list[_Line]:
        return [self._usual] if self._urgent is None else [self._usual, self._urgent]

    def take_room(self, timeout_s: float) -> bool:
        """Wait until one frame less is to be completed. Not on the thread itself, which would wait for its own work."""
        return self.is_current or self._room.acquire(timeout=timeout_s)

    def give_room(self) -> None:
        """The room that was taken is not needed."""
        if not self.is_current:
            self._room.release()

    def complete(self, flight: InFlightFrame) -> Future[Any]:
        """Give the future of a frame that is on its way, for which room was taken; that of its urgent part if it has one."""
        has_room = not self.is_current
        given: Future[Any] | None = None
        parts = flight.parts
        flight.urgent = None
        for part in reversed(parts):
            line = self._urgent if part.is_urgent and self._urgent is not None else self._usual
            future: _FrameFuture[Any] = _FrameFuture()
            future._completer = line.thread
            future.set_running_or_notify_cancel()  # a frame on its way cannot be called back
            part.result.rest = given
            line.waiting.put((part, future, has_room))
            given, has_room = future, False
        assert given is not None
        return given

    def close(self, wait: bool = True) -> None:
        """Complete what was given, then end."""
        for line in self._lines:
            line.waiting.put(None)
        if wait and not self.is_current:
            for line in self._lines:
                line.thread.join()


class _Line(NamedTuple):
    waiting: queue.SimpleQueue[Any]
    thread: threading.Thread


def _complete(work: queue.SimpleQueue[Any], room: threading.Semaphore, finish: Callable[[Any], Any]) -> None:
    while (taken := work.get()) is not None:
        flight, future, has_room = taken
        if has_room:
            room.release()
        try:
            result = finish(flight)
        except BaseException as error:
            future.set_exception(error)
        else:
            future.set_result(result)
        del taken, flight, future
        result = None
