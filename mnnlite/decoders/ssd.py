"""SSD: boxes, or deltas to anchors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from mnnlite.decoders.base import Detector
from mnnlite.decoders.options import option


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Ssd(Detector):
    """SSD: scores (N, A, C) and boxes (N, A, 4 + 2 points) in either order; gives `Detections`.

    Where both fit (four classes and no points), the first output is the scores.

    Notes
    -----
    Definition: `mnnlite.reference.decode.ssd`. Sources: Liu et al. 2016, section 2.2; MediaPipe,
    tensors_to_detections_calculator.cc and ssd_anchors_calculator.cc.
    """

    family: ClassVar[str] = "ssd"

    boxes: str = option(
        "corners",
        "word",
        "numbers of a box; corners: x1, y1, x2, y2; centers: x, y, width, height; deltas: to the anchors",
        choices=("corners", "centers", "deltas"),
    )
    order: str = option("xy", "word", "yx: y comes before x, and height before width", choices=("xy", "yx"))
    units: str = option("relative", "word", "unit of decoded boxes", choices=("relative", "pixels"))
    activation: str = option(
        "none", "word", "what turns the output into scores", choices=("none", "sigmoid", "softmax")
    )
    background: int = option(
        -1,
        "whole",
        "class that means no object; class ids leave it out; -1: there is no such class",
        low=-1,
        high=1 << 20,
    )
    multi_label: bool = option(
        False,
        "flag",
        "an anchor gives a box for every class with a larger score, suppressed within the class; false: for its best class only",
    )
    points: int = option(0, "whole", "key points that follow the numbers of a box", low=0, high=1024)
    anchors: tuple[float, ...] = option((), "numbers", "deltas: x, y, width, height of each anchor, relative")
    strides: tuple[float, ...] = option((), "numbers", "generate anchors: stride of each layer in network pixels")
    aspect_ratios: tuple[float, ...] = option((1.0,), "numbers", "generate anchors: width / height, in each layer")
    min_scale: float = option(0.2, "number", "generate anchors: size in the first layer, relative", low=0, high=10)
    max_scale: float = option(0.95, "number", "generate anchors: size in the last layer, relative", low=0, high=10)
    interpolated_aspect_ratio: float = option(
        1.0,
        "number",
        "generate anchors: width / height of one more per layer, between its size and the next; 0: no such anchor",
        low=0,
        high=100,
    )
    anchor_offset: float = option(0.5, "number", "generate anchors: where in its cell the centre is", low=-1, high=1)
    reduce_lowest_layer: bool = option(False, "flag", "generate anchors: only three in a cell of the first layer")
    fixed_anchor_size: bool = option(False, "flag", "generate anchors: width and height are 1")
    input_size: tuple[float, ...] = option(
        (), "numbers", "generate anchors: width and height of the input; empty: square"
    )
    variances: tuple[float, ...] = option((0.1, 0.1, 0.2, 0.2), "numbers", "deltas: factors of x, y, width, height")
    exponential: bool = option(True, "flag", "deltas: width and height are exponents")

    @classmethod
    def mediapipe_face(cls, **options: Any) -> Ssd:
        """Options of MediaPipe's short-range face detector: 896 anchors, 6 points, weighted suppression.

        Source: mediapipe/modules/face_detection/face_detection_short_range.pbtxt.
        """
        usual: dict[str, Any] = {
            "boxes": "deltas",
            "activation": "sigmoid",
            "points": 6,
            "strides": (8, 16, 16, 16),
            "fixed_anchor_size": True,
            "variances": (1 / 128,) * 4,
            "exponential": False,
            "nms": "weighted",
            "score": 0.5,
            "iou": 0.3,
        }
        return cls(**{**usual, **options})
