"""Lanes: bound to cores, and tasks that move between them while frames are worked on."""

from __future__ import annotations

import json
import os
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import mnnlite
from helpers import networks
from helpers.pictures import noisy_frame
from mnnlite import ImageSpec, Runtime, Task, TaskSpec, decoders, pipeline
from mnnlite.runtime.loaded_task import LoadedTask
from mnnlite.runtime.schedule import Schedule

NAMES = ("a", "b", "c", "d")


@pytest.fixture(scope="session")
def specs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lanes")
    paths = [networks.convert(networks.two_branches(folder, size=size, width=8)) for size in (16, 32, 48, 64)]
    mask = decoders.Segmentation(mode="binary", threshold=0.5, tensors=("heat",))
    return {name: TaskSpec(path, ImageSpec(std=60), mask) for name, path in zip(NAMES, paths, strict=True)}


@pytest.fixture(scope="session")
def alone(specs):
    return {name: [np.asarray(Task(spec)(noisy_frame(seed))) for seed in range(4)] for name, spec in specs.items()}


def affinities():
    """Cores of each thread of this process, by its number."""
    found = {}
    for thread in Path("/proc/self/task").iterdir():
        try:
            found[int(thread.name)] = os.sched_getaffinity(int(thread.name))
        except ProcessLookupError:  # it ended meanwhile
            continue
    return found


def test_a_lane_is_bound_to_its_cores_and_nothing_else_is(specs):
    own = os.sched_getaffinity(0)
    core = max(own)
    before = affinities()
    with Runtime(cores=[[core]]) as runtime:
        runtime.add("a", specs["d"])
        runtime.process(noisy_frame())
        assert f"threads 1, cores {core}\n" in runtime.plan()
        after = affinities()
        new = [
            cores for thread, cores in after.items() if thread not in before
        ]  # the lane's, and one that loads may not have ended
        assert new
        assert all(cores == {core} for cores in new)
        with pytest.raises(mnnlite.ArgumentError, match="2 threads in a lane that is bound"):
            runtime.add("b", replace(specs["b"], threads=2))
        assert list(runtime.process(noisy_frame())) == ["a"]
    assert os.sched_getaffinity(0) == own
    assert all(after[thread] == cores for thread, cores in before.items() if thread in after)
    with pytest.raises(mnnlite.ArgumentError, match="there is no core 999"):
        Runtime(cores=[[999]])


def test_lanes_choose_their_cores_themselves(specs):
    there = os.sched_getaffinity(0)
    with Runtime(cores="auto") as runtime:
        runtime.add("a", specs["a"])
        runtime.process(noisy_frame())
        assert any(f"cores {core}" in runtime.plan() for core in there)


def test_tasks_move_while_frames_are_worked_on_if_that_pays(specs, alone, monkeypatch):
    """Costs are told, not measured: two tasks of one lane become a hundred times as long as the others."""
    with Runtime(lanes=2, force=True, replan=True) as runtime:
        for name, spec in specs.items():
            runtime.add(name, spec)
        runtime.process(noisy_frame())
        lanes = {name: task.lane for name, task in runtime.memory().tasks.items()}
        crowded = [name for name in NAMES if lanes[name] == lanes["d"]] + [
            name for name in NAMES if lanes[name] != lanes["d"]
        ]
        long = crowded[:2] if lanes[crowded[1]] == lanes["d"] else crowded[2:]
        assert lanes[long[0]] == lanes[long[1]]
        costs = runtime._registry.scheduler.latency
        monkeypatch.setattr(costs, "mean", lambda name: 100_000_000 if name in long else 1_000_000)
        deadline = time.monotonic() + 300
        seen = 0
        while time.monotonic() < deadline:
            seed = seen % 4
            result = runtime.process(noisy_frame(seed))
            seen += 1
            for name in NAMES:
                np.testing.assert_array_equal(np.asarray(result[name]), alone[name][seed])
            tasks = runtime.memory().tasks
            if tasks[long[0]].lane != tasks[long[1]].lane:
                break
        assert tasks[long[0]].lane != tasks[long[1]].lane
        assert seen >= 99  # the frames before count too
        (replan,) = runtime.stats().replans
        assert replan.longest_ns >= 200_000_000
        assert replan.expected_ns < 110_000_000
        assert replan.moved >= 1
        for seed in range(4):
            result = runtime.process(noisy_frame(seed))
            for name in NAMES:
                np.testing.assert_array_equal(np.asarray(result[name]), alone[name][seed])
        assert runtime.stats().tasks["a"].runs == seen + 5  # counts go with the task


def test_a_task_is_in_the_lane_that_it_says_and_stays_there(specs):
    names = list(specs)
    with Runtime(lanes=2, force=True) as runtime:
        for name in names:
            runtime.add(name, specs[name], lane=1)
        runtime.process(noisy_frame(64, 48))
        assert {each.lane for each in runtime.stats().tasks.values()} == {1}
        with pytest.raises(mnnlite.ArgumentError, match=r"task 'x' says lane 2; there are lanes 0 to 1; say one"):
            runtime.add("x", specs[names[0]], lane=2)
    with Runtime() as runtime, pytest.raises(mnnlite.ArgumentError, match=r"there is lane 0 alone; say it"):
        runtime.add("x", specs[names[0]], lane=1)
    with pytest.raises(mnnlite.ArgumentError, match=r"lane is -1"):
        Schedule(lane=-1)


def test_more_threads_of_a_task_than_cores_are_said(specs, caplog):
    most = len(os.sched_getaffinity(0))
    with Runtime() as runtime:
        runtime.add("a", replace(specs["a"], threads=most))
        assert not caplog.records
        runtime.add("b", replace(specs["b"], threads=most + 1))
    assert f"task 'b' has {most + 1} threads, more than the {most} cores this process may use" in caplog.text


def test_without_being_allowed_nothing_moves(specs, monkeypatch):
    with Runtime(lanes=2, force=True) as runtime:
        for name, spec in specs.items():
            runtime.add(name, spec)
        runtime.process(noisy_frame())
        before = {name: task.lane for name, task in runtime.memory().tasks.items()}
        monkeypatch.setattr(runtime._registry.scheduler.latency, "mean", lambda name: 10**9 if name in "ad" else 1)
        for _ in range(150):
            runtime.process(noisy_frame())
        assert {name: task.lane for name, task in runtime.memory().tasks.items()} == before
        assert runtime.stats().replans == ()


def test_a_network_with_a_memory_stays_where_it_is(specs, tmp_path, monkeypatch):
    path = networks.convert(networks.counter(tmp_path))  # memory + step -> sum
    counting = TaskSpec(path, feed={"step": np.ones((1, 4), np.float32)}, state={"memory": "sum"})
    with Runtime(lanes=2, force=True, replan=True) as runtime:
        runtime.add("counting", counting)
        for name in "abc":
            runtime.add(name, specs[name])
        runtime.process(noisy_frame())
        lane = runtime.memory().tasks["counting"].lane
        costs = runtime._registry.scheduler.latency
        monkeypatch.setattr(costs, "mean", lambda name: 10**8 if name == "counting" else 10**7)
        for _ in range(250):
            result = runtime.process(noisy_frame())
        assert runtime.memory().tasks["counting"].lane == lane
        assert float(result["counting"]["sum"][0, 0]) == 251.0


def test_a_group_moves_as_one(tmp_path, specs, monkeypatch):
    boxes = TaskSpec(
        networks.convert(networks.class_map(tmp_path)),
        ImageSpec(),
        decoders.Segmentation(classes=("red", "green", "blue")),
    )
    with Runtime(lanes=2, force=True, replan=True) as runtime:
        runtime.add("areas", boxes)
        runtime.add("inner", boxes, after="areas")
        runtime.add("a", specs["a"])
        runtime.add("b", specs["b"])
        runtime.process(noisy_frame())
        where = {name: task.lane for name, task in runtime.memory().tasks.items()}
        assert where["areas"] == where["inner"]
        other = next((name for name in "ab" if where[name] == where["areas"]), None)
        if other is None:  # both alone in a lane: make the two others the long ones
            slow = {"a": 10**8, "b": 10**8}
        else:
            slow = {"areas": 5 * 10**7, "inner": 5 * 10**7, other: 10**8}
        monkeypatch.setattr(runtime._registry.scheduler.latency, "mean", lambda name: slow.get(name, 10**6))
        expected = runtime.process(noisy_frame(1))["inner"].to_json()
        deadline = time.monotonic() + 300
        while not runtime.stats().replans or runtime._parts.change_lock._owner is not None:
            assert runtime.process(noisy_frame(1))["inner"].to_json() == expected
            assert time.monotonic() < deadline
        where = {name: task.lane for name, task in runtime.memory().tasks.items()}
        assert where["areas"] == where["inner"]
        assert runtime.process(noisy_frame(1))["inner"].to_json() == expected


def test_a_pipeline_file_says_all_of_it(specs, tmp_path):
    runtime = {"cores": "auto", "replan": True}
    pipeline.save(pipeline.Pipeline({"a": specs["a"]}, runtime), tmp_path / "p.toml")
    loaded = pipeline.load(tmp_path / "p.toml")
    assert dict(loaded.runtime) == runtime
    with loaded.open() as opened:
        assert list(opened.process(noisy_frame())) == ["a"]
        assert ", cores " in opened.plan()
    (tmp_path / "q.toml").write_text((tmp_path / "p.toml").read_text().replace('"auto"', "[[998]]"))
    with pytest.raises(mnnlite.PipelineError, match="there is no core 998"):
        pipeline.load(tmp_path / "q.toml").open()


# ---- what was measured is kept


def test_a_start_that_knows_all_costs_measures_nothing(specs, alone, tmp_path, monkeypatch):
    monkeypatch.setenv("MNNLITE_CACHE", str(tmp_path))
    measured, loads = [], [0]
    measure = LoadedTask.measure
    monkeypatch.setattr(LoadedTask, "measure", lambda self: (measured.append(self.name), measure(self)))

    def start(wanted):
        measured.clear()
        with Runtime(lanes=2, force=True) as runtime:
            for name, spec in wanted.items():
                runtime.add(name, spec)
            result = runtime.process(noisy_frame(1))
            assert all(runtime._registry.tasks[name].cost_ns > 0 for name in wanted)
            for name in NAMES:
                np.testing.assert_array_equal(np.asarray(result[name]), alone[name][1])
            loads[0] = sum(lane.loads for lane in runtime.stats().lanes)
            return {name: task.lane for name, task in runtime.memory().tasks.items()}

    start(specs)
    assert sorted(measured) == list(NAMES)
    (kept,) = (tmp_path / "times").iterdir()
    written = kept.read_bytes()
    start(specs)
    assert measured == []
    assert kept.read_bytes() == written
    start({**specs, "e": replace(specs["d"], outputs=["heat"])})  # computed otherwise
    assert measured == ["e"]
    kept.write_text("{")  # nothing in it is believed
    start(specs)
    assert sorted(measured) == list(NAMES)
    value = json.loads(kept.read_text())
    # Where they are told to have been, as long as no other placement pays.
    told = {which: [1_000_000_000, index // 2] for index, which in enumerate(value["value"])}
    kept.write_text(json.dumps({**value, "value": told}))
    expected = {
        name: lane for name, spec in specs.items() for which, (_, lane) in told.items() if str(spec.model) in which
    }
    assert start(specs) == expected
    assert (measured, loads[0]) == ([], len(NAMES))  # and none is loaded twice
    kept.write_text(json.dumps({**value, "value": {which: [cost, 0] for which, (cost, _) in told.items()}}))
    lanes = start(specs)
    assert sorted(lanes.values()) == [0, 0, 1, 1]
    for wrong in ([0, 0], [1, 2], [1, -1], [1], "x", [1, 1.5], [10**400, 0], None):
        kept.write_text(json.dumps({**value, "value": dict.fromkeys(told, wrong)}))
        start(specs)
        assert sorted(measured) == list(NAMES)
    monkeypatch.setenv("MNNLITE_CACHE", "")
    start(specs)
    assert sorted(measured) == list(NAMES)


def test_costs_are_kept_by_the_number_of_threads(specs, tmp_path, monkeypatch):
    monkeypatch.setenv("MNNLITE_CACHE", str(tmp_path))
    measured = []
    monkeypatch.setattr(LoadedTask, "measure", lambda self: measured.append(self.name))
    for threads, task_threads in ((1, None), (1, 1), (2, None), (1, 2), (2, 1)):
        with Runtime(lanes=2, threads=threads, force=True) as runtime:
            runtime.add("a", replace(specs["a"], threads=task_threads))
            monkeypatch.setattr(runtime._registry.tasks["a"], "cost_ns", 1000)
            runtime.process(noisy_frame())
        assert len(measured) == (1 if threads == task_threads == 1 or (threads, task_threads) == (1, None) else 2)


def test_what_was_seen_replaces_what_is_a_third_off(specs, tmp_path, monkeypatch):
    monkeypatch.setenv("MNNLITE_CACHE", str(tmp_path))

    def kept():
        (path,) = (tmp_path / "times").iterdir()
        return [cost for cost, _ in json.loads(path.read_text())["value"].values()]

    with Runtime(lanes=2, force=True) as runtime:
        runtime.add("a", specs["a"])
        for _ in range(40):
            runtime.process(noisy_frame())
        monkeypatch.setattr(runtime._registry.scheduler.latency, "mean", lambda _: 9_000_000_000)
    assert kept() == [9_000_000_000]
    with Runtime(lanes=2, force=True) as runtime:
        runtime.add("a", specs["a"])
        runtime.process(noisy_frame())  # too few runs to say more than was known
    assert kept() == [9_000_000_000]
