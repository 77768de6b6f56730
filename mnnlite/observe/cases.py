"""The inputs that two networks are compared on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mnnlite.errors import ArgumentError, DTypeError, LayoutError, TensorNotFoundError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["CONSTANT", "make_cases"]

CONSTANT = 0.46875  # 15/32: exact in every float format in use, so that no input error can hide an operator's


def make_cases(
    shapes: Mapping[str, tuple[tuple[int, ...], str]],
    given: float | Mapping[str, NDArray[Any]] | None,
    seed: int,
    signed: bool = False,
    more: Mapping[str, Mapping[str, NDArray[Any]]] | None = None,
) -> dict[str, dict[str, NDArray[Any]]]:
    """Inputs by case, in the order in which they are tried.

    ``constant`` separates an error of the input from one of an operator, and hides transposed kernels, swapped channels
    and most errors of padding; ``random`` (uniform in [0, 1)) shows them; ``signed`` (normal, of twice the size) shows
    activations that bend elsewhere; ``input`` is the user's, and so are `more`.
    """
    import numpy as np

    constant = CONSTANT if given is None or isinstance(given, Mapping) else float(given)
    rng = np.random.default_rng(seed)
    cases: dict[str, dict[str, NDArray[Any]]] = {"constant": {}, "random": {}}
    if signed:
        cases["signed"] = {}
    for name, (shape, dtype) in shapes.items():
        if np.dtype(dtype).kind == "f":
            cases["constant"][name] = np.full(shape, constant, dtype)
            cases["random"][name] = rng.random(shape).astype(dtype)
            if signed:
                cases["signed"][name] = (2 * rng.standard_normal(shape)).astype(dtype)
        else:
            cases["constant"][name] = np.ones(shape, dtype)
            eight = np.dtype(dtype).itemsize == 1  # bits: of a quantised network, whose numbers use them all
            cases["random"][name] = rng.integers(*((0, 127) if eight else (0, 2)), shape).astype(dtype)
            if signed:
                limits = np.iinfo(dtype) if np.dtype(dtype).kind in "iu" else None
                whole = limits is not None and eight
                cases["signed"][name] = rng.integers(
                    *((limits.min, limits.max + 1) if whole and limits is not None else (0, 2)), shape
                ).astype(dtype)
    given_cases = {**({"input": given} if isinstance(given, Mapping) else {}), **(more or {})}
    for case, values in given_cases.items():
        unknown = [name for name in values if name not in shapes]
        missing = [name for name in shapes if name not in values]
        if unknown or missing:
            raise TensorNotFoundError(
                f"the given input has {', '.join(map(repr, values))}; the network takes {', '.join(map(repr, shapes))}"
            )
        cases[case] = {name: _fitting(name, values[name], *wanted) for name, wanted in shapes.items()}
    return cases


def _fitting(name: str, value: NDArray[Any], shape: tuple[int, ...], dtype: str) -> NDArray[Any]:
    import numpy as np

    if not isinstance(value, np.ndarray):
        raise ArgumentError(f"input {name!r} is a {type(value).__name__}; wanted an array")
    if value.shape != shape and value.ndim == len(shape) == 4:  # the other order of axes, as tasks take it
        for perm in ((0, 3, 1, 2), (0, 2, 3, 1)):
            if tuple(value.shape[axis] for axis in perm) == shape:
                value = value.transpose(perm)
                break
    if value.shape != shape:
        raise LayoutError(f"input {name!r} has shape {value.shape}, the network takes {shape}")
    if value.dtype != np.dtype(dtype):
        raise DTypeError(f"input {name!r} is {value.dtype}, the network takes {dtype}")
    return np.ascontiguousarray(value)
