"""The small networks of tests/data: their paths, an input for each, and what they compute for it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

FOLDER = Path(__file__).parent.parent / "data"
MANIFEST: dict[str, dict[str, Any]] = json.loads((FOLDER / "manifest.json").read_text())
# Networks that every engine must run, and compare with their expected outputs.
RUNNABLE = sorted(name for name, entry in MANIFEST.items() if "outputs" in entry)
# Expected outputs are ONNX Runtime's; MNN 3.0.0's softmax is 9e-5 off, half floats 2e-3 of a value of 1.
TOLERANCE = 5e-4
TOLERANCE_HALF = 1e-2


def path(name: str) -> Path:
    return FOLDER / f"{name}.mnn"


def pattern(shape: tuple[int, ...], dtype: str = "float32") -> NDArray[Any]:
    """Give the values that expected outputs belong to: all different within a row, small, of both signs if float."""
    steps = np.arange(int(np.prod(shape)), dtype=np.int64) * 37 % 251
    return (steps / 251 - 0.5 if dtype == "float32" else steps % 100).astype(dtype).reshape(shape)


def inputs(name: str) -> dict[str, NDArray[Any]]:
    return {key: pattern(tuple(shape), dtype) for key, (dtype, *shape) in MANIFEST[name]["inputs"].items()}


def shapes(name: str) -> dict[str, tuple[int, ...]]:
    """Shapes to set before a network with open axes can run; the ones its expected outputs belong to."""
    return {key: value.shape for key, value in inputs(name).items()} if name == "resizable" else {}


def outputs(name: str) -> dict[str, NDArray[Any]]:
    with np.load(FOLDER / f"{name}.npz") as file:
        return dict(file)


def assert_as_expected(name: str, got: dict[str, NDArray[Any]], tolerance: float = TOLERANCE) -> None:
    """Compare some or all outputs of network `name`, run on `inputs(name)`."""
    wanted = outputs(name)
    assert got, "no output at all"
    for key, value in got.items():
        assert value.shape == wanted[key].shape
        if wanted[key].dtype.kind == "f":
            np.testing.assert_allclose(value.astype(np.float32), wanted[key], rtol=tolerance, atol=tolerance)
        else:
            assert value.dtype == wanted[key].dtype
            # In half floats the largest of two nearly equal logits may be the other one.
            allowed = 0.0 if tolerance <= TOLERANCE else 0.02
            assert np.mean(value != wanted[key]) <= allowed
