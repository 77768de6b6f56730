"""Memory measured, predicted and accounted for."""

from __future__ import annotations

import json
import os

import numpy as np
import pytest

import mnnlite
from helpers import models, networks
from helpers.child import run_python
from helpers.cli import mnnlite as command
from mnnlite import observe
from mnnlite.observe.memory_curve import STAGES


@pytest.fixture(scope="module")
def heavy(tmp_path_factory):
    """8 MiB of weights, so that every stage is larger than any noise."""
    from onnx import helper, numpy_helper

    rng = np.random.default_rng(0)
    weights = (rng.standard_normal((512, 512, 3, 3)) / 70).astype(np.float32)
    node = helper.make_node("Conv", ["x", "w"], ["y"], name="y", pads=[1, 1, 1, 1])
    folder = tmp_path_factory.mktemp("heavy")
    return networks.convert(
        networks.save(
            folder,
            "heavy",
            [node],
            [numpy_helper.from_array(weights, "w")],
            {"x": [1, 512, 48, 48]},
            {"y": [1, 512, 48, 48]},
        )
    )


@pytest.fixture(scope="module")
def life(heavy):
    return observe.curve(heavy)


def test_curve__has_every_stage_once(life):
    assert tuple(stage.name for stage in life.stages) == STAGES


@pytest.mark.not_emulated("under qemu all memory is the emulator's")
def test_curve__rises_falls_and_comes_back(life):
    held = {stage.name: stage.anonymous_mib for stage in life.stages}
    assert held["start"] == 0
    assert held["load"] > 8  # the file
    assert held["session"] > held["load"] + 8  # and the weights
    assert held["release model buffer"] < held["session"] - 8
    assert held["run"] > held["input"]
    assert abs(held["second run"] - held["run"]) < 0.3  # nothing was warmed up before the first
    assert held["close"] < 0.5


def test_curve__peak_is_the_largest_of_all_moments(life):
    assert life.peak_mib == max(stage.peak_mib for stage in life.stages)
    for stage in life.stages:
        assert stage.peak_mib >= stage.anonymous_mib
    assert life.start_anonymous_mib > 1
    assert life.start_rss_mib > life.start_anonymous_mib


def test_prediction__is_the_measured_peak(life, heavy):
    predicted = observe.predict(heavy)
    assert predicted.peak_mib == pytest.approx(life.peak_mib, rel=0.05, abs=0.5)
    assert predicted.peak_mib == max(predicted.reading_mib, predicted.session_mib, predicted.running_mib)
    assert predicted.field_sum_mib > predicted.model_buffer_mib + predicted.static_mib + predicted.dynamic_mib


@pytest.mark.not_emulated("under qemu all memory is the emulator's")
@pytest.mark.parametrize("name", ["big", "branches", "nc4hw4", "resizable"])
def test_prediction__holds_for_networks_that_are_mostly_feature_maps(name):
    shapes = {"image": (1, 3, 256, 256)} if name == "resizable" else None
    predicted = observe.predict(models.path(name), shapes=shapes)
    measured = observe.curve(models.path(name), shapes=shapes)
    assert predicted.peak_mib == pytest.approx(measured.peak_mib, rel=0.05, abs=0.5)


def test_prediction__of_a_branch_and_of_low_memory_are_less(heavy):
    whole = observe.predict(models.path("big"))
    assert observe.predict(models.path("big"), precision="low").peak_mib <= whole.peak_mib + 0.5


@pytest.mark.parametrize("ask", [observe.curve, observe.predict])
def test_bad_models__raise_what_loading_them_raises(ask, tmp_path):
    with pytest.raises(mnnlite.ModelNotFoundError, match=r"nothing\.mnn"):
        ask(tmp_path / "nothing.mnn")
    (tmp_path / "empty.mnn").touch()
    with pytest.raises(mnnlite.ModelFormatError):
        ask(tmp_path / "empty.mnn")
    with pytest.raises(mnnlite.UnsupportedModelError):
        ask(models.path("unrunnable"))
    with pytest.raises(mnnlite.ArgumentError, match="no fixed shape"):
        ask(models.path("resizable"))
    with pytest.raises(mnnlite.TensorNotFoundError):
        ask(models.path("tiny"), outputs=["nothing"])
    with pytest.raises(mnnlite.ArgumentError, match="options"):
        ask(models.path("tiny"), threads=object())


def test_process__counts_what_numpy_takes():
    run_python(
        """
        import numpy as np
        from mnnlite import observe
        before = observe.process()
        held = np.ones(4 << 20, np.float64)
        after = observe.process()
        assert abs(after.anonymous - before.anonymous - held.nbytes) < 1 << 19
        assert after.rss == after.anonymous + after.file_backed
        assert after.malloc_used < 0 or abs(after.malloc_used - before.malloc_used - held.nbytes) < 1 << 19
        """
    )


LEDGER = """
import sys
import mnnlite
from mnnlite import observe

heavy, big = sys.argv[1:]
before = observe.process()
with mnnlite.Arena() as arena:
    models = {"heavy": mnnlite.Model(heavy, arena=arena), "big": mnnlite.Model(big, arena=arena)}
    for model in models.values():
        model.run(borrow=True)
    found = observe.memory_report(models, before)
    first, second = found.models
    assert (first.model, second.model) == ("heavy", "big")
    assert first.model_buffer == second.model_buffer == 0
    assert first.weights > 8 << 20 > second.weights
    # One buffer as large as the larger need, shared out without a rest but rounding.
    largest = max(first.feature_maps, second.feature_maps)
    owner = "heavy" if first.feature_maps > second.feature_maps else "big"
    assert first.feature_maps_owner == second.feature_maps_owner == owner
    assert abs(first.feature_maps_charged + second.feature_maps_charged - largest) <= 1
    assert found.explained >= 0.95, found
    assert abs(found.unexplained) < 0.05 * found.growth + (1 << 20), found
    assert sum(found.categories.values()) == found.growth - found.unexplained
    kept = mnnlite.Model(big, resizable=True)
    assert observe.memory_report(kept, before).models[0].model_buffer > 0
"""


def test_memory_report__explains_the_growth_of_the_process(heavy):
    run_python(LEDGER, str(heavy), str(models.path("big")))


RUNTIME = """
import sys
import numpy as np
from mnnlite import Frame, ImageSpec, Runtime, TaskSpec

heavy, big = sys.argv[1:]
frame = Frame(np.zeros((60, 80, 3), np.uint8), "BGR")
with Runtime(lanes=2, force=True) as runtime:
    empty = runtime.memory().to_json()
    assert not empty["tasks"] and not any(empty["categories"].values()) or empty["growth"] < 1 << 21
    for name in ("one", "two", "three"):
        runtime.add(name, TaskSpec(big, ImageSpec()))
    runtime.add("heavy", TaskSpec(heavy))
    for _ in range(2):
        assert not runtime.process(frame).errors
    found = runtime.memory().to_json()
tasks = found["tasks"]
assert set(tasks) == {"one", "two", "three", "heavy"}
assert tasks["heavy"]["weights"] > 8 << 20 > tasks["one"]["weights"]
assert found["shared_inputs"] > 0
for lane in (0, 1):
    mine = {name: task for name, task in tasks.items() if task["lane"] == lane}
    assert mine
    largest = max(task["feature_maps"] for task in mine.values())
    assert abs(sum(task["feature_maps_charged"] for task in mine.values()) - largest) <= len(mine)
    owner, = {task["feature_maps_owner"] for task in mine.values()}
    assert mine[owner]["feature_maps"] == largest
for task in tasks.values():
    assert task["total"] == sum(
        task[key] for key in ("model_buffer", "weights", "feature_maps_charged", "inputs", "outputs", "scratch")
    )
assert set(found["categories"]) == {"model buffer", "feature maps", "parameters", "heap and stack"}
assert found["growth"] - found["unexplained"] == sum(found["categories"].values())
assert found["explained"] >= 0.95, found
assert found["process"]["anonymous"] > found["growth"]
"""


def test_runtime_memory__is_a_memory_report(heavy):
    run_python(RUNTIME, str(heavy), str(models.path("big")))


def test_memory_report__of_a_task_has_its_scratch():
    before = observe.process()
    spec = mnnlite.TaskSpec(
        models.path("branches"), mnnlite.ImageSpec(size=(32, 32)), mnnlite.decoders.Classification(tensors=("score",))
    )
    with mnnlite.Task(spec) as task:
        task(mnnlite.Frame(np.zeros((40, 50, 3), np.uint8), "BGR"))
        (found,) = observe.memory_report({"a": task}, before).models
    assert found.scratch > 0
    assert found.total > found.scratch


PIPELINE = """
[runtime]
lanes = {lanes}
[[task]]
name = "heavy"
model = "{heavy}"
[[task]]
name = "big"
model = "{big}"
image = {{ size = [256, 256] }}
[[task]]
name = "big too"
model = "{big}"
every = 2
image = {{ size = [256, 256] }}
"""


@pytest.mark.slow  # child processes, one after the other
@pytest.mark.parametrize("lanes", [1, 2])
def test_pipeline__prediction_is_the_measured_peak(heavy, lanes, tmp_path):
    if len(os.sched_getaffinity(0)) < lanes:
        pytest.skip(f"{lanes} lanes need as many cores")
    path = tmp_path / "p.toml"
    path.write_text(PIPELINE.format(lanes=lanes, heavy=heavy, big=models.path("big")))
    predicted = observe.predict(path)
    measured = observe.curve(path)
    assert [stage.name for stage in measured.stages] == [
        "start",
        "load heavy",
        "load big",
        "load big too",
        "run",
        "second run",
        "close",
    ]
    assert predicted.peak_mib == max(predicted.loading_mib, predicted.running_mib)
    assert predicted.peak_mib == pytest.approx(measured.peak_mib, rel=0.10, abs=1.0)
    assert predicted.peak_mib >= 0.97 * measured.peak_mib
    assert predicted.field_sum_mib > predicted.running_mib
    assert set(predicted.tasks) == {"heavy", "big", "big too"}
    assert len(set(predicted.lanes.values())) == lanes
    # The same for a Pipeline that was never a file.
    assert observe.predict(mnnlite.pipeline.load(path)) == predicted
    (found,) = command("memory", path, "--json").lines
    assert found["predicted_peak_mib"] == pytest.approx(predicted.peak_mib, rel=0.02)
    assert found["stages"][0]["name"] == "start"
    shown = command("memory", path).out
    assert "load big too" in shown
    assert "loading" in shown


def test_pipeline__what_belongs_together_is_thought_to_be_in_one_lane():
    spec = mnnlite.pipeline.Pipeline(
        {
            "a": mnnlite.TaskSpec(models.path("branches"), mnnlite.ImageSpec(size=(32, 32))),
            "b": mnnlite.TaskSpec(models.path("branches"), feed={"image": "a.edges"}),
            "c": mnnlite.TaskSpec(models.path("branches"), mnnlite.ImageSpec(size=(32, 32))),
        },
        {"lanes": 2},
    )
    lanes = observe.predict(spec).lanes
    assert lanes["a"] == lanes["b"] != lanes["c"]


def test_options__that_are_not_for_it_are_refused(heavy, tmp_path):
    with pytest.raises(mnnlite.ArgumentError, match="frames: not for a model"):
        observe.curve(heavy, frames="a.png")
    with pytest.raises(mnnlite.ArgumentError, match="shapes: not for a pipeline"):
        observe.predict(tmp_path / "p.toml", shapes={"x": (1, 2)})
    with pytest.raises(mnnlite.PipelineError):
        observe.curve(tmp_path / "p.toml")


def test_memory_report__refuses_what_is_no_model_and_what_is_closed():
    before = observe.process()
    with pytest.raises(mnnlite.ArgumentError, match=r"models\['a'\]"):
        observe.memory_report({"a": 3}, before)
    model = mnnlite.Model(models.path("tiny"))
    model.close()
    with pytest.raises(mnnlite.ClosedError):
        observe.memory_report(model, before)


def test_command__gives_the_keys_that_others_rely_on(heavy, life):
    ran = command("memory", heavy, "--json")
    assert ran.code == 0, ran.err
    (found,) = ran.lines
    assert [stage["name"] for stage in found["stages"]] == list(STAGES)
    assert {"anonymous_mib", "rss_mib"} <= found["stages"][0].keys()
    assert found["peak_mib"] == pytest.approx(life.peak_mib, abs=0.5)
    assert found["predicted_peak_mib"] == pytest.approx(found["peak_mib"], abs=0.5)


def test_command__of_several_models(heavy):
    ran = command("memory", models.path("tiny"), models.path("branches"), "--json")
    assert [each["model"] for each in ran.lines[0]["models"]] == [
        str(models.path("tiny")),
        str(models.path("branches")),
    ]
    shown = command("memory", models.path("tiny")).out
    assert all(stage in shown for stage in STAGES)


@pytest.mark.parametrize("suffix", [".png", ".svg"])
def test_command__draws_the_curve(suffix, tmp_path):
    picture = tmp_path / f"curve{suffix}"
    assert command("memory", models.path("branches"), "--plot", picture).code == 0
    head = {".png": b"\x89PNG", ".svg": b"<?xml"}[suffix]
    assert picture.read_bytes().startswith(head)
    assert [each.name for each in tmp_path.iterdir()] == [picture.name]


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["nothing.mnn"], "nothing.mnn"),
        (["pipeline.toml"], "pipeline.toml"),
        ([models.path("tiny"), "--source", "no.png", "--plot", "curve.jpg"], "wanted .png"),
        ([models.path("tiny"), "--plot", "curve.bmp"], "wanted .png"),
        ([models.path("tiny"), "--plot", "no/such/folder/curve.png"], "cannot write"),
        ([models.path("tiny"), "--shape", "x"], "--shape"),
        ([models.path("tiny"), "--threads", "0"], "threads"),
    ],
)
def test_command__bad_input_is_one_line_and_2(args, said, tmp_path):
    assert said in command("memory", *args, cwd=tmp_path).error()
    assert not list(tmp_path.iterdir())


def test_pictures__without_matplotlib_name_the_extra():
    run_python(
        """
        import sys
        sys.modules["matplotlib"] = None
        import mnnlite
        from mnnlite import observe
        try:
            observe.plot_curves({}, "a.png")
        except mnnlite.MissingExtraError as error:
            assert "mnnlite[plot]" in str(error)
        else:
            raise AssertionError
        """
    )


def test_json__is_finite(heavy, life):
    json.dumps(life.to_dict(), allow_nan=False)
