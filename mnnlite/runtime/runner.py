"""`Runtime`: many tasks on a stream of frames."""

from __future__ import annotations

import atexit
import os
import time
import weakref
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import IO, TYPE_CHECKING, Any, TypeVar, get_args

from mnnlite.errors import ArgumentError, ClosedError, StateError
from mnnlite.frame import Frame
from mnnlite.model import memory_options
from mnnlite.runtime.budget import Budget, parse
from mnnlite.runtime.collector import Collector
from mnnlite.runtime.cores import assign, read_cores, speeds_of
from mnnlite.runtime.entry import Settings, as_spec
from mnnlite.runtime.flights import Flights
from mnnlite.runtime.lane import Lane
from mnnlite.runtime.report import memory_of, plan_text, stats_of
from mnnlite.runtime.roster import Roster
from mnnlite.runtime.scheduler import Policy
from mnnlite.runtime.stats import prometheus
from mnnlite.runtime.store import Store, on_lane
from mnnlite.runtime.stream import Stream
from mnnlite.runtime.tracing import Trace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
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
    policy : {"edf", "fifo", "rate_monotonic"}
        How tasks are ordered and left out, see `mnnlite.runtime.scheduler.Scheduler`. The last two leave nothing out and
        are there to compare with.
    max_failures : int
        After so many failures in a row a task is parked: it is left out, with the reason, until it is replaced.
    weights_dir : path, optional
        Where the files with weights are made, without names: a folder on a disk. ``/var/tmp`` if not said.
    watchdog_s : float
        A run that takes longer is reported: logged, and listed in `stats`.

    Raises
    ------
    ArgumentError
        More lanes times threads than cores; cores that are not there; a value that cannot be used; a folder for weights
        that cannot be written or lies in memory.

    Notes
    -----
    Threads: any may call; frames are worked on in the order of their admission and results come in that order. Lanes
    are native and hold no GIL while they work; a frame costs the calling thread one release of it.

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
        policy: Policy = "edf",
        max_failures: int = 3,
        watchdog_s: float = 10.0,
        weights_dir: str | os.PathLike[str] | None = None,
    ) -> None:
        for name, value, most in (
            ("lanes", lanes, 64),
            ("threads", threads, 32),
            ("max_failures", max_failures, 10**9),
        ):
            if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
                raise ArgumentError(f"{name} is {value!r}; it must be a whole number from 1 to {most}")
        if policy not in get_args(Policy):
            raise ArgumentError(f"policy is {policy!r}; use {', '.join(map(repr, get_args(Policy)))}")
        there = read_cores()
        if lanes * threads > len(there) and not force:
            raise ArgumentError(
                f"{lanes} lanes of {threads} threads are more than the {len(there)} cores this process may use, so they would "
                "slow each other down; take fewer, or pass force=True"
            )
        bound = assign(there, lanes, cores, force)
        limit = None if memory is None else parse(memory)
        options = memory_options(weights, weights_dir, winograd)
        self.threads = threads
        self.max_failures = max_failures
        self._closed = False
        self._pid = os.getpid()
        self._flights = Flights(lanes, self._check_open, max_failures, int(watchdog_s * 1e9), policy)
        self._lanes = [
            Lane(self._flights.native, index, options, None if bound is None else bound[index])
            for index in range(lanes)
        ]
        store = (
            None
            if limit is None
            else Store(Budget(limit, threads, lanes, options), self._flights, self._lanes, threads)
        )
        self._roster = Roster(self._flights, self._lanes, threads, store, speeds_of(there, lanes, bound), replan)
        self._collector: Collector | None = None
        self._streams: weakref.WeakSet[Stream] = weakref.WeakSet()
        _open.add(self)

    # ---- tasks

    def add(
        self,
        name: str,
        spec: TaskSpec | str | os.PathLike[str],
        every: int = 1,
        rate_hz: float | None = None,
        priority: int = 0,
        deadline_ms: float | None = None,
        optional: bool = False,
        after: str | None = None,
        only: Iterable[str | int] | None = None,
        max_crops: int | None = None,
        padding: float = 0.0,
        evictable: bool = False,
    ) -> None:
        """Load a task. While frames are worked on, only its lane stops, for the one load.

        Parameters
        ----------
        name : str
            Results are found under it. No dots.
        spec : TaskSpec or path
            A path is a network that is used as it says, see `mnnlite.describe`.
        every : int
            Run on each n-th frame.
        rate_hz : float, optional
            Run at most this often, instead.
        priority : int
            Larger is more important: it runs earlier, and is left out later.
        deadline_ms : float, optional
            From the frame's timestamp to the end of the task; a result that comes after is marked late.
        optional : bool
            May be left out of a frame when, by predicted cost, there is no time for it.
        after : str, optional
            Run on crops of this task's boxes instead of on the frame: ``"task"``, or ``"task.decoder"`` if it has
            several. A row with four corners gives the turned part between them. ``item`` of the results is the row.
        only : set of str or int, optional
            Labels or class numbers of the boxes to take. All if not given.
        max_crops : int, optional
            The most crops of a frame, best scores first: 32 if not said. More than the spec's ``batch`` run as several
            batches.
        padding : float
            Part of the box's width and height added on each side.
        evictable : bool
            With a memory budget: may be unloaded to make room for others, the least recently used first, and is loaded
            again when it is due and there is room. Nothing may come after it.

        Raises
        ------
        ArgumentError
            A value that cannot be used; a name that is taken; a task to come after that is not there.
        MemoryBudgetError
            It does not fit: says by how much, and what would.
        ModelError, EngineError, OutOfMemoryError
            As for `Task`; nothing has changed.
        """
        settings = Settings(every, rate_hz, priority, deadline_ms, optional, after, only, max_crops, padding, evictable)
        spec = as_spec(spec)
        with self._change():
            self._roster.add(name, spec, settings)

    def remove(self, name: str) -> None:
        """Close a task and give its memory back to the system. Only its lane stops for it.

        Raises
        ------
        ArgumentError
            There is no such task, or others come after it.
        """
        with self._change():
            self._roster.remove(name)

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
        spec = as_spec(spec)
        with self._change():
            self._roster.replace(name, spec)

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
        with self._change():
            spec = self._roster.loaded(name).spec
            changed: dict[str, Any] = {} if image is None else {"image": image}
            if shapes is not None:
                changed["shapes"] = {**(spec.shapes or {}), **shapes}
            self._roster.replace(name, replace(spec, **changed))

    @property
    def tasks(self) -> dict[str, TaskSpec]:
        """By name, in the order of adding."""
        return {name: entry.spec for name, entry in self._flights.entries.items()}

    @contextmanager
    def _change(self) -> Iterator[None]:
        self._check_open()
        with self._roster.changing:
            self._check_open()
            yield

    def on_lane(self, name: str, function: Callable[[Task], T]) -> T:
        """Call a function with a loaded task between frames, on the thread that runs it; only its lane stands still.

        Parameters
        ----------
        name : str
        function : callable
            Gets the `Task`; must not keep or close it.

        Returns
        -------
        Whatever `function` returns.

        Raises
        ------
        ArgumentError
            There is no such task, or it is evicted at the moment.
        Exception
            What `function` raises.
        """
        with self._change():
            entry = self._roster.loaded(name)
            return on_lane(self._flights, entry.lane, lambda: function(entry.task))

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
        self._check_frame(frame)
        self._begin()
        flights = self._flights
        flights.take_room()
        return flights.finish(flights.admit(frame, time.monotonic_ns(), dropping=False))

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
        """
        self._check_frame(frame)
        self._begin()
        flights = self._flights
        flights.take_room()
        with flights.lock:
            if self._collector is None:
                self._collector = Collector(flights.finish)
            # Under the lock, so that results are collected in the order of admission.
            return self._collector.collect(flights.admit(frame, time.monotonic_ns(), dropping=False))

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
        self._check_open()
        stream = Stream(self._flights, self._begin, source, latest)
        self._streams.add(stream)
        return stream

    def _check_frame(self, frame: object) -> None:
        if not isinstance(frame, Frame):
            raise ArgumentError(f"got a {type(frame).__name__}, wanted a mnnlite.Frame: Frame(array, 'BGR')")
        self._check_open()

    def _check_open(self) -> None:
        if self._closed:
            raise ClosedError("the runtime is closed; make a new one")
        if os.getpid() != self._pid:
            raise StateError("used after fork: the lanes stayed in the parent process; make the runtime in this one")

    def _begin(self) -> None:
        """Before a frame: the first one settles where tasks are."""
        placer = self._roster.placer
        if not placer.settled:
            placer.settle()

    # ---- what there is to know

    def plan(self) -> str:
        """Say which task runs in which lane, how often, and what it takes: lines of text."""
        self._check_open()
        self._begin()
        return plan_text(self._roster)

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
        self._check_open()
        return memory_of(self._roster)

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
        self._check_open()
        return Trace(self._flights, target, max_frames)

    def stats(self) -> dict[str, Any]:
        """Counts and times since the runtime was made.

        Returns
        -------
        dict
            ``frames``, ``dropped``; ``tasks``: for each ``runs``, ``late``, ``failed``, ``skipped`` (not due included),
            ``shed`` (planned, and left out after all), ``crops``, ``crops_left``, ``reloads`` (after evictions), ``lane``, ``parked`` (a text or None),
            ``loading`` and ``stages`` (nanoseconds: p50, p90, p99 of the last 256 runs, max and mean of all); ``lanes``:
            for each ``frames``, ``busy_ns``, ``utilisation``, ``loads``, ``stopped_ns``, ``longest_stop_ns``;
            ``replans``: groups of tasks ``moved``, ``longest_ns`` (of the longest lane, a frame) and what was expected of it;
            ``hung``: runs that took longer than the watchdog allows, in seconds.
        """
        return stats_of(self._flights)

    def prometheus(self) -> str:
        """Give `stats` in Prometheus' text format."""
        return prometheus(self.stats())

    # ---- the end

    def close(self) -> None:
        """Let the frames on their way end, close all tasks and lanes. Closing twice is fine."""
        self._roster.placer.close()
        with self._roster.changing:
            if self._closed:
                return
            self._closed = True
            _open.discard(self)
            if os.getpid() != self._pid:
                return
            for stream in list(self._streams):
                stream.close()
            if self._collector is not None:
                self._collector.close()
            self._flights.drain()
            self._roster.clear()
            for lane in self._lanes:
                lane.call(lane.close_arenas)
                lane.stop()
            for lane in self._lanes:
                lane.join()
        if self._flights.trace is not None:
            self._flights.trace.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        for lane in getattr(self, "_lanes", []):
            if os.getpid() == self._pid:
                lane.stop()  # nobody waits: a finaliser must not

    def __repr__(self) -> str:
        state = "closed" if self._closed else ", ".join(self._flights.entries) or "no tasks"
        return f"Runtime(lanes={len(self._lanes)}, threads={self.threads}: {state})"


@atexit.register
def _close_all() -> None:
    """Before the interpreter goes: lanes must not come back to it afterwards."""
    for runtime in list(_open):
        with suppress(Exception):  # the others are still to be closed
            runtime.close()
