"""Which lane a task goes to, and which cores a lane gets: pure."""

from __future__ import annotations

import itertools
import random

import pytest

import mnnlite
from mnnlite.runtime.cores import Core, assign, read_cores, shown, speeds_of
from mnnlite.runtime.placement import assign_lanes, load_of, memory_of, pays
from mnnlite.runtime.replanning import FRAMES, Replanner


def best(costs, speeds):
    lanes = range(len(speeds))
    return min(max(load_of(costs, trial, speeds)) for trial in itertools.product(lanes, repeat=len(costs)))


@pytest.mark.parametrize("seed", range(20))
def test_the_longest_lane_is_about_as_short_as_can_be(seed):
    rng = random.Random(seed)
    costs = [rng.uniform(1, 20) for _ in range(rng.randint(1, 7))]
    speeds = [1.0, 1.0, 1.0][: rng.randint(2, 3)] if seed % 2 else [1.0, 0.4]
    found = assign_lanes(costs, speeds)
    assert max(load_of(costs, found, speeds)) <= best(costs, speeds) * 1.1


def test_of_placements_that_take_as_long_the_one_of_least_memory_is_taken():
    # Two large buffers fit into one lane: 9 + 1 instead of 9 + 9.
    lanes = assign_lanes([5, 5, 5, 5], [1, 1], memory=[9, 9, 1, 1])
    assert lanes[0] == lanes[1] != lanes[2] == lanes[3]
    assert memory_of([9, 9, 1, 1], lanes, 2) == 10
    # Time comes first.
    assert max(load_of([5, 5, 3, 3], assign_lanes([5, 5, 3, 3], [1, 1], memory=[9, 9, 1, 1]), [1, 1])) == 8


def test_what_need_not_move_stays():
    assert assign_lanes([5, 4, 3, 2], [1, 1], now=[1, 0, 0, 1]) == [1, 0, 0, 1]
    # The names of lanes mean nothing: one move rather than three.
    assert assign_lanes([10, 1, 1, 1], [1, 1], now=[1, 1, 0, 0]) == [1, 0, 0, 0]
    assert assign_lanes([10, 1, 1, 1], [1, 1], now=[0, 0, 1, 1]) == [0, 1, 1, 1]


def test_what_may_not_move_stays():
    costs, now = [10, 6, 5, 5], [0, 0, 0, 0]
    found = assign_lanes(costs, [1, 1], None, now, [False, True, True, True])
    assert found[0] == 0
    assert max(load_of(costs, found, [1, 1])) <= 15


def test_a_placement_pays_from_a_tenth_of_time_or_a_fifth_of_memory_on():
    flat = [0.0] * 4
    assert pays([5, 4, 3, 2], [1, 1], flat, [0, 0, 0, 1], [0, 1, 1, 0])  # 12 becomes 7
    assert pays([5, 3, 3, 1], [1, 1], flat, [0, 0, 1, 1], [0, 1, 1, 0])  # 8 becomes 6
    assert not pays([50, 40, 30, 20], [1, 1], flat, [0, 1, 1, 0], [0, 1, 1, 0])
    assert not pays([50, 25, 25, 48], [1, 1], flat, [0, 0, 1, 1], [0, 1, 1, 0])  # 75 becomes 98
    assert not pays([50, 26, 25, 47], [1, 1], flat, [0, 1, 0, 1], [0, 0, 1, 1])  # by a little
    assert not pays([10, 10], [1, 1], [9, 9], [0, 1], [1, 0])
    assert not pays([9, 1], [1, 1], flat[:2], [0, 0], [0, 1])  # a tenth, and no more
    assert pays([5, 5, 5, 5], [1, 1], [9, 1, 9, 1], [0, 0, 1, 1], [0, 1, 0, 1])  # 18 becomes 10
    assert not pays([5, 5, 5, 5], [1, 1], [9, 8, 9, 8], [0, 0, 1, 1], [0, 1, 0, 1])  # 18 becomes 17


def test_a_slow_lane_gets_less():
    costs = [4.0] * 9
    found = assign_lanes(costs, [1.0, 0.5])
    assert found.count(0) == 6
    assert load_of(costs, found, [1.0, 0.5]) == [24.0, 24.0]


def test_nothing_to_place():
    assert assign_lanes([], [1, 1]) == []
    assert assign_lanes([], [1, 1], [], []) == []


def placements(seed):
    """Costs, speeds, memory, where tasks are and which may move: whatever can be."""
    rng = random.Random(seed)
    count, lanes = rng.randint(4, 9), rng.randint(2, 3)
    costs = [rng.uniform(1, 20) if seed % 3 else float(rng.randint(1, 6)) for _ in range(count)]
    speeds = [1.0] * lanes if seed % 2 else [rng.choice([0.3, 0.5, 1.0]) for _ in range(lanes)]
    memory = [float(rng.randint(1, 9)) for _ in range(count)]
    now = [rng.randrange(lanes) for _ in range(count)]
    movable = [seed % 4 == 0 or rng.random() < 0.7 for _ in range(count)]
    return costs, speeds, memory, now, movable


def longest_first(costs, speeds, free=None, now=None):
    """Graham's rule as the paper has it: the longest task next, to the lane that is through with it first."""
    lanes = list(now or costs)
    free = range(len(costs)) if free is None else free
    load = [0.0] * len(speeds)
    for task in set(range(len(costs))) - set(free):
        load[lanes[task]] += costs[task] / speeds[lanes[task]]
    for task in sorted(free, key=lambda task: -costs[task]):
        ends = [load[lane] + costs[task] / speeds[lane] for lane in range(len(speeds))]
        lanes[task] = ends.index(min(ends))
        load[lanes[task]] = min(ends)
    return lanes


def beside(lanes, count, free):
    """Placements that one move or one swap makes."""
    for task in free:
        for lane in range(count):
            yield [*lanes[:task], lane, *lanes[task + 1 :]]
        for other in free:
            swapped = list(lanes)
            swapped[task], swapped[other] = lanes[other], lanes[task]
            yield swapped


@pytest.mark.parametrize("seed", range(150))
def test_no_move_and_no_swap_makes_a_placement_better_and_it_is_never_worse_than_the_rule(seed):
    costs, speeds, memory, now, movable = placements(seed)
    everything = range(len(costs))

    def times(lanes):
        return sorted(load_of(costs, lanes, speeds), reverse=True)

    found = assign_lanes(costs, speeds)
    assert times(found) <= times(longest_first(costs, speeds))
    assert all(times(found) <= times(other) for other in beside(found, len(speeds), everything))

    # With memory, and with tasks that may stay where they are: as short as before, within 2 %.
    for sizes, there, free in (
        (memory, None, everything),
        (memory, now, everything),
        (None, now, [task for task in everything if movable[task]]),
        (memory, now, [task for task in everything if movable[task]]),
    ):
        may = [task in free for task in everything]
        rule = longest_first(costs, speeds, free, there)
        found = assign_lanes(costs, speeds, sizes, there, None if there is None else may)
        assert all(may[task] or found[task] == now[task] for task in everything)
        assert times(found)[0] <= 1.02 * times(rule)[0]

        limit = times(found)[0]

        def worth(lanes, sizes=sizes, there=there, limit=limit):
            """Longer than this one is worse; then memory, moves, times."""
            held = memory_of(sizes, lanes, len(speeds)) if sizes else 0
            moved = sum(a != b for a, b in zip(there, lanes, strict=True)) if there else 0
            return max(times(lanes)[0], limit), held, moved, times(lanes)

        assert all(worth(found)[:3] <= worth(other)[:3] for other in beside(found, len(speeds), free))
        if there and times(there)[0] <= times(found)[0]:
            assert worth(found)[:3] <= worth(there)[:3]


def test_memory_may_cost_two_hundredths_of_the_time_and_no_more():
    for more, together in ((1.5, True), (3.0, False)):  # 103 instead of 101.5, 106 instead of 103
        lanes = assign_lanes([50 + more, 50, 50 + more, 50], [1, 1], memory=[10, 1, 10, 1])
        assert (lanes[0] == lanes[2]) == together
    # Of the longest lane, not of another one: 203 instead of 200.
    assert assign_lanes([200, 3, 100], [1, 1], memory=[9, 9, 1]) == [0, 0, 1]


def test_lanes_of_other_speeds_or_with_tasks_that_stay_are_not_renamed():
    assert assign_lanes([10, 1, 1], [1.0, 0.1], now=[1, 0, 0]) == [0, 1, 0]
    assert assign_lanes([4, 3, 2, 1], [1, 1], None, [0, 1, 1, 0], [True, True, True, False]) == [0, 1, 1, 0]
    assert assign_lanes([1, 5, 7], [1, 1], now=[0, 0, 0]) == [0, 0, 1]
    assert assign_lanes([5, 1, 8], [1, 1], now=[1, 1, 1]) == [1, 1, 0]
    assert assign_lanes([8, 3, 4], [1, 1], None, [0, 0, 0], [False, True, True]) == [0, 1, 1]
    # Five lanes have too many orders to try: what is as short and moves few is found from where tasks are.
    assert assign_lanes([5, 4, 3, 2, 1], [1] * 5, now=[4, 3, 2, 1, 0]) == [4, 3, 2, 1, 0]
    assert assign_lanes([5, 4, 3, 2], [1] * 4, now=[3, 2, 1, 0]) == [3, 2, 1, 0]


def test_memory_of_a_lane_without_tasks_is_none():
    assert memory_of([0.25, 0.5], [0, 0], 2) == 0.5


# ---- moving while it runs


def look(replanner, costs, now, movable=None):
    """Ten frames later."""
    return replanner.look(10, costs, [0] * len(costs), now, movable or [True] * len(costs))


def test_moving_takes_a_gain_of_a_fifth_for_a_hundred_frames():
    replanner = Replanner([1.0, 1.0])
    frames = 0
    while True:
        frames += 10
        found = look(replanner, [10.0, 10.0, 1.0], [0, 0, 1])
        if found:
            break
        assert frames < 1000
    assert frames == FRAMES == 100
    assert max(load_of([10.0, 10.0, 1.0], found.lanes, [1, 1])) == found.expected_ns == 11
    assert (found.longest_ns, found.moved) == (20, 1)


def test_a_gain_that_does_not_last_or_is_small_moves_nothing():
    replanner = Replanner([1.0, 1.0])
    for turn in range(100):
        costs = [10.0, 10.0, 1.0] if turn % 10 else [10.0, 1.0, 9.0]  # once in a hundred frames it is even
        assert look(replanner, costs, [0, 0, 1]) is None
    for _ in range(100):
        assert look(replanner, [6.0, 5.0, 9.0], [0, 0, 1]) is None
        assert look(replanner, [50.0, 1.0], [0, 1]) is None  # one long task: no placement is better
    for _ in range(100):
        assert look(replanner, [10.0, 10.0, 1.0], [0, 0, 1], [False, False, True]) is None


# ---- cores


def tree(folder, cores):
    """A kernel's tree: for each core what it says of itself."""
    for number, facts in cores.items():
        for name, text in facts.items():
            path = folder / f"cpu{number}" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"{text}\n")
    return folder


@pytest.fixture
def big_little(tmp_path):
    """Four small cores, then two large ones, as on an RK3399."""
    small = {"cpu_capacity": 485, "cpufreq/cpuinfo_max_freq": 1416000}
    large = {"cpu_capacity": 1024, "cpufreq/cpuinfo_max_freq": 1800000}
    return read_cores(tree(tmp_path, {**dict.fromkeys(range(4), small), 4: large, 5: large}), range(6))


@pytest.fixture
def threaded(tmp_path):
    """Two cores of two hyper-threads each; no capacities."""
    facts = {
        number: {"topology/thread_siblings_list": f"{number % 2},{number % 2 + 2}", "cpufreq/cpuinfo_max_freq": 3000}
        for number in range(4)
    }
    return read_cores(tree(tmp_path, facts), range(4))


def test_cores_are_read(big_little, threaded, tmp_path):
    assert [core.number for core in big_little] == list(range(6))
    assert [round(core.speed, 2) for core in big_little] == [0.47] * 4 + [1.0] * 2
    assert threaded[3] == Core(3, 1.0, (1, 3))
    assert read_cores(tmp_path / "nothing", [2, 5]) == [Core(2, 1.0, (2,)), Core(5, 1.0, (5,))]
    damaged = tree(tmp_path / "damaged", {0: {"cpu_capacity": "much", "topology/thread_siblings_list": "0-"}})
    assert read_cores(damaged, [0]) == [Core(0, 1.0, (0,))]
    by_clock = tree(tmp_path / "clock", {0: {"cpufreq/cpuinfo_max_freq": 600}, 1: {"cpufreq/cpuinfo_max_freq": 1200}})
    assert [core.speed for core in read_cores(by_clock, [0, 1])] == [0.5, 1.0]
    assert all(core.number in core.siblings for core in read_cores())  # this machine


def test_lanes_get_the_fastest_cores(big_little, threaded):
    assert assign(big_little, 2, "auto", False) == [(4,), (5,)]
    assert assign(big_little, 3, "auto", False) == [(4,), (5,), (0,)]
    assert assign(threaded, 2, "auto", False) == [(0,), (1,)]  # not two threads of one core
    assert assign(threaded, 3, "auto", False) == [(0,), (1,), (2,)]
    assert assign(threaded, 5, "auto", True) == [(0,), (1,), (2,), (3,), (0,)]
    assert assign(threaded, 2, None, False) is None
    assert speeds_of(big_little, 2, [(4, 5), (0, 5)]) == [1.0, pytest.approx(485 / 1024)]
    assert speeds_of(big_little, 2, None) == [1.0, 1.0]


def test_cores_that_are_chosen(big_little):
    assert assign(big_little, 2, [[5], [0, 1]], False) == [(5,), (0, 1)]
    assert assign(big_little, 2, [[5], [5]], True) == [(5,), (5,)]
    for wanted, text in (
        ([[4], [6]], r"cores\[1\]: there is no core 6 .* there are 0-5"),
        ([[4]], "1 lists for 2 lanes"),
        ([[4], [4]], "core 4 is in lanes 0 and 1"),
        ([[4], ["0"]], "whole numbers"),
        ([[4], []], "at least one"),
        ([4, 5], "for each lane"),
        ("big", "'auto'"),
        (4, "'auto'"),
    ):
        with pytest.raises(mnnlite.ArgumentError, match=text):
            assign(big_little, 2, wanted, False)


def test_numbers_as_the_kernel_lists_them():
    assert shown([0, 1, 2, 5, 7, 8]) == "0-2,5,7-8"
    assert shown([3]) == "3"
