"""Families that find boxes, other than SSD and YOLO; and non-maximum suppression alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from mnnlite import _core
from mnnlite.decoders.base import Detector
from mnnlite.decoders.options import option
from mnnlite.errors import ArgumentError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class FastestDet(Detector):
    """FastestDet: (N, 5 + C, rows, columns), whose network activates objectness and classes; gives `Detections`.

    Notes
    -----
    Definition: `mnnlite.reference.decode.fastestdet`. Source: github.com/dog-qiuqiu/FastestDet.
    """

    family: ClassVar[str] = "fastestdet"

    score: float = option(0.5, "number", "boxes with a larger score are kept", low=0, high=1)


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class YoloFastestV2(Detector):
    """Yolo-FastestV2: two grids (N, rows, columns, 15 + C) that the network activates; gives `Detections`.

    Both grids may be one output, (N, cells, 15 + C) or (cells, 15 + C).

    Notes
    -----
    Definition: `mnnlite.reference.decode.yolofastestv2`. Source: github.com/dog-qiuqiu/Yolo-FastestV2.
    """

    family: ClassVar[str] = "yolofastestv2"

    score: float = option(0.3, "number", "boxes with a larger score are kept", low=0, high=1)
    anchors: tuple[float, ...] = option(
        (),
        "numbers",
        "width and height in network pixels, 3 per grid, finest grid first; empty: those of the COCO model",
    )
    layout: str = option(
        "NHWC", "word", "order of the outputs' axes; own: as the tensors say", choices=("NHWC", "NCHW", "own")
    )

    def _slots(self, arrays: Mapping[str, NDArray[Any]]) -> int:
        batched = 3 if len(arrays) == 1 else 4  # all grids as one output, or a grid each
        first = next(iter(arrays.values()))
        return 1 if first.ndim < batched else int(first.shape[0])


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class NanoDet(Detector):
    """NanoDet and NanoDet-Plus: one output (N, A, C + 4 (reg_max + 1)), or classes and distances of each stride.

    Gives `Detections`. The outputs of each stride may come in any order.

    Notes
    -----
    Definition: `mnnlite.reference.decode.nanodet`. Sources: Li et al. 2020, equation 6; github.com/RangiLyu/nanodet.
    """

    family: ClassVar[str] = "nanodet"

    score: float = option(0.4, "number", "boxes with a larger score are kept", low=0, high=1)
    iou: float = option(0.6, "number", "of two boxes that overlap more, the better is kept", low=0, high=1)
    strides: tuple[float, ...] = option((8.0, 16.0, 32.0, 64.0), "numbers", "strides of the grids, finest first")
    reg_max: int = option(7, "whole", "largest distance of a side, in strides", low=1, high=64)
    cell_offset: float = option(
        0.0,
        "number",
        "where in its cell the centre is, in strides: 0 for NanoDet-Plus, 0.5 for the first NanoDet",
        low=0,
        high=1,
    )
    sigmoid: bool = option(False, "flag", "class scores are logits")


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class CenterFace(Detector):
    """CenterFace and CenterNet: heat map, size, offset and landmarks (N, ., rows, columns); gives `Detections`.

    The last two outputs may be missing. In CenterFace, y comes before x in size and offset, and sizes are logarithms.

    Notes
    -----
    Definition: `mnnlite.reference.decode.centerface`. Sources: Xu et al. 2020, section 3.2; Zhou et al. 2019, section 4.
    """

    family: ClassVar[str] = "centerface"

    score: float = option(0.5, "number", "boxes with a larger score are kept", low=0, high=1)
    iou: float = option(0.3, "number", "of two boxes that overlap more, the better is kept", low=0, high=1)
    variant: str = option(
        "centerface",
        "word",
        "centernet: one heat map per class, sizes in cells, x before y, only local maxima count",
        choices=("centerface", "centernet"),
    )
    sigmoid: bool = option(False, "flag", "the heat map holds logits")
    peaks: bool | None = option(
        None, "flag", "only cells that no neighbour exceeds count; not given: as the variant says"
    )


def nms(
    boxes_xyxy: ArrayLike,
    scores: ArrayLike,
    class_ids: ArrayLike | None = None,
    iou: float = 0.45,
    *,
    agnostic: bool = False,
    top_k: int = 1 << 30,
) -> NDArray[np.int64]:
    """Greedy non-maximum suppression.

    Parameters
    ----------
    boxes_xyxy : (N, 4) float32
    scores : (N,) float32
    class_ids : (N,) int32, optional
        Boxes of different classes do not suppress each other, unless `agnostic`.
    iou : float in [0, 1]
        Of two boxes whose intersection over union is larger, the one with the larger score is kept, or the earlier one if
        the scores are equal.
    top_k : int
        Only so many of the best boxes enter the suppression.

    Returns
    -------
    (K,) int64
        The indices of the boxes that are kept, best first.

    Raises
    ------
    ArgumentError
        Shapes do not fit, or numbers are not finite.

    Notes
    -----
    Complexity O(N K). Definition: `mnnlite.reference.decode.nms`.
    """
    boxes = np.asarray(boxes_xyxy, np.float32)
    classes = np.zeros(len(boxes), np.int32) if class_ids is None else np.asarray(class_ids, np.int32)
    if not 0 <= iou <= 1 or top_k < 1:
        raise ArgumentError(f"wanted iou in [0, 1] and top_k of at least 1, got {iou} and {top_k}")
    kept: NDArray[np.int64] = _core.nms(boxes, np.asarray(scores, np.float32), classes, iou, agnostic, top_k)
    return kept
