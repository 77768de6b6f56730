"""Families of face detectors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from mnnlite.decoders.base import Detector
from mnnlite.decoders.options import option


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Scrfd(Detector):
    """SCRFD: scores, boxes as distances and, optionally, points of each stride; gives `Detections`.

    Outputs are (N, A, 1), (N, A, 4) and (N, A, 2 points), with or without the batch, or planes (N, anchors * numbers, rows,
    columns). The strides may come in any order.

    Notes
    -----
    Definition: `mnnlite.reference.decode.grids`. Sources: Guo et al. 2021; insightface, detection/scrfd.
    """

    family: ClassVar[str] = "scrfd"

    score: float = option(0.5, "number", "boxes with a larger score are kept", low=0, high=1)
    iou: float = option(0.4, "number", "of two boxes that overlap more, the better is kept", low=0, high=1)
    strides: tuple[float, ...] = option((8.0, 16.0, 32.0), "numbers", "strides of the grids, finest first")
    per_cell: int = option(2, "whole", "anchors per cell", low=1, high=16)
    points: int = option(5, "whole", "points of each box, where there are outputs for them", low=1, high=1024)
    sigmoid: bool = option(False, "flag", "scores are logits")


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class YuNet(Detector):
    """YuNet: class, objectness, box and points of each stride, (N, A, 1), (N, A, 1), (N, A, 4), (N, A, 10).

    Gives `Detections`. The score is the root of class times objectness.

    Notes
    -----
    Definition: `mnnlite.reference.decode.grids`. Sources: Wu et al. 2023; opencv, modules/objdetect/src/face_detect.cpp.
    """

    family: ClassVar[str] = "yunet"

    score: float = option(0.9, "number", "boxes with a larger score are kept", low=0, high=1)
    iou: float = option(0.3, "number", "of two boxes that overlap more, the better is kept", low=0, high=1)
    strides: tuple[float, ...] = option((8.0, 16.0, 32.0), "numbers", "strides of the grids, finest first")
    points: int = option(5, "whole", "points of each box, where there are outputs for them", low=1, high=1024)


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class RetinaFace(Detector):
    """RetinaFace: boxes (N, A, 4), scores (N, A, 2) and, optionally, points (N, A, 2 points); gives `Detections`.

    The last axis tells the outputs apart. They may lack the batch axis.

    Notes
    -----
    Definition: `mnnlite.reference.decode.retinaface`. Sources: Deng et al. 2019; github.com/biubug6/Pytorch_Retinaface.
    """

    family: ClassVar[str] = "retinaface"
    _BATCHED_RANK: ClassVar[int] = 3

    score: float = option(0.5, "number", "boxes with a larger score are kept", low=0, high=1)
    iou: float = option(0.4, "number", "of two boxes that overlap more, the better is kept", low=0, high=1)
    strides: tuple[float, ...] = option((8.0, 16.0, 32.0), "numbers", "strides of the grids, finest first")
    min_sizes: tuple[float, ...] = option(
        (16.0, 32.0, 64.0, 128.0, 256.0, 512.0), "numbers", "sides of the priors in pixels, equally many per stride"
    )
    activation: str = option(
        "none", "word", "activation of the scores; softmax where the network leaves it out", choices=("none", "softmax")
    )


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Mtcnn(Detector):
    """MTCNN: scores (2 numbers), boxes (4) and, optionally, landmarks (2 per point); gives `Detections`.

    The outputs of the first network are (N, numbers, rows, columns): each cell is a window of the picture. It runs once for
    each size that faces may have, as a task with its own `ImageSpec.size`. The outputs of the other networks are (N, numbers)
    for one window, the whole input. They run on crops of the boxes that the network before has found.

    Notes
    -----
    Definition: `mnnlite.reference.decode.mtcnn`. Source: Zhang et al. 2016.
    """

    family: ClassVar[str] = "mtcnn"

    score: float = option(0.6, "number", "boxes with a larger score are kept", low=0, high=1)
    iou: float = option(0.5, "number", "of two boxes that overlap more, the better is kept", low=0, high=1)
    window: float = option(12.0, "number", "side of a cell's window, in pixels of the input", low=1, high=16384)
    stride: float = option(
        2.0, "number", "distance from one window to the next, in pixels of the input", low=1, high=4096
    )
    activation: str = option("none", "word", "what turns the outputs into scores", choices=("none", "softmax"))
    layout: str = option("own", "word", "order of the outputs' axes", choices=("own", "NCHW", "NHWC"))
