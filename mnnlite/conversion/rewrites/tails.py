"""The end of a segmentation network: scores made as large as the picture, and the class of each pixel. It is cut off before that.

The large scores are most of such a network's memory. `Segmentation` makes the same class map of the small ones, row by row.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mnnlite.conversion.liveness import held
from mnnlite.conversion.rewrites.graph import attribute

if TYPE_CHECKING:
    import onnx

    from mnnlite.conversion.rewrites.graph import Graph

__all__ = ["KEY", "rewrite", "told"]

KEY = "upsample"  # in a file's description
_MIB = 1 << 20
_RULES = {
    "half_pixel": "half_pixel",
    "pytorch_half_pixel": "half_pixel",
    "align_corners": "align_corners",
    "asymmetric": "asymmetric",
}
# Of a class any of these numbers says the same: float, uint8, int8, uint16, int16, int32, int64, float16, double, uint32, uint64.
_CLASSES = (1, 2, 3, 4, 5, 6, 7, 10, 11, 12, 13)


@dataclass
class _Tail:
    nodes: list[onnx.NodeProto]  # from the one that resizes to the last
    scores: str
    shape: tuple[int, ...]  # of the small scores, NCHW
    size: tuple[int, int]  # width, height
    rule: str
    output: str  # of the graph


def told(scores: str, dims: str, size: tuple[int, int], rule: str, cut: str, before: int, after: int) -> str:
    """The note of a tail that was cut off."""
    peak = (
        f"{before / _MIB:.1f} MiB of feature maps at the peak become {after / _MIB:.1f}"
        if after < before
        else "other operators hold the peak of feature maps"
    )
    return (
        f"cut off before {cut}: the output is {scores} {dims}, of which Segmentation(upsample=({size[0]}, {size[1]}), "
        f"upsample_by={rule!r}) makes the classes; {peak}"
    )


def rewrite(graph: Graph) -> None:
    """Change `graph` in place, where a tail holds the peak. The new outputs are scores."""
    import onnx

    for node in graph.nodes("ArgMax"):
        found = _tail(graph, node)
        if found is None:
            continue
        before = max((each.bytes for each in held(graph)), default=0)
        rest = held(graph, [name for each in found.nodes for name in each.output])
        after = max((each.bytes for each in rest if each.node not in found.nodes), default=0)
        cut = f"{found.nodes[0].name or found.nodes[0].output[0]} ({found.nodes[0].op_type})"
        if after >= before:
            graph.notes.append(f"upsampling {cut} stays: other operators hold the peak of feature maps")
            continue
        outputs = [
            onnx.helper.make_tensor_value_info(found.scores, graph.dtype(found.scores), found.shape)
            if value.name == found.output
            else value
            for value in graph.graph.output
        ]
        del graph.graph.output[:]
        graph.graph.output.extend(outputs)
        graph.drop_unused()
        graph.forget()
        graph.said.setdefault(KEY, {})[found.scores] = {"size": list(found.size), "by": found.rule}
        dims = "x".join(map(str, found.shape))
        graph.notes.append(told(found.scores, dims, found.size, found.rule, cut, before, after))


def _tail(graph: Graph, argmax: onnx.NodeProto) -> _Tail | None:
    """What is cut off, if it is a tail: the larger scores and all of what follows are read nowhere else."""
    made_by = {name: node for node in graph.graph.node for name in node.output}
    axes = [0, 1, 2, 3]  # of the resized scores, in the order that they have at the node that is looked at
    if attribute(argmax, "select_last_index", 0):
        return None
    nodes, node = [argmax], made_by.get(argmax.input[0])
    while node is not None and node.op_type in ("Softmax", "LogSoftmax", "Transpose"):
        if node.op_type == "Transpose":
            if len(attribute(node, "perm", [])) != 4:
                return None
        elif graph.opset < 13:
            return None
        nodes.insert(0, node)
        node = made_by.get(node.input[0])
    if node is None or node.op_type not in ("Resize", "Upsample"):
        return None
    for each in nodes:
        if each.op_type == "Transpose":
            axes = [axes[index] for index in attribute(each, "perm")]
        elif axes[attribute(each, "axis", -1 if each is not argmax else 0) % 4] != 1:
            return None
    if [axis for axis in axes if axis != 1] != [0, 2, 3]:  # the map is on its side
        return None
    nodes.insert(0, node)
    small, large = graph.whole_shape(node.input[0]), graph.whole_shape(node.output[0])
    if small is None or large is None or len(small) != 4 or small[:2] != large[:2]:
        return None
    rule = _rule(graph, node, small, large)
    if rule is None or not 2 <= small[1] <= 255 or not _exact(graph, node, small, large):
        return None
    last = argmax
    ends = {value.name for value in graph.graph.output}
    while last.output[0] not in ends:
        users = graph.users(last.output[0])
        if len(users) != 1 or users[0].op_type not in ("Cast", "Squeeze", "Unsqueeze", "Reshape", "Identity"):
            return None
        last = users[0]
        if last.op_type == "Cast" and attribute(last, "to") not in _CLASSES:
            return None
        nodes.append(last)
    if any(each.op_type == "Reshape" for each in nodes) and not _is_map(graph.whole_shape(last.output[0]), large):
        return None
    between = [name for each in nodes[:-1] for name in each.output]
    if any(len(graph.users(name)) != 1 or name in ends for name in between) or graph.users(last.output[0]):
        return None
    if node.input[0] in ends or node.input[0] not in made_by:
        return None
    return _Tail(nodes, node.input[0], small, (large[3], large[2]), rule, last.output[0])


def _is_map(shape: tuple[int, ...] | None, large: tuple[int, ...]) -> bool:
    """Whether it is still rows of columns, whatever axes of one there are."""
    return shape is not None and _sides(shape) == _sides((large[0], *large[2:]))


def _sides(shape: tuple[int, ...]) -> list[int]:
    return [side for side in shape if side != 1]


def _rule(graph: Graph, node: onnx.NodeProto, small: tuple[int, ...], large: tuple[int, ...]) -> str | None:
    if attribute(node, "mode", "nearest") not in ("linear", "bilinear"):
        return None
    if attribute(node, "antialias", 0) or attribute(node, "axes") or attribute(node, "exclude_outside", 0):
        return None
    if attribute(node, "keep_aspect_ratio_policy", "stretch") != "stretch":
        return None
    usual = "asymmetric" if node.op_type == "Upsample" or graph.opset < 11 else "half_pixel"
    rule = attribute(node, "coordinate_transformation_mode", usual)
    if rule == "pytorch_half_pixel" and 1 in large[2:] and large != small:
        return None  # of one row or column it takes the first, not the middle
    return _RULES.get(rule)


def _exact(graph: Graph, node: onnx.NodeProto, small: tuple[int, ...], large: tuple[int, ...]) -> bool:
    """Where scales are given, they are those of the two sizes."""
    at = 1 if node.op_type == "Upsample" or graph.opset < 11 else 2
    if len(node.input) <= at or not node.input[at]:
        return True  # sizes
    scales = graph.constant(node.input[at])
    if scales is None:
        return False
    return scales.size in (0, 4) and all(
        float(scale) * a == b for scale, a, b in zip(scales.ravel(), small, large, strict=False)
    )
