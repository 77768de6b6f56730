"""What described.py decodes the outputs of ONNX Runtime or LiteRT with: NumPy, as the networks' own repositories do it.

Each function gets the outputs by name, the decoder spec (for its thresholds) and the size of the network's input, and gives
what a task's results are compared with: boxes x1, y1, x2, y2 and points in pixels of the input, best score first; or arrays.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Outputs = dict[str, Array]
Usual = Callable[[Outputs, Any, tuple[int, int]], dict[str, Array]]


def kept(
    decoder: Any, boxes: Array, scores: Array, points: Array | None = None, classes: Array | None = None
) -> dict[str, Array]:
    """What is above the score and left by suppression within classes, best first."""
    chosen = np.flatnonzero(scores > decoder.score)
    chosen = chosen[np.argsort(-scores[chosen], kind="stable")]
    classes = np.zeros(len(scores), int) if classes is None else classes
    left: list[int] = []
    for index in chosen:
        x1, y1, x2, y2 = boxes[index]
        rivals = boxes[[k for k in left if classes[k] == classes[index]]].reshape(-1, 4)
        width = np.minimum(x2, rivals[:, 2]) - np.maximum(x1, rivals[:, 0])
        height = np.minimum(y2, rivals[:, 3]) - np.maximum(y1, rivals[:, 1])
        shared = width.clip(0) * height.clip(0)
        areas = (rivals[:, 2] - rivals[:, 0]) * (rivals[:, 3] - rivals[:, 1])
        if not (shared > decoder.iou * (areas + (x2 - x1) * (y2 - y1) - shared)).any():
            left.append(int(index))
    found = {"boxes": boxes[left], "scores": scores[left], "classes": classes[left]}
    return found if points is None else {**found, "points": points[left]}


def cells(side: tuple[int, int], stride: int) -> Array:
    columns, rows = side[0] // stride, side[1] // stride
    return np.stack(np.meshgrid(np.arange(columns), np.arange(rows)), axis=-1).reshape(-1, 2).astype(np.float64)


def by_stride(
    outputs: Outputs, net: tuple[int, int], per_cell: int, strides: tuple[int, ...] = (8, 16, 32)
) -> list[list[Array]]:
    """The outputs of each stride as (anchors, numbers), in the order of the file."""
    flat = [each.reshape(-1, each.shape[-1]).astype(np.float64) for each in outputs.values()]
    return [[each for each in flat if len(each) == (net[0] // s) * (net[1] // s) * per_cell] for s in strides]


def scrfd(outputs: Outputs, decoder: Any, net: tuple[int, int]) -> dict[str, Array]:
    boxes, scores, points = [], [], []
    for stride, parts in zip((8, 16, 32), by_stride(outputs, net, 2), strict=True):
        score, box, marks = sorted(parts, key=lambda each: each.shape[1])
        cell = cells(net, stride).repeat(2, axis=0) * stride
        box = box * stride
        boxes.append(np.concatenate([cell - box[:, :2], cell + box[:, 2:]], axis=1))
        points.append(cell[:, None] + marks.reshape(len(marks), -1, 2) * stride)
        scores.append(score.ravel())
    return kept(decoder, np.concatenate(boxes), np.concatenate(scores), np.concatenate(points))


def yunet(outputs: Outputs, decoder: Any, net: tuple[int, int]) -> dict[str, Array]:
    boxes, scores, points = [], [], []
    for stride in (8, 16, 32):
        cls, obj, box, marks = (
            outputs[f"{part}_{stride}"][0].astype(np.float64) for part in ("cls", "obj", "bbox", "kps")
        )
        cell = cells(net, stride)
        middle, half = (cell + box[:, :2]) * stride, np.exp(box[:, 2:]) * stride / 2
        boxes.append(np.concatenate([middle - half, middle + half], axis=1))
        points.append((cell[:, None] + marks.reshape(-1, 5, 2)) * stride)
        scores.append(np.sqrt(cls.clip(0, 1) * obj.clip(0, 1)).ravel())
    return kept(decoder, np.concatenate(boxes), np.concatenate(scores), np.concatenate(points))


def retinaface(outputs: Outputs, decoder: Any, net: tuple[int, int]) -> dict[str, Array]:
    box, conf, marks = (
        next(each[0] for each in outputs.values() if each.shape[-1] == n).astype(np.float64) for n in (4, 2, 10)
    )
    priors = []
    for stride, sizes in ((8, (16, 32)), (16, (64, 128)), (32, (256, 512))):
        middle = (cells(net, stride) + 0.5) * stride / net
        priors += [np.stack([np.concatenate([m, np.array([s, s]) / net]) for m in middle for s in sizes])]
    prior = np.concatenate(priors)
    middle = prior[:, :2] + box[:, :2] * 0.1 * prior[:, 2:]
    half = prior[:, 2:] * np.exp(box[:, 2:] * 0.2) / 2
    points = prior[:, None, :2] + marks.reshape(-1, 5, 2) * 0.1 * prior[:, None, 2:]
    return kept(
        decoder, np.concatenate([middle - half, middle + half], axis=1) * [*net, *net], conf[:, 1], points * net
    )


def planes(outputs: Outputs, net: tuple[int, int], stride: int) -> tuple[Array, Array]:
    """Scores (cells, classes) and box numbers (cells, 4 or 64) of a stride, of outputs (1, numbers, rows, columns)."""
    here = [each[0] for each in outputs.values() if each.shape[2:] == (net[1] // stride, net[0] // stride)]
    rows = [each.reshape(len(each), -1).T.astype(np.float64) for each in here]
    box = next(each for each in rows if each.shape[1] in (4, 64))
    return next(each for each in rows if each is not box), box


def rtmdet(outputs: Outputs, decoder: Any, net: tuple[int, int]) -> dict[str, Array]:
    boxes, scores, classes = [], [], []
    for stride in (8, 16, 32):
        logits, side = planes(outputs, net, stride)
        cell = cells(net, stride) * stride
        boxes.append(np.concatenate([cell - side[:, :2], cell + side[:, 2:]], axis=1))
        scores.append(1 / (1 + np.exp(-logits.max(axis=1))))
        classes.append(logits.argmax(axis=1))
    return kept(decoder, np.concatenate(boxes), np.concatenate(scores), classes=np.concatenate(classes))


def yolo_split(outputs: Outputs, decoder: Any, net: tuple[int, int]) -> dict[str, Array]:
    boxes, scores, classes = [], [], []
    for stride in (8, 16, 32):
        logits, raw = planes(outputs, net, stride)
        powers = np.exp(raw.reshape(-1, 4, 16))
        side = (powers / powers.sum(axis=-1, keepdims=True)) @ np.arange(16)
        cell = cells(net, stride) + 0.5
        boxes.append(np.concatenate([cell - side[:, :2], cell + side[:, 2:]], axis=1) * stride)
        scores.append(1 / (1 + np.exp(-logits.max(axis=1))))
        classes.append(logits.argmax(axis=1))
    return kept(decoder, np.concatenate(boxes), np.concatenate(scores), classes=np.concatenate(classes))


def nanodet(outputs: Outputs, decoder: Any, net: tuple[int, int]) -> dict[str, Array]:
    boxes, scores, classes = [], [], []
    for stride, parts in zip((8, 16, 32), by_stride(outputs, net, 1), strict=True):
        cls, raw = sorted(parts, key=lambda each: each.shape[1] == 32)
        powers = np.exp(raw.reshape(-1, 4, 8))
        side = (powers / powers.sum(axis=-1, keepdims=True)) @ np.arange(8) * stride
        cell = cells(net, stride) * stride + decoder.cell_offset * stride
        boxes.append(np.concatenate([cell - side[:, :2], cell + side[:, 2:]], axis=1))
        scores.append(cls.max(axis=1))
        classes.append(cls.argmax(axis=1))
    return kept(decoder, np.concatenate(boxes), np.concatenate(scores), classes=np.concatenate(classes))


FASTEST_ANCHORS = np.reshape(
    (12.64, 19.39, 37.88, 51.48, 55.71, 138.31, 126.91, 78.23, 131.57, 214.55, 279.92, 258.87), (2, 3, 2)
)


def yolofastestv2(outputs: Outputs, decoder: Any, net: tuple[int, int]) -> dict[str, Array]:
    rows = next(iter(outputs.values())).astype(np.float64)
    boxes, scores, classes, first = [], [], [], 0
    for stride, anchors in zip((16, 32), FASTEST_ANCHORS, strict=True):
        cell = cells(net, stride)
        here, first = rows[first : first + len(cell)], first + len(cell)
        for a, anchor in enumerate(anchors):
            raw = here[:, 4 * a : 4 * a + 4]
            middle, half = (raw[:, :2] * 2 - 0.5 + cell) * stride, (raw[:, 2:] * 2) ** 2 * anchor / 2
            boxes.append(np.concatenate([middle - half, middle + half], axis=1))
            scores.append(here[:, 12 + a] * here[:, 15:].max(axis=1))
            classes.append(here[:, 15:].argmax(axis=1))
    return kept(decoder, np.concatenate(boxes), np.concatenate(scores), classes=np.concatenate(classes))


def yolox(outputs: Outputs, decoder: Any, net: tuple[int, int]) -> dict[str, Array]:
    rows = next(iter(outputs.values()))[0].astype(np.float64)
    cell = np.concatenate([np.column_stack([cells(net, s), np.full(len(cells(net, s)), s)]) for s in (8, 16, 32)])
    middle, half = (rows[:, :2] + cell[:, :2]) * cell[:, 2:], np.exp(rows[:, 2:4]) * cell[:, 2:] / 2
    boxes = np.concatenate([middle - half, middle + half], axis=1)
    return kept(decoder, boxes, rows[:, 4] * rows[:, 5:].max(axis=1), classes=rows[:, 5:].argmax(axis=1))


def yolo_face(outputs: Outputs, decoder: Any, net: tuple[int, int]) -> dict[str, Array]:
    """YOLOv5-face: 4 numbers of the box, objectness, x and y of five points, the class."""
    rows = next(iter(outputs.values()))[0].astype(np.float64)
    boxes = np.concatenate([rows[:, :2] - rows[:, 2:4] / 2, rows[:, :2] + rows[:, 2:4] / 2], axis=1)
    return kept(decoder, boxes, rows[:, 4] * rows[:, 15], rows[:, 5:15].reshape(-1, 5, 2))


def mtcnn(outputs: Outputs, decoder: Any, net: tuple[int, int]) -> dict[str, Array]:
    """Outputs with the numbers last."""
    parts = {each.shape[-1]: each.reshape(-1, each.shape[-1]).astype(np.float64) for each in outputs.values()}
    columns = next(iter(outputs.values())).shape[2] if next(iter(outputs.values())).ndim == 4 else 1
    index = np.arange(len(parts[2]))
    corner = np.stack([index % columns, index // columns], axis=1) * 2.0
    side = np.array(net if len(index) == 1 else (12, 12))
    boxes = np.concatenate([corner, corner + side], axis=1) + parts[4] * [*side, *side]
    points = None
    if 10 in parts:
        points = corner[:, None] + parts[10].reshape(-1, 2, 5).transpose(0, 2, 1) * side
    return kept(decoder, boxes, parts[2][:, 1], points)


def posenet(outputs: Outputs, decoder: Any, net: tuple[int, int]) -> dict[str, Array]:
    """Outputs with the numbers last; offsets in pixels, y first."""
    heat, beside = (outputs[name][0].astype(np.float64) for name in decoder.tensors)
    rows, columns, count = heat.shape
    points, sure = [], heat.max(axis=(0, 1)) > 0  # a probability above a half
    for k in range(count):
        row, column = np.unravel_index(heat[..., k].argmax(), (rows, columns))
        # Of two places that a step of the quantised file lies between, either may be the best.
        rivals = np.argwhere(heat[..., k] > heat[row, column, k] - 0.16)
        sure[k] &= bool((np.abs(rivals - [row, column]).max(axis=1) <= 1).all())
        y = row * (net[1] - 1) / (rows - 1) + beside[row, column, k]
        x = column * (net[0] - 1) / (columns - 1) + beside[row, column, count + k]
        points.append((x, y))
    return {"points": np.array(points)[None], "sure": sure}


def one_face(outputs: Outputs, decoder: Any, net: tuple[int, int]) -> dict[str, Array]:
    """MediaPipe's full-range faces: one anchor a cell of 4 pixels; numbers in pixels of the input."""
    raw = next(each[0] for each in outputs.values() if each.shape[-1] == 16).astype(np.float64)
    logits = next(each[0] for each in outputs.values() if each.shape[-1] == 1).astype(np.float64)
    middle = (cells(net, 4) + 0.5) * 4
    centre, half = middle + raw[:, :2], raw[:, 2:4] / 2
    points = middle[:, None] + raw[:, 4:].reshape(-1, 6, 2)
    return kept(
        decoder, np.concatenate([centre - half, centre + half], axis=1), 1 / (1 + np.exp(-logits.ravel())), points
    )


def picture(outputs: Outputs, decoder: Any, _: tuple[int, int]) -> dict[str, Array]:
    values = next(iter(outputs.values()))[0]
    values = values if decoder.layout == "NHWC" else values.transpose(1, 2, 0)
    return {"picture": (np.clip(values * decoder.scale, 0, 255) + 0.5).astype(np.uint8)}


def age(outputs: Outputs, _: Any, __: tuple[int, int]) -> dict[str, Array]:
    (probabilities,) = outputs.values()
    return {"values": (probabilities.astype(np.float64) * np.arange(probabilities.shape[1])).sum(axis=1, keepdims=True)}


def best_class(outputs: Outputs, _: Any, __: tuple[int, int]) -> dict[str, Array]:
    (probabilities,) = outputs.values()
    order = np.argsort(-probabilities[0], kind="stable")
    return {"classes": order, "scores": probabilities[0, order]}


def unit_vector(outputs: Outputs, _: Any, __: tuple[int, int]) -> dict[str, Array]:
    (vector,) = outputs.values()
    return {"vectors": vector / np.linalg.norm(vector, axis=1, keepdims=True)}


def class_map(outputs: Outputs, _: Any, __: tuple[int, int]) -> dict[str, Array]:
    """Classes last."""
    return {"map": next(iter(outputs.values()))[0].argmax(axis=-1)}
