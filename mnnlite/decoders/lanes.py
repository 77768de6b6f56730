"""The family of lines: lanes and edges of the road."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from mnnlite.decoders.base import Named
from mnnlite.decoders.options import option


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Lanes(Named):
    """Lane and edge lines, from a mask or from a head with anchors; gives `Polylines`, from near to far, longest first.

    ``head="mask"`` reads the outputs that `Segmentation` reads. A line goes through the middles of runs of pixels, row by row
    (column by column where the line lies flat). It ends where areas split or join. Over a gap, the piece that fits best
    continues it. ``head="rows"`` reads (N, cells + 1, rows, lanes) of Ultra-Fast-Lane-Detection. ``head="anchors"`` reads
    version 2 of that. It finds the outputs by their names or shapes: loc_row (N, cells, rows, lanes), loc_col (N, cells,
    columns, lanes), exist_row (N, 2, rows, lanes), exist_col (N, 2, columns, lanes). Its anchors are fractions of the whole
    picture, of which the network sees the lowest `crop_ratio`. With these two heads, rows come in the order of the lanes, and
    their classes are the numbers of the lanes.

    Notes
    -----
    Definition: `mnnlite.reference.decode.lanes`. Sources: Qin et al. 2020, equations 3 to 6 (rows); Qin et al. 2022 and
    cfzd/Ultra-Fast-Lane-Detection-v2, demo.py (anchors).
    """

    family: ClassVar[str] = "lanes"
    _OF_HEAD: ClassVar[dict[str, tuple[str, ...]]] = {
        **dict.fromkeys(
            (
                "mode",
                "activation",
                "threshold",
                "layout",
                "scores",
                "background",
                "max_gap",
                "min_length",
                "min_pixels",
            ),
            ("mask",),
        ),
        **dict.fromkeys(("row_anchors", "min_points"), ("rows", "anchors")),
        **dict.fromkeys(("column_anchors", "row_lanes", "column_lanes", "crop_ratio"), ("anchors",)),
    }

    head: str = option("mask", "word", "which head the network has", choices=("mask", "rows", "anchors"))
    score: float = option(0.0, "number", "lines with at least this mean probability are kept", low=0, high=1)
    tolerance: float = option(
        1.0, "number", "how far a point that is dropped may be from the line, in frame pixels", low=0, high=1e6
    )
    degree: int = option(
        0, "whole", "degree of the polynomial through the points; 0: the points themselves", low=0, high=3
    )
    max_lines: int = option(16, "whole", "rows per item; the longest are kept", low=1, high=256)
    mode: str = option("auto", "word", "mask: see Segmentation", choices=("auto", "argmax", "binary", "classes"))
    activation: str = option("none", "word", "mask: activation of a binary map", choices=("none", "sigmoid"))
    threshold: float = option(0.5, "number", "mask: a binary map is 1 where it is larger", low=-1e30, high=1e30)
    layout: str = option("own", "word", "mask: order of the output's axes", choices=("own", "NCHW", "NHWC"))
    background: int = option(0, "whole", "mask: class that is no line; -1: no class", low=-1, high=254)
    max_gap: float = option(
        0.25, "number", "mask: longest gap that a line continues over, in heights of the map", low=0, high=10
    )
    min_length: float = option(
        0.08, "number", "mask: lines shorter than this are dropped, in heights of the map", low=0, high=10
    )
    min_pixels: int = option(8, "whole", "mask: pieces of fewer pixels are dropped as noise", low=1, high=1 << 24)
    row_anchors: tuple[float, ...] = option(
        (),
        "numbers",
        "rows: y of each row in network pixels, growing; anchors: y of each row as a fraction of the whole picture's height",
    )
    min_points: int = option(3, "whole", "rows, anchors: lanes with fewer points are dropped", low=2, high=1 << 20)
    column_anchors: tuple[float, ...] = option(
        (0.0, 1.0),
        "numbers",
        "anchors: x of each column as a fraction of the picture's width; two numbers, here and for rows, are the first and last",
    )
    row_lanes: tuple[float, ...] = option((1.0, 2.0), "numbers", "anchors: lanes that are read from row anchors")
    column_lanes: tuple[float, ...] = option((0.0, 3.0), "numbers", "anchors: lanes that are read from column anchors")
    crop_ratio: float = option(
        1.0,
        "number",
        "anchors: the network sees this fraction of the picture's height, at the bottom",
        low=0.01,
        high=1,
    )

    def native_options(self) -> dict[str, Any]:
        """The options as ``_core`` takes them: those of the head."""
        options = super().native_options()
        return {name: value for name, value in options.items() if self.head in self._OF_HEAD.get(name, (self.head,))}
