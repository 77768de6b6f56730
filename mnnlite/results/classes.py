"""Class scores."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from mnnlite import draw as _draw
from mnnlite.results.base import Results

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


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
