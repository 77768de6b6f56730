"""NonMaxSuppression, of which the converter makes a fixed number of boxes: the network ends before it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mnnlite.conversion.rewrites.graph import refuse

if TYPE_CHECKING:
    from mnnlite.conversion.rewrites.graph import Graph

__all__ = ["KINDS", "rewrite"]

KINDS = ("NonMaxSuppression",)


def rewrite(graph: Graph) -> None:
    """Change `graph` in place."""
    import onnx

    found = list(graph.nodes(*KINDS))
    if not found:
        return
    behind: set[str] = set()
    for node in graph.graph.node:  # in order of execution
        if node in found or not behind.isdisjoint(node.input):
            behind.update(node.output)
    made = {name for node in graph.graph.node for name in node.output}
    ends = list(dict.fromkeys(name for node in found for name in node.input[:2]))
    if not all(name in made for name in ends):
        raise refuse(
            found[0],
            "how many boxes it gives depends on the content, which the engine cannot, and before it is no network that could be "
            "converted",
        )
    kept = [value for value in graph.graph.output if value.name not in behind]
    cut = [value.name for value in graph.graph.output if value.name in behind]
    outputs = [*kept, *(onnx.helper.make_tensor_value_info(name, 1, graph.shape(name)) for name in ends)]
    del graph.graph.output[:]
    graph.graph.output.extend(outputs)
    graph.drop_unused()
    graph.notes.append(
        f"cut off before NonMaxSuppression: the outputs are {', '.join(value.name for value in outputs)}, no longer "
        f"{', '.join(cut)}; a decoder that suppresses takes them"
    )
