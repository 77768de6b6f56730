"""What a session became, without running it."""

from __future__ import annotations

import json

import numpy as np
import pytest
from onnx import helper, numpy_helper

import mnnlite
from helpers import models, networks
from helpers.cli import mnnlite as command
from mnnlite import observe


@pytest.mark.parametrize("name", models.RUNNABLE)
def test_plan__lists_the_operators_that_a_run_executes(name):
    with mnnlite.Model(models.path(name), shapes=models.shapes(name)) as model:
        planned = observe.plan(model)
        traced = observe.trace_run(model, models.inputs(name))
    assert [(op.name, op.type, op.backend) for op in planned.operators] == [
        (op.name, op.type, op.backend) for op in traced.operators
    ]
    for mine, ran in zip(planned.operators, traced.operators, strict=True):
        assert [shape for shape, _ in mine.outputs] == [out.shape for out in ran.outputs]


def test_plan__runs_nothing():
    with mnnlite.Model(models.path("branches")) as model:
        before = model.run(models.inputs("branches"), borrow=True)
        kept = {name: value.copy() for name, value in before.items()}
        observe.plan(model)
        for name, value in before.items():
            np.testing.assert_array_equal(value, kept[name])


def test_plan__branches_are_what_a_run_of_one_output_needs():
    with mnnlite.Model(models.path("branches")) as model:
        planned = observe.plan(model)
        by_name = {op.name: op for op in planned.operators}
        assert set(by_name["trunk.raw"].needed_by) == set(model.outputs)
        assert by_name["mask"].needed_by == ("mask",)
        assert by_name["edges"].needed_by == ("edges",)
        for name, (count, mflops) in planned.branches.items():
            assert 0 < count < len(planned.operators)
            assert mflops == pytest.approx(sum(op.mflops for op in planned.operators if name in op.needed_by))


def test_plan__feature_maps_alive_fit_the_engines_buffer():
    with mnnlite.Model(models.path("big")) as model:
        planned = observe.plan(model)
    most = max(op.alive for op in planned.operators)
    assert all(op.alive >= op.writes for op in planned.operators)
    # The engine reads inputs and writes outputs in memory of their own, and pads channels: near, not equal.
    room = planned.memory["inputs"] + planned.memory["outputs"]
    assert planned.memory["dynamic"] / 2 <= most <= planned.memory["dynamic"] + room


def test_plan__of_a_closed_model_is_refused():
    model = mnnlite.Model(models.path("tiny"))
    model.close()
    with pytest.raises(mnnlite.ClosedError):
        observe.plan(model)


def test_command__shows_the_plan():
    (found,) = command("inspect", "--plan", models.path("branches"), "--json").lines
    first = found["plan"]["operators"][0]
    assert {"name", "type", "backend", "mflops", "writes", "alive", "needed_by"} <= first.keys()
    assert set(found["plan"]["branches"]) == {"mask", "edges", "score"}
    json.dumps(found, allow_nan=False)
    shown = command("inspect", "--plan", models.path("branches")).out
    assert "trunk.raw" in shown
    assert "for" in shown.splitlines()[1].split()
    assert "mask" in shown
    one = command("inspect", "--plan", models.path("branches"), "--output", "mask").out
    assert "edges" not in one


def test_peaks__are_what_the_plan_says_is_alive():
    with mnnlite.Model(models.path("branches")) as model:
        planned, found = observe.plan(model), observe.peaks(model)
        dynamic = model.memory()["dynamic"]
    assert [(each.name, each.type, each.bytes) for each in found.operators] == [
        (op.name, op.type, op.alive) for op in planned.operators
    ]
    assert found.buffer == dynamic
    assert found.peak.bytes == max(op.alive for op in planned.operators)
    assert found.largest(2)[0] is found.peak


def test_peaks__tensors_are_what_is_written_and_still_read(tmp_path):
    """x -> a -> b -> c, and a is added at the end: it is alive at every operator between."""
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["a"], name="a", pads=[1, 1, 1, 1]),
        helper.make_node("Conv", ["a", "w"], ["b"], name="b", pads=[1, 1, 1, 1]),
        helper.make_node("Conv", ["b", "w"], ["c"], name="c", pads=[1, 1, 1, 1]),
        helper.make_node("Add", ["a", "c"], ["y"], name="y"),
    ]
    weights = [numpy_helper.from_array(np.full((4, 4, 3, 3), 0.1, np.float32), "w")]
    shape = (1, 4, 16, 16)
    source = networks.save(tmp_path, "skip", nodes, weights, {"x": shape}, {"y": shape})
    with mnnlite.Model(networks.convert(source)) as model:
        found = {each.name: each for each in observe.peaks(model).operators}
    size = 4 * 4 * 16 * 16
    assert {each.writer for each in found["b"].tensors} == {"a", "b"}
    assert {each.writer for each in found["c"].tensors} == {"a", "b", "c"}
    assert all(each.bytes == size and each.dtype == "float32" for each in found["c"].tensors)
    kept = next(each for each in found["c"].tensors if each.writer == "a")
    assert (kept.shape, kept.reader) == (shape, "y")
    assert found["c"].bytes == 3 * size


def test_peaks_command__table_json_and_picture(tmp_path):
    model, picture = models.path("branches"), tmp_path / "peaks.png"
    shown = command("peaks", model, "--top", "2", "--plot", picture)
    assert shown.code == 0
    assert "of feature maps at the peak" in shown.out.splitlines()[0]
    assert shown.out.count("100%") >= 1
    assert picture.read_bytes().startswith(b"\x89PNG")
    told = json.loads(command("peaks", model, "--json").out)
    assert max(each["bytes"] for each in told["operators"]) > 0
    assert told["buffer"] > 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [(["--top", "0"], "wanted at least 1"), (["--plot", "peaks.doc"], "wanted .png, .svg, .pdf")],
)
def test_peaks_command__bad_input(arguments, said):
    shown = command("peaks", models.path("branches"), *arguments)
    assert said in shown.error()
