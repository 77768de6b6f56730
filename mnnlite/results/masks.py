"""Class maps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, cast

import numpy as np

from mnnlite import draw as _draw
from mnnlite.errors import ArgumentError
from mnnlite.results.base import Boxed
from mnnlite.results.rows import number

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Mask(NamedTuple):
    """One row of `Masks`; `mask` is (H, W) bool at the size of the map."""

    item: int
    class_id: int
    label: str
    score: float
    box: tuple[float, float, float, float]
    area: float
    mask: NDArray[np.bool_]


class Masks(Boxed):
    """Areas of a class map, one row per class and item."""

    FIELDS: ClassVar[tuple[str, ...]] = ("item", "class_id", "score", "box", "area")
    _NUMBERED = False

    @property
    def areas(self) -> NDArray[np.float32]:
        """(N,) float32: the area of each row, in pixels of the frame squared."""
        return self._rows["area"]

    def class_map(self, item: int = 0) -> NDArray[np.uint8]:
        """(H, W) uint8: the class of each pixel of an item's map; 255 where the network did not see the frame.

        Raises
        ------
        ArgumentError
            The item has no row, as when its map is all background.
        """
        for index in np.flatnonzero(self._rows["item"] == item):
            return self._map(int(index))
        raise ArgumentError(f"item: there is no mask of item {item}")

    @property
    def masks(self) -> NDArray[np.bool_]:
        """(N, H, W) bool at the size of the map; (0, 0, 0) if there are none."""
        if len(self) == 0:
            return np.zeros((0, 0, 0), np.bool_)
        return np.stack([self._map(index) == self._rows["class_id"][index] for index in range(len(self))])

    @property
    def to_frame(self) -> NDArray[np.float32]:
        """(N, 3, 3) float32: pixel of the map -> pixel of the frame."""
        return (
            np.stack([self._values_of(i).reshape(3, 3) for i in range(len(self))])
            if len(self)
            else np.zeros((0, 3, 3), np.float32)
        )

    def _map(self, index: int) -> NDArray[np.uint8]:
        row = self._rows[index]
        first, width, height = int(row["first_pixel"]), int(row["width"]), int(row["height"])
        pixels: NDArray[np.uint8] = self._pixels[first : first + width * height].reshape(height, width)
        return pixels

    def over_frame(self, item: int = 0, frame_size: tuple[int, int] | None = None) -> NDArray[np.uint8]:
        """(frame height, frame width) uint8: an item's class map over the frame, by the nearest pixel; 255 outside the map."""
        size = frame_size or self.frame_size
        if size is None:
            raise ArgumentError("frame_size: these masks do not know the size of their frame; pass (width, height)")
        index = int(np.flatnonzero(self._rows["item"] == item)[0]) if (self._rows["item"] == item).any() else -1
        if index < 0:
            raise ArgumentError(f"item: there is no mask of item {item}")
        source, matrix = self._map(index), self._values_of(index).reshape(3, 3).astype(np.float64)
        back = np.linalg.inv(matrix)
        x, y = np.arange(size[0]) + 0.5, (np.arange(size[1]) + 0.5)[:, None]
        if back[0, 1] == back[1, 0] == back[2, 0] == back[2, 1] == 0:  # rows stay rows: one index a row and a column
            u = np.floor((back[0, 0] * x + back[0, 2]) / back[2, 2]).astype(np.int64)
            v = np.floor((back[1, 1] * y[:, 0] + back[1, 2]) / back[2, 2]).astype(np.int64)
            spread = source[np.clip(v, 0, source.shape[0] - 1)][:, np.clip(u, 0, source.shape[1] - 1)]
            spread[(v < 0) | (v >= source.shape[0])] = 255
            spread[:, (u < 0) | (u >= source.shape[1])] = 255
            return cast("NDArray[np.uint8]", spread)
        w = back[2, 0] * x + back[2, 1] * y + back[2, 2]
        u = np.floor((back[0, 0] * x + back[0, 1] * y + back[0, 2]) / w)
        v = np.floor((back[1, 0] * x + back[1, 1] * y + back[1, 2]) / w)
        inside = (u >= 0) & (v >= 0) & (u < source.shape[1]) & (v < source.shape[0])
        spread = np.full((size[1], size[0]), 255, np.uint8)
        spread[inside] = source[v[inside].astype(np.int64), u[inside].astype(np.int64)]
        return spread

    def _frame_masks(self) -> NDArray[np.bool_] | None:
        maps = {item: self.over_frame(item) for item in dict.fromkeys(self.items.tolist())}
        pairs = zip(self.items.tolist(), self.class_ids.tolist(), strict=True)
        return np.stack([maps[item] == class_id for item, class_id in pairs]) if maps else None

    def _row(self, index: int) -> Mask:
        row = self._rows[index]
        class_id = int(row["class_id"])
        x1, y1, x2, y2 = (float(value) for value in row["box"])
        mask = self._map(index) == class_id
        return Mask(
            int(row["item"]),
            class_id,
            self._label(class_id),
            float(row["score"]),
            (x1, y1, x2, y2),
            float(row["area"]),
            mask,
        )

    def _json(self, index: int, row: Any) -> dict[str, Any]:
        return {**self._head(row), "box": self._box(row), "area": number(row["area"], 1)}

    def _draw(self, image: NDArray[np.uint8], style: _draw.Style) -> None:
        for item in dict.fromkeys(int(item) for item in self._rows["item"]):
            spread = self.over_frame(item, (image.shape[1], image.shape[0]))
            _draw.class_map(image, spread, self._rows["class_id"][self._rows["item"] == item], style=style)
