"""Times of stages and operators, and the file for a trace viewer."""

from __future__ import annotations

import json

import numpy as np
import pytest

import mnnlite
from helpers import models
from helpers.cli import mnnlite as command
from mnnlite import observe


@pytest.fixture(scope="module")
def found():
    with mnnlite.Model(models.path("branches")) as model:
        return observe.profile(model, inputs=models.inputs("branches"), runs=5, traced=3)


def test_profile__has_loading_once_and_inference_often(found):
    runs = {stage.name: stage.runs for stage in found.stages}
    assert runs == {"deserialize": 1, "create_session": 1, "release_model_buffer": 1, "infer": 5}
    for stage in found.stages:
        assert 0 <= stage.p50_ms <= stage.p90_ms <= stage.p99_ms


def test_profile__operators_are_the_models_own(found):
    with mnnlite.Model(models.path("branches")) as model:
        assert [(op.name, op.type, op.mflops) for op in found.operators] == model.operators()
    assert sum(op.fraction for op in found.operators) == pytest.approx(1)


def test_profile__types_add_up(found):
    assert sum(each.count for each in found.types) == len(found.operators)
    assert sum(each.mflops for each in found.types) == pytest.approx(sum(op.mflops for op in found.operators))
    assert [each.ms for each in found.types] == sorted((each.ms for each in found.types), reverse=True)
    convolution = next(each for each in found.types if each.type == "Convolution")
    assert convolution.gflops == pytest.approx(convolution.mflops / convolution.ms)


def test_profile__of_a_task_has_its_stages():
    spec = mnnlite.ImageSpec(size=(32, 32))
    frames = [mnnlite.Frame(np.full((40, 30, 3), value, np.uint8), "BGR") for value in (10, 200)]
    with mnnlite.Task(models.path("branches"), image=spec) as task:
        found = observe.profile(task, frames, runs=3, traced=1)
        assert {"preprocess", "infer", "decode"} <= {stage.name for stage in found.stages}
        with pytest.raises(mnnlite.ArgumentError, match="needs a frame"):
            observe.profile(task)


def test_profile__refuses_no_runs():
    with (
        mnnlite.Model(models.path("tiny")) as model,
        pytest.raises(mnnlite.ArgumentError, match="runs is 0"),
    ):
        observe.profile(model, runs=0)


def test_trace_file__is_what_the_format_says(tmp_path):
    writer = observe.TraceWriter()
    with mnnlite.Model(models.path("branches")) as model:
        run = observe.trace_run(model)
        run.add_to(writer, "lane 0", "branches")
    writer.mark("lane 0", "dropped", run.stop_ns, {"frame": 3})
    loaded = json.loads(writer.save(tmp_path / "t.json").read_text())
    events = loaded["traceEvents"]
    spans = [event for event in events if event["ph"] == "X"]
    assert len(spans) == 1 + len(run.operators)
    assert [event["args"]["name"] for event in events if event["name"] == "thread_name"] == ["lane 0"]
    whole, *inside = spans
    for event in inside:  # microseconds, nested in the run
        assert whole["ts"] <= event["ts"]
        assert event["ts"] + event["dur"] <= whole["ts"] + whole["dur"] + 1e-3
        assert {"pid", "tid", "name", "cat", "args"} <= event.keys()
    (mark,) = (event for event in events if event["ph"] == "i")
    assert mark["args"] == {"frame": 3}


def test_trace_file__that_cannot_be_written_leaves_nothing(tmp_path):
    with pytest.raises(mnnlite.OutputError):
        observe.TraceWriter().save(tmp_path / "no" / "t.json")
    assert not list(tmp_path.iterdir())


def test_command__gives_the_keys_that_others_rely_on(tmp_path):
    ran = command("profile", models.path("branches"), "--runs", 3, "--json", "--trace", tmp_path / "t.json")
    assert ran.code == 0, ran.err
    (found,) = ran.lines
    assert {"name", "type", "backend", "ms", "mflops"} <= found["operators"][0].keys()
    assert [stage["name"] for stage in found["stages"]][-1] == "infer"
    assert json.loads((tmp_path / "t.json").read_text())["traceEvents"]


PIPELINE = """\
[[task]]
name = "one"
model = "net.mnn"
image = { size = [32, 32], std = [255, 255, 255] }
"""


def test_command__of_a_pipeline(tmp_path):
    from mnnlite import video

    (tmp_path / "p.toml").write_text(PIPELINE)
    (tmp_path / "net.mnn").write_bytes(models.path("branches").read_bytes())
    video.write_picture(tmp_path / "a.png", np.full((30, 40, 3), 100, np.uint8))
    ran = command("profile", "p.toml", "a.png", "--runs", 2, "--json", cwd=tmp_path)
    assert ran.code == 0, ran.err
    stages = [stage["name"] for stage in ran.lines[0]["tasks"]["one"]["stages"]]
    assert stages[-3:] == ["preprocess", "infer", "decode"]
    assert "needs a source" in command("profile", "p.toml", cwd=tmp_path).error()
    shown = command("profile", "p.toml", "a.png", "--runs", 1, "--operators", cwd=tmp_path)
    assert "trunk.raw" in shown.out


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["nothing.mnn"], "nothing.mnn"),
        (["nothing.toml"], "nothing.toml"),
        ([models.path("tiny"), "picture.jpg"], "for a pipeline"),
        ([models.path("tiny"), "--runs", "0"], "--runs"),
        ([models.path("tiny"), "--runs", "1", "--trace", "no/t.json"], "cannot write"),
    ],
)
def test_command__bad_input_is_one_line_and_2(args, said, tmp_path):
    assert said in command("profile", *args, cwd=tmp_path).error()
    assert not list(tmp_path.iterdir())
