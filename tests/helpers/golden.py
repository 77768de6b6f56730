"""Results against what an exporter's own post-processing found."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def overlap(first: NDArray[np.float32], second: NDArray[np.float32]) -> NDArray[np.float64]:
    """(N, M) intersection over union of boxes x1, y1, x2, y2."""
    a, b = first.astype(np.float64)[:, None], second.astype(np.float64)[None]
    sides = np.minimum(a[..., 2:4], b[..., 2:4]) - np.maximum(a[..., :2], b[..., :2])
    both = np.clip(sides, 0, None).prod(-1)
    area_a, area_b = (np.clip(each[..., 2:4] - each[..., :2], 0, None).prod(-1) for each in (a, b))
    return both / np.maximum(area_a + area_b - both, 1e-9)


def matched(boxes: NDArray[np.float32], classes: NDArray[np.int32], golden: NDArray[np.float32]) -> list[int]:
    """For each golden row (x1 y1 x2 y2 score class) the row that is it: of its class, IoU of at least 0.99, each once."""
    shared = overlap(golden, boxes)
    shared[golden[:, 5].astype(int)[:, None] != classes[None]] = 0
    found: list[int] = []
    for row in shared:
        row[found] = 0
        best = int(row.argmax())
        assert row[best] >= 0.99, f"no row for golden row {len(found)}: the best has IoU {row[best]:.3f}"
        found.append(best)
    return found
