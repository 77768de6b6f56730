"""Slopes of PRelu as [C, 1, 1]: the converter makes seven operators of it; of [1, C, 1, 1] it makes the engine's own one."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mnnlite.conversion.rewrites.graph import Graph

__all__ = ["rewrite"]


def rewrite(graph: Graph) -> None:
    """Change `graph` in place. The same numbers."""
    changed = 0
    for node in graph.nodes("PRelu"):
        shape, slope = graph.shape(node.input[0]), graph.constant(node.input[1])
        if shape is None or slope is None or slope.ndim >= len(shape) or slope.size == 1:
            continue
        node.input[1] = graph.add_constant(slope.reshape((1,) * (len(shape) - slope.ndim) + slope.shape), node.input[1])
        changed += 1
    if changed:
        graph.notes.append(f"{changed} PRelu: their slopes have as many axes as what they are of")
