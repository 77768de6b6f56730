"""Yolo-FastestV2: github.com/dog-qiuqiu/Yolo-FastestV2, model/detector.py (export), sample/ncnn/src/yolo-fastestv2.cpp."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from mnnlite.reference.decode.detections import Candidates, Found, emit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from mnnlite.reference.decode.frame_box import Item

_F = np.float32
COCO_ANCHORS = (12.64, 19.39, 37.88, 51.48, 55.71, 138.31, 126.91, 78.23, 131.57, 214.55, 279.92, 258.87)


def decode(
    outputs: Sequence[NDArray[np.float32]],
    items: Sequence[Item],
    *,
    score: float = 0.3,
    anchors: Sequence[float] = COCO_ANCHORS,
    **options: Any,
) -> Found:
    """Grids (N, rows, columns, 12 + 3 + C), activated: ``xy = (2 raw - 0.5 + cell) stride``, ``wh = (2 raw)^2 anchor``.

    One output (N, cells, 12 + 3 + C) holds the grids at strides 16 and 32 one after another.

    ``score = objectness * class``; classes are those of the cell. Candidates count grid by grid, cell by cell.
    """
    if outputs[0].ndim == 3:
        width, height = items[0].net_size
        (whole,), outputs, first = outputs, [], 0
        for level in range(len(anchors) // 6):
            rows, columns = height // (16 << level), width // (16 << level)
            outputs.append(whole[:, first : first + rows * columns].reshape(len(whole), rows, columns, -1))
            first += rows * columns
    sizes = np.asarray(anchors, _F).reshape(len(outputs), 3, 2)
    slots = []
    for slot, item in enumerate(items):
        boxes, scores, ids, sources = [], [], [], []
        first = 0
        for i, output in enumerate(outputs):
            head = np.asarray(output[slot], _F)
            rows, columns = head.shape[:2]
            rank = sorted(range(len(outputs)), key=lambda k: (-outputs[k].shape[2], k)).index(i)
            stride = np.array([item.net_size[0] / columns, item.net_size[1] / rows]).astype(_F)
            cell = np.stack(np.meshgrid(np.arange(columns), np.arange(rows)), axis=-1).astype(_F)[:, :, None]
            raw = head[..., :12].reshape(rows, columns, 3, 4)
            centre = (raw[..., :2] * _F(2) - _F(0.5) + cell) * stride
            double = raw[..., 2:] * _F(2)
            half = double * double * sizes[rank] * _F(0.5)
            final = head[..., 12:15] * head[..., 15:].max(axis=-1, keepdims=True)
            classes = np.broadcast_to(head[..., 15:].argmax(axis=-1)[..., None], final.shape)
            index = np.flatnonzero(final > _F(score))
            boxes.append(np.concatenate([centre - half, centre + half], axis=-1).reshape(-1, 4)[index])
            scores.append(final.ravel()[index])
            ids.append(classes.ravel()[index])
            sources.append(first + index)
            first += final.size
        slots.append(
            (
                item,
                Candidates(
                    np.concatenate(boxes).astype(_F),
                    np.concatenate(scores),
                    np.concatenate(ids).astype(np.int32),
                    np.concatenate(sources).astype(np.int32),
                ),
            )
        )
    return emit(slots, score=score, **options)
