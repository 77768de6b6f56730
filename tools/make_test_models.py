"""Write the small networks of the tests, what they compute, and a manifest: tests/data.

Needs onnx, onnxruntime and the *oldest* supported MNN, whose files every later engine reads:
pip install onnx onnxruntime MNN==3.0.0
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

TARGET = Path(__file__).parent.parent / "tests" / "data"
CONVERT = "import _tools, sys; _tools.mnnconvert(['mnnconvert'] + sys.argv[1:])"
Dims = list[int | str]


def pattern(shape: tuple[int, ...], dtype: str = "float32") -> NDArray[Any]:
    """Give the input that the expected outputs belong to; tests/helpers/models.py has the same lines."""
    steps = np.arange(int(np.prod(shape)), dtype=np.int64) * 37 % 251
    return (steps / 251 - 0.5 if dtype == "float32" else steps % 100).astype(dtype).reshape(shape)


class Net:
    """An ONNX graph that is written down a line a node, with seeded weights."""

    def __init__(self, name: str, seed: int) -> None:
        self.name = name
        self.rng = np.random.default_rng(seed)
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []
        self.inputs: list[onnx.ValueInfoProto] = []
        self.outputs: list[onnx.ValueInfoProto] = []

    def input(self, name: str, dims: Dims, kind: int = TensorProto.FLOAT) -> str:
        self.inputs.append(helper.make_tensor_value_info(name, kind, dims))
        return name

    def output(self, name: str, dims: Dims, kind: int = TensorProto.FLOAT) -> None:
        self.outputs.append(helper.make_tensor_value_info(name, kind, dims))

    def weight(self, name: str, *dims: int) -> str:
        scale = 1 / np.sqrt(max(1, np.prod(dims[1:])))
        values = (self.rng.standard_normal(dims) * scale).astype(np.float32)
        self.weights.append(numpy_helper.from_array(values, name))
        return name

    def op(self, kind: str, inputs: list[str], output: str, **attributes: Any) -> str:
        self.nodes.append(helper.make_node(kind, inputs, [output], name=output, **attributes))
        return output

    def conv(self, source: str, target: str, channels: tuple[int, int], *, stride: int = 1, relu: bool = True) -> str:
        weights = self.weight(f"{target}.w", channels[1], channels[0], 3, 3)
        bias = self.weight(f"{target}.b", channels[1])
        raw = f"{target}.raw" if relu else target
        self.op("Conv", [source, weights, bias], raw, kernel_shape=[3, 3], pads=[1] * 4, strides=[stride] * 2)
        return self.op("Relu", [raw], target) if relu else target

    def model(self) -> onnx.ModelProto:
        graph = helper.make_graph(self.nodes, self.name, self.inputs, self.outputs, self.weights)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)


def branches() -> Net:
    """One trunk, three branches: what path scheduling and a run of chosen outputs leave out."""
    net = Net("branches", 1)
    net.input("image", [1, 3, 32, 32])
    net.conv(net.conv("image", "trunk1", (3, 8), stride=2), "trunk", (8, 16))
    net.conv(net.conv("trunk", "mask1", (16, 8)), "mask", (8, 2), relu=False)
    net.conv("trunk", "edges", (16, 1), relu=False)
    net.op("GlobalAveragePool", [net.conv("trunk", "score1", (16, 16), stride=2)], "pooled")
    net.op("Flatten", ["pooled"], "flat", axis=1)
    net.op("Gemm", ["flat", net.weight("fc.w", 16, 10), net.weight("fc.b", 10)], "fc")
    net.op("Softmax", ["fc"], "score", axis=1)
    net.output("mask", [1, 2, 16, 16])
    net.output("edges", [1, 1, 16, 16])
    net.output("score", [1, 10])
    return net


def resizable() -> Net:
    """Batch, height and width are open."""
    net = Net("resizable", 2)
    net.input("image", ["n", 3, "h", "w"])
    net.conv(net.conv("image", "half", (3, 8), stride=2), "map", (8, 4), relu=False)
    net.output("map", ["n", 4, "h2", "w2"])
    return net


def classes() -> Net:
    """A class map of whole numbers beside the float tensor it comes from."""
    net = Net("classes", 3)
    net.input("image", [1, 3, 16, 16])
    net.conv("image", "logits", (3, 5), relu=False)
    net.op("ArgMax", ["logits"], "classes", axis=1, keepdims=0)
    net.output("logits", [1, 5, 16, 16])
    net.output("classes", [1, 16, 16], TensorProto.INT64)
    return net


def big() -> Net:
    """Feature maps of 8 MB each over 50 kB of weights."""
    net = Net("big", 4)
    net.input("image", [1, 3, 256, 256])
    net.conv(net.conv(net.conv("image", "wide1", (3, 32)), "wide2", (32, 32)), "thin", (32, 4), relu=False)
    net.op("GlobalMaxPool", ["thin"], "peak")  # a mean over so many would be nothing in half floats
    net.output("peak", [1, 4, 1, 1])
    return net


def tiny() -> Net:
    """Next to no work: what a call costs."""
    net = Net("tiny", 5)
    net.input("x", [1, 16])
    net.op("Neg", ["x"], "minus")
    net.output("minus", [1, 16])
    return net


def state() -> Net:
    """A recurrent step: the state goes out as it came in."""
    net = Net("state", 6)
    net.input("x", [1, 8])
    net.input("h", [1, 8])
    net.op("Add", ["x", "h"], "sum")
    net.op("Tanh", ["sum"], "h_out")
    net.op("Mul", ["h_out", net.weight("gain", 1, 8)], "y")
    net.output("h_out", [1, 8])
    net.output("y", [1, 8])
    return net


def ranks() -> Net:
    """Tensors of every rank from 1 to 6."""
    net = Net("ranks", 7)
    for rank in range(1, 7):
        dims: Dims = list(range(2, 2 + rank))
        net.op("Neg", [net.input(f"x{rank}", dims)], f"y{rank}")
        net.output(f"y{rank}", dims)
    return net


def types() -> Net:
    """Inputs and outputs of every integer type."""
    net = Net("types", 8)
    for name, kind in (("u8", TensorProto.UINT8), ("i8", TensorProto.INT8), ("i32", TensorProto.INT32)):
        net.op("Cast", [net.input(name, [1, 4, 5], kind)], f"{name}.float", to=TensorProto.FLOAT)
        net.op("Abs", [f"{name}.float"], f"{name}.abs")
        net.op("Cast", [f"{name}.abs"], f"{name}_out", to=kind)
        net.output(f"{name}_out", [1, 4, 5], kind)
    return net


def content() -> Net:
    """A shape that depends on the input's content, which the engine's sessions refuse."""
    net = Net("content", 9)
    net.input("x", [1, 16])
    net.op("NonZero", ["x"], "where")
    net.output("where", [2, "n"], TensorProto.INT64)
    return net


def layout() -> Net:
    """What nhwc and nc4hw4 compute, in ONNX's own order of axes."""
    net = Net("layout", 10)
    net.input("image", [1, 3, 12, 10])
    net.conv(net.conv("image", "first", (3, 6), stride=2), "map", (6, 5), relu=False)
    net.output("map", [1, 5, 6, 5])
    return net


def express(net: Net, target: Path, order: str) -> None:
    """Save `net` (a chain of convolutions) with input and output in another order of axes, as a TFLite or Caffe file has."""
    import MNN.expr as expr

    expr.lazy_eval(True)  # else the placeholder is saved as a constant
    weights = {tensor.name: numpy_helper.to_array(tensor) for tensor in net.weights}
    dims = [axis.dim_value for axis in net.inputs[0].type.tensor_type.shape.dim]
    if order == "NHWC":
        dims = [dims[0], dims[2], dims[3], dims[1]]
    value = expr.placeholder(dims, getattr(expr, order))
    value.name = "image"
    value = expr.convert(value, expr.NC4HW4)
    for node in net.nodes:
        if node.op_type == "Relu":
            value = expr.relu(value)
            continue
        weight, bias = (weights[name] for name in node.input[1:])
        stride = list(helper.get_node_attr_value(node, "strides"))
        value = expr.conv2d(
            value,
            expr.const(weight.copy(), list(weight.shape), expr.NCHW),
            expr.const(bias.copy(), list(bias.shape), expr.NCHW),
            stride,
            [1, 1],
            [1, 1],
            1,
            expr.CAFFE,  # pad as said
        )
    value = expr.convert(value, getattr(expr, order))
    value.name = "map"
    expr.save([value], str(target))


def convert(model: onnx.ModelProto, target: Path) -> None:
    """Convert in a child process: the converter may crash, and may print an error and write nothing."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "net.onnx")
        onnx.save(model, source)
        arguments = ["-f", "ONNX", "--modelFile", str(source), "--MNNModel", str(target), "--bizCode", target.stem]
        child = subprocess.run([sys.executable, "-c", CONVERT, *arguments], capture_output=True, text=True, check=False)
    if not target.exists():
        raise SystemExit(f"{target.stem}: no file was written\n{child.stdout}{child.stderr}")


def unrunnable(source: Path, target: Path) -> None:
    """Write `source` with its last operator turned into one that no backend has: sessions are created and cannot run."""
    with tempfile.TemporaryDirectory() as folder:
        text = Path(folder, "net.json")
        run = [sys.executable, "-c", CONVERT]
        subprocess.run([*run, "-f", "MNN", "--modelFile", str(source), "--JsonFile", str(text)], check=True)
        net = json.loads(text.read_text())
        net["oplists"][-1]["type"] = "Extra"
        del net["oplists"][-1]["main"], net["oplists"][-1]["main_type"]
        text.write_text(json.dumps(net))
        subprocess.run([*run, "-f", "JSON", "--modelFile", str(text), "--MNNModel", str(target)], check=True)


def expected(model: onnx.ModelProto, *, nhwc: bool = False) -> tuple[dict[str, NDArray[Any]], dict[str, NDArray[Any]]]:
    """Inputs by `pattern` and what ONNX Runtime makes of them; open axes are 1 x 20 x 24."""
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    open_axes = {"n": 1, "h": 20, "w": 24}
    inputs = {}
    for each in session.get_inputs():
        shape = tuple(open_axes.get(axis, axis) for axis in each.shape)
        if nhwc:
            n, c, h, w = shape
            inputs[each.name] = np.ascontiguousarray(pattern((n, h, w, c)).transpose(0, 3, 1, 2))
        else:
            inputs[each.name] = pattern(shape, {"tensor(float)": "float32"}.get(each.type, each.type[7:-1]))
    names = [each.name for each in session.get_outputs()]
    outputs = dict(zip(names, session.run(names, inputs), strict=True))
    return inputs, {name: out.astype(np.int32) if out.dtype == np.int64 else out for name, out in outputs.items()}


def main() -> None:
    """Write every network, its expected outputs and the manifest."""
    TARGET.mkdir(exist_ok=True)
    manifest = {}
    makers: list[Callable[[], Net]] = [branches, resizable, classes, big, tiny, state, ranks, types, content, layout]
    for maker in makers:
        net = maker()
        model = net.model()
        onnx.checker.check_model(model)
        inputs, outputs = expected(model)
        files = {net.name: (inputs, outputs)}
        if net.name == "layout":
            as_nhwc = [
                {name: np.ascontiguousarray(value.transpose(0, 2, 3, 1)) for name, value in values.items()}
                for values in expected(model, nhwc=True)
            ]
            files = {"nc4hw4": (inputs, outputs), "nhwc": (as_nhwc[0], as_nhwc[1])}
        for name, (given, wanted) in files.items():
            target = TARGET / f"{name}.mnn"
            target.unlink(missing_ok=True)
            if net.name == "layout":
                express(net, target, name.upper())
            else:
                convert(model, target)
            entry: dict[str, Any] = {
                "what": (maker.__doc__ or "").strip(),
                "bytes": target.stat().st_size,
                "sha256": hashlib.sha256(target.read_bytes()).hexdigest(),
                "inputs": {key: [str(value.dtype), *value.shape] for key, value in given.items()},
            }
            if name != "content":
                np.savez_compressed(TARGET / f"{name}.npz", **wanted)
                entry["outputs"] = {key: [str(value.dtype), *value.shape] for key, value in wanted.items()}
            manifest[name] = entry
            print(f"{name}: {entry['bytes']} bytes")
    bad = TARGET / "unrunnable.mnn"
    unrunnable(TARGET / "tiny.mnn", bad)
    manifest["unrunnable"] = {
        "inputs": manifest["tiny"]["inputs"],
        "what": "tiny with an operator that no backend has.",
        "bytes": bad.stat().st_size,
        "sha256": hashlib.sha256(bad.read_bytes()).hexdigest(),
    }
    lines = ",\n".join(f" {json.dumps(name)}: {json.dumps(entry)}" for name, entry in manifest.items())
    (TARGET / "manifest.json").write_text(f"{{\n{lines}\n}}\n")


if __name__ == "__main__":
    main()
