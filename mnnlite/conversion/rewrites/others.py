"""Rare operators: LpNormalization of nothing, and what deviates and is not written in another way yet.

Source: ONNX operators LpNormalization (of zeros it is zero), GridSample (nearest) and
Round (halves go to the even neighbour), MaxUnpool.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mnnlite.conversion.rewrites.graph import attribute, refuse

if TYPE_CHECKING:
    import onnx

    from mnnlite.conversion.rewrites.graph import Graph

__all__ = ["KINDS", "rewrite"]

KINDS = ("LpNormalization", "GridSample", "MaxUnpool", "Round")
_TINY = 1e-30  # below what a norm of single precision is, but for zeros


def rewrite(graph: Graph) -> None:
    """Change `graph` in place."""
    for node in graph.nodes("GridSample"):
        if attribute(node, "mode", "bilinear") == "nearest":
            raise refuse(
                node, "the engine rounds halves the other way with mode=nearest, and that is not rewritten yet"
            )
    for node in graph.nodes("MaxUnpool"):
        if len(node.input) > 2 and node.input[2]:
            raise refuse(node, "the engine does not look at its output_shape, and that is not rewritten yet")
    changed = sum(_rounded(graph, node) for node in graph.nodes("Round"))
    if changed:
        graph.notes.append(f"{changed} Round: halves go to the even neighbour, written out")
    changed = sum(_normalised(graph, node) for node in graph.nodes("LpNormalization"))
    if changed:
        graph.notes.append(f"{changed} LpNormalization: zeros stay zeros")


def _rounded(graph: Graph, node: onnx.NodeProto) -> int:
    """Halves go to the even neighbour; the engine's go away from zero."""
    import numpy as np
    import onnx

    x, y = node.input[0], node.output[0]
    half, two = (graph.add_constant(np.asarray(value, np.float32), y) for value in (0.5, 2.0))
    names = ("whole", "rest", "more", "up", "is_half", "halves", "pair", "even", "twice", "odd", "add", "sum")
    at = {name: graph.fresh(y) for name in names}
    steps = [
        ("Floor", [x], "whole"),
        ("Sub", [x, at["whole"]], "rest"),
        ("Greater", [at["rest"], half], "more"),
        ("Cast", [at["more"]], "up"),
        ("Equal", [at["rest"], half], "is_half"),
        ("Cast", [at["is_half"]], "halves"),
        ("Div", [at["whole"], two], "pair"),
        ("Floor", [at["pair"]], "even"),
        ("Mul", [at["even"], two], "twice"),
        ("Sub", [at["whole"], at["twice"]], "odd"),
        ("Mul", [at["halves"], at["odd"]], "add"),
        ("Add", [at["whole"], at["up"]], "sum"),
    ]
    make = onnx.helper.make_node
    made = [
        make(kind, inputs, [at[name]], to=1) if kind == "Cast" else make(kind, inputs, [at[name]])
        for kind, inputs, name in steps
    ]
    graph.replace(node, [*made, make("Add", [at["sum"], at["add"]], [y], name=node.name)])
    return 1


def _normalised(graph: Graph, node: onnx.NodeProto) -> int:
    import numpy as np
    import onnx

    x, y = node.input[0], node.output[0]
    sized, summed, norm, safe = (graph.fresh(y) for _ in range(4))
    square = attribute(node, "p", 2) == 2
    make = onnx.helper.make_node
    made = [
        make("Mul", [x, x], [sized]) if square else make("Abs", [x], [sized]),
        make("ReduceSum", [sized], [summed if square else norm], axes=[attribute(node, "axis", -1)], keepdims=1),
    ]
    if square:
        made.append(make("Sqrt", [summed], [norm]))
    tiny = graph.add_constant(np.asarray(_TINY, np.float32), y)
    made += [make("Max", [norm, tiny], [safe]), make("Div", [x, safe], [y], name=node.name)]
    graph.replace(node, made)
    return 1
