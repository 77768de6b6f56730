"""Class maps and what is in them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from mnnlite.reference.decode import frame_box, geometry, math

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

UNSEEN = 255


class Area(NamedTuple):
    """One class of one item: `map` is the (H, W) uint8 class map it is in, `to_frame` the matrix of its pixels."""

    item: int
    class_id: int
    score: np.float32
    box: NDArray[np.float32]
    area: np.float32
    map: NDArray[np.uint8]
    to_frame: tuple[float, ...]


def class_map(
    output: NDArray[Any], *, mode: str = "auto", activation: str = "none", threshold: float = 0.5
) -> tuple[NDArray[np.uint8], NDArray[np.float64], str]:
    """Classes and probabilities of one slot's (C, H, W) or (H, W) output, and the mode that applied."""
    planes = output if output.ndim == 3 else output[None]
    if mode == "auto":
        mode = "argmax" if len(planes) > 1 else "classes" if planes.dtype.kind in "iub" else "binary"
    if mode == "argmax":
        planes = planes.astype(np.float32)
        classes = planes.argmax(axis=0).astype(np.uint8)
        powers = math.exp(planes - planes.max(axis=0)).astype(np.float64)
        return classes, 1 / np.cumsum(powers, axis=0)[-1], mode
    if mode == "classes":
        return planes[0].astype(np.uint8), np.ones(planes[0].shape), mode
    values = planes[0].astype(np.float32)
    cut = math.logit(threshold) if activation == "sigmoid" else np.float32(threshold)
    classes = (values > cut).astype(np.uint8)
    one = math.sigmoid(values) if activation == "sigmoid" else values
    return classes, np.where(classes == 1, one, np.float32(1) - one).astype(np.float64), mode


def upsampled(
    planes: NDArray[np.float32], size: tuple[int, int], upsample_by: str = "half_pixel"
) -> NDArray[np.float32]:
    """Scores (C, H, W) of a grid of `size` (width, height), bilinear in float32, first between the columns, then the rows.

    Source: ONNX operator Resize, coordinate_transformation_mode; TFLite's RESIZE_BILINEAR has the same three.
    """

    def places(count: int, extent: int) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
        at = np.arange(count, dtype=np.float64)
        if upsample_by == "align_corners":
            at = at * (extent - 1) / (count - 1) if count > 1 else at * 0
        elif upsample_by == "asymmetric":
            at = at * extent / count
        else:
            at = (at + 0.5) * extent / count - 0.5
        at = np.clip(at, 0, extent - 1)
        first = at.astype(np.int64)
        return first, np.minimum(first + 1, extent - 1), (at - first).astype(np.float32)

    planes = planes.astype(np.float32)
    first, following, weight = places(size[0], planes.shape[2])
    wide = planes[:, :, first] + (planes[:, :, following] - planes[:, :, first]) * weight
    first, following, weight = places(size[1], planes.shape[1])
    return wide[:, first] + (wide[:, following] - wide[:, first]) * weight[:, None]


def map_to_frame(item: frame_box.Item, width: int, height: int) -> tuple[float, ...]:
    """Pixel of a width x height map -> frame pixel."""
    scale = (item.net_size[0] / width, 0.0, 0.0, 0.0, item.net_size[1] / height, 0.0, 0.0, 0.0, 1.0)
    return frame_box.compose(item.to_frame, scale)


def _at_centres(m: tuple[float, ...], width: int, height: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    y, x = np.mgrid[0:height, 0:width] + 0.5
    w = m[6] * x + m[7] * y + m[8]
    return (m[0] * x + m[1] * y + m[2]) / w, (m[3] * x + m[4] * y + m[5]) / w


def spread_over_frame(
    classes: NDArray[np.uint8], m: tuple[float, ...], frame_size: tuple[int, int]
) -> NDArray[np.uint8]:
    """Nearest pixel of the map for each pixel of the frame; UNSEEN where it does not reach."""
    back = np.linalg.inv(np.reshape(m, (3, 3)))
    u, v = _at_centres(tuple(back.ravel().tolist()), *frame_size)
    inside = (u >= 0) & (v >= 0) & (u < classes.shape[1]) & (v < classes.shape[0])
    result = np.full((frame_size[1], frame_size[0]), UNSEEN, np.uint8)
    result[inside] = classes[v[inside].astype(int), u[inside].astype(int)]
    return result


def linear_over_frame(
    planes: NDArray[np.float32], m: tuple[float, ...], frame_size: tuple[int, int]
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Scores (C, H, W) at each pixel of the frame, bilinear between the middles of the map's pixels; where it reaches.

    In float32, first between the rows, then between the columns. Beyond the outermost middles the edge goes on.
    """
    back = np.linalg.inv(np.reshape(m, (3, 3)))
    u, v = _at_centres(tuple(back.ravel().tolist()), *frame_size)
    height, width = planes.shape[1:]
    inside = (u >= 0) & (v >= 0) & (u < width) & (v < height)
    x, y = np.clip(u - 0.5, 0, width - 1), np.clip(v - 0.5, 0, height - 1)
    x0, y0 = x.astype(int), y.astype(int)
    x1, y1 = np.minimum(x0 + 1, width - 1), np.minimum(y0 + 1, height - 1)
    fx, fy = (x - x0).astype(np.float32), (y - y0).astype(np.float32)
    planes = planes.astype(np.float32)
    left = planes[:, y0, x0] + (planes[:, y1, x0] - planes[:, y0, x0]) * fy
    right = planes[:, y0, x1] + (planes[:, y1, x1] - planes[:, y0, x1]) * fy
    return left + (right - left) * fx, inside


def pixel_area(m: tuple[float, ...], width: int, height: int) -> float:
    """Frame pixels squared that one pixel of the map covers, the mean over the map."""
    corners = [frame_box.apply(m, x, y) for x, y in ((0, 0), (width, 0), (width, height), (0, height))]
    twice = 0.0
    for (x1, y1), (x2, y2) in zip(corners, corners[1:] + corners[:1], strict=True):
        twice += x1 * y2 - x2 * y1
    return abs(twice) / 2 / (width * height)


def decode(
    outputs: NDArray[Any],
    items: Sequence[frame_box.Item],
    *,
    size: str = "network",
    resize: str = "nearest",
    background: int = -2,
    min_area: float = 0.0,
    scores: bool = False,
    upsample: Sequence[float] = (),
    upsample_by: str = "half_pixel",
    **mapping: Any,
) -> list[Area]:
    """One row per class of each item's map, lower classes first; see `class_map` for the other options.

    Pixels whose centre lies outside the frame are UNSEEN. Scores are means over the network's own pixels, 0 for a class
    that is only between them. `background` -2: class 0 of two-class maps, else none.
    """
    rows = []
    for given, item in zip(outputs, items, strict=False):
        output = upsampled(given, (int(upsample[0]), int(upsample[1])), upsample_by) if upsample else given
        classes, probability, mode = class_map(output, **mapping)
        height, width = classes.shape
        m = map_to_frame(item, width, height)
        u, v = _at_centres(m, width, height)
        outside = (u < 0) | (v < 0) | (u >= item.frame_size[0]) | (v >= item.frame_size[1])
        classes = np.where(outside, np.uint8(UNSEEN), classes)
        channels = output.shape[0] if output.ndim == 3 else 1
        skip = background if background != -2 else 0 if mode == "binary" or channels == 2 else -1
        means = {}
        for c in np.unique(classes).tolist():
            means[c] = probability[classes == c].mean() if scores or mode == "binary" else 1.0
        if size == "frame" and resize == "linear":
            planes, inside = linear_over_frame(output if output.ndim == 3 else output[None], m, item.frame_size)
            chosen = class_map(planes, **mapping)[0]
            classes, m = np.where(inside, chosen, np.uint8(UNSEEN)), (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
        elif size == "frame":
            classes = spread_over_frame(classes, m, item.frame_size)
            m = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
        unit = pixel_area(m, classes.shape[1], classes.shape[0])
        for c in np.unique(classes).tolist():
            y, x = np.nonzero(classes == c)
            area = len(x) * unit
            if c in (UNSEEN, skip) or area < min_area:
                continue
            extent = np.array([x.min(), y.min(), x.max() + 1, y.max() + 1], np.float32)
            corners = frame_box.box(item._replace(to_frame=m), extent)
            if corners is not None:
                rows.append(
                    Area(
                        item.item,
                        c,
                        np.float32(means.get(c, 0.0 if scores else 1.0)),
                        corners,
                        np.float32(area),
                        classes,
                        m,
                    )
                )
    return rows


class Outline(NamedTuple):
    """A ring of an area in pixels of the frame, (P, 2); `parent` is the row of the ring around a hole, else -1."""

    item: int
    class_id: int
    points: NDArray[np.float32]
    area: np.float32
    parent: int


def polygons(
    outputs: NDArray[Any],
    items: Sequence[frame_box.Item],
    *,
    tolerance: float = 1.0,
    background: int = -2,
    min_area: float = 0.0,
    holes: bool = True,
    upsample: Sequence[float] = (),
    upsample_by: str = "half_pixel",
    **mapping: Any,
) -> list[Outline]:
    """Outlines of the areas of each item's map, simplified so that no corner is off by more than `tolerance`."""
    rows: list[Outline] = []
    for given, item in zip(outputs, items, strict=False):
        output = upsampled(given, (int(upsample[0]), int(upsample[1])), upsample_by) if upsample else given
        classes, _, mode = class_map(output, **mapping)
        height, width = classes.shape
        m = map_to_frame(item, width, height)
        u, v = _at_centres(m, width, height)
        outside = (u < 0) | (v < 0) | (u >= item.frame_size[0]) | (v >= item.frame_size[1])
        classes = np.where(outside, np.uint8(UNSEEN), classes)
        channels = output.shape[0] if output.ndim == 3 else 1
        skip = background if background != -2 else 0 if mode == "binary" or channels == 2 else -1
        unit = pixel_area(m, width, height)
        found = geometry.rings(classes, skip)
        row_of: dict[int, int] = {}
        for index, ring in enumerate(found):
            around = found[ring.parent] if ring.parent >= 0 else ring
            if min(abs(ring.pixels), around.pixels if ring.parent >= 0 else abs(ring.pixels)) * unit < min_area:
                continue
            if ring.parent >= 0 and not holes:
                continue
            placed = np.array([frame_box.apply(m, float(x), float(y)) for x, y in ring.corners])
            points = geometry.simplify_ring(placed, tolerance).astype(np.float32)
            row_of[index] = len(rows)
            parent = row_of[ring.parent] if ring.parent >= 0 else -1
            rows.append(Outline(item.item, ring.class_id, points, np.float32(abs(ring.pixels) * unit), parent))
    return rows
