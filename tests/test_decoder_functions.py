"""Decoders in Python: alone, in a task, in a runtime and named in a pipeline file."""

from __future__ import annotations

import json
import pickle
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest

import mnnlite
from helpers.pictures import noisy_frame
from mnnlite import Frame, ImageSpec, Runtime, Task, TaskSpec, decoders, pipeline, results
from mnnlite.cli.report import describe
from mnnlite.errors import ArgumentError, DecoderError, PipelineError

SPEC = ImageSpec(size=(32, 32), fit="letterbox", std=(255, 255, 255))
MASK = decoders.Segmentation(mode="binary", threshold=0.5)

MODULE = """
import numpy as np
from mnnlite import results

def brightest(outputs, items, *, margin=0.0):
    "The pixel of `heat` that is largest, as a box in the frame; one for each slot."
    boxes, slots = [], []
    for slot, item in enumerate(items):
        heat = outputs["heat"][slot, 0]
        row, column = np.unravel_index(heat.argmax(), heat.shape)
        corners = np.array([[column - margin, column + 1 + margin], [row - margin, row + 1 + margin], [1, 1]])
        x, y, _ = np.reshape(item.to_frame, (3, 3)) @ corners
        boxes.append([x[0], y[0], x[1], y[1]])
        slots.append(item.item)
    return results.Detections.from_arrays(np.reshape(boxes, (-1, 4)), np.ones(len(boxes)), items=slots)

def wrong(outputs, items):
    raise KeyError("no such output")

class Tools:
    @staticmethod
    def count(outputs, items):
        return {"slots": len(items), "mean": np.float32(1.5), "none": None, "all": [float("nan"), outputs["heat"]]}

number = 3
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "roadside_functions.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "roadside_functions", raising=False)
    import roadside_functions

    return roadside_functions


def expected(heat: np.ndarray, frame: Frame) -> list[float]:
    placed = decoders.batch_item(SPEC, (frame.width, frame.height))
    row, column = np.unravel_index(heat[0, 0].argmax(), heat[0, 0].shape)
    x, y, _ = np.reshape(placed.to_frame, (3, 3)) @ np.array([[column, column + 1], [row, row + 1], [1, 1]])
    return [x[0], y[0], x[1], y[1]]


def test_alone(module) -> None:
    heat = np.zeros((1, 1, 48, 64), np.float32)
    heat[0, 0, 5, 7] = 3
    spec = decoders.as_decoder(module.brightest)
    assert isinstance(spec, decoders.Function)
    assert spec.decode({"heat": heat}, (64, 48)).boxes_xyxy.tolist() == [[7, 5, 8, 6]]
    wide = decoders.Function(module.brightest, {"margin": 1}, classes=("spot",))
    found = wide.decode({"heat": heat}, (64, 48))
    assert found.boxes_xyxy.tolist() == [[6, 4, 9, 7]]
    assert (found.labels, found.frame_size) == (["spot"], (64, 48))
    with pytest.raises(ArgumentError, match="got a int"):
        decoders.as_decoder(3)
    with pytest.raises(ArgumentError, match="makes its own results"):
        spec.decode({"heat": heat}, (64, 48), out=found)


def test_a_function_that_raises_is_a_decoder_error(module) -> None:
    with pytest.raises(DecoderError, match="roadside_functions:wrong: KeyError: 'no such output'") as caught:
        decoders.Function(module.wrong).decode({"heat": np.zeros((1, 1, 2, 2), np.float32)}, (2, 2))
    assert isinstance(caught.value.__cause__, KeyError)


def test_in_a_task_alone_and_beside_a_native_decoder(module, two: Path) -> None:
    spot = decoders.Function(module.brightest, tensors="heat")
    with (
        Task(two, image=SPEC) as raw,
        Task(two, image=SPEC, decoder=spot) as single,
        Task(
            two, image=SPEC, decoder={"spot": spot, "heat": MASK, "points": lambda outputs, items: outputs}
        ) as several,
    ):
        for seed in range(3):
            frame = noisy_frame(seed)
            outputs = raw(frame)
            found, both = single(frame), several(frame)
            assert list(both) == ["spot", "heat", "points"]
            for spots in (found, both["spot"]):
                np.testing.assert_allclose(spots.boxes_xyxy, [expected(outputs["heat"], frame)], rtol=1e-5)
                assert (spots.meta, spots.frame_size) == (seed, (75, 43))
            assert both["heat"].to_json() == MASK.decode({"y": outputs["heat"]}, (75, 43), SPEC).to_json()
            assert list(both["points"]) == ["points"]  # only what it takes
            np.testing.assert_array_equal(both["points"]["points"], outputs["points"])


def test_a_batch_and_one_that_is_not_full(module, open_shape: Path) -> None:
    spec = TaskSpec(open_shape, SPEC, decoders.Function(module.brightest), batch=3)
    frames = [noisy_frame(0), noisy_frame(1, 50, 90)]
    with Task(spec) as task, Task(open_shape, image=SPEC) as raw:
        found = task(frames)
        assert found.items.tolist() == [0, 1]
        for row, frame in enumerate(frames):
            np.testing.assert_allclose(found.boxes_xyxy[row], expected(raw(frame)["heat"], frame), rtol=1e-5)


def test_outputs_are_the_functions_own_unless_borrowed(two: Path) -> None:
    kept = []
    with Task(two, image=SPEC, decoder=lambda outputs, items: kept.append(outputs["heat"])) as task:
        task(noisy_frame(0))
        before = kept[0].copy()
        task(noisy_frame(1))
        np.testing.assert_array_equal(kept[0], before)
        assert not np.array_equal(kept[1], before)
        task(noisy_frame(2), borrow=True)
        assert not kept[2].flags.writeable


def test_its_time_is_part_of_decode(two: Path) -> None:
    def slow(outputs, items):
        time.sleep(0.02)

    with Task(two, image=SPEC, decoder=slow) as task:
        task(noisy_frame())
        assert task.timing["decode"] >= 20_000_000
        assert set(task.timing) == {"preprocess", "infer", "decode"}
    with Runtime() as runtime:
        runtime.add("slow", TaskSpec(two, SPEC, slow), deadline_ms=19.9)
        result = runtime.process(noisy_frame())
        assert result.timing["slow"]["decode"] >= 20_000_000
        assert result.late == {"slow"}


def test_an_error_in_a_task_leaves_it_usable(module, two: Path) -> None:
    fail = [True, False]

    def sometimes(outputs, items):
        if fail.pop(0):
            raise ValueError("not\nthis time")
        return len(items)

    with Task(two, image=SPEC, decoder=sometimes) as task:
        with pytest.raises(DecoderError, match="sometimes: ValueError: not this time"):
            task(noisy_frame())
        assert task(noisy_frame()) == 1


def test_in_a_runtime(module, two: Path) -> None:
    with Task(two, image=SPEC) as raw, Runtime(lanes=2) as runtime:
        runtime.add("spot", TaskSpec(two, SPEC, module.brightest))
        runtime.add("wrong", TaskSpec(two, SPEC, module.wrong))
        runtime.add("mask", TaskSpec(two, SPEC, {"heat": MASK, "tools": module.Tools.count}))
        for seed, result in enumerate(
            runtime.stream(iter([noisy_frame(seed) for seed in range(3)]))
        ):  # a fourth parks it
            frame = noisy_frame(seed)
            outputs = raw(frame)
            np.testing.assert_allclose(result["spot"].boxes_xyxy, [expected(outputs["heat"], frame)], rtol=1e-5)
            assert result["mask"]["heat"].to_json() == MASK.decode({"y": outputs["heat"]}, (75, 43), SPEC).to_json()
            assert isinstance(result.errors["wrong"], DecoderError)
            assert "wrong: KeyError" in str(result.errors["wrong"])
            line = json.loads(json.dumps(result.to_json(), allow_nan=False))
            assert line["results"]["mask"]["tools"]["slots"] == 1
            assert line["results"]["mask"]["tools"]["all"][0] is None
            assert "spot" in describe(result)


def test_on_crops_of_another_tasks_boxes(module, two: Path, open_shape: Path) -> None:
    seen: list[list[decoders.BatchItem]] = []

    def look(outputs, items):
        seen.append(items)
        assert outputs["heat"].shape[0] == (2 if items else 0)
        return module.brightest(outputs, items)

    with Runtime() as runtime:
        runtime.add("mask", TaskSpec(two, SPEC, {"heat": MASK}))
        runtime.add("crops", TaskSpec(open_shape, SPEC, look, batch=2), after="mask.heat")
        result = runtime.process(noisy_frame())
        boxes = result["mask"]["heat"]
        assert len(result["crops"]) == len(boxes) == len(seen[-1]) > 0
        assert result.crops["crops"] == (len(boxes), len(boxes))
        corner = np.reshape(seen[-1][0].to_frame, (3, 3)) @ [16, 16, 1]  # the middle of the input is that of the box
        x1, y1, x2, y2 = boxes.boxes_xyxy[0]
        np.testing.assert_allclose(corner[:2], [(x1 + x2) / 2, (y1 + y2) / 2], atol=1)
    empty = decoders.Segmentation(mode="binary", threshold=2)
    with Runtime() as runtime:
        runtime.add("mask", TaskSpec(two, SPEC, {"heat": empty}))
        runtime.add("crops", TaskSpec(open_shape, SPEC, look, batch=2), after="mask.heat")
        assert len(runtime.process(noisy_frame())["crops"]) == 0
        assert seen[-1] == []
        with pytest.raises(ArgumentError, match="keeps only one batch"):
            runtime.add("more", TaskSpec(open_shape, SPEC, look, batch=2), after="mask.heat", max_crops=3)


def test_nothing_can_be_cropped_from_what_python_makes(module, two: Path, open_shape: Path) -> None:
    with Runtime() as runtime:
        runtime.add("spot", TaskSpec(two, SPEC, {"a": module.brightest, "heat": MASK}))
        with pytest.raises(ArgumentError, match="decoded in Python"):
            runtime.add("crops", TaskSpec(open_shape, SPEC), after="spot.a")


def test_named_in_a_pipeline_file(module, two: Path, tmp_path: Path) -> None:
    file = tmp_path / "pipeline.toml"
    (tmp_path / "names.txt").write_text("spot\n")
    file.write_text(
        textwrap.dedent(f"""\
            [[task]]
            name = "spot"
            model = {str(two)!r}
            image = {{ size = [32, 32], std = [255, 255, 255] }}
            decoder = {{ family = "roadside_functions:brightest", margin = 2, classes = "names.txt", tensors = ["heat"] }}
            """)
    )
    loaded = pipeline.load(file)
    spec = loaded.tasks["spot"].decoder
    assert spec == decoders.Function(
        "roadside_functions:brightest", {"margin": 2}, classes=str(tmp_path / "names.txt"), tensors=("heat",)
    )
    assert pickle.loads(pickle.dumps(spec)) == spec
    text = pipeline.dumps(loaded, tmp_path)
    assert 'classes = "names.txt"' in text
    pipeline.save(loaded, tmp_path / "again.toml")
    assert pipeline.load(tmp_path / "again.toml").tasks["spot"].decoder == spec
    with loaded.open() as runtime:
        assert runtime.process(noisy_frame())["spot"].labels == ["spot"]
    with pytest.raises(ArgumentError, match="brightest: only a decoder that was named"):
        pipeline.dumps(pipeline.Pipeline({"a": TaskSpec(two, None, module.brightest)}))


@pytest.mark.parametrize(
    ("decoder", "line", "message"),
    [
        ('decoder = "no_such_module_at_all:decode"', 4, "No module named 'no_such_module_at_all'"),
        ('decoder = "roadside_functions:darkest"', 4, "has no attribute 'darkest'"),
        ('decoder = "roadside_functions:number"', 4, "wanted a function, got a int"),
        ('decoder = "roadside_functions:"', 4, "wanted 'package.module:attribute'"),
        ('[task.decoder]\nfamily = "roadside_functions:darkest"', 5, "has no attribute 'darkest'"),
    ],
)
def test_what_is_wrong_is_said_with_file_line_and_key(
    module, two: Path, tmp_path: Path, decoder: str, line: int, message: str
) -> None:
    file = tmp_path / "pipeline.toml"
    file.write_text(f'[[task]]\nname = "a"\nmodel = {str(two)!r}\n{decoder}\n')
    with pytest.raises(PipelineError, match=message) as caught:
        pipeline.load(file)
    assert (caught.value.file, caught.value.line) == (str(file), line)
    assert caught.value.key.startswith("task.a.decoder")


def test_a_module_that_breaks_when_imported(two: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "broken_functions.py").write_text("1 / 0\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ArgumentError, match="broken_functions:f': ZeroDivisionError"):
        mnnlite.decoders.from_dict("broken_functions:f")


def test_results_of_points_too(two: Path) -> None:
    def lines(outputs, items):
        return results.Polylines.from_points([[(0, 0), (3, 4)]], frame_size=items[0].frame_size)

    with Task(two, image=SPEC, decoder=decoders.Function(lines, classes=("edge",))) as task:
        found = task(noisy_frame())
        assert found.labels == ["edge"]
        assert found.frame_size == (75, 43)
