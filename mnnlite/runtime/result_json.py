"""What a task returned, as plain data for JSON."""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING, Any

import numpy as np

from mnnlite.results import Results

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

__all__ = ["is_raw", "plain"]

_FEW = 100  # values of a raw output that are written out


def plain(result: Any) -> Any:
    """A list of rows; of a raw output a summary; of several decoders a dict; of a decoder in Python what it returned."""
    if isinstance(result, Results):
        return result.to_json()
    if is_raw(result):
        return [_summary(name, array) for name, array in result.items()]
    # Several decoders, or whatever a decoder in Python returned.
    if isinstance(result, dict):
        return {str(name): plain(value) for name, value in result.items()}
    if isinstance(result, (list, tuple)):
        return [plain(value) for value in result]
    if isinstance(result, np.generic):
        return plain(result.item())
    if isinstance(result, float):
        return result if isfinite(result) else None
    return result if result is None or isinstance(result, (bool, int, str)) else repr(result)


def is_raw(result: Any) -> bool:
    """Tell whether a task handed its outputs out."""
    return isinstance(result, dict) and all(isinstance(value, np.ndarray) for value in result.values())


def _summary(name: str, array: NDArray[Any]) -> dict[str, Any]:
    """A raw output in short: it may have millions of values."""
    summary: dict[str, Any] = {"output": name, "shape": list(array.shape), "dtype": str(array.dtype)}
    if array.size:
        measures = (array.min().item(), array.max().item(), array.mean(dtype=np.float64).item())
        summary |= zip(("min", "max", "mean"), _numbers(measures), strict=True)
    if array.size <= _FEW:
        summary["values"] = _numbers(array.ravel().tolist())
    return summary


def _numbers(values: Iterable[float]) -> list[float | None]:
    """JSON has no NaN and no infinities."""
    return [value if isfinite(value) else None for value in values]
