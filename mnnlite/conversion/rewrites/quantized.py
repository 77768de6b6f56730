"""QuantizeLinear and DequantizeLinear, which the converter gets wrong or crashes on: the network as floats.

Constants are dequantised. A pair between operators becomes the clipping that it does (where a ReLU was left to it, that is the
ReLU); its rounding is left out. What is converted is the network that was quantised, to be quantised anew for the engine.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mnnlite.conversion.rewrites.graph import attribute, refuse

if TYPE_CHECKING:
    import onnx
    from numpy.typing import NDArray

    from mnnlite.conversion.rewrites.graph import Graph

__all__ = ["KINDS", "rewrite"]

KINDS = ("QuantizeLinear", "DequantizeLinear")
_MOVES = ("Reshape", "Transpose", "Squeeze", "Unsqueeze", "Flatten", "Identity", "Slice", "Gather", "MaxPool", "Expand")
_RANGES = {2: (0, 255), 3: (-128, 127), 4: (0, 65535), 5: (-32768, 32767), 6: (-(2**31), 2**31 - 1)}


def rewrite(graph: Graph) -> None:
    """Change `graph` in place."""
    weights = pairs = 0
    for node in graph.nodes("DequantizeLinear"):
        value = graph.constant(node.input[0])
        if value is not None:
            graph.replace(node, [])
            graph.rename_input(node.output[0], graph.add_constant(_dequantised(graph, node, value), node.output[0]))
            weights += 1
    for node in graph.nodes("QuantizeLinear"):
        pairs += _as_floats(graph, node)
    left = next(graph.nodes("DequantizeLinear"), None)
    if left is not None:
        raise refuse(
            left,
            "whole numbers from an operator that is not QuantizeLinear; export the network before it was quantised",
        )
    if weights or pairs:
        graph.drop_unused()
        graph.notes.append(
            f"quantised: {weights} constants dequantised, {pairs} QuantizeLinear left out but for their clipping; "
            "mnnlite quantize makes it whole numbers again"
        )


def _shaped(value: NDArray[Any], node: onnx.NodeProto, like: NDArray[Any]) -> NDArray[Any]:
    """Scales along the axis that they are for."""
    import numpy as np

    block = attribute(node, "block_size", 0)
    axis = attribute(node, "axis", 1)
    if value.size == 1:
        return value.reshape(())
    if block:
        return np.repeat(value, block, axis).take(range(like.shape[axis]), axis)
    return value.reshape([-1 if dim == axis % like.ndim else 1 for dim in range(like.ndim)])


def _scale_and_zero(graph: Graph, node: onnx.NodeProto) -> tuple[NDArray[Any], NDArray[Any] | None]:
    scale = graph.constant(node.input[1])
    zero = graph.constant(node.input[2]) if len(node.input) > 2 and node.input[2] else None
    if scale is None or (zero is None and len(node.input) > 2 and node.input[2]):
        raise refuse(node, "its scale is computed; export the network before it was quantised")
    return scale, zero


def _dequantised(graph: Graph, node: onnx.NodeProto, value: NDArray[Any]) -> NDArray[Any]:
    import numpy as np

    scale, zero = _scale_and_zero(graph, node)
    numbers = np.asarray(value).astype(np.float32)
    if zero is not None:
        numbers = numbers - _shaped(np.asarray(zero).astype(np.float32), node, numbers)
    real: NDArray[Any] = (numbers * _shaped(np.asarray(scale).astype(np.float32), node, numbers)).astype(np.float32)
    return real


def _as_floats(graph: Graph, node: onnx.NodeProto) -> int:
    """Turn what a QuantizeLinear gives, and what only moves it, into floats up to each DequantizeLinear."""
    import numpy as np
    import onnx

    scale, zero = _scale_and_zero(graph, node)
    if scale.size != 1:
        raise refuse(
            node, "a scale for each channel of a tensor that is computed; export the network before it was quantised"
        )
    kind = attribute(node, "output_dtype", 0) or (
        2 if zero is None else onnx.helper.np_dtype_to_tensor_dtype(zero.dtype)
    )
    if kind not in _RANGES:
        raise refuse(node, "it gives other whole numbers than 8 or 16 bits; export the network before it was quantised")
    waiting, ends = [node.output[0]], []
    while waiting:
        name = waiting.pop()
        if any(value.name == name for value in graph.graph.output):
            raise refuse(node, f"output {name} is of whole numbers; export the network before it was quantised")
        for user in graph.users(name):
            if user.op_type == "DequantizeLinear":
                ends.append(user)
            elif user.op_type in _MOVES and user.input[0] == name:
                waiting.append(user.output[0])
            else:
                raise refuse(user, "it computes with whole numbers; export the network before it was quantised")
    low, high = (
        (limit - (0 if zero is None else float(zero.ravel()[0]))) * float(scale.ravel()[0]) for limit in _RANGES[kind]
    )
    limits = [graph.add_constant(np.asarray(limit, np.float32), node.output[0]) for limit in (low, high)]
    graph.replace(node, [onnx.helper.make_node("Clip", [node.input[0], *limits], [node.output[0]], name=node.name)])
    for end in ends:
        theirs, _ = _scale_and_zero(graph, end)
        if not np.allclose(theirs, scale, rtol=1e-5):
            raise refuse(
                end, "its scale is another than that of its QuantizeLinear; export the network before it was quantised"
            )
        outputs = {value.name for value in graph.graph.output}
        if end.output[0] in outputs:
            graph.replace(end, [onnx.helper.make_node("Identity", [end.input[0]], [end.output[0]], name=end.name)])
        else:
            graph.replace(end, [])
            graph.rename_input(end.output[0], end.input[0])
    return 1
