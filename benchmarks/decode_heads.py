"""Cases of decode.py: masks of instances, and the heads that exporters and tool chains leave without post-processing."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np

from mnnlite import decoders

Array = np.ndarray[Any, Any]


def suppressed(cv2: Any, boxes: Array, scores: Array, ids: Array, score: float, iou: float) -> Array:
    """Give indices of what OpenCV keeps of x1, y1, x2, y2 boxes."""
    xywh = boxes.copy()
    xywh[:, 2:] -= xywh[:, :2]
    return np.asarray(cv2.dnn.NMSBoxesBatched(xywh, scores, ids, score, iou))


def as_many(found: Any, usual: Any) -> None:
    assert len(found) == len(usual[0]) > 0, (len(found), len(usual[0]))
    np.testing.assert_allclose(np.sort(found.scores), np.sort(usual[1]), atol=1e-5)


def masks(cv2: Any, rng: np.random.Generator) -> SimpleNamespace:
    """50 objects of a -seg export at 1080p, each proposed 8 times."""
    width, height, objects = 1920, 1080, 50
    head = (rng.random((1, 116, 8400)) ** 4 * 0.2).astype(np.float32)
    prototypes = np.stack([
        cv2.resize(rng.normal(size=(12, 12)).astype(np.float32), (160, 160), interpolation=cv2.INTER_CUBIC) for _ in range(32)
    ])[None]  # fmt: skip
    cells = np.stack(np.meshgrid(np.arange(10), np.arange(5)), axis=-1).reshape(-1, 2)
    centres = (cells + rng.uniform(0.35, 0.65, (objects, 2))) * [width / 10, height / 5]
    sizes = np.exp(rng.uniform(np.log(60), np.log(400), (objects, 2)))
    which = np.repeat(np.arange(objects), 8)
    where = rng.choice(8400, len(which), replace=False)
    head[0, :4, where] = np.concatenate([centres, sizes], axis=1)[which] * rng.normal(1, 0.005, (len(which), 4))
    head[0, 4 + which % 80, where] = rng.uniform(0.5, 0.95, len(which))
    head[0, 84:] = rng.normal(size=(32, 8400))
    head[0, 84:, where] = rng.normal(size=(objects, 32))[which]

    def usual() -> tuple[Array, Array, list[Array]]:
        out = head[0]
        best = out[4:84].max(axis=0)
        keep = np.flatnonzero(best > 0.25)
        ids = out[4:84, keep].argmax(axis=0)
        boxes = out[:4, keep].T.copy()
        boxes[:, :2] -= boxes[:, 2:] / 2
        boxes[:, 2:] += boxes[:, :2]
        left = suppressed(cv2, boxes, best[keep], ids, 0.25, 0.45)
        boxes = boxes[left].clip(0, [width, height, width, height])
        # The exporter's process_mask_native: all masks, enlarged to the frame, cut to the boxes, compared.
        small = (out[84:, keep[left]].T @ prototypes[0].reshape(32, -1)).reshape(-1, 160, 160)
        made = []
        for mask, (x1, y1, x2, y2) in zip(small, np.ceil(boxes).astype(int), strict=True):
            whole = np.zeros((height, width), np.bool_)
            large = cv2.resize(mask, (width, height), interpolation=cv2.INTER_LINEAR)
            np.greater(large[y1:y2, x1:x2], 0, out=whole[y1:y2, x1:x2])
            made.append(whole)
        return boxes, best[keep][left], made

    def same(found: Any, usual: Any) -> None:
        filled = [mask for mask in usual[2] if mask.any()]
        assert len(found) == len(filled), (len(found), len(filled))
        order = np.argsort(-usual[1], kind="stable")
        for index, k in enumerate(k for k in order if usual[2][k].any()):
            mine = found.over_frame(index)
            assert (mine & usual[2][k]).sum() >= 0.98 * (mine | usual[2][k]).sum()

    return SimpleNamespace(
        name="masks", spec=decoders.Yolo(masks=True), outputs={"y": head, "p": prototypes}, frame=(width, height),
        usual=usual, same=same, goal="8x: 50 objects at 1080p",
    )  # fmt: skip


def _grid(side: int, stride: int) -> Array:
    n = side // stride
    return np.stack(np.meshgrid(np.arange(n), np.arange(n)), axis=-1).reshape(-1, 2).astype(np.float32)


def split(cv2: Any, rng: np.random.Generator) -> SimpleNamespace:
    """The outputs of each stride as NPU tool chains cut them, at 640."""
    outputs: dict[str, Array] = {}
    for stride in (8, 16, 32):
        n = 640 // stride
        outputs[f"box{stride}"] = rng.normal(size=(1, 64, n, n)).astype(np.float32)
        scores = (rng.random((1, 80, n * n)) ** 4 * 0.2).astype(np.float32)
        scores[0, rng.integers(0, 80, n), rng.choice(n * n, n, replace=False)] = rng.uniform(0.4, 0.9, n)
        outputs[f"cls{stride}"] = scores.reshape(1, 80, n, n)
    bins = np.arange(16, dtype=np.float32)

    def usual() -> tuple[Array, Array]:
        boxes, scores, ids = [], [], []
        for stride in (8, 16, 32):
            classes = outputs[f"cls{stride}"].reshape(80, -1)
            best = classes.max(axis=0)
            keep = np.flatnonzero(best > 0.25)
            logits = outputs[f"box{stride}"].reshape(64, -1)[:, keep].reshape(4, 16, -1)
            powers = np.exp(logits - logits.max(axis=1, keepdims=True))
            sides = (np.tensordot(bins, powers, (0, 1)) / powers.sum(axis=1)).T
            cell = _grid(640, stride)[keep] + 0.5
            boxes.append(np.concatenate([cell - sides[:, :2], cell + sides[:, 2:]], axis=1) * stride)
            scores.append(best[keep])
            ids.append(classes[:, keep].argmax(axis=0))
        box, score = np.concatenate(boxes), np.concatenate(scores)
        left = suppressed(cv2, box, score, np.concatenate(ids), 0.25, 0.45)
        return box[left], score[left]

    return SimpleNamespace(
        name="split", spec=decoders.Yolo("split"), outputs=outputs, frame=(640, 640), usual=usual, same=as_many, goal=""
    )


def scrfd(cv2: Any, rng: np.random.Generator) -> SimpleNamespace:
    outputs: dict[str, Array] = {}
    for stride in (8, 16, 32):
        anchors = (640 // stride) ** 2 * 2
        outputs[f"score{stride}"] = (rng.random((1, anchors, 1)) * 0.3).astype(np.float32)
        outputs[f"score{stride}"][0, rng.choice(anchors, 20, replace=False)] = rng.uniform(0.6, 0.95, (20, 1))
        outputs[f"box{stride}"] = rng.uniform(0.5, 4, (1, anchors, 4)).astype(np.float32)
        outputs[f"kps{stride}"] = rng.normal(size=(1, anchors, 10)).astype(np.float32)

    def usual() -> tuple[Array, Array, Array]:
        boxes, scores, points = [], [], []
        for stride in (8, 16, 32):
            score = outputs[f"score{stride}"].reshape(-1)
            keep = np.flatnonzero(score > 0.5)
            cell = _grid(640, stride).repeat(2, axis=0)[keep] * stride
            raw = outputs[f"box{stride}"][0, keep] * stride
            boxes.append(np.concatenate([cell - raw[:, :2], cell + raw[:, 2:]], axis=1))
            points.append(cell[:, None] + outputs[f"kps{stride}"][0, keep].reshape(-1, 5, 2) * stride)
            scores.append(score[keep])
        box, score = np.concatenate(boxes), np.concatenate(scores)
        left = suppressed(cv2, box, score, np.zeros(len(box), int), 0.5, 0.4)
        return box[left], score[left], np.concatenate(points)[left]

    return SimpleNamespace(
        name="scrfd", spec=decoders.Scrfd(), outputs=outputs, frame=(640, 640), usual=usual, same=as_many, goal=""
    )


def detr(_: Any, rng: np.random.Generator) -> SimpleNamespace:
    logits = rng.normal(-6, 1.5, (1, 300, 80)).astype(np.float32)
    boxes = rng.uniform(0.2, 0.8, (1, 300, 4)).astype(np.float32) * [1, 1, 0.3, 0.3]
    logits[0, np.arange(40), rng.integers(0, 80, 40)] = rng.uniform(0.5, 4, 40)
    outputs = {"logits": logits, "boxes": boxes.astype(np.float32)}

    def usual() -> tuple[Array, Array]:
        scores = 1 / (1 + np.exp(-logits[0]))
        top = np.argsort(-scores.ravel())[:300]
        top = top[scores.ravel()[top] > 0.5]
        box = outputs["boxes"][0, top // 80]
        placed = np.concatenate([box[:, :2] - box[:, 2:] / 2, box[:, :2] + box[:, 2:] / 2], axis=1) * 640
        return placed, scores.ravel()[top]

    return SimpleNamespace(
        name="detr", spec=decoders.Detr(), outputs=outputs, frame=(640, 640), usual=usual, same=as_many, goal=""
    )


def simcc(_: Any, rng: np.random.Generator) -> SimpleNamespace:
    x, y = rng.random((1, 133, 576)).astype(np.float32), rng.random((1, 133, 768)).astype(np.float32)

    def usual() -> tuple[Array, Array]:
        points = np.stack([x[0].argmax(axis=1), y[0].argmax(axis=1)], axis=1) / 2.0
        return points, np.minimum(x[0].max(axis=1), y[0].max(axis=1))

    def same(found: Any, usual: Any) -> None:
        np.testing.assert_allclose(found.points[0, :, :2], usual[0])

    return SimpleNamespace(
        name="simcc", spec=decoders.SimCC(), outputs={"x": x, "y": y}, frame=(288, 384), usual=usual, same=same, goal=""
    )


def depth(cv2: Any, rng: np.random.Generator) -> SimpleNamespace:
    values = rng.random((1, 1, 256, 512)).astype(np.float32)

    def same(found: Any, usual: Array) -> None:
        np.testing.assert_allclose(found.maps[0][0], usual, atol=1e-4)

    return SimpleNamespace(
        name="depth", spec=decoders.Maps(size="frame"), outputs={"y": values}, frame=(1920, 1080), same=same, goal="1x",
        usual=lambda: cv2.resize(values[0, 0], (1920, 1080), interpolation=cv2.INTER_LINEAR),
    )  # fmt: skip


CASES: dict[str, Callable[[Any, np.random.Generator], SimpleNamespace]] = {
    case.__name__: case for case in (masks, split, scrfd, detr, simcc, depth)
}
