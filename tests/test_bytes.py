"""Outputs of whole numbers in a byte, as quantised networks have them: values above 127 are what they are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper, save

import mnnlite
from helpers import networks


def rounded(folder: Path, shape: tuple[int, ...], convolved: bool) -> Path:
    """`x` as it is, through a convolution or not, as bytes `y`."""
    weights = []
    if convolved:
        same = np.eye(shape[1], dtype=np.float32)[..., None, None]
        weights.append(numpy_helper.from_array(same, "w"))
    first = helper.make_node("Conv", ["x", "w"], ["c"]) if convolved else helper.make_node("Abs", ["x"], ["c"])
    infos = [
        helper.make_tensor_value_info(name, kind, shape)
        for name, kind in zip("xy", (1, TensorProto.UINT8), strict=True)
    ]
    nodes = [first, helper.make_node("Cast", ["c"], ["y"], to=TensorProto.UINT8)]
    graph = helper.make_graph(nodes, "rounded", infos[:1], infos[1:], weights)
    path = folder / "rounded.onnx"
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)
    return networks.convert(path)


@pytest.mark.parametrize(
    ("shape", "convolved"), [((1, 200), False), ((2, 5, 3), False), ((1, 3, 6, 7), False), ((1, 5, 6, 7), True)]
)
def test_uint8_output__is_uint8(tmp_path: Path, shape: tuple[int, ...], convolved: bool) -> None:
    values = np.linspace(0, 255, int(np.prod(shape))).round().astype(np.float32).reshape(shape)
    with mnnlite.Model(rounded(tmp_path, shape, convolved)) as model:
        assert model.outputs["y"].dtype == "uint8"
        for borrow in (False, True):
            found = model.run({"x": values}, borrow=borrow)["y"]
            assert found.dtype == np.uint8
            np.testing.assert_array_equal(found, values.astype(np.uint8))


def test_classification_of_bytes__takes_the_largest() -> None:
    scores = np.array([[0, 127, 34, 200, 128]], np.uint8)
    found = mnnlite.decoders.Classification(top_k=2).decode({"y": scores}, (8, 8))
    assert found.rows["class_id"].tolist() == [3, 4]
