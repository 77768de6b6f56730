"""Boxes with a mask each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np

from mnnlite import _core
from mnnlite import draw as _draw
from mnnlite.errors import ArgumentError
from mnnlite.results.base import Boxed
from mnnlite.results.polygons import Polygons
from mnnlite.results.rows import number

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Instance(NamedTuple):
    """One row of `Instances`; `mask` is (height, width) bool, and its first pixel is pixel `left`, `top` of the frame."""

    item: int
    class_id: int
    label: str
    score: float
    box: tuple[float, float, float, float]
    area: float
    left: int
    top: int
    mask: NDArray[np.bool_]


class Instances(Boxed):
    """Boxes with a mask each, in pixels of the frame. Masks are kept as bits, cut to their boxes."""

    FIELDS: ClassVar[tuple[str, ...]] = ("item", "class_id", "score", "box", "area", "left", "top", "width", "height")

    @property
    def areas(self) -> NDArray[np.float32]:
        """(N,) float32: how many pixels of the frame are in each mask."""
        return self._rows["area"]

    @property
    def mask_boxes(self) -> NDArray[np.int32]:
        """(N, 4) int32: x1, y1, x2, y2 of the pixels of the frame that each mask covers; a copy."""
        rows = self._rows
        corner = np.stack([rows["left"], rows["top"]], axis=1)
        return np.concatenate([corner, corner + np.stack([rows["width"], rows["height"]], axis=1)], axis=1)

    def _bits(self, index: int) -> NDArray[np.uint8]:
        row = self._rows[index]
        width, height, first = int(row["width"]), int(row["height"]), int(row["first_pixel"])
        step = (width + 7) // 8
        return self._pixels[first : first + step * height].reshape(height, step)

    def _mask(self, index: int) -> NDArray[np.bool_]:
        return np.unpackbits(self._bits(index), axis=1, count=int(self._rows["width"][index])).view(np.bool_)

    @property
    def masks(self) -> list[NDArray[np.bool_]]:
        """One (height, width) bool array per row, cut to the box; `mask_boxes` says which pixels of the frame it covers."""
        return [self._mask(index) for index in range(len(self))]

    def over_frame(self, index: int, size: tuple[int, int] | None = None) -> NDArray[np.bool_]:
        """(H, W) bool: one row's mask as large as the frame.

        Parameters
        ----------
        index : int
            Row.
        size : (width, height), optional
            Size of the frame. The default is the `frame_size` of the results.

        Raises
        ------
        ArgumentError
            The size of the frame is not known.
        """
        size = size or self.frame_size
        if size is None:
            raise ArgumentError("size: these results do not know the size of their frame; pass (width, height)")
        whole = np.zeros((size[1], size[0]), np.bool_)
        x1, y1, x2, y2 = self.mask_boxes[index].tolist()
        whole[y1:y2, x1:x2] = self._mask(index)[: max(size[1] - y1, 0), : max(size[0] - x1, 0)]
        return whole

    def run_lengths(self, size: tuple[int, int] | None = None) -> list[list[int]]:
        """The masks as COCO's uncompressed run lengths over the whole frame, column by column, beginning with zeros.

        Parameters
        ----------
        size : (width, height), optional
            Size of the frame. The default is the `frame_size` of the results.

        Returns
        -------
        list of list of int
            Lengths of runs that are unset and set in turn; their sum is width times height.
        """
        lengths = []
        for index in range(len(self)):
            flat = self.over_frame(index, size).ravel(order="F")
            changes = np.flatnonzero(flat[1:] != flat[:-1]) + 1
            runs = np.diff(np.concatenate([[0], changes, [len(flat)]])).tolist()
            lengths.append([0, *runs] if len(flat) and flat[0] else runs)
        return lengths

    @property
    def polygons(self) -> Polygons:
        """The outlines of the masks with a tolerance of one pixel, see `to_polygons`."""
        return self.to_polygons()

    def to_polygons(self, tolerance: float = 1.0) -> Polygons:
        """The outlines of the masks, along the edges of pixels.

        Parameters
        ----------
        tolerance : float
            How far a corner that is dropped may be from the outline, in pixels of the frame.

        Returns
        -------
        Polygons
            Outer rings with the item, class and score of their row, each followed by its holes.
        """
        if not 0 <= tolerance < 1e6:
            raise ArgumentError(f"tolerance: wanted pixels in [0, 1e6), got {tolerance!r}")
        rows, values = _core.mask_polygons(np.ascontiguousarray(self._rows).view(np.uint8), self._pixels, tolerance)
        made = Polygons(rows, values, names=self.names, frame_size=self.frame_size)
        made.timestamp_ns, made.meta = self.timestamp_ns, self.meta
        return made

    def _frame_masks(self) -> NDArray[np.bool_] | None:
        return np.stack([self.over_frame(index) for index in range(len(self))]) if len(self) else None

    def _row(self, index: int) -> Instance:
        row = self._rows[index]
        class_id = int(row["class_id"])
        x1, y1, x2, y2 = (float(value) for value in row["box"])
        where = (float(row["area"]), int(row["left"]), int(row["top"]), self._mask(index))
        return Instance(
            int(row["item"]), class_id, self._label(class_id), float(row["score"]), (x1, y1, x2, y2), *where
        )

    def _json(self, index: int, row: Any) -> dict[str, Any]:
        return {**self._head(row), "box": self._box(row), "area": number(row["area"], 1)}

    def _draw(self, image: NDArray[np.uint8], style: _draw.Style) -> None:
        # Worst first, so that the best lie on top.
        for index in reversed(range(len(self))):
            row = self._rows[index]
            color = _draw.color_of(int(row["class_id"]), style.hue + index)
            x1, y1, x2, y2 = self.mask_boxes[index].tolist()
            part = image[y1:y2, x1:x2]
            mask = self._mask(index)[: part.shape[0], : part.shape[1]]
            part[mask] = (part[mask] * (1 - style.alpha) + np.array(color) * style.alpha).astype(np.uint8)
            _draw.box(image, row["box"], color, caption=self._caption(index), style=style)
