"""What is left out of a frame, against the rules written down a second time, plainly; and why, word for word."""

from __future__ import annotations

import random

import pytest

from helpers.simulation import MS
from mnnlite.runtime.frame_plan import FramePlan
from mnnlite.runtime.schedule import Schedule
from mnnlite.runtime.shedding import Window, fit, free_by, with_needed
from mnnlite.runtime.task_state import TaskState


class Costs(dict):
    """What tasks take, exactly."""

    def expect(self, name: str) -> int:
        return self[name]


def state(name: str, needs: tuple[str, ...] = (), shed: int = 0, **schedule) -> TaskState:
    made = TaskState(name, Schedule(**schedule), needs)
    made.priority, made.optional, made.shed = made.schedule.priority, made.schedule.optional, shed
    return made


def ends(chosen: list[TaskState], window: Window, costs: Costs) -> dict[str, int]:
    found, at = {}, window.start_ns
    for each in chosen:
        at += costs[each.name]
        found[each.name] = at
    return found


def late(chosen: list[TaskState], window: Window, costs: Costs) -> set[str]:
    when = ends(chosen, window, costs)
    return {
        each.name
        for each in chosen
        if each.deadline_ns is not None and when[each.name] > window.frame_ns + each.deadline_ns
    }


def definition(due, window, costs, patience):
    """The rules of `fit`: what runs, the latest start of each, how often each was left out."""
    names = [each.name for each in due]
    by_name = {each.name: each for each in due}
    shed = {each.name: each.shed for each in due}
    runs = []  # names of what runs; those that must, with what they need, in order
    for each in due:
        if not each.optional and set(each.needs) <= set(runs):
            runs.append(each.name)

    def in_order(some):
        return [by_name[name] for name in names if name in some]

    lost = late(in_order(runs), window, costs)  # they are late whatever is left out
    limit, forced = window.free_by_ns, False
    waiting = sorted(
        (each for each in due if each.optional),
        key=lambda each: (each.shed < patience, -each.priority, names.index(each.name)),
    )
    while waiting:  # the first one; what it needs, before it
        each = waiting[0]
        while any(other.name in each.needs for other in waiting):
            each = next(other for name in each.needs for other in waiting if other.name == name)
        waiting.remove(each)
        if not set(each.needs) <= set(runs) or window.busy_ns:
            continue
        trial = in_order([*runs, each.name])
        hurts = late(trial, window, costs) - lost
        if hurts or (limit is not None and max(ends(trial, window, costs).values()) > limit):
            if forced or each.shed < 2 * patience:
                shed[each.name] += 1
                continue
            forced, limit = True, None
            lost |= late(trial, window, costs)
        runs.append(each.name)
    chosen = in_order(runs)
    latest = []
    for i, each in enumerate(chosen):
        bounds = [] if limit is None else [limit - sum(costs[later.name] for later in chosen[i:])]
        for j in range(i, len(chosen)):
            if chosen[j].deadline_ns is not None and chosen[j].name not in lost:
                spent = sum(costs[later.name] for later in chosen[i : j + 1])
                bounds.append(window.frame_ns + chosen[j].deadline_ns - spent)
        begins = window.start_ns + sum(costs[before.name] for before in chosen[:i])
        is_held = each.optional and each.shed < patience and bounds
        latest.append(max(begins, min(bounds)) if is_held else None)
    return [each.name for each in chosen], latest, shed


@pytest.mark.parametrize("seed", range(40))
def test_fit_is_its_definition(seed):
    rng = random.Random(seed)
    for _ in range(25):
        count, patience = rng.randint(1, 7), rng.randint(1, 4)
        due, costs = [], Costs()
        for i in range(count):
            above = [each for each in due if rng.random() < 0.3]
            optional = rng.random() < 0.6 or any(each.optional for each in above)
            due.append(
                state(
                    "abcdefg"[i],
                    tuple(each.name for each in above[:2]),
                    shed=rng.choice([0, 0, 1, patience - 1, patience, 2 * patience - 1, 2 * patience, 9]),
                    optional=optional,
                    priority=rng.randint(-1, 2),
                    deadline_ms=rng.choice([None, rng.randint(1, 40)]),
                )
            )
            costs["abcdefg"[i]] = rng.randint(0, 15) * MS
        frame = 1000 * MS
        start = frame + rng.randint(0, 10) * MS
        limit = rng.choice([None, frame + rng.randint(5, 60) * MS])
        window = Window(frame, start, limit, rng.choice([0, 0, 0, 3 * MS]))
        expected, latest, shed = definition(due, window, costs, patience)
        plan = FramePlan([])
        chosen, found = fit(list(due), window, costs, patience, plan)
        assert [each.name for each in chosen] == expected
        assert found == latest
        assert {each.name: each.shed for each in due} == shed
        assert set(plan.skipped) == set(costs) - set(expected)


def test_each_reason_has_its_words():
    costs = Costs(must=20 * MS, may=15 * MS, after=MS)
    due = [state("must", deadline_ms=30), state("may", optional=True), state("after", ("may",), optional=True)]
    plan = FramePlan([])
    chosen, latest = fit(due, Window(0, 0, None, 0), costs, 9, plan)
    assert ([each.name for each in chosen], latest) == (["must", "may", "after"], [None, None, None])
    assert plan == FramePlan([])
    due = [state("may", optional=True), state("after", ("may",), optional=True), state("must", deadline_ms=30)]
    fit(due, Window(0, 0, None, 0), costs, 9, plan)
    assert plan.skipped == {
        "may": "no time: it needs 15.0 ms, 5.0 ms more than there is",
        "after": "comes after 'may', which does not run on this frame",
    }
    assert plan.not_due == set()
    plan = FramePlan([])
    fit(due, Window(0, 0, None, int(2.5 * MS)), costs, 9, plan)
    assert plan.skipped["may"] == "the lane is busy for another 2.5 ms"
    plan = FramePlan([], {"may": "not due"}, {"may"})
    fit(due[1:], Window(0, 0, None, 0), costs, 9, plan)
    assert plan.skipped["after"] == "comes after 'may', which does not run on this frame"
    assert plan.not_due == {"may", "after"}  # nothing is missing: what it comes after was not to run
    plan = FramePlan([])
    assert fit([state("a", ("gone",)), *due[:1]], Window(0, 0, None, 0), Costs(costs, a=1), 9, plan)[0] == due[:1]
    assert plan.skipped == {"a": "comes after 'gone', which does not run on this frame"}


def test_what_needs_a_task_that_does_not_run_does_not_run():
    plan = FramePlan([], {"gone": "quarantined", "rests": "not due"}, {"rests"})
    due = [
        state("a"),
        state("b", ("a",)),
        state("c", ("a", "gone")),
        state("d", ("c",)),
        state("e", ("rests",)),
        state("f", ("b", "a")),
    ]
    assert [each.name for each in with_needed(due, plan)] == ["a", "b", "f"]
    assert plan.skipped == {
        "gone": "quarantined",
        "rests": "not due",
        "c": "comes after 'gone', which does not run on this frame",
        "d": "comes after 'c', which does not run on this frame",
        "e": "comes after 'rests', which does not run on this frame",
    }
    assert plan.not_due == {"rests", "e"}


def test_when_a_lane_must_be_free():
    """The next frame comes a period after this one, and may wait as long as all that must run is in time."""
    costs = Costs(a=10, b=20, may=500)
    frame, period = 1000, 100.0
    may = state("may", optional=True)
    assert free_by([state("a"), may], costs, frame, None) is None
    assert free_by([may], costs, frame, period) is None
    assert free_by([], costs, frame, period) is None
    assert free_by([state("a"), may, state("b")], costs, frame, period) == 1000 + 100 + (100 - 30)
    late_b = state("b", deadline_ms=50 / MS)
    assert free_by([state("a"), late_b], costs, frame, period) == 1000 + 100 + (50 - 30)
    assert free_by([may, state("a", deadline_ms=15 / MS), late_b], costs, frame, period) == 1000 + 100 + (15 - 10)
    assert free_by([state("a", deadline_ms=5 / MS)], costs, frame, period) == 1000 + 100  # late at any rate
    assert free_by([state("a"), state("b")], costs, frame, 25.0) == 1000 + 25  # slower than frames come
    assert free_by([state("a")], costs, frame, 100.5) == int(1000 + 100.5 + 90.5)
