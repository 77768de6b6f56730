"""`Runtime`: many tasks on a stream of frames."""

from __future__ import annotations

import atexit
import os
import threading
import time
import weakref
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from mnnlite.errors import ArgumentError, ClosedError, StateError
from mnnlite.frame import Frame
from mnnlite.runtime.budget import parse
from mnnlite.runtime.collector import Collector
from mnnlite.runtime.entry import Entry, Settings, check_spec, load, needs_of
from mnnlite.runtime.flights import Flights
from mnnlite.runtime.lane import Lane
from mnnlite.runtime.placement import load_of, place
from mnnlite.runtime.stats import prometheus
from mnnlite.runtime.store import Store, on_lane
from mnnlite.runtime.stream import Stream

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from concurrent.futures import Future

    from typing_extensions import Self

    from mnnlite.runtime.result import FrameResult
    from mnnlite.specs import TaskSpec

__all__ = ["Runtime"]

_GAIN = 0.1  # of the longest lane, for which tasks are loaded anew before the first frame

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
    weights : {"heap"}
        ``"mapped"``: not yet.
    force : bool
        Allow more lanes times threads than there are cores.
    max_failures : int
        After so many failures in a row a task is parked: it is left out, with the reason, until it is replaced.
    watchdog_s : float
        A run that takes longer is reported: logged, and listed in `stats`.

    Raises
    ------
    ArgumentError
        More lanes times threads than cores; a value that cannot be used.

    Notes
    -----
    Threads: any may call; frames are worked on in the order of their admission and results come in that order. Lanes
    are native and hold no GIL while they work; a frame costs the calling thread one release of it.

    Time: deadlines count from a frame's ``timestamp_ns`` where that is of `time.monotonic_ns` (not in the future and
    less than a minute ago), else from the moment the frame was taken from the source.

    A runtime does not survive ``fork``.
    """

    def __init__(
        self,
        lanes: int = 1,
        threads: int = 1,
        memory: str | int | None = None,
        weights: str = "heap",
        *,
        force: bool = False,
        max_failures: int = 3,
        watchdog_s: float = 10.0,
    ) -> None:
        for name, value, most in (
            ("lanes", lanes, 64),
            ("threads", threads, 32),
            ("max_failures", max_failures, 10**9),
        ):
            if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
                raise ArgumentError(f"{name} is {value!r}; it must be a whole number from 1 to {most}")
        cores = len(os.sched_getaffinity(0))
        if lanes * threads > cores and not force:
            raise ArgumentError(
                f"{lanes} lanes of {threads} threads are more than the {cores} cores this process may use, so they would "
                "slow each other down; take fewer, or pass force=True"
            )
        limit = None if memory is None else parse(memory)
        if weights != "heap":
            raise ArgumentError(
                "weights='mapped': not yet; use 'heap'"
                if weights == "mapped"
                else f"weights is {weights!r}; use 'heap'"
            )
        self.threads = threads
        self.max_failures = max_failures
        self._closed = False
        self._pid = os.getpid()
        self._flights = Flights(lanes, self._check_open, max_failures, int(watchdog_s * 1e9))
        self._entries = self._flights.entries
        self._scheduler = self._flights.scheduler
        self._lanes = [Lane(self._flights.native, index) for index in range(lanes)]
        self._changing = threading.Lock()  # one add, remove or replace at a time
        self._store = None if limit is None else Store(limit, self._flights, self._lanes, threads)
        self._settled = True
        self._collector: Collector | None = None
        self._streams: weakref.WeakSet[Stream] = weakref.WeakSet()
        _open.add(self)

    # ---- tasks

    def add(
        self,
        name: str,
        spec: TaskSpec,
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
        spec : TaskSpec
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
        with self._change():
            name, spec = check_spec(name, spec, self._entries)
            lane = self._lane_for(name, spec, settings)
            for each in needs_of(spec, settings):
                if each in self._entries and self._entries[each].settings.evictable:
                    raise ArgumentError(f"task {name!r} comes after {each!r}, which is evictable; make that one stay")
            entry = self._load(name, spec, settings, lane)
            self._flights.enter(entry)
            self._settled = self._settled and self._flights.frames > 0

    def remove(self, name: str) -> None:
        """Close a task and give its memory back to the system. Only its lane stops for it.

        Raises
        ------
        ArgumentError
            There is no such task, or others come after it.
        """
        with self._change():
            entry = self._entry(name)
            users = [other.name for other in self._entries.values() if name in other.needs]
            if users:
                raise ArgumentError(f"task {name!r} is needed by {', '.join(map(repr, users))}; remove those first")
            if self._flights.leave(entry) and not entry.evicted:
                self._close(entry)

    def replace(self, name: str, spec: TaskSpec) -> None:
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
        with self._change():
            old = self._entry(name)
            if old.evicted:
                raise ArgumentError(f"task {name!r} is evicted at the moment; remove it and add it anew")
            users = [other.name for other in self._entries.values() if name in other.needs]
            if users:
                raise ArgumentError(f"task {name!r} is needed by {', '.join(map(repr, users))}; remove those first")
            _, spec = check_spec(name, spec, ())
            if needs_of(spec, old.settings) != old.needs:
                raise ArgumentError(f"task {name!r} takes tensors of other tasks now; remove it and add it anew")
            entry = self._load(name, spec, old.settings, old.lane)
            if self._flights.leave(old, entry):
                self._close(old)

    @property
    def tasks(self) -> dict[str, TaskSpec]:
        """By name, in the order of adding."""
        return {name: entry.spec for name, entry in self._entries.items()}

    @contextmanager
    def _change(self) -> Iterator[None]:
        self._check_open()
        with self._changing:
            self._check_open()
            yield

    def _entry(self, name: str) -> Entry:
        if name not in self._entries:
            known = ", ".join(map(repr, self._entries)) or "none"
            raise ArgumentError(f"there is no task {name!r}; there are {known}")
        return self._entries[name]

    def _lane_for(self, name: str, spec: TaskSpec, settings: Settings) -> Lane:
        needed = [self._entries[each] for each in needs_of(spec, settings) if each in self._entries]
        if len({entry.lane.index for entry in needed}) > 1:
            both = ", ".join(repr(entry.name) for entry in needed)
            raise ArgumentError(
                f"task {name!r} takes something from {both}, which are in different lanes; use one lane, or add what "
                "connects them first"
            )
        if needed:
            return needed[0].lane
        load = load_of(*self._costs(), len(self._lanes))
        return self._lanes[min(range(len(self._lanes)), key=lambda lane: (load[lane], lane))]

    def _costs(self) -> tuple[list[float], list[int]]:
        """Of each task the nanoseconds a frame it takes on average, and its lane."""
        costs = [self._cost(entry) for entry in self._entries.values()]
        return costs, [entry.lane.index for entry in self._entries.values()]

    def _cost(self, entry: Entry) -> float:
        cost = float(self._scheduler.costs.mean(entry.name) or entry.cost_ns or 1e6)
        period = self._scheduler.period_ns
        if entry.settings.rate_hz and period:
            return cost * min(1.0, entry.settings.rate_hz * period / 1e9)
        return cost / entry.settings.every

    def _load(self, name: str, spec: TaskSpec, settings: Settings, lane: Lane, measure: bool = True) -> Entry:
        measure = measure and len(self._lanes) > 1  # with one lane nothing is to be placed
        if self._store is not None:
            return self._store.load(name, spec, settings, lane, measure)
        return on_lane(
            self._flights, lane, lambda: load(name, spec, settings, lane, self.threads, self._entries, measure)
        )

    def _close(self, entry: Entry) -> None:
        on_lane(self._flights, entry.lane, entry.close)

    def _settle(self) -> None:
        """Before the first frame: with the cost of all tasks known, another placement may be better."""
        with self._changing, self._flights.lock:  # no frame is admitted meanwhile
            if self._settled:
                return
            if self._flights.frames == 0 and len(self._lanes) > 1:
                self._place_anew()
            self._settled = True

    def _place_anew(self) -> None:
        groups = self._groups()
        costs = [sum(self._cost(entry) for entry in group) for group in groups]
        now = [group[0].lane.index for group in groups]
        count = len(self._lanes)
        wanted = place(costs, count)
        if max(load_of(costs, wanted, count)) > (1 - _GAIN) * max(load_of(costs, now, count)):
            return
        for group, lane in zip(groups, wanted, strict=True):
            if group[0].lane.index != lane:
                self._move(group, self._lanes[lane])

    def _groups(self) -> list[list[Entry]]:
        """Tasks that must be in one lane, together."""
        group_of: dict[str, list[Entry]] = {}
        groups: list[list[Entry]] = []
        for entry in self._entries.values():
            joined = [group_of[name] for name in entry.needs]
            group = joined[0] if joined else []
            for other in joined[1:]:
                if other is not group:
                    group.extend(other)
                    groups.remove(other)
                    group_of.update((each.name, group) for each in other)
            if not joined:
                groups.append(group)
            group.append(entry)
            group_of[entry.name] = group
        return groups

    def _move(self, group: list[Entry], lane: Lane) -> None:
        """Load tasks anew in another lane, one after the other: nothing runs yet."""
        order = {name: i for i, name in enumerate(self._entries)}
        for entry in reversed(group):
            self._close(entry)
        for entry in sorted(group, key=lambda each: order[each.name]):
            new = self._load(entry.name, entry.spec, entry.settings, lane, measure=False)
            new.cost_ns = entry.cost_ns
            self._entries[entry.name] = new
            self._scheduler.move(entry.name, lane.index)

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
        if not self._settled:
            self._settle()

    # ---- what there is to know

    def plan(self) -> str:
        """Say which task runs in which lane, how often, and what it takes: lines of text."""
        self._check_open()
        if not self._settled:
            self._settle()
        lines = []
        with self._flights.lock:
            load = load_of(*self._costs(), len(self._lanes))
            for lane in self._lanes:
                lines.append(f"lane {lane.index}: {load[lane.index] / 1e6:.1f} ms a frame, threads {self.threads}")
                for name, rule in self._scheduler.rules.items():
                    if rule.lane != lane.index:
                        continue
                    entry = self._entries[name]
                    parts = [f"{self._scheduler.costs.mean(name) / 1e6:.1f} ms"]
                    parts += [f"every {rule.every} frames"] if rule.every > 1 else []
                    parts += [f"{rule.rate_hz:g} a second"] if rule.rate_hz else []
                    parts += [f"priority {rule.priority}"] if rule.priority else []
                    parts += [f"deadline {rule.deadline_ns / 1e6:g} ms"] if rule.deadline_ns else []
                    parts += ["optional"] if rule.optional else []
                    parts += [f"after {', '.join(rule.needs)}"] if rule.needs else []
                    if entry.evicted:
                        parts.append("evicted")
                    else:
                        parts.append(f"feature maps {entry.task.model.memory()['dynamic'] / 2**20:.1f} MiB")
                    lines.append(f"  {name}: {', '.join(parts)}")
        return "\n".join(lines)

    def memory(self) -> dict[str, Any]:
        """Memory of the tasks and lanes, in bytes.

        Returns
        -------
        dict
            ``tasks``: for each the terms of `Model.memory` and its ``lane``; ``lanes``: for each ``static`` (weights and
            outputs), ``dynamic`` (the one buffer for feature maps, as large as the largest of its tasks needs) and
            ``inputs`` (one memory for all pictures, as large as the largest, and what cannot be shared); ``total`` of all lanes.
        """
        self._check_open()
        with self._flights.lock:
            entries = [entry for entry in self._entries.values() if not entry.evicted]
        tasks = {entry.name: {**entry.task.model.memory(), "lane": entry.lane.index} for entry in entries}
        lanes = []
        for lane in self._lanes:
            mine = [entry for entry in entries if entry.lane is lane]
            dynamic: dict[int, int] = {}
            for entry in mine:
                arena = id(entry.task.model.arena)
                dynamic[arena] = max(dynamic.get(arena, 0), tasks[entry.name]["dynamic"])
            lanes.append(
                {
                    "static": sum(tasks[entry.name]["static"] for entry in mine),
                    "dynamic": sum(dynamic.values()),
                    "inputs": sum(tasks[entry.name]["inputs"] for entry in mine) + lane.inputs.bytes,
                }
            )
        found = {"tasks": tasks, "lanes": lanes, "total": sum(sum(lane.values()) for lane in lanes)}
        return found if self._store is None else {**found, "budget": self._store.summary()}

    def stats(self) -> dict[str, Any]:
        """Counts and times since the runtime was made.

        Returns
        -------
        dict
            ``frames``, ``dropped``; ``tasks``: for each ``runs``, ``late``, ``failed``, ``skipped`` (not due included),
            ``shed`` (planned, and left out after all), ``crops``, ``crops_left``, ``reloads`` (after evictions), ``parked`` (a text or None),
            ``loading`` and ``stages`` (nanoseconds: p50, p90, p99 of the last 256 runs, max and mean of all); ``lanes``:
            for each ``frames``, ``busy_ns``, ``utilisation``, ``loads``, ``stopped_ns``, ``longest_stop_ns``;
            ``hung``: runs that took longer than the watchdog allows, in seconds.
        """
        now = time.monotonic_ns()
        with self._flights.lock:
            return {
                "frames": self._flights.frames,
                "dropped": self._flights.dropped,
                "tasks": {
                    name: {**entry.stats.summary(), "parked": self._scheduler.parked(name)}
                    for name, entry in self._entries.items()
                },
                "lanes": [lane.summary(now) for lane in self._flights.lane_stats],
                "hung": [{"task": name, "seconds": seconds} for (name, _), seconds in self._flights.hung.items()],
            }

    def prometheus(self) -> str:
        """Give `stats` in Prometheus' text format."""
        return prometheus(self.stats())

    # ---- the end

    def close(self) -> None:
        """Let the frames on their way end, close all tasks and lanes. Closing twice is fine."""
        with self._changing:
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
            for entry in reversed([each for each in self._entries.values() if not each.evicted]):
                entry.lane.call(entry.close)
            self._entries.clear()
            for lane in self._lanes:
                lane.call(lane.close_arenas)
                lane.stop()
            for lane in self._lanes:
                lane.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        for lane in getattr(self, "_lanes", []):
            if os.getpid() == self._pid:
                lane.stop()  # nobody waits: a finaliser must not

    def __repr__(self) -> str:
        state = "closed" if self._closed else ", ".join(self._entries) or "no tasks"
        return f"Runtime(lanes={len(self._lanes)}, threads={self.threads}: {state})"


@atexit.register
def _close_all() -> None:
    """Before the interpreter goes: lanes must not come back to it afterwards."""
    for runtime in list(_open):
        with suppress(Exception):  # the others are still to be closed
            runtime.close()
