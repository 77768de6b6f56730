"""The family of maps with a class per pixel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from mnnlite.decoders.base import Named
from mnnlite.decoders.options import option
from mnnlite.errors import ArgumentError


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Segmentation(Named):
    """A class per pixel, from scores per class, one score, or a map of class numbers; gives `Masks` or `Polygons`.

    Notes
    -----
    Definition: `mnnlite.reference.decode.segmentation`.
    """

    family: ClassVar[str] = "segmentation"

    mode: str = option(
        "auto",
        "word",
        "argmax: over the channels; binary: one channel and a threshold; classes: the numbers are classes; auto: argmax for "
        "several channels, otherwise classes for integers and binary for floats",
        choices=("auto", "argmax", "binary", "classes"),
    )
    activation: str = option("none", "word", "activation of a binary map", choices=("none", "sigmoid"))
    threshold: float = option(0.5, "number", "a binary map is 1 where it is larger", low=-1e30, high=1e30)
    layout: str = option(
        "own", "word", "order of the output's axes; own: as the tensor says", choices=("own", "NCHW", "NHWC")
    )
    upsample: tuple[float, ...] = option(
        (),
        "numbers",
        "width and height that scores are interpolated to, row by row, before a class is chosen: the end of a network that was "
        "cut off before it (mnnlite convert --slim); empty: no other than the output's",
    )
    upsample_by: str = option(
        "half_pixel",
        "word",
        "which coordinates are the same in both; half_pixel: of the outer edges; align_corners: of the middles of the corner "
        "pixels; asymmetric: of the first pixel's middle",
        choices=("half_pixel", "align_corners", "asymmetric"),
    )
    size: str = option(
        "network", "word", "maps are as large as the network gives them, or as the frame", choices=("network", "frame")
    )
    resize: str = option(
        "nearest",
        "word",
        "how maps become as large as the frame; nearest: by the nearest pixel; linear: scores are interpolated before the "
        "class is chosen, for smooth edges",
        choices=("nearest", "linear"),
    )
    background: int = option(
        -2,
        "whole",
        "class that gets no row; -1: no class; -2: class 0 of two-class maps, otherwise no class",
        low=-2,
        high=254,
    )
    min_area: float = option(
        0.0, "number", "areas smaller than this get no row, in frame pixels squared", low=0, high=1e12
    )
    scores: bool = option(False, "flag", "the score is the mean softmax of an argmax map (slow), not 1")
    output: str = option("masks", "word", "masks: gives Masks; polygons: gives Polygons", choices=("masks", "polygons"))
    tolerance: float | None = option(
        None,
        "number",
        "polygons: how far a corner that is dropped may be from the outline, in frame pixels (default 1)",
        low=0,
        high=1e6,
    )
    holes: bool | None = option(None, "flag", "polygons: holes too (default true)")
    max_polygons: int | None = option(
        None, "whole", "polygons: rows per item; the largest are kept (default 256)", low=1, high=16384
    )
    max_points: int | None = option(
        None, "whole", "polygons: corners of all rows of an item together (default 16384)", low=4, high=1 << 24
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
