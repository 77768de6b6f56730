"""What stands behind `ImageSpec.apply`: plans, kept, and run on the native handles of frames.

`specs` imports this file, so it names neither specs nor frames: it takes what has their attributes.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from mnnlite import _core
from mnnlite.errors import ArgumentError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["FrameLike", "convert"]


class FrameLike(Protocol):
    """A `mnnlite.Frame`, by what is needed of it."""

    @property
    def _handle(self) -> _core.FrameHandle: ...


def convert(spec: Any, frame: FrameLike | Sequence[FrameLike], out: NDArray[Any] | None = None) -> NDArray[Any]:
    """Convert frames to an input array; what `ImageSpec.apply` calls, see there."""
    handles = _handles(frame)
    size = spec.size
    if size is None:
        raise ArgumentError("apply: the spec has no size; give one: ImageSpec(size=(width, height), ...)")
    if spec.multiple:
        sizes = {_core.network_size(spec, handle) for handle in handles}
        if len(sizes) > 1:
            raise ArgumentError(
                f"apply: with multiple={spec.multiple} the frames need inputs of different sizes; call it for each"
            )
        size = sizes.pop()
    slots = len(handles)
    if out is not None and getattr(out, "ndim", 0) > 0:
        slots = max(slots, int(out.shape[0]))
    plan = _plan(spec, handles[0].sample_format, handles[0].bits, size, slots, _core.active_isa())
    if out is None:
        out = _aligned(plan.shape, plan.dtype)
    plan.run(handles, out)
    return out


def _handles(frames: FrameLike | Sequence[FrameLike]) -> list[_core.FrameHandle]:
    if isinstance(handle := getattr(frames, "_handle", None), _core.FrameHandle):
        return [handle]
    handles = []
    for item in frames if isinstance(frames, Iterable) else [frames]:
        handle = getattr(item, "_handle", None)
        if not isinstance(handle, _core.FrameHandle):
            raise ArgumentError(
                f"apply: got a {type(item).__name__}, wanted a Frame or a list of them: mnnlite.Frame(array, 'BGR')"
            )
        handles.append(handle)
    if not handles:
        raise ArgumentError("apply: got no frames, wanted at least one")
    return handles


def _aligned(shape: tuple[int, ...], dtype: str) -> NDArray[Any]:
    """Return an array that starts at a cache line, as tensors do; NumPy's own start 16 bytes into one, which is slower."""
    size = math.prod(shape) * np.dtype(dtype).itemsize
    memory = np.empty(size + 64, np.uint8)
    start = -memory.ctypes.data % 64
    return memory[start : start + size].view(dtype).reshape(shape)


@lru_cache(maxsize=64)
def _plan(spec: Any, sample_format: int, bits: int, size: tuple[int, int], slots: int, isa: str) -> _core.ImagePlan:
    """Plans are immutable, so one serves every thread. `isa` is only part of the key."""
    return _core.ImagePlan(spec, sample_format, bits, size[0], size[1], slots)
