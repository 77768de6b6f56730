"""Reductions with their axes as an input, which the converter does not look at: axes become an attribute."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mnnlite.conversion.rewrites.graph import attribute, refuse

if TYPE_CHECKING:
    import onnx

    from mnnlite.conversion.rewrites.graph import Graph

__all__ = ["KINDS", "rewrite"]

KINDS = (
    *("ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceMax", "ReduceMean", "ReduceMin"),
    *("ReduceProd", "ReduceSum", "ReduceSumSquare"),
)


def rewrite(graph: Graph) -> None:
    """Change `graph` in place."""
    changed = 0
    for node in graph.nodes(*KINDS):
        nothing = bool(attribute(node, "noop_with_empty_axes", 0))
        if len(node.input) > 1 and node.input[1]:
            axes = graph.constant(node.input[1])
            if axes is None:
                raise refuse(node, "its axes are computed, which the converter ignores; export it with constant axes")
            wanted = [int(axis) for axis in axes.ravel()]
        else:
            wanted = [int(axis) for axis in attribute(node, "axes", ())]
            if len(node.input) == 1 and not nothing:
                continue
        if not wanted and nothing:
            graph.replace(node, _each_alone(graph, node))
            changed += 1
            continue
        del node.input[1:]
        graph.set_attribute(node, "axes", wanted or None)
        graph.set_attribute(node, "noop_with_empty_axes", None)
        changed += 1
    if changed:
        graph.notes.append(f"{changed} reductions: their axes are an attribute now, as the converter reads them")


def _each_alone(graph: Graph, node: onnx.NodeProto) -> list[onnx.NodeProto]:
    """A reduction over no axes: what it does to each element."""
    import onnx

    x, y = node.input[0], node.output[0]
    make = onnx.helper.make_node
    if node.op_type in ("ReduceL1", "ReduceL2"):
        return [make("Abs", [x], [y])]
    if node.op_type == "ReduceLogSum":
        return [make("Log", [x], [y])]
    if node.op_type == "ReduceSumSquare":
        return [make("Mul", [x, x], [y])]
    return [make("Identity", [x], [y])]
