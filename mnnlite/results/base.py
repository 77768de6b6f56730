"""What all results share."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, overload

import numpy as np

from mnnlite import _core
from mnnlite import draw as _draw
from mnnlite.errors import ArgumentError
from mnnlite.results import exports
from mnnlite.results.rows import ALL, number, row_dtype

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray
    from typing_extensions import Self


_NO_VALUES, _NO_BYTES = np.empty(0, np.float32), np.empty(0, np.uint8)


class Results:
    """Rows of one kind; the base of all result types.

    Parameters
    ----------
    rows : structured array of rows, or bytes of them (uint8)
        As `from_native` gets them. To make results by hand, use `Detections.from_arrays` or `Polygons.from_points`.
    values : (V,) float32, optional
    chars : (C,) uint8, optional
    pixels : (P,) uint8, optional
        The pools that rows point into.
    names : sequence of str
        Names of the classes, by class id.
    frame_size : (width, height), optional
        Pixels of the frame the coordinates belong to.
    found : int, optional
        How many results there were before the decoder cut them to its capacity. The default is the number of rows.
    truncated : bool
        Whether the decoder found more than fit and kept the best.
    """

    FIELDS: ClassVar[tuple[str, ...]] = ("item", "class_id", "score")
    _DTYPE: ClassVar[np.dtype[np.void]] = row_dtype("item", "class_id", "score")
    _NUMBERED: ClassVar[bool] = True  # where classes have no names, their numbers stand for them
    _buffer: _core.ResultBuffer | None = None  # what rows and pools lie in, if it is used again (``out=``)

    def __init_subclass__(cls) -> None:
        cls._DTYPE = row_dtype(*cls.FIELDS)

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
        self._untyped: NDArray[Any] = rows
        self._values = _NO_VALUES if values is None else values
        self._chars = _NO_BYTES if chars is None else chars
        self._pixels = _NO_BYTES if pixels is None else pixels
        self.names = names
        self.frame_size = frame_size
        # Of the frame, where the results come from a task.
        self.timestamp_ns: int | None = None
        self.meta: Any = None
        self.found = len(self._rows) if found is None else found
        self.truncated = truncated

    @cached_property
    def _rows(self) -> NDArray[Any]:
        """The rows with their fields. Made when somebody looks: a view costs more than the rest of a small result."""
        return self._untyped.view(ALL)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_buffer": None}  # a copy, or what another process gets, has its own memory

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
        """(N,) float32 in [0, 1]; for classification without activation, the network's own numbers."""
        return self._rows["score"]

    @property
    def labels(self) -> list[str]:
        """The name of each row's class; its number if the class has no name, "" if the row has no class.

        Areas and lines of classes without names have the label "".
        """
        return [self._label(int(class_id)) for class_id in self._rows["class_id"]]

    def _label(self, class_id: int) -> str:
        if class_id < 0:
            return ""
        if class_id < len(self.names):
            return self.names[class_id]
        return str(class_id) if self._NUMBERED else ""

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
        """Rows as dictionaries of finite numbers, texts and lists.

        They have ``item`` if a row is of another item than 0. Pixels are rounded to 0.001 and scores to 0.00001.
        """
        several = bool((self._rows["item"] != 0).any())
        result = []
        for index in range(len(self)):
            entry = self._json(index, self._rows[index])
            if several:
                entry["item"] = int(self._rows["item"][index])
            result.append(entry)
        return result

    def _columns(self) -> dict[str, list[Any]]:
        """What a kind holds beside item, class, score and box, a value a row: for other libraries."""
        return {}

    def _frame_masks(self) -> NDArray[np.bool_] | None:
        """(N, H, W) bool over the frame, for kinds that have masks."""
        return None

    def to_coco(self, image_id: int = 0) -> list[dict[str, Any]]:
        """Rows as COCO result dictionaries: ``bbox`` is left, top, width, height; masks are uncompressed run lengths.

        Parameters
        ----------
        image_id : int
        """
        return exports.coco(self, image_id)

    def to_supervision(self) -> Any:
        """The rows as `supervision.Detections`; key points as `KeyPoints`, classes without boxes as `Classifications`.

        Raises
        ------
        MissingExtraError
            The package supervision is not installed.
        ArgumentError
            They are `Embeddings` or `Measurements`, which supervision has no type for.
        """
        return exports.supervision(self)

    def to_arrow(self) -> Any:
        """A `pyarrow.Table` with the columns ``item``, ``class_id``, ``label`` and ``score``, and those that the type has of
        ``box``, ``area``, ``text``, ``polygon``, ``points``, ``keypoints``, ``embedding``, ``values`` and ``run_lengths``.

        Raises
        ------
        MissingExtraError
            pyarrow is not installed (``pip install "mnnlite[arrow]"``).
        """
        return exports.arrow(self)

    def _repr_png_(self) -> bytes | None:
        """The rows drawn on a grey picture of the frame's size, as a PNG for notebooks."""
        return exports.picture(self)

    def _head(self, row: Any) -> dict[str, Any]:
        head: dict[str, Any] = {}
        class_id = int(row["class_id"])
        if self._label(class_id):
            head["label"] = self._label(class_id)
        elif class_id >= 0:
            head["class_id"] = class_id
        head["score"] = number(row["score"], 5)
        return head

    def draw(self, image: NDArray[np.uint8], style: _draw.Style | None = None) -> NDArray[np.uint8]:
        """Draw the rows into an image, in place.

        Parameters
        ----------
        image : (H, W, 3) uint8, writable
            The frame the results belong to, RGB or BGR: the order of channels only changes the colours of the drawing.
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


class Boxed(Results):
    """Rows with a box."""

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
        return [number(value) for value in row["box"]]
