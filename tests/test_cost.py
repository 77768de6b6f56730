"""cost.of: what a model will need, found in a child process."""

from __future__ import annotations

import dataclasses
import shutil
import sys

import pytest

import mnnlite
from helpers import models as helper_models
from helpers import networks
from mnnlite import _core, cost, memory_probe, observe


@pytest.fixture(scope="session")
def two(tmp_path_factory):
    return networks.convert(networks.two_branches(tmp_path_factory.mktemp("cost"), size=64, width=32))


def test_the_terms_are_those_of_the_loaded_model(two):
    found = cost.of(two)
    with mnnlite.Model(two) as model:
        terms = model.memory()
    assert (found.static, found.dynamic, found.inputs, found.outputs) == (
        terms["static"],
        terms["dynamic"],
        terms["inputs"],
        terms["outputs"],
    )
    assert found.model_buffer == two.stat().st_size
    assert found.loading >= found.model_buffer + found.weights
    assert found.running == found.loaded + found.outputs + found.dynamic
    assert found.peak == max(found.loading, found.running)
    assert found.to_dict()["peak"] == found.peak


def test_a_branch_and_a_shape_have_costs_of_their_own(two, tmp_path):
    assert cost.of(two, outputs=["points"]).static < cost.of(two).static
    opened = networks.convert(networks.two_branches(tmp_path, dynamic=True))
    small, large = (cost.of(opened, images=[_core.ImageHint("image", side, side, 3, 1)]) for side in (16, 128))
    assert small.dynamic < large.dynamic
    assert cost.of(opened, shapes={"image": (1, 3, 128, 128)}).dynamic == large.dynamic


def test_the_cache_goes_by_content(two, tmp_path, monkeypatch):
    first = cost.of(two)
    copy = tmp_path / "copy.mnn"
    shutil.copy(two, copy)
    monkeypatch.setattr(cost, "_measure", lambda *_: pytest.fail("measured again"))
    assert cost.of(copy) is first
    cost.forget()
    with pytest.raises(pytest.fail.Exception):
        cost.of(copy)


def test_errors_are_those_of_loading(tmp_path, models):
    with pytest.raises(mnnlite.ModelNotFoundError, match="cannot read"):
        cost.of(tmp_path / "absent.mnn")
    (tmp_path / "bad.mnn").write_bytes(b"\0" * 100)
    with pytest.raises(mnnlite.ModelFormatError):
        cost.of(tmp_path / "bad.mnn")
    with pytest.raises(mnnlite.UnsupportedModelError):
        cost.of(models / "content.mnn")
    with pytest.raises(mnnlite.TensorNotFoundError):
        cost.of(models / "tiny.mnn", outputs=["nothing"])
    with pytest.raises(mnnlite.ArgumentError):
        cost.of(models / "tiny.mnn", precision="half")


def test_a_child_that_dies_is_an_error(models, monkeypatch):
    monkeypatch.setattr(sys, "path", [])
    cost.forget()
    with pytest.raises(mnnlite.EngineError, match="no answer"):
        cost.of(models / "tiny.mnn")
    cost.forget()


@pytest.mark.parametrize("name", ["tiny", "branches", "nc4hw4", "big"])
def test_the_budget_and_the_prediction_have_one_set_of_figures(name):
    cost.forget()
    found, predicted = cost.of(helper_models.path(name)), observe.predict(helper_models.path(name))
    assert predicted.peak_mib == found.peak / 2**20
    assert predicted.running_mib == found.running / 2**20
    assert predicted.session_mib == found.loading / 2**20


def test_an_input_that_is_packed_costs_its_plain_copy_too():
    found = cost.of(helper_models.path("nc4hw4"))
    with mnnlite.Model(helper_models.path("nc4hw4")) as model:
        name = next(iter(model.inputs))
        assert found.inputs == model.memory()["inputs"]
        assert found.staging == model.input(name).nbytes


def test_a_model_that_keeps_its_buffer_holds_it(two):
    kept, released = cost.of(two, resizable=True), cost.of(two)
    assert kept.loaded - released.loaded == pytest.approx(released.model_buffer, abs=1 << 18)


@pytest.mark.not_emulated("under qemu all memory is the emulator's, its peaks too")
def test_kernels_that_measure_no_peaks_get_a_bound(two, monkeypatch):
    measured = cost.of(two)
    cost.forget()
    whole = memory_probe.measure

    def without_peaks(*args, **kwargs):
        found = whole(*args, **kwargs)
        readings = tuple(dataclasses.replace(each, peak=None) for each in found.readings)
        return dataclasses.replace(found, readings=readings)

    monkeypatch.setattr(memory_probe, "measure", without_peaks)
    assert cost.of(two).loading >= measured.loading
    cost.forget()
