"""From network pixels to pixels of the frame."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Item(NamedTuple):
    """Which part of which frame a slot of the batch saw; `mnnlite.decoders.BatchItem` has the same fields."""

    to_frame: tuple[float, ...]
    net_size: tuple[int, int]
    frame_size: tuple[int, int]
    item: int = 0


def apply(m: tuple[float, ...], x: float, y: float) -> tuple[float, float]:
    """Map a point by a 3x3 row-major matrix, in double precision."""
    w = m[6] * x + m[7] * y + m[8]
    return (m[0] * x + m[1] * y + m[2]) / w, (m[3] * x + m[4] * y + m[5]) / w


def compose(outer: tuple[float, ...], inner: tuple[float, ...]) -> tuple[float, ...]:
    """First `inner`, then `outer`."""
    return tuple(
        sum((outer[row * 3 + k] * inner[k * 3 + column] for k in range(3)), 0.0)
        for row in range(3)
        for column in range(3)
    )


def box(item: Item, corners: NDArray[np.float32], clip: bool = True) -> NDArray[np.float32] | None:
    """The box around the mapped corners, cut to the frame; None if nothing is left of it."""
    x1, y1, x2, y2 = (float(value) for value in corners)
    points = [apply(item.to_frame, x, y) for x, y in ((x1, y1), (x2, y2), (x2, y1), (x1, y2))]
    xs, ys = [x for x, _ in points], [y for _, y in points]
    left, top, right, bottom = min(xs), min(ys), max(xs), max(ys)
    if clip:
        left, top = max(left, 0.0), max(top, 0.0)
        right, bottom = min(right, float(item.frame_size[0])), min(bottom, float(item.frame_size[1]))
    placed = np.array([left, top, right, bottom]).astype(np.float32)
    return placed if placed[2] > placed[0] and placed[3] > placed[1] else None
