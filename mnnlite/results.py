"""What decoders find: structured arrays over the native result pools, with plain conveniences.

All coordinates are pixels of the whole frame, x to the right, y down; pixel i covers [i, i+1).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, cast, overload

import numpy as np

from mnnlite import draw as _draw
from mnnlite.errors import ArgumentError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import ArrayLike, NDArray
    from typing_extensions import Self

__all__ = [
    "Results",
    "Classes",
    "Detections",
    "Masks",
    "Polygons",
    "Polylines",
    "Keypoints",
    "Texts",
    "Embeddings",
    "from_native",
]

_ROW_SIZE = 64
# Where mnnlite_row keeps each field (csrc/include/mnnlite/decoder.h); a test compares.
_ROW: dict[str, tuple[Any, int]] = {
    "item": (np.int32, 0),
    "class_id": (np.int32, 4),
    "score": (np.float32, 8),
    "box": ((np.float32, (4,)), 12),
    "first_value": (np.int32, 28),
    "value_count": (np.int32, 32),
    "first_char": (np.int32, 36),
    "char_count": (np.int32, 40),
    "first_pixel": (np.int32, 44),
    "width": (np.int32, 48),
    "height": (np.int32, 52),
    "parent": (np.int32, 56),
    "area": (np.float32, 60),
}


def _row_dtype(*names: str) -> np.dtype[np.void]:
    return np.dtype(
        {
            "names": names,
            "formats": [_ROW[name][0] for name in names],
            "offsets": [_ROW[name][1] for name in names],
            "itemsize": _ROW_SIZE,
        }
    )


_ALL = _row_dtype(*_ROW)


def _number(value: float, digits: int = 3) -> float:
    return round(float(value), digits)


def _points(points: NDArray[np.float32]) -> list[list[float]]:
    return [[_number(value) for value in point] for point in points]


class Results:
    """Rows of one kind; the base of all result types.

    Parameters
    ----------
    rows : structured array of rows, or bytes of them (uint8)
        As `from_native` gets them; use the ``from_arrays`` of a type to make results by hand.
    values : (V,) float32, optional
    chars : (C,) uint8, optional
    pixels : (P,) uint8, optional
        The pools that rows point into.
    names : sequence of str
        Names of the classes, by class id.
    frame_size : (width, height), optional
        Pixels of the frame the coordinates belong to.
    found : int, optional
        How many there were before the capacity cut them; the number of rows if not given.
    truncated : bool
        More were found than fit: the best were kept.
    """

    FIELDS: ClassVar[tuple[str, ...]] = ("item", "class_id", "score")
    _DTYPE: ClassVar[np.dtype[np.void]] = _row_dtype("item", "class_id", "score")

    def __init_subclass__(cls) -> None:
        cls._DTYPE = _row_dtype(*cls.FIELDS)

    def __init__(
        self,
        rows: NDArray[Any],
        values: NDArray[np.float32] | None = None,
        chars: NDArray[np.uint8] | None = None,
        pixels: NDArray[np.uint8] | None = None,
        *,
        names: Sequence[str] = (),
        frame_size: tuple[int, int] | None = None,
        found: int | None = None,
        truncated: bool = False,
    ) -> None:
        self._rows: NDArray[Any] = rows.view(_ALL)
        self._values = np.empty(0, np.float32) if values is None else values
        self._chars = np.empty(0, np.uint8) if chars is None else chars
        self._pixels = np.empty(0, np.uint8) if pixels is None else pixels
        self.names = names
        self.frame_size = frame_size
        # Of the frame, where the results come from a task.
        self.timestamp_ns: int | None = None
        self.meta: Any = None
        self.found = len(self._rows) if found is None else found
        self.truncated = truncated

    # ---- a sequence of rows

    def __len__(self) -> int:
        return len(self._rows)

    def __bool__(self) -> bool:
        return len(self._rows) > 0

    @overload
    def __getitem__(self, index: int) -> Any: ...
    @overload
    def __getitem__(self, index: slice | Sequence[bool] | Sequence[int] | NDArray[Any]) -> Self: ...
    def __getitem__(self, index: Any) -> Any:
        """One row as a named tuple for an integer; otherwise the rows that a slice, mask or index array selects."""
        if isinstance(index, (int, np.integer)):
            return self._row(range(len(self))[int(index)])
        selected = np.asarray(index, dtype=bool) if isinstance(index, list) and not index else index
        if isinstance(index, list) and not index:
            selected = slice(0, 0)
        rows = self._filter(self._rows[selected], selected)
        if rows.ndim != 1:
            raise ArgumentError(f"index: wanted a number, slice, mask or index array of rank 1, got {index!r}")
        chosen = type(self)(
            rows,
            self._values,
            self._chars,
            self._pixels,
            names=self.names,
            frame_size=self.frame_size,
            truncated=self.truncated,
        )
        chosen.timestamp_ns, chosen.meta = self.timestamp_ns, self.meta
        return chosen

    def _filter(self, rows: NDArray[Any], selected: Any) -> NDArray[Any]:
        """For kinds whose rows refer to one another."""
        return rows

    def __iter__(self) -> Iterator[Any]:
        return (self._row(index) for index in range(len(self)))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        rows = self.rows
        if dtype is not None and np.dtype(dtype) != rows.dtype:
            if copy is False:
                raise ValueError(f"rows cannot become {np.dtype(dtype)} without a copy")
            return rows.astype(dtype)
        return rows.copy() if copy else rows

    def __repr__(self) -> str:
        counts: dict[str, int] = {}
        for label in self.labels:
            counts[label] = counts.get(label, 0) + 1
        listed = ", ".join(f"{count} {label}".strip() for label, count in counts.items())
        cut = f", truncated from {self.found}" if self.truncated else ""
        return f"<{type(self).__name__}: {len(self)}{f' ({listed})' if listed else ''}{cut}>"

    # ---- columns

    @property
    def rows(self) -> NDArray[Any]:
        """(N,) structured array with the fields of this type, a view."""
        return self._rows.view(self._DTYPE)

    @property
    def items(self) -> NDArray[np.int32]:
        """(N,) int32: the crop or slot of the batch each row comes from."""
        return self._rows["item"]

    @property
    def class_ids(self) -> NDArray[np.int32]:
        """(N,) int32; -1 where there is no class."""
        return self._rows["class_id"]

    @property
    def scores(self) -> NDArray[np.float32]:
        """(N,) float32 in [0, 1] (whatever the network gives, for classification without activation)."""
        return self._rows["score"]

    @property
    def labels(self) -> list[str]:
        """Names of the rows' classes; the number where there is no name, "" where there is no class."""
        return [self._label(int(class_id)) for class_id in self._rows["class_id"]]

    def _label(self, class_id: int) -> str:
        if class_id < 0:
            return ""
        return self.names[class_id] if class_id < len(self.names) else str(class_id)

    def _row(self, index: int) -> Any:
        raise NotImplementedError

    def _json(self, index: int, row: Any) -> dict[str, Any]:
        raise NotImplementedError

    def _values_of(self, index: int) -> NDArray[np.float32]:
        first = int(self._rows["first_value"][index])
        return self._values[first : first + int(self._rows["value_count"][index])]

    def _pairs(self, index: int) -> NDArray[np.float32]:
        return self._values_of(index).reshape(-1, 2)

    # ---- out

    def to_json(self) -> list[dict[str, Any]]:
        """Rows as dictionaries of finite numbers, texts and lists; ``item`` is there if there is more than one.

        Pixels are rounded to 0.001 and scores to 0.00001.
        """
        several = bool((self._rows["item"] != 0).any())
        result = []
        for index in range(len(self)):
            entry = self._json(index, self._rows[index])
            if several:
                entry["item"] = int(self._rows["item"][index])
            result.append(entry)
        return result

    def _head(self, row: Any) -> dict[str, Any]:
        head: dict[str, Any] = {"label": self._label(int(row["class_id"]))} if row["class_id"] >= 0 else {}
        head["score"] = _number(row["score"], 5)
        return head

    def draw(self, image: NDArray[np.uint8], style: _draw.Style | None = None) -> NDArray[np.uint8]:
        """Draw the rows into an image, in place.

        Parameters
        ----------
        image : (H, W, 3) uint8, writable
            The frame the results belong to; the order of channels only swaps the palette.
        style : mnnlite.draw.Style, optional
            Sizes and transparency.

        Returns
        -------
        (H, W, 3) uint8
            The image that was passed.
        """
        _draw.check_image(image)
        self._draw(image, style or _draw.Style())
        return image

    def _draw(self, image: NDArray[np.uint8], style: _draw.Style) -> None:
        """Draw nothing: for kinds without a place in the picture."""

    def _caption(self, index: int) -> str:
        row = self._rows[index]
        return f"{self._label(int(row['class_id']))} {float(row['score']):.2f}".strip()


class Class(NamedTuple):
    """One row of `Classes`."""

    item: int
    class_id: int
    label: str
    score: float


class Classes(Results):
    """Class scores, best first, for each item."""

    def _row(self, index: int) -> Class:
        row = self._rows[index]
        class_id = int(row["class_id"])
        return Class(int(row["item"]), class_id, self._label(class_id), float(row["score"]))

    def _json(self, index: int, row: Any) -> dict[str, Any]:
        return {**self._head(row), "class_id": int(row["class_id"])}

    def _draw(self, image: NDArray[np.uint8], style: _draw.Style) -> None:
        lines = [self._caption(index) for index in range(len(self))]
        _draw.text_block(image, (4, 4), lines, style=style)


class Detection(NamedTuple):
    """One row of `Detections`; `box` is x1, y1, x2, y2 in pixels of the frame."""

    item: int
    class_id: int
    label: str
    score: float
    box: tuple[float, float, float, float]


class _Boxed(Results):
    FIELDS: ClassVar[tuple[str, ...]] = ("item", "class_id", "score", "box")

    @property
    def boxes_xyxy(self) -> NDArray[np.float32]:
        """(N, 4) float32: x1, y1, x2, y2 in pixels of the frame."""
        return self._rows["box"]

    @property
    def boxes_xywh(self) -> NDArray[np.float32]:
        """(N, 4) float32: left, top, width, height in pixels of the frame; a copy."""
        boxes = self._rows["box"].copy()
        boxes[:, 2:] -= boxes[:, :2]
        return boxes

    @staticmethod
    def _box(row: Any) -> list[float]:
        return [_number(value) for value in row["box"]]

    def to_coco(self, image_id: int = 0) -> list[dict[str, Any]]:
        """Rows as COCO result dictionaries: ``bbox`` is left, top, width, height."""
        return [
            {
                "image_id": image_id,
                "category_id": int(row["class_id"]),
                "bbox": [_number(value) for value in (*row["box"][:2], *(row["box"][2:] - row["box"][:2]))],
                "score": _number(row["score"], 5),
            }
            for row in self._rows
        ]


class Detections(_Boxed):
    """Boxes with a class and a score, best first for each item; some heads add points (corners, face marks)."""

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
        rows = np.zeros(len(boxes), _ALL)
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

    def _row(self, index: int) -> Detection:
        row = self._rows[index]
        class_id = int(row["class_id"])
        x1, y1, x2, y2 = (float(value) for value in row["box"])
        return Detection(int(row["item"]), class_id, self._label(class_id), float(row["score"]), (x1, y1, x2, y2))

    def _json(self, index: int, row: Any) -> dict[str, Any]:
        entry: dict[str, Any] = {
            "label": self._label(int(row["class_id"])),
            "score": _number(row["score"], 5),
            "box": self._box(row),
        }
        if row["value_count"]:
            entry["points"] = _points(self._pairs(index))
        return entry

    def to_supervision(self) -> Any:
        """The same as `supervision.Detections`; needs the package supervision.

        Raises
        ------
        ImportError
            The package is not installed.
        """
        import supervision  # type: ignore[import-not-found, unused-ignore]

        return supervision.Detections(
            xyxy=np.array(self.boxes_xyxy),
            confidence=np.array(self.scores),
            class_id=self.class_ids.astype(int),
            data={"class_name": np.array(self.labels)},
        )

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


class Mask(NamedTuple):
    """One row of `Masks`; `mask` is (H, W) bool at the size of the map."""

    item: int
    class_id: int
    label: str
    score: float
    box: tuple[float, float, float, float]
    area: float
    mask: NDArray[np.bool_]


class Masks(_Boxed):
    """Areas of a class map, one row per class and item."""

    FIELDS: ClassVar[tuple[str, ...]] = ("item", "class_id", "score", "box", "area")

    @property
    def areas(self) -> NDArray[np.float32]:
        """(N,) float32: pixels of the frame squared."""
        return self._rows["area"]

    def class_map(self, item: int = 0) -> NDArray[np.uint8]:
        """(H, W) uint8: the class of each pixel of an item's map; 255 where the network saw nothing of the frame.

        Raises
        ------
        ArgumentError
            No row is of that item (a map of nothing but background has none).
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
        """(frame height, frame width) uint8: an item's class map, nearest pixel, 255 where it does not reach."""
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
        return {**self._head(row), "box": self._box(row), "area": _number(row["area"], 1)}

    def _draw(self, image: NDArray[np.uint8], style: _draw.Style) -> None:
        for item in dict.fromkeys(int(item) for item in self._rows["item"]):
            spread = self.over_frame(item, (image.shape[1], image.shape[0]))
            _draw.class_map(image, spread, self._rows["class_id"][self._rows["item"] == item], style=style)


class Shape(NamedTuple):
    """One row of `Polygons` or `Polylines`; `points` is (P, 2) float32 in pixels of the frame."""

    item: int
    class_id: int
    label: str
    score: float
    points: NDArray[np.float32]


class _Vectors(_Boxed):
    _CLOSED: ClassVar[bool] = False

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
        """Vectors from one (P, 2) array each, in pixels of the frame."""
        arrays = [np.asarray(one, np.float32).reshape(-1, 2) for one in points]
        rows = np.zeros(len(arrays), _ALL)
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
            Not a finite invertible 3x3 matrix.
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

    def _row(self, index: int) -> Shape:
        row = self._rows[index]
        class_id = int(row["class_id"])
        return Shape(int(row["item"]), class_id, self._label(class_id), float(row["score"]), self._pairs(index))

    def _json(self, index: int, row: Any) -> dict[str, Any]:
        return {**self._head(row), "points": _points(self._pairs(index))}

    def to_geojson(self) -> dict[str, Any]:
        """A GeoJSON-shaped FeatureCollection; coordinates are pixels of the frame, not degrees."""
        return {"type": "FeatureCollection", "features": self._features()}

    def _feature(self, index: int, geometry: dict[str, Any]) -> dict[str, Any]:
        row = self._rows[index]
        properties = {**self._head(row), "class_id": int(row["class_id"]), "item": int(row["item"])}
        return {"type": "Feature", "geometry": geometry, "properties": properties}

    def _features(self) -> list[dict[str, Any]]:
        return [
            self._feature(index, {"type": "LineString", "coordinates": _points(self._pairs(index))})
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
            Lowered for lines of fewer points.

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
        """(N,) float32: pixels of the frame squared, holes not taken off."""
        return self._rows["area"]

    @property
    def parents(self) -> NDArray[np.int32]:
        """(N,) int32: for holes the row of the ring around them, else -1 (also if filtering took that ring away)."""
        return self._rows["parent"]

    def _filter(self, rows: NDArray[Any], selected: Any) -> NDArray[Any]:
        kept = np.arange(len(self._rows))[selected]
        place = np.full(len(self._rows) + 1, -1, np.int32)  # one more, for -1
        place[kept] = np.arange(len(kept))
        rows = rows.copy()
        rows["parent"] = place[rows["parent"]]
        return rows

    def _json(self, index: int, row: Any) -> dict[str, Any]:
        entry = super()._json(index, row)
        if row["parent"] >= 0:
            entry["parent"] = int(row["parent"])
        return entry

    def _features(self) -> list[dict[str, Any]]:
        def ring(index: int) -> list[list[float]]:
            points = _points(self._pairs(index))
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


class Skeleton(NamedTuple):
    """One row of `Keypoints`; `points` is (P, 3) float32: x, y in pixels of the frame and a confidence."""

    item: int
    class_id: int
    label: str
    score: float
    points: NDArray[np.float32]


class Keypoints(_Boxed):
    """Sets of key points with a confidence each."""

    @property
    def points(self) -> NDArray[np.float32]:
        """(N, P, 3) float32: x, y in pixels of the frame, confidence."""
        if len(self) == 0:
            return np.empty((0, 0, 3), np.float32)
        return np.stack([self._values_of(index).reshape(-1, 3) for index in range(len(self))])

    def _row(self, index: int) -> Skeleton:
        row = self._rows[index]
        class_id = int(row["class_id"])
        points = self._values_of(index).reshape(-1, 3)
        return Skeleton(int(row["item"]), class_id, self._label(class_id), float(row["score"]), points)

    def _json(self, index: int, row: Any) -> dict[str, Any]:
        return {**self._head(row), "box": self._box(row), "points": _points(self._values_of(index).reshape(-1, 3))}

    def _draw(self, image: NDArray[np.uint8], style: _draw.Style) -> None:
        for index in range(len(self)):
            color = _draw.color_of(int(self._rows["class_id"][index]), style.hue + index)
            _draw.dots(image, self._values_of(index).reshape(-1, 3)[:, :2], color, style)


class Text(NamedTuple):
    """One row of `Texts`; `points` is (4, 2) float32: the corners of its place in the frame."""

    item: int
    text: str
    score: float
    points: NDArray[np.float32]
    confidences: NDArray[np.float32]


class Texts(_Boxed):
    """Read texts with a confidence per character."""

    FIELDS: ClassVar[tuple[str, ...]] = ("item", "score", "box")

    @property
    def text(self) -> list[str]:
        """The texts, one per row."""
        return [self._text(index) for index in range(len(self))]

    @property
    def labels(self) -> list[str]:
        """The same as `text`."""
        return self.text

    @property
    def points(self) -> NDArray[np.float32]:
        """(N, 4, 2) float32: the corners of each text's place, in pixels of the frame."""
        if len(self) == 0:
            return np.empty((0, 4, 2), np.float32)
        return np.stack([self._values_of(index)[:8].reshape(4, 2) for index in range(len(self))])

    @property
    def confidences(self) -> list[NDArray[np.float32]]:
        """One array per row: a confidence in [0, 1] per character."""
        return [self._values_of(index)[8:] for index in range(len(self))]

    def _text(self, index: int) -> str:
        first, count = int(self._rows["first_char"][index]), int(self._rows["char_count"][index])
        return self._chars[first : first + count].tobytes().decode("utf-8", "replace")

    def _row(self, index: int) -> Text:
        row, values = self._rows[index], self._values_of(index)
        return Text(int(row["item"]), self._text(index), float(row["score"]), values[:8].reshape(4, 2), values[8:])

    def _json(self, index: int, row: Any) -> dict[str, Any]:
        points = _points(self._values_of(index)[:8].reshape(4, 2))
        return {"text": self._text(index), "score": _number(row["score"], 5), "points": points}

    def _draw(self, image: NDArray[np.uint8], style: _draw.Style) -> None:
        for index in range(len(self)):
            color = _draw.color_of(0, style.hue + index)
            corners = self._values_of(index)[:8].reshape(4, 2)
            _draw.polyline(image, corners, color, closed=True, style=style)
            _draw.label(image, (float(corners[0, 0]), float(corners[0, 1])), self._text(index), color, style)


class Embedding(NamedTuple):
    """One row of `Embeddings`."""

    item: int
    vector: NDArray[np.float32]


class Embeddings(Results):
    """Feature vectors, one per item."""

    FIELDS: ClassVar[tuple[str, ...]] = ("item",)

    @property
    def vectors(self) -> NDArray[np.float32]:
        """(N, D) float32."""
        if len(self) == 0:
            return np.empty((0, 0), np.float32)
        return np.stack([self._values_of(index) for index in range(len(self))])

    def _row(self, index: int) -> Embedding:
        return Embedding(int(self._rows["item"][index]), self._values_of(index))

    def _json(self, index: int, row: Any) -> dict[str, Any]:
        return {"vector": [_number(value, 6) for value in self._values_of(index)]}


# By enum mnnlite_kind of decoder.h; 0 is raw: no rows.
KINDS: dict[int, type[Results]] = {
    1: Classes,
    2: Detections,
    3: Masks,
    4: Polygons,
    5: Polylines,
    6: Keypoints,
    7: Texts,
    8: Embeddings,
}


def from_native(
    native: tuple[int, Any, Any, Any, Any, int, bool],
    *,
    names: Sequence[str] = (),
    frame_size: tuple[int, int] | None = None,
) -> Results:
    """Results from what ``_core`` returns: (kind, rows, values, chars, pixels, found, truncated).

    Parameters
    ----------
    native : tuple
        Arrays of rank 1; rows are the bytes of mnnlite_row.
    names : sequence of str
        Names of the classes.
    frame_size : (width, height), optional
        Pixels of the frame.

    Returns
    -------
    Results
        Of the type that belongs to the kind; views of the arrays, nothing is copied.
    """
    kind, rows, values, chars, pixels, found, truncated = native
    return KINDS[kind](
        rows, values, chars, pixels, names=names, frame_size=frame_size, found=found, truncated=truncated
    )
