"""Rewrites that lower the peak of feature maps compute the same numbers, and are made where they lower it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper

import mnnlite
from helpers.graphs import network, run
from mnnlite.conversion import rewrites
from mnnlite.conversion.liveness import held
from mnnlite.convert import convert

node = helper.make_node
RNG = np.random.default_rng(0)


def attention(rows=600, turned=False, scale=None):
    """Queries, keys and values of one picture; beside them a network that holds little."""
    nodes = [node("MatMul", ["q", "k"], ["scores"])]
    nodes += [node("Mul", ["scores", "scale"], ["scaled"])] if scale else []
    nodes += [node("Softmax", ["scaled" if scale else "scores"], ["weights"], axis=-1)]
    if turned:
        nodes += [node("Transpose", ["weights"], ["across"], perm=[0, 2, 1]), node("MatMul", ["v", "across"], ["y"])]
    else:
        nodes += [node("MatMul", ["weights", "v"], ["y"])]
    inputs = {"q": (1, rows, 4), "k": (1, 4, rows), "v": (1, 8, rows) if turned else (1, rows, 8)}
    return network(nodes, inputs, {"y": None}, {"scale": np.float32([scale])} if scale else None)


@pytest.mark.parametrize(("rows", "turned", "scale"), [(1200, False, None), (1201, True, None), (1999, False, 0.5)])
def test_slim__attention_goes_block_by_block(rows: int, turned: bool, scale: float | None) -> None:
    model = attention(rows, turned, scale)
    inputs = {
        each.name: RNG.standard_normal([axis.dim_value for axis in each.type.tensor_type.shape.dim]).astype(np.float32)
        for each in model.graph.input
    }
    (wanted,) = run(model, **inputs)
    (note,) = rewrites.slim(model, ["attention"])
    assert "blocks of rows" in note
    (found,) = run(model, **inputs)
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)
    before, after = held(rewrites.Graph(attention(rows, turned, scale))), held(rewrites.Graph(model))
    assert max(each.bytes for each in before) > 2 * 4 * rows * rows
    assert max(each.bytes for each in after) < 0.3 * max(each.bytes for each in before)


def test_slim__attention_that_does_not_hold_the_peak_stays() -> None:
    model = attention(40)
    model.graph.node.extend([node("Tile", ["y", "often"], ["z"])])
    model.graph.output[0].name = "z"
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.int64([1, 400, 1]), "often"))
    before = model.SerializeToString()
    assert rewrites.slim(model, ["attention"]) == [
        "attention scores stays whole: other operators hold the peak of feature maps"
    ]
    assert model.SerializeToString() == before


def test_slim__weights_that_are_read_elsewhere_stay() -> None:
    model = attention()
    model.graph.output.append(helper.make_tensor_value_info("weights", onnx.TensorProto.FLOAT, None))
    assert rewrites.slim(model, ["slopes", "attention"]) == [
        "nothing to make slimmer: no slopes nor attention that would lower the peak of feature maps"
    ]


def test_slim__slopes_have_all_axes() -> None:
    slopes = RNG.random((3, 1, 1)).astype(np.float32)
    model = network([node("PRelu", ["x", "s"], ["y"])], {"x": (2, 3, 4, 5)}, {"y": None}, {"s": slopes})
    x = RNG.standard_normal((2, 3, 4, 5)).astype(np.float32)
    (wanted,) = run(model, x=x)
    assert rewrites.slim(model, ["slopes"]) == ["1 PRelu: their slopes have as many axes as what they are of"]
    (found,) = run(model, x=x)
    np.testing.assert_array_equal(found, wanted)
    assert rewrites.Graph(model).constant(model.graph.node[0].input[1]).shape == (1, 3, 1, 1)


def test_slim__words(tmp_path: Path) -> None:
    onnx.save(attention(), tmp_path / "a.onnx")
    with pytest.raises(
        mnnlite.ArgumentError, match="slim is 'tails'; it must be True or some of 'slopes', 'attention'"
    ):
        convert(tmp_path / "a.onnx", tmp_path / "a.mnn", slim=["tails"])
    (tmp_path / "b.tflite").write_bytes(b"x" * 100)
    with pytest.raises(mnnlite.ArgumentError, match="only ONNX graphs are rewritten for that"):
        convert(tmp_path / "b.tflite", tmp_path / "b.mnn", slim=True)


@pytest.mark.slow  # child processes
def test_slim__networks_hold_less(tmp_path: Path) -> None:
    onnx.save(attention(1200), tmp_path / "a.onnx")
    plain, slim = (
        convert(tmp_path / "a.onnx", tmp_path / f"{slim}.mnn", slim=slim, compare=slim) for slim in (False, True)
    )
    assert slim.verdict.equal
    assert any("attention scores in 7 blocks" in note for note in slim.notes), slim.notes
    with mnnlite.Model(plain.path) as whole, mnnlite.Model(slim.path) as blocks:
        inputs = {name: RNG.random(each.shape).astype(np.float32) for name, each in whole.inputs.items()}
        np.testing.assert_array_equal(blocks.run(inputs)["y"], whole.run(inputs)["y"])
        assert blocks.memory()["dynamic"] < 0.3 * whole.memory()["dynamic"]
