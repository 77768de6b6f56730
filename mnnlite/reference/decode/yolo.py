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


def _turned(
    cx: NDArray[np.float32],
    cy: NDArray[np.float32],
    width: NDArray[np.float32],
    height: NDArray[np.float32],
    angle: NDArray[np.float32],
    size: NDArray[np.float32],
) -> NDArray[np.float32]:
    """(N, 4, 2): top-left, top-right, bottom-right, bottom-left of boxes before they are turned by their angle."""
    turn = angle.astype(np.float64)
    sides = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)])
    w, h = width.astype(np.float64) / 2, height.astype(np.float64) / 2
    x = cx + sides[:, :1] * (w * np.cos(turn)) - sides[:, 1:] * (h * np.sin(turn))
    y = cy + sides[:, :1] * (w * np.sin(turn)) + sides[:, 1:] * (h * np.cos(turn))
    return (np.stack([x, y], axis=-1).transpose(1, 0, 2) * size).astype(_F)


def _select(
    boxes: NDArray[np.float32],
    final: NDArray[np.float32],
    class_ids: NDArray[np.intp],
    passing: NDArray[np.bool_],
    points: NDArray[np.float32] | None = None,
    weights: NDArray[np.float32] | None = None,
    prototypes: NDArray[np.float32] | None = None,
) -> Candidates:
    index = np.flatnonzero(passing)
    return Candidates(
        boxes[index],
        final[index].astype(_F),
        class_ids[index].astype(np.int32),
        index.astype(np.int32),
        None if points is None else points[index].astype(_F),
        None if weights is None else weights[index].astype(_F),
        prototypes,
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
    point_units: str = "boxes",
    points: int = 0,
    point_values: int = 2,
    rotated: bool = False,
    prototypes: NDArray[np.float32] | None = None,
    **options: Any,
) -> Found:
    """(N, 4 + C + extra, A): box centre and size, class scores, then points, an angle or coefficients of masks."""
    slots = []
    for slot, (head, item) in enumerate(zip(np.asarray(output, _F), items, strict=False)):
        masks = None if prototypes is None else prototypes[slot]
        extra = 1 if rotated else points * point_values if masks is None else len(masks)
        scores = head[4 : len(head) - extra]
        class_ids, best = scores.argmax(axis=0), scores.max(axis=0)
        size = _size(item, units)
        boxes = _corners(head[:2].T, head[2:4].T) * np.tile(size, 2)
        marks = None
        if points:
            marks = head[len(head) - extra :].T.reshape(-1, points, point_values).copy()
            marks[..., :2] *= _size(item, units if point_units == "boxes" else point_units)
        if rotated:
            marks = _turned(head[0], head[1], head[2], head[3], head[-1], size)
            boxes = np.concatenate([marks.min(axis=1), marks.max(axis=1)], axis=1)
        cut = math.logit(score) if activation == "sigmoid" else _F(score)
        final = math.sigmoid(best) if activation == "sigmoid" else best
        weights = None if masks is None else head[len(head) - extra :].T
        slots.append((item, _select(boxes, final, class_ids, best > cut, marks, weights, masks)))
    return emit(slots, score=score, rotated=rotated, **options)


def decode_flat(
    output: NDArray[np.float32],
    items: Sequence[Item],
    *,
    score: float = 0.25,
    units: str = "pixels",
    point_units: str = "boxes",
    points: int = 0,
    point_values: int = 2,
    prototypes: NDArray[np.float32] | None = None,
    **options: Any,
) -> Found:
    """(N, A, 5 + points + C) with placed boxes, and coefficients of masks: score = objectness * class."""
    slots = []
    for slot, (head, item) in enumerate(zip(np.asarray(output, _F), items, strict=False)):
        masks = None if prototypes is None else prototypes[slot]
        size = _size(item, units)
        first, end = 5 + points * point_values, head.shape[1] - (0 if masks is None else len(masks))
        class_ids, best = head[:, first:end].argmax(axis=1), head[:, first:end].max(axis=1)
        final = head[:, 4] * best
        marks = None
        if points:
            marks = head[:, 5:first].reshape(-1, points, point_values).copy()
            marks[..., :2] *= _size(item, units if point_units == "boxes" else point_units)
        boxes = _corners(head[:, :2], head[:, 2:4]) * np.tile(size, 2)
        slots.append(
            (
                item,
                _select(
                    boxes,
                    final,
                    class_ids,
                    (head[:, 4] > _F(score)) & (final > _F(score)),
                    marks,
                    None if masks is None else head[:, end:],
                    masks,
                ),
            )
        )
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
    point_units: str = "boxes",
    points: int = 0,
    point_values: int = 2,
    rotated: bool = False,
    prototypes: NDArray[np.float32] | None = None,
    **options: Any,
) -> Found:
    """Rows of box, score and class that the network suppressed itself, then points or coefficients of masks.

    `columns` says what they begin with: x y x y corners, or x y w h middle and size with the angle a of turned boxes.
    """
    raw = np.asarray(output, _F)
    more = points * point_values + (0 if prototypes is None else prototypes.shape[1])
    names = columns or ("xywhsca" if rotated else "bxyxycs" if raw.shape[-1] - more == 7 else "xyxysc")
    listed = "b" in names or raw.ndim == 2
    box = [i for i, name in enumerate(names) if name in "xywh"]
    slots = []
    for slot, item in enumerate(items):
        rows = raw.reshape(-1, raw.shape[-1]) if listed else raw[slot].reshape(-1, raw.shape[-1])
        passing = rows[:, names.index("s")] > _F(score)
        if "b" in names:
            passing &= rows[:, names.index("b")] == slot
        size, four = _size(item, units), rows[:, box]
        marks = None
        if rotated:
            marks = _turned(four[:, 0], four[:, 1], four[:, 2], four[:, 3], rows[:, names.index("a")], size)
            boxes = np.concatenate([marks.min(axis=1), marks.max(axis=1)], axis=1)
        else:
            boxes = (_corners(four[:, :2], four[:, 2:]) if "w" in names else four) * np.tile(size, 2)
        if points:
            marks = rows[:, len(names) : len(names) + points * point_values].reshape(-1, points, point_values).copy()
            marks[..., :2] *= _size(item, units if point_units == "boxes" else point_units)
        class_ids = rows[:, names.index("c")].astype(np.intp)
        masks = None if prototypes is None else prototypes[slot]
        weights = None if masks is None else rows[:, rows.shape[1] - len(masks) :]
        slots.append(
            (item, _select(boxes.astype(_F), rows[:, names.index("s")], class_ids, passing, marks, weights, masks))
        )
    return emit(slots, score=score, rotated=rotated, **{**options, "iou": 1.0, "nms": "hard"})
