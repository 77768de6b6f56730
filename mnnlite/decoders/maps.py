"""The family of maps with numbers per pixel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from mnnlite.decoders.base import Decoder
from mnnlite.decoders.options import option


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Maps(Decoder):
    """Numbers per pixel as they are, (N, C, rows, columns) or (N, rows, columns): depth, matting, pictures; gives `Maps`.

    Notes
    -----
    Definition: `mnnlite.reference.decode.maps`.
    """

    family: ClassVar[str] = "maps"
    _BATCHED_RANK: ClassVar[int] = 3

    activation: str = option("none", "word", "activation of the numbers", choices=("none", "sigmoid"))
    scale: float = option(1.0, "number", "the numbers are multiplied by it", low=-1e12, high=1e12)
    offset: float = option(0.0, "number", "and then this is added", low=-1e12, high=1e12)
    size: str = option(
        "network",
        "word",
        "maps are as large as the network gives them, or as the frame (bilinear)",
        choices=("network", "frame"),
    )
    output: str = option(
        "values",
        "word",
        "values: floats; picture: bytes, interleaved channels, clipped to 0 to 255",
        choices=("values", "picture"),
    )
    layout: str = option("own", "word", "order of the output's axes", choices=("own", "NCHW", "NHWC"))
    unit: str = option(
        "", "text", 'unit of the numbers, as texts show it: "m" for metric depth, "" for relative depth', native=False
    )

    @property
    def names(self) -> tuple[str, ...]:
        """The unit, if there is one."""
        return (self.unit,) if self.unit else ()
