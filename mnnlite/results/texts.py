"""Texts that a network has read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np

from mnnlite import draw as _draw
from mnnlite.results.base import Boxed
from mnnlite.results.rows import listed, number

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Text(NamedTuple):
    """One row of `Texts`; `points` is (4, 2) float32: the corners of the text in the frame."""

    item: int
    text: str
    score: float
    points: NDArray[np.float32]
    confidences: NDArray[np.float32]


class Texts(Boxed):
    """Texts that a network has read, with a confidence per character."""

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
        """(N, 4, 2) float32: the corners of each text, in pixels of the frame."""
        if len(self) == 0:
            return np.empty((0, 4, 2), np.float32)
        return np.stack([self._values_of(index)[:8].reshape(4, 2) for index in range(len(self))])

    @property
    def confidences(self) -> list[NDArray[np.float32]]:
        """One array per row, with a confidence in [0, 1] per character."""
        return [self._values_of(index)[8:] for index in range(len(self))]

    def _text(self, index: int) -> str:
        first, count = int(self._rows["first_char"][index]), int(self._rows["char_count"][index])
        return self._chars[first : first + count].tobytes().decode("utf-8", "replace")

    def _columns(self) -> dict[str, list[Any]]:
        return {"text": self.text, "polygon": list(self.points)}

    def _row(self, index: int) -> Text:
        row, values = self._rows[index], self._values_of(index)
        return Text(int(row["item"]), self._text(index), float(row["score"]), values[:8].reshape(4, 2), values[8:])

    def _json(self, index: int, row: Any) -> dict[str, Any]:
        points = listed(self._values_of(index)[:8].reshape(4, 2))
        return {"text": self._text(index), "score": number(row["score"], 5), "points": points}

    def _draw(self, image: NDArray[np.uint8], style: _draw.Style) -> None:
        for index in range(len(self)):
            color = _draw.color_of(0, style.hue + index)
            corners = self._values_of(index)[:8].reshape(4, 2)
            _draw.polyline(image, corners, color, closed=True, style=style)
            _draw.label(image, (float(corners[0, 0]), float(corners[0, 1])), self._text(index), color, style)
