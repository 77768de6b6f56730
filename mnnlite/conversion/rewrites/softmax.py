"""Softmax before opset 13: over all axes from `axis` on as if they were one, and `axis` is 1 where it is not said.

Source: ONNX operator Softmax, versions 1, 11 and 13. The converter takes every version for 13.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mnnlite.conversion.rewrites.graph import attribute

if TYPE_CHECKING:
    from mnnlite.conversion.rewrites.graph import Graph

__all__ = ["KINDS", "rewrite"]

KINDS = ("Softmax", "LogSoftmax", "Hardmax")


def rewrite(graph: Graph) -> None:
    """Change `graph` in place."""
    import numpy as np
    import onnx

    if graph.opset >= 13:
        return
    changed = 0
    for node in graph.nodes(*KINDS):
        shape = graph.shape(node.input[0])
        axis = attribute(node, "axis", 1)
        if shape is not None:
            axis += len(shape) if axis < 0 else 0
            long = [dim for dim in range(axis, len(shape)) if shape[dim] != 1]
            if len(long) <= 1:  # one of them is more than 1: it is over that axis alone
                graph.set_attribute(node, "axis", long[0] if long else axis)
                changed += 1
                continue
        x, y = node.input[0], node.output[0]
        flat, soft, extents = (graph.fresh(y) for _ in range(3))
        whole = graph.whole_shape(x)
        made = [
            onnx.helper.make_node("Flatten", [x], [flat], axis=axis),
            onnx.helper.make_node(node.op_type, [flat], [soft], name=node.name, axis=1),
        ]
        if whole is not None:
            extents = graph.add_constant(np.asarray(whole, np.int64), y)
        else:
            made.append(onnx.helper.make_node("Shape", [x], [extents]))
        made.append(onnx.helper.make_node("Reshape", [soft, extents], [y]))
        graph.replace(node, made)
        changed += 1
    if changed:
        graph.notes.append(f"{changed} Softmax of opset {graph.opset}: their axes are written out")
