"""The YOLO family."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from mnnlite.decoders.base import Detector
from mnnlite.decoders.options import option


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Yolo(Detector):
    """The YOLO family; gives `Detections`, `Keypoints` for points with confidences, or `Instances` for masks.

    ``v8`` (also v9, v11) is (N, 4 + C, A) or its transpose, with boxes x, y, width, height in network pixels.
    ``v5`` (also v7 and heads derived from it) is flat (N, A, 5 + C) with decoded boxes, or the raw grids of all strides,
    (N, anchors (5 + C), rows, columns) or (N, anchors, rows, columns, 5 + C). ``v3`` is the same, but its raw boxes are
    decoded by another formula. ``yolox`` is flat (N, A, 5 + C) with boxes relative to cells. ``end2end`` is rows that the
    network has suppressed, (N, K, 6), (K, 6) or (K, 7) with the slot first; points or coefficients of masks may follow.
    ``split`` is v8 before its boxes are decoded, as tool chains of NPUs cut it. For each stride it has distributions
    (4 ``bins``), classes and, optionally, the sum of the classes, as planes or rows, and may have points, or coefficients of
    masks with prototypes. Or it has rows (N, A, 4 ``bins`` + C) of all strides, and (N, A, numbers) of points.

    With ``masks``, the prototypes are summed, weighted by the coefficients of a box. The sum is enlarged to the frame and cut
    to the box, and the mask is where it is larger than 0. Only masks of boxes that are kept are computed. Boxes whose mask
    has no pixel are dropped.

    Notes
    -----
    Definition: `mnnlite.reference.decode.yolo`. Sources: Redmon and Farhadi 2018; ultralytics yolov5 models/yolo.py and
    ultralytics nn/modules/head.py; Ge et al. 2021; WongKinYiu/yolov7 models/experimental.py.
    """

    family: ClassVar[str] = "yolo"
    _BATCHED_RANK: ClassVar[int] = 3

    version: str = field(
        default="v8",
        kw_only=False,
        metadata={
            "type": "word",
            "doc": "how the outputs are laid out; v9 and v11 are v8, v7 is v5, v10 is end2end",
            "low": None,
            "high": None,
            "choices": ("v3", "v5", "v8", "yolox", "end2end", "split"),
            "native": True,
        },
    )
    activation: str = option(
        "usual",
        "word",
        "activation of scores and of the numbers of raw grids; usual: sigmoid for raw grids, none for the others",
        choices=("usual", "none", "sigmoid"),
    )
    units: str = option("pixels", "word", "unit of boxes that the network decoded", choices=("pixels", "relative"))
    point_units: str = option(
        "boxes",
        "word",
        "unit of points; boxes: that of the boxes; pixels: also beside relative boxes, as in TFLite exports of poses",
        choices=("boxes", "pixels"),
    )
    points: int = option(
        0,
        "whole",
        "points of each box; v8 has them after the classes, v5 between objectness and classes",
        low=0,
        high=1024,
    )
    point_values: int = option(2, "whole", "numbers per point: x, y or x, y, confidence", low=2, high=3)
    rotated: bool = option(
        False,
        "flag",
        "v8, end2end: the last number is the box's angle in radians; the corners of the box become its points",
    )
    overlap: str = option(
        "polygon",
        "word",
        "overlap of rotated boxes; polygon: their shared area; gaussian: ProbIoU, which their trainer uses, with nms fast",
        choices=("polygon", "gaussian"),
    )
    masks: bool = option(
        False,
        "flag",
        "v8, v5, end2end: the last numbers are coefficients of a mask, and a second output holds prototypes "
        "(N, ., rows, columns); split: outputs of their own",
    )
    mask_room: float = option(
        8.0,
        "number",
        "MiB that the masks of an item may take; one mask of the whole frame always fits",
        low=0,
        high=1024,
    )
    channels: str = option(
        "auto", "word", "v8: which axis holds 4 + C; auto: the shorter one", choices=("auto", "last", "first")
    )
    anchors: tuple[float, ...] = option(
        (),
        "numbers",
        "raw grids: width and height in network pixels, finest grid first; empty: those of the COCO models",
    )
    strides: tuple[float, ...] = option(
        (8.0, 16.0, 32.0), "numbers", "yolox, split: strides of the grids, finest first"
    )
    bins: int = option(16, "whole", "split: bins of the distribution of each side; 1: plain distances", low=1, high=64)
    columns: str = option(
        "",
        "text",
        "end2end: the first columns of a row, a letter each: x y x y or x y w h, s score, c class, b slot, a angle; empty: "
        "xyxysc, bxyxycs or xywhsca",
    )
