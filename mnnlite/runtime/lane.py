"""A lane's thread: frames in native code, and calls between them, which load and close models.

All engine calls of the lane's arenas happen on it.
"""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, TypeVar

from mnnlite import _core
from mnnlite.arena import Arena, gpu_words, runtime_arena, task_options
from mnnlite.engine_options import GPUS
from mnnlite.errors import OutOfMemoryError, StateError
from mnnlite.proc import trim

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mnnlite.engine_options import EngineOptions
    from mnnlite.runtime.sharing import SessionKey, SharedModel

__all__ = ["Lane", "join_stopped"]

T = TypeVar("T")
_EXIT_S = 10  # how long the end of the process waits for a run to end
_stopped: weakref.WeakSet[threading.Thread] = weakref.WeakSet()
_Arenas = dict[tuple[object, bool], Arena]
_Note = Callable[[int, int, int], None]  # lane, begin, end
_Calls = deque[tuple["Future[Any]", "Callable[[], Any]", "_Note | None", bool]]


class Lane:
    """One worker thread with its arenas.

    Parameters
    ----------
    lanes : _core.Lanes
        All lanes; this one is `index` of them.
    index : int
    options : dict
        What its tasks have that do not say otherwise, as `runtime_options` gives them.
    callers : set of int
        The runtime's: identifiers of the threads that are in a call between frames. Such a thread must not wait for a lane.
    cores : tuple of int, optional
        The only ones that the thread runs on.
    backend : str
        Whose tasks it is for.
    """

    def __init__(
        self,
        lanes: _core.Lanes,
        index: int,
        options: Mapping[str, str],
        callers: set[int],
        cores: tuple[int, ...] | None = None,
        backend: str = "cpu",
    ) -> None:
        self.index, self.cores, self.backend = index, cores, backend
        self.options = options
        self.arenas: _Arenas = {}
        self.models: dict[SessionKey, SharedModel] = {}  # that several tasks may use
        # One memory for all its tasks' pictures, and another for those of tasks that run while one of these is at work.
        self.inputs, self.urgent_inputs = _core.InputPool(), _core.InputPool()
        self._lanes = lanes
        self._calls: _Calls = deque()
        self._posting = threading.Lock()
        self._stopped = False
        # A daemon: a run that hangs must not keep the process alive. It holds what it works with, and nothing that holds the
        # runtime.
        self._thread = threading.Thread(
            target=_serve,
            args=(lanes, index, cores, self._calls, self.arenas, callers),
            name=f"mnnlite-lane-{index}",
            daemon=True,
        )
        self._started = False

    def start(self) -> None:
        """Start the thread; until then the lane takes no calls. Twice is fine.

        Raises
        ------
        StateError
            The system gives no thread.
        """
        with self._posting:
            if self._started:
                return
            try:
                self._thread.start()
            except RuntimeError as error:
                text = f"lane {self.index} needs a thread, and the system gives none: {error}"
                raise StateError(text) from None
            self._started = True

    @property
    def started(self) -> bool:
        """Whether there is a thread, to be stopped and joined."""
        return self._started

    def call(self, function: Callable[[], T], note: _Note | None = None) -> T:
        """Call `function` on the lane's thread, after all frames submitted so far and before all later ones.

        Parameters
        ----------
        function : callable
        note : callable, optional
            Is told the lane's index and when its frames stood still for the call, begin and end, by `time.monotonic_ns`.

        Raises
        ------
        StateError
            The system gives no thread for it. The lane goes on.
        Exception
            What the function raises.
        """
        return self.call_soon(function, note).result()

    def call_soon(self, function: Callable[[], T], note: _Note | None = None, *, always: bool = False) -> Future[T]:
        """As `call`, without waiting. With `always` also where the system gives no thread: what closes a model must run."""
        future: Future[T] = Future()
        with self._posting:  # calls are made in the order in which they were posted
            self._calls.append((future, function, note, always))
            try:
                self._lanes.call(self.index)
            except OutOfMemoryError:
                self._calls.pop()  # nobody will call it
                raise
        return future

    def arena(self, own: EngineOptions, threads: int, urgent: bool = False) -> Arena:
        """The lane's arena for tasks of these options, that preempt or do not; on the lane's thread.

        Tasks that differ neither in their threads nor in what they say of a GPU share it: precision, memory mode, Winograd and
        weights are each session's own.
        """
        of_gpu = gpu_words(own, self.options)
        count = own.threads or threads
        key = (tuple(of_gpu.items()) or count, urgent)
        if key not in self.arenas:
            self.arenas[key] = runtime_arena(count, self.options, of_gpu)
        return self.arenas[key]

    def model_options(self, own: EngineOptions, threads: int) -> dict[str, Any]:
        """How a task's model would be loaded here: arguments of `Model`."""
        usual = {name: _core.ArenaOptions.words(name)[0] for name in _core.ArenaOptions.names()}
        count = 1 if own.backend_in(self.options) in GPUS else own.threads or threads
        found = {**usual, "weights_dir": None, "threads": count}
        return {**found, **task_options(own, self.options)}

    def allow_preemption(self, allowed: bool) -> None:
        """Whether networks give way, from the next frame on. Where none has to they run without callbacks."""
        self._lanes.allow_preemption(self.index, allowed)

    def shrink(self) -> None:
        """On the lane's thread: give the feature maps back, until the next run."""
        for arena in self.arenas.values():
            arena.shrink()

    def tidy(self) -> None:
        """On the lane's thread, after a task went: what only it needed goes back to the system."""
        self.inputs.fit()
        self.urgent_inputs.fit()
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
        if self._started and not self._stopped:
            self._stopped = True
            _stopped.add(self._thread)
            self._lanes.stop(self.index)

    def join(self) -> None:
        """Wait for the thread's end."""
        if self._started:
            self._thread.join()


def join_stopped() -> None:
    """At the end of the process: a lane that was told to end must not come back to an interpreter that is gone."""
    for thread in list(_stopped):
        thread.join(_EXIT_S)


def _serve(
    lanes: _core.Lanes,
    index: int,
    cores: tuple[int, ...] | None,
    calls: _Calls,
    arenas: _Arenas,
    callers: set[int],
) -> None:
    if cores is not None:
        os.sched_setaffinity(0, cores)  # of this thread alone, and of those that it starts
    while lanes.serve(index):
        future, function, note, always = calls.popleft()
        outcome: list[tuple[Any, BaseException | None]] = []
        # In a thread that ends: glibc keeps small blocks that a thread freed in a cache of that thread, out of reach of
        # malloc_trim, and each holds its page. What loading leaves there would be a megabyte for good.
        work = (function, outcome, arenas, callers, note, index)
        call = threading.Thread(target=_call, args=work, name=f"mnnlite-lane-{index}-call", daemon=True)
        try:
            call.start()
        except RuntimeError as error:
            if always:
                _call(*work)
            else:
                text = f"lane {index} needs a thread to load or close a task, and the system gives none: {error}"
                outcome.append((None, StateError(text)))
        else:
            call.join()
        del call, work, function, note
        trim()
        result, failure = outcome.pop()
        if failure is None:
            future.set_result(result)
        else:
            future.set_exception(failure)
        del future, result, failure  # nothing of the caller's is kept until the next call


def _call(
    function: Callable[[], Any],
    outcome: list[tuple[Any, BaseException | None]],
    arenas: _Arenas,
    callers: set[int],
    note: _Note | None,
    index: int,
) -> None:
    me, begin = threading.get_ident(), time.monotonic_ns()
    try:
        callers.add(me)
        for arena in arenas.values():
            arena.native.adopt()
        outcome.append((function(), None))
    except BaseException as error:
        outcome.append((None, error))
    finally:
        callers.discard(me)
        if note is not None:
            note(index, begin, time.monotonic_ns())
