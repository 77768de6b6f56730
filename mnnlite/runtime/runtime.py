"""`Runtime`: many tasks on a stream of frames."""

from __future__ import annotations

import time
import weakref
from dataclasses import replace
from typing import IO, TYPE_CHECKING, Any, TypeVar

from mnnlite.arena import memory_options
from mnnlite.errors import ArgumentError
from mnnlite.frame import Frame
from mnnlite.runtime.exit import open_runtimes
from mnnlite.runtime.flight import OfferedFrame
from mnnlite.runtime.parts import RuntimeParts
from mnnlite.runtime.prometheus import prometheus
from mnnlite.runtime.schedule import Schedule
from mnnlite.runtime.stream import Stream
from mnnlite.runtime.trace import Trace

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from concurrent.futures import Future

    from typing_extensions import Self

    from mnnlite.runtime.memory import RuntimeMemory
    from mnnlite.runtime.result import FrameResult
    from mnnlite.runtime.stats import RuntimeStats
    from mnnlite.specs import ImageSpec, TaskSpec
    from mnnlite.task import Task

__all__ = ["Runtime"]

T = TypeVar("T")


class Runtime:
    """Many tasks on a stream of frames, in lanes that share memory and work in parallel.

    Parameters
    ----------
    lanes : int
        Worker threads. Tasks of a lane run one after the other and share one buffer for feature maps; lanes run in
        parallel. At most ``lanes + 1`` frames are on their way.
    threads : int
        Of the engine, in each lane.
    memory : str or int, optional
        A budget, e.g. ``"64 MiB"``: bounds the growth of this process's anonymous memory from here on, the peak of
        loading included. A task that does not fit is refused, or takes the place of evictable ones. Models must be files;
        the cost of one that was never seen is found by a child process (some tenths of a second).
    weights : {"heap", "mapped"}
        ``"mapped"``: weights lie in files that mnnlite writes when it loads a model; the kernel may drop their pages when
        memory is short, at the price of reading them again. See `Arena`.
    winograd : {"large", "small", "none"}
        ``"small"`` and ``"none"``: less memory for the weights of 3x3 convolutions, which then take longer. See `Arena`.
    cores : "auto" or list of list of int, optional
        Bind lanes to cores: ``"auto"`` gives each lane one, the fastest first (big.LITTLE), hyper-threads last; or the
        numbers for each lane, ``[[4, 5], [0]]``. Only with one thread a lane: the engine's own belong to the process.
    force : bool
        Allow more lanes times threads than there are cores, and lanes that share cores.
    replan : bool
        Move tasks to other lanes while frames are worked on, when by measured cost that has been better by a fifth for
        100 frames. Moving is loading anew, for which a lane stops. Tasks with ``state`` stay.
    max_failures : int
        After so many failures in a row a task is quarantined: it is left out, with the reason, until it is replaced.
    weights_dir : path, optional
        Where the files with weights are made, without names: a folder on a disk. ``/var/tmp`` if not said.
    heap : {"share", "keep"}
        Whether mnnlite may change the process's heap, see the notes.
    watchdog_s : float
        A run that takes longer is reported: logged, and listed in `stats`.
    trial : bool or float
        Load and run each new task's model in a child process first, where a crash of the engine is an error; see `Model`.

    Raises
    ------
    ArgumentError, StateError
        A value that cannot be used, such as more lanes times threads than cores; the system gives no thread.

    Notes
    -----
    Threads: any may call; frames are worked on in the order of their admission and results come in that order, but for tasks
    that preempt. Lanes are native and hold no GIL while they work; a frame costs the calling thread one release of it.

    Decoders in Python and callbacks of futures may call everything; waiting for a future of `submit` on the thread that
    completes it is `StateError`. A function given to `on_lane` gets that for what would wait for its own lane.

    Time: deadlines count from a frame's ``timestamp_ns`` where that is of `time.monotonic_ns` (not in the future and
    less than a minute ago), else from the moment the frame was taken from the source.

    Memory: the first `add` of a process changes its heap, see there. ``heap="keep"``, or ``MNNLITE_HEAP=keep`` in the
    environment, refuses that and the giving back of free pages (``malloc_trim``) for the whole process: what removed networks
    leave in heaps of single threads stays then.

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
        cores: str | Sequence[Sequence[int]] | None = None,
        force: bool = False,
        replan: bool = False,
        max_failures: int = 3,
        watchdog_s: float = 10.0,
        weights_dir: str | os.PathLike[str] | None = None,
        trial: bool | float = False,
        heap: str = "share",
    ) -> None:
        parts = RuntimeParts(
            lanes,
            threads,
            memory,
            memory_options(weights=weights, weights_dir=weights_dir, winograd=winograd),
            cores,
            force,
            replan,
            max_failures,
            watchdog_s,
            trial,
            heap,
        )
        self.threads = threads
        self._parts, self._registry, self._dispatcher = parts, parts.registry, parts.dispatcher
        self._trace: Trace | None = None
        self._streams: weakref.WeakSet[Stream] = weakref.WeakSet()
        open_runtimes.add(self)

    # ---- tasks

    def add(
        self, name: str, spec: TaskSpec | str | os.PathLike[str], schedule: Schedule | None = None, **options: Any
    ) -> None:
        """Load a task. While frames are worked on, only its lane stops, for the one load.

        Parameters
        ----------
        name : str
            Results are found under it. No dots.
        spec : TaskSpec or path
            A path is a network that is used as it says, see `mnnlite.describe`. Paths are made absolute: the model may be
            loaded again later.
        schedule : Schedule, optional
            When it runs, and on what: on each whole frame if not said.
        **options
            The same, or changes of it: the parameters of `Schedule` by name, ``priority=10, deadline_ms=40``.

        Raises
        ------
        ArgumentError
            A value that cannot be used; a name that is taken; a task to come after that is not there.
        MemoryBudgetError
            It does not fit: says by how much, and what would.
        StateError
            Called from a function given to `on_lane`, or the system gives no thread.
        ModelError, EngineError, OutOfMemoryError
            As for `Task`; nothing has changed.

        Notes
        -----
        The first one of a runtime starts the threads of its lanes. Before that, unless it is refused (``heap="keep"``,
        ``MNNLITE_HEAP=keep``) or ``MALLOC_ARENA_MAX`` says otherwise, the process's threads that are started from then on
        share the heaps there are: glibc's ``M_ARENA_MAX``, which is the process's and has no finer form.
        """
        self._registry.check_may_wait("add()")
        self._parts.start_lanes()
        self._parts.changes.add(name, spec, replace(schedule or Schedule(), **options))

    def remove(self, name: str) -> None:
        """Close a task and give its memory back to the system. Only its lane stops for it.

        Raises
        ------
        ArgumentError
            There is no such task, or others come after it.
        """
        self._registry.check_may_wait("remove()")
        self._parts.changes.remove(name)

    def replace(self, name: str, spec: TaskSpec | str | os.PathLike[str]) -> None:
        """Swap what a task runs, under load: from one frame to the next. How it is scheduled stays.

        The new model is loaded while the old one is still there; the lane stops for the load.

        Raises
        ------
        ArgumentError
            There is no such task, or others come after it.
        MnnliteError
            As for `add`; the old one goes on.
        """
        self._registry.check_may_wait("replace()")
        self._parts.changes.replace(name, spec)

    def resize(
        self,
        name: str,
        shapes: Mapping[str, Sequence[int]] | None = None,
        *,
        image: ImageSpec | Mapping[str, ImageSpec] | None = None,
    ) -> None:
        """Give a task's inputs other shapes, under load: from one frame to the next.

        The network is planned anew from its file beside the one that runs, as `replace` does. State starts at zeros.

        Parameters
        ----------
        name : str
        shapes : dict of str to tuple of int, optional
            New shapes of inputs. Those that are not named keep theirs.
        image : ImageSpec or dict of str to ImageSpec, optional
            A new image spec, whose ``size`` says what the file leaves open. Without it the spec stays.

        Raises
        ------
        ArgumentError
            Neither is given; there is no such task, or others come after it.
        MnnliteError
            As for `add`; the task goes on as it was.
        """
        self._registry.check_may_wait("resize()")
        self._parts.changes.resize(name, shapes, image)

    @property
    def tasks(self) -> dict[str, TaskSpec]:
        """By name, in the order of adding."""
        return {name: task.spec for name, task in self._registry.snapshot().items()}

    def on_lane(self, name: str, function: Callable[[Task], T]) -> T:
        """Call a function with a loaded task between frames, on the thread that runs it; only its lane stands still.

        Parameters
        ----------
        name : str
        function : callable
            Gets the `Task`; must not keep or close it. It may ask the runtime; what would wait for a lane is `StateError`.

        Returns
        -------
        Whatever `function` returns. What it raises is raised.

        Raises
        ------
        ArgumentError
            There is no such task, or its model is not loaded at the moment.
        StateError
            Called from such a function, or the system gives no thread.
        """
        self._registry.check_may_wait("on_lane()")
        return self._registry.call(name, function)

    # ---- frames

    def process(self, frame: Frame) -> FrameResult:
        """Work on one frame and wait for it.

        Raises
        ------
        ArgumentError, ClosedError
            Not a frame; the runtime is closed. What goes wrong in a task is in the result's ``errors``.

        """
        _check_frame(frame)
        self._begin("process()")
        dispatcher = self._dispatcher
        return dispatcher.finish(dispatcher.admit(OfferedFrame(frame, time.monotonic_ns()), dropping=False))

    def submit(self, frame: Frame) -> Future[FrameResult]:
        """Work on one frame without waiting for it. Waits while ``lanes + 1`` frames are on their way.

        Parameters
        ----------
        frame : Frame
            Its pixels must not change until the result is there.

        Returns
        -------
        concurrent.futures.Future
            Of a `FrameResult`, done in the order of submission; where tasks preempt, of these, with the `rest`. Never cancelled.

        """
        _check_frame(frame)
        self._begin("submit()")
        return self._parts.submit(frame)

    def stream(self, source: Iterable[Frame], latest: bool = False) -> Stream:
        """Work on all frames of a source.

        Parameters
        ----------
        source : iterable of Frame
            Read in a thread of its own.
        latest : bool
            False: the source waits, nothing is dropped. True: the source never waits; of the frames that come while the
            lanes are busy only the newest is kept, the others are dropped and counted; but tasks that preempt have every frame, and
            results of their own (`FrameResult.part`).

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
        """Say which task runs in which lane, how often, and what it takes: lines of text."""
        self._begin("plan()")
        return self._parts.report.plan()

    def memory(self) -> RuntimeMemory:
        """Memory of the tasks and lanes, in bytes; under a budget how that stands."""
        self._registry.check_open()
        return self._parts.report.memory()

    def trace(self, target: str | os.PathLike[str] | IO[str] | None = None, *, max_frames: int = 10_000) -> Trace:
        """Record from now on what the lanes do, for ui.perfetto.dev or chrome://tracing.

        Parameters
        ----------
        target : path, or file open for text, optional
            Written when the trace is closed, or the runtime. Without it call `Trace.save`.
        max_frames : int
            Of older frames nothing is kept.

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
        """Counts and times since the runtime was made."""
        self._registry.check_process()
        return self._parts.report.stats()

    def prometheus(self) -> str:
        """Give `stats` in Prometheus' text format."""
        return prometheus(self.stats())

    # ---- the end

    def close(self) -> None:
        """Let the frames on their way end, close all tasks and lanes. Closing twice is fine."""
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


def _check_frame(frame: object) -> None:
    if not isinstance(frame, Frame):
        raise ArgumentError(f"got a {type(frame).__name__}, wanted a mnnlite.Frame: Frame(array, 'BGR')")
