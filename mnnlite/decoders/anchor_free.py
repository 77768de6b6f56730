"""Families that find boxes without anchors: RTMDet, and the DETR family, which needs no suppression."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from mnnlite.decoders.base import Detector
from mnnlite.decoders.options import option


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class RtmDet(Detector):
    """RTMDet: classes and distances of each stride, as planes (N, ., rows, columns) or rows (N, A, .); gives `Detections`.

    Notes
    -----
    Definition: `mnnlite.reference.decode.grids`. Sources: Lyu et al. 2022; mmdetection, rtmdet_head.py.
    """

    family: ClassVar[str] = "rtmdet"

    score: float = option(0.3, "number", "boxes with a larger score are kept", low=0, high=1)
    iou: float = option(0.65, "number", "of two boxes that overlap more, the better is kept", low=0, high=1)
    strides: tuple[float, ...] = option((8.0, 16.0, 32.0), "numbers", "strides of the grids, finest first")
    sigmoid: bool = option(True, "flag", "class scores are logits")
    in_strides: bool = option(False, "flag", "distances are in strides, not in pixels")
    cell_offset: float = option(0.0, "number", "where in its cell an anchor's point is, in strides", low=0, high=1)


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Detr(Detector):
    """The DETR family: scores (N, Q, C) and boxes (N, Q, 4), or one output (N, Q, 4 + C); gives `Detections`.

    The outputs may lack the batch axis. Rows are the best pairs of a query and a class. Nothing is suppressed: ``iou`` and
    ``nms`` have no effect.

    Notes
    -----
    Definition: `mnnlite.reference.decode.detr`. Sources: Carion et al. 2020; Zhao et al. 2023 (RT-DETR).
    """

    family: ClassVar[str] = "detr"
    _BATCHED_RANK: ClassVar[int] = 3

    score: float = option(0.5, "number", "boxes with a larger score are kept", low=0, high=1)
    activation: str = option(
        "sigmoid",
        "word",
        "activation of the scores; none: the network applies its own",
        choices=("sigmoid", "softmax", "none"),
    )
    background: str = option(
        "none",
        "word",
        "which class means no object; for softmax heads it is usually the last",
        choices=("none", "last", "first"),
    )
    boxes: str = option(
        "middle",
        "word",
        "numbers of a box; middle: x, y, width, height; corners: x1, y1, x2, y2",
        choices=("middle", "corners"),
    )
    units: str = option("relative", "word", "unit of the boxes", choices=("relative", "pixels"))
