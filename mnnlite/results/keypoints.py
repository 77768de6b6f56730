"""Sets of key points."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from mnnlite import draw as _draw
from mnnlite.results.base import Boxed
from mnnlite.results.rows import listed

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Skeleton(NamedTuple):
    """One row of `Keypoints`; `points` is (P, 3) float32: x, y in pixels of the frame and a confidence."""

    item: int
    class_id: int
    label: str
    score: float
    points: NDArray[np.float32]


class Keypoints(Boxed):
    """Sets of key points with a confidence each."""

    @property
    def points(self) -> NDArray[np.float32]:
        """(N, P, 3) float32: x, y in pixels of the frame, confidence."""
        if len(self) == 0:
            return np.empty((0, 0, 3), np.float32)
        return np.stack([self._values_of(index).reshape(-1, 3) for index in range(len(self))])

    def _columns(self) -> dict[str, list[Any]]:
        return {"keypoints": list(self.points)}

    def _row(self, index: int) -> Skeleton:
        row = self._rows[index]
        class_id = int(row["class_id"])
        points = self._values_of(index).reshape(-1, 3)
        return Skeleton(int(row["item"]), class_id, self._label(class_id), float(row["score"]), points)

    def _json(self, index: int, row: Any) -> dict[str, Any]:
        return {**self._head(row), "box": self._box(row), "points": listed(self._values_of(index).reshape(-1, 3))}

    def _draw(self, image: NDArray[np.uint8], style: _draw.Style) -> None:
        for index in range(len(self)):
            color = _draw.color_of(int(self._rows["class_id"][index]), style.hue + index)
            _draw.dots(image, self._values_of(index).reshape(-1, 3)[:, :2], color, style)
