"""Maps with numbers or colours per pixel, and the part of the frame that they cover."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np

from mnnlite.errors import ArgumentError
from mnnlite.results.base import Boxed
from mnnlite.results.rows import number

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mnnlite import draw as _draw


class Map(NamedTuple):
    """One row of `Maps`; `values` is (C, height, width) float32, or (height, width, C) uint8 for pictures."""

    item: int
    box: tuple[float, float, float, float]
    to_frame: NDArray[np.float32]
    values: NDArray[Any]


class Maps(Boxed):
    """A map of each item: depth, an alpha mask, a picture. ``box`` is the part of the frame that it covers.

    ``names`` holds the unit of the numbers. It is empty if they are relative.
    """

    FIELDS: ClassVar[tuple[str, ...]] = ("item", "box", "width", "height", "channels")

    @property
    def maps(self) -> list[NDArray[Any]]:
        """One array per row: (C, height, width) float32, or (height, width, C) uint8 for pictures."""
        return [self._map(index) for index in range(len(self))]

    @property
    def unit(self) -> str:
        """The unit of the numbers; "" if they are relative or the decoder names none."""
        return self.names[0] if self.names else ""

    def to_frame(self, index: int = 0) -> NDArray[np.float32]:
        """(3, 3) float32: pixel of a row's map -> pixel of the frame; pixel i covers [i, i+1)."""
        return self._values_of(index)[:9].reshape(3, 3)

    def _map(self, index: int) -> NDArray[Any]:
        row = self._rows[index]
        width, height, channels = int(row["width"]), int(row["height"]), int(row["channels"])
        if row["value_count"] == 9:
            first = int(row["first_pixel"])
            return self._pixels[first : first + width * height * channels].reshape(height, width, channels)
        return self._values_of(index)[9:].reshape(channels, height, width)

    def over_frame(self, index: int = 0, size: tuple[int, int] | None = None) -> NDArray[np.float32]:
        """The first channel of a row at each pixel of the frame; NaN where the network did not see the frame.

        Parameters
        ----------
        index : int
            Row.
        size : (width, height), optional
            Size of the frame. The default is the `frame_size` of the results.

        Returns
        -------
        (H, W) float32
            The value of the nearest pixel of the map.
        """
        size = size or self.frame_size
        if size is None:
            raise ArgumentError("size: these results do not know the size of their frame; pass (width, height)")
        values = self._map(index)
        plane = values[..., 0] if values.dtype == np.uint8 else values[0]
        back = np.linalg.inv(self.to_frame(index).astype(np.float64))
        x, y = np.meshgrid(np.arange(size[0]) + 0.5, np.arange(size[1]) + 0.5)
        w = back[2, 0] * x + back[2, 1] * y + back[2, 2]
        u = np.floor((back[0, 0] * x + back[0, 1] * y + back[0, 2]) / w)
        v = np.floor((back[1, 0] * x + back[1, 1] * y + back[1, 2]) / w)
        inside = (u >= 0) & (v >= 0) & (u < plane.shape[1]) & (v < plane.shape[0])
        spread = np.full((size[1], size[0]), np.nan, np.float32)
        spread[inside] = plane[v[inside].astype(np.int64), u[inside].astype(np.int64)]
        return spread

    @property
    def labels(self) -> list[str]:
        """The size of each map, as a text."""
        return [f"{int(row['width'])}x{int(row['height'])}" for row in self._rows]

    def _row(self, index: int) -> Map:
        row = self._rows[index]
        x1, y1, x2, y2 = (float(value) for value in row["box"])
        return Map(int(row["item"]), (x1, y1, x2, y2), self.to_frame(index), self._map(index))

    def _json(self, index: int, row: Any) -> dict[str, Any]:
        values = self._map(index)
        entry: dict[str, Any] = {"box": self._box(row), "shape": list(values.shape)}
        if values.size:
            entry |= {"least": number(values.min()), "mean": number(values.mean()), "most": number(values.max())}
        if self.unit:
            entry["unit"] = self.unit
        return entry

    def _draw(self, image: NDArray[np.uint8], style: _draw.Style) -> None:
        for index in range(len(self)):
            spread = self.over_frame(index, (image.shape[1], image.shape[0]))
            seen = np.isfinite(spread)
            if not seen.any():
                continue
            low, high = float(spread[seen].min()), float(spread[seen].max())
            level = (spread[seen] - low) / (high - low if high > low else 1)
            ends, middle = np.array([(90, 20, 60), (60, 230, 250)], np.float32), np.array((150, 130, 40), np.float32)
            half = np.abs(level * 2 - 1)[:, None]
            tint = np.where(level[:, None] < 0.5, ends[0], ends[1]) * half + middle * (1 - half)
            image[seen] = (image[seen] * (1 - style.alpha) + tint * style.alpha).astype(np.uint8)
