"""The difference of two tensors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Difference", "difference"]

_NEIGHBOURS = 2
_NOTHING = 1e-20  # smaller than any value that means something: some engines flush denormal numbers to zero


@dataclass(frozen=True)
class Difference:
    """The difference of a tensor from its reference.

    Parameters
    ----------
    max_abs : float
        Largest absolute difference, in the tensor's own unit.
    relative : float
        `max_abs` divided by the reference's largest absolute value.
    cosine : float
        Cosine of the two as vectors; 1 is the same direction.
    worst : tuple of int
        Index of the largest difference.
    around, around_reference : tuple of float
        The values at `worst` and up to two elements to either side on the last axis.
    not_finite, not_finite_reference : int
        How many elements are NaN or infinite. An element that is so on one side only is an infinite difference.
    largest : float
        The reference's largest absolute value.
    """

    max_abs: float
    relative: float
    cosine: float
    worst: tuple[int, ...]
    around: tuple[float, ...]
    around_reference: tuple[float, ...]
    not_finite: int
    not_finite_reference: int
    largest: float = 0.0


def difference(found: NDArray[Any], reference: NDArray[Any]) -> Difference:
    """Measure the difference of two tensors of equal shape."""
    import numpy as np

    if found.size == 0:
        return Difference(0.0, 0.0, 1.0, (), (), (), 0, 0)
    a, b = (np.asarray(each, np.float64) for each in (found, reference))
    finite_a, finite_b = np.isfinite(a), np.isfinite(b)
    if finite_a.all() and finite_b.all():
        safe_a, safe_b, apart = a, b, np.abs(a - b)
    else:  # both NaN, or the same infinity, is agreement
        same = (~finite_a & ~finite_b) & ((a == b) | (np.isnan(a) & np.isnan(b)))
        both = finite_a & finite_b
        safe_a, safe_b = np.where(both, a, 0.0), np.where(both, b, 0.0)
        apart = np.where(same, 0.0, np.where(both, np.abs(safe_a - safe_b), np.inf))
    worst = np.unravel_index(int(np.argmax(apart)), a.shape)
    max_abs = float(apart[worst])
    clean_a, clean_b = safe_a.ravel(), safe_b.ravel()
    # Not the products of a library with threads: on a busy machine these wait for one another, for longer than the network runs.
    inner, square_a, square_b = (
        float(np.einsum("i,i->", x, y)) for x, y in ((clean_a, clean_b), (clean_a, clean_a), (clean_b, clean_b))
    )
    norms = square_a**0.5 * square_b**0.5
    cosine = inner / norms if norms > _NOTHING**2 else float(max_abs <= _NOTHING)
    scale = float(np.abs(clean_b).max())
    relative = max_abs / max(scale, _NOTHING)
    line = slice(None) if a.ndim == 0 else slice(max(0, int(worst[-1]) - _NEIGHBOURS), int(worst[-1]) + _NEIGHBOURS + 1)
    row_a, row_b = (np.atleast_1d(each[worst[:-1]] if each.ndim else each)[line] for each in (a, b))
    return Difference(
        max_abs,
        float(relative),
        min(1.0, cosine),
        tuple(int(index) for index in worst),
        tuple(float(value) for value in row_a),
        tuple(float(value) for value in row_b),
        int((~finite_a).sum()),
        int((~finite_b).sum()),
        scale,
    )
