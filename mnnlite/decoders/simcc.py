"""The family of key points from scores of columns and rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from mnnlite.decoders.base import Decoder
from mnnlite.decoders.options import option


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class SimCC(Decoder):
    """Key points of one body, from scores of columns (N, P, 2 W) and of rows (N, P, 2 H); gives `Keypoints`.

    Networks: RTMPose, RTMW, DWPose. Run them on crops of a detector's boxes for several bodies.

    Notes
    -----
    Definition: `mnnlite.reference.decode.simcc`. Sources: Li et al. 2022; mmpose, get_simcc_maximum.
    """

    family: ClassVar[str] = "simcc"
    _BATCHED_RANK: ClassVar[int] = 3

    confidence: str = option(
        "smaller",
        "word",
        "confidence of a point, from its largest column score and row score",
        choices=("smaller", "mean"),
    )
    score: float = option(0.0, "number", "rows with at least this mean confidence are kept", low=-1e30, high=1e30)
