"""Resizing that the engine has no operator for: as products with one matrix an axis, which is its definition.

Source: ONNX operator Resize (versions 10 to 19), its reference implementation's coordinate transformations; the cubic kernel is
Keys 1981 with `cubic_coeff_a`.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from mnnlite.conversion.rewrites.graph import attribute, refuse

if TYPE_CHECKING:
    from collections.abc import Sequence

    import onnx
    from numpy.typing import NDArray

    from mnnlite.conversion.rewrites.graph import Graph

__all__ = ["KINDS", "rewrite"]

KINDS = ("Resize",)
_LARGE = 64 << 20  # bytes of a matrix: more would be slower than it is worth


def rewrite(graph: Graph) -> None:
    """Change `graph` in place."""
    changed = 0
    for node in graph.nodes(*KINDS):
        if _right(node, graph):
            continue
        graph.replace(node, _products(graph, node))
        changed += 1
    if changed:
        graph.notes.append(f"{changed} Resize that the engine computes in another way: written as products")


def _right(node: onnx.NodeProto, graph: Graph) -> bool:
    """Whether the engine computes it as ONNX says."""
    mode = attribute(node, "mode", "nearest")
    coordinates = attribute(node, "coordinate_transformation_mode", "half_pixel" if graph.opset > 10 else "asymmetric")
    if attribute(node, "antialias", 0) or attribute(node, "axes") or attribute(node, "exclude_outside", 0):
        return False
    if attribute(node, "keep_aspect_ratio_policy", "stretch") != "stretch":
        return False
    if mode == "nearest":
        rounding = attribute(node, "nearest_mode", "round_prefer_floor" if graph.opset > 10 else "floor")
        return (coordinates, rounding) in {("asymmetric", "floor"), ("half_pixel", "round_prefer_floor")}
    return mode == "linear" and coordinates in ("half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel")


def _products(graph: Graph, node: onnx.NodeProto) -> list[onnx.NodeProto]:
    import numpy as np
    import onnx

    x, y = node.input[0], node.output[0]
    shape = graph.whole_shape(x)
    if shape is None:
        raise refuse(
            node,
            f"the engine does not resize as {attribute(node, 'mode', 'nearest')} with these options says, and the size of its "
            "input is open; export the network with a fixed size, or with another way to resize",
        )
    axes = [axis % len(shape) for axis in attribute(node, "axes") or range(len(shape))]
    scales, sizes, region = _asked(graph, node, shape, axes)
    made: list[onnx.NodeProto] = []
    current, current_shape = x, list(shape)
    rank = len(shape)
    jobs = []
    for axis in axes:
        matrix = _matrix(node, graph.opset, shape[axis], sizes[axis], scales[axis], region.get(axis))
        if matrix.nbytes > _LARGE:
            raise refuse(node, "the engine does not resize so, and as a product it would be too large")
        if matrix.shape[0] != matrix.shape[1] or not np.array_equal(matrix, np.eye(len(matrix))):
            jobs.append((axis, matrix.astype(np.float32)))
    for number, (axis, matrix) in enumerate(jobs):
        target = y if number == len(jobs) - 1 else graph.fresh(y)
        order = [*(other for other in range(rank) if other != axis), axis]
        turned, product = current, target
        if axis != rank - 1:
            turned, product = graph.fresh(y), graph.fresh(y)
            made.append(onnx.helper.make_node("Transpose", [current], [turned], perm=order))
        made.append(
            onnx.helper.make_node("MatMul", [turned, graph.add_constant(matrix.T, y)], [product], name=node.name)
        )
        if axis != rank - 1:
            back = [order.index(other) for other in range(rank)]
            made.append(onnx.helper.make_node("Transpose", [product], [target], perm=back))
        current, current_shape[axis] = target, len(matrix)
    return made or [onnx.helper.make_node("Identity", [x], [y])]


def _asked(
    graph: Graph, node: onnx.NodeProto, shape: Sequence[int], axes: Sequence[int]
) -> tuple[dict[int, float], dict[int, int], dict[int, tuple[float, float]]]:
    """Scale, size and region of each axis."""
    values = [None if not name else graph.constant(name) for name in node.input[1:]]
    if graph.opset <= 10:
        values = [None, *values]
    values += [None] * (3 - len(values))
    roi, scale, size = values[:3]
    policy = attribute(node, "keep_aspect_ratio_policy", "stretch")
    if size is not None and size.size == len(axes):
        ratios = {axis: float(extent) / shape[axis] for axis, extent in zip(axes, size, strict=True)}
        sizes = {axis: int(extent) for axis, extent in zip(axes, size, strict=True)}
        if policy != "stretch":
            one = (min if policy == "not_larger" else max)(ratios.values())
            ratios = dict.fromkeys(axes, one)
            sizes = {axis: math.floor(one * shape[axis] + 0.5) for axis in axes}
    elif scale is not None and scale.size == len(axes):
        ratios = {axis: float(each) for axis, each in zip(axes, scale, strict=True)}
        sizes = {axis: math.floor(ratios[axis] * shape[axis]) for axis in axes}
    else:
        raise refuse(node, "the engine does not resize so, and its size is computed; export it with a constant one")
    region = {}
    if attribute(node, "coordinate_transformation_mode", "") == "tf_crop_and_resize":
        if roi is None or roi.size != 2 * len(axes):
            raise refuse(node, "its region is computed; export it with a constant one")
        region = {axis: (float(roi[at]), float(roi[at + len(axes)])) for at, axis in enumerate(axes)}
    return ratios, sizes, region


def _matrix(
    node: onnx.NodeProto, opset: int, extent: int, size: int, scale: float, region: tuple[float, float] | None
) -> NDArray[Any]:
    """Rows are outputs, columns inputs."""
    import numpy as np

    coordinates = attribute(node, "coordinate_transformation_mode", "half_pixel" if opset > 10 else "asymmetric")
    mode = attribute(node, "mode", "nearest")
    matrix = np.zeros((size, extent))
    for row in range(size):
        at = _coordinate(coordinates, row, extent, size, scale, region)
        if region is not None and not 0 <= at <= extent - 1:
            raise refuse(node, "it reads outside of the picture (extrapolation_value)")
        for column, weight in _taps(node, opset, mode, at, extent, scale):
            matrix[row, min(max(column, 0), extent - 1)] += weight
    return matrix


def _coordinate(
    coordinates: str, row: int, extent: int, size: int, scale: float, region: tuple[float, float] | None
) -> float:
    if coordinates == "align_corners":
        return 0.0 if size == 1 else row * (extent - 1) / (size - 1)
    if coordinates == "asymmetric":
        return row / scale
    if coordinates == "tf_crop_and_resize" and region is not None:
        start, end = region
        if size == 1:
            return (end - start) * (extent - 1) / 2
        return row * (end - start) * (extent - 1) / (size - 1) + start * (extent - 1)
    if coordinates == "pytorch_half_pixel":
        return -0.5 if size == 1 else (row + 0.5) / scale - 0.5
    if coordinates == "half_pixel_symmetric":
        adjustment = size / (scale * extent)
        return extent / 2 * (1 - adjustment) + (row + 0.5) / scale - 0.5
    if coordinates == "tf_half_pixel_for_nn":
        return (row + 0.5) / scale
    return (row + 0.5) / scale - 0.5


def _taps(node: onnx.NodeProto, opset: int, mode: str, at: float, extent: int, scale: float) -> list[tuple[int, float]]:
    """Elements that an output is made of, with their weights."""
    if mode == "nearest":
        rounding = attribute(node, "nearest_mode", "round_prefer_floor" if opset > 10 else "floor")
        whole = {
            "floor": math.floor(at),
            "ceil": math.ceil(at),
            "round_prefer_ceil": math.floor(at + 0.5),
            "round_prefer_floor": math.ceil(at - 0.5),
        }[rounding]
        return [(whole, 1.0)]
    wide = min(scale, 1.0) if attribute(node, "antialias", 0) else 1.0
    reach = (2.0 if mode == "cubic" else 1.0) / wide
    a = float(attribute(node, "cubic_coeff_a", -0.75))
    taps = []
    for column in range(math.floor(at - reach) + 1, math.ceil(at + reach)):
        distance = abs(column - at) * wide
        weight = _cubic(distance, a) if mode == "cubic" else max(0.0, 1 - distance)
        if weight and (0 <= column < extent or not attribute(node, "exclude_outside", 0)):
            taps.append((column, weight))
    total = sum(weight for _, weight in taps)
    return [(column, weight / total) for column, weight in taps]


def _cubic(distance: float, a: float) -> float:
    if distance <= 1:
        return ((a + 2) * distance - (a + 3)) * distance * distance + 1
    if distance < 2:
        return (((distance - 5) * distance + 8) * distance - 4) * a
    return 0.0
