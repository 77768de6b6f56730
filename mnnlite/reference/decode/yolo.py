"""The YOLO family.

Sources: Redmon and Farhadi 2018, section 2.1 (v3); ultralytics yolov5, models/yolo.py Detect; deepcam-cn yolov5-face for
points between objectness and classes; ultralytics, nn/modules/head.py Detect, Pose, OBB (v8); Ge et al. 2021 (YOLOX);
WongKinYiu/yolov7, models/experimental.py ONNX_ORT, and THU-MIG/yolov10, nn/modules/head.py (end2end).
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
COCO_ANCHORS = (10, 13, 16, 30, 33, 23, 30, 61, 62, 45, 59, 119, 116, 90, 156, 198, 373, 326)


def _corners(centre: NDArray[np.float32], extent: NDArray[np.float32]) -> NDArray[np.float32]:
    half = extent * _F(0.5)
    return np.concatenate([centre - half, centre + half], axis=-1).astype(_F)


def _select(
    boxes: NDArray[np.float32],
    final: NDArray[np.float32],
    class_ids: NDArray[np.intp],
    passing: NDArray[np.bool_],
    points: NDArray[np.float32] | None = None,
) -> Candidates:
    index = np.flatnonzero(passing)
    return Candidates(
        boxes[index],
        final[index].astype(_F),
        class_ids[index].astype(np.int32),
        index.astype(np.int32),
        None if points is None else points[index].astype(_F),
    )


def _size(item: Item, units: str) -> NDArray[np.float32]:
    return np.array(item.net_size if units == "relative" else (1, 1), _F)


def decode_v8(
    output: NDArray[np.float32],
    items: Sequence[Item],
    *,
    score: float = 0.25,
    activation: str = "none",
    units: str = "pixels",
    points: int = 0,
    point_values: int = 2,
    rotated: bool = False,
    **options: Any,
) -> Found:
    """(N, 4 + C + extra, A): box centre and size, class scores, then points or an angle; no objectness."""
    slots = []
    for head, item in zip(np.asarray(output, _F), items, strict=False):
        extra = 1 if rotated else points * point_values
        scores = head[4 : len(head) - extra]
        class_ids, best = scores.argmax(axis=0), scores.max(axis=0)
        size = _size(item, units)
        boxes = _corners(head[:2].T, head[2:4].T) * np.tile(size, 2)
        marks = None
        if points:
            marks = head[len(head) - extra :].T.reshape(-1, points, point_values).copy()
            marks[..., :2] *= size
        if rotated:
            angle = head[-1].astype(np.float64)
            sides = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)])
            w, h = head[2].astype(np.float64) / 2, head[3].astype(np.float64) / 2
            x = head[0] + sides[:, :1] * (w * np.cos(angle)) - sides[:, 1:] * (h * np.sin(angle))
            y = head[1] + sides[:, :1] * (w * np.sin(angle)) + sides[:, 1:] * (h * np.cos(angle))
            marks = (np.stack([x, y], axis=-1).transpose(1, 0, 2) * size).astype(_F)
            boxes = np.concatenate([marks.min(axis=1), marks.max(axis=1)], axis=1)
        cut = math.logit(score) if activation == "sigmoid" else _F(score)
        final = math.sigmoid(best) if activation == "sigmoid" else best
        slots.append((item, _select(boxes, final, class_ids, best > cut, marks)))
    return emit(slots, score=score, rotated=rotated, **options)


def decode_flat(
    output: NDArray[np.float32],
    items: Sequence[Item],
    *,
    score: float = 0.25,
    units: str = "pixels",
    points: int = 0,
    point_values: int = 2,
    **options: Any,
) -> Found:
    """(N, A, 5 + points + C) with placed boxes: score = objectness * class."""
    slots = []
    for head, item in zip(np.asarray(output, _F), items, strict=False):
        size = _size(item, units)
        first = 5 + points * point_values
        class_ids, best = head[:, first:].argmax(axis=1), head[:, first:].max(axis=1)
        final = head[:, 4] * best
        marks = None
        if points:
            marks = head[:, 5:first].reshape(-1, points, point_values).copy()
            marks[..., :2] *= size
        boxes = _corners(head[:, :2], head[:, 2:4]) * np.tile(size, 2)
        slots.append((item, _select(boxes, final, class_ids, (head[:, 4] > _F(score)) & (final > _F(score)), marks)))
    return emit(slots, score=score, **options)


def decode_grids(
    outputs: Sequence[NDArray[np.float32]],
    items: Sequence[Item],
    *,
    version: str = "v5",
    score: float = 0.25,
    anchors: Sequence[float] = COCO_ANCHORS,
    **options: Any,
) -> Found:
    """Raw grids (N, anchors (5 + C), rows, columns) or (N, anchors, rows, columns, 5 + C), the finest grid's anchors first.

    v3: ``xy = (sigmoid + cell) stride``, ``wh = exp * anchor``. v5: ``xy = (2 sigmoid - 0.5 + cell) stride``,
    ``wh = (2 sigmoid)^2 * anchor``. Candidates count output by output, anchor by anchor, row by row.
    """
    per_grid = len(anchors) // 2 // len(outputs)
    areas = [o.shape[2] * o.shape[3] for o in outputs]
    sizes = np.asarray(anchors, _F).reshape(len(outputs), per_grid, 2)
    slots = []
    for slot, item in enumerate(items):
        heads, boxes = [], []
        for i, output in enumerate(outputs):
            rank = sorted(range(len(outputs)), key=lambda k: (-areas[k], k)).index(i)
            raw = np.asarray(output[slot], _F)
            if raw.ndim == 3:
                raw = raw.reshape(per_grid, -1, *raw.shape[1:]).transpose(0, 2, 3, 1)
            rows, columns = raw.shape[1:3]
            stride = np.array([item.net_size[0] / columns, item.net_size[1] / rows]).astype(_F)
            cell = np.stack(np.meshgrid(np.arange(columns), np.arange(rows)), axis=-1).astype(_F)
            if version == "v3":
                centre = (math.sigmoid(raw[..., :2]) + cell) * stride
                extent = math.exp(raw[..., 2:4]) * sizes[rank][:, None, None]
            else:
                centre = (math.sigmoid(raw[..., :2]) * _F(2) - _F(0.5) + cell) * stride
                double = math.sigmoid(raw[..., 2:4]) * _F(2)
                extent = double * double * sizes[rank][:, None, None]
            heads.append(raw.reshape(-1, raw.shape[-1]))
            boxes.append(_corners(centre, extent).reshape(-1, 4))
        head, box = np.concatenate(heads), np.concatenate(boxes)
        class_ids, best = head[:, 5:].argmax(axis=1), head[:, 5:].max(axis=1)
        final = math.sigmoid(head[:, 4]) * math.sigmoid(best)
        passing = (head[:, 4] > math.logit(score)) & (final > _F(score))
        slots.append((item, _select(box, final, class_ids, passing)))
    return emit(slots, score=score, **options)


def decode_yolox(
    output: NDArray[np.float32],
    items: Sequence[Item],
    *,
    score: float = 0.25,
    strides: Sequence[float] = (8, 16, 32),
    **options: Any,
) -> Found:
    """(N, cells, 5 + C): ``xy = (raw + cell) stride``, ``wh = exp(raw) stride``; scores activated by the network."""
    slots = []
    for head, item in zip(np.asarray(output, _F), items, strict=False):
        cells, steps = [], []
        for stride in strides:
            columns, rows = int(item.net_size[0] / stride), int(item.net_size[1] / stride)
            y, x = np.mgrid[0:rows, 0:columns]
            cells.append(np.stack([x, y], axis=-1).reshape(-1, 2))
            steps.append(np.full((rows * columns, 1), stride))
        cell, step = np.concatenate(cells).astype(_F), np.concatenate(steps).astype(_F)
        boxes = _corners((head[:, :2] + cell) * step, math.exp(head[:, 2:4]) * step)
        class_ids, best = head[:, 5:].argmax(axis=1), head[:, 5:].max(axis=1)
        final = head[:, 4] * best
        slots.append((item, _select(boxes, final, class_ids, (head[:, 4] > _F(score)) & (final > _F(score)))))
    return emit(slots, score=score, **options)


def decode_end2end(
    output: NDArray[np.float32],
    items: Sequence[Item],
    *,
    score: float = 0.25,
    columns: str = "",
    units: str = "pixels",
    **options: Any,
) -> Found:
    """Rows of corners, score and class that the network suppressed itself; `columns` says what they hold."""
    raw = np.asarray(output, _F)
    names = columns or ("bxyxycs" if raw.shape[-1] == 7 else "xyxysc")
    listed = "b" in names or raw.ndim == 2
    xy = [i for i, name in enumerate(names) if name in "xy"]
    slots = []
    for slot, item in enumerate(items):
        rows = raw.reshape(-1, len(names)) if listed else raw[slot].reshape(-1, len(names))
        passing = rows[:, names.index("s")] > _F(score)
        if "b" in names:
            passing &= rows[:, names.index("b")] == slot
        boxes = rows[:, xy] * np.tile(_size(item, units), 2)
        class_ids = rows[:, names.index("c")].astype(np.intp)
        slots.append((item, _select(boxes.astype(_F), rows[:, names.index("s")], class_ids, passing)))
    return emit(slots, score=score, **{**options, "iou": 1.0, "nms": "hard"})
