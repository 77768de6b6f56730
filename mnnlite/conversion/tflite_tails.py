"""The end of a segmentation network in a TFLite file, as `mnnlite.conversion.rewrites.tails` cuts it off in an ONNX graph.

The converter has no ArgMax of TFLite, so that this is also the way to convert such a file. It is done even where other
operators hold the peak.
"""

from __future__ import annotations

from math import prod
from typing import Any

from mnnlite.conversion.liveness import alive
from mnnlite.conversion.rewrites.tails import KEY, told

__all__ = ["cut_tails"]

_RESIZE, _ARG_MAX = 23, 56  # BuiltinOperator: RESIZE_BILINEAR
_AFTER = (22, 43, 53, 70)  # RESHAPE, SQUEEZE, CAST, EXPAND_DIMS
_BOOL = 6  # TensorType
_BYTES = 4


def cut_tails(model: Any, graph: Any, described: dict[str, Any]) -> list[str]:
    """Change the graph of floats in place; say what was cut off, and to `described` what the new file's description says."""
    codes = [max(each.builtinCode, each.deprecatedBuiltinCode) for each in model.operatorCodes]
    notes = []
    for operator in list(graph.operators):
        if codes[operator.opcodeIndex] != _ARG_MAX:
            continue
        tail = _tail(model, graph, codes, operator)
        if tail is None:
            continue
        first = tail[0]
        scores, before = int(first.inputs[0]), _peak(graph, graph.operators, graph.outputs)
        kept = [each for each in graph.operators if each not in tail]
        end = int(tail[-1].outputs[0])
        outputs = [scores if int(index) == end else int(index) for index in graph.outputs]
        after = _peak(graph, kept, outputs)
        resize = next(each for each in reversed(tail) if codes[each.opcodeIndex] == _RESIZE)
        name = _name(graph, int(resize.outputs[0]))
        graph.operators, graph.outputs = kept, outputs
        for signature in model.signatureDefs or []:
            for each in signature.outputs or []:
                each.tensorIndex = scores if each.tensorIndex == end else each.tensorIndex
        height, width = (int(side) for side in graph.tensors[int(resize.outputs[0])].shape[1:3])
        rule = _rule(resize)
        dims = "x".join(str(side) for side in graph.tensors[scores].shape)
        described.setdefault(KEY, {})[_name(graph, scores)] = {"size": [width, height], "by": rule}
        notes.append(
            told(_name(graph, scores), dims, (width, height), rule, f"{name} (RESIZE_BILINEAR)", before, after)
        )
    return notes


def _tail(model: Any, graph: Any, codes: list[int], argmax: Any) -> list[Any] | None:
    """The operators from the one that resizes to the one that makes an output, if what they make is read nowhere else."""
    made_by = {int(index): each for each in graph.operators for index in each.outputs}
    shape = _shape(graph, int(argmax.inputs[0]))
    axis = model.buffers[graph.tensors[int(argmax.inputs[1])].buffer].data
    if len(shape) != 4 or not 2 <= shape[3] <= 255 or axis is None or _number(axis) not in (3, -1):
        return None
    nodes, index = [argmax], int(argmax.inputs[0])
    resized = False
    while index in made_by and codes[made_by[index].opcodeIndex] == _RESIZE:
        node = made_by[index]
        source = int(node.inputs[0])
        # Before the one that makes them larger there may be others that change nothing.
        if resized and _shape(graph, source) != _shape(graph, int(node.outputs[0])):
            break
        nodes.insert(0, node)
        index, resized = source, True
    if not resized or index not in made_by or index in [int(each) for each in graph.outputs]:
        return None
    last, ends = argmax, [int(each) for each in graph.outputs]
    while int(last.outputs[0]) not in ends:
        users = _users(graph, int(last.outputs[0]))
        if len(users) != 1 or codes[users[0].opcodeIndex] not in _AFTER:
            return None
        last = users[0]
        nodes.append(last)
    # Still rows of columns of numbers, whatever axes of one there are.
    sides = [[side for side in each if side != 1] for each in (_shape(graph, int(last.outputs[0])), shape[:3])]
    if sides[0] != sides[1] or any(graph.tensors[int(each.outputs[0])].type == _BOOL for each in nodes):
        return None
    between = [int(each.outputs[0]) for each in nodes[:-1]]
    if any(len(_users(graph, each)) != 1 or each in ends for each in between) or _users(graph, int(last.outputs[0])):
        return None
    return nodes


def _rule(resize: Any) -> str:
    options = resize.builtinOptions
    if getattr(options, "alignCorners", False):
        return "align_corners"
    return "half_pixel" if getattr(options, "halfPixelCenters", False) else "asymmetric"


def _number(data: Any) -> int:
    return int.from_bytes(bytes(data), "little", signed=True)


def _shape(graph: Any, index: int) -> tuple[int, ...]:
    shape = graph.tensors[index].shape
    return () if shape is None else tuple(int(side) for side in shape)


def _users(graph: Any, index: int) -> list[Any]:
    return [each for each in graph.operators if index in [int(read) for read in each.inputs]]


def _name(graph: Any, index: int) -> str:
    name = graph.tensors[index].name
    return name.decode("utf-8", "replace") if isinstance(name, bytes) else str(name)


def _peak(graph: Any, operators: list[Any], outputs: Any) -> int:
    """Bytes of feature maps at the worst moment."""
    made = {int(index) for each in operators for index in each.outputs} | {int(index) for index in graph.inputs}
    steps = [([int(index) for index in each.inputs], [int(index) for index in each.outputs]) for each in operators]
    found = alive(
        steps,
        [int(index) for index in graph.inputs],
        [int(index) for index in outputs],
        lambda index: _BYTES * prod(_shape(graph, index)) if index in made else 0,
    )
    return max((sum(each.values()) for each in found), default=0)
