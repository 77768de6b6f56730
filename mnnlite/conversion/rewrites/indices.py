"""Indices that count from the end, which the engine reads in front of the tensor: they count from the beginning.

Source: ONNX operators GatherElements and ScatterElements. Indices that are computed are left: what computes them (TopK, ArgMax)
gives none that are negative.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mnnlite.conversion.rewrites.graph import attribute

if TYPE_CHECKING:
    from mnnlite.conversion.rewrites.graph import Graph

__all__ = ["KINDS", "rewrite"]

KINDS = ("GatherElements", "ScatterElements")


def rewrite(graph: Graph) -> None:
    """Change `graph` in place."""
    import numpy as np
    import onnx

    given = {value.name: value.type.tensor_type.elem_type for value in graph.graph.input}
    changed = 0
    for node in graph.nodes(*KINDS):
        shape, name = graph.whole_shape(node.input[0]), node.input[1]
        if shape is None:
            continue
        extent = shape[attribute(node, "axis", 0)]
        value = graph.constant(name)
        if value is not None and (value < 0).any():
            node.input[1] = graph.add_constant(np.where(value < 0, value + extent, value).astype(value.dtype), name)
            changed += 1
        elif value is None and name in given:
            dtype = onnx.helper.tensor_dtype_to_np_dtype(given[name])
            zero, size = (graph.add_constant(np.asarray([each], dtype), name) for each in (0, extent))
            below, one, more, moved = (graph.fresh(name) for _ in range(4))
            make = onnx.helper.make_node
            steps = [
                make("Less", [name, zero], [below]),
                make("Cast", [below], [one], to=given[name]),
                make("Mul", [one, size], [more]),
                make("Add", [name, more], [moved]),
            ]
            graph.replace(node, [*steps, node])
            next(each for each in graph.nodes(node.op_type) if each.output[0] == node.output[0]).input[1] = moved
            changed += 1
    if changed:
        graph.notes.append(f"{changed} GatherElements or ScatterElements: no index counts from the end")
