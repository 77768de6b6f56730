"""Self-attention in blocks of query rows: the matrix of weights, which may be most of a network's memory, is never whole.

Softmax goes over the keys, so each row of queries stands for itself and the blocks compute the same numbers.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

from mnnlite.conversion.liveness import held
from mnnlite.conversion.rewrites.graph import attribute

if TYPE_CHECKING:
    import onnx

    from mnnlite.conversion.rewrites.graph import Graph

__all__ = ["rewrite"]

_MIB = 1 << 20
_MOST_BYTES = 4 * _MIB  # of a block: what the caches of a board's cores come near
_MOST_BLOCKS = 64
_ROWS = 48  # a block has a multiple of them: as many as the engine's kernels of any machine multiply together
_LEAST_ROOM = 2 * _MIB  # what is saved below is not worth the blocks


@dataclass
class _Attention:
    scores: onnx.NodeProto  # the product of queries and keys
    between: list[onnx.NodeProto]  # scales, Softmax, perhaps a transposition
    values: onnx.NodeProto  # the product with the values
    turned: bool  # the weights are its second factor, with a query a column
    rows: int
    bytes: int  # of the matrix
    held: tuple[str, ...]  # tensors of that size


def rewrite(graph: Graph) -> None:
    """Change `graph` in place, where an attention holds the peak. The same numbers."""
    if graph.opset < 10:  # Slice had its starts and ends as attributes
        return
    for softmax in graph.nodes("Softmax"):
        found = _attention(graph, softmax)
        if found is None:
            continue
        before = max((each.bytes for each in held(graph)), default=0)
        rest = held(graph, found.held)
        beside = max(
            (each.bytes for each in rest if each.node in (found.scores, *found.between, found.values)), default=0
        )
        name = found.scores.name or found.scores.output[0]
        blocks = _blocks(found, max((each.bytes for each in rest), default=0) - beside)
        if beside + 2 * found.bytes < before or blocks == 1:
            graph.notes.append(f"attention {name} stays whole: other operators hold the peak of feature maps")
            continue
        _split(graph, found, blocks)
        graph.forget()
        after = max((each.bytes for each in held(graph)), default=0)
        graph.notes.append(
            f"attention {name} in {-(-found.rows // _step(found.rows, blocks))} blocks of rows: {before / _MIB:.1f} MiB of feature maps at the peak become "
            f"{after / _MIB:.1f}"
        )


def _blocks(found: _Attention, room: int) -> int:
    """As few as let the matrix, which is there twice, fit into what the rest of the network holds anyway."""
    count = 1
    while count < min(_MOST_BLOCKS, found.rows) and (
        found.bytes > _MOST_BYTES * count or 2 * found.bytes > max(room, _LEAST_ROOM) * count
    ):
        count *= 2
    return count


def _attention(graph: Graph, softmax: onnx.NodeProto) -> _Attention | None:
    shape = graph.whole_shape(softmax.input[0])
    if shape is None or len(shape) < 2 or attribute(softmax, "axis", -1) not in (-1, len(shape) - 1):
        return None
    made_by = {name: node for node in graph.graph.node for name in node.output}
    between, scores = [softmax], made_by.get(softmax.input[0])
    while scores is not None and scores.op_type in ("Mul", "Div"):
        factor = graph.constant(scores.input[1])
        if factor is None or factor.size != 1:
            return None
        between.insert(0, scores)
        scores = made_by.get(scores.input[0])
    if scores is None or scores.op_type != "MatMul" or graph.whole_shape(scores.output[0]) != shape:
        return None
    after = _only_user(graph, softmax)
    turned = after is not None and after.op_type == "Transpose"
    if turned and after is not None:
        swapped = [*range(len(shape) - 2), len(shape) - 1, len(shape) - 2]
        if list(attribute(after, "perm", [])) != swapped:
            return None
        between.append(after)
        after = _only_user(graph, after)
    if after is None or after.op_type != "MatMul" or after.input[1 if turned else 0] != between[-1].output[0]:
        return None
    if any(_only_user(graph, node) is None for node in (scores, *between)):
        return None
    names = tuple(node.output[0] for node in (scores, *between))
    return _Attention(scores, between, after, turned, shape[-2], 4 * prod(shape), names)


def _only_user(graph: Graph, node: onnx.NodeProto) -> onnx.NodeProto | None:
    users = graph.users(node.output[0])
    is_output = any(value.name == node.output[0] for value in graph.graph.output)
    return users[0] if len(users) == 1 and not is_output else None


def _split(graph: Graph, found: _Attention, blocks: int) -> None:
    import numpy as np
    import onnx

    make = onnx.helper.make_node
    queries, keys = found.scores.input
    axis = graph.add_constant(np.asarray([-2], np.int64), queries)
    step = _step(found.rows, blocks)
    made: list[onnx.NodeProto] = []
    results = []
    for begin in range(0, found.rows, step):
        ends = [
            graph.add_constant(np.asarray([at], np.int64), queries) for at in (begin, min(begin + step, found.rows))
        ]
        part = graph.fresh(queries)
        made.append(make("Slice", [queries, *ends, axis], [part]))
        weights = graph.fresh(found.scores.output[0])
        made.append(make("MatMul", [part, keys], [weights], name=_named(found.scores, begin)))
        for node in found.between:
            copied = onnx.NodeProto()
            copied.CopyFrom(node)
            copied.input[0], weights = weights, graph.fresh(node.output[0])
            copied.output[0] = weights
            copied.name = _named(node, begin)
            made.append(copied)
        factors = [found.values.input[0], weights] if found.turned else [weights, found.values.input[1]]
        results.append(graph.fresh(found.values.output[0]))
        made.append(make("MatMul", factors, [results[-1]], name=_named(found.values, begin)))
    made.append(make("Concat", results, [found.values.output[0]], axis=-1 if found.turned else -2))
    graph.replace(found.values, made)
    graph.drop_unused()


def _step(rows: int, blocks: int) -> int:
    return -(-rows // (blocks * _ROWS)) * _ROWS


def _named(node: onnx.NodeProto, begin: int) -> str:
    return f"{node.name or node.output[0]}/{begin}"
