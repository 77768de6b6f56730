"""Masks of instances from prototypes.

Sources: Bolya et al. 2019 (YOLACT), section 3.1, equation 1; ultralytics, utils/ops.py process_mask_native.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mnnlite.reference.decode import frame_box

if TYPE_CHECKING:
    from numpy.typing import NDArray

_F = np.float32


class Cut(NamedTuple):
    """A mask (height, width) bool and the pixel of the frame where it begins."""

    left: int
    top: int
    mask: NDArray[np.bool_]


def logits(prototypes: NDArray[np.float32], weights: NDArray[np.float32]) -> NDArray[np.float32]:
    """The sum of the (C, rows, columns) prototypes, weighted by (C,) coefficients, in the order of the prototypes."""
    total = np.zeros(prototypes.shape[1:], _F)
    for weight, plane in zip(weights, prototypes, strict=True):
        total = total + weight * plane
    return total


def _samples(
    position: NDArray[np.float64], extent: int
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float32]]:
    """Which two neighbours lie around each position, and the weight of the second; beyond the outer ones the edge goes on."""
    at = np.clip(position - 0.5, 0, extent - 1)
    first = at.astype(np.intp)
    return first, np.minimum(first + 1, extent - 1), (at - first).astype(_F)


def cut(
    item: frame_box.Item,
    prototypes: NDArray[np.float32],
    weights: NDArray[np.float32],
    box: NDArray[np.float32],
    placed: NDArray[np.float32],
) -> Cut | None:
    """The mask of one box: the enlarged sum is larger than 0, cut to the box; None if no pixel is left.

    `box` is x1, y1, x2, y2 in network pixels, `placed` the same in the frame. Pixel x of the frame is in the box if
    x1 <= x < x2; where the picture is turned, if its middle lies in the box of the network.
    """
    width, height = item.frame_size
    left, right = (int(np.clip(np.ceil(side), 0, width)) for side in placed[[0, 2]])
    top, bottom = (int(np.clip(np.ceil(side), 0, height)) for side in placed[[1, 3]])
    if left >= right or top >= bottom:
        return None
    rows, columns = prototypes.shape[1:]
    scale = (item.net_size[0] / columns, 0.0, 0.0, 0.0, item.net_size[1] / rows, 0.0, 0.0, 0.0, 1.0)
    back = np.linalg.inv(np.reshape(frame_box.compose(item.to_frame, scale), (3, 3)))
    to_net = np.linalg.inv(np.reshape(item.to_frame, (3, 3)))
    y, x = np.mgrid[top:bottom, left:right] + 0.5

    def mapped(m: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        w = m[2, 0] * x + m[2, 1] * y + m[2, 2]
        return (m[0, 0] * x + m[0, 1] * y + m[0, 2]) / w, (m[1, 0] * x + m[1, 1] * y + m[1, 2]) / w

    u, v = mapped(back)
    total = logits(prototypes, weights)
    (x1, x2, wx), (y1, y2, wy) = _samples(u, columns), _samples(v, rows)
    first = total[y1, x1] * (_F(1) - wy) + total[y2, x1] * wy
    second = total[y1, x2] * (_F(1) - wy) + total[y2, x2] * wy
    mask = (first * (_F(1) - wx) + second * wx > 0) & (u >= 0) & (u < columns) & (v >= 0) & (v < rows)
    if back[0, 1] or back[1, 0] or back[2, 0] or back[2, 1]:
        u, v = mapped(to_net)
        mask &= (u >= box[0]) & (u < box[2]) & (v >= box[1]) & (v < box[3])
    return Cut(left, top, mask) if mask.any() else None
