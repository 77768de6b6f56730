"""Tasks that preempt: they begin before the next operator of the network at work, and both networks' results stay theirs."""

from __future__ import annotations

import os
import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from importlib.resources import files

import numpy as np
import pytest

import mnnlite
from helpers import networks
from helpers.pictures import noisy_frame
from mnnlite import ImageSpec, Model, Runtime, Task, TaskSpec, _core, decoders, pipeline
from mnnlite.runtime.schedule import Schedule


@pytest.fixture(scope="module")
def slow(tmp_path_factory):
    """Some fifty operators, some forty milliseconds."""
    path = networks.deep(tmp_path_factory.mktemp("deep"), size=96, width=32)
    return TaskSpec(networks.convert(path), ImageSpec(std=60))


@pytest.fixture(scope="module")
def quick(tmp_path_factory):
    path = networks.convert(networks.two_branches(tmp_path_factory.mktemp("quick"), size=32, width=6))
    return TaskSpec(path, ImageSpec(std=60), outputs=["heat"])


@pytest.fixture(scope="module")
def alone(slow, quick):
    return {
        name: [Task(spec)(noisy_frame(seed))["heat"] for seed in range(4)]
        for name, spec in (("slow", slow), ("quick", quick))
    }


def opened(slow, quick, **options):
    runtime = Runtime(**options)
    runtime.add("slow", slow)
    runtime.add("quick", quick, preempts=True, deadline_ms=1000)
    return runtime


# ---- results do not wait


def test_the_future_of_a_frame_does_not_wait_for_the_long_task(slow, quick, alone):
    with opened(slow, quick) as runtime:
        for index in range(10):  # until this thread is not held up for as long as the long task takes
            first = runtime.submit(noisy_frame(0)).result()
            rest = first.rest
            waited = rest.done()
            assert first.part == "urgent"
            assert list(first) == ["quick"]
            with pytest.raises(KeyError, match=f"'slow' is in the other result of frame {index}"):
                first["slow"]
            last = rest.result()
            assert (last.part, last.index, list(last), last.rest) == ("rest", index, ["slow"], None)
            np.testing.assert_array_equal(first["quick"]["heat"], alone["quick"][0])
            np.testing.assert_array_equal(last["slow"]["heat"], alone["slow"][0])
            assert first.to_json()["part"] == "urgent"
            if not waited:
                break
        assert not waited


def test_frames_overtake_a_long_task(slow, quick, alone):
    """The long task runs on every fourth frame; the frames after it do not wait for that."""
    with Runtime() as runtime:
        runtime.add("slow", slow, every=4)
        runtime.add("quick", quick, preempts=True)
        for _ in range(10):  # as above
            first = runtime.submit(noisy_frame(0)).result()
            for index in range(1, 4):
                result = runtime.submit(noisy_frame(index)).result()
                assert (result.part, result.index - first.index, list(result)) == ("whole", index, ["quick"])
                assert "not due" in result.skipped["slow"]
                np.testing.assert_array_equal(result["quick"]["heat"], alone["quick"][index])
            overtaken = not first.rest.done()
            rest = first.rest.result()
            np.testing.assert_array_equal(rest["slow"]["heat"], alone["slow"][0])
            if overtaken:
                break
        assert overtaken
        stats = runtime.stats()
        assert stats.lanes[0].preemptions >= 1
        assert 1 <= stats.tasks["slow"].preemptions <= stats.lanes[0].preemptions  # or before its network began
        assert 0 < stats.tasks["slow"].given_ns <= stats.lanes[0].preempted_ns
        assert stats.tasks["quick"].preemptions == 0
        # What was given away is in no stage of the long task.
        given_ns = stats.tasks["slow"].given_ns if first.index == 0 else 0
        assert sum(rest.timing["slow"].values()) + given_ns <= rest.elapsed_ns


def test_process_gives_the_whole_frame(slow, quick, alone):
    with opened(slow, quick) as runtime:
        for seed in range(4):
            result = runtime.process(noisy_frame(seed))
            assert (result.part, result.index) == ("whole", seed)
            assert sorted(result) == ["quick", "slow"]
            assert sorted(result.timing) == ["quick", "slow"]
            for name, expected in alone.items():
                np.testing.assert_array_equal(result[name]["heat"], expected[seed])
        assert runtime.stats().frames == 4
        assert runtime.stats().tasks["slow"].runs == runtime.stats().tasks["quick"].runs == 4


def test_a_stream_of_the_latest_frames_gives_each_part_in_its_own_order(slow, quick, alone):
    frames = [noisy_frame(index % 4) for index in range(12)]
    shown = threading.Semaphore(0)

    def source():
        """The next frame comes when the urgent part of this one was seen, however fast the machine is."""
        for each in frames:
            yield each
            shown.acquire()

    seen = {"urgent": [], "rest": []}
    with opened(slow, quick) as runtime:
        stream = runtime.stream(source(), latest=True)
        for result in stream:
            seen[result.part].append(next(number for number, each in enumerate(frames) if each is result.frame))
            if result.part == "urgent":
                shown.release()
            for name, found in result.items():
                np.testing.assert_array_equal(found["heat"], alone[name][result.meta])
            assert list(result) == {"urgent": ["quick"], "rest": ["slow"]}[result.part]
        stats = runtime.stats()
    assert seen["rest"] == sorted(set(seen["rest"]))
    assert seen["urgent"] == list(range(12))
    assert stream.dropped == 0
    assert stats.frames == len(seen["urgent"])
    assert stats.tasks["slow"].runs == len(seen["rest"])
    assert len(seen["rest"]) < len(seen["urgent"])  # the long task takes the newest frame, the other one all
    assert stats.lanes[0].preemptions > 0


def test_what_is_left_out_is_in_a_result_too(slow, quick):
    """Each run and each reason that is counted has a result, and frames that were displaced have none."""

    def source():
        for index in range(30):
            yield noisy_frame(index)
            time.sleep(0.005)

    with Runtime() as runtime:
        runtime.add("slow", slow)
        runtime.add("may", slow, optional=True, deadline_ms=1)
        runtime.add("quick", quick, preempts=True)
        runtime.process(noisy_frame())
        before = runtime.stats()
        ran, left_out, indices = 0, 0, {"urgent": [], "rest": []}
        for result in runtime.stream(source(), latest=True):
            ran += "may" in result
            left_out += "may" in result.skipped
            indices[result.part].append(result.index)
        after = runtime.stats()
    assert after.tasks["may"].runs - before.tasks["may"].runs == ran
    assert after.tasks["may"].skipped - before.tasks["may"].skipped == left_out > 0
    assert set(indices["rest"]) <= set(indices["urgent"])
    assert len(set(indices["urgent"])) == len(indices["urgent"]) == after.frames - before.frames


def test_a_stream_that_drops_nothing_gives_whole_frames(slow, quick, alone):
    with opened(slow, quick) as runtime:
        results = list(runtime.stream(noisy_frame(index % 4) for index in range(6)))
    assert [(result.part, result.index) for result in results] == [("whole", index) for index in range(6)]
    for result in results:
        assert sorted(result) == ["quick", "slow"]
        for name, found in result.items():
            np.testing.assert_array_equal(found["heat"], alone[name][result.meta])


def test_a_stream_may_end_in_the_middle(slow, quick):
    with opened(slow, quick) as runtime:
        for latest in (True, False):
            with runtime.stream((noisy_frame() for _ in range(100)), latest=latest) as stream:
                next(stream)
            assert len(runtime.process(noisy_frame())) == 2
        assert runtime._dispatcher.native.in_flight == runtime._dispatcher.native.urgent_in_flight == 0
        assert all(task.in_flight == 0 for task in runtime._registry.tasks.values())


def test_the_plan_says_how_long_such_a_task_may_wait(slow, quick):
    with Runtime() as runtime:
        runtime.add("slow", slow)
        assert "preempts" not in runtime.plan()
        runtime.add("quick", quick, preempts=True)
        head, *tasks = runtime.plan().splitlines()
        assert "what preempts waits" in head
        assert head.endswith("for an operator of slow")
        assert "threads 1; 2 arenas, for tasks that preempt have their own: " in head
        assert tasks[1].startswith("  quick: no run yet, preempts")
        assert "preempts" in tasks[1]
        lane = runtime._registry.tasks["slow"]
        took = runtime.process(noisy_frame()).timing["slow"]["infer"]
        assert took / 200 < lane.blocking_ns < 5 * took  # of fifty operators; the machine may be busy
        runtime.add("other", quick)
        assert runtime._registry.tasks["other"].blocking_ns > 0
        runtime.remove("quick")
        assert "preempts" not in runtime.plan()


def test_a_trace_shows_one_within_the_other(slow, quick):
    with opened(slow, quick) as runtime, runtime.trace() as trace:
        runtime.submit(noisy_frame()).result().rest.result()
        for _ in range(5):  # one of them comes while the long task is at work
            first = runtime.submit(noisy_frame())
            time.sleep(0.005)
            second = runtime.submit(noisy_frame())
            first.result().rest.result()
            second.result().rest.result()
        events = trace.writer().to_dict()["traceEvents"]
    spans = [
        (event["name"], event["ts"], event["ts"] + event["dur"], event["args"])
        for event in events
        if event["ph"] == "X"
    ]
    long = [each for each in spans if each[0] == "slow"]
    within = [each for each in spans if each[0] == "quick" and any(a[1] < each[1] and each[2] < a[2] for a in long)]
    assert within
    assert any("gave_ms" in each[3] for each in long)
    assert {event["name"] for event in events if event["ph"] == "b"} >= {"frame 0, urgent", "frame 0, rest"}


def test_a_task_that_hangs_in_between_is_the_one_that_is_reported(slow):
    with opened(slow, slow, watchdog_s=1e-9) as runtime:  # as long, so that a look falls into it
        for _ in range(20):
            first = runtime.submit(noisy_frame())
            while not first.done():
                runtime._dispatcher.watch()
            first.result().rest.result()
            if {each.task for each in runtime.stats().hung} == {"slow", "quick"}:
                break
        assert {each.task for each in runtime.stats().hung} == {"slow", "quick"}


def test_a_decoder_in_python_is_called_by_whoever_waits(slow, quick):
    """It needs the GIL, which no lane takes: the lane only runs the network."""
    threads = []
    function = decoders.Function(lambda outputs, items: threads.append(threading.current_thread().name) or 7)
    with Runtime() as runtime:
        runtime.add("slow", slow)
        runtime.add("quick", TaskSpec(quick.model, quick.image, function), preempts=True)
        result = runtime.submit(noisy_frame()).result()
        assert result["quick"] == 7
        assert threads == ["mnnlite-completion-urgent"]


def test_callbacks_of_both_threads_may_give_more_work(slow, quick):
    with opened(slow, quick) as runtime:
        more = []
        enough = threading.Event()

        def again(_):
            if len(more) < 8:
                more.append(runtime.submit(noisy_frame()))
                more[-1].add_done_callback(again)
            else:
                enough.set()

        first = runtime.submit(noisy_frame())
        first.add_done_callback(again)
        first.result().rest.add_done_callback(again)
        assert enough.wait(600)  # an emulated machine with other work takes a minute
        assert len(more) >= 8


# ---- where


def test_lanes_give_way_only_while_a_task_preempts(slow, quick):
    with opened(slow, quick) as runtime:
        arenas = runtime._parts.lanes[0].arenas
        assert len({id(arena.native) for arena in arenas.values()}) == 2
        runtime.remove("quick")
        assert len(arenas) == 1
        runtime.add("quick", quick)  # an ordinary one now
        assert len(arenas) == 1
        result = runtime.submit(noisy_frame()).result()
        assert (result.part, sorted(result)) == ("whole", ["quick", "slow"])
        assert runtime.stats().lanes[0].preemptions == 0


def test_a_network_of_the_same_arena_is_refused_in_between(slow, quick):
    arena = mnnlite.Arena()
    outer, inner, apart = Model(slow.model, arena=arena), Model(quick.model, arena=arena), Model(quick.model)
    alone = outer.run()["heat"]
    with pytest.raises(mnnlite.BusyError, match="an arena runs one call at a time"):
        _core.run_interrupted(outer.native, 3, inner.native)
    with pytest.raises(mnnlite.BusyError):
        _core.run_interrupted(outer.native, 3, outer.native)
    gaps, found, _ = _core.run_interrupted(outer.native, 3, apart.native)
    np.testing.assert_array_equal(found["heat"], alone)
    assert len(gaps) >= 24
    gaps, found, _ = _core.run_interrupted(outer.native, 3, apart.native, stops=False)  # nothing is urgent
    np.testing.assert_array_equal(found["heat"], alone)
    assert gaps == []


def test_tasks_that_preempt_share_a_session_only_with_one_another(quick):
    with Runtime() as runtime:
        runtime.add("plain", quick)
        runtime.add("a", quick, preempts=True)
        runtime.add("b", quick, preempts=True)
        shares = {name: task.shares for name, task in runtime.memory().tasks.items()}
        assert shares == {"plain": None, "a": None, "b": "a"}
        assert len(runtime.process(noisy_frame())) == 3
        memory = runtime.memory()
        assert memory.lanes[0].dynamic == memory.tasks["plain"].dynamic + memory.tasks["a"].dynamic


def test_the_budget_knows_of_the_second_arena(slow, quick):
    from mnnlite.runtime.budget import Budget, held

    budget = Budget(1 << 30)
    for preempts, arenas in ((False, 1), (True, 2)):
        demands = [budget.demand_of("slow", slow, 0), budget.demand_of("quick", quick, 0, preempts=preempts)]
        both = [each.cost.dynamic for each in demands]
        pictures = [each.cost.inputs for each in demands]
        if arenas == 1:
            together = held(demands) - max(both) - max(pictures)
        else:
            assert held(demands) == together + sum(both) + sum(pictures)


# ---- what is refused


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"after": "slow"}, "preempts excludes after"),
        ({"optional": True}, "preempts excludes optional"),
        ({"evictable": True}, "preempts excludes evictable"),
    ],
)
def test_options_that_do_not_go_with_preemption(options, message):
    with pytest.raises(mnnlite.ArgumentError, match=message):
        Schedule(preempts=True, **options)


def test_a_task_that_preempts_stands_alone(tmp_path):
    path = networks.convert(networks.counter(tmp_path))
    step = TaskSpec(path, feed={"step": np.ones((1, 4), np.float32)})
    taking = TaskSpec(path, feed={"step": "first.sum"})
    with Runtime() as runtime:
        runtime.add("first", step)
        with pytest.raises(mnnlite.ArgumentError, match="takes something from 'first'"):
            runtime.add("second", taking, preempts=True)
        runtime.add("second", taking)
        runtime.remove("second")
        runtime.remove("first")
        runtime.add("first", step, preempts=True)
        with pytest.raises(mnnlite.ArgumentError, match="'first' preempts"):
            runtime.add("second", taking)
        assert list(runtime.process(noisy_frame())) == ["first"]


def test_a_task_with_a_state_of_its_own_may_preempt(slow, tmp_path):
    path = networks.convert(networks.counter(tmp_path))
    spec = TaskSpec(path, state={"memory": "sum"}, feed={"step": np.ones((1, 4), np.float32)})
    with Runtime() as runtime:
        runtime.add("slow", slow)
        runtime.add("count", spec, preempts=True)
        for count in range(1, 4):
            np.testing.assert_array_equal(
                runtime.submit(noisy_frame()).result()["count"]["sum"], np.full((1, 4), count)
            )


def test_a_pipeline_says_it(slow, quick, tmp_path):
    path = tmp_path / "drive.toml"
    pipeline.save(pipeline.Pipeline({"quick": quick}, schedules={"quick": Schedule(preempts=True)}), path)
    assert "preempts = true" in path.read_text()
    assert pipeline.load(path).schedules["quick"].preempts
    path.write_text(path.read_text().replace("preempts = true", "preempts = true\noptional = true"))
    with pytest.raises(mnnlite.PipelineError, match="preempts excludes optional"):
        pipeline.load(path)


# ---- by itself


def preempting(runtime):
    return [name for name, task in runtime._registry.tasks.items() if task.schedule.preempts]


def test_a_task_preempts_by_itself_where_a_less_important_one_would_make_it_late(slow, quick, alone):
    with Runtime() as runtime:
        runtime.add("quick", quick, preempts="auto", deadline_ms=5, priority=1)
        assert preempting(runtime) == []
        runtime.add("slow", slow)
        assert preempting(runtime) == ["quick"]
        result = runtime.submit(noisy_frame(1)).result()
        assert (result.part, list(result)) == ("urgent", ["quick"])
        np.testing.assert_array_equal(result["quick"]["heat"], alone["quick"][1])
        result.rest.result()
        assert runtime.stats().tasks["quick"].runs == 1
        runtime.replace("quick", quick)
        assert preempting(runtime) == ["quick"]
        runtime.remove("slow")
        assert preempting(runtime) == []
        assert len(runtime._parts.lanes[0].arenas) == 1
        result = runtime.submit(noisy_frame(2)).result()
        assert (result.part, list(result)) == ("whole", ["quick"])
        np.testing.assert_array_equal(result["quick"]["heat"], alone["quick"][2])
        assert runtime.stats().tasks["quick"].runs == 1  # since it was replaced


@pytest.mark.parametrize("options", [{"deadline_ms": 60_000, "priority": 1}, {"deadline_ms": 5}, {"priority": 1}])
def test_a_task_that_need_not_preempt_does_not(slow, quick, options):
    """Its deadline is far, the other one is as important, or it has none."""
    with Runtime() as runtime:
        runtime.add("slow", slow)
        runtime.add("quick", quick, preempts="auto", **options)
        assert preempting(runtime) == []
        assert runtime.submit(noisy_frame()).result().part == "whole"


def test_a_task_that_others_take_from_does_not_preempt_by_itself(slow, tmp_path):
    path = networks.convert(networks.counter(tmp_path))
    step = TaskSpec(path, feed={"step": np.ones((1, 4), np.float32)})
    with Runtime() as runtime:
        runtime.add("slow", slow)
        runtime.add("first", step, preempts="auto", deadline_ms=1, priority=1)
        assert preempting(runtime) == ["first"]
        runtime.add("second", TaskSpec(path, feed={"step": "first.sum"}))
        assert preempting(runtime) == []
        np.testing.assert_array_equal(runtime.process(noisy_frame())["second"]["sum"], np.ones((1, 4)))
        runtime.remove("second")
        assert preempting(runtime) == ["first"]


def test_automatic_tasks_of_lanes(slow, quick, alone):
    with Runtime(lanes=2, force=True) as runtime:
        runtime.add("slow", slow)
        runtime.add("quick", quick, preempts="auto", deadline_ms=5, priority=1)
        runtime.add("slow2", slow)
        result = runtime.process(noisy_frame(3))
        lanes = {name: task.lane for name, task in runtime.memory().tasks.items()}
        others = [name for name in ("slow", "slow2") if lanes[name] == lanes["quick"]]
        assert preempting(runtime) == (["quick"] if others else [])
        for name, found in result.items():
            np.testing.assert_array_equal(found["heat"], alone["quick" if name == "quick" else "slow"][3])


def test_preempts_is_true_false_or_auto(slow, quick, tmp_path):
    with pytest.raises(mnnlite.ArgumentError, match="preempts is 'sometimes'"):
        Schedule(preempts="sometimes")
    with pytest.raises(mnnlite.ArgumentError, match="preempts excludes optional"):
        Schedule(preempts="auto", optional=True)
    path = tmp_path / "drive.toml"
    pipeline.save(pipeline.Pipeline({"quick": quick}, schedules={"quick": Schedule(preempts="auto")}), path)
    assert pipeline.load(path).schedules["quick"].preempts == "auto"


# ---- to the bit, everywhere


@pytest.fixture(scope="module")
def six(quick, tmp_path_factory):
    assets = files("mnnlite.demo") / "assets"
    found = [str(each) for each in sorted(assets.iterdir(), key=str) if each.name.endswith(".mnn")][:4]
    deep = networks.convert(networks.deep(tmp_path_factory.mktemp("six")))
    models = [Model(path) for path in [str(deep), str(quick.model), *found]]
    rng = np.random.default_rng(1)
    for model in models:
        for name in model.inputs:
            values = model.input(name)
            values[...] = rng.uniform(-1, 1, values.shape).astype(values.dtype)
    yield [(model, {name: each.copy() for name, each in model.run().items()}) for model in models]
    for model in models:
        model.close()


def swept(six, chosen):
    wrong = runs = 0
    for index, (outer, expected) in enumerate(six):
        inner, within = six[(index + 1) % len(six)]
        places = len(_core.run_interrupted(outer.native)[0])
        assert places > 2
        for place in chosen(places):
            gaps, outer_found, inner_found = _core.run_interrupted(outer.native, place, inner.native)
            assert len(gaps) == places
            runs += 1
            for found, wanted in ((outer_found, expected), (inner_found, within)):
                wrong += any(not np.array_equal(found[name], each) for name, each in wanted.items())
    assert wrong == 0
    return runs


def test_any_operator_of_six_networks_may_be_where_another_runs(six):
    rng = random.Random(21)
    assert swept(six, lambda places: rng.sample(range(places), places // 3)) > 50


@pytest.mark.slow
def test_every_operator_of_six_networks_may_be_where_another_runs(six):
    assert swept(six, range) > 150


def test_first_frames_of_several_threads_start_one_urgent_thread(slow, quick, monkeypatch):
    count, start, began = 4, threading.Thread.start, []

    def late(self):
        if self.name == "mnnlite-completion-urgent":
            began.append(self)
            time.sleep(0.05)  # others find none meanwhile
        start(self)

    monkeypatch.setattr(threading.Thread, "start", late)
    barrier = threading.Barrier(count)
    with opened(slow, quick) as runtime, ThreadPoolExecutor(count) as pool:

        def give(seed):
            barrier.wait()
            return runtime.submit(noisy_frame(seed)).result(300)

        assert len(list(pool.map(give, range(count)))) == count
    assert len(began) == 1
    assert not began[0].is_alive()


def mixed(slow, quick, alone, seconds, seed):
    """Threads give frames, tasks come and go meanwhile; every result is that of the task alone."""
    rng = random.Random(seed)
    stopping = threading.Event()
    counts = {"slow": 0, "quick": 0}

    def check(result):
        for name, found in result.items():
            kind = "quick" if name.startswith("quick") else "slow"
            np.testing.assert_array_equal(found["heat"], alone[kind][result.meta])
            counts[kind] += 1
        assert not result.errors

    def give(runtime, seed):
        chosen = random.Random(seed)
        while not stopping.is_set():
            result = runtime.submit(noisy_frame(chosen.randrange(4))).result(300)
            check(result)
            if result.rest is not None and chosen.random() < 0.5:
                check(result.rest.result(300))

    with ThreadPoolExecutor(2) as pool:
        runtime = opened(slow, quick)
        givers = [pool.submit(give, runtime, seed + each) for each in range(2)]
        end = time.monotonic() + seconds
        there = set()
        while time.monotonic() < end and not any(each.done() for each in givers):
            name = rng.choice(["quick2", "slow2"])
            if name in there:
                runtime.remove(name)
                there.remove(name)
            else:
                spec = quick if name.startswith("quick") else slow
                runtime.add(name, spec, preempts=spec is quick)
                there.add(name)
            time.sleep(rng.uniform(0, 0.05))
        stopping.set()
        for giver in givers:
            giver.result(300)
        stats = runtime.stats()
        last = runtime.submit(noisy_frame(0))
        runtime.close()
        check(last.result(300))
    assert stats.lanes[0].preemptions > 0
    assert min(counts.values()) > 0


def test_tasks_come_and_go_while_others_preempt(slow, quick, alone):
    mixed(slow, quick, alone, 1.5, 3)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_tasks_come_and_go_for_long(slow, quick, alone, seed):
    mixed(slow, quick, alone, float(os.environ.get("MNNLITE_MIX_SECONDS", "20")), seed)
