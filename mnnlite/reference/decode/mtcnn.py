"""MTCNN's three networks.

Sources: Zhang et al. 2016 (Joint Face Detection and Alignment using Multitask Cascaded Convolutional Networks), section II;
kpzhang93/MTCNN_face_detection_alignment, generateBoundingBox.m and bbreg.m. Those round windows to whole pixels of the frame
and count from 1; here they stay where the network saw them.
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
    scores: NDArray[np.float32],
    boxes: NDArray[np.float32],
    marks: NDArray[np.float32] | None,
    items: Sequence[Item],
    *,
    score: float = 0.6,
    window: float = 12.0,
    stride: float = 2.0,
    activation: str = "none",
    **options: Any,
) -> Found:
    """Scores (N, 2, rows, columns), boxes (N, 4, rows, columns) and marks (N, 2 P, rows, columns); (N, numbers) is one cell.

    A cell's window begins at ``cell * stride`` and is `window` pixels large; the window of a network with one cell is its whole
    input. Each side of the box is that of the window plus the number times the window's width or height. Marks are all x, then
    all y, relative to the window.
    """
    slots = []
    for slot, item in enumerate(items):
        logits, raw = (
            np.asarray(output[slot], _F).reshape(2 * (1 + k), -1) for k, output in enumerate((scores, boxes))
        )
        rows, columns = scores.shape[2:] if scores.ndim == 4 else (1, 1)
        y, x = (axis.ravel().astype(_F) * _F(stride) for axis in np.mgrid[0:rows, 0:columns])
        sides = np.array(item.net_size if rows * columns == 1 else (window, window), _F)
        value = math.sigmoid(logits[1] - logits[0]) if activation == "softmax" else logits[1]
        (cells,) = np.nonzero(value > _F(score))
        begin = np.stack([x, y], axis=-1)[cells]
        placed = np.concatenate([begin + raw[:2, cells].T * sides, (begin + sides) + raw[2:, cells].T * sides], axis=1)
        points = None
        if marks is not None:
            both = np.asarray(marks[slot], _F).reshape(2, -1, rows * columns)[:, :, cells]
            points = begin[:, None] + both.transpose(2, 1, 0) * sides
        slots.append(
            (item, Candidates(placed, value[cells], np.zeros(len(cells), np.int32), cells.astype(np.int32), points))
        )
    return emit(slots, score=score, **{"iou": 0.5, **options})
