"""Families of maps: a class per pixel, and the lines that classes draw."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from mnnlite.decoders.base import Decoder, Named
from mnnlite.decoders.options import option
from mnnlite.errors import ArgumentError


@dataclass(frozen=True, kw_only=True)
class Segmentation(Named):
    """A class per pixel: scores per class, one score, or a map of class numbers; gives `Masks`.

    Notes
    -----
    Definition: `mnnlite.reference.decode.segmentation`.
    """

    family: ClassVar[str] = "segmentation"

    mode: str = option(
        "auto",
        "word",
        "argmax over channels; binary: one channel and a threshold; classes: integers are classes. "
        "auto: argmax for several channels, else classes for integers and binary for floats",
        choices=("auto", "argmax", "binary", "classes"),
    )
    activation: str = option("none", "word", "of a binary map", choices=("none", "sigmoid"))
    threshold: float = option(0.5, "number", "a binary map is 1 where it is larger", low=-1e30, high=1e30)
    layout: str = option(
        "own", "word", "order of the output's axes; own: as the tensor says", choices=("own", "NCHW", "NHWC")
    )
    size: str = option(
        "network", "word", "maps as the network gives them, or as large as the frame", choices=("network", "frame")
    )
    resize: str = option(
        "nearest",
        "word",
        "how maps become as large as the frame: by their nearest pixel, or linear: scores are interpolated before the "
        "class is chosen, for smooth edges",
        choices=("nearest", "linear"),
    )
    background: int = option(
        -2, "whole", "class that gets no row; -1: none; -2: 0 for two-class maps, else none", low=-2, high=254
    )
    min_area: float = option(0.0, "number", "smaller areas get no row, in frame pixels squared", low=0, high=1e12)
    scores: bool = option(False, "flag", "score is the mean softmax of an argmax map (slow); else 1")
    output: str = option("masks", "word", "masks give Masks, polygons give Polygons", choices=("masks", "polygons"))
    tolerance: float | None = option(
        None, "number", "polygons: no dropped corner is further from the outline, in frame pixels (1)", low=0, high=1e6
    )
    holes: bool | None = option(None, "flag", "polygons: inner outlines too (true)")
    max_polygons: int | None = option(None, "whole", "polygons: rows per item, the largest (256)", low=1, high=16384)
    max_points: int | None = option(
        None, "whole", "polygons: corners of all rows of an item (16384)", low=4, high=1 << 24
    )

    def native_options(self) -> dict[str, Any]:
        """The options as ``_core`` takes them."""
        options = super().native_options()
        if self.output == "polygons":
            for name in ("size", "resize"):
                if options.pop(name) != getattr(type(self), name):
                    raise ArgumentError(
                        f"Segmentation.{name}: is for masks; polygons are in pixels of the frame anyway"
                    )
        else:
            for name in ("tolerance", "holes", "max_polygons", "max_points"):
                if name in options:
                    raise ArgumentError(f"Segmentation.{name}: is for output='polygons'")
        return options


@dataclass(frozen=True, kw_only=True)
class Maps(Decoder):
    """Numbers a pixel as they are, (N, C, rows, columns) or (N, rows, columns): depth, matting, pictures; gives `Maps`.

    Notes
    -----
    Definition: `mnnlite.reference.decode.maps`.
    """

    family: ClassVar[str] = "maps"
    _BATCHED_RANK: ClassVar[int] = 3

    activation: str = option("none", "word", "of the numbers", choices=("none", "sigmoid"))
    scale: float = option(1.0, "number", "numbers are multiplied by it", low=-1e12, high=1e12)
    offset: float = option(0.0, "number", "and this is added", low=-1e12, high=1e12)
    size: str = option(
        "network",
        "word",
        "maps as the network gives them, or as large as the frame, bilinear",
        choices=("network", "frame"),
    )
    output: str = option(
        "values", "word", "picture: bytes, channels side by side, cut to 0 to 255", choices=("values", "picture")
    )
    layout: str = option("own", "word", "order of the output's axes", choices=("own", "NCHW", "NHWC"))
    unit: str = option(
        "", "text", 'of the numbers, as texts show it: "m" for metric depth, "" for relative', native=False
    )

    @property
    def names(self) -> tuple[str, ...]:
        """The unit, if there is one."""
        return (self.unit,) if self.unit else ()


@dataclass(frozen=True, kw_only=True)
class Lanes(Named):
    """Lane and edge lines, from a mask or from a head with anchors; gives `Polylines`, from near to far, longest first.

    ``head="mask"``: the outputs that `Segmentation` takes. Lines are the middles of runs of pixels, row by row (column
    by column where a line lies flat); they end where areas split or join, and are continued over gaps by the piece that
    fits best. ``head="rows"``: (N, cells + 1, rows, lanes), Ultra-Fast-Lane-Detection. ``head="anchors"``: its version 2,
    found by their names or shapes: loc_row (N, cells, rows, lanes), loc_col (N, cells, columns, lanes), exist_row
    (N, 2, rows, lanes), exist_col (N, 2, columns, lanes). Its anchors are fractions of the whole picture, of which the network
    sees the lowest `crop_ratio`. Rows of both heads come in the order of the lanes, whose numbers are the classes.

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

    head: str = option("mask", "word", "what the output is", choices=("mask", "rows", "anchors"))
    score: float = option(0.0, "number", "lines with at least this mean probability", low=0, high=1)
    tolerance: float = option(
        1.0, "number", "no dropped point is further from the line, in frame pixels", low=0, high=1e6
    )
    degree: int = option(0, "whole", "of the polynomial through the points; 0: the points themselves", low=0, high=3)
    max_lines: int = option(16, "whole", "rows per item, the longest", low=1, high=256)
    mode: str = option("auto", "word", "mask: see Segmentation", choices=("auto", "argmax", "binary", "classes"))
    activation: str = option("none", "word", "mask: of a binary map", choices=("none", "sigmoid"))
    threshold: float = option(0.5, "number", "mask: a binary map is 1 where it is larger", low=-1e30, high=1e30)
    layout: str = option("own", "word", "mask: order of the output's axes", choices=("own", "NCHW", "NHWC"))
    background: int = option(0, "whole", "mask: class that is no line; -1: none", low=-1, high=254)
    max_gap: float = option(
        0.25, "number", "mask: gaps that a line is continued over, in heights of the map", low=0, high=10
    )
    min_length: float = option(0.08, "number", "mask: shorter lines are dropped, in heights of the map", low=0, high=10)
    min_pixels: int = option(8, "whole", "mask: smaller pieces are noise", low=1, high=1 << 24)
    row_anchors: tuple[float, ...] = option(
        (),
        "numbers",
        "rows: y of each row in network pixels, growing; anchors: fractions of the whole picture's height",
    )
    min_points: int = option(3, "whole", "rows, anchors: lanes with fewer points are dropped", low=2, high=1 << 20)
    column_anchors: tuple[float, ...] = option(
        (0.0, 1.0),
        "numbers",
        "anchors: x of each column, fractions of its width; two numbers, as of rows, are first and last",
    )
    row_lanes: tuple[float, ...] = option((1.0, 2.0), "numbers", "anchors: lanes that are read from rows")
    column_lanes: tuple[float, ...] = option((0.0, 3.0), "numbers", "anchors: lanes that are read from columns")
    crop_ratio: float = option(
        1.0, "number", "anchors: fraction of the picture's height that the network sees, from below", low=0.01, high=1
    )

    def native_options(self) -> dict[str, Any]:
        """The options as ``_core`` takes them: those of the head."""
        options = super().native_options()
        return {name: value for name, value in options.items() if self.head in self._OF_HEAD.get(name, (self.head,))}
