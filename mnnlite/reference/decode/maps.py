"""Maps of numbers and where they lie in the frame."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mnnlite.reference.decode import frame_box, math

if TYPE_CHECKING:
    from numpy.typing import NDArray

_F = np.float32


def over_frame(values: NDArray[np.float32], item: frame_box.Item) -> tuple[NDArray[np.float32], tuple[int, int]]:
    """(C, height, width): the (C, rows, columns) map at the pixels of the frame that it covers, and where they begin.

    Bilinear between the middles of pixels; beyond the outer ones the edge goes on.
    """
    rows, columns = values.shape[1:]
    scale = (item.net_size[0] / columns, 0.0, 0.0, 0.0, item.net_size[1] / rows, 0.0, 0.0, 0.0, 1.0)
    matrix = frame_box.compose(item.to_frame, scale)
    box = frame_box.box(item._replace(to_frame=matrix), np.array([0, 0, columns, rows], _F))
    if box is None:
        return np.empty((len(values), 0, 0), _F), (0, 0)
    left, top, right, bottom = (int(side) for side in (*np.floor(box[:2]), *np.ceil(box[2:])))
    back = np.linalg.inv(np.reshape(matrix, (3, 3)))
    y, x = np.mgrid[top:bottom, left:right] + 0.5
    w = back[2, 0] * x + back[2, 1] * y + back[2, 2]
    u, v = ((back[k, 0] * x + back[k, 1] * y + back[k, 2]) / w for k in range(2))
    at_x, at_y = np.clip(u - 0.5, 0, columns - 1), np.clip(v - 0.5, 0, rows - 1)
    x1, y1 = at_x.astype(np.intp), at_y.astype(np.intp)
    x2, y2 = np.minimum(x1 + 1, columns - 1), np.minimum(y1 + 1, rows - 1)
    wx, wy = (at_x - x1).astype(_F), (at_y - y1).astype(_F)
    above = values[:, y1, x1] * (_F(1) - wx) + values[:, y1, x2] * wx
    below = values[:, y2, x1] * (_F(1) - wx) + values[:, y2, x2] * wx
    return (above * (_F(1) - wy) + below * wy).astype(_F), (left, top)


def scaled(
    values: NDArray[np.float32], *, activation: str = "none", scale: float = 1.0, offset: float = 0.0
) -> NDArray[np.float32]:
    """The numbers after sigmoid, if wanted, times `scale` plus `offset`: before anything is enlarged."""
    return (math.sigmoid(values) if activation == "sigmoid" else values) * _F(scale) + _F(offset)


def picture(values: NDArray[np.float32]) -> NDArray[np.uint8]:
    """(height, width, C) uint8: cut to 0 to 255, rounded half up."""
    return (np.clip(values, 0, 255) + _F(0.5)).astype(np.uint8).transpose(1, 2, 0)
