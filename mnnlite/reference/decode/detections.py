"""From candidates to detections, the same for all heads."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mnnlite.reference.decode import place
from mnnlite.reference.decode.nms import nms

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Found(NamedTuple):
    """Rows of detections; points are (N, P, 2) in pixels of the frame, P = 0 where the head has none."""

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    class_ids: NDArray[np.int32]
    items: NDArray[np.int32]
    points: NDArray[np.float32]
    found: int
    truncated: bool


class Candidates(NamedTuple):
    """What a head proposes for one slot, in network pixels; `source` says where in the head each comes from."""

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    class_ids: NDArray[np.int32]
    source: NDArray[np.int32]
    points: NDArray[np.float32] | None = None


def emit(
    slots: list[tuple[place.Item, Candidates]],
    *,
    iou: float = 0.45,
    max_detections: int = 300,
    agnostic: bool = False,
    top_k: int = 1000,
    clip: bool = True,
) -> Found:
    """Suppress within each slot, place the boxes in the frame, drop those of which nothing is left, keep the best."""
    rows: list[tuple[NDArray[np.float32], np.float32, int, int, NDArray[np.float32]]] = []
    found, truncated = 0, False
    for item, candidates in slots:
        truncated |= len(candidates.scores) > top_k
        survivors = nms(
            candidates.boxes,
            candidates.scores,
            candidates.class_ids,
            iou,
            index=candidates.source,
            agnostic=agnostic,
            top_k=top_k,
        )
        written = 0
        for survivor in survivors.tolist():
            corners = place.box(item, candidates.boxes[survivor], clip)
            if corners is None:
                continue
            found += 1
            if written == max_detections:
                truncated = True
                continue
            written += 1
            points = np.empty((0, 2), np.float32)
            if candidates.points is not None:
                mapped = [place.apply(item.to_frame, float(x), float(y)) for x, y in candidates.points[survivor]]
                points = np.array(mapped).astype(np.float32)
            score, class_id = candidates.scores[survivor], int(candidates.class_ids[survivor])
            rows.append((corners, score, class_id, item.item, points))
    return Found(
        np.array([row[0] for row in rows], np.float32).reshape(-1, 4),
        np.array([row[1] for row in rows], np.float32),
        np.array([row[2] for row in rows], np.int32),
        np.array([row[3] for row in rows], np.int32),
        np.stack([row[4] for row in rows]) if rows else np.empty((0, 0, 2), np.float32),
        found,
        truncated,
    )
