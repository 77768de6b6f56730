"""FastestDet's head: github.com/dog-qiuqiu/FastestDet, utils/tool.py handle_preds."""

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


def decode(outputs: NDArray[np.float32], items: Sequence[Item], *, score: float = 0.5, **options: Any) -> Found:
    """Decode (N, 5 + C, rows, columns): objectness, 4 of the box, C classes, scores activated by the network.

    ``score = objectness^0.6 * class^0.4``; the centre is at ``(column + tanh d1) / columns``,
    ``(row + tanh d2) / rows`` and the size is ``sigmoid d3, sigmoid d4``, relative to the network's input.
    """
    slots = []
    for head, item in zip(np.asarray(outputs, _F), items, strict=False):
        rows, columns = head.shape[1:]
        y, x = np.mgrid[0:rows, 0:columns].astype(_F)
        class_ids = head[5:].argmax(axis=0)
        total = (head[0].astype(np.float64) ** 0.6 * head[5:].max(axis=0).astype(np.float64) ** 0.4).astype(_F)
        cx = (x + math.tanh(head[1])) / _F(columns) * _F(item.net_size[0])
        cy = (y + math.tanh(head[2])) / _F(rows) * _F(item.net_size[1])
        half_width = math.sigmoid(head[3]) * _F(item.net_size[0]) * _F(0.5)
        half_height = math.sigmoid(head[4]) * _F(item.net_size[1]) * _F(0.5)
        boxes = np.stack([cx - half_width, cy - half_height, cx + half_width, cy + half_height], axis=-1)
        index = np.flatnonzero(total > _F(score))
        slots.append(
            (
                item,
                Candidates(
                    boxes.reshape(-1, 4)[index],
                    total.ravel()[index],
                    class_ids.ravel()[index].astype(np.int32),
                    index.astype(np.int32),
                ),
            )
        )
    return emit(slots, **options)
