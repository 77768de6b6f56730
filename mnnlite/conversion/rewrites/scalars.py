"""Constants of one element and three axes, beside a tensor of three axes: they keep one axis.

Where the tensor comes from a convolution, the engine pads such a constant to four channels and adds those one by one, so that all
but the first element is wrong. Seen in MNN 3.6.1 with what tf2onnx writes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mnnlite.conversion.rewrites.graph import Graph

__all__ = ["KINDS", "rewrite"]

KINDS = ("Add", "Sub", "Mul", "Div")


def rewrite(graph: Graph) -> None:
    """Change `graph` in place."""
    changed = 0
    for node in graph.nodes(*KINDS):
        for index, other in ((0, 1), (1, 0)):
            value = graph.constant(node.input[index])
            beside = graph.shape(node.input[other])
            if value is not None and value.shape == (1, 1, 1) and beside is not None and len(beside) >= 3:
                node.input[index] = graph.add_constant(value.reshape(1), node.output[0])
                changed += 1
    if changed:
        graph.notes.append(f"{changed} constants of one element have one axis now, which the engine takes right")
