"""Runtime.add_all: the lanes load side by side; all tasks or none, whichever lane is quicker; in one lane what belongs together."""

from __future__ import annotations

import threading
from concurrent.futures import Future

import pytest

from helpers import networks
from helpers.comparing import same
from helpers.pictures import noise
from mnnlite import (
    ArgumentError,
    ClosedError,
    Frame,
    ImageSpec,
    MnnliteError,
    Runtime,
    StateError,
    Task,
    TaskSpec,
    decoders,
    pipeline,
)
from mnnlite.runtime import residency
from mnnlite.runtime.batch import NewTask, load_side_by_side
from mnnlite.runtime.schedule import Schedule

SIZES = (16, 32, 64, 96)
_PATIENCE_S = 60  # of threads that wait for each other


@pytest.fixture(scope="module")
def family(tmp_path_factory):
    """Specs of networks small to large."""
    folder = tmp_path_factory.mktemp("batch")
    paths = {
        f"n{size}": networks.convert(networks.two_branches(folder, size=size, width=4 + size // 8)) for size in SIZES
    }
    return {name: TaskSpec(path, ImageSpec(std=255)) for name, path in paths.items()}


@pytest.fixture(scope="module")
def classes(tmp_path_factory):
    """A network that says which of three channels is the strongest: boxes to crop."""
    path = networks.convert(networks.class_map(tmp_path_factory.mktemp("classes")))
    return TaskSpec(path, ImageSpec(color="RGB"), decoders.Segmentation(classes=("red", "green", "blue")))


@pytest.fixture
def frame():
    return Frame(noise(1, 60), "BGR")


def lanes(count: int, **options) -> Runtime:
    return Runtime(lanes=count, force=True, **options)


def lane_of(runtime: Runtime) -> dict[str, int]:
    return {name: task.lane for name, task in runtime.memory().tasks.items()}


def each_loads(monkeypatch, function) -> None:
    """Call `function` with the task's name before each load, on the lane that loads it."""
    load = residency.load

    def loading(name, *arguments, **options):
        function(name)
        return load(name, *arguments, **options)

    monkeypatch.setattr(residency, "load", loading)


@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("order", [(0, 1, 2, 3), (3, 2, 1, 0), (2, 0, 3, 1)])
def test_tasks_give_what_each_gives_alone_and_keep_their_order(family, frame, count, order):
    names = [f"n{SIZES[i]}" for i in order]
    with lanes(count) as runtime:
        runtime.add_all({name: family[name] for name in names}, {"n32": Schedule(every=2)})
        assert list(runtime.tasks) == names
        first, second = runtime.process(frame), runtime.process(frame)
        assert sorted(first) == sorted(names)
        assert sorted(second) == sorted(set(names) - {"n32"})
        for name in names:
            with Task(family[name]) as task:
                same(first[name], task(frame))


def test_lanes_load_at_the_same_time(family, monkeypatch):
    both = threading.Barrier(2)
    each_loads(monkeypatch, lambda _: both.wait(_PATIENCE_S))  # one after the other it would break
    with lanes(2) as runtime:
        runtime.add_all(dict(list(family.items())[:2]), {"n16": Schedule(lane=0), "n32": Schedule(lane=1)})
        assert lane_of(runtime) == {"n16": 0, "n32": 1}


def test_a_lane_loads_in_the_order_given(family, monkeypatch):
    loaded: list[str] = []
    each_loads(monkeypatch, loaded.append)
    names = ["n64", "n16", "n96", "n32"]
    with lanes(1) as runtime:
        runtime.add_all({name: family[name] for name in names})
    assert loaded == names


@pytest.mark.parametrize("quicker", ["first", "second"])
def test_the_first_error_in_order_is_raised_whichever_lane_is_quicker(family, monkeypatch, tmp_path, quicker):
    ended = threading.Event()

    def wait(name):
        if name in ("first", "second") and name != quicker:
            assert ended.wait(_PATIENCE_S)

    def call_soon(self, function, *arguments, **options):
        future = call_soon_before(self, function, *arguments, **options)
        future.add_done_callback(lambda done: ended.set() if done.exception() else None)
        return future

    each_loads(monkeypatch, wait)
    call_soon_before = residency.ModelResidency.load_soon
    monkeypatch.setattr(residency.ModelResidency, "load_soon", call_soon)
    missing = {name: TaskSpec(tmp_path / f"{name}.mnn", ImageSpec()) for name in ("first", "second")}
    for path in missing.values():
        path.model.write_bytes(b"not a model")
    with lanes(2) as runtime:
        runtime.add("stays", family["n16"])
        with pytest.raises(MnnliteError) as caught:
            runtime.add_all({**missing, "n64": family["n64"]}, {"first": Schedule(lane=0), "second": Schedule(lane=1)})
        assert str(caught.value).startswith("task 'first': ")
        assert str(caught.value).count("task '") == 1


def test_all_or_none(family, frame, tmp_path):
    broken = tmp_path / "broken.mnn"
    broken.write_bytes(b"not a model")
    with lanes(2) as runtime:
        runtime.add("stays", family["n16"])
        before = runtime.process(frame)
        with pytest.raises(MnnliteError, match=r"^task 'broken': .*broken\.mnn"):
            runtime.add_all({"n64": family["n64"], "broken": TaskSpec(broken, ImageSpec()), "n96": family["n96"]})
        assert list(runtime.tasks) == ["stays"]
        assert sum(lane.dynamic for lane in runtime.memory().lanes) == runtime.memory().tasks["stays"].dynamic
        same(runtime.process(frame)["stays"], before["stays"])
        runtime.add_all({"n64": family["n64"], "n96": family["n96"]})
        assert sorted(runtime.process(frame)) == ["n64", "n96", "stays"]


def test_what_is_under_way_when_a_lane_takes_no_more_is_closed():
    """Pure: a load that has begun ends, and what it made does not stay."""
    loading, done, closed = Future(), Future(), []
    done.set_result(None)

    def load_soon(task, lane, made):
        if lane == "second":
            threading.Timer(0.05, loading.set_result, ["first's"]).start()
            raise StateError("no thread")
        return loading

    def close_soon(task):
        closed.append(task)
        return done

    tasks = [NewTask(name, TaskSpec("net.mnn"), Schedule(), None, False) for name in ("a", "b")]
    queues = {"first": tasks[:1], "second": tasks[1:]}
    with pytest.raises(StateError, match="no thread"):
        load_side_by_side(queues, ["a", "b"], load_soon, close_soon)
    assert closed == ["first's"]


def test_tasks_that_take_from_each_other_are_in_one_lane(family, classes, frame):
    tasks = {"n96": family["n96"], "one": classes, "other": classes, "crops": family["n16"], "upright": family["n32"]}
    schedules = {
        "crops": Schedule(after="one"),
        "upright": Schedule(after="other"),
        "other": Schedule(lane=1),
    }
    with lanes(2) as runtime:
        runtime.add_all(tasks, schedules)
        where = lane_of(runtime)
        assert where["other"] == where["upright"] == 1
        assert where["one"] == where["crops"]
        assert not runtime.process(frame).errors
        runtime.add_all(
            {"more": family["n64"], "most": family["n64"]},
            {"more": Schedule(after="one"), "most": Schedule(after="other")},
        )
        now = lane_of(runtime)
        assert now["more"] == where["one"]
        assert now["most"] == 1


def test_what_is_refused(family, classes):
    two = {"boxes": classes, "crops": family["n16"]}
    with lanes(2) as runtime:
        with pytest.raises(ArgumentError, match=r"task 'crops': after: there is no task 'boxes'"):
            runtime.add_all(dict(reversed(two.items())), {"crops": Schedule(after="boxes")})
        with pytest.raises(
            ArgumentError, match=r"task 'crops' says lane 1, but takes something from 'boxes', which is in lane 0"
        ):
            runtime.add_all(two, {"boxes": Schedule(lane=0), "crops": Schedule(after="boxes", lane=1)})
        with pytest.raises(ArgumentError, match=r"task 'boxes' says lane 2; there are lanes 0 to 1"):
            runtime.add_all(two, {"boxes": Schedule(lane=2)})
        with pytest.raises(ArgumentError, match=r"task 'crops' comes after 'boxes', which is evictable"):
            runtime.add_all(two, {"boxes": Schedule(evictable=True), "crops": Schedule(after="boxes")})
        with pytest.raises(ArgumentError, match=r"there is a schedule of 'box', which is none of the tasks"):
            runtime.add_all(two, {"box": Schedule()})
        with pytest.raises(ArgumentError, match=r"task 'a\.b': the task's name is 'a\.b'"):
            runtime.add_all({"a.b": classes})
        runtime.add("boxes", classes)
        with pytest.raises(ArgumentError, match=r"there is a task 'boxes' already"):
            runtime.add_all(two)
        assert list(runtime.tasks) == ["boxes"]
        with pytest.raises(StateError, match=r"add_all\(\) would wait"):
            runtime.on_lane("boxes", lambda _: runtime.add_all({"more": classes}))
        runtime.add_all({})
    with pytest.raises(ClosedError):
        runtime.add_all(two)


def test_tasks_of_one_network_share_a_session(family, frame):
    path = family["n64"].model
    image = ImageSpec(std=255)
    tasks = {output: TaskSpec(path, image, outputs=[output]) for output in ("heat", "points")}
    with lanes(2) as runtime:
        runtime.add_all(tasks, dict.fromkeys(tasks, Schedule(lane=1)))
        assert runtime.memory().tasks["heat"].shares == "points" or runtime.memory().tasks["points"].shares == "heat"
        found = runtime.process(frame)
        for name, spec in tasks.items():
            with Task(spec) as task:
                same(found[name], task(frame))


def test_a_later_start_has_them_in_the_lanes_of_the_one_before(family, frame, tmp_path, monkeypatch):
    monkeypatch.setenv("MNNLITE_CACHE", str(tmp_path))
    places = []
    for _ in range(2):
        with lanes(2) as runtime:
            runtime.add_all(family)
            runtime.process(frame)
            places.append(lane_of(runtime))
    assert places[0] == places[1]
    assert set(places[0].values()) == {0, 1}


def test_with_a_budget_they_are_loaded_one_after_the_other(family, frame):
    with lanes(2, memory="64 MiB") as runtime:
        runtime.add_all(family)
        assert sorted(runtime.process(frame)) == sorted(family)


def test_with_a_budget_it_is_all_or_none_too(family, tmp_path):
    large = networks.convert(networks.two_branches(tmp_path, size=512, width=32))
    with lanes(2, memory="8 MiB") as runtime:
        runtime.add("stays", family["n16"])
        with pytest.raises(MnnliteError, match=r"^task 'large'"):
            runtime.add_all({"n32": family["n32"], "large": TaskSpec(large, ImageSpec())})
        assert list(runtime.tasks) == ["stays"]


def test_a_pipeline_opens_its_tasks_at_once(family, frame, monkeypatch):
    both = threading.Barrier(2)
    each_loads(monkeypatch, lambda _: both.wait(_PATIENCE_S))
    spec = pipeline.Pipeline(
        {name: family[name] for name in ("n16", "n64")},
        {"lanes": 2, "force": True},
        {"n16": Schedule(lane=0), "n64": Schedule(lane=1)},
    )
    with spec.open() as runtime:
        assert sorted(runtime.process(frame)) == ["n16", "n64"]
