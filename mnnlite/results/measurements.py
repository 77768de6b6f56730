"""Numbers that a network gives in a unit of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np

from mnnlite import draw as _draw
from mnnlite.results.base import Results
from mnnlite.results.rows import number

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Measurement(NamedTuple):
    """One row of `Measurements`; `values` is (D,) float32."""

    item: int
    values: NDArray[np.float32]


class Measurements(Results):
    """The numbers of each item, e.g. an age or the angles of a head; `names` are their names."""

    FIELDS: ClassVar[tuple[str, ...]] = ("item",)

    @property
    def labels(self) -> list[str]:
        """The first six numbers of each row with their names, as a text."""
        return [self._caption(index) for index in range(len(self))]

    @property
    def values(self) -> NDArray[np.float32]:
        """(N, D) float32: the numbers of each row, in the decoder's unit."""
        if len(self) == 0:
            return np.empty((0, 0), np.float32)
        return np.stack([self._values_of(index) for index in range(len(self))])

    def _columns(self) -> dict[str, list[Any]]:
        return {"values": list(self.values)}

    def _row(self, index: int) -> Measurement:
        return Measurement(int(self._rows["item"][index]), self._values_of(index))

    def _json(self, index: int, row: Any) -> dict[str, Any]:
        return {"values": [number(value) for value in self._values_of(index)]}

    def _caption(self, index: int) -> str:
        values = [f"{value:.4g}" for value in self._values_of(index)[:6].tolist()]
        names = [self.names[k] if k < len(self.names) else "" for k in range(len(values))]
        return ", ".join(f"{name} {value}".strip() for name, value in zip(names, values, strict=True))

    def _draw(self, image: NDArray[np.uint8], style: _draw.Style) -> None:
        for index in range(len(self)):
            at = (2.0, 2.0 + 24.0 * (index + 1))
            _draw.label(image, at, self._caption(index), _draw.color_of(index, style.hue), style)
