"""The thread behind `Runtime.submit`: it waits for frames in order and completes their futures."""

from __future__ import annotations

import queue
import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Collector"]


class Collector:
    """Completes futures in the order in which frames were given.

    Parameters
    ----------
    finish : callable
        Waits for a frame and gives its result.
    """

    def __init__(self, finish: Callable[[Any], Any]) -> None:
        self._queue: queue.SimpleQueue[tuple[Any, Future[Any]] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, args=(finish,), name="mnnlite-collector", daemon=True)
        self._thread.start()

    def collect(self, flight: Any) -> Future[Any]:
        """Give the future of a frame that is on its way."""
        future: Future[Any] = Future()
        future.set_running_or_notify_cancel()  # a frame on its way cannot be called back
        self._queue.put((flight, future))
        return future

    def _work(self, finish: Callable[[Any], Any]) -> None:
        while (taken := self._queue.get()) is not None:
            flight, future = taken
            try:
                result = finish(flight)
            except BaseException as error:
                future.set_exception(error)
            else:
                future.set_result(result)
            del taken, flight, future
            result = None

    def close(self) -> None:
        """Complete what was given, then end."""
        self._queue.put(None)
        if threading.current_thread() is not self._thread:
            self._thread.join()
