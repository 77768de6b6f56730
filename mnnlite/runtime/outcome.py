"""What the lanes made of a task on a frame, as a part of the frame's result. Runs decoders in Python."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mnnlite.errors import DecoderError, MnnliteError, OutOfMemoryError

if TYPE_CHECKING:
    from mnnlite import _core
    from mnnlite.runtime.loaded_task import LoadedTask
    from mnnlite.runtime.result import FrameResult

__all__ = ["make_result"]


def make_result(result: FrameResult, task: LoadedTask, outcome: _core.TaskOutcome) -> int:
    """Enter the result of a task that ran, or why there is none.

    Returns
    -------
    int
        Nanoseconds that decoders in Python took.
    """
    name = task.name
    found, raw, items = outcome[10:]  # faster than one by one
    if outcome.crops == 0:  # nothing to run on: what lies in the outputs is of an earlier frame
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
    if outcome.crops >= 0:
        result._parents[name] = str(task.schedule.after)
    return spent
