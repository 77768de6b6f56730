"""The YOLO family."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from mnnlite.decoders.base import Detector
from mnnlite.decoders.options import option


@dataclass(frozen=True, kw_only=True)
class Yolo(Detector):
    """The YOLO family; gives `Detections`, `Keypoints` for points with confidences, or `Instances` for masks.

    ``v8`` (also v9, v11): (N, 4 + C, A) or its transpose, boxes x, y, width, height in network pixels.
    ``v5`` (also v7 and heads made of it): flat (N, A, 5 + C) with placed boxes, or the raw grids of all strides,
    (N, anchors (5 + C), rows, columns) or (N, anchors, rows, columns, 5 + C). ``v3``: the same, with its own boxes.
    ``yolox``: flat (N, A, 5 + C) with boxes relative to cells. ``end2end``: rows that the network suppressed itself,
    (N, K, 6), (K, 6) or (K, 7) with the slot first, then points or coefficients of masks. ``split``: v8 before its boxes
    are placed, as tool chains of NPUs cut it: distributions (4 ``bins``), classes and, if there, their sum of each stride,
    planes or rows, with points or with coefficients of masks and prototypes; or rows (N, A, 4 ``bins`` + C) of all strides, and
    (N, A, numbers) of points.

    With ``masks`` a box's mask is where the sum of the prototypes, weighted by its coefficients, is larger than 0, enlarged
    to the frame and cut to the box. Only masks of boxes that are kept are computed. Boxes whose mask has no pixel are
    dropped.

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
        "of scores, and of the numbers of raw grids; usual: sigmoid for raw grids, none for the others",
        choices=("usual", "none", "sigmoid"),
    )
    units: str = option("pixels", "word", "of boxes that the network placed", choices=("pixels", "relative"))
    point_units: str = option(
        "boxes",
        "word",
        "as those of boxes, or pixels beside relative boxes: TFLite exports of poses",
        choices=("boxes", "pixels"),
    )
    points: int = option(
        0, "whole", "points of each box: v8 after the classes, v5 between objectness and classes", low=0, high=1024
    )
    point_values: int = option(2, "whole", "numbers a point: x, y or x, y, confidence", low=2, high=3)
    rotated: bool = option(
        False, "flag", "v8, end2end: the last number is the box's angle in radians; points are its corners"
    )
    overlap: str = option(
        "polygon",
        "word",
        "of turned boxes: shared area, or gaussian: ProbIoU, what their trainer suppresses by, with nms fast",
        choices=("polygon", "gaussian"),
    )
    masks: bool = option(
        False,
        "flag",
        "v8, v5, end2end: coefficients of a mask are last, prototypes (N, ., rows, columns) a second output",
    )
    mask_room: float = option(8.0, "number", "MiB of masks per item, at least one whole frame", low=0, high=1024)
    channels: str = option(
        "auto", "word", "v8: which axis holds 4 + C; auto: the shorter one", choices=("auto", "last", "first")
    )
    anchors: tuple[float, ...] = option(
        (), "numbers", "raw grids: width, height in network pixels, finest grid first; empty: the COCO models'"
    )
    strides: tuple[float, ...] = option(
        (8.0, 16.0, 32.0), "numbers", "yolox, split: strides of the grids, finest first"
    )
    bins: int = option(16, "whole", "split: numbers of a side's distribution; 1: plain distances", low=1, high=64)
    columns: str = option(
        "",
        "text",
        "end2end: what a row begins with, of x y x y or x y w h, s score, c class, b slot, a angle; empty: xyxysc, "
        "bxyxycs or xywhsca",
    )
