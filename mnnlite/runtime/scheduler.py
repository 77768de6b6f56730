"""Which task runs on which frame: pure policy. No threads, no clock of its own, nothing native.

Time is whole nanoseconds of one steady clock that the caller reads. A frame is planned when it is admitted: for each
lane, the tasks to run, in order. A run cannot be interrupted, so what is already on its way is counted first. Tasks that
preempt are planned apart: they wait for nothing that is on its way.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mnnlite.errors import ArgumentError
from mnnlite.runtime.frame_plan import FramePlan, PlannedTask
from mnnlite.runtime.latency import LatencyEstimator
from mnnlite.runtime.shedding import Window, fit, free_by, with_needed
from mnnlite.runtime.task_state import LaneBacklog, TaskState

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mnnlite.runtime.schedule import Schedule

__all__ = ["Scheduler"]


class Scheduler:
    """Plans frames: earliest deadline first within priorities.

    Tasks that are not optional always run. Optional tasks run if, by predicted cost, they end by their own deadline, make no
    other task miss one that it would otherwise meet, and (where frames are dropped) leave the lane free in time for the next
    frame. A task left out `patience` times in a row goes before the other optional ones; after twice as many it runs, come
    what may, at the end of a frame.

    Parameters
    ----------
    lanes : int
    patience : int
        Frames.
    """

    def __init__(self, lanes: int = 1, patience: int = 15) -> None:
        self.latency = LatencyEstimator()
        self.patience = patience
        self._states: dict[str, TaskState] = {}
        self._order: list[list[TaskState]] = [[] for _ in range(lanes)]
        self._urgent: list[list[TaskState]] = [[] for _ in range(lanes)]  # of those that preempt
        self.has_urgent = False  # there are some
        self._backlogs = [LaneBacklog() for _ in range(lanes)]
        self._last_ns: int | None = None
        self._period_ns: float | None = None

    # ---- which tasks there are

    @property
    def lanes(self) -> int:
        """How many."""
        return len(self._backlogs)

    def add_lane(self) -> None:
        """One more, the last."""
        self._order.append([])
        self._urgent.append([])
        self._backlogs.append(LaneBacklog())

    @property
    def tasks(self) -> Mapping[str, TaskState]:
        """By name, in the order of adding."""
        return self._states

    @property
    def period_ns(self) -> float | None:
        """Mean time between the frames that the source offered; None if not known."""
        return self._period_ns

    def add(self, name: str, schedule: Schedule, needs: tuple[str, ...] = (), lane: int = 0) -> None:
        """Add a task, or replace the one of that name.

        Raises
        ------
        ArgumentError
            It needs a task that is not there, or one of another lane.
        """
        for other in needs:
            if other not in self._states:
                raise ArgumentError(f"task {name!r} comes after {other!r}, which is not there; add that one first")
            if self._states[other].lane != lane:
                raise ArgumentError(f"task {name!r} comes after {other!r} and must be in its lane")
        self._states[name] = TaskState(name, schedule, needs, lane)
        self._rebuild()

    def remove(self, name: str) -> None:
        """Forget a task and what it took."""
        del self._states[name]
        self.latency.forget(name)
        self._rebuild()

    def move(self, name: str, lane: int) -> None:
        """Put a task in another lane, together with what it needs and what needs it: one call each."""
        self._states[name].lane = lane
        self._rebuild()

    def quarantine(self, name: str, reason: str | None) -> None:
        """Leave a task out of every frame from now on; None: no longer."""
        self._states[name].quarantined = reason

    def _rebuild(self) -> None:
        states = self._states
        for state in states.values():
            state.priority = state.schedule.priority
            state.optional = state.schedule.optional or any(states[name].optional for name in state.needs)
        for state in reversed(list(states.values())):  # needed tasks were added before those that need them
            for name in state.needs:
                states[name].priority = max(states[name].priority, state.priority)
        index = {name: i for i, name in enumerate(states)}
        for lane in range(len(self._order)):
            members = sorted(
                (state for state in states.values() if state.lane == lane),
                key=lambda state: self._rank(state, index[state.name]),
            )
            ordered: list[TaskState] = []
            while members:
                # What needs something waits for it; the rest keeps its rank.
                here = {state.name for state in members}  # a group that is being moved may be elsewhere in part
                at = next(i for i, state in enumerate(members) if here.isdisjoint(state.needs))
                ordered.append(members.pop(at))
            self._order[lane] = [state for state in ordered if not state.schedule.preempts]
            self._urgent[lane] = [state for state in ordered if state.schedule.preempts]
        self.has_urgent = any(self._urgent)

    def _rank(self, state: TaskState, position: int) -> tuple[float, ...]:
        """The smaller, the earlier in its lane."""
        return (-state.priority, float("inf") if state.deadline_ns is None else state.deadline_ns, position)

    # ---- frames

    def offered(self, frame_ns: int) -> None:
        """The source has a frame of this time, whether it will be admitted or dropped: learns how often frames come."""
        if self._last_ns is not None and frame_ns > self._last_ns:
            interval = frame_ns - self._last_ns
            self._period_ns = (
                interval if self._period_ns is None else self._period_ns + (interval - self._period_ns) / 8
            )
        self._last_ns = frame_ns

    def is_stale(self, now_ns: int, frame_ns: int) -> bool:
        """Tell whether a frame that has waited is better dropped for the next one.

        True if the most important task with a deadline would be late for this frame, and in time for a fresh one.
        """
        chosen: tuple[int, int, int] | None = None  # priority, wait, slack
        for order, backlog in zip(self._order, self._backlogs, strict=True):
            spent = 0
            for state in order:
                if state.optional:
                    continue
                spent += self.latency.expect(state.name)
                deadline = state.deadline_ns
                if deadline is not None and (chosen is None or state.priority > chosen[0]):
                    chosen = (state.priority, backlog.free_ns(now_ns) - frame_ns, deadline - spent)
        return chosen is not None and chosen[2] >= 0 and chosen[1] > chosen[2]

    def plan(self, now_ns: int, frame_ns: int, dropping: bool = False, urgent: bool = False) -> FramePlan:
        """Admit a frame.

        Parameters
        ----------
        now_ns : int
        frame_ns : int
            When the frame was taken, on the same clock: deadlines count from it.
        dropping : bool
            The source does not wait: what comes while the lanes are busy is dropped, so optional work must leave room
            for the next frame.
        urgent : bool
            Plan the tasks that preempt, instead of the others.

        Returns
        -------
        FramePlan
        """
        plan = FramePlan([])
        for lane, order in enumerate(self._urgent if urgent else self._order):
            due = [state for state in order if self._is_due(state, frame_ns, plan)]
            if any(state.optional for state in due):
                due, latest = self._fit(due, self._window(lane, now_ns, frame_ns, dropping), plan)
            else:
                due = with_needed(due, plan)
                latest = [None] * len(due)
            plan.lanes.append([PlannedTask(state.name, limit) for state, limit in zip(due, latest, strict=True)])
            for state in due:
                self._took(state, frame_ns)
            if due and not urgent:
                backlog = self._backlogs[lane]
                if not backlog.expected:
                    backlog.since_ns = now_ns
                expected = sum(self.latency.expect(state.name) for state in due)
                worst = sum(self.latency.worst(state.name) for state in due)
                backlog.expected.append((expected, max(expected, worst)))
        return plan

    def _fit(self, due: list[TaskState], window: Window, plan: FramePlan) -> tuple[list[TaskState], list[int | None]]:
        """What of the due tasks runs, and for each the latest time to start it."""
        return fit(due, window, self.latency, self.patience, plan)

    def _window(self, lane: int, now_ns: int, frame_ns: int, dropping: bool) -> Window:
        start = self._backlogs[lane].free_ns(now_ns)
        if not dropping:
            return Window(frame_ns, start, None, 0)
        # A lane that will not be free before a fresher frame is there leaves optional work to that one: frames that wait
        # for a slow lane would hold up the others.
        is_busy = self._period_ns and start - now_ns > self._period_ns
        limit = free_by(self._order[lane], self.latency, frame_ns, self._period_ns)
        return Window(frame_ns, start, limit, start - now_ns if is_busy else 0)

    def _is_due(self, state: TaskState, frame_ns: int, plan: FramePlan) -> bool:
        if state.quarantined is not None:
            plan.skipped[state.name] = state.quarantined
            return False
        schedule = state.schedule
        if schedule.rate_hz:
            if state.next_ns is None or frame_ns >= state.next_ns:
                return True
            plan.skipped[state.name] = f"not due: {schedule.rate_hz:g} a second"
            plan.not_due.add(state.name)
            return False
        state.waited += 1
        if state.waited >= schedule.every or state.next_ns is None:
            return True
        plan.skipped[state.name] = f"not due: every {schedule.every} frames, {schedule.every - state.waited} to go"
        plan.not_due.add(state.name)
        return False

    def _took(self, state: TaskState, frame_ns: int) -> None:
        state.shed_before, state.shed, state.waited = state.shed, 0, 0
        rate_hz = state.schedule.rate_hz
        if not rate_hz:
            state.next_ns = frame_ns  # it has run once
            return
        interval = round(1e9 / rate_hz)
        following = frame_ns if state.next_ns is None else state.next_ns
        state.next_ns = following + interval if following + interval > frame_ns else frame_ns + interval

    def ended(self, lane: int, end_ns: int, took: Mapping[str, int], urgent: bool = False) -> None:
        """A lane is through with the oldest frame it was given.

        Parameters
        ----------
        lane : int
        end_ns : int
        took : dict of str to int
            Nanoseconds of each task that ran, with what it gave away: that goes into what it will take.
        urgent : bool
            Of the tasks that preempt.
        """
        for name, ns in took.items():
            if name in self._states:
                self.latency.saw(name, ns)
        if urgent:
            return
        backlog = self._backlogs[lane]
        if backlog.expected:
            del backlog.expected[0]
        backlog.since_ns = end_ns

    def shed(self, name: str) -> None:
        """A planned task was left out after all: it could not be started in time, or is not loaded. It stays due."""
        state = self._states.get(name)
        if state is not None:
            state.shed = state.shed_before + 1
            state.waited = state.schedule.every
            if state.schedule.rate_hz:
                state.next_ns = None
