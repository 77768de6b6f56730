"""Feature vectors."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def decode(output: NDArray[np.float32], *, normalize: bool = True) -> NDArray[np.float32]:
    """(N, D) vectors, scaled to length 1 in double precision; a vector of zeros stays."""
    vectors = np.asarray(output, np.float32).reshape(len(output), -1).astype(np.float64)
    if normalize:
        length = np.sqrt(np.cumsum(vectors * vectors, axis=1)[:, -1:])
        vectors = vectors / np.where(length > 0, length, 1)
    return vectors.astype(np.float32)
