"""What the decoder tests share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mnnlite import decoders
from mnnlite.reference.decode.frame_box import Item

if TYPE_CHECKING:
    from mnnlite import results
    from mnnlite.reference.decode import detections


class Letterbox:
    """What decoders use of an ImageSpec."""

    def __init__(self, size, fit="letterbox", anchor="center", multiple=0):
        self.size, self.fit, self.anchor, self.multiple = size, fit, anchor, multiple


QUAD = np.array([[1.5, 0.2, -30], [-0.1, 1.2, 5], [1e-4, 0, 1]])


def items_for(image, frame_size, n):
    placed = decoders.batch_item(image, frame_size)
    return [Item(placed.to_frame, placed.net_size, placed.frame_size, slot) for slot in range(n)]


def logit(p):
    return np.log(p / (1 - p))


def same_detections(got: results.Results, want: detections.Found, score_tolerance=0.0, point_tolerance=0.0):
    np.testing.assert_array_equal(got.class_ids, want.class_ids)
    np.testing.assert_array_equal(got.items, want.items)
    np.testing.assert_allclose(got.boxes_xyxy, want.boxes, atol=point_tolerance, rtol=0)
    np.testing.assert_allclose(got.scores, want.scores, atol=score_tolerance, rtol=0)
    assert (got.found, got.truncated) == (want.found, want.truncated)
    if want.points.size:
        np.testing.assert_allclose(got.points, want.points, atol=point_tolerance, rtol=0)


# Boxes in network pixels that lie apart, for encoding and decoding: x1, y1, x2, y2 with class and score.
BOXES = np.array([(30, 40, 120, 200), (200, 100, 260, 140), (5, 230, 95, 300), (150, 180, 310, 315)], np.float64)
CLASSES = np.array([2, 0, 3, 1])
SCORES = np.array([0.9, 0.8, 0.7, 0.6])
NET = (320, 320)


def check_boxes(found, scale=(1, 1), boxes=BOXES, tolerance=1e-3):
    """The boxes above, in pixels of a frame `scale` times as large, and nothing else."""
    assert len(found) == len(boxes)
    np.testing.assert_allclose(found.boxes_xyxy, boxes * np.tile(scale, 2), atol=tolerance)
    np.testing.assert_array_equal(found.class_ids, CLASSES[: len(boxes)])
    np.testing.assert_allclose(found.scores, SCORES[: len(boxes)], atol=1e-5)
