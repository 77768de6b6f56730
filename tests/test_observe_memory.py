"""Memory measured, predicted and accounted for."""

from __future__ import annotations

import json

import numpy as np
import pytest

import mnnlite
from helpers import models, networks
from helpers.child import run_python
from helpers.cli import mnnlite as command
from mnnlite import observe
from mnnlite.observe.life import STAGES


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
    found = observe.ledger(models, before)
    first, second = found.accounts
    assert (first.model, second.model) == ("heavy", "big")
    assert first.model_buffer == second.model_buffer == 0
    assert first.weights > 8 << 20 > second.weights
    # One buffer as large as the larger need, shared out without a rest but rounding.
    largest = max(first.feature_maps, second.feature_maps)
    owner = "heavy" if first.feature_maps > second.feature_maps else "big"
    assert first.feature_maps_owner == second.feature_maps_owner == owner
    assert abs(first.feature_maps_share + second.feature_maps_share - largest) <= 1
    assert found.explained >= 0.95, found
    assert abs(found.unexplained) < 0.05 * found.growth + (1 << 20), found
    assert sum(found.categories.values()) == found.growth - found.unexplained
    kept = mnnlite.Model(big, resizable=True)
    assert observe.ledger(kept, before).accounts[0].model_buffer > 0
"""


def test_ledger__explains_the_growth_of_the_process(heavy):
    run_python(LEDGER, str(heavy), str(models.path("big")))


def test_ledger__refuses_what_is_no_model_and_what_is_closed():
    before = observe.process()
    with pytest.raises(mnnlite.ArgumentError, match=r"models\['a'\]"):
        observe.ledger({"a": 3}, before)
    model = mnnlite.Model(models.path("tiny"))
    model.close()
    with pytest.raises(mnnlite.ClosedError):
        observe.ledger(model, before)


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
    pytest.importorskip("matplotlib")
    picture = tmp_path / f"curve{suffix}"
    assert command("memory", models.path("branches"), "--plot", picture).code == 0
    head = {".png": b"\x89PNG", ".svg": b"<?xml"}[suffix]
    assert picture.read_bytes().startswith(head)
    assert [each.name for each in tmp_path.iterdir()] == [picture.name]


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["nothing.mnn"], "nothing.mnn"),
        (["pipeline.toml"], "not yet"),
        ([models.path("tiny"), "--plot", "curve.bmp"], "wanted .png"),
        ([models.path("tiny"), "--plot", "no/such/folder/curve.png"], "cannot write"),
        ([models.path("tiny"), "--shape", "x"], "--shape"),
        ([models.path("tiny"), "--threads", "0"], "threads"),
    ],
)
def test_command__bad_input_is_one_line_and_2(args, said, tmp_path):
    if "--plot" in args:
        pytest.importorskip("matplotlib")
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
