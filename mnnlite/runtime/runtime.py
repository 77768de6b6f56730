"""`Runtime`: many tasks on a stream of frames."""

from __future__ import annotations

import time
import weakref
from typing import IO, TYPE_CHECKING

from mnnlite.arena import runtime_options
from mnnlite.runtime.exit import open_runtimes
from mnnlite.runtime.flight import OfferedFrame, check_frame
from mnnlite.runtime.parts import RuntimeParts
from mnnlite.runtime.prometheus import prometheus
from mnnlite.runtime.stream import Stream
from mnnlite.runtime.tasks import RuntimeTasks
from mnnlite.runtime.trace import Trace

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Sequence
    from concurrent.futures import Future

    from typing_extensions import Self

    from mnnlite.frame import Frame
    from mnnlite.runtime.memory import RuntimeMemory
    from mnnlite.runtime.result import FrameResult
    from mnnlite.runtime.stats import RuntimeStats

__all__ = ["Runtime"]


class Runtime(RuntimeTasks):
    """Many tasks on a stream of frames, in lanes that share memory and work in parallel.

    Parameters
    ----------
    lanes : int
        How many worker threads there are. Tasks of a lane run one after the other and share one buffer for feature maps;
        lanes run in parallel. At most ``lanes + 1`` frames are in flight.
    threads : int
        How many threads the engine uses in each lane.
    memory : str or int, optional
        A budget, e.g. ``"64 MiB"``. It bounds how much this process's anonymous memory grows from here on; the peak of
        loading counts. A task that does not fit is refused, unless evictable tasks can be unloaded for it. Models must be
        files. A child process measures the cost of a model that was never seen, in some tenths of a second.
    weights, winograd, precision, memory_mode, backend, fallback, tuning, gpu_memory : str
        Of the tasks that do not say otherwise; see `Arena` and `TaskSpec`. Tasks of a GPU are in a lane of their own beside `lanes`.
    cores : "auto" or list of list of int, optional
        Bind lanes to cores. ``"auto"`` gives each lane one core, the fastest first (big.LITTLE), hyper-threads last. A list
        gives the numbers of the cores of each lane: ``[[4, 5], [0]]``. This needs ``threads=1``, because the engine's own
        threads belong to the process and not to a lane.
    force : bool
        Allow more lanes times threads than there are cores, and lanes that share cores.
    replan : bool
        Move tasks to other lanes while frames are worked on. A task moves when another placement has been better by a fifth
        for 100 frames, by measured cost. It is then loaded again, and the lane that loads it stops meanwhile. Tasks with
        ``state`` do not move.
    max_failures : int
        A task that fails this many times in a row is quarantined: the runtime leaves it out, and says why, until it is
        replaced.
    weights_dir : path, optional
        See `Arena`.
    heap : {"share", "keep"}
        Whether mnnlite may change the process's heap, see the notes.
    tune : {"auto"}, optional
        Tasks get the options that ``mnnlite tune`` found best here; what a task says itself stays. Nothing is measured: a network
        that was not tuned is refused. A `Pipeline` is chosen for as a whole, `add` chooses for one task.
    watchdog_s : float
        A run that takes longer than this is logged and listed in `stats`.
    trial : bool or float
        Load and run each new task's model in a child process first, where a crash of the engine is an error; see `Model`.

    Raises
    ------
    ArgumentError, StateError
        A value cannot be used, such as more lanes times threads than there are cores; or the system gives no thread.

    Notes
    -----
    Threads: any thread may call. Lanes work on frames in the order of their admission, and results come in that order, except
    those of tasks that preempt. Lanes are native and do not hold the GIL while they work; a frame costs the calling thread
    one release of it.

    Decoders in Python and callbacks of futures may call every method. Waiting for a future of `submit` on the thread that
    completes it raises `StateError`. So does a function given to `on_lane` that calls what would wait for its own lane.

    Time: deadlines count from a frame's ``timestamp_ns`` if that is a time of `time.monotonic_ns` (not in the future, and
    less than a minute ago). Otherwise they count from the moment at which the frame was taken from the source.

    Memory: the first `add` of a process changes the process's heap, see `add`. ``heap="keep"``, or ``MNNLITE_HEAP=keep`` in the
    environment, forbids that for the whole process, and forbids giving free pages back (``malloc_trim``). Memory that removed
    networks leave in the heaps of single threads then stays with the process.

    A runtime does not survive ``fork``.
    """

    def __init__(
        self,
        lanes: int = 1,
        threads: int = 1,
        memory: str | int | None = None,
        weights: str = "heap",
        *,
        winograd: str = "large",
        precision: str = "normal",
        memory_mode: str = "normal",
        cores: str | Sequence[Sequence[int]] | None = None,
        force: bool = False,
        replan: bool = False,
        max_failures: int = 3,
        watchdog_s: float = 10.0,
        weights_dir: str | os.PathLike[str] | None = None,
        trial: bool | float = False,
        heap: str = "share",
        tune: str | None = None,
        backend: str = "cpu",
        fallback: str | None = None,
        tuning: str = "none",
        gpu_memory: str = "auto",
    ) -> None:
        said = {"weights": weights, "winograd": winograd, "precision": precision, "memory_mode": memory_mode}
        said |= {"backend": backend, "tuning": tuning, "gpu_memory": gpu_memory}
        options = runtime_options(weights_dir=weights_dir, fallback=fallback, **said)
        parts = RuntimeParts(
            lanes, threads, memory, options, cores, force, replan, max_failures, watchdog_s, trial, heap, tune
        )
        self.threads = threads
        self._parts, self._registry, self._dispatcher = parts, parts.registry, parts.dispatcher
        self._trace: Trace | None = None
        self._streams: weakref.WeakSet[Stream] = weakref.WeakSet()
        open_runtimes.add(self)

    # ---- frames

    def process(self, frame: Frame) -> FrameResult:
        """Work on one frame and wait for it.

        Raises
        ------
        ArgumentError, ClosedError
            Not a frame; the runtime is closed. What goes wrong in a task is in the result's ``errors``.
        """
        check_frame(frame)
        self._begin("process()")
        dispatcher = self._dispatcher
        return dispatcher.finish(dispatcher.admit(OfferedFrame(frame, time.monotonic_ns()), dropping=False))

    def submit(self, frame: Frame) -> Future[FrameResult]:
        """Hand one frame to the lanes and do not wait for its results. Waits while ``lanes + 1`` frames are in flight.

        Parameters
        ----------
        frame : Frame
            Its pixels must not change until the future is done.

        Returns
        -------
        concurrent.futures.Future
            A future of a `FrameResult`. Futures are done in the order of submission and are never cancelled. Where tasks
            preempt, it gives the results of these, and their `rest` is the future of the others.
        """
        check_frame(frame)
        self._begin("submit()")
        return self._parts.submit(frame)

    def stream(self, source: Iterable[Frame], latest: bool = False) -> Stream:
        """Work on all frames of a source.

        Parameters
        ----------
        source : iterable of Frame
            A thread of its own reads it.
        latest : bool
            False: the source waits for the lanes, and no frame is dropped. True: the source never waits. Of the frames that
            come while the lanes are busy the stream keeps only the newest; it drops and counts the others. Tasks that preempt
            still get every frame, and have results of their own (`FrameResult.part`).

        Returns
        -------
        Stream
            Iterate over it with ``for`` or ``async for``: a `FrameResult` for each frame that was worked on, in order.
            Errors of the source are raised after the last result.
        """
        self._registry.check_open()
        stream = Stream(self._registry, self._dispatcher, self._parts.rebalancer, source, latest, owner=self)
        self._streams.add(stream)
        return stream

    def _begin(self, what: str) -> None:
        """Before a frame: the first one settles where tasks are."""
        self._registry.check_may_wait(what)
        if not self._parts.rebalancer.settled:
            self._parts.rebalancer.settle()

    # ---- what there is to know

    def plan(self) -> str:
        """Say which task runs in which lane, how often, and how long it takes, as lines of text."""
        self._begin("plan()")
        return self._parts.report.plan()

    def memory(self) -> RuntimeMemory:
        """Return the memory of the tasks and lanes in bytes and, with a budget, how much of it is used."""
        self._registry.check_open()
        return self._parts.report.memory()

    def trace(self, target: str | os.PathLike[str] | IO[str] | None = None, *, max_frames: int = 10_000) -> Trace:
        """Record from now on what the lanes do, for ui.perfetto.dev or chrome://tracing.

        Parameters
        ----------
        target : path, or file open for text, optional
            It is written when the trace or the runtime is closed. Without it call `Trace.save`.
        max_frames : int
            The trace keeps the last so many frames.

        Returns
        -------
        Trace
            ``with runtime.trace("out.json"): ...`` A frame costs a few microseconds more while it is on.

        Raises
        ------
        ArgumentError, OutputError
            The runtime is being traced already; the file could not be written.
        """
        self._registry.check_open()
        self._trace = Trace(self._registry, target, max_frames)
        return self._trace

    def stats(self) -> RuntimeStats:
        """Return counts and times since the runtime was made."""
        self._registry.check_process()
        return self._parts.report.stats()

    def prometheus(self) -> str:
        """Give `stats` in Prometheus' text format."""
        return prometheus(self.stats())

    # ---- the end

    def close(self) -> None:
        """Finish the frames in flight, then close all tasks and lanes. Closing twice is fine."""
        if self._registry.closed:
            return
        if self._registry.is_forked:  # the lanes are the parent's
            open_runtimes.discard(self)
            return
        self._registry.check_may_wait("close()")
        if self._parts.close(list(self._streams)):
            open_runtimes.discard(self)
            if self._trace is not None:
                self._trace.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        parts = getattr(self, "_parts", None)
        if parts is not None and not parts.registry.closed and not parts.registry.is_forked:
            parts.abandon()

    def __repr__(self) -> str:
        state = "closed" if self._registry.closed else ", ".join(self._registry.snapshot()) or "no tasks"
        return f"Runtime(lanes={len(self._parts.lanes)}, threads={self.threads}: {state})"
