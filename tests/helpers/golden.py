"""Results against what an exporter's own post-processing found."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

import mnnlite

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


def overlap(first: NDArray[np.float32], second: NDArray[np.float32]) -> NDArray[np.float64]:
    """(N, M) intersection over union of boxes x1, y1, x2, y2."""
    a, b = first.astype(np.float64)[:, None], second.astype(np.float64)[None]
    sides = np.minimum(a[..., 2:4], b[..., 2:4]) - np.maximum(a[..., :2], b[..., :2])
    both = np.clip(sides, 0, None).prod(-1)
    area_a, area_b = (np.clip(each[..., 2:4] - each[..., :2], 0, None).prod(-1) for each in (a, b))
    return both / np.maximum(area_a + area_b - both, 1e-9)


def matched(boxes: NDArray[np.float32], classes: NDArray[np.int32], golden: NDArray[np.float32]) -> list[int]:
    """For each golden row (x1 y1 x2 y2 score class) the row that is it: of its class, IoU of at least 0.99, each once."""
    shared = overlap(golden, boxes)
    shared[golden[:, 5].astype(int)[:, None] != classes[None]] = 0
    found: list[int] = []
    for row in shared:
        row[found] = 0
        best = int(row.argmax())
        assert row[best] >= 0.99, f"no row for golden row {len(found)}: the best has IoU {row[best]:.3f}"
        found.append(best)
    return found


def compare(
    path: Path, rgb: NDArray[np.uint8], wanted: dict[str, NDArray[Any]], outputs: dict[str, NDArray[Any]] | None = None
) -> int:
    """Run a network by its path alone on its picture; its results have to be the golden's: the number of rows.

    The golden's thresholds are put in, nothing else. With `outputs` these are decoded, not the network's own.
    """
    with mnnlite.Task(path) as task:
        spec = task.spec
    if "conf" in wanted and "classes" not in wanted and "depth" not in wanted:
        spec = replace(spec, decoder=replace(spec.decoder, score=float(wanted["conf"]), iou=0.6))
    if "probs" in wanted:
        spec = replace(spec, decoder=replace(spec.decoder, top_k=len(wanted["probs"])))
    if outputs is not None:
        found = spec.decoder.decode(outputs, (rgb.shape[1], rgb.shape[0]))
    else:
        with mnnlite.Task(spec) as task:
            found = task(rgb, "RGB")
    if "probs" in wanted:
        assert len(found) == len(wanted["probs"])
        assert np.abs(found.scores - wanted["probs"][found.class_ids]).max() <= 1e-3
        return len(found)
    if "depth" in wanted:
        assert np.abs(found.maps[0][0] - wanted["depth"]).max() <= 1e-3 * np.abs(wanted["depth"]).max()
        return len(found)
    if "classes" in wanted:
        agree = float((found.class_map() == wanted["classes"]).mean())
        assert agree >= 0.999, f"{agree:.5f} of the map"
        return len(found)
    frame = (rgb.shape[1], rgb.shape[0])
    if "obb" in wanted:
        corners = wanted["corners"]
        hulls = np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1)
        hulls = np.clip(hulls, 0, [*frame, *frame])
        rows = np.concatenate([hulls, wanted["obb"][:, 5:7]], axis=1).astype(np.float32)
    else:
        rows = wanted["boxes"]
    which = matched(found.boxes_xyxy, found.class_ids, rows)
    assert len(found) == len(rows), f"{len(found)} rows for {len(rows)}"
    assert np.abs(found.scores[which] - rows[:, 4]).max(initial=0) <= 1e-3
    if "obb" in wanted:
        distance = np.abs(found.points[which][:, :, None] - corners[:, None]).max(axis=-1)
        assert distance.min(axis=2).max() <= 0.1  # corner by corner, whichever is first
    if "keypoints" in wanted:
        # The exporter moves points outside the picture to its edge; here they stay where the network sees them.
        points = found.points[which]
        assert np.abs(np.clip(points[..., :2], 0, frame) - wanted["keypoints"][..., :2]).max() <= 0.1
        assert np.abs(points[..., 2] - wanted["keypoints"][..., 2]).max() <= 1e-3
    if "masks" in wanted:
        masks = np.unpackbits(wanted["masks"], axis=-1, count=int(wanted["mask_shape"][-1])).astype(bool)
        for index, mask in zip(which, masks, strict=True):
            mine = found.over_frame(index)
            shared = (mine & mask).sum() / max((mine | mask).sum(), 1)
            assert shared >= 0.98, f"mask of row {index}: IoU {shared:.3f}"
    return len(found)
