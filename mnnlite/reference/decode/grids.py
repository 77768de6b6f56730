"""Heads over the grids of several strides: distances, distributions over distances, or middle and size.

Sources: insightface, detection/scrfd (SCRFD); opencv, modules/objdetect/src/face_detect.cpp postProcess (YuNet);
mmdetection, rtmdet_head.py (RTMDet); Li et al. 2020 (Generalized Focal Loss), equation 6, for distributions.
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


def mean_of(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """The mean of the distribution over the last axis, summed in its order."""
    powers = math.exp(logits - logits.max(axis=-1, keepdims=True))
    total, weighted = np.zeros(logits.shape[:-1], _F), np.zeros(logits.shape[:-1], _F)
    for k in range(logits.shape[-1]):
        total = total + powers[..., k]
        weighted = weighted + powers[..., k] * _F(k)
    return (weighted / total).astype(_F)


def _points(
    size: tuple[int, int], stride: float, offset: float, per_cell: int, planes: tuple[int, int] | None
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Where the anchors of a stride stand, and how far apart cells are, both x, y."""
    rows, columns = planes or (int(np.ceil(size[1] / stride)), int(np.ceil(size[0] / stride)))
    step = np.array([size[0] / columns, size[1] / rows] if planes else [stride, stride]).astype(_F)
    y, x = np.mgrid[0:rows, 0:columns]
    cells = np.stack([x, y], axis=-1).reshape(-1, 2).repeat(per_cell, axis=0).astype(_F)
    return (cells + _F(offset)) * step, step


def decode(
    parts: dict[str, Sequence[NDArray[np.float32]]],
    items: Sequence[Item],
    strides: Sequence[float],
    *,
    box: str = "distances",
    score: float = 0.5,
    offset: float = 0.0,
    per_cell: int = 1,
    pixels: bool = False,
    sigmoid: bool = False,
    point_values: int = 2,
    around: bool = False,
    planes: Sequence[tuple[int, int]] | None = None,
    prototypes: NDArray[np.float32] | None = None,
    **options: Any,
) -> Found:
    """Decode what the parts ``score``, ``box`` and, if there, ``objectness`` and ``points`` of each stride say.

    ``weights`` are coefficients of masks, of the (N, numbers, rows, columns) `prototypes`.

    Each is (N, anchors, numbers): anchors row by row, those of a cell side by side. ``box``: "distances" from the anchor's
    point, "distributions" over them, or "middle": x, y from the point and logarithms of width and height. Units are strides
    (pixels with `pixels`, of distances and points). With `around` points are ``cell + 2 raw`` from the cell's corner
    (ultralytics, nn/modules/head.py Pose.kpts_decode); the third of three `point_values` is the logit of a confidence. `planes` are the (rows, columns) where outputs say so themselves.
    """
    slots = []
    for slot, item in enumerate(items):
        boxes, scores, class_ids, marks = [], [], [], []
        for s, stride in enumerate(strides):
            points, step = _points(item.net_size, stride, offset, per_cell, planes[s] if planes else None)
            unit = np.ones(2, _F) if pixels else step
            classes = np.asarray(parts["score"][s][slot], _F)
            raw = np.asarray(parts["box"][s][slot], _F)
            if box == "distributions":
                raw = mean_of(raw.reshape(len(raw), 4, -1))
            if box == "middle":
                centre, half = points + raw[:, :2] * unit, math.exp(raw[:, 2:]) * unit * _F(0.5)
                boxes.append(np.concatenate([centre - half, centre + half], axis=1))
            else:
                boxes.append(np.concatenate([points - raw[:, :2] * unit, points + raw[:, 2:] * unit], axis=1))
            best = classes.max(axis=1)
            final = math.sigmoid(best) if sigmoid else best
            passing = best > (math.logit(score) if sigmoid else _F(score))
            if "objectness" in parts:
                objectness = np.asarray(parts["objectness"][s][slot], _F).reshape(-1)
                final = np.sqrt(np.clip(final, 0, 1) * np.clip(objectness, 0, 1)).astype(_F)
                passing &= final > _F(score)
            scores.append(np.where(passing, final, _F(-1)))
            class_ids.append(classes.argmax(axis=1))
            if "points" in parts:
                from_cell = np.asarray(parts["points"][s][slot], _F).reshape(len(points), -1, point_values)
                origin, reach = points, unit
                if around:
                    origin, _ = _points(item.net_size, stride, 0.0, per_cell, planes[s] if planes else None)
                    reach = unit * _F(2)
                placed = origin[:, None] + from_cell[..., :2] * reach
                marks.append(np.concatenate([placed, math.sigmoid(from_cell[..., 2:])], axis=2))
        value = np.concatenate(scores)
        index = np.flatnonzero(value >= 0)
        slots.append(
            (
                item,
                Candidates(
                    np.concatenate(boxes).astype(_F)[index],
                    value[index].astype(_F),
                    np.concatenate(class_ids)[index].astype(np.int32),
                    index.astype(np.int32),
                    np.concatenate(marks).astype(_F)[index] if marks else None,
                    None if prototypes is None else np.concatenate([each[slot] for each in parts["weights"]])[index],
                    None if prototypes is None else prototypes[slot],
                ),
            )
        )
    return emit(slots, score=score, **options)
