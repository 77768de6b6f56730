"""Small networks made with onnx and converted by the installed MNN, in a child process, for tests that need a shape of
network which tests/data does not hold."""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

CONVERT = "import _tools, sys; _tools.mnnconvert(['mnnconvert'] + sys.argv[1:])"


# What was converted before, by the content of the source and the converter: many tests take the same network, and so do the
# other processes of a run and the next run.
CONVERTED = Path(__file__).parents[2] / ".pytest_cache" / "converted"


def convert(source: Path, *options: str) -> Path:
    target = source.with_suffix(".mnn")
    kind = "TFLITE" if source.suffix == ".tflite" else "ONNX"
    made_of = f"{kind} {importlib.metadata.version('MNN')} ".encode() + source.read_bytes()
    kept = CONVERTED / f"{hashlib.sha256(made_of).hexdigest()}.mnn"
    if not options and kept.exists():
        shutil.copyfile(kept, target)
        return target
    words = ["-f", kind, "--modelFile", source, "--MNNModel", target, "--bizCode", "test", *options]
    child = subprocess.run([sys.executable, "-c", CONVERT, *words], capture_output=True, text=True)
    assert target.exists(), child.stdout + child.stderr
    if not options and not Path(f"{target}.weight").exists():
        CONVERTED.mkdir(parents=True, exist_ok=True)
        part = kept.with_suffix(f".{os.getpid()}")
        shutil.copyfile(target, part)
        part.replace(kept)
    return target


def original(source: Path, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Give the outputs of the ONNX file itself, from ONNX Runtime."""
    import onnxruntime  # here, since most networks need no second engine in the process

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(source), options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, inputs), strict=True))


def convolution(
    name: str, source: str, target: str, inputs: int, outputs: int, rng: np.random.Generator, stride: int = 1
):
    weight = (rng.standard_normal((outputs, inputs, 3, 3)) / np.sqrt(9 * inputs)).astype(np.float32)
    return (
        helper.make_node(
            "Conv", [source, f"{name}_w"], [target], name=name, pads=[1, 1, 1, 1], strides=[stride, stride]
        ),
        numpy_helper.from_array(weight, f"{name}_w"),
    )


def save(folder: Path, name: str, nodes, weights, inputs: dict, outputs: dict, integers: tuple[str, ...] = ()) -> Path:
    """Write `name`.onnx; float32 tensors but for those in `integers`."""

    def infos(tensors: dict):
        return [
            helper.make_tensor_value_info(name, TensorProto.INT64 if name in integers else TensorProto.FLOAT, shape)
            for name, shape in tensors.items()
        ]

    graph = helper.make_graph(nodes, name, infos(inputs), infos(outputs), weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.checker.check_model(model)
    path = folder / f"{name}.onnx"
    onnx.save(model, path)
    return path


def two_branches(folder: Path, size: int = 32, width: int = 8, dynamic: bool = False) -> Path:
    """`image` (1, 3, size, size) -> trunk -> `heat` (1, 1, size, size) and `points` (1, 6, size / 2, size / 2)."""
    rng = np.random.default_rng(3)
    parts = [
        convolution("stem", "image", "s", 3, width, rng),
        (helper.make_node("Relu", ["s"], ["trunk"], name="trunk_relu"), None),
        convolution("left1", "trunk", "l1", width, width, rng),
        (helper.make_node("Relu", ["l1"], ["l2"], name="left_relu"), None),
        convolution("left2", "l2", "h", width, 1, rng),
        (helper.make_node("Sigmoid", ["h"], ["heat"], name="left_sigmoid"), None),
        convolution("right1", "trunk", "r1", width, width, rng, stride=2),
        (helper.make_node("Relu", ["r1"], ["r2"], name="right_relu"), None),
        convolution("right2", "r2", "points", width, 6, rng),
    ]
    side: int | str = "side" if dynamic else size
    half: int | str = "half" if dynamic else size // 2
    return save(
        folder,
        f"two_branches_{size}_{width}{'_open' if dynamic else ''}",
        [n for n, _ in parts],
        [w for _, w in parts if w is not None],
        {"image": [1, 3, side, side]},
        {"heat": [1, 1, side, side], "points": [1, 6, half, half]},
    )


def deep(folder: Path, layers: int = 24, size: int = 64, width: int = 24) -> Path:
    """`image` (1, 3, size, size) -> many operators that take equally long -> `heat` (1, 1, size, size)."""
    rng = np.random.default_rng(5)
    parts = [convolution("first", "image", "0", 3, width, rng)]
    for layer in range(layers):
        parts.append(convolution(f"c{layer}", str(layer), f"y{layer}", width, width, rng))
        parts.append((helper.make_node("Tanh", [f"y{layer}"], [str(layer + 1)], name=f"t{layer}"), None))
    parts.append(convolution("last", str(layers), "heat", width, 1, rng))
    weights = [weight for _, weight in parts if weight is not None]
    nodes = [node for node, _ in parts]
    shapes = {"image": [1, 3, size, size]}, {"heat": [1, 1, size, size]}
    return save(folder, f"deep_{layers}_{size}_{width}", nodes, weights, *shapes)


def poison(folder: Path, size: int = 128) -> Path:
    """With NaN in `image` every feature map is spoiled: NaN or, where MNN clamps it, the largest float."""
    rng = np.random.default_rng(4)
    parts = [
        convolution("a", "image", "1", 3, 24, rng),
        convolution("b", "1", "2", 24, 24, rng),
        convolution("c", "2", "points", 24, 6, rng),
    ]
    nodes, weights = zip(*parts, strict=True)
    return save(folder, "poison", nodes, weights, {"image": [1, 3, size, size]}, {"points": [1, 6, size, size]})


def counter(folder: Path) -> Path:
    """`memory` + `step` -> `sum`, all (1, 4): a state to carry."""
    node = helper.make_node("Add", ["memory", "step"], ["sum"], name="sum")
    return save(folder, "counter", [node], [], {"memory": [1, 4], "step": [1, 4]}, {"sum": [1, 4]})


def plates(folder: Path) -> Path:
    """`x` -> `y` = |x|, (2, 30, 15): outputs as written, for a decoder of plates."""
    node = helper.make_node("Abs", ["x"], ["y"], name="plates")
    return save(folder, "plates", [node], [], {"x": [2, 30, 15]}, {"y": [2, 30, 15]})


def class_map(folder: Path) -> Path:
    """`image` (1, 3, 8, 8) -> `classes` (1, 8, 8) integers: the strongest channel."""
    node = helper.make_node("ArgMax", ["image"], ["classes"], axis=1, keepdims=0, name="classes")
    return save(folder, "class_map", [node], [], {"image": [1, 3, 8, 8]}, {"classes": [1, 8, 8]}, integers=("classes",))


def inverse(folder: Path) -> Path:
    """`image` (1, 3, 8, 8) -> `scores` (1, 3): one over the mean of each channel; infinite for a black picture."""
    nodes = [
        helper.make_node("GlobalAveragePool", ["image"], ["mean"], name="mean"),
        helper.make_node("Reshape", ["mean", "shape"], ["flat"], name="flat"),
        helper.make_node("Div", ["one", "flat"], ["scores"], name="scores"),
    ]
    weights = [
        numpy_helper.from_array(np.array([1, 3], np.int64), "shape"),
        numpy_helper.from_array(np.ones((1, 3), np.float32), "one"),
    ]
    return save(folder, "inverse", nodes, weights, {"image": [1, 3, 8, 8]}, {"scores": [1, 3]})


def ranks(folder: Path) -> Path:
    """One output of each rank from 1 to 6, all -x."""
    nodes, weights, outputs = [], [], {}
    for rank in range(1, 7):
        shape = [2, 3, 4, 5, 6, 7][:rank]
        # Reshape a slice of x to each rank.
        count = int(np.prod(shape))
        weights += [
            numpy_helper.from_array(np.array([0], np.int64), f"start{rank}"),
            numpy_helper.from_array(np.array([count], np.int64), f"end{rank}"),
            numpy_helper.from_array(np.array(shape, np.int64), f"shape{rank}"),
        ]
        nodes += [
            helper.make_node("Slice", ["x", f"start{rank}", f"end{rank}"], [f"s{rank}"]),
            helper.make_node("Reshape", [f"s{rank}", f"shape{rank}"], [f"r{rank}"]),
            helper.make_node("Neg", [f"r{rank}"], [f"rank{rank}"]),
        ]
        outputs[f"rank{rank}"] = shape
    return save(folder, "ranks", nodes, weights, {"x": [5040]}, outputs)


def content_shapes(folder: Path) -> Path:
    """Shapes that depend on the input's content: how many elements are not zero."""
    node = helper.make_node("NonZero", ["x"], ["where"])
    return save(folder, "content_shapes", [node], [], {"x": [4, 4]}, {"where": [2, "n"]}, integers=("where",))


def outputs(path: Path, size: tuple[int, ...], shapes: dict[str, tuple[int, ...]], last: str = "") -> Path:
    """A network with one input of this size (-1 is open) and outputs of these shapes, that depend on it a little; `last` is
    the operator before them, such as ``"Softmax"`` or ``"Sigmoid"``."""
    rng = np.random.default_rng(3)
    nodes, constants = [helper.make_node("ReduceMean", ["input"], ["mean"], keepdims=0)], []
    for name, shape in shapes.items():
        constants.append(numpy_helper.from_array(rng.random(shape, np.float32), f"{name}_base"))
        nodes.append(helper.make_node("Mul", [f"{name}_base", "mean"], [f"{name}_raw" if last else name]))
        if last:
            nodes.append(helper.make_node(last, [f"{name}_raw"], [name]))
    dims = [f"open{axis}" if extent < 0 else extent for axis, extent in enumerate(size)]
    graph = helper.make_graph(
        nodes,
        "outputs",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, dims)],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in shapes.items()],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)])
    model.ir_version = 8
    onnx.save(model, path)
    return path
