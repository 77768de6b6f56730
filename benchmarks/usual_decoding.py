"""The usual decoding of some networks by NumPy and OpenCV, as the networks' own repositories do it; without mnnlite."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Found = tuple[Array, Array]  # (N, values) in network pixels, (N,) scores


def sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def suppress(boxes: Array, scores: Array, classes: Array, score: float, iou: float) -> Found:
    """OpenCV's suppression per class; boxes are x1, y1, x2, y2 and maybe more after these."""
    chosen = scores > score
    boxes, scores, classes = boxes[chosen], scores[chosen], classes[chosen]
    sides = np.column_stack([boxes[:, :2], boxes[:, 2:4] - boxes[:, :2]])
    kept = (
        np.array(cv2.dnn.NMSBoxesBatched(sides, scores, classes, score, iou), int) if len(boxes) else np.zeros(0, int)
    )
    kept = kept[np.argsort(-scores[kept], kind="stable")]
    return np.column_stack([boxes[kept], classes[kept]]), scores[kept]


def corners(center_x: Array, center_y: Array, width: Array, height: Array) -> Array:
    return np.column_stack([center_x - width / 2, center_y - height / 2, center_x + width / 2, center_y + height / 2])


def fastestdet(outputs: dict[str, Array]) -> Found:
    head = next(iter(outputs.values()))[0]
    rows, columns = head.shape[1:]
    y, x = np.mgrid[:rows, :columns]
    best = head[5:].max(axis=0)
    score = head[0] ** 0.6 * best**0.4
    boxes = corners(
        (x + np.tanh(head[1])).ravel() / columns * 352,
        (y + np.tanh(head[2])).ravel() / rows * 352,
        sigmoid(head[3]).ravel() * 352,
        sigmoid(head[4]).ravel() * 352,
    )
    return suppress(boxes, score.ravel(), head[5:].argmax(axis=0).ravel(), 0.5, 0.45)


def yolov8(outputs: dict[str, Array]) -> Found:
    rows = next(iter(outputs.values()))[0].T
    return suppress(corners(*rows[:, :4].T), rows[:, 4:].max(axis=1), rows[:, 4:].argmax(axis=1), 0.2, 0.45)


def yolox(outputs: dict[str, Array]) -> Found:
    rows = next(iter(outputs.values()))[0]
    grids, steps = [], []
    for stride in (8, 16, 32):
        y, x = np.mgrid[: 416 // stride, : 416 // stride]
        grids.append(np.column_stack([x.ravel(), y.ravel()]))
        steps.append(np.full(x.size, stride))
    grid, step = np.concatenate(grids), np.concatenate(steps)[:, None]
    center, size = (rows[:, :2] + grid) * step, np.exp(rows[:, 2:4]) * step
    scores = rows[:, 4:5] * rows[:, 5:]
    return suppress(corners(*center.T, *size.T), scores.max(axis=1), scores.argmax(axis=1), 0.1, 0.45)


def centerface(outputs: dict[str, Array]) -> Found:
    heat, scale, offset, marks = (each[0] for each in outputs.values())
    y, x = np.nonzero(heat[0] > 0.5)
    height, width = np.exp(scale[0, y, x]) * 4, np.exp(scale[1, y, x]) * 4
    center_y, center_x = (y + offset[0, y, x] + 0.5) * 4, (x + offset[1, y, x] + 0.5) * 4
    boxes = corners(center_x, center_y, width, height)
    points = np.stack([marks[[1, 3, 5, 7, 9]][:, y, x] * width, marks[[0, 2, 4, 6, 8]][:, y, x] * height], axis=2)
    points += np.stack([center_x - width / 2, center_y - height / 2], axis=1)
    everything = np.column_stack([boxes, points.transpose(1, 0, 2).reshape(len(x), 10)])
    return suppress(everything, heat[0, y, x], np.zeros(len(x), int), 0.5, 0.3)


def rfb320(outputs: dict[str, Array]) -> Found:
    boxes, scores = sorted((each[0] for each in outputs.values()), key=lambda each: -each.shape[1])
    return suppress(boxes * [320, 240, 320, 240], scores[:, 1], np.zeros(len(scores), int), 0.7, 0.3)


def landmarks(outputs: dict[str, Array], values: int, confidence: bool) -> Found:
    rows = outputs_of_size(outputs, values)
    return rows[:, :2].reshape(1, -1), sigmoid(rows[:, -1]).mean(keepdims=True) if confidence else np.ones(1)


def outputs_of_size(outputs: dict[str, Array], values: int) -> Array:
    largest = max((each for each in outputs.values() if each.shape[1] != 64 and each.size < 5000), key=lambda a: a.size)
    return largest.reshape(-1, values)


def heat_maps(outputs: dict[str, Array]) -> Found:
    (maps,) = (each[0] for each in outputs.values() if each.shape[1] == 64)
    found = []
    for heat in maps.transpose(2, 0, 1):
        y, x = np.unravel_index(heat.argmax(), heat.shape)
        dx = dy = 0.0
        if 0 < x < 63:
            dx = 0.25 * np.sign(heat[y, x + 1] - heat[y, x - 1])
        if 0 < y < 63:
            dy = 0.25 * np.sign(heat[y + 1, x] - heat[y - 1, x])
        found.append([(x + 0.5 + dx) * 4, (y + 0.5 + dy) * 4])
    return np.reshape(found, (1, -1)), np.array([maps.max(axis=(0, 1)).mean()])
