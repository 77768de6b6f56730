"""Where native rows keep their fields, and how texts show numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


ROW_SIZE = 80
# Where mnnlite_row keeps each field (csrc/include/mnnlite/decoder.h); a test compares.
ROW: dict[str, tuple[Any, int]] = {
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
    "left": (np.int32, 64),
    "top": (np.int32, 68),
    "channels": (np.int32, 72),
}


def row_dtype(*names: str) -> np.dtype[np.void]:
    """Structured dtype of some fields, at their native offsets."""
    return np.dtype(
        {
            "names": names,
            "formats": [ROW[name][0] for name in names],
            "offsets": [ROW[name][1] for name in names],
            "itemsize": ROW_SIZE,
        }
    )


ALL = row_dtype(*ROW)


def number(value: float, digits: int = 3) -> float:
    """Round to the digits that a text shows."""
    return round(float(value), digits)


def listed(points: NDArray[np.float32]) -> list[list[float]]:
    """Points as lists of rounded numbers."""
    return [[number(value) for value in point] for point in points]
