"""What is asked of a task in a Runtime, one by one: padding and batches of crops, several decoders, rates, files that change."""

from __future__ import annotations

import itertools
import shutil
import threading
import time
from dataclasses import replace

import numpy as np
import pytest

import mnnlite
from helpers import networks
from mnnlite import Frame, ImageSpec, Runtime, Task, TaskSpec, decoders

MASK = decoders.Segmentation(mode="binary", threshold=0.5)


@pytest.fixture(scope="module")
def areas(tmp_path_factory):
    """Which of three channels is the strongest: boxes to crop."""
    path = networks.convert(networks.class_map(tmp_path_factory.mktemp("areas")))
    return TaskSpec(path, ImageSpec(), decoders.Segmentation(classes=("red", "green", "blue")))


@pytest.fixture(scope="module")
def branches(tmp_path_factory):
    """A network of two branches, that takes any batch."""
    path = networks.two_branches(tmp_path_factory.mktemp("branches"), size=16, width=8, dynamic=True)
    return networks.convert(path)


def stripes(width=72, height=40):
    """Red, green, blue, from left to right, with some noise."""
    image = np.random.default_rng(1).integers(0, 40, (height, width, 3), np.uint8)
    for channel in range(3):
        image[:, channel * width // 3 : (channel + 1) * width // 3, channel] += 200
    return Frame(image, "RGB")


def inner_spec(branches, **options):
    return TaskSpec(branches, ImageSpec(size=(16, 16), std=60), MASK, outputs=["heat"], **options)


def same(found, expected):
    assert found.labels == expected.labels
    np.testing.assert_array_equal(found.scores, expected.scores)
    np.testing.assert_array_equal(found.boxes_xyxy, expected.boxes_xyxy)


def test_raw_outputs_without_a_crop_are_empty_and_not_an_earlier_frames(areas, branches):
    spec = TaskSpec(branches, ImageSpec(size=(16, 16), std=60), outputs=["heat"])
    with Runtime() as runtime:
        runtime.add("areas", areas)
        runtime.add("inner", spec, after="areas", only={"green"})
        before = runtime.process(stripes())
        assert before.crops["inner"] == (1, 1)
        assert before["inner"]["heat"].shape[0] == 1
        red = np.zeros((40, 72, 3), np.uint8)
        red[..., 0] = 240
        after = runtime.process(Frame(red, "RGB"))
        assert after.crops["inner"] == (0, 0)
        assert after["inner"]["heat"].shape == (0, *before["inner"]["heat"].shape[1:])


@pytest.mark.parametrize("padding", [0.0, 0.1, 0.25])
def test_padding_is_part_of_the_box_on_each_side(areas, branches, padding):
    spec, frame = inner_spec(branches), stripes()
    with Runtime() as runtime, Task(spec) as alone:
        runtime.add("areas", areas)
        runtime.add("inner", spec, after="areas", only={"green"}, padding=padding)
        result = runtime.process(frame)
        item = result["areas"].labels.index("green")
        assert set(result["inner"].items) <= {item}
        assert result.crops["inner"] == (1, 1)
        left, top, right, bottom = (float(side) for side in result["areas"][item].box)
        width, height = right - left, bottom - top
        part = frame.roi(
            left - padding * width, top - padding * height, width * (1 + 2 * padding), height * (1 + 2 * padding)
        )
        same(result["inner"], alone(part))


@pytest.mark.parametrize("batch", [1, 2, 3, 4])
def test_more_crops_than_a_batch_run_as_several_batches(areas, branches, batch):
    spec, frame = inner_spec(branches, batch=batch), stripes()
    with Runtime() as runtime, Task(spec) as alone:
        runtime.add("areas", areas)
        runtime.add("inner", spec, after="areas")
        for _ in range(3):
            result = runtime.process(frame)
        assert result.crops["inner"] == (3, 3)
        # Of equal scores the earlier row first, so crops come in the order of the rows.
        parts = [frame.roi(x, y, right - x, bottom - y) for x, y, right, bottom in result["areas"].boxes_xyxy.tolist()]
        for first in range(0, 3, batch):
            expected = alone(parts[first : first + batch])
            chosen = (result["inner"].items >= first) & (result["inner"].items < first + batch)
            found = result["inner"][chosen]
            same(found, expected)
            np.testing.assert_array_equal(found.items - first, expected.items)
        assert runtime.stats().tasks["inner"].crops == 9


def test_several_decoders_on_one_inference_and_a_cascade_behind_one_of_them(branches, areas):
    spec = TaskSpec(
        branches,
        ImageSpec(size=(16, 16), std=60),
        {"mask": decoders.Segmentation(mode="binary", threshold=0.5, tensors=("heat",)),
         "marks": decoders.Keypoints(tensors=("points",), score=-1e9)},
    )  # fmt: skip
    with Runtime() as runtime, Task(spec) as alone:
        runtime.add("both", spec)
        runtime.add("inner", areas, after="both.mask")
        result = runtime.process(stripes())
        expected = alone(stripes())
        assert set(result["both"]) == {"mask", "marks"}
        same(result["both"]["mask"], expected["mask"])
        np.testing.assert_array_equal(result["both"]["marks"].points, expected["marks"].points)
        assert result.crops["inner"] == (len(expected["mask"]),) * 2
        assert runtime.stats().tasks["both"].runs == 1


def test_a_rate_is_kept_by_the_frames_timestamps(areas):
    with Runtime() as runtime:
        runtime.add("slow", areas, rate_hz=10)
        begin = time.monotonic_ns() - 2_000_000_000
        image = np.zeros((8, 8, 3), np.uint8)
        ran = [
            "slow" in runtime.process(Frame(image, "RGB", timestamp_ns=begin + index * 1_000_000_000 // 30))
            for index in range(30)
        ]
        assert sum(ran) in (10, 11)
        assert ran[0]
        assert not ran[1]
        assert "10 a second" in runtime.process(Frame(image, "RGB", timestamp_ns=begin + 1_000_000_000)).skipped.get(
            "slow", "10 a second"
        )


@pytest.mark.parametrize("latest", [False, True])
@pytest.mark.parametrize("lanes", [1, 2])
def test_no_more_frames_are_on_their_way_than_lanes_and_one(branches, lanes, latest, monkeypatch):
    spec = TaskSpec(branches, ImageSpec(size=(16, 16)))
    flying = []
    with Runtime(lanes=lanes, force=True) as runtime:
        for name in "abc":
            runtime.add(name, spec)
        dispatcher = runtime._dispatcher
        admit = dispatcher.try_admit

        def counted(*args, **options):
            flight = admit(*args, **options)
            if flight is not None:
                flying.append(dispatcher.native.in_flight)
            return flight

        monkeypatch.setattr(dispatcher, "try_admit", counted)
        source = (Frame(np.zeros((40, 40, 3), np.uint8), "RGB", meta=index) for index in range(60))
        seen = []
        for result in runtime.stream(source, latest=latest):
            seen.append(result.meta)
        assert seen == sorted(seen)
        assert len(flying) == len(seen)
        assert max(flying) <= lanes + 1
        if not latest:
            assert seen == list(range(60))


def test_the_file_of_a_running_task_may_change(branches, areas, tmp_path):
    path = tmp_path / "net.mnn"
    shutil.copy(branches, path)
    spec, frame = TaskSpec(path, ImageSpec(size=(16, 16), std=60), MASK, outputs=["heat"]), stripes()
    with Task(spec) as alone:
        expected = alone(frame)
    stop = threading.Event()
    with Runtime(lanes=2, force=True) as runtime:
        runtime.add("net", spec)
        runtime.add("areas", areas)
        changes = itertools.cycle([b"no network", b"", areas.model.read_bytes()])

        def swap():
            while not stop.is_set():
                path.write_bytes(next(changes))

        thread = threading.Thread(target=swap)
        thread.start()
        try:
            for _ in range(50):
                same(runtime.process(frame)["net"], expected)
        finally:
            stop.set()
            thread.join()
        path.write_bytes(areas.model.read_bytes())
        runtime.replace("net", TaskSpec(path, areas.image, areas.decoder))
        result = runtime.process(frame)
        same(result["net"], result["areas"])


# ---- crops that another task's class turns


@pytest.mark.parametrize("batch", [1, 3])
def test_a_crop_is_turned_where_another_task_says_so(areas, branches, batch):
    """What the network sees is the crop upside down, and what it finds lies where it is in the frame."""
    frame, raw = stripes(), TaskSpec(branches, ImageSpec(size=(16, 16), std=60), outputs=["heat"], batch=3)
    spec = inner_spec(branches, batch=batch)
    with Runtime() as runtime, Task(spec) as alone, Task(replace(raw, batch=1)) as alone_raw:
        runtime.add("areas", areas)
        runtime.add("kinds", areas, after="areas", padding=0.1)
        runtime.add("raw", raw, after="areas", max_crops=3, padding=0.1, turn_by="kinds", turn_if={"green", 2})
        runtime.add("found", spec, after="areas", max_crops=3, padding=0.1, turn_by="kinds", turn_if={"green", 2})
        runtime.add("as_it_is", raw, after="areas", max_crops=3, padding=0.1)
        assert runtime.tasks["found"]
        result = runtime.process(frame)
        order = np.argsort(-result["areas"].scores, kind="stable")
        turned = 0
        for slot, row in enumerate(order):
            left, top, right, bottom = (float(side) for side in result["areas"][int(row)].box)
            x, y = 0.1 * (right - left), 0.1 * (bottom - top)
            left, top, right, bottom = left - x, top - y, right + x, bottom + y
            corners = [(left, top), (right, top), (right, bottom), (left, bottom)]
            seen = result["kinds"]
            mine = np.flatnonzero(seen.items == row)
            upside_down = seen.labels[mine[np.argmax(seen.scores[mine])]] != "red"
            turned += upside_down
            part = frame.quad(corners[2:] + corners[:2] if upside_down else corners)
            np.testing.assert_allclose(result["raw"]["heat"][slot], alone_raw(part)["heat"][0], atol=1e-3)
            same_there = np.allclose(result["raw"]["heat"][slot], result["as_it_is"]["heat"][slot], atol=1e-3)
            assert same_there == (not upside_down)
            expected, found = alone(part), result["found"]
            mine = found.items == row
            np.testing.assert_allclose(found.boxes_xyxy[mine], expected.boxes_xyxy, atol=0.05)
        assert 0 < turned < len(order)


def test_a_turn_that_cannot_be_is_refused(areas, branches):
    spec = inner_spec(branches)
    with Runtime() as runtime:
        runtime.add("areas", areas)
        runtime.add("others", areas)
        runtime.add("kinds", areas, after="areas", max_crops=2, only={"green"})
        runtime.add("strange", areas, after="others")
        runtime.add("raw", TaskSpec(branches, ImageSpec(size=(16, 16)), outputs=["heat"]), after="areas")
        turn = {"after": "areas", "only": {"green"}, "max_crops": 2, "turn_by": "kinds", "turn_if": {"green"}}
        for options, text in (
            ({"turn_by": "kind"}, "turn_by: there is no task 'kind'; did you mean 'kinds'"),
            ({"turn_by": None}, "give both"),
            ({"turn_if": None}, "give both"),
            ({"turn_if": "green"}, "turn_if is 'green'; it must be a set"),
            ({"turn_if": {"gren"}}, "turn_if: task 'kinds' knows no label 'gren'; did you mean 'green'"),
            ({"turn_by": "kinds.map"}, "'kinds.map' is no result of a native decoder"),
            ({"turn_by": "raw"}, "task 'raw' has none"),
            ({"turn_by": "strange"}, "the same boxes"),
            ({"turn_by": "others"}, "the same boxes"),
            ({"only": None}, "leaves out boxes"),
            ({"only": {"red"}}, "leaves out boxes"),
            ({"max_crops": 3}, "max_crops of at least 3"),
            ({"after": None, "only": None, "max_crops": None}, "turn_by is about crops"),
        ):
            with pytest.raises(mnnlite.ArgumentError, match=text):
                runtime.add("inner", spec, **{**turn, **options})
        runtime.add("inner", spec, **turn)
        with pytest.raises(mnnlite.ArgumentError, match="needed by 'inner'"):
            runtime.remove("kinds")
