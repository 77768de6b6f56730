"""Runtime: many tasks on a frame are what each gives alone; frames in order; failures alone; tasks come and go."""

from __future__ import annotations

import asyncio
import itertools
import json
import threading
import time
from datetime import datetime

import numpy as np
import pytest

import mnnlite
from helpers import networks
from helpers.child import run_python
from helpers.comparing import same
from helpers.pictures import noise
from mnnlite import Frame, ImageSpec, Runtime, Task, TaskSpec, decoders
from mnnlite.runtime.counters import percentiles
from mnnlite.runtime.flight import OfferedFrame
from mnnlite.video import to_rgb

MASK = decoders.Segmentation(mode="binary", threshold=0.5, tensors=("heat",))
SIZES = (16, 32, 64, 96)


def lanes(count: int, **options) -> Runtime:
    return Runtime(lanes=count, force=True, **options)


@pytest.fixture(scope="session")
def family(tmp_path_factory):
    """Specs of networks small to large."""
    folder = tmp_path_factory.mktemp("runtime")
    specs = {}
    for size in SIZES:
        path = networks.convert(networks.two_branches(folder, size=size, width=4 + size // 8))
        image = ImageSpec(fit="letterbox", mean=(10, 20, 30), std=(50, 60, 70))
        specs[f"n{size}"] = TaskSpec(path, image, MASK if size != 32 else "raw")
    return specs


@pytest.fixture(scope="session")
def classes(tmp_path_factory):
    """A network that says which of three channels is the strongest, as a map: boxes to crop."""
    path = networks.convert(networks.class_map(tmp_path_factory.mktemp("classes")))
    decoder = decoders.Segmentation(classes=("red", "green", "blue"))
    return TaskSpec(path, ImageSpec(color="RGB"), decoder)


def frames(count, **options):
    return [Frame(noise(seed, 60 + seed % 3 * 17), "BGR", meta=seed, **options) for seed in range(count)]


@pytest.fixture(scope="session")
def alone(family):
    """What each task gives alone on each of twelve frames."""
    expected = {}
    for name, spec in family.items():
        with Task(spec) as task:
            expected[name] = [task(frame) for frame in frames(12)]
    return expected


@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("order", [(0, 1, 2, 3), (3, 2, 1, 0), (2, 0, 3, 1)])
def test_many_tasks_give_what_each_gives_alone(family, alone, count, order):
    with lanes(count) as runtime:
        names = list(family)
        for index in order:
            runtime.add(names[index], family[names[index]])
        for index, frame in enumerate(frames(12)):
            result = runtime.process(frame)
            assert (result.index, result.meta, result.frame_size) == (index, index, (frame.width, frame.height))
            for name, expected in alone.items():
                same(result[name], expected[index])
            assert not result.skipped
            assert not result.errors
            assert not result.late
            assert set(result.timing) == set(family)
            assert all(set(stages) == {"preprocess", "infer", "decode"} for stages in result.timing.values())
            assert result.elapsed_ns >= max(result.lane_ns) > 0
    assert "closed" in repr(runtime)


def test_a_stream_that_waits_gives_every_frame_in_order(family, alone):
    with lanes(2) as runtime:
        for name, spec in family.items():
            runtime.add(name, spec)
        seen = []
        for result in runtime.stream(iter(frames(12))):
            seen.append(result.meta)
            for name, expected in alone.items():
                same(result[name], expected[result.meta])
        assert seen == list(range(12))
        assert runtime.stats().dropped == 0


def test_submit_gives_futures_that_are_done_in_order(family, alone):
    with lanes(2) as runtime:
        for name, spec in family.items():
            runtime.add(name, spec)
        done = []
        futures = []
        for frame in frames(12):
            future = runtime.submit(frame)
            future.add_done_callback(lambda each: done.append(each.result().meta))
            futures.append(future)
        for index, future in enumerate(futures):
            for name, expected in alone.items():
                same(future.result(timeout=300)[name], expected[index])
    assert done == list(range(12))


def test_asyncio(family):
    async def consume():
        with Runtime() as runtime:
            runtime.add("a", family["n16"])
            return [result.meta async for result in runtime.stream(frames(5))]

    assert asyncio.run(consume()) == list(range(5))


def test_a_source_that_does_not_wait_loses_the_oldest_and_counts_them(family):
    held = threading.Event()

    def camera():
        for frame in frames(30):
            yield frame
            if frame.meta == 10:
                held.wait(300)  # ten came at once; the rest when the consumer has had a result

    with Runtime() as runtime:
        runtime.add("a", family["n96"])
        seen = []
        stream = runtime.stream(camera(), latest=True)
        for result in stream:
            seen.append(result.meta)
            if result.meta == 10:
                held.set()
        assert seen == sorted(set(seen))
        assert seen[-1] == 29  # the newest is never lost
        assert 10 in seen
        assert runtime.stats().dropped == stream.dropped == 30 - len(seen)


def test_every_and_rate_and_skipped_reasons(family):
    with Runtime() as runtime:
        runtime.add("all", family["n16"])
        runtime.add("third", family["n32"], every=3)
        results = [runtime.process(frame) for frame in frames(9)]
        assert ["third" in result for result in results] == [True, False, False] * 3
        with pytest.raises(KeyError, match=r"third.*skipped.*every 3 frames"):
            results[1]["third"]
        with pytest.raises(KeyError, match="there is no task 'other'"):
            results[1]["other"]
        assert results[1].get("third") is None
        assert list(results[1]) == ["all"]
        stats = runtime.stats().tasks["third"]
        assert (stats.runs, stats.skipped) == (3, 0)  # it was not due on the others


def halves(width=64, height=32):
    """Left red, right blue."""
    image = np.zeros((height, width, 3), np.uint8)
    image[:, : width // 2, 0] = image[:, width // 2 :, 2] = 200
    return image


def test_a_cascade_runs_on_boxes_and_answers_in_pixels_of_the_frame(classes, family):
    frame = Frame(halves(), "RGB")
    with Runtime() as runtime:
        runtime.add("areas", classes)
        runtime.add("blue", classes, after="areas", only={"blue"})
        runtime.add("all", classes, after="areas", max_crops=4)
        runtime.add("one", classes, after="areas", max_crops=1)
        runtime.add("none", classes, after="areas", only={"green"})
        result = runtime.process(frame)
        areas = result["areas"]
        assert sorted(areas.labels) == ["blue", "red"]
        blue = result["blue"]
        assert blue.labels == ["blue"]
        assert areas[int(blue.items[0])].label == "blue"
        x, y, right, bottom = areas[int(blue.items[0])].box
        cropped = Task(classes)(frame.roi(x, y, right - x, bottom - y))
        np.testing.assert_array_equal(blue.boxes_xyxy, cropped.boxes_xyxy)
        assert sorted(result["all"].labels) == ["blue", "red"]
        assert len(result["one"]) == 1
        assert result.crops == {"blue": (1, 1), "all": (2, 2), "one": (1, 2), "none": (0, 0)}
        assert len(result["none"]) == 0


def test_what_a_cascade_refuses(classes, family):
    with Runtime() as runtime:
        runtime.add("areas", classes)
        runtime.add("raw", family["n32"])
        for options, text in (
            ({"after": "area"}, "did you mean 'areas'"),
            ({"after": "raw"}, "no decoder"),
            ({"after": "areas", "only": {"blau"}}, "did you mean 'blue'"),
            ({"after": "areas", "only": "blue"}, "set of labels"),
            ({"after": "areas.map"}, "no result 'map'"),
            ({"only": {"blue"}}, "after="),
            ({"max_crops": 0, "after": "areas"}, "at least 1"),
            ({"padding": -1, "after": "areas"}, "at least 0"),
            ({"every": 2, "rate_hz": 3}, "one of them"),
            ({"every": 0}, "at least 1"),
            ({"deadline_ms": 0}, "more than 0"),
            ({"priority": 1.5}, "whole number"),
        ):
            with pytest.raises(mnnlite.ArgumentError, match=text):
                runtime.add("x", classes, **options)
        with pytest.raises(mnnlite.ArgumentError, match="one batch"):
            runtime.add("x", family["n32"], after="areas", max_crops=3)
        with pytest.raises(mnnlite.ArgumentError, match="already"):
            runtime.add("areas", classes)
        with pytest.raises(mnnlite.ArgumentError, match="without a dot"):
            runtime.add("a.b", classes)
        with pytest.raises(mnnlite.ArgumentError, match="TaskSpec"):
            runtime.add("x", 5)
        runtime.add("blue", classes, after="areas")
        with pytest.raises(mnnlite.ArgumentError, match="needed by 'blue'"):
            runtime.remove("areas")
        assert list(runtime.tasks) == ["areas", "raw", "blue"]
        assert set(runtime.process(Frame(halves(), "RGB"))) == {"areas", "raw", "blue"}


def test_a_chain_hands_tensors_over(tmp_path):
    path = networks.convert(networks.counter(tmp_path))  # memory + step -> sum
    ones = np.ones((1, 4), np.float32)
    with Runtime() as runtime:
        runtime.add("first", TaskSpec(path, feed={"step": ones, "memory": 2 * ones}))
        runtime.add("second", TaskSpec(path, feed={"step": "first.sum", "memory": "first.sum"}))
        runtime.add("counting", TaskSpec(path, feed={"step": "second.sum"}, state={"memory": "sum"}))
        frame = Frame(noise(), "BGR")
        sums = [float(runtime.process(frame)["counting"]["sum"][0, 0]) for _ in range(3)]
        assert sums == [6.0, 12.0, 18.0]
        assert float(runtime.process(frame)["first"]["sum"][0, 0]) == 3.0
        tasks = runtime.memory().tasks
        assert tasks["first"].inputs > tasks["counting"].inputs > tasks["second"].inputs == 0  # not a copy
        for feed, text in (
            ({"step": "fist.sum"}, "did you mean 'first'"),
            ({"step": "first.sun"}, "sun"),
            ({"stop": "first.sum"}, "stop"),
        ):
            with pytest.raises(mnnlite.MnnliteError, match=text):
                runtime.add("x", TaskSpec(path, feed=feed))
    with pytest.raises(mnnlite.ArgumentError, match="Runtime"):
        Task(TaskSpec(path, feed={"step": "first.sum"}))
    with pytest.raises(mnnlite.ArgumentError, match=r"task\.output"):
        TaskSpec(path, feed={"step": "first"})


@pytest.fixture(scope="session")
def fragile(tmp_path_factory):
    """Fails to decode a black picture: infinite scores."""
    path = networks.convert(networks.inverse(tmp_path_factory.mktemp("fragile")))
    return TaskSpec(path, ImageSpec(), decoders.Classification())


def test_a_task_that_fails_fails_alone_and_is_quarantined(fragile, family, alone, classes):
    good, bad = Frame(noise(), "BGR"), Frame(noise() * 0, "BGR")
    with Runtime(max_failures=3) as runtime:
        runtime.add("fragile", fragile)
        runtime.add("good", family["n16"])
        assert set(runtime.process(good)) == {"fragile", "good"}
        for _ in range(2):
            result = runtime.process(bad)
            assert set(result) == {"good"}
            assert isinstance(result.errors["fragile"], mnnlite.DecoderError)
            with pytest.raises(KeyError, match="failed"):
                result["fragile"]
        assert "fragile" in runtime.process(good)  # in a row, it says
        for _ in range(3):
            assert "fragile" in runtime.process(bad).errors
        result = runtime.process(good)
        assert "quarantined after 3 failures" in result.skipped["fragile"]
        stats = runtime.stats().tasks["fragile"]
        assert stats.failed == 5
        assert "quarantined" in stats.quarantined
        runtime.replace("fragile", fragile)
        assert "fragile" in runtime.process(good)


def test_late_results_are_marked_and_there(family):
    with Runtime() as runtime:
        runtime.add("a", family["n96"], deadline_ms=1000)
        now = time.monotonic_ns()
        result = runtime.process(Frame(noise(), "BGR", timestamp_ns=now - 5_000_000_000))
        assert result.late == {"a"}
        assert "a" in result
        assert not runtime.process(Frame(noise(), "BGR", timestamp_ns=now + 10**12)).late  # not this clock
        assert not runtime.process(Frame(noise(), "BGR", timestamp_ns=0)).late
        assert not runtime.process(Frame(noise(), "BGR")).late
        assert runtime.stats().tasks["a"].late == 1


def test_optional_work_is_left_out_of_a_frame_that_is_old(family):
    with Runtime() as runtime:
        runtime.add("must", family["n16"])
        runtime.add("may", family["n96"], optional=True, deadline_ms=500)
        assert "may" in runtime.process(Frame(noise(), "BGR"))
        result = runtime.process(Frame(noise(), "BGR", timestamp_ns=time.monotonic_ns() - 10**9))
        assert "must" in result
        assert "no time" in result.skipped["may"]


def test_tasks_come_and_go_between_frames(family, alone):
    specs = list(family.items())
    with lanes(2) as runtime:
        for step, frame in enumerate(itertools.islice(itertools.cycle(frames(12)), 40)):
            name, spec = specs[step % 4]
            if name in runtime.tasks:
                runtime.remove(name) if step % 3 else runtime.replace(name, spec)
            else:
                runtime.add(name, spec)
            result = runtime.process(frame)
            assert set(result) == set(runtime.tasks)
            for each, found in result.items():
                same(found, alone[each][frame.meta])
        assert sum(lane.loads for lane in runtime.stats().lanes) >= 40


def test_tasks_come_and_go_while_a_stream_runs(family, alone):
    stop = threading.Event()

    def camera():
        for frame in itertools.cycle(frames(12)):
            if stop.is_set():
                return
            yield frame

    with lanes(2) as runtime:
        runtime.add("n16", family["n16"])
        wrong, changes = [], []

        def churn():
            try:
                rng = np.random.default_rng(5)
                for _ in range(30):
                    name = f"n{rng.choice(SIZES[1:])}"
                    if name not in runtime.tasks:
                        runtime.add(name, family[name])
                    elif rng.random() < 0.5:
                        runtime.replace(name, family[name])
                    else:
                        runtime.remove(name)
                    changes.append(name)
            except BaseException as error:
                wrong.append(error)
            finally:
                stop.set()

        thread = threading.Thread(target=churn)
        thread.start()
        for result in runtime.stream(camera()):
            for name, found in result.items():
                same(found, alone[name][result.meta])
            assert "n16" in result
        thread.join()
        assert not wrong
        assert len(changes) == 30


def test_removing_from_within_a_stream(family):
    with lanes(2) as runtime:
        for name, spec in family.items():
            runtime.add(name, spec)
        for result in runtime.stream(frames(12)):
            if result.meta == 3:
                runtime.remove("n96")
        assert "n96" not in result
        assert set(result) == set(runtime.tasks)


def test_placement_is_settled_before_the_first_frame(family):
    with lanes(2) as runtime:
        for name, spec in family.items():
            runtime.add(name, spec)
        text = runtime.plan()
        assert "lane 0" in text
        assert "lane 1" in text
        assert all(name in text for name in family)
        memory = runtime.memory()
        assert {task.lane for task in memory.tasks.values()} == {0, 1}
        assert memory.total == sum(lane.static + lane.dynamic + lane.inputs for lane in memory.lanes)


@pytest.mark.parametrize("count", [1, 2, 3, 10, 99, 100, 101, 255, 256])
def test_percentiles_are_those_of_numpy(count):
    values = np.random.default_rng(count).integers(0, 10**9, count)
    found = percentiles(map(int, values))
    assert np.abs(np.array(found) - np.percentile(values, [50, 90, 99])).max() < 1.001  # cut to whole nanoseconds


def test_stats_and_prometheus(family):
    with Runtime() as runtime:
        runtime.add('a "quoted" name', family["n16"], every=2)
        for frame in frames(4):
            runtime.process(frame)
        stats = runtime.stats()
        stages = stats.tasks['a "quoted" name'].stages
        assert set(stages) == {"preprocess", "infer", "decode", "total"}
        assert 0 < stages["infer"].p50 <= stages["infer"].p90 <= stages["infer"].p99 <= stages["infer"].max
        assert 0 < stats.lanes[0].utilisation <= 1
        text = runtime.prometheus()
        assert "mnnlite_frames_total 4\n" in text
        assert r'mnnlite_task_runs_total{task="a \"quoted\" name"} 2' in text
        assert 'quantile="0.99"' in text
        for line in text.splitlines():
            assert line.startswith(("# HELP ", "# TYPE ", "mnnlite_"))


def test_arguments(family):
    for options, text in (
        ({"lanes": 0}, "lanes"),
        ({"lanes": True}, "lanes"),
        ({"threads": 99}, "threads"),
        ({"weights": "disk"}, "weights is 'disk'"),
        ({"winograd": "medium"}, "winograd is 'medium'; it must be one of 'large', 'small', 'none'"),
        ({"weights_dir": "/dev/shm"}, "lies in memory"),
        ({"weights": "mapped", "weights_dir": "/dev/shm"}, "lies in memory"),
        ({"weights": "mapped", "weights_dir": "/nowhere"}, "No such file"),
        ({"weights": "heep"}, "heap"),
        ({"lanes": 60}, "cores"),
    ):
        with pytest.raises(mnnlite.ArgumentError, match=text):
            Runtime(**options)
    with Runtime() as runtime:
        with pytest.raises(mnnlite.ArgumentError, match=r"mnnlite\.Frame"):
            runtime.process(noise())
        with pytest.raises(mnnlite.ArgumentError, match="iterable"):
            runtime.stream(5)
        with pytest.raises(mnnlite.ArgumentError, match=r"mnnlite\.Frame"):
            list(runtime.stream([noise()]))
        with pytest.raises(mnnlite.ArgumentError, match="no task 'x'"):
            runtime.remove("x")
        with pytest.raises(mnnlite.ModelNotFoundError):
            runtime.add("x", TaskSpec("absent.mnn"))
        assert len(runtime.process(Frame(noise(), "BGR"))) == 0
    runtime.close()
    for call in (
        lambda: runtime.process(Frame(noise(), "BGR")),
        lambda: runtime.add("a", family["n16"]),
        runtime.plan,
    ):
        with pytest.raises(mnnlite.ClosedError):
            call()


def test_errors_of_a_source_come_after_the_last_result(family):
    def source():
        yield from frames(3)
        raise OSError("unplugged")

    with Runtime() as runtime:
        runtime.add("a", family["n16"])
        stream = runtime.stream(source())
        assert [next(stream).meta for _ in range(3)] == [0, 1, 2]
        with pytest.raises(OSError, match="unplugged"):
            next(stream)
        assert list(stream) == []


def test_a_stream_that_is_left_early_can_be_followed_by_another(family):
    with Runtime() as runtime:
        runtime.add("a", family["n16"])
        for _ in range(5):
            for result in runtime.stream(itertools.cycle(frames(3))):
                if result.meta == 2:
                    break
        assert [result.meta for result in runtime.stream(frames(3))] == [0, 1, 2]


def test_a_result_keeps_its_frame_and_is_a_picture_and_a_line(classes):
    with Runtime() as runtime:
        runtime.add("areas", classes)
        before, steady = time.time_ns(), time.monotonic_ns()
        results = list(runtime.stream(Frame(halves(), "RGB", meta=index) for index in range(3)))
        stamped = runtime.process(
            Frame(halves(), "RGB", timestamp_ns=steady - 10**9, meta={"frame": 7, "file": "a.png"})
        )
    for index, result in enumerate(results):
        assert result.frame.meta == index
        assert (result.frame.width, result.frame.height) == (64, 32)
        assert steady <= result.taken_ns <= time.monotonic_ns()
        assert before <= result.wall_ns <= time.time_ns()
        line = json.loads(json.dumps(result.to_json(), allow_nan=False))
        assert (line["frame"], line["meta"], line["monotonic_ns"]) == (index, index, result.taken_ns)
        wall = datetime.fromisoformat(line["wall_time"].replace("Z", "+00:00"))
        assert abs(wall.timestamp() - result.wall_ns / 1e9) < 1e-3
        assert {row["label"] for row in line["results"]["areas"]} == {"red", "blue"}
    picture = results[0].draw()
    assert picture.shape == (32, 64, 3)
    assert not np.array_equal(picture, halves())
    np.testing.assert_array_equal(to_rgb(results[0].frame), halves())  # the frame itself is not drawn on
    assert stamped.taken_ns == steady - 10**9
    assert before - stamped.wall_ns == pytest.approx(10**9, abs=5 * 10**8)
    line = stamped.to_json()
    assert (line["frame"], line["file"], line["timestamp_ns"]) == (7, "a.png", steady - 10**9)


def test_several_threads_may_call(family, alone):
    wrong = []
    with lanes(2) as runtime:
        for name, spec in family.items():
            runtime.add(name, spec)

        def work():
            try:
                for frame in frames(12):
                    result = runtime.process(frame)
                    for name, expected in alone.items():
                        same(result[name], expected[frame.meta])
            except BaseException as error:
                wrong.append(error)

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert not wrong


CHILD = """
import itertools, os, signal, sys, threading, time
import numpy as np, mnnlite
from mnnlite import Frame, ImageSpec, Runtime, TaskSpec
frame = Frame(np.zeros((40, 40, 3), np.uint8), "BGR")
runtime = Runtime(lanes=2, force=True)
for index, path in enumerate(sys.argv[2:]):
    runtime.add(f"t{index}", TaskSpec(path, ImageSpec()))
"""


def paths(family):
    return [str(spec.model) for spec in family.values()]


def test_ctrl_c_with_frames_on_their_way(family):
    code = """
threading.Timer(0.3, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
try:
    for result in runtime.stream(itertools.repeat(frame)):
        pass
    raise SystemExit("not interrupted")
except KeyboardInterrupt:
    pass
assert len(runtime.process(frame)) == 4
runtime.close()
print("closed")
"""
    assert "closed" in run_python(CHILD + code, "", *paths(family)).stdout


def test_removed_tasks_give_their_memory_back(tmp_path):
    """Weights of megabytes: what is left is the smallest task's, as if the others had never been."""
    code = """
import gc, re
def anonymous():
    gc.collect()
    return int(re.search(r"RssAnon:\\s+(\\d+)", open("/proc/self/status").read())[1]) / 1024
small, *large = [TaskSpec(path, ImageSpec()) for path in sys.argv[1:]]
def alone():
    runtime.add("small", small)
    runtime.process(frame)
    return anonymous()
runtime = Runtime(); alone(); runtime.close()
runtime = Runtime(); before = alone()
for turn in range(3):
    for index, spec in enumerate(large):
        runtime.add(f"t{index}", spec)
    runtime.process(frame)
    grown = anonymous() - before
    for index in range(len(large)):
        runtime.remove(f"t{index}")
    runtime.process(frame)
    left = anonymous() - before
    print(grown, left)
    assert grown > 8, grown
    assert left < 1.5, left
runtime.close()
"""
    sizes = [(16, 8), (64, 64), (64, 96), (96, 96)]
    files = [networks.convert(networks.two_branches(tmp_path, size=size, width=width)) for size, width in sizes]
    run_python(CHILD.split("runtime = ")[0] + code, *map(str, files))


@pytest.mark.parametrize(
    "code",
    [
        "runtime.process(frame)",
        "stream = runtime.stream(itertools.repeat(frame)); next(stream)",
        "futures = [runtime.submit(frame) for _ in range(8)]",
        "runtime.process(frame); del runtime",
        "runtime.process(frame); sys.exit(0)",
    ],
)
def test_a_process_ends_well_with_a_runtime_open(family, code):
    run_python(CHILD + code, "", *paths(family))


def test_fork(family):
    code = """
runtime.process(frame)
child = os.fork()
if child == 0:
    try:
        runtime.process(frame)
    except mnnlite.StateError:
        os._exit(7)
    os._exit(1)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
assert len(runtime.process(frame)) == 4
"""
    run_python(CHILD + code, "", *paths(family))


def test_a_run_that_hangs_is_reported(family, caplog):
    with Runtime(watchdog_s=1e-9) as runtime:
        runtime.add("a", family["n96"])
        dispatcher = runtime._dispatcher
        for _ in range(200):  # until a look falls into a run
            offered = OfferedFrame(Frame(noise(), "BGR"), time.monotonic_ns())
            flight = dispatcher.admit(offered, dropping=False)
            while not flight.pending.wait(10_000):
                dispatcher.watch()
            dispatcher.finish(flight)
            if runtime.stats().hung:
                break
        assert runtime.stats().hung[0].task == "a"
        assert "has been running" in caplog.text
