"""The thread behind `Runtime.submit`: it waits for frames in order and completes their futures."""

from __future__ import annotations

import queue
import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, TypeVar

from mnnlite.errors import StateError

if TYPE_CHECKING:
    from collections.abc import Callable

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
    """Completes futures in the order in which frames were given.

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
        self._queue: queue.SimpleQueue[Any] = queue.SimpleQueue()  # (frame, its future, room was taken); None: end
        self._room = threading.Semaphore(limit)
        # The thread holds the queue and what it finishes frames with, and nothing that holds the runtime.
        self._thread = threading.Thread(
            target=_complete, args=(self._queue, self._room, finish), name="mnnlite-completion", daemon=True
        )
        try:
            self._thread.start()
        except RuntimeError as error:
            raise StateError(f"submit() needs a thread, and the system gives none: {error}") from None

    @property
    def is_current(self) -> bool:
        """The caller is this thread: a decoder in Python, or a callback of a future."""
        return threading.current_thread() is self._thread

    def take_room(self, timeout_s: float) -> bool:
        """Wait until one frame less is to be completed. Not on the thread itself, which would wait for its own work."""
        return self.is_current or self._room.acquire(timeout=timeout_s)

    def give_room(self) -> None:
        """The room that was taken is not needed."""
        if not self.is_current:
            self._room.release()

    def complete(self, flight: Any) -> Future[Any]:
        """Give the future of a frame that is on its way, for which room was taken."""
        future: _FrameFuture[Any] = _FrameFuture()
        future._completer = self._thread
        future.set_running_or_notify_cancel()  # a frame on its way cannot be called back
        self._queue.put((flight, future, not self.is_current))
        return future

    def close(self, wait: bool = True) -> None:
        """Complete what was given, then end."""
        self._queue.put(None)
        if wait and not self.is_current:
            self._thread.join()


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
