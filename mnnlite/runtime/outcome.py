"""What the lanes made of a task on a frame, as a part of the frame's result. Runs decoders in Python."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mnnlite.errors import DecoderError, MnnliteError, OutOfMemoryError

if TYPE_CHECKING:
    from mnnlite import _core
    from mnnlite.runtime.flight import InFlightFrame
    from mnnlite.runtime.loaded_task import LoadedTask
    from mnnlite.runtime.result import FrameResult

__all__ = ["make_results"]


def make_results(flight: InFlightFrame, lanes: list[_core.LaneOutcome], skipped: list[LoadedTask]) -> dict[str, int]:
    """Fill the result, users' decoders included. Without the lock.

    Returns
    -------
    dict of str to int
        Nanoseconds that decoders in Python took, where there are any.
    """
    result = flight.result
    spent: dict[str, int] = {}
    last = flight.admitted_ns
    lane_ns: list[int] = []
    for lane, due in zip(lanes, flight.due, strict=True):
        lane_ns.append(lane.end_ns - lane.begin_ns if due else 0)
        if not due:
            continue
        last = max(last, lane.end_ns)
        for task, outcome in zip(due, lane.tasks, strict=True):
            name = task.name
            if outcome.ran:
                took = _make_result(result, task, outcome)
                if took:
                    spent[name] = took
            elif outcome.error is not None:
                result.errors[name] = outcome.error
            elif outcome.left_out:
                result.skipped[name] = "no time: it could not be started early enough"
                skipped.append(task)
            else:
                missing = next((each for each in task.needs if each not in result._results), "?")
                result.skipped[name] = f"comes after {missing!r}, which gave no result on this frame"
                skipped.append(task)
    result.elapsed_ns = last - flight.admitted_ns
    result.lane_ns = tuple(lane_ns)
    return spent


def _make_result(result: FrameResult, task: LoadedTask, outcome: _core.TaskOutcome) -> int:
    """Enter the result of a task that ran, or why there is none.

    Returns
    -------
    int
        Nanoseconds that decoders in Python took.
    """
    name = task.name
    found, raw, items = outcome.results, outcome.raw, outcome.items
    if outcome.crops == 0:  # nothing to run on: what lies in the outputs is of an earlier frame
        raw = {output: (each if each.ndim else each.reshape(1))[:0] for output, each in raw.items()}
    try:
        result._results[name], spent = task.task.collect(found, raw, items, result.frame)
    except MnnliteError as error:  # of a decoder in Python: it fails as a native one does
        result.errors[name] = error
        return 0
    except MemoryError:
        result.errors[name] = OutOfMemoryError("no memory for its results")
        return 0
    except Exception as error:
        result.errors[name] = DecoderError(f"its results could not be made: {error}")
        return 0
    if outcome.crops >= 0:
        result._parents[name] = str(task.schedule.after)
    return spent
