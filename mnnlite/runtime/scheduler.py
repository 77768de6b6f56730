"""Which task runs on which frame: pure policy. No threads, no clock of its own, nothing native.

Time is whole nanoseconds of one steady clock that the caller reads. A frame is planned when it is admitted: for each
lane, the tasks to run, in order. A run cannot be interrupted, so what is already on its way is counted first.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from mnnlite.errors import ArgumentError
from mnnlite.runtime.costs import Costs
from mnnlite.runtime.rules import Plan, Slot
from mnnlite.runtime.shedding import Window, fit, free_by, with_needed
from mnnlite.runtime.standing import LaneTime, State

if TYPE_CHECKING:
    from mnnlite.runtime.rules import Rule

__all__ = ["Policy", "Scheduler"]

Policy = Literal["edf", "fifo", "rate_monotonic"]


class Scheduler:
    """Plans frames.

    Policies
    --------
    ``"edf"``: earliest deadline first within priorities. Tasks that are not optional always run. Optional tasks run
    if, by predicted cost, they end by their own deadline, make no other task miss one that it would otherwise meet,
    and (where frames are dropped) leave the lane free in time for the next frame. A task left out `patience` times in a
    row goes before the other optional ones; after twice as many it runs, come what may, at the end of a frame.

    ``"fifo"``: in the order of adding, nothing left out. ``"rate_monotonic"``: those due more often first, nothing left
    out. Both are baselines.

    Parameters
    ----------
    lanes : int
    policy : {"edf", "fifo", "rate_monotonic"}
    patience : int
        Frames.
    """

    def __init__(self, lanes: int = 1, policy: Policy = "edf", patience: int = 15) -> None:
        self.costs = Costs()
        self.policy = policy
        self.patience = patience
        self._states: dict[str, State] = {}
        self._order: list[list[State]] = [[] for _ in range(lanes)]
        self._lanes = [LaneTime() for _ in range(lanes)]
        self._last_ns: int | None = None
        self._period_ns: float | None = None

    # ---- which tasks there are

    @property
    def lanes(self) -> int:
        """How many."""
        return len(self._lanes)

    @property
    def rules(self) -> dict[str, Rule]:
        """By name, in the order of adding."""
        return {name: state.rule for name, state in self._states.items()}

    @property
    def period_ns(self) -> float | None:
        """Mean time between the frames that the source offered; None if not known."""
        return self._period_ns

    def add(self, rule: Rule) -> None:
        """Add a task, or replace the one of that name.

        Raises
        ------
        ArgumentError
            It needs a task that is not there, or one of another lane.
        """
        for name in rule.needs:
            if name not in self._states:
                raise ArgumentError(f"task {rule.name!r} comes after {name!r}, which is not there; add that one first")
            if self._states[name].rule.lane != rule.lane:
                raise ArgumentError(f"task {rule.name!r} comes after {name!r} and must be in its lane")
        self._states[rule.name] = State(rule)
        self._rebuild()

    def remove(self, name: str) -> None:
        """Forget a task and what it took."""
        del self._states[name]
        self.costs.forget(name)
        self._rebuild()

    def move(self, name: str, lane: int) -> None:
        """Put a task in another lane, together with what it needs and what needs it: one call each."""
        state = self._states[name]
        state.rule = replace(state.rule, lane=lane)
        self._rebuild()

    def parked(self, name: str) -> str | None:
        """Why the task does not run, if it was parked."""
        return self._states[name].parked

    def _rebuild(self) -> None:
        states = self._states
        for state in states.values():
            state.priority = state.rule.priority
            state.optional = state.rule.optional or any(states[name].optional for name in state.rule.needs)
        for state in reversed(list(states.values())):  # needed tasks were added before those that need them
            for name in state.rule.needs:
                states[name].priority = max(states[name].priority, state.priority)
        index = {name: i for i, name in enumerate(states)}

        def rank(state: State) -> tuple[float, ...]:
            rule, position = state.rule, index[state.rule.name]
            if self.policy == "fifo":
                return (position,)
            if self.policy == "rate_monotonic":
                return (1e9 / rule.rate_hz if rule.rate_hz else rule.every * (self._period_ns or 1e9 / 30), position)
            return (-state.priority, rule.deadline_ns if rule.deadline_ns is not None else float("inf"), position)

        for lane in range(len(self._order)):
            members = sorted((s for s in states.values() if s.rule.lane == lane), key=rank)
            ordered: list[State] = []
            while members:
                # What needs something waits for it; the rest keeps its rank.
                here = {state.rule.name for state in members}  # a group that is being moved may be elsewhere in part
                at = next(i for i, state in enumerate(members) if here.isdisjoint(state.rule.needs))
                state = members.pop(at)
                ordered.append(state)
            self._order[lane] = ordered

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
        if self.policy != "edf":
            return False
        chosen: tuple[int, int, int] | None = None  # priority, wait, slack
        for order, lane in zip(self._order, self._lanes, strict=True):
            spent = 0
            for state in order:
                if state.optional:
                    continue
                spent += self.costs.expect(state.rule.name)
                deadline = state.rule.deadline_ns
                if deadline is not None and (chosen is None or state.priority > chosen[0]):
                    chosen = (state.priority, lane.free_ns(now_ns) - frame_ns, deadline - spent)
        return chosen is not None and chosen[2] >= 0 and chosen[1] > chosen[2]

    def plan(self, now_ns: int, frame_ns: int, dropping: bool = False) -> Plan:
        """Admit a frame.

        Parameters
        ----------
        now_ns : int
        frame_ns : int
            When the frame was taken, on the same clock: deadlines count from it.
        dropping : bool
            The source does not wait: what comes while the lanes are busy is dropped, so optional work must leave room
            for the next frame.

        Returns
        -------
        Plan
        """
        plan = Plan([])
        for lane, order in enumerate(self._order):
            due = [state for state in order if self._is_due(state, frame_ns, plan)]
            if self.policy == "edf" and any(state.optional for state in due):
                window = self._window(lane, now_ns, frame_ns, dropping)
                due, latest = fit(due, window, self.costs, self.patience, plan)
            else:
                due = with_needed(due, plan)
                latest = [None] * len(due)
            plan.lanes.append([Slot(s.rule.name, limit) for s, limit in zip(due, latest, strict=True)])
            for state in due:
                self._took(state, frame_ns)
            if due:
                if not self._lanes[lane].expected:
                    self._lanes[lane].since_ns = now_ns
                expected = sum(self.costs.expect(state.rule.name) for state in due)
                worst = sum(self.costs.worst(state.rule.name) for state in due)
                self._lanes[lane].expected.append((expected, max(expected, worst)))
        return plan

    def _window(self, lane: int, now_ns: int, frame_ns: int, dropping: bool) -> Window:
        start = self._lanes[lane].free_ns(now_ns)
        if not dropping:
            return Window(frame_ns, start, None, 0)
        # A lane that will not be free before a fresher frame is there leaves optional work to that one: frames that wait
        # for a slow lane would hold up the others.
        is_busy = self._period_ns and start - now_ns > self._period_ns
        limit = free_by(self._order[lane], self.costs, frame_ns, self._period_ns)
        return Window(frame_ns, start, limit, start - now_ns if is_busy else 0)

    def park(self, name: str, reason: str | None) -> None:
        """Leave a task out of every frame from now on; None: no longer."""
        self._states[name].parked = reason

    def _is_due(self, state: State, frame_ns: int, plan: Plan) -> bool:
        rule = state.rule
        if state.parked is not None:
            plan.skipped[rule.name] = state.parked
            return False
        if rule.rate_hz:
            if state.next_ns is None or frame_ns >= state.next_ns:
                return True
            plan.skipped[rule.name] = f"not due: {rule.rate_hz:g} a second"
            return False
        state.waited += 1
        if state.waited >= rule.every or state.next_ns is None:
            return True
        plan.skipped[rule.name] = f"not due: every {rule.every} frames, {rule.every - state.waited} to go"
        return False

    def _took(self, state: State, frame_ns: int) -> None:
        rule = state.rule
        state.shed_before, state.shed, state.waited = state.shed, 0, 0
        if not rule.rate_hz:
            state.next_ns = frame_ns  # it has run once
            return
        interval = round(1e9 / rule.rate_hz)
        following = frame_ns if state.next_ns is None else state.next_ns
        state.next_ns = following + interval if following + interval > frame_ns else frame_ns + interval

    def ended(self, lane: int, end_ns: int, took: dict[str, int]) -> None:
        """A lane is through with the oldest frame it was given.

        Parameters
        ----------
        lane : int
        end_ns : int
        took : dict of str to int
            Nanoseconds of each task that ran.
        """
        for name, ns in took.items():
            if name in self._states:
                self.costs.saw(name, ns)
        state = self._lanes[lane]
        if state.expected:
            del state.expected[0]
        state.since_ns = end_ns

    def shed(self, name: str) -> None:
        """A planned optional task was left out after all, because it could not be started in time."""
        state = self._states.get(name)
        if state is not None:
            state.shed = state.shed_before + 1
            state.waited = state.rule.every
            if state.rule.rate_hz:
                state.next_ns = None
