"""Boxes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from mnnlite import draw as _draw
from mnnlite.results.base import Boxed
from mnnlite.results.rows import ALL, listed, number

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray


class Detection(NamedTuple):
    """One row of `Detections`; `box` is x1, y1, x2, y2 in pixels of the frame."""

    item: int
    class_id: int
    label: str
    score: float
    box: tuple[float, float, float, float]


class Detections(Boxed):
    """Boxes with a class and a score, best first for each item; some heads add points (corners, face landmarks)."""

    @classmethod
    def from_arrays(
        cls,
        boxes_xyxy: ArrayLike,
        scores: ArrayLike,
        class_ids: ArrayLike | None = None,
        *,
        points: ArrayLike | None = None,
        items: ArrayLike | None = None,
        names: Sequence[str] = (),
        frame_size: tuple[int, int] | None = None,
    ) -> Detections:
        """Detections from (N, 4) boxes in pixels of the frame, (N,) scores and class ids, and (N, P, 2) points."""
        boxes = np.asarray(boxes_xyxy, np.float32).reshape(-1, 4)
        rows = np.zeros(len(boxes), ALL)
        rows["parent"] = -1
        rows["box"] = boxes
        rows["score"] = scores
        rows["class_id"] = 0 if class_ids is None else class_ids
        rows["item"] = 0 if items is None else items
        values = np.empty(0, np.float32)
        if points is not None and len(boxes):
            values = np.ascontiguousarray(points, np.float32).reshape(-1)
            rows["value_count"] = len(values) // len(boxes)
            rows["first_value"] = np.arange(len(boxes)) * (len(values) // len(boxes))
        return cls(rows, values, names=names, frame_size=frame_size)

    @property
    def points(self) -> NDArray[np.float32]:
        """(N, P, 2) float32: the points of each box in pixels of the frame; P = 0 if the head has none."""
        if len(self) == 0:
            return np.empty((0, 0, 2), np.float32)
        return np.stack([self._pairs(index) for index in range(len(self))])

    def _columns(self) -> dict[str, list[Any]]:
        return {"points": list(self.points)}

    def _row(self, index: int) -> Detection:
        row = self._rows[index]
        class_id = int(row["class_id"])
        x1, y1, x2, y2 = (float(value) for value in row["box"])
        return Detection(int(row["item"]), class_id, self._label(class_id), float(row["score"]), (x1, y1, x2, y2))

    def _json(self, index: int, row: Any) -> dict[str, Any]:
        entry: dict[str, Any] = {
            "label": self._label(int(row["class_id"])),
            "score": number(row["score"], 5),
            "box": self._box(row),
        }
        if row["value_count"]:
            entry["points"] = listed(self._pairs(index))
        return entry

    def _draw(self, image: NDArray[np.uint8], style: _draw.Style) -> None:
        # Worst first, so that the best lie on top.
        for index in reversed(range(len(self))):
            row = self._rows[index]
            color = _draw.color_of(int(row["class_id"]), style.hue)
            points = self._pairs(index)
            _draw.box(image, row["box"], color, caption=self._caption(index), style=style)
            if len(points) == 4:
                _draw.polyline(image, points, color, closed=True, style=style)
            else:
                _draw.dots(image, points, color, style)
