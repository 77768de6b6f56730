"""Inverted residuals in blocks of channels: what a convolution expands, one by channel filters and one projects is never whole.

Each channel in between stands for itself, and what is projected is a sum over them, so that blocks compute the same numbers but for
the order in which they are added. Source: MobileNetV2 (Sandler et al., CVPR 2018), section 5.1, memory efficient inference.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

from mnnlite.conversion.liveness import held
from mnnlite.conversion.rewrites.graph import attribute

if TYPE_CHECKING:
    import onnx

    from mnnlite.conversion.rewrites.graph import Graph

__all__ = ["rewrite"]

_MIB = 1 << 20
_STEP = 8  # a block has a multiple of so many channels: engines keep 4 to 16 together
_MOST_BLOCKS = 8
_MOST = 24  # of such parts of a network
_GAIN = 0.9  # of the peak: what saves less is not worth the blocks
_ACTIVATIONS = ("Relu", "Clip", "LeakyRelu", "HardSwish", "Sigmoid")
_FUSED = ("Relu", "Clip")  # which the engine computes inside the convolution
_MARK = "/channels"


@dataclass
class _Expansion:
    expand: onnx.NodeProto
    first: onnx.NodeProto | None  # activations
    filter: onnx.NodeProto
    second: onnx.NodeProto | None
    project: onnx.NodeProto
    channels: int

    @property
    def nodes(self) -> list[onnx.NodeProto]:
        found = (self.expand, self.first, self.filter, self.second, self.project)
        return [node for node in found if node is not None]

    @property
    def between(self) -> list[str]:
        """What is never whole."""
        return [node.output[0] for node in self.nodes[:-1]]


def rewrite(graph: Graph) -> None:
    """Change `graph` in place, where such a part holds the peak. The same numbers but for rounding."""
    begin = peak = 0
    changed: list[str] = []
    for _ in range(_MOST):
        inside = _inside(graph)
        lives = [each for each in held(graph) if each.node.output[0] not in inside]
        top = max(lives, key=lambda each: each.bytes, default=None)
        if top is None:
            return
        peak = top.bytes
        begin = begin or peak
        found = next((each for each in _expansions(graph) if top.node in each.nodes), None)
        if found is None:
            break
        blocks, after = _blocks(graph, found, lives)
        name = found.expand.name or found.expand.output[0]
        if after > _GAIN * peak:
            break
        _split(graph, found, blocks)
        graph.forget()
        changed.append(name)
    if changed:
        graph.notes.append(
            f"{len(changed)} inverted residuals in blocks of channels ({', '.join(changed)}): {begin / _MIB:.1f} MiB of feature maps at "
            f"the peak become {peak / _MIB:.1f}"
        )


def _inside(graph: Graph) -> set[str]:
    """Outputs of activations that the engine computes with their convolution, in its place."""
    found = set()
    for node in graph.nodes("Conv"):
        users = graph.users(node.output[0])
        if len(users) == 1 and users[0].op_type in _FUSED:
            found.add(users[0].output[0])
    return found


def _blocks(graph: Graph, found: _Expansion, lives: list[Any]) -> tuple[int, int]:
    """As few as let this part fit into what the rest holds anyway; and the peak then."""
    mine = [each for each in lives if each.node in found.nodes]
    rest = max((each.bytes for each in lives if each.node not in found.nodes), default=0)
    inner = {name: size for each in mine for name, size in each.tensors.items() if name in found.between}
    beside = max(sum(size for name, size in each.tensors.items() if name not in inner) for each in mine)
    beside += 4 * prod(graph.whole_shape(found.project.output[0]) or (0,))  # the sum so far
    counts = range(2, min(_MOST_BLOCKS, found.channels // _STEP) + 1)
    blocks = next((count for count in counts if beside + sum(inner.values()) / count <= rest), max(counts, default=1))
    step = _step(found.channels, blocks)
    return blocks, max(rest, beside + sum(inner.values()) * step // found.channels)


def _step(channels: int, blocks: int) -> int:
    return -(-channels // (blocks * _STEP)) * _STEP


def _expansions(graph: Graph) -> list[_Expansion]:
    made_by = {name: node for node in graph.graph.node for name in node.output}
    found = []
    for node in graph.nodes("Conv"):
        channels = attribute(node, "group", 1)
        weights = graph.constant(node.input[1])
        if channels < 2 * _STEP or weights is None or weights.shape[0] != channels or _MARK in node.name:
            continue
        before = made_by.get(node.input[0])
        first = before if before is not None and before.op_type in _ACTIVATIONS else None
        expand = made_by.get(first.input[0]) if first is not None else before
        project = _only_user(graph, node)
        second = project if project is not None and project.op_type in _ACTIVATIONS else None
        if second is not None:
            project = _only_user(graph, second)
        if not _dense(graph, expand) or not _dense(graph, project):
            continue
        assert expand is not None
        assert project is not None
        last = (second or node).output[0]
        if project.input[0] != last or any(_only_user(graph, each) is None for each in (expand, first) if each):
            continue
        if set(attribute(project, "kernel_shape", [])) - {1} or not _known(graph, node):
            continue
        made = _Expansion(expand, first, node, second, project, channels)
        if all(graph.whole_shape(each.output[0]) is not None for each in made.nodes):
            found.append(made)
    return found


def _dense(graph: Graph, node: onnx.NodeProto | None) -> bool:
    """A convolution of all channels whose numbers are known."""
    if node is None or node.op_type != "Conv" or attribute(node, "group", 1) != 1:
        return False
    return _known(graph, node)


def _known(graph: Graph, node: onnx.NodeProto) -> bool:
    return all(graph.constant(name) is not None for name in node.input[1:] if name)


def _only_user(graph: Graph, node: onnx.NodeProto) -> onnx.NodeProto | None:
    users = graph.users(node.output[0])
    is_output = any(value.name == node.output[0] for value in graph.graph.output)
    return users[0] if len(users) == 1 and not is_output else None


def _split(graph: Graph, found: _Expansion, blocks: int) -> None:
    import onnx

    step = _step(found.channels, blocks)
    made: list[onnx.NodeProto] = []
    total = ""
    for begin in range(0, found.channels, step):
        part = slice(begin, min(begin + step, found.channels))
        name = found.expand.input[0]
        for node in found.nodes:
            copied = onnx.NodeProto()
            copied.CopyFrom(node)
            copied.name = f"{node.name or node.output[0]}{_MARK}{begin}"
            copied.input[0], name = name, graph.fresh(node.output[0])
            copied.output[0] = name
            if node is found.project:
                _cut(graph, copied, 1, (slice(None), part))
                if begin and len(copied.input) > 2:
                    del copied.input[2]  # the bias is added once
            elif node.op_type == "Conv":
                _cut(graph, copied, 1, (part,))
                _cut(graph, copied, 2, (part,))
            if node is found.filter:
                graph.set_attribute(copied, "group", part.stop - part.start)
            made.append(copied)
        if total:
            added = graph.fresh(found.project.output[0])
            made.append(onnx.helper.make_node("Add", [total, name], [added], name=f"{added}{_MARK}"))
            name = added
        total = name
    made[-1].output[0] = found.project.output[0]
    graph.replace(found.project, made)
    graph.drop_unused()


def _cut(graph: Graph, node: onnx.NodeProto, index: int, part: tuple[slice, ...]) -> None:
    if len(node.input) > index and node.input[index]:
        value = graph.constant(node.input[index])
        assert value is not None
        node.input[index] = graph.add_constant(value[part], node.input[index])
