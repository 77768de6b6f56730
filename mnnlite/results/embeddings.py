"""Feature vectors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np

from mnnlite.results.base import Results
from mnnlite.results.rows import number

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Embedding(NamedTuple):
    """One row of `Embeddings`."""

    item: int
    vector: NDArray[np.float32]


class Embeddings(Results):
    """Feature vectors, one per item."""

    FIELDS: ClassVar[tuple[str, ...]] = ("item",)

    @property
    def vectors(self) -> NDArray[np.float32]:
        """(N, D) float32: one vector per row."""
        if len(self) == 0:
            return np.empty((0, 0), np.float32)
        return np.stack([self._values_of(index) for index in range(len(self))])

    def _columns(self) -> dict[str, list[Any]]:
        return {"embedding": list(self.vectors)}

    def _row(self, index: int) -> Embedding:
        return Embedding(int(self._rows["item"][index]), self._values_of(index))

    def _json(self, index: int, row: Any) -> dict[str, Any]:
        return {"vector": [number(value, 6) for value in self._values_of(index)]}
