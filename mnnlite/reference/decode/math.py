"""exp and what is made of it, in float32 operations of a fixed order: the same bits as csrc/decode/common/math.hpp."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

_F = np.float32
_TAYLOR = (1.38888889e-3, 8.33333333e-3, 4.16666667e-2, 1.66666667e-1, 0.5, 1.0, 1.0)


def exp(x: ArrayLike) -> NDArray[np.float32]:
    """e^x, relative error below 2e-7; clamped to [-87, 88].

    Range reduction after Cody and Waite (Software Manual for the Elementary Functions, 1980, chapter 6), then the
    Taylor series to the seventh power.
    """
    x = np.minimum(np.maximum(np.asarray(x, _F), _F(-87)), _F(88))
    n = (x * _F(1.44269504) + _F(12582912)) - _F(12582912)
    r = (x - n * _F(0.693359375)) - n * _F(-2.12194440e-4)
    p = np.full_like(r, _F(1.98412698e-4))
    for coefficient in _TAYLOR:
        p = p * r + _F(coefficient)
    bits = p.view(np.int32) + (n.astype(np.int32) << 23)
    result: NDArray[np.float32] = bits.view(_F)
    return result


def sigmoid(x: ArrayLike) -> NDArray[np.float32]:
    """1 / (1 + e^-x)."""
    result: NDArray[np.float32] = _F(1) / (_F(1) + exp(-np.asarray(x, _F)))
    return result


def tanh(x: ArrayLike) -> NDArray[np.float32]:
    """1 - 2 / (e^2x + 1)."""
    result: NDArray[np.float32] = _F(1) - _F(2) / (exp(_F(2) * np.asarray(x, _F)) + _F(1))
    return result


def logit(probability: float) -> Any:
    """The x whose sigmoid is `probability`, as float32; infinite for 0 and 1."""
    p = float(_F(probability))
    if p <= 0 or p >= 1:
        return _F(-np.inf if p <= 0 else np.inf)
    return _F(math.log(p / (1 - p)))
