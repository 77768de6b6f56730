"""Non-maximum suppression."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def overlaps(a: NDArray[np.float32], b: NDArray[np.float32], iou: float) -> bool:
    """Whether intersection over union of two x1, y1, x2, y2 boxes is larger than `iou`; False for empty boxes."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if not (width > 0 and height > 0):
        return False
    shared = width * height
    joined = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared
    return bool(shared > np.float32(iou) * joined)


def order(scores: NDArray[np.float32], class_ids: NDArray[np.int32], index: NDArray[np.int32]) -> NDArray[np.intp]:
    """Better score first, then lower index, then lower class: the one order of candidates everywhere."""
    return np.lexsort((class_ids, index, -scores))


def nms(
    boxes: NDArray[np.float32],
    scores: NDArray[np.float32],
    class_ids: NDArray[np.int32],
    iou: float,
    *,
    index: NDArray[np.int32] | None = None,
    agnostic: bool = False,
    top_k: int = 1000,
) -> NDArray[np.intp]:
    """Greedy suppression: which of the (N, 4) boxes survive, best first.

    A box goes if one that was kept, of the same class unless `agnostic`, overlaps it by more than `iou`. Only the best
    `top_k` enter. Ties go to the lower `index`.
    """
    if index is None:
        index = np.arange(len(boxes), dtype=np.int32)
    kept: list[int] = []
    for candidate in order(scores, class_ids, index)[:top_k].tolist():
        if not any(
            (agnostic or class_ids[other] == class_ids[candidate]) and overlaps(boxes[other], boxes[candidate], iou)
            for other in kept
        ):
            kept.append(candidate)
    return np.array(kept, np.intp)
