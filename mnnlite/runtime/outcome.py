"""What the lanes made of a task on a frame, as a part of the frame's result. Runs decoders in Python."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mnnlite.errors import DecoderError, MnnliteError, OutOfMemoryError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mnnlite import _core
    from mnnlite.runtime.loaded_task import LoadedTask
    from mnnlite.runtime.result import FrameResult

__all__ = ["make_result", "note_run", "outcomes_of"]


def outcomes_of(
    due: Sequence[Sequence[LoadedTask]], lanes: Sequence[_core.LaneOutcome]
) -> Iterator[tuple[LoadedTask, _core.TaskOutcome]]:
    """Each due task with what became of it."""
    for lane, tasks in zip(lanes, due, strict=True):
        yield from zip(tasks, lane.tasks, strict=True)


def make_result(result: FrameResult, task: LoadedTask, outcome: _core.TaskOutcome) -> int:
    """Enter the result of a task that ran, or why there is none.

    Returns
    -------
    int
        Nanoseconds that decoders in Python took.
    """
    name = task.name
    preprocess, infer, decode, crops, eligible, _, found, raw, items = outcome[4:]  # faster than one by one
    if crops == 0:  # nothing to run on: what lies in the outputs is of an earlier frame
        raw = {output: (each if each.ndim else each.reshape(1))[:0] for output, each in raw.items()}
    try:
        result._results[name], spent = task.task.collect(found, raw, items, result.frame)
    except MnnliteError as error:  # of a decoder in Python: it fails as a native one does
        result.errors[name] = error
        return 0
    except MemoryError:
        result.errors[name] = OutOfMemoryError(f"no memory for the results of task {name!r}")
        return 0
    except Exception as error:
        result.errors[name] = DecoderError(f"task {name!r}: its results could not be made: {error}")
        return 0
    note_run(result, name, (preprocess, infer, decode + spent), crops, eligible)
    if crops >= 0:
        result._parents[name] = str(task.schedule.after)
    return spent


def note_run(result: FrameResult, name: str, times: tuple[int, int, int], crops: int, eligible: int) -> None:
    """Enter what a task took (preprocess, infer and decode), and its crops if it is a task on crops."""
    preprocess, infer, decode = times
    result.timing[name] = {"preprocess": preprocess, "infer": infer, "decode": decode}
    if crops >= 0:
        result.crops[name] = (crops, eligible)
