"""NonMaxSuppression, of which the converter makes a fixed number of boxes: the network ends before it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mnnlite.conversion.rewrites.graph import attribute, refuse

if TYPE_CHECKING:
    import onnx

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
    scores = {name: _by_box(graph, name) for name in dict.fromkeys(node.input[1] for node in found)}
    ends = [scores.get(name, name) for name in ends]
    if len(found) == 1:
        graph.said["suppression"] = _facts(graph, found[0], scores[found[0].input[1]])
    kept = [value for value in graph.graph.output if value.name not in behind]
    cut = [value.name for value in graph.graph.output if value.name in behind]
    made_already = {value.name for value in kept}
    new = [name for name in dict.fromkeys(ends) if name not in made_already]
    outputs = [*kept, *(onnx.helper.make_tensor_value_info(name, 1, graph.shape(name)) for name in new)]
    del graph.graph.output[:]
    graph.graph.output.extend(outputs)
    graph.drop_unused()
    graph.notes.append(
        f"cut off before NonMaxSuppression: the outputs are {', '.join(value.name for value in outputs)}, no longer "
        f"{', '.join(cut)}; a decoder that suppresses takes them"
    )


def _by_box(graph: Graph, name: str) -> str:
    """Scores of each box one after the other, (N, boxes, classes), as decoders read them; NonMaxSuppression has them by class."""
    import onnx

    for node in graph.nodes("Transpose"):
        if name in node.output and list(attribute(node, "perm", ())) == [0, 2, 1]:
            return str(node.input[0])
    target = f"{name}_by_box"
    graph.graph.node.append(onnx.helper.make_node("Transpose", [name], [target], name=target, perm=[0, 2, 1]))
    return target


def _facts(graph: Graph, node: onnx.NodeProto, scores: str) -> dict[str, Any]:
    """What the operator was told, for the decoder that takes its place."""
    facts: dict[str, Any] = {"boxes": node.input[0], "scores": scores, "maker": graph.model.producer_name[:40]}
    facts["centers"] = bool(attribute(node, "center_point_box", 0))
    for name, index in (("most", 2), ("iou", 3), ("score", 4)):
        value = graph.constant(node.input[index]) if len(node.input) > index and node.input[index] else None
        if value is not None and value.size == 1:
            facts[name] = value.ravel()[0].item()
    return facts
