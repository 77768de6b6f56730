"""Families that need no search for boxes: class scores, key points, measurements, embeddings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from mnnlite.decoders.base import Decoder, Named
from mnnlite.decoders.options import option


@dataclass(frozen=True, kw_only=True)
class Classification(Named):
    """Class scores: (N, C), also with trailing axes of 1; gives `Classes`, best first.

    Notes
    -----
    Definition: `mnnlite.reference.decode.classification`.
    """

    family: ClassVar[str] = "classification"

    activation: str = option(
        "softmax",
        "word",
        "what turns the output into scores; sigmoid: several classes at once; none: the network does it",
        choices=("softmax", "sigmoid", "none"),
    )
    top_k: int = option(5, "whole", "classes per item; the best are kept", low=1, high=(1 << 31) - 1)
    score: float = option(0.0, "number", "classes with at least this score are kept", low=-1e30, high=1e30)


@dataclass(frozen=True, kw_only=True)
class Keypoints(Decoder):
    """Key points: a heat map each, (N, P, rows, columns), or their numbers, (N, P * values); gives `Keypoints`.

    With ``mode="offsets"`` a second output holds offsets, (N, 2 P, rows, columns), as PoseNet gives them for one body.

    Notes
    -----
    Definition: `mnnlite.reference.decode.keypoints`. Sources: Zhang et al. 2020 (DARK), Xiao et al. 2018, Papandreou et al. 2018.
    """

    family: ClassVar[str] = "keypoints"

    mode: str = option(
        "heatmap",
        "word",
        "what the output is; offsets: heat maps, and maps of the offsets from the best cell to the point, in pixels",
        choices=("heatmap", "regressed", "offsets"),
    )
    subpixel: str = option(
        "parabola",
        "word",
        "heat maps: how the peak between pixels is found; parabola is exact for Gaussians",
        choices=("parabola", "quarter", "none"),
    )
    units: str = option(
        "pixels",
        "word",
        "regressed: pixels of the network's input, or fractions of its size",
        choices=("relative", "pixels"),
    )
    order: str = option(
        "xy",
        "word",
        "regressed, offsets: whether x or y comes first; MoveNet and PoseNet give y first",
        choices=("xy", "yx"),
    )
    values: int = option(2, "whole", "regressed: numbers per point; x and y come first", low=2, high=16)
    confidence: bool = option(
        True, "flag", "regressed: the last of more than two numbers is the confidence; false: it is 1, as for x, y, z"
    )
    activation: str = option("none", "word", "activation of the confidences", choices=("none", "sigmoid"))
    layout: str = option("own", "word", "heat maps: order of the output's axes", choices=("own", "NCHW", "NHWC"))
    score: float = option(0.0, "number", "rows with at least this mean confidence are kept", low=-1e30, high=1e30)


@dataclass(frozen=True, kw_only=True)
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


@dataclass(frozen=True, kw_only=True)
class Regression(Decoder):
    """Numbers in the network's own unit, such as an age or angles, (N, D) of one output or several; gives `Measurements`.

    Notes
    -----
    Definition: `mnnlite.reference.decode.regression`. Sources of ``expectation``: Rothe et al. 2015; Ruiz et al. 2018.
    """

    family: ClassVar[str] = "regression"

    mode: str = option(
        "values",
        "word",
        "values: the numbers themselves; expectation: the mean of each output's bins after softmax; probabilities: the same without "
        "softmax, which the network applies",
        choices=("values", "expectation", "probabilities"),
    )
    scale: float = option(1.0, "number", "the numbers are multiplied by it", low=-1e12, high=1e12)
    offset: float = option(0.0, "number", "and then this is added", low=-1e12, high=1e12)
    quantities: tuple[str, ...] = option(
        (), "names", 'names of the numbers, as texts show them: ("yaw", ...)', native=False
    )
    unit: str = option("", "text", "unit of the numbers, as texts show it", native=False)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the quantities, with the unit in brackets."""
        return tuple(f"{each} [{self.unit}]" if self.unit else each for each in self.quantities)


@dataclass(frozen=True, kw_only=True)
class Embedding(Decoder):
    """Feature vectors (N, D), scaled to length 1; gives `Embeddings`.

    Notes
    -----
    Definition: `mnnlite.reference.decode.embedding`.
    """

    family: ClassVar[str] = "embedding"

    normalize: bool = option(True, "flag", "scale each vector to length 1")
