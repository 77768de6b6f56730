"""A traced run: what the engine did, operator by operator, and feeding operators from outside."""

from __future__ import annotations

import numpy as np
import pytest

import mnnlite
from helpers import models
from mnnlite.observe import trace_run


@pytest.mark.parametrize("name", models.RUNNABLE)
def test_traced_run__gives_the_outputs_of_a_plain_one(name):
    with mnnlite.Model(models.path(name), shapes=models.shapes(name)) as model:
        plain = model.run(models.inputs(name))
        traced = trace_run(model, models.inputs(name), values=True)
        assert plain.keys() == traced.outputs.keys()
        for key, value in plain.items():
            np.testing.assert_array_equal(traced.outputs[key], value)
        again = model.run()
        for key, value in plain.items():
            np.testing.assert_array_equal(again[key], value)


def test_traced_run__lists_operators_as_the_model_does():
    with mnnlite.Model(models.path("branches")) as model:
        traced = trace_run(model)
        assert [(op.name, op.type, op.mflops) for op in traced.operators] == model.operators()
        for before, after in zip(traced.operators, traced.operators[1:], strict=False):
            assert traced.start_ns <= before.start_ns <= before.stop_ns <= after.start_ns <= traced.stop_ns
        assert {op.backend for op in traced.operators} <= {"cpu", "cpu-ext"}


def test_values__are_those_of_the_named_outputs():
    with mnnlite.Model(models.path("branches")) as model:
        traced = trace_run(model, models.inputs("branches"), values=True)
        by_name = {op.name: op for op in traced.operators}
        for name in ("mask", "edges"):
            np.testing.assert_array_equal(by_name[name].outputs[0].values, traced.outputs[name])
        assert all(np.isfinite(out.values).all() for op in traced.operators for out in op.outputs)


def test_values__of_chosen_operators_alone():
    with mnnlite.Model(models.path("branches")) as model:
        traced = trace_run(model, models.inputs("branches"), values=[1, 3])
        assert [op.index for op in traced.operators if op.outputs[0].values is not None] == [1, 3]


def test_tensors__lead_from_operator_to_operator():
    with mnnlite.Model(models.path("branches")) as model:
        operators = {op.name: op for op in trace_run(model).operators}
        assert operators["trunk.raw"].outputs[0].id in {tensor.id for tensor in operators["edges"].inputs}


@pytest.mark.parametrize("precision", ["normal", "low"])
def test_replace__feeds_what_follows_and_nothing_else(precision):
    with mnnlite.Model(models.path("branches"), precision=precision) as model:
        first = trace_run(model, models.inputs("branches"), values=True)
        trunk = next(op for op in first.operators if op.name == "trunk.raw")
        mask1 = next(op for op in first.operators if op.name == "mask1.raw")
        value = first.operators[trunk.index].outputs[0].values
        # The same values again change nothing; others change what reads them.
        same = trace_run(model, values=True, replace={(trunk.index, 0): value})
        assert same.unfitting == 0
        np.testing.assert_array_equal(same.outputs["edges"], first.outputs["edges"])
        other = trace_run(model, values=True, replace={(trunk.index, 0): value * 0})
        np.testing.assert_array_equal(other.operators[trunk.index].outputs[0].values, value)
        assert np.ptp(other.operators[mask1.index].outputs[0].values[:, :, 1:-1, 1:-1], axis=(2, 3)).max() == 0
        assert not np.array_equal(other.outputs["edges"], first.outputs["edges"])


def test_replace__of_the_wrong_size_is_counted_not_written():
    with mnnlite.Model(models.path("branches")) as model:
        plain = trace_run(model, models.inputs("branches"))
        traced = trace_run(model, replace={(1, 0): np.zeros(3, np.float32), (10_000, 0): np.zeros(3, np.float32)})
        assert traced.unfitting == 1  # the other operator does not exist, so nothing ran that could refuse it
        np.testing.assert_array_equal(traced.outputs["edges"], plain.outputs["edges"])


def test_trace__refuses_what_does_not_fit():
    with mnnlite.Model(models.path("branches")) as model:
        with pytest.raises(mnnlite.ArgumentError, match="has shape"):
            trace_run(model, {"image": np.zeros((1, 3, 4, 4), np.float32)})
        with pytest.raises(mnnlite.TensorNotFoundError):
            trace_run(model, {"picture": np.zeros((1, 3, 32, 32), np.float32)})
        native = model
    with pytest.raises(mnnlite.ClosedError):
        trace_run(native)


def test_loading__tells_its_stages_and_passes_on_what_the_listener_raises():
    seen = []
    mnnlite.Model(models.path("tiny"), _on_stage=seen.append).close()
    assert seen == ["deserialize", "create_session", "release_model_buffer"]

    def refuse(stage):
        raise RuntimeError(stage)

    with pytest.raises(RuntimeError, match="deserialize"):
        mnnlite.Model(models.path("tiny"), _on_stage=refuse)
