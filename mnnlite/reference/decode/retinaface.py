"""RetinaFace. Sources: Deng et al. 2019; biubug6/Pytorch_Retinaface, prior_box.py and box_utils.py."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from mnnlite.reference.decode import math
from mnnlite.reference.decode.detections import Candidates, Found, emit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from mnnlite.reference.decode.frame_box import Item

_F = np.float32
MIN_SIZES = (16, 32, 64, 128, 256, 512)


def priors(size: tuple[int, int], strides: Sequence[float], min_sizes: Sequence[float]) -> NDArray[np.float32]:
    """(A, 3): middle and side in pixels, stride by stride, row by row, cell by cell, size by size."""
    each = len(min_sizes) // len(strides)
    made = []
    for s, stride in enumerate(strides):
        for y in range(int(np.ceil(size[1] / stride))):
            for x in range(int(np.ceil(size[0] / stride))):
                made += [
                    ((x + 0.5) * stride, (y + 0.5) * stride, side) for side in min_sizes[s * each : (s + 1) * each]
                ]
    return np.array(made).astype(_F)


def decode(
    boxes: NDArray[np.float32],
    scores: NDArray[np.float32],
    points: NDArray[np.float32] | None,
    items: Sequence[Item],
    *,
    score: float = 0.5,
    strides: Sequence[float] = (8, 16, 32),
    min_sizes: Sequence[float] = MIN_SIZES,
    activation: str = "none",
    **options: Any,
) -> Found:
    """Boxes relative to priors with the variances 0.1 and 0.2; the second score is the face's."""
    slots = []
    for slot, item in enumerate(items):
        prior = priors(item.net_size, strides, min_sizes)
        middle, side = prior[:, :2], prior[:, 2:]
        raw, pair = np.asarray(boxes[slot], _F), np.asarray(scores[slot], _F)
        final = math.sigmoid(pair[:, 1] - pair[:, 0]) if activation == "softmax" else pair[:, 1]
        centre, half = middle + raw[:, :2] * _F(0.1) * side, side * math.exp(raw[:, 2:] * _F(0.2)) * _F(0.5)
        index = np.flatnonzero(final > _F(score))
        marks = None
        if points is not None:
            marks = middle[:, None] + np.asarray(points[slot], _F).reshape(len(prior), -1, 2) * _F(0.1) * side[:, None]
        slots.append(
            (
                item,
                Candidates(
                    np.concatenate([centre - half, centre + half], axis=1).astype(_F)[index],
                    final[index].astype(_F),
                    np.zeros(len(index), np.int32),
                    index.astype(np.int32),
                    None if marks is None else marks[index].astype(_F),
                ),
            )
        )
    return emit(slots, score=score, **options)
