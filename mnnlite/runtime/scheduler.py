"""Which task runs on which frame: pure policy. No threads, no clock of its own, nothing native.

Time is whole nanoseconds of one steady clock that the caller reads. A frame is planned when it is admitted: for each
lane, the tasks to run, in order. A run cannot be interrupted, so what is already on its way is counted first.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

from mnnlite.errors import ArgumentError

__all__ = ["Costs", "Plan", "Policy", "Rule", "Scheduler", "Slot"]

Policy = Literal["edf", "fifo", "rate_monotonic"]
_MS = 1_000_000


@dataclass(frozen=True)
class Rule:
    """What the user said of a task.

    Parameters
    ----------
    name : str
    every : int
        Run on each n-th frame.
    rate_hz : float, optional
        Run at most this often instead.
    priority : int
        Larger is more important.
    deadline_ns : int, optional
        Nanoseconds from the frame's timestamp to the end of the task.
    optional : bool
        May be left out of a frame when there is no time.
    needs : tuple of str
        Tasks whose results this one works on; it runs after them, in the same lane, and not without them.
    lane : int
    """

    name: str
    every: int = 1
    rate_hz: float | None = None
    priority: int = 0
    deadline_ns: int | None = None
    optional: bool = False
    needs: tuple[str, ...] = ()
    lane: int = 0


@dataclass(frozen=True)
class Slot:
    """One task of a planned frame.

    Parameters
    ----------
    name : str
    not_after_ns : int, optional
        An optional task that could not be started by then is better left out.
    """

    name: str
    not_after_ns: int | None = None


@dataclass
class Plan:
    """What one frame gets.

    Parameters
    ----------
    lanes : list of list of Slot
        For each lane what to run, in order.
    skipped : dict of str to str
        Why the other tasks do not run.
    """

    lanes: list[list[Slot]]
    skipped: dict[str, str] = field(default_factory=dict)


class Costs:
    """How long tasks take, as moving averages: devices throttle, crops come and go.

    The mean moves by 1/8 of each difference and the deviation by 1/4, as TCP estimates a round trip (RFC 6298); what is
    expected is the mean and twice the deviation. The worst forgets a tenth a run.
    """

    def __init__(self) -> None:
        self._mean: dict[str, float] = {}
        self._deviation: dict[str, float] = {}
        self._worst: dict[str, float] = {}
        self._extra: dict[str, int] = {}

    def set_extra(self, name: str, ns: int) -> None:
        """The next run takes so many nanoseconds more: the task must be loaded first."""
        self._extra[name] = ns

    def saw(self, name: str, ns: int) -> None:
        """Learn from a run of `ns` nanoseconds."""
        mean = self._mean.get(name)
        if mean is None:
            self._mean[name], self._deviation[name], self._worst[name] = float(ns), ns / 8, float(ns)
            return
        difference = ns - mean
        self._mean[name] = mean + difference / 8
        self._deviation[name] += (abs(difference) - self._deviation[name]) / 4
        self._worst[name] = max(float(ns), self._worst[name] * 0.9, self._mean[name])

    def mean(self, name: str) -> int:
        """Nanoseconds; 0 if the task never ran."""
        return int(self._mean.get(name, 0))

    def expect(self, name: str) -> int:
        """Nanoseconds to reckon with; 0 if the task never ran."""
        return int(self._mean.get(name, 0) + 2 * self._deviation.get(name, 0)) + self._extra.get(name, 0)

    def worst(self, name: str) -> int:
        """Nanoseconds of the longest run of late; 0 if the task never ran."""
        return int(self._worst.get(name, 0))

    def forget(self, name: str) -> None:
        """The task is gone."""
        for table in (self._mean, self._deviation, self._worst):
            table.pop(name, None)
        self._extra.pop(name, None)


@dataclass
class _State:
    """How a rule stands."""

    rule: Rule
    priority: int = 0  # with that of the tasks that need it
    optional: bool = False  # or needs one that is
    waited: int = 0  # frames since it was planned
    next_ns: int | None = None  # by rate_hz
    parked: str | None = None  # why it does not run at all
    shed: int = 0  # times left out in a row for want of time
    shed_before: int = 0  # as `shed` was when the task was last planned


@dataclass
class _Lane:
    """What is on its way in a lane."""

    since_ns: int = 0  # when the first frame of `expected` began, as far as known
    expected: list[tuple[int, int]] = field(default_factory=list)  # expected and worst nanoseconds of each frame

    def free_ns(self, now_ns: int) -> int:
        """When a frame admitted now would begin."""
        if not self.expected:
            return now_ns
        first, worst = self.expected[0]
        spent = now_ns - self.since_ns
        # A run that takes longer than expected is taken to be as long as the longest.
        rest = first - spent if spent <= first else max(0, worst - spent)
        return now_ns + rest + sum(frame for frame, _ in self.expected[1:])


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
        self._states: dict[str, _State] = {}
        self._order: list[list[_State]] = [[] for _ in range(lanes)]
        self._lanes = [_Lane() for _ in range(lanes)]
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
        self._states[rule.name] = _State(rule)
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

        def rank(state: _State) -> tuple[float, ...]:
            rule, position = state.rule, index[state.rule.name]
            if self.policy == "fifo":
                return (position,)
            if self.policy == "rate_monotonic":
                return (1e9 / rule.rate_hz if rule.rate_hz else rule.every * (self._period_ns or 1e9 / 30), position)
            return (-state.priority, rule.deadline_ns if rule.deadline_ns is not None else float("inf"), position)

        for lane in range(len(self._order)):
            members = sorted((s for s in states.values() if s.rule.lane == lane), key=rank)
            ordered: list[_State] = []
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
                due, latest = self._fit(lane, due, now_ns, frame_ns, dropping, plan)
            else:
                due = self._with_needed(due, plan)
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

    def park(self, name: str, reason: str | None) -> None:
        """Leave a task out of every frame from now on; None: no longer."""
        self._states[name].parked = reason

    def _is_due(self, state: _State, frame_ns: int, plan: Plan) -> bool:
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

    def _took(self, state: _State, frame_ns: int) -> None:
        rule = state.rule
        state.shed_before, state.shed, state.waited = state.shed, 0, 0
        if not rule.rate_hz:
            state.next_ns = frame_ns  # it has run once
            return
        interval = round(1e9 / rule.rate_hz)
        following = frame_ns if state.next_ns is None else state.next_ns
        state.next_ns = following + interval if following + interval > frame_ns else frame_ns + interval

    def _with_needed(self, due: list[_State], plan: Plan) -> list[_State]:
        """Without those that need a task which does not run."""
        names: set[str] = set()
        kept = []
        for state in due:
            missing = next((name for name in state.rule.needs if name not in names), None)
            if missing is None:
                names.add(state.rule.name)
                kept.append(state)
            else:
                plan.skipped[state.rule.name] = f"comes after {missing!r}, which does not run on this frame"
        return kept

    def _fit(
        self, lane: int, due: list[_State], now_ns: int, frame_ns: int, dropping: bool, plan: Plan
    ) -> tuple[list[_State], list[int | None]]:
        """Leave out what there is no time for."""
        start = self._lanes[lane].free_ns(now_ns)
        cost = {state.rule.name: self.costs.expect(state.rule.name) for state in due}
        horizon = self._horizon(lane, frame_ns) if dropping else None
        # A lane that will not be free before a fresher frame is there leaves optional work to that one: frames that wait
        # for a slow lane would hold up the others.
        busy_ns = start - now_ns if dropping and self._period_ns and start - now_ns > self._period_ns else 0
        rank = {state.rule.name: i for i, state in enumerate(due)}

        def left(chosen: list[_State]) -> tuple[list[int | None], int | None]:
            """For each task the time left to its deadline (None: it has none); and for the lane to the next frame."""
            ends, at = [], start
            for state in chosen:
                at += cost[state.rule.name]
                deadline = state.rule.deadline_ns
                ends.append(None if deadline is None else frame_ns + deadline - at)
            return ends, None if horizon is None else horizon - at

        chosen = self._with_needed([state for state in due if not state.optional], plan)
        lost = {s.rule.name for s, rest in zip(chosen, left(chosen)[0], strict=True) if rest is not None and rest < 0}
        # The best order to try them in; a task that was left out for long goes first.
        candidates = [state for state in due if state.optional]
        candidates.sort(key=lambda s: (s.shed < self.patience, -s.priority, rank[s.rule.name] - s.shed * 1e-3))
        forced = False
        present = {state.rule.name for state in chosen}
        for state in self._parents_first(candidates):
            missing = next((name for name in state.rule.needs if name not in present), None)
            if missing is not None:
                plan.skipped[state.rule.name] = f"comes after {missing!r}, which does not run on this frame"
                continue
            trial = sorted([*chosen, state], key=lambda s: rank[s.rule.name])
            ends, room = left(trial)
            short = min(
                [
                    rest
                    for rest, each in zip(ends, trial, strict=True)
                    if rest is not None and each.rule.name not in lost
                ]
                + ([] if room is None else [room]),
                default=0,
            )
            if busy_ns:
                plan.skipped[state.rule.name] = f"the lane is busy for another {busy_ns / _MS:.1f} ms"
                continue
            if short < 0:
                if forced or state.shed < 2 * self.patience:
                    state.shed += 1
                    plan.skipped[state.rule.name] = (
                        f"no time: it needs {cost[state.rule.name] / _MS:.1f} ms, {-short / _MS:.1f} ms more than there is"
                    )
                    continue
                forced = True
                lost.update(s.rule.name for s, rest in zip(trial, ends, strict=True) if rest is not None and rest < 0)
                horizon = None
            chosen = trial
            present.add(state.rule.name)
        ends, room = left(chosen)
        latest: list[int | None] = [None] * len(chosen)
        at = start + sum(cost[state.rule.name] for state in chosen)
        slack = room
        for i in reversed(range(len(chosen))):
            state, rest = chosen[i], ends[i]
            at -= cost[state.rule.name]
            if rest is not None and state.rule.name not in lost:
                slack = rest if slack is None else min(slack, rest)
            if state.optional and slack is not None and state.shed < self.patience:
                latest[i] = at + max(0, slack)
        return chosen, latest

    @staticmethod
    def _parents_first(states: list[_State]) -> list[_State]:
        names = {state.rule.name for state in states}
        ordered: list[_State] = []
        done: set[str] = set()

        def visit(state: _State) -> None:
            if state.rule.name in done:
                return
            done.add(state.rule.name)
            for name in state.rule.needs:
                if name in names:
                    visit(next(each for each in states if each.rule.name == name))
            ordered.append(state)

        for state in states:
            visit(state)
        return ordered

    def _horizon(self, lane: int, frame_ns: int) -> int | None:
        """When the lane must be free for the next frame at the latest."""
        if self._period_ns is None or all(state.optional for state in self._order[lane]):
            return None
        spent, slack = 0, self._period_ns
        for state in self._order[lane]:
            if state.optional:
                continue
            # A task that is seldom due counts whole: the next frame may be the one.
            spent += self.costs.expect(state.rule.name)
            if state.rule.deadline_ns is not None:
                slack = min(slack, state.rule.deadline_ns - spent)
        slack = min(slack, self._period_ns - spent)
        return int(frame_ns + self._period_ns + max(0.0, slack))

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
