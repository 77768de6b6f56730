"""Text areas by differentiable binarization: Liao et al. 2020, section 3.5."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mnnlite.reference.decode import frame_box, geometry
from mnnlite.reference.decode.segmentation import map_to_frame

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


class TextArea(NamedTuple):
    """(4, 2) corners in pixels of the frame from the top left, clockwise; mean probability."""

    corners: NDArray[np.float32]
    score: np.float32
    item: int


def mean_inside(probability: NDArray[np.float32], corners: NDArray[np.float64]) -> float:
    """Mean over the pixels whose centre lies inside a convex quadrilateral."""
    height, width = probability.shape
    x = np.arange(width) + 0.5
    left = np.full(height, np.inf)
    right = np.full(height, -np.inf)
    rows = np.arange(height) + 0.5
    for a, b in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        crossed = (a[1] <= rows) != (b[1] <= rows)
        at = a[0] + (rows[crossed] - a[1]) / (b[1] - a[1]) * (b[0] - a[0])
        left[crossed] = np.minimum(left[crossed], at)
        right[crossed] = np.maximum(right[crossed], at)
    inside = (x >= left[:, None]) & (x < right[:, None])
    return float(probability[inside].astype(np.float64).mean()) if inside.any() else 0.0


def decode(
    output: NDArray[np.float32],
    items: Sequence[frame_box.Item],
    *,
    threshold: float = 0.3,
    score: float = 0.6,
    unclip: float = 1.5,
    min_size: float = 3.0,
) -> list[TextArea]:
    """(N, 1, H, W) probabilities: areas above `threshold`, the smallest rectangle around each.

    Rectangles with a shorter side below `min_size` or a mean below `score` are dropped; the others grow on each side by
    ``area * unclip / perimeter``. Corners are cut to the frame.
    """
    found = []
    for slot, item in enumerate(items):
        probability = np.asarray(output[slot], np.float32)[0]
        to_frame = map_to_frame(item, probability.shape[1], probability.shape[0])
        for ring in geometry.rings((probability > np.float32(threshold)).astype(np.uint8), skip=0):
            if ring.pixels < 0:
                continue
            rectangle = geometry.smallest_rectangle(geometry.convex_hull(ring.corners.astype(np.float64)))
            if min(rectangle.width, rectangle.height) < min_size:
                continue
            mean = np.float32(mean_inside(probability, rectangle.corners()))
            if mean < np.float32(score):
                continue
            grow = rectangle.width * rectangle.height * unclip / (2 * (rectangle.width + rectangle.height))
            corners = np.array([frame_box.apply(to_frame, float(x), float(y)) for x, y in rectangle.corners(grow)])
            found.append(TextArea(np.clip(corners, 0, item.frame_size).astype(np.float32), mean, item.item))
    return found
