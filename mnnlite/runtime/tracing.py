"""`Runtime.trace`: what the lanes did, frame by frame, for a trace viewer."""

from __future__ import annotations

import itertools
import os
import time
from collections import deque
from typing import IO, TYPE_CHECKING, Any

from mnnlite.errors import ArgumentError, OutputError
from mnnlite.files import check_folder
from mnnlite.perfetto import TraceWriter

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from typing_extensions import Self

    from mnnlite.runtime.flights import Flight, Flights

__all__ = ["Trace"]

_STATES = ("ran", "failed", "left out", "without what it comes after")  # Outcome::State
_STAGES = ("preprocess", "infer", "decode")


class Trace:
    """A recording of a runtime's lanes, from its making to `close`; `Runtime.trace` makes it.

    Usable in a ``with`` block. Only numbers and names are kept, of the last `max_frames` frames.

    Parameters
    ----------
    flights : Flights
    target : path, or file open for text, optional
        What `close` writes.
    max_frames : int
    """

    def __init__(self, flights: Flights, target: str | os.PathLike[str] | IO[str] | None, max_frames: int) -> None:
        if isinstance(max_frames, bool) or not isinstance(max_frames, int) or max_frames < 1:
            raise ArgumentError(f"max_frames is {max_frames!r}; wanted a whole number from 1")
        if target is not None and not hasattr(target, "write"):
            check_folder(target)
        self._flights, self._target = flights, target
        self._start_ns = time.monotonic_ns()
        self._stop_ns = 0
        self._frames: deque[tuple[Any, ...]] = deque(maxlen=max_frames)
        self._drops: deque[int] = deque(maxlen=max_frames)
        self._stops: deque[tuple[int, int, int, str]] = deque(maxlen=max_frames)
        with flights.lock:
            if flights.trace is not None:
                raise ArgumentError("the runtime is being traced already; close that trace first")
            flights.trace = self

    # ---- from the flights, under their lock

    def frame(self, flight: Flight, shares: Sequence[tuple[int, int, Sequence[Any]]], end_ns: int) -> None:
        """A frame is done."""
        result = flight.result
        # One flat tuple of numbers and names a frame: the garbage collector need not look into it.
        row: list[Any] = [result.index, flight.frame_ns, flight.admitted_ns, end_ns]
        row += (tuple(result.skipped.items()) or None, tuple(result.late) or None)
        for (begin, end, outcomes), due in zip(shares, flight.due, strict=True):
            row += (begin, end, len(due))
            for entry, outcome in zip(due, outcomes, strict=True):
                row.append(entry.name)
                row += outcome[:8]
        self._frames.append(tuple(row))

    def dropped(self) -> None:
        """A frame was dropped for a fresher one."""
        self._drops.append(time.monotonic_ns())

    def stopped(self, lane: int, begin_ns: int, end_ns: int) -> None:
        """A lane stood still, for a task to be loaded or closed."""
        self._stops.append((lane, begin_ns, end_ns, "load or close a task"))

    # ---- out

    def writer(self) -> TraceWriter:
        """Give the events so far, for more to be added.

        Returns
        -------
        TraceWriter
            Tracks ``lane 0`` and on: a span for each frame, in it one for each task, in it its stages one after the
            other (of a task with several batches, the sums). ``frames``: from when a frame was taken to its last
            result; they overlap. ``source``: frames that were dropped.
        """
        writer = TraceWriter()
        for lane in range(len(self._flights.lane_stats)):
            writer.track(f"lane {lane}")
        with self._flights.lock:
            frames, drops, stops = list(self._frames), list(self._drops), list(self._stops)
        for index, taken, admitted, end, skipped, late, *rest in frames:
            facts = {"waited_ms": (admitted - taken) / 1e6, "skipped": dict(skipped or ()), "late": list(late or ())}
            writer.async_span("frames", f"frame {index}", index, taken, end, facts)
            row = iter(rest)
            for lane, (begin, stop, count) in enumerate(zip(row, row, row, strict=False)):
                if count:
                    writer.span(f"lane {lane}", f"frame {index}", begin, stop, {"frame": index}, "frame")
                for _ in range(count):
                    _task(writer, f"lane {lane}", index, tuple(itertools.islice(row, 9)), late or ())
        for at in drops:
            writer.mark("source", "frame dropped", at)
        for lane, begin, end, what in stops:
            writer.span(f"lane {lane}", what, begin, end, category="change")
        return writer

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write what was recorded so far; whole or not at all.

        Raises
        ------
        OutputError
        """
        return self.writer().save(path)

    def close(self) -> None:
        """Stop, and write to what was given at the start. Closing twice is fine.

        Raises
        ------
        OutputError
        """
        with self._flights.lock:
            if self._stop_ns:
                return
            self._stop_ns = time.monotonic_ns()
            self._flights.trace = None
        if self._target is None:
            return
        if isinstance(self._target, (str, os.PathLike)):
            self.save(self._target)
            return
        try:
            self.writer().write(self._target)
        except OSError as error:
            raise OutputError(f"cannot write the trace: {error.strerror}") from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _task(writer: TraceWriter, track: str, frame: int, task: tuple[Any, ...], late: Sequence[str]) -> None:
    name, state, begin, end, *times, crops, eligible = task
    facts: dict[str, Any] = {"frame": frame}
    if crops >= 0:
        facts |= {"crops": crops, "boxes": eligible}
    if state > 1:  # it did not run
        writer.mark(track, f"{name}: {_STATES[min(state, len(_STATES) - 1)]}", begin or end, facts)
        return
    if state:
        facts["failed"] = True
    if name in late:
        facts["late"] = True
    writer.span(track, name, begin, end, facts, "task")
    at = begin
    for stage, spent in zip(_STAGES, times, strict=True):
        if spent > 0:
            writer.span(track, stage, at, min(at + spent, end), None, "stage")
        at += spent
