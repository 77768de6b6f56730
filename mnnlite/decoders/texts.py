"""Families that find texts and read them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from mnnlite.decoders.base import Decoder
from mnnlite.decoders.options import names_from, option


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class DbText(Decoder):
    """Text areas by differentiable binarization, from a probability map (N, 1, H, W); gives `Polygons` of four corners.

    Notes
    -----
    Definition: `mnnlite.reference.decode.dbtext`. Source: Liao et al. 2020, section 3.5.
    """

    family: ClassVar[str] = "dbtext"

    threshold: float = option(0.3, "number", "a pixel whose probability is larger is text", low=0, high=1)
    score: float = option(0.6, "number", "areas with at least this mean probability are kept", low=0, high=1)
    unclip: float = option(1.5, "number", "areas grow by unclip * area / perimeter on each side", low=0, high=10)
    min_size: float = option(
        3.0, "number", "areas with a shorter side are dropped, in pixels of the map", low=0, high=1e6
    )
    max_candidates: int = option(1000, "whole", "rows per item; the largest are kept", low=1, high=16384)
    sigmoid: bool = option(False, "flag", "the map holds logits")


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Ctc(Decoder):
    """Text by greedy CTC, from (N, T, symbols); gives `Texts` with a confidence per character.

    Notes
    -----
    Definition: `mnnlite.reference.decode.ctc`. Source: Graves et al. 2006, section 3.2.
    """

    family: ClassVar[str] = "ctc"
    _BATCHED_RANK: ClassVar[int] = 3

    keys: tuple[str, ...] | str | None = option(
        None, "path", "the symbols without the blank: a list, or a text file with one symbol a line", native=False
    )
    space: bool = option(False, "flag", "a space is one more symbol after the keys")
    blank: str = option("first", "word", "which symbol is the blank", choices=("first", "last"))
    activation: str = option("none", "word", "what turns the output into probabilities", choices=("none", "softmax"))
    score: float = option(0.0, "number", "texts with at least this mean confidence are kept", low=0, high=1)
    keep_empty: bool = option(False, "flag", "an item without text gets a row too")
    symbols_first: bool = option(False, "flag", "the output is (N, symbols, T) or (symbols, T), as LPRNet gives it")
    first_axis: str = option("batch", "word", "time: the output is (T, 1, symbols)", choices=("batch", "time"))

    def native_options(self) -> dict[str, Any]:
        """The options as ``_core`` takes them, the keys as texts."""
        options = super().native_options()
        if self.keys is not None:
            options["keys"] = names_from(self.keys, "Ctc.keys")
        return options
