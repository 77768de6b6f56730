"""The DETR family.

Sources: Carion et al. 2020 (DETR), section 3.1; Zhao et al. 2023 and lyuwenyu/RT-DETR, rtdetr_postprocessor.py.
"""

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


def decode(
    logits: NDArray[np.float32],
    boxes: NDArray[np.float32],
    items: Sequence[Item],
    *,
    score: float = 0.5,
    activation: str = "sigmoid",
    background: str = "none",
    box: str = "middle",
    units: str = "relative",
    **options: Any,
) -> Found:
    """Every class of every query whose score is larger than `score`, the best first; (N, Q, C) and (N, Q, 4)."""
    slots = []
    for slot, item in enumerate(items):
        raw, four = np.asarray(logits[slot], _F), np.asarray(boxes[slot], _F)
        values = raw
        if activation == "softmax":
            powers = math.exp(raw - raw.max(axis=1, keepdims=True))
            total = np.zeros(len(raw))
            for c in range(raw.shape[1]):
                total = total + powers[:, c]
            values = (powers / total[:, None]).astype(_F)
        first, last = int(background == "first"), raw.shape[1] - int(background == "last")
        values = values[:, first:last]
        query, class_id = np.nonzero(values > (math.logit(score) if activation == "sigmoid" else _F(score)))
        chosen = values[query, class_id]
        if box == "middle":
            half = four[:, 2:] * _F(0.5)
            four = np.concatenate([four[:, :2] - half, four[:, :2] + half], axis=1)
        size = np.array(item.net_size if units == "relative" else (1, 1), _F)
        placed = (four * np.tile(size, 2))[query].astype(_F)
        final = math.sigmoid(chosen) if activation == "sigmoid" else chosen
        slots.append((item, Candidates(placed, final.astype(_F), class_id.astype(np.int32), query.astype(np.int32))))
    return emit(slots, score=score, **{**options, "iou": 1.0, "nms": "hard"})
