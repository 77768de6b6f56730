"""A lane's thread: frames in native code, and calls between them, which load and close models.

All engine calls of the lane's arenas happen on it.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, TypeVar

from mnnlite import _core
from mnnlite.model import Arena
from mnnlite.proc import trim

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mnnlite.runtime.sharing import Key, Shared

__all__ = ["Lane"]

T = TypeVar("T")
_Arenas = dict[tuple[str, int], Arena]
_Calls = deque[tuple["Future[Any]", "Callable[[], Any]"]]


class Lane:
    """One worker thread with its arenas.

    Parameters
    ----------
    lanes : _core.Lanes
        All lanes; this one is `index` of them.
    index : int
    options : dict
        Of the arenas, as `memory_options` gives them.
    cores : tuple of int, optional
        The only ones that the thread runs on.
    """

    def __init__(
        self, lanes: _core.Lanes, index: int, options: Mapping[str, str], cores: tuple[int, ...] | None = None
    ) -> None:
        self.index, self.cores = index, cores
        self.options = options
        self.arenas: _Arenas = {}
        self.models: dict[Key, Shared] = {}  # that several tasks may use
        self.inputs = _core.InputPool()  # one memory for all its tasks' pictures
        self._lanes = lanes
        self._calls: _Calls = deque()
        self._posting = threading.Lock()
        self._stopped = False
        # A daemon: a run that hangs must not keep the process alive.
        self._thread = threading.Thread(
            target=_serve,
            args=(lanes, index, cores, self._calls, self.arenas),
            name=f"mnnlite-lane-{index}",
            daemon=True,
        )
        self._thread.start()

    def call(self, function: Callable[[], T]) -> T:
        """Call `function` on the lane's thread, after all frames submitted so far and before all later ones.

        Raises
        ------
        Exception
            What the function raises.
        """
        return self.call_soon(function).result()

    def call_soon(self, function: Callable[[], T]) -> Future[T]:
        """As `call`, without waiting."""
        future: Future[T] = Future()
        with self._posting:  # the order of calls is that of their turns
            self._calls.append((future, function))
            self._lanes.call(self.index)
        return future

    def arena(self, precision: str, threads: int) -> Arena:
        """The lane's arena of these options; on the lane's thread."""
        key = (precision, threads)
        if key not in self.arenas:
            self.arenas[key] = Arena(precision=precision, threads=threads, **self.options)
        return self.arenas[key]

    def tidy(self) -> None:
        """On the lane's thread, after a task went: what only it needed goes back to the system."""
        self.inputs.fit()
        for key, arena in list(self.arenas.items()):
            if all(model.closed for model in arena._models):
                del self.arenas[key]
                arena.close()
            else:
                arena.shrink()

    def close_arenas(self) -> None:
        """On the lane's thread, at the end."""
        for arena in self.arenas.values():
            arena.close()
        self.arenas.clear()

    def stop(self) -> None:
        """End the thread once everything submitted is done; do not wait for it. Twice is fine."""
        if not self._stopped:
            self._stopped = True
            self._lanes.stop(self.index)

    def join(self) -> None:
        """Wait for the thread's end."""
        self._thread.join()


def _serve(lanes: _core.Lanes, index: int, cores: tuple[int, ...] | None, calls: _Calls, arenas: _Arenas) -> None:
    if cores is not None:
        os.sched_setaffinity(0, cores)  # of this thread alone, and of those that it starts
    while lanes.serve(index):
        future, function = calls.popleft()
        outcome: list[tuple[Any, BaseException | None]] = []
        # In a thread that ends: glibc keeps small blocks that a thread freed in a cache of that thread, out of reach of
        # malloc_trim, and each holds its page. What loading leaves there would be a megabyte for good.
        call = threading.Thread(
            target=_call, args=(function, outcome, arenas), name=f"mnnlite-lane-{index}-call", daemon=True
        )
        del function
        call.start()
        call.join()
        del call
        trim()
        result, error = outcome.pop()
        if error is None:
            future.set_result(result)
        else:
            future.set_exception(error)
        del future, result, error  # nothing of the caller's is kept until the next call


def _call(function: Callable[[], Any], outcome: list[tuple[Any, BaseException | None]], arenas: _Arenas) -> None:
    for arena in arenas.values():
        arena.native.adopt()
    try:
        outcome.append((function(), None))
    except BaseException as error:
        outcome.append((None, error))
