"""What to leave out of a frame when there is no time for everything: from predicted cost. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mnnlite.records import Record

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mnnlite.runtime.frame_plan import FramePlan
    from mnnlite.runtime.latency import LatencyEstimator
    from mnnlite.runtime.task_state import TaskState

__all__ = ["Window", "fit", "free_by", "with_needed"]

_MS = 1_000_000


@dataclass(frozen=True, eq=False, repr=False)
class Window(Record):
    """The time a lane has for a frame; nanoseconds.

    Parameters
    ----------
    frame_ns : int
        When the frame was taken.
    start_ns : int
        When the lane will begin with it.
    free_by_ns : int, optional
        When the lane must be free for the next frame.
    busy_ns : int
        How long the lane still works on earlier frames, if a fresher frame will be there before it is through; else 0.
    """

    frame_ns: int
    start_ns: int
    free_by_ns: int | None
    busy_ns: int


def with_needed(due: Sequence[TaskState], plan: FramePlan) -> list[TaskState]:
    """Without those that need a task which does not run; says so in `plan`."""
    names: set[str] = set()
    kept = []
    for state in due:
        missing = next((name for name in state.needs if name not in names), None)
        if missing is None:
            names.add(state.name)
            kept.append(state)
        else:
            plan.skipped[state.name] = f"comes after {missing!r}, which does not run on this frame"
            if missing in plan.not_due:
                plan.not_due.add(state.name)
    return kept


def free_by(
    order: Sequence[TaskState], latency: LatencyEstimator, frame_ns: int, period_ns: float | None
) -> int | None:
    """When a lane must be free for the next frame at the latest.

    Parameters
    ----------
    order : sequence of TaskState
        The lane's tasks, in the order in which they run.
    latency : LatencyEstimator
    frame_ns : int
    period_ns : float, optional
        Between frames.

    Returns
    -------
    int or None
        None if nothing presses.
    """
    if period_ns is None or all(state.optional for state in order):
        return None
    spent, slack = 0, period_ns
    for state in order:
        if state.optional:
            continue
        # A task that is seldom due counts whole: the next frame may be the one.
        spent += latency.expect(state.name)
        if state.deadline_ns is not None:
            slack = min(slack, state.deadline_ns - spent)
    slack = min(slack, period_ns - spent)
    return int(frame_ns + period_ns + max(0.0, slack))


def fit(
    due: list[TaskState], window: Window, latency: LatencyEstimator, patience: int, plan: FramePlan
) -> tuple[list[TaskState], list[int | None]]:
    """Leave out optional tasks that there is no time for.

    Parameters
    ----------
    due : list of TaskState
        In the order in which they run.
    window : Window
    latency : LatencyEstimator
    patience : int
        A task left out so many times in a row goes before the other optional ones; after twice as many it runs.
    plan : FramePlan
        Its `skipped` is told why.

    Returns
    -------
    list of TaskState
        What runs, in order.
    list of (int or None)
        For each the latest time to start it; None: always.
    """
    cost = {state.name: latency.expect(state.name) for state in due}
    rank = {state.name: i for i, state in enumerate(due)}
    free_by_ns = window.free_by_ns

    def left(chosen: list[TaskState]) -> tuple[list[int | None], int | None]:
        """For each task the time left to its deadline (None: it has none); and for the lane to the next frame."""
        ends, at = [], window.start_ns
        for state in chosen:
            at += cost[state.name]
            deadline = state.deadline_ns
            ends.append(None if deadline is None else window.frame_ns + deadline - at)
        return ends, None if free_by_ns is None else free_by_ns - at

    chosen = with_needed([state for state in due if not state.optional], plan)
    lost = {s.name for s, rest in zip(chosen, left(chosen)[0], strict=True) if rest is not None and rest < 0}
    # The best order to try them in; a task that was left out for long goes first.
    candidates = [state for state in due if state.optional]
    candidates.sort(key=lambda s: (s.shed < patience, -s.priority, rank[s.name]))
    forced = False
    present = {state.name for state in chosen}
    for state in _parents_first(candidates):
        missing = next((name for name in state.needs if name not in present), None)
        if missing is not None:
            plan.skipped[state.name] = f"comes after {missing!r}, which does not run on this frame"
            if missing in plan.not_due:
                plan.not_due.add(state.name)
            continue
        trial = sorted([*chosen, state], key=lambda s: rank[s.name])
        ends, room = left(trial)
        short = min(
            [rest for rest, each in zip(ends, trial, strict=True) if rest is not None and each.name not in lost]
            + ([] if room is None else [room]),
            default=0,
        )
        if window.busy_ns:
            plan.skipped[state.name] = f"the lane is busy for another {window.busy_ns / _MS:.1f} ms"
            continue
        if short < 0:
            if forced or state.shed < 2 * patience:
                state.shed += 1
                plan.skipped[state.name] = (
                    f"no time: it needs {cost[state.name] / _MS:.1f} ms, {-short / _MS:.1f} ms more than there is"
                )
                continue
            forced = True
            lost.update(s.name for s, rest in zip(trial, ends, strict=True) if rest is not None and rest < 0)
            free_by_ns = None
        chosen = trial
        present.add(state.name)
    ends, room = left(chosen)
    latest: list[int | None] = [None] * len(chosen)
    at = window.start_ns + sum(cost[state.name] for state in chosen)
    slack = room
    for i in reversed(range(len(chosen))):
        state, rest = chosen[i], ends[i]
        at -= cost[state.name]
        if rest is not None and state.name not in lost:
            slack = rest if slack is None else min(slack, rest)
        if state.optional and slack is not None and state.shed < patience:
            latest[i] = at + max(0, slack)
    return chosen, latest


def _parents_first(states: list[TaskState]) -> list[TaskState]:
    names = {state.name for state in states}
    ordered: list[TaskState] = []
    done: set[str] = set()

    def visit(state: TaskState) -> None:
        if state.name in done:
            return
        done.add(state.name)
        for name in state.needs:
            if name in names:
                visit(next(each for each in states if each.name == name))
        ordered.append(state)

    for state in states:
        visit(state)
    return ordered
