"""`Runtime`: many tasks on a stream of frames."""

from __future__ import annotations

import atexit
import threading
import time
import weakref
from contextlib import suppress
from dataclasses import replace
from typing import IO, TYPE_CHECKING, Any, TypeVar

from mnnlite import _core
from mnnlite.errors import ArgumentError
from mnnlite.frame import Frame
from mnnlite.model import memory_options
from mnnlite.runtime.budget import Budget, parse
from mnnlite.runtime.changes import TaskChanges
from mnnlite.runtime.completion import CompletionThread
from mnnlite.runtime.cores import assign, read_cores, speeds_of
from mnnlite.runtime.dispatcher import SLICE_NS, Dispatcher
from mnnlite.runtime.lane import Lane, join_stopped
from mnnlite.runtime.rebalancer import Rebalancer
from mnnlite.runtime.registry import TaskRegistry
from mnnlite.runtime.report import RuntimeReport
from mnnlite.runtime.residency import ModelResidency
from mnnlite.runtime.schedule import Schedule
from mnnlite.runtime.stats import prometheus
from mnnlite.runtime.stream import Stream
from mnnlite.runtime.trace import Trace
from mnnlite.runtime.turn import Turn
from mnnlite.trial import seconds_of

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from concurrent.futures import Future

    from typing_extensions import Self

    from mnnlite.runtime.result import FrameResult
    from mnnlite.specs import ImageSpec, TaskSpec
    from mnnlite.task import Task

__all__ = ["Runtime"]

T = TypeVar("T")

_open: weakref.WeakSet[Runtime] = weakref.WeakSet()


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
        numbers for each lane, ``[[4, 5], [0]]``. Where lanes are of different speed, placement reckons with it; `plan`
        says what came of it. For one thread a lane: the engine's own threads belong to the process, not to a lane.
    force : bool
        Allow more lanes times threads than there are cores, and lanes that share cores.
    replan : bool
        Move tasks to other lanes while frames are worked on, when by measured cost that has been better by a fifth for
        100 frames. Moving is loading anew: the lane stops for it. Tasks with ``state`` stay where they are.
    max_failures : int
        After so many failures in a row a task is quarantined: it is left out, with the reason, until it is replaced.
    weights_dir : path, optional
        Where the files with weights are made, without names: a folder on a disk. ``/var/tmp`` if not said.
    watchdog_s : float
        A run that takes longer is reported: logged, and listed in `stats`.
    trial : bool or float
        Load and run each new task's model in a child process first, where a crash of the engine is an error; see `Model`.

    Raises
    ------
    ArgumentError
        More lanes times threads than cores; cores that are not there; a value that cannot be used; a folder for weights
        that cannot be written or lies in memory.
    StateError
        The system gives no thread.

    Notes
    -----
    Threads: any may call; frames are worked on in the order of their admission and results come in that order. Lanes
    are native and hold no GIL while they work; a frame costs the calling thread one release of it.

    Decoders in Python and callbacks of futures may call everything but wait for a future of `submit` on the thread that
    completes it (`StateError`). A function given to `on_lane` may ask (`stats`, `memory`), and gets `StateError` for what
    would wait for its own lane.

    Time: deadlines count from a frame's ``timestamp_ns`` where that is of `time.monotonic_ns` (not in the future and
    less than a minute ago), else from the moment the frame was taken from the source.

    Memory: threads of this process that are started after a runtime was made share one heap of glibc (``M_ARENA_MAX``, which is
    the process's and has no finer form), unless the environment sets ``MALLOC_ARENA_MAX``: with a heap a thread, the eleven
    networks of the benchmarks left 5 MiB behind when they were removed from one lane, and 16 from two, instead of 0.3 and 0.4.

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
    ) -> None:
        for name, value, most in (
            ("lanes", lanes, 64),
            ("threads", threads, 32),
            ("max_failures", max_failures, 10**9),
        ):
            if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
                raise ArgumentError(f"{name} is {value!r}; it must be a whole number from 1 to {most}")
        there = read_cores()
        if lanes * threads > len(there) and not force:
            raise ArgumentError(
                f"{lanes} lanes of {threads} threads are more than the {len(there)} cores this process may use, so they would "
                "slow each other down; take fewer, or pass force=True"
            )
        bound = assign(there, lanes, cores, force)
        limit = None if memory is None else parse(memory)
        options = memory_options(weights, weights_dir, winograd)
        trial_s = seconds_of(trial)
        self.threads = threads
        callers: set[int] = set()  # threads that a lane waits for
        native = _core.Lanes(lanes)
        self._completion: CompletionThread | None = None
        self._trace: Trace | None = None
        self._streams: weakref.WeakSet[Stream] = weakref.WeakSet()
        self._registry = TaskRegistry(lanes, callers)
        self._lanes: list[Lane] = []
        budget = None if limit is None else Budget(limit, threads, lanes, options)
        self._residency = ModelResidency(self._registry, threads, budget)
        self._dispatcher = Dispatcher(self._registry, self._residency, native, max_failures, int(watchdog_s * 1e9))
        self._turn = Turn()
        self._starting = threading.Lock()
        try:
            for index in range(lanes):
                self._lanes.append(Lane(native, index, options, callers, None if bound is None else bound[index]))
            self._rebalancer = Rebalancer(
                self._registry,
                self._residency,
                self._dispatcher,
                self._lanes,
                self._turn,
                speeds_of(there, lanes, bound),
                replan,
            )
        except BaseException:
            for lane in self._lanes:
                lane.stop()
            raise
        self._changes = TaskChanges(
            self._registry, self._residency, self._rebalancer, self._lanes, self._turn, threads, trial_s
        )
        self._report = RuntimeReport(
            self._registry, self._residency, self._dispatcher, self._rebalancer, self._lanes, threads
        )
        _open.add(self)

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
        """
        self._registry.check_may_wait("add()")
        self._changes.add(name, spec, replace(schedule or Schedule(), **options))

    def remove(self, name: str) -> None:
        """Close a task and give its memory back to the system. Only its lane stops for it.

        Raises
        ------
        ArgumentError
            There is no such task, or others come after it.
        """
        self._registry.check_may_wait("remove()")
        self._changes.remove(name)

    def replace(self, name: str, spec: TaskSpec | str | os.PathLike[str]) -> None:
        """Swap what a task runs, under load: from one frame to the next. How it is scheduled stays.

        The new model is loaded while the old one is still there; the lane stops for the load.

        Parameters
        ----------
        name : str
        spec : TaskSpec

        Raises
        ------
        ArgumentError
            There is no such task, or others come after it.
        ModelError, EngineError, OutOfMemoryError
            The new one cannot be loaded; the old one goes on.
        """
        self._registry.check_may_wait("replace()")
        self._changes.replace(name, spec)

    def resize(
        self,
        name: str,
        shapes: Mapping[str, Sequence[int]] | None = None,
        *,
        image: ImageSpec | Mapping[str, ImageSpec] | None = None,
    ) -> None:
        """Give a task's inputs other shapes, under load: from one frame to the next.

        The network is planned anew from its file beside the one that runs, as `replace` does: a task does not keep its
        model buffer, which is what a change in place would need. The lane stops for the load, and state starts at zeros.

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
            As for `add`: the network cannot have these shapes, or they do not fit the memory budget; the task goes on as it
            was.
        """
        if shapes is None and image is None:
            raise ArgumentError("neither shapes nor an image spec is given; say what the task's inputs become")
        self._registry.check_may_wait("resize()")
        spec = self._registry.get(name).spec
        changed: dict[str, Any] = {} if image is None else {"image": image}
        if shapes is not None:
            changed["shapes"] = {**(spec.shapes or {}), **shapes}
        self._changes.replace(name, replace(spec, **changed))

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
        Whatever `function` returns.

        Raises
        ------
        ArgumentError
            There is no such task, or its model is not loaded at the moment.
        StateError
            Called from such a function, or the system gives no thread.
        Exception
            What `function` raises.
        """
        self._registry.check_may_wait("on_lane()")
        task = self._registry.get(name)

        def call() -> T:
            if task.absence is not None or task.task.model.closed:
                raise ArgumentError(f"task {name!r} is not loaded at the moment")
            return function(task.task)

        return self._registry.on_lane(task.lane, call)

    # ---- frames

    def process(self, frame: Frame) -> FrameResult:
        """Work on one frame and wait for it.

        Parameters
        ----------
        frame : Frame

        Returns
        -------
        FrameResult

        Raises
        ------
        ArgumentError, ClosedError
            Not a frame; the runtime is closed. What goes wrong in a task is in the result's ``errors``.

        Notes
        -----
        Releases the GIL once. Any thread may call.
        """
        _check_frame(frame)
        self._begin("process()")
        dispatcher = self._dispatcher
        return dispatcher.finish(dispatcher.admit(frame, time.monotonic_ns(), dropping=False))

    def submit(self, frame: Frame) -> Future[FrameResult]:
        """Work on one frame without waiting for it. Waits while ``lanes + 1`` frames are on their way.

        Parameters
        ----------
        frame : Frame
            Its pixels must not change until the result is there.

        Returns
        -------
        concurrent.futures.Future
            Of a `FrameResult`. Futures are done in the order of submission. They cannot be cancelled.

        Raises
        ------
        ArgumentError, ClosedError
            As `process`.
        StateError
            Called from a function given to `on_lane`, or the system gives no thread.
        """
        _check_frame(frame)
        self._begin("submit()")
        completion = self._completion or self._start_completion()
        while not completion.take_room(SLICE_NS / 1e9):
            self._registry.check_open()
            self._dispatcher.watch()
        try:
            while True:
                with self._registry.lock:  # results are collected in the order of admission
                    flight = self._dispatcher.try_admit(frame, time.monotonic_ns(), dropping=False)
                    future = None if flight is None else completion.complete(flight)
                self._registry.log()
                if future is not None:
                    return future
                self._dispatcher.wait_for_room()
        except BaseException:
            completion.give_room()
            raise

    def _start_completion(self) -> CompletionThread:
        with self._starting:
            if self._completion is None:
                self._completion = CompletionThread(self._dispatcher.finish, len(self._lanes) + 1)
            return self._completion

    def stream(self, source: Iterable[Frame], latest: bool = False) -> Stream:
        """Work on all frames of a source.

        Parameters
        ----------
        source : iterable of Frame
            Read in a thread of its own.
        latest : bool
            False: the source waits, nothing is dropped. True: the source never waits; of the frames that come while the
            lanes are busy only the newest is kept, the others are dropped and counted.

        Returns
        -------
        Stream
            Iterate over it with ``for`` or ``async for``: a `FrameResult` for each frame that was worked on, in order.
            Errors of the source are raised after the last result.
        """
        self._registry.check_open()
        stream = Stream(self._registry, self._dispatcher, self._begin, source, latest)
        self._streams.add(stream)
        return stream

    def _begin(self, what: str = "the next result of a stream") -> None:
        """Before a frame: the first one settles where tasks are."""
        self._registry.check_may_wait(what)
        if not self._rebalancer.settled:
            self._rebalancer.settle()

    # ---- what there is to know

    def plan(self) -> str:
        """Say which task runs in which lane, how often, and what it takes: lines of text."""
        self._begin("plan()")
        return self._report.plan()

    def memory(self) -> dict[str, Any]:
        """Memory of the tasks and lanes, in bytes.

        Returns
        -------
        dict
            ``tasks``: for each the terms of `Model.memory` and its ``lane``, and ``shares``, the task in whose terms its
            session is counted, if it shares one; ``lanes``: for each ``static`` (weights and
            outputs), ``mapped`` (what of it lies in files), ``dynamic`` (the one buffer for feature maps, as large as the
            largest of its tasks needs) and ``inputs`` (one memory for all pictures, as large as the largest, and what
            cannot be shared); ``total`` of all lanes, without what lies in files; ``engine``: what MNN took when it was
            loaded, its fixed cost, in no budget. With ``weights="mapped"`` also ``weight_files``: ``resident`` (pages of
            them in memory, which the kernel may drop) and ``dirty`` (of these, not yet on the disk). With a budget
            ``budget``: ``limit``, ``grown`` (anonymous memory since the runtime was made), ``expected`` (by the terms) and
            ``evicted`` (names).

            Each task also has its account: ``weights``, ``feature_maps``, ``feature_maps_share`` and
            ``feature_maps_owner`` (of the shared buffer: its part, and whose need made it so large), ``scratch`` (plans,
            decoders, results) and ``total``. Beside them ``shared_inputs``; ``categories``: the same as model buffer,
            feature maps, parameters, heap and stack; ``process``: `mnnlite.proc.Process` now; ``growth`` of its anonymous
            memory since the runtime was made, the ``explained`` share of it and the ``unexplained`` bytes. The last four
            only where the kernel tells them.
        """
        self._registry.check_open()
        return self._report.memory()

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
            ``with runtime.trace("out.json"): ...``

        Raises
        ------
        ArgumentError
            The runtime is being traced already.
        OutputError
            The file could not be written.

        Notes
        -----
        A frame costs a few microseconds more while it is on, and one comparison while it is off.
        """
        self._registry.check_open()
        self._trace = Trace(self._registry, target, max_frames)
        return self._trace

    def stats(self) -> dict[str, Any]:
        """Counts and times since the runtime was made.

        Returns
        -------
        dict
            ``frames``, ``dropped``; ``tasks``: for each ``runs``, ``late``, ``failed``, ``skipped`` (was due, and did not run),
            ``shed`` (planned, and left out after all), ``crops``, ``crops_left``, ``reloads`` (after evictions), ``lane``, ``quarantined`` and ``absent`` (a text or None: why it does not run),
            ``loading`` and ``stages`` (nanoseconds: p50, p90, p99 of the last 256 runs, max and mean of all); ``lanes``:
            for each ``frames``, ``busy_ns``, ``utilisation``, ``loads``, ``stopped_ns``, ``longest_stop_ns``;
            ``replans``: groups of tasks ``moved``, ``longest_ns`` (of the longest lane, a frame) and what was expected of it;
            ``hung``: runs that took longer than the watchdog allows, in seconds.
        """
        self._registry.check_process()
        return self._report.stats()

    def prometheus(self) -> str:
        """Give `stats` in Prometheus' text format."""
        return prometheus(self.stats())

    # ---- the end

    def close(self) -> None:
        """Let the frames on their way end, close all tasks and lanes. Closing twice is fine.

        Raises
        ------
        StateError
            Called from a function given to `on_lane`: its lane would wait for itself.
        """
        registry = self._registry
        if registry.closed:
            return
        if registry.is_forked:  # the lanes are the parent's
            _open.discard(self)
            return
        registry.check_may_wait("close()")
        self._rebalancer.stop()
        with self._turn:
            if not registry.close():
                return
            _open.discard(self)
        # Without the turn: what is completed now may be waiting for it.
        for stream in list(self._streams):
            stream.close()
        if self._completion is not None:
            self._completion.close()
        self._dispatcher.drain()
        with self._turn:
            self._changes.clear()
            for lane in self._lanes:
                lane.call_soon(lane.close_arenas, always=True).result()
                lane.stop()
        for lane in self._lanes:
            lane.join()
        self._rebalancer.join()
        if self._trace is not None:
            self._trace.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        registry = getattr(self, "_registry", None)
        if registry is None or registry.closed or registry.is_forked:
            return
        # Nobody waits: a finaliser must not. Threads end by themselves once they have done what they were given.
        if hasattr(self, "_rebalancer"):
            self._rebalancer.stop()
        if self._completion is not None:
            self._completion.close(wait=False)
        for lane in self._lanes:
            lane.stop()

    def __repr__(self) -> str:
        state = "closed" if self._registry.closed else ", ".join(self._registry.snapshot()) or "no tasks"
        return f"Runtime(lanes={len(self._lanes)}, threads={self.threads}: {state})"


def _check_frame(frame: object) -> None:
    if not isinstance(frame, Frame):
        raise ArgumentError(f"got a {type(frame).__name__}, wanted a mnnlite.Frame: Frame(array, 'BGR')")


@atexit.register
def _close_all() -> None:
    """Before the interpreter goes: lanes must not come back to it afterwards."""
    for runtime in list(_open):
        with suppress(Exception):  # the others are still to be closed
            runtime.close()
    join_stopped()
