"""Polylines and polygons."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np

from mnnlite import draw as _draw
from mnnlite.errors import ArgumentError
from mnnlite.results.base import Boxed
from mnnlite.results.rows import ALL, listed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray
    from typing_extensions import Self


class Shape(NamedTuple):
    """One row of `Polygons` or `Polylines`; `points` is (P, 2) float32 in pixels of the frame."""

    item: int
    class_id: int
    label: str
    score: float
    points: NDArray[np.float32]


class _Vectors(Boxed):
    _CLOSED: ClassVar[bool] = False
    _NUMBERED = False

    @classmethod
    def from_points(
        cls,
        points: Sequence[ArrayLike],
        scores: ArrayLike | None = None,
        class_ids: ArrayLike | None = None,
        *,
        items: ArrayLike | None = None,
        names: Sequence[str] = (),
        frame_size: tuple[int, int] | None = None,
    ) -> Self:
        """Rows from one (P, 2) array of points each, in pixels of the frame."""
        arrays = [np.asarray(one, np.float32).reshape(-1, 2) for one in points]
        rows = np.zeros(len(arrays), ALL)
        rows["parent"] = -1
        rows["score"] = 1 if scores is None else scores
        rows["class_id"] = 0 if class_ids is None else class_ids
        rows["item"] = 0 if items is None else items
        rows["value_count"] = [2 * len(array) for array in arrays]
        rows["first_value"] = np.cumsum(rows["value_count"]) - rows["value_count"]
        for row, array in zip(rows, arrays, strict=True):
            if len(array):
                row["box"] = (*array.min(axis=0), *array.max(axis=0))
        values = np.concatenate([array.reshape(-1) for array in arrays]) if arrays else None
        return cls(rows, values, names=names, frame_size=frame_size)

    @property
    def points(self) -> list[NDArray[np.float32]]:
        """One (P, 2) float32 array per row, x and y in pixels of the frame."""
        return [self._pairs(index) for index in range(len(self))]

    def to_ground(self, homography: ArrayLike) -> list[NDArray[np.float64]]:
        """Map the points by a ground-plane homography, e.g. into metres.

        Parameters
        ----------
        homography : (3, 3) array
            Pixel of the frame -> ground, projective: x' = (m0 x + m1 y + m2) / (m6 x + m7 y + m8).

        Returns
        -------
        list of (P, 2) float64
            One array per row, in the homography's unit. Points on the horizon are infinite or NaN.

        Raises
        ------
        ArgumentError
            The homography is not a finite invertible 3x3 matrix.
        """
        matrix = np.asarray(homography, np.float64)
        if matrix.shape != (3, 3) or not np.isfinite(matrix).all() or abs(np.linalg.det(matrix)) < 1e-300:
            raise ArgumentError("homography: wanted a finite invertible 3x3 matrix, pixel of the frame -> ground")
        mapped = []
        for points in self.points:
            projected = np.column_stack([points, np.ones(len(points))]).astype(np.float64) @ matrix.T
            with np.errstate(divide="ignore", invalid="ignore"):
                mapped.append(projected[:, :2] / projected[:, 2:])
        return mapped

    def _columns(self) -> dict[str, list[Any]]:
        return {"polygon": list(self.points)}

    def _row(self, index: int) -> Shape:
        row = self._rows[index]
        class_id = int(row["class_id"])
        return Shape(int(row["item"]), class_id, self._label(class_id), float(row["score"]), self._pairs(index))

    def _json(self, index: int, row: Any) -> dict[str, Any]:
        return {**self._head(row), "points": listed(self._pairs(index))}

    def to_geojson(self) -> dict[str, Any]:
        """A GeoJSON-shaped FeatureCollection; coordinates are pixels of the frame, not degrees."""
        return {"type": "FeatureCollection", "features": self._features()}

    def _feature(self, index: int, geometry: dict[str, Any]) -> dict[str, Any]:
        row = self._rows[index]
        properties = {**self._head(row), "class_id": int(row["class_id"]), "item": int(row["item"])}
        return {"type": "Feature", "geometry": geometry, "properties": properties}

    def _features(self) -> list[dict[str, Any]]:
        return [
            self._feature(index, {"type": "LineString", "coordinates": listed(self._pairs(index))})
            for index in range(len(self))
        ]

    def _draw(self, image: NDArray[np.uint8], style: _draw.Style) -> None:
        for index in range(len(self)):
            color = _draw.color_of(int(self._rows["class_id"][index]), style.hue + (0 if self._CLOSED else index))
            _draw.polyline(image, self._pairs(index), color, closed=self._CLOSED, style=style)


class Polylines(_Vectors):
    """Open lines, e.g. lane markings, from near to far."""

    def polynomials(self, degree: int = 2) -> list[NDArray[np.float64]]:
        """Least-squares polynomials x(y) through the points, in pixels of the frame.

        Parameters
        ----------
        degree : int
            Lines of fewer points get a lower degree: one less than their points.

        Returns
        -------
        list of (degree + 1,) float64
            Highest power first, as `numpy.polyval` takes them.
        """
        return [
            np.polyfit(points[:, 1].astype(np.float64), points[:, 0].astype(np.float64), min(degree, len(points) - 1))
            for points in self.points
        ]


class Polygons(_Vectors):
    """Areas as rings of points; a hole is a row whose ``parent`` is the row of the ring around it.

    Outer rings run clockwise as seen on the screen, holes the other way. Quadrilaterals run top-left, top-right,
    bottom-right, bottom-left.
    """

    FIELDS: ClassVar[tuple[str, ...]] = ("item", "class_id", "score", "box", "parent", "area")
    _CLOSED = True

    @property
    def areas(self) -> NDArray[np.float32]:
        """(N,) float32: the area of each ring, in pixels of the frame squared; holes are not subtracted."""
        return self._rows["area"]

    @property
    def parents(self) -> NDArray[np.int32]:
        """(N,) int32: for a hole the row of the ring around it, or -1 if that ring was filtered out; for an outer ring -1."""
        return self._rows["parent"]

    def _filter(self, rows: NDArray[Any], selected: Any) -> NDArray[Any]:
        kept = np.arange(len(self._rows))[selected]
        new_index = np.full(len(self._rows) + 1, -1, np.int32)  # one more, for -1
        new_index[kept] = np.arange(len(kept))
        rows = rows.copy()
        rows["parent"] = new_index[rows["parent"]]
        return rows

    def _json(self, index: int, row: Any) -> dict[str, Any]:
        entry = super()._json(index, row)
        if row["parent"] >= 0:
            entry["parent"] = int(row["parent"])
        return entry

    def _features(self) -> list[dict[str, Any]]:
        def ring(index: int) -> list[list[float]]:
            points = listed(self._pairs(index))
            return [*points, *points[:1]]

        return [
            self._feature(
                index,
                {
                    "type": "Polygon",
                    "coordinates": [
                        ring(index),
                        *(ring(hole) for hole in np.flatnonzero(self.parents == index).tolist()),
                    ],
                },
            )
            for index in np.flatnonzero(self.parents < 0).tolist()
        ]

    def _draw(self, image: NDArray[np.uint8], style: _draw.Style) -> None:
        super()._draw(image, style)
        for index in np.flatnonzero(self.parents < 0).tolist():
            if self._label(int(self._rows["class_id"][index])) and self.names:
                color = _draw.color_of(int(self._rows["class_id"][index]), style.hue)
                x, y = self._rows["box"][index][:2]
                _draw.label(image, (float(x), float(y)), self._caption(index), color, style)
