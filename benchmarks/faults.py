"""Faults in ONNX networks, drawn by a seed: what `observe.compare` is measured on.

python benchmarks/faults.py draw --seed 7 --list benchmarks/faults.json MODEL.onnx ...   (five models, 20 faults)

A fault stands for what goes wrong between training and device: a weight that was damaged or transposed, an attribute
that was lost, padding on the wrong side. Four sit in operators that the converter fuses into a convolution, six change
the network's output by less than 1 %. The list is drawn with ONNX Runtime alone; benchmarks/fault_hits.py reads it.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import helper, numpy_helper

FAULTS, FUSED, SMALL = 20, 4, 6
SMALL_CHANGE = (2e-4, 0.01)  # of an output's norm
LEAST_CHANGE = 0.01  # of the others


def shape_of(value: onnx.ValueInfoProto, given: dict[str, tuple[int, ...]]) -> tuple[int, ...]:
    """Shape of an input; open axes are 1 unless the shape was given."""
    if value.name in given:
        return given[value.name]
    return tuple(axis.dim_value or 1 for axis in value.type.tensor_type.shape.dim)


def inputs_of(model: onnx.ModelProto, given: dict[str, tuple[int, ...]], seed: int = 1) -> dict[str, NDArray[Any]]:
    """Values for every input, in [0, 1)."""
    constants = {each.name for each in model.graph.initializer}
    rng = np.random.default_rng(seed)
    return {
        value.name: rng.random(shape_of(value, given), np.float32)
        for value in model.graph.input
        if value.name not in constants
    }


def run(model: onnx.ModelProto, inputs: dict[str, NDArray[Any]]) -> list[NDArray[Any]]:
    """Outputs of a model by ONNX Runtime, without its optimisations."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return list(session.run(None, inputs))


def change(found: list[NDArray[Any]], wanted: list[NDArray[Any]]) -> float:
    """Largest relative change of an output's norm; infinite if a shape changed."""
    if any(a.shape != b.shape for a, b in zip(found, wanted, strict=True)):
        return float("inf")
    return max(
        float(np.linalg.norm((a - b).ravel()) / max(np.linalg.norm(b.ravel()), 1e-12))
        for a, b in zip(found, wanted, strict=True)
    )


class Graph:
    """A copy of a model whose constants can be replaced one use at a time."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self.model = onnx.ModelProto()
        self.model.CopyFrom(model)
        self.nodes = {output: node for node in self.model.graph.node for output in node.output}
        self.users: dict[str, list[onnx.NodeProto]] = {}
        for node in self.model.graph.node:
            for name in node.input:
                self.users.setdefault(name, []).append(node)

    def constant(self, name: str) -> NDArray[Any] | None:
        """Value of an initializer or of a Constant node."""
        for tensor in self.model.graph.initializer:
            if tensor.name == name:
                return numpy_helper.to_array(tensor)
        node = self.nodes.get(name)
        if node is not None and node.op_type == "Constant":
            return numpy_helper.to_array(node.attribute[0].t)
        return None

    def replace(self, node: onnx.NodeProto, place: int, value: NDArray[Any]) -> None:
        """Give one input of one node another constant, and no other node."""
        name = f"{node.output[0]}.fault"
        self.model.graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        node.input[place] = name

    def carrier(self, node: onnx.NodeProto) -> onnx.NodeProto | None:
        """The convolution or product that the converter fuses this operator into, if it does."""
        source = self.nodes.get(node.input[0])
        while source is not None and source.op_type == "BatchNormalization":
            source = self.nodes.get(source.input[0]) if len(self.users[source.output[0]]) == 1 else None
        if source is None or source.op_type != "Conv":
            return None
        return source if len(self.users[source.output[0]]) == 1 else None


def attribute(node: onnx.NodeProto, name: str) -> Any:
    """Value of an attribute, None if it is not there."""
    return next((helper.get_attribute_value(each) for each in node.attribute if each.name == name), None)


def set_attribute(node: onnx.NodeProto, name: str, value: Any) -> None:
    """Set or replace an attribute."""
    kept = [each for each in node.attribute if each.name != name]
    del node.attribute[:]
    node.attribute.extend([*kept, helper.make_attribute(name, value)])


# Each kind: does it apply to this node, and do it. `strength` is the size of the fault where it has one.
def _weights(graph: Graph, node: onnx.NodeProto) -> NDArray[Any] | None:
    if node.op_type not in ("Conv", "ConvTranspose", "MatMul", "Gemm") or len(node.input) < 2:
        return None
    found = graph.constant(node.input[1])
    return found if found is not None and found.dtype == np.float32 and found.ndim >= 2 else None


def weight_scale(graph: Graph, node: onnx.NodeProto, draw: float, strength: float) -> bool:
    """One output channel's weights are too large."""
    weights = _weights(graph, node)
    if weights is None:
        return False
    changed = weights.copy()
    moved = changed if node.op_type == "Conv" else np.moveaxis(changed, 1, 0)
    moved[int(draw * len(moved))] *= 1 + strength
    graph.replace(node, 1, changed)
    return True


def weight_transpose(graph: Graph, node: onnx.NodeProto, draw: float, strength: float) -> bool:
    """Kernels have height and width swapped."""
    weights = _weights(graph, node)
    if weights is None or weights.ndim != 4 or weights.shape[2] != weights.shape[3] or weights.shape[2] < 2:
        return False
    graph.replace(node, 1, weights.transpose(0, 1, 3, 2))
    return True


def weight_channels(graph: Graph, node: onnx.NodeProto, draw: float, strength: float) -> bool:
    """Two input channels are swapped."""
    weights = _weights(graph, node)
    if weights is None or node.op_type != "Conv" or weights.shape[1] < 3:
        return False
    first = int(draw * (weights.shape[1] - 1))
    changed = weights.copy()
    changed[:, [first, first + 1]] = changed[:, [first + 1, first]]
    graph.replace(node, 1, changed)
    return True


def bias(graph: Graph, node: onnx.NodeProto, draw: float, strength: float) -> bool:
    """One channel's bias is off."""
    if node.op_type not in ("Conv", "Gemm") or len(node.input) < 3:
        return False
    values = graph.constant(node.input[2])
    if values is None or values.dtype != np.float32:
        return False
    changed = values.copy()
    changed[int(draw * len(changed))] += strength * max(float(np.abs(values).max()), 0.1)
    graph.replace(node, 2, changed)
    return True


def pads(graph: Graph, node: onnx.NodeProto, draw: float, strength: float) -> bool:
    """Padding lies on the other side."""
    found = attribute(node, "pads")
    if node.op_type not in ("Conv", "MaxPool", "AveragePool") or not found or len(found) != 4 or min(found) < 1:
        return False
    set_attribute(node, "pads", [found[0] - 1, found[1] - 1, found[2] + 1, found[3] + 1])
    return True


def concat_order(graph: Graph, node: onnx.NodeProto, draw: float, strength: float) -> bool:
    """Two inputs are in the wrong order."""
    if node.op_type != "Concat" or len(node.input) < 2 or any(graph.constant(name) is not None for name in node.input):
        return False
    node.input[0], node.input[1] = node.input[1], node.input[0]
    return True


def resize_mode(graph: Graph, node: onnx.NodeProto, draw: float, strength: float) -> bool:
    """Nearest for linear, or the reverse."""
    if node.op_type != "Resize":
        return False
    linear = attribute(node, "mode") == b"linear"
    set_attribute(node, "mode", "nearest" if linear else "linear")
    set_attribute(node, "coordinate_transformation_mode", "asymmetric" if linear else "half_pixel")
    return True


def pool_type(graph: Graph, node: onnx.NodeProto, draw: float, strength: float) -> bool:
    """Average for maximum."""
    if node.op_type != "MaxPool":
        return False
    node.op_type = "AveragePool"
    return True


def slope(graph: Graph, node: onnx.NodeProto, draw: float, strength: float) -> bool:
    """The slope of one channel's PReLU is too large."""
    values = graph.constant(node.input[1]) if node.op_type == "PRelu" else None
    if values is None:
        return False
    changed = values.copy()
    changed.reshape(-1)[int(draw * changed.size)] += strength
    graph.replace(node, 1, changed)
    return True


def hard_sigmoid(graph: Graph, node: onnx.NodeProto, draw: float, strength: float) -> bool:
    """The slope of a hard sigmoid is the other convention's: 1/6 for 0.2."""
    if node.op_type != "HardSigmoid":
        return False
    now = attribute(node, "alpha") or 0.2
    set_attribute(node, "alpha", 0.2 if abs(now - 1 / 6) < 1e-3 else 1 / 6)
    return True


def batch_norm(graph: Graph, node: onnx.NodeProto, draw: float, strength: float) -> bool:
    """One channel's mean is off. Fuses away."""
    if node.op_type != "BatchNormalization" or graph.carrier(node) is None:
        return False
    means, variances = graph.constant(node.input[3]), graph.constant(node.input[4])
    if means is None or variances is None:
        return False
    changed = means.copy()
    channel = int(draw * len(changed))
    changed[channel] += np.float32(strength * max(float(np.sqrt(variances[channel])), 1e-3))
    graph.replace(node, 3, changed)
    return True


def relu_dropped(graph: Graph, node: onnx.NodeProto, draw: float, strength: float) -> bool:
    """The activation is missing. Fuses away."""
    if node.op_type != "Relu" or graph.carrier(node) is None:
        return False
    node.op_type = "Identity"
    return True


Kind = Callable[[Graph, onnx.NodeProto, float, float], bool]
PLAIN: tuple[Kind, ...] = (
    *(weight_scale, weight_transpose, weight_channels, bias, pads),
    *(concat_order, resize_mode, pool_type, slope, hard_sigmoid),
)
WITH_STRENGTH: tuple[Kind, ...] = (weight_scale, bias, slope)
FUSING: tuple[Kind, ...] = (batch_norm, relu_dropped)
KINDS = {kind.__name__: kind for kind in (*PLAIN, *FUSING)}


def apply(model: onnx.ModelProto, fault: dict[str, Any]) -> onnx.ModelProto | None:
    """Give a copy with the fault, None if it does not apply there."""
    graph = Graph(model)
    node = graph.nodes[fault["node"]]
    if not KINDS[fault["kind"]](graph, node, fault["draw"], fault["strength"]):
        return None
    return graph.model


def draw_one(
    rng: np.random.Generator, model: onnx.ModelProto, group: str, inputs: dict[str, NDArray[Any]], taken: set[str]
) -> dict[str, Any]:
    """Draw until a fault of the group applies and changes the output as much as the group says."""
    wanted = run(model, inputs)
    kinds = {"fused": FUSING, "small": WITH_STRENGTH, "plain": PLAIN}[group]
    nodes = [node.output[0] for node in model.graph.node]
    for _ in range(4000):
        # The kind first, so that rare operators come up as often as convolutions.
        kind = kinds[int(rng.integers(len(kinds)))]
        name = nodes[int(rng.integers(len(nodes)))]
        fault = {"node": name, "kind": kind.__name__, "draw": float(rng.random()), "strength": 1.0, "group": group}
        if name in taken or apply(model, fault) is None:
            continue
        while True:
            faulty = apply(model, fault)
            assert faulty is not None
            try:
                effect = change(run(faulty, inputs), wanted)
            except Exception:  # a network that no longer fits together
                effect = float("inf")
            if group != "small" or effect < SMALL_CHANGE[1] or fault["strength"] < 1e-3:
                break
            fault["strength"] /= 2
        least, most = SMALL_CHANGE if group == "small" else (LEAST_CHANGE, 1e6)
        if least <= effect < most:
            graph = Graph(model)
            node = graph.nodes[name]
            carrier = graph.carrier(node) if group == "fused" else None
            fault["output_change"] = effect
            fault["type"] = node.op_type
            fault["carrier"] = carrier.output[0] if carrier is not None else None
            return fault
    raise SystemExit(f"no fault of group {group} found")


def main() -> None:
    """Draw the list."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("command", choices=["draw"])
    parser.add_argument("models", nargs="+", type=Path)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--list", type=Path, required=True)
    parser.add_argument("--shape", action="append", default=[], metavar="STEM:INPUT=1x3x224x224")
    args = parser.parse_args()
    rng = np.random.default_rng(args.seed)
    groups = ["fused"] * FUSED + ["small"] * SMALL + ["plain"] * (FAULTS - FUSED - SMALL)
    rng.shuffle(groups)
    faults = []
    for number, group in enumerate(groups):
        path = args.models[number % len(args.models)]
        model = onnx.load(path)
        shapes = {}
        for word in args.shape:
            stem, _, rest = word.partition(":")
            name, _, dims = rest.partition("=")
            if stem == path.stem:
                shapes[name] = tuple(int(extent) for extent in dims.split("x"))
        taken = {each["node"] for each in faults if each["model"] == path.stem}
        fault = draw_one(rng, model, group, inputs_of(model, shapes), taken)
        faults.append({"model": path.stem, "shapes": {name: list(dims) for name, dims in shapes.items()}, **fault})
        print(faults[-1])
    args.list.write_text(json.dumps({"seed": args.seed, "faults": faults}, indent=1) + "\n")


if __name__ == "__main__":
    main()
