"""Exports of the YOLO families against what their exporter's own post-processing finds: every row, and no row more.

The networks are not part of the repository, see `helpers.shared`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mnnlite
from helpers import shared
from mnnlite import decoders, results

SIZE = (256, 192)
# With how the exporter suppresses: 0.6 within classes, at most 300 rows.
NMS: dict[str, Any] = {"iou": 0.6, "max_detections": 300, "top_k": 30000, "score": 0.0}
END2END: dict[str, Any] = {"version": "end2end", "score": 0.0}
TURNED: dict[str, Any] = {**NMS, "rotated": True, "overlap": "gaussian", "nms": "fast"}
POSE: dict[str, Any] = {"points": 17, "point_values": 3}
SPECS: dict[str, dict[str, Any]] = {
    "yolov5n": NMS,
    "yolov8n": NMS,
    "yolov8n-pose": {**NMS, **POSE},
    "yolov8n-seg": {**NMS, "masks": True},
    "yolo11n-seg": {**NMS, "masks": True},
    "yolov8n-obb": TURNED,
    "yolo26n-e2e": END2END,
    "yolo26n-pose-e2e": {**END2END, **POSE},
    "yolo26n-seg-e2e": {**END2END, "masks": True},
}


def outputs_of(checkout: Path, name: str) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Outputs of the network on the golden's input, and the golden."""
    folder = shared.models(checkout) / "ultralytics"
    golden = dict(np.load(folder / f"{name}.golden.npz"))
    with mnnlite.Model(folder / f"{name}.mnn", precision="high") as model:
        (inputs,) = model.inputs
        return model.run({inputs: golden["input"][None]}), golden


def box_iou(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(N, M): intersection over union of each of `a` with each of `b`."""
    low, high = np.maximum(a[:, None, :2], b[:, :2]), np.minimum(a[:, None, 2:4], b[:, 2:4])
    both = np.clip(high - low, 0, None).prod(axis=2)
    areas = [np.clip(each[:, 2:4] - each[:, :2], 0, None).prod(axis=1) for each in (a, b)]
    return both / np.maximum(areas[0][:, None] + areas[1] - both, 1e-9)


def clipped(boxes: np.ndarray) -> np.ndarray:
    return np.clip(boxes[:, :4], 0, [*SIZE, *SIZE])


def matched(found: results.Results, boxes: np.ndarray, scores: np.ndarray, class_ids: np.ndarray) -> np.ndarray:
    """For each row of the golden the row that was found: of its class, IoU >= 0.99, score within 0.001; one to one."""
    assert len(found) == len(boxes)
    fits = box_iou(clipped(boxes), found.boxes_xyxy) >= 0.99  # type: ignore[attr-defined]
    fits &= np.abs(scores[:, None] - found.scores) <= 1e-3
    fits &= class_ids[:, None] == found.class_ids
    best = np.where(fits, np.abs(scores[:, None] - found.scores), np.inf).argmin(axis=1)
    assert fits.any(axis=1).all()
    assert len(set(best.tolist())) == len(boxes)
    return best


@pytest.mark.parametrize("name", sorted(SPECS))
def test_every_row_of_the_golden_and_no_row_more(name: str, checkout: Path) -> None:
    outputs, golden = outputs_of(checkout, name)
    spec = decoders.Yolo(**{**SPECS[name], "score": float(golden["conf"])})
    found = spec.decode(outputs, SIZE)
    if "obb" in golden:
        rows, corners = golden["obb"], golden["corners"]
        boxes = np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1)
        which = matched(found, boxes, rows[:, 5], rows[:, 6])
        distance = np.abs(found.points[which][:, :, None] - corners[:, None]).max(axis=-1)
        assert distance.min(axis=2).max() < 0.1  # corner by corner, whichever is first
        return
    rows = golden["boxes"]
    which = matched(found, rows, rows[:, 4], rows[:, 5])
    if "keypoints" in golden:
        inside = np.clip(found.points[which][..., :2], 0, SIZE)  # the exporter cuts them to the picture
        np.testing.assert_allclose(inside, golden["keypoints"][..., :2], atol=0.1)
        np.testing.assert_allclose(found.points[which][..., 2], golden["keypoints"][..., 2], atol=1e-3)
    if "masks" in golden:
        assert isinstance(found, results.Instances)
        masks = np.unpackbits(golden["masks"], axis=2, count=SIZE[0]).astype(bool)
        for index, mask in zip(which.tolist(), masks, strict=True):
            mine = found.over_frame(index)
            assert (mine & mask).sum() / (mine | mask).sum() >= 0.98
            assert found.areas[index] == mine.sum()


def test_the_class_map_of_a_semantic_network(checkout: Path) -> None:
    outputs, golden = outputs_of(checkout, "yolo26n-sem")
    found = decoders.Segmentation(mode="classes", background=-1).decode(outputs, SIZE)
    assert (found.class_map() == golden["classes"]).mean() >= 0.999


def test_the_probabilities_of_a_classifier(checkout: Path) -> None:
    outputs, golden = outputs_of(checkout, "yolov8n-cls")
    found = decoders.Classification(top_k=7, activation="none").decode(outputs, SIZE)
    np.testing.assert_allclose(found.scores, golden["probs"][found.class_ids], atol=1e-3)
    assert len(found) == len(golden["probs"])
