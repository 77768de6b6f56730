"""Families that find boxes without anchors: RTMDet, and the DETR family, which does not suppress."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from mnnlite.decoders.base import Detector
from mnnlite.decoders.options import option


@dataclass(frozen=True, kw_only=True)
class RtmDet(Detector):
    """RTMDet: classes and distances of each stride, planes (N, ., rows, columns) or rows (N, A, .); gives `Detections`.

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
    cell_offset: float = option(0.0, "number", "of an anchor's point in its cell, in strides", low=0, high=1)


@dataclass(frozen=True, kw_only=True)
class Detr(Detector):
    """The DETR family: scores (N, Q, C) and boxes (N, Q, 4), or one output (N, Q, 4 + C); gives `Detections`.

    Rows are the best of queries times classes. Nothing is suppressed: ``iou`` and ``nms`` have no effect.

    Notes
    -----
    Definition: `mnnlite.reference.decode.detr`. Sources: Carion et al. 2020; Zhao et al. 2023 (RT-DETR).
    """

    family: ClassVar[str] = "detr"

    score: float = option(0.5, "number", "boxes with a larger score are kept", low=0, high=1)
    activation: str = option(
        "sigmoid", "word", "of the scores; none: the network did it", choices=("sigmoid", "softmax", "none")
    )
    background: str = option(
        "none",
        "word",
        "a class that is no object: of softmax heads usually the last",
        choices=("none", "last", "first"),
    )
    boxes: str = option("middle", "word", "x, y, width, height, or x1, y1, x2, y2", choices=("middle", "corners"))
    units: str = option("relative", "word", "of boxes", choices=("relative", "pixels"))
