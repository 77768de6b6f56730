"""Families of numbers that need no search: class scores, key points, embeddings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from mnnlite.decoders.base import Decoder, Named
from mnnlite.decoders.options import option


@dataclass(frozen=True, kw_only=True)
class Classification(Named):
    """Class scores: (N, C) or with trailing axes of 1; gives `Classes`, best first.

    Notes
    -----
    Definition: `mnnlite.reference.decode.classification`.
    """

    family: ClassVar[str] = "classification"

    activation: str = option(
        "softmax",
        "word",
        "what turns the output into scores; none: the network did it, or sigmoid for several classes at once",
        choices=("softmax", "sigmoid", "none"),
    )
    top_k: int = option(5, "whole", "classes per item, the best", low=1, high=(1 << 31) - 1)
    score: float = option(0.0, "number", "classes with at least this score", low=-1e30, high=1e30)


@dataclass(frozen=True, kw_only=True)
class Keypoints(Decoder):
    """Key points: a heat map each, (N, P, rows, columns), or regressed, (N, P * values); gives `Keypoints`.

    Beside the heat maps there may be offsets, (N, 2 P, rows, columns), as PoseNet gives them for one body.

    Notes
    -----
    Definition: `mnnlite.reference.decode.keypoints`. Sources: Zhang et al. 2020 (DARK), Xiao et al. 2018, Papandreou et al. 2018.
    """

    family: ClassVar[str] = "keypoints"

    mode: str = option(
        "heatmap",
        "word",
        "what the output is; offsets: heat maps, and maps of pixels from the best cell to the point",
        choices=("heatmap", "regressed", "offsets"),
    )
    subpixel: str = option(
        "parabola",
        "word",
        "heat maps: how the peak is found between pixels; parabola is exact for Gaussians",
        choices=("parabola", "quarter", "none"),
    )
    units: str = option(
        "pixels", "word", "regressed: of the network's input, or relative to it", choices=("relative", "pixels")
    )
    order: str = option(
        "xy", "word", "regressed, offsets: which comes first; MoveNet and PoseNet give y", choices=("xy", "yx")
    )
    values: int = option(2, "whole", "regressed: numbers a point, x and y first", low=2, high=16)
    confidence: bool = option(
        True, "flag", "regressed: of more than two numbers the last is the confidence; else it is 1, as for x, y, z"
    )
    activation: str = option("none", "word", "of the confidences", choices=("none", "sigmoid"))
    layout: str = option("own", "word", "heat maps: order of the output's axes", choices=("own", "NCHW", "NHWC"))
    score: float = option(0.0, "number", "rows with at least this mean confidence", low=-1e30, high=1e30)


@dataclass(frozen=True, kw_only=True)
class SimCC(Decoder):
    """Key points of one body, the scores of columns (N, P, 2 W) and of rows (N, P, 2 H); gives `Keypoints`.

    RTMPose, RTMW, DWPose. Several bodies are a cascade of crops.

    Notes
    -----
    Definition: `mnnlite.reference.decode.simcc`. Sources: Li et al. 2022; mmpose, get_simcc_maximum.
    """

    family: ClassVar[str] = "simcc"
    _BATCHED_RANK: ClassVar[int] = 3

    confidence: str = option(
        "smaller", "word", "of a point, from the largest scores of its column and row", choices=("smaller", "mean")
    )
    score: float = option(0.0, "number", "rows with at least this mean confidence", low=-1e30, high=1e30)


@dataclass(frozen=True, kw_only=True)
class Regression(Decoder):
    """Numbers in the network's own unit, (N, D), of one output or several: an age, angles; gives `Measurements`.

    Notes
    -----
    Definition: `mnnlite.reference.decode.regression`. Sources of ``expectation``: Rothe et al. 2015; Ruiz et al. 2018.
    """

    family: ClassVar[str] = "regression"

    mode: str = option(
        "values",
        "word",
        "expectation: the mean of each output's bins after softmax; probabilities: the same where the network did that",
        choices=("values", "expectation", "probabilities"),
    )
    scale: float = option(1.0, "number", "numbers are multiplied by it", low=-1e12, high=1e12)
    offset: float = option(0.0, "number", "and this is added", low=-1e12, high=1e12)
    quantities: tuple[str, ...] = option(
        (), "names", 'what the numbers are, as texts show them: ("yaw", ...)', native=False
    )
    unit: str = option("", "text", "of the numbers, as texts show it", native=False)

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
