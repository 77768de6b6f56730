"""Families that need no search for boxes: class scores, key points, embeddings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from mnnlite.decoders.base import Decoder, Named
from mnnlite.decoders.options import option


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
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


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
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


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Embedding(Decoder):
    """Feature vectors (N, D), scaled to length 1; gives `Embeddings`.

    Notes
    -----
    Definition: `mnnlite.reference.decode.embedding`.
    """

    family: ClassVar[str] = "embedding"

    normalize: bool = option(True, "flag", "scale each vector to length 1")
