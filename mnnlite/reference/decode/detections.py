"""From candidates to detections, the same for all heads."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mnnlite.reference.decode import frame_box, instances
from mnnlite.reference.decode import nms as _nms

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Found(NamedTuple):
    """Rows of detections; points are (N, P, 2 or 3), x and y in pixels of the frame, P = 0 where the head has none."""

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    class_ids: NDArray[np.int32]
    items: NDArray[np.int32]
    points: NDArray[np.float32]
    found: int
    truncated: bool
    masks: tuple[instances.Cut, ...] = ()


class Candidates(NamedTuple):
    """What a head proposes for one slot, in network pixels; `source` says where in the head each comes from."""

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    class_ids: NDArray[np.int32]
    source: NDArray[np.int32]
    points: NDArray[np.float32] | None = None
    weights: NDArray[np.float32] | None = None  # of masks
    prototypes: NDArray[np.float32] | None = None

    @classmethod
    def of(
        cls, rows: list[tuple[list[float], float, int, int]], points: list[NDArray[np.float32]] | None = None
    ) -> Candidates:
        """From (box, score, class, source) of each."""
        return cls(
            np.array([row[0] for row in rows], np.float32).reshape(-1, 4),
            np.array([row[1] for row in rows], np.float32),
            np.array([row[2] for row in rows], np.int32),
            np.array([row[3] for row in rows], np.int32),
            None if points is None else np.array(points, np.float32),
        )


def emit(
    slots: list[tuple[frame_box.Item, Candidates]],
    *,
    score: float = 0.0,
    iou: float = 0.45,
    nms: str = "hard",
    sigma: float = 0.5,
    max_detections: int = 300,
    agnostic: bool = False,
    top_k: int = 1000,
    clip: bool = True,
    rotated: bool = False,
    overlap: str = "polygon",
) -> Found:
    """Suppress within each slot, place the boxes in the frame, drop those of which nothing is left, keep the best."""
    rows: list[tuple[NDArray[np.float32], np.float32, int, int, NDArray[np.float32]]] = []
    masks: list[instances.Cut] = []
    found, truncated = 0, False
    for item, candidates in slots:
        boxes, scores, class_ids, source, points, weights, prototypes = candidates
        truncated |= len(scores) > top_k
        if nms == "soft":
            index, now = _nms.soft(
                boxes, scores, class_ids, index=source, sigma=sigma, score=score, agnostic=agnostic, top_k=top_k
            )
            left = _nms.Survivors(index, now, boxes[index], None if points is None else points[index])
        elif nms == "weighted":
            left = _nms.weighted(
                boxes, scores, class_ids, iou, index=source, points=points, agnostic=agnostic, top_k=top_k
            )
        else:
            corners = points if rotated else None
            index = _nms.nms(
                boxes,
                scores,
                class_ids,
                iou,
                index=source,
                agnostic=agnostic,
                top_k=top_k,
                corners=corners,
                fast=nms == "fast",
                gaussian=overlap == "gaussian",
            )
            left = _nms.Survivors(index, scores[index], boxes[index], None if points is None else points[index])
        written = 0
        for n, survivor in enumerate(left.which.tolist()):
            corners_xyxy = frame_box.box(item, left.boxes[n], clip)
            if corners_xyxy is None:
                continue
            mask = None
            if written < max_detections and weights is not None and prototypes is not None:
                mask = instances.cut(item, prototypes, weights[survivor], left.boxes[n], corners_xyxy)
                if mask is None:
                    continue
            found += 1
            if written == max_detections:
                truncated = True
                continue
            written += 1
            if mask is not None:
                masks.append(mask)
            mapped = np.empty((0, 2), np.float32)
            if left.points is not None:
                mapped = left.points[n].copy()
                for point in mapped:
                    point[:2] = frame_box.apply(item.to_frame, float(point[0]), float(point[1]))
            rows.append((corners_xyxy, left.scores[n], int(class_ids[survivor]), item.item, mapped))
    return Found(
        np.array([row[0] for row in rows], np.float32).reshape(-1, 4),
        np.array([row[1] for row in rows], np.float32),
        np.array([row[2] for row in rows], np.int32),
        np.array([row[3] for row in rows], np.int32),
        np.stack([row[4] for row in rows]) if rows else np.empty((0, 0, 2), np.float32),
        found,
        truncated,
        tuple(masks),
    )
