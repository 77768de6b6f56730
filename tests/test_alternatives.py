"""Fronts and choices against the enumeration of everything there is."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mnnlite.alternatives import Group, Item, choice, choose, front
from mnnlite.alternatives.choice import lane_times, peak_of

SMALL = st.integers(0, 20)
ITEM = st.builds(Item, st.integers(1, 20), SMALL, SMALL, SMALL, SMALL, SMALL)


@st.composite
def problems(draw):
    groups = []
    for _ in range(draw(st.integers(1, 5))):
        lane = draw(st.integers(0, 1))
        items = draw(st.lists(ITEM, min_size=1, max_size=4))
        groups.append(Group(items, lane, (lane, draw(st.integers(0, 1))), (lane, draw(st.integers(0, 1)))))
    return groups, draw(st.integers(0, 5))


@pytest.mark.slow
@settings(max_examples=150, deadline=None)
@given(problems(), st.integers(0, 250), st.integers(1, 100), st.sampled_from([0.05, 0.3]))
def test_choose__is_the_best_of_everything_there_is(problem, memory, time, slack):
    """All that is asked of a problem at once: to enumerate its choices is what takes the time."""
    groups, a_lane = problem
    every = [
        (max(lane_times(groups, chosen)), peak_of(groups, chosen, a_lane), chosen)
        for chosen in itertools.product(*(range(len(group.items)) for group in groups))
    ]
    within_memory_the_shortest_and_of_these_the_smallest(groups, a_lane, every, memory)
    within_a_time_the_smallest_and_of_these_the_shortest(groups, a_lane, every, time)
    of_peaks_that_count_as_equal_the_one_that_holds_least(groups, a_lane, every, time, slack)
    without_bounds_the_shortest(groups, a_lane, every)


def within_memory_the_shortest_and_of_these_the_smallest(groups, a_lane, every, memory):
    fitting = [(time, peak) for time, peak, _ in every if peak <= memory]
    chosen = choose(groups, memory=memory, a_lane=a_lane) if memory else None
    if not fitting or not memory:
        assert chosen is None
        return
    assert chosen is not None
    assert (max(lane_times(groups, chosen)), peak_of(groups, chosen, a_lane)) == min(fitting)


def within_a_time_the_smallest_and_of_these_the_shortest(groups, a_lane, every, time):
    fitting = [(peak, taken) for taken, peak, _ in every if taken <= time]
    chosen = choose(groups, time=time, a_lane=a_lane)
    if not fitting:
        assert chosen is None
        return
    assert chosen is not None
    assert (peak_of(groups, chosen, a_lane), max(lane_times(groups, chosen))) == min(fitting)


def of_peaks_that_count_as_equal_the_one_that_holds_least(groups, a_lane, every, time, slack):
    fitting = [(peak, taken, chosen) for taken, peak, chosen in every if taken <= time]
    chosen = choose(groups, time=time, a_lane=a_lane, slack=slack)
    if not fitting:
        assert chosen is None
        return
    most = int(min(peak for peak, *_ in fitting) * (1 + slack))

    def running(one):
        return choice._held([(group, group.items[index]) for group, index in zip(groups, one, strict=True)], a_lane)

    wanted = min((running(one), peak, taken) for peak, taken, one in fitting if peak <= most)
    assert (running(chosen), peak_of(groups, chosen, a_lane), max(lane_times(groups, chosen))) == wanted


def without_bounds_the_shortest(groups, a_lane, every):
    chosen = choose(groups, a_lane=a_lane)
    assert max(lane_times(groups, chosen)) == min(time for time, *_ in every)
    assert chosen == choose(groups, a_lane=a_lane)  # the same again


def test_choose__of_nothing_is_nothing():
    assert choose([]) == []


@pytest.mark.parametrize("seed", range(3))
def test_choose__takes_a_moment_for_many_tasks(seed):
    """Numbers as they are measured: no two sums alike. How many choices are followed at once is what it costs."""
    rng = np.random.default_rng(seed)
    groups = []
    for _ in range(24):
        base, time = int(rng.integers(1 << 18, 1 << 24)), int(rng.integers(500, 30_000))
        items = []
        for step in range(int(rng.integers(2, 7))):
            held = int(base * 0.75**step * rng.uniform(0.95, 1.05))
            took = int(time * 1.08**step * rng.uniform(0.98, 1.02))
            items.append(Item(took, held, held, 2 * held, int(base * rng.uniform(0.5, 0.6))))
        groups.append(Group(items))
    least, most = (peak_of(groups, choose(groups, **limit)) for limit in ({"time": 10**9}, {}))
    budget = (least + most) // 2
    chosen = choose(groups, memory=budget)
    assert peak_of(groups, chosen) <= budget
    (took,) = lane_times(groups, chosen)
    assert choose(groups, time=took, slack=0.02) is not None
    again = choose(groups, time=took)
    assert lane_times(groups, again) <= [took]
    assert peak_of(groups, again) <= peak_of(groups, chosen)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 6), st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=8), st.booleans()
)
def test_front__keeps_what_nothing_dominates(points, noisy):
    fraction = 0.25 if noisy else 0.0
    noise = [fraction] * len(points) if noisy else None
    times, memory = [time for time, *_ in points], [terms for _, *terms in points]

    def dominates(a: int, b: int) -> bool:
        return all(x <= y for x, y in zip(memory[a], memory[b], strict=True)) and times[a] <= times[b] * (1 + fraction)

    kept = front(times, memory, noise)
    assert kept == sorted(set(kept)) != []
    for b in range(len(points)):
        assert b in kept or any(dominates(a, b) for a in kept)
    if not noisy:
        strictly = [
            any(dominates(a, b) and points[a] != points[b] for a in range(len(points))) for b in range(len(points))
        ]
        assert {tuple(points[i]) for i in kept} == {points[b] for b in range(len(points)) if not strictly[b]}
        assert len({points[i] for i in kept}) == len(kept)


def test_front__of_equal_times_has_the_smaller_one():
    assert front([100.0, 101.0, 99.5], [[3], [2], [3]], [0.02] * 3) == [1]
    assert front([100.0, 101.0, 90.0], [[3], [2], [3]], [0.02] * 3) == [1, 2]
    assert front([1.0, 1.0], [[1], [1]]) == [0]
