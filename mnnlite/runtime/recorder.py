"""What the lanes did, frame by frame, in a fixed amount of memory: what a `Trace` is made from."""

from __future__ import annotations

import itertools
import time
from collections import deque
from typing import TYPE_CHECKING, Any

from mnnlite.perfetto import TraceWriter

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mnnlite import _core
    from mnnlite.runtime.result import FrameResult

__all__ = ["Recorder"]

_STATES = ("ran", "failed", "left out", "without what it comes after")  # TaskOutcome::State
_STAGES = ("preprocess", "infer", "decode")


class Recorder:
    """Numbers and names of the last frames. What writes to it does so under the registry's lock.

    Parameters
    ----------
    max_frames : int
    lanes : int
    """

    def __init__(self, max_frames: int, lanes: int) -> None:
        self._lanes = lanes
        self._frames: deque[tuple[Any, ...]] = deque(maxlen=max_frames)
        self._drops: deque[int] = deque(maxlen=max_frames)
        self._stops: deque[tuple[int, int, int, str]] = deque(maxlen=max_frames)

    def frame(
        self,
        result: FrameResult,
        times: tuple[int, int, int],
        names: Sequence[Sequence[str]],
        lanes: Sequence[_core.LaneOutcome],
    ) -> None:
        """A frame is done.

        Parameters
        ----------
        result : FrameResult
        times : (int, int, int)
            When it was taken, admitted, and done.
        names : list of list of str
            For each lane the tasks that were due.
        lanes : list of LaneOutcome
        """
        # One flat tuple of numbers and names a frame: the garbage collector need not look into it.
        facts = (tuple(result.skipped.items()) or None, tuple(result.late) or None)
        row: list[Any] = [result.index, result.part, *times, *facts]
        self._lanes = max(self._lanes, len(names))
        for lane, due in zip(lanes, names, strict=True):
            row += (lane.begin_ns, lane.end_ns, len(due))
            for name, each in zip(due, lane.tasks, strict=True):
                state = 0 if each.ran else 1 if each.error is not None else 2 if each.left_out else 3  # as _STATES
                # Begin, end, preprocess, infer, decode, crops, eligible.
                row += (name, state, *each[2:9], each.given_ns)
        self._frames.append(tuple(row))

    def dropped(self) -> None:
        """A frame was dropped for a fresher one."""
        self._drops.append(time.monotonic_ns())

    def stopped(self, lane: int, begin_ns: int, end_ns: int) -> None:
        """A lane stood still, for a task to be loaded or closed."""
        self._stops.append((lane, begin_ns, end_ns, "load or close a task"))

    def copy(self) -> Recorder:
        """What was recorded so far. Under the registry's lock; what is made of it need not be."""
        made = Recorder(1, self._lanes)
        made._frames, made._drops, made._stops = self._frames.copy(), self._drops.copy(), self._stops.copy()
        return made

    def writer(self) -> TraceWriter:
        """As `Trace.writer`."""
        writer = TraceWriter()
        for lane in range(self._lanes):
            writer.track(f"lane {lane}")
        for index, part, taken, admitted, end, skipped, late, *rest in self._frames:
            facts = {"waited_ms": (admitted - taken) / 1e6, "skipped": dict(skipped or ()), "late": list(late or ())}
            frame = f"frame {index}" if part == "whole" else f"frame {index}, {part}"
            writer.async_span("frames", frame, index, taken, end, facts)
            row = iter(rest)
            for lane, (begin, stop, count) in enumerate(zip(row, row, row, strict=False)):
                if count:
                    writer.span(f"lane {lane}", frame, begin, stop, {"frame": index}, "frame")
                for _ in range(count):
                    _task(writer, f"lane {lane}", index, tuple(itertools.islice(row, 10)), late or ())
        for at in self._drops:
            writer.mark("source", "frame dropped", at)
        for lane, begin, end, what in self._stops:
            writer.span(f"lane {lane}", what, begin, end, category="change")
        return writer


def _task(writer: TraceWriter, track: str, frame: int, task: tuple[Any, ...], late: Sequence[str]) -> None:
    name, state, begin, end, *times, crops, eligible, given = task
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
    if given:
        facts["gave_ms"] = given / 1e6
        times[_STAGES.index("infer")] += given  # what it gave away stands in it
    writer.span(track, name, begin, end, facts, "task")
    at = begin
    for stage, spent in zip(_STAGES, times, strict=True):
        if spent > 0:
            writer.span(track, stage, at, min(at + spent, end), None, "stage")
        at += spent
