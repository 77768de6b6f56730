"""NanoDet: Li et al. 2020 (Generalized Focal Loss), equation 6; RangiLyu/nanodet, nanodet_plus_head.py get_bboxes."""

from __future__ import annotations

import math as _math
from typing import TYPE_CHECKING, Any

import numpy as np

from mnnlite.reference.decode import math
from mnnlite.reference.decode.detections import Candidates, Found, emit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from mnnlite.reference.decode.frame_box import Item

_F = np.float32


def mean_distance(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Mean of the softmax over distances 0, 1, ... on the last axis, summed in order."""
    powers = math.exp(logits - logits.max(axis=-1, keepdims=True))
    steps = np.arange(logits.shape[-1]).astype(_F)
    total = np.cumsum(powers, axis=-1, dtype=_F)[..., -1]
    result: NDArray[np.float32] = np.cumsum(powers * steps, axis=-1, dtype=_F)[..., -1] / total
    return result


def decode(
    output: NDArray[np.float32],
    items: Sequence[Item],
    *,
    score: float = 0.4,
    strides: Sequence[float] = (8, 16, 32, 64),
    reg_max: int = 7,
    cell_offset: float = 0.0,
    sigmoid: bool = False,
    **options: Any,
) -> Found:
    """(N, A, C + 4 (reg_max + 1)) over the grids of all strides; sides of boxes are mean distances from the cell's centre.

    Outputs of single strides are concatenated to this first. Boxes are cut to the input.
    """
    slots = []
    bins = 4 * (reg_max + 1)
    for head, item in zip(np.asarray(output, _F), items, strict=False):
        width, height = item.net_size
        centres, steps = [], []
        for stride in strides:
            y, x = np.mgrid[0 : _math.ceil(height / stride), 0 : _math.ceil(width / stride)].astype(_F)
            centre = (np.stack([x, y], axis=-1).reshape(-1, 2) + _F(cell_offset)) * _F(stride)
            centres.append(centre)
            steps.append(np.full((len(centre), 1), stride))
        centre, step = np.concatenate(centres), np.concatenate(steps).astype(_F)
        class_ids, best = head[:, :-bins].argmax(axis=1), head[:, :-bins].max(axis=1)
        sides = mean_distance(head[:, -bins:].reshape(len(head), 4, -1)) * step
        low = np.maximum(centre - sides[:, :2], _F(0))
        high = np.minimum(centre + sides[:, 2:], np.array([width, height], _F))
        index = np.flatnonzero(best > (math.logit(score) if sigmoid else _F(score)))
        slots.append(
            (
                item,
                Candidates(
                    np.concatenate([low, high], axis=1)[index],
                    (math.sigmoid(best) if sigmoid else best)[index],
                    class_ids[index].astype(np.int32),
                    index.astype(np.int32),
                ),
            )
        )
    return emit(slots, score=score, **{"iou": 0.6, **options})
