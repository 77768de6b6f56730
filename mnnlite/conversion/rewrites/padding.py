"""``auto_pad="SAME_LOWER"``, which the converter takes for SAME_UPPER: the padding is written out.

Source: ONNX operators Conv, ConvTranspose, MaxPool, AveragePool: with SAME the output is ceil(input / stride), and where the
padding is odd, SAME_LOWER puts the larger half first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mnnlite.conversion.rewrites.graph import attribute, refuse

if TYPE_CHECKING:
    import onnx

    from mnnlite.conversion.rewrites.graph import Graph

__all__ = ["KINDS", "rewrite"]

KINDS = ("Conv", "ConvTranspose", "MaxPool", "AveragePool", "LpPool")


def rewrite(graph: Graph) -> None:
    """Change `graph` in place."""
    changed = 0
    for node in graph.nodes(*KINDS):
        if attribute(node, "auto_pad", "NOTSET") != "SAME_LOWER":
            continue
        before, after = _pads(graph, node)
        graph.set_attribute(node, "auto_pad", None)
        graph.set_attribute(node, "pads", [*before, *after])
        changed += 1
    if changed:
        graph.notes.append(f"{changed} operators: SAME_LOWER is written out as padding")


def _pads(graph: Graph, node: onnx.NodeProto) -> tuple[list[int], list[int]]:
    kernel = attribute(node, "kernel_shape")
    if kernel is None and len(node.input) > 1:
        weights = graph.shape(node.input[1])
        kernel = None if weights is None else weights[2:]
    if kernel is None or any(extent is None for extent in kernel):
        raise refuse(node, "SAME_LOWER with a kernel of unknown size; export it with the padding written out")
    rank = len(kernel)
    strides = attribute(node, "strides", [1] * rank)
    dilations = attribute(node, "dilations", [1] * rank)
    spans = [(extent - 1) * dilation + 1 for extent, dilation in zip(kernel, dilations, strict=True)]
    if node.op_type == "ConvTranspose":
        more = attribute(node, "output_padding", [0] * rank)
        totals = [max(0, span - stride + extra) for span, stride, extra in zip(spans, strides, more, strict=True)]
        return [total - total // 2 for total in totals], [total // 2 for total in totals]
    totals = []
    shape = graph.shape(node.input[0])
    for axis, (span, stride) in enumerate(zip(spans, strides, strict=True)):
        extent = None if shape is None else shape[axis + 2]
        if stride == 1:
            totals.append(span - 1)
        elif extent is not None:
            totals.append(max(0, (-(-extent // stride) - 1) * stride + span - extent))
        else:
            raise refuse(
                node, "SAME_LOWER with a stride, of an open size: its padding depends on the size; export it fixed"
            )
    return [total - total // 2 for total in totals], [total // 2 for total in totals]
