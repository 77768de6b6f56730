"""Pictures for tests: deterministic, awkward on request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

import mnnlite
from mnnlite.reference.image import Image, Region

if TYPE_CHECKING:
    from numpy.typing import NDArray

PACKED = {"RGB": 3, "BGR": 3, "RGBA": 4, "BGRA": 4, "GRAY": 1}
PAIRS = ("YUYV", "UYVY")  # two pixels share what tells their colour, in one plane
YUV = ("NV12", "NV21", "I420", *PAIRS)


def strided(rng: np.random.Generator, shape: tuple[int, ...], dtype: Any, gap: int, offset: int) -> NDArray[Any]:
    """Noise whose rows lie `gap` elements apart and start `offset` elements into their memory."""
    row = int(np.prod(shape[1:]))
    top = 256 if dtype == np.uint8 else 65536
    memory = rng.integers(0, top, offset + shape[0] * (row + gap), dtype=dtype)
    return np.lib.stride_tricks.as_strided(
        memory[offset:], shape, ((row + gap) * memory.itemsize, *np.empty(shape, dtype).strides[1:])
    )


def make(
    rng: np.random.Generator,
    format: str,
    width: int,
    height: int,
    *,
    dtype: Any = np.uint8,
    gap: int = 0,
    offset: int = 0,
    matrix: str = "bt601",
    range: str = "limited",
    bits: int | None = None,
) -> tuple[mnnlite.Frame, Image]:
    """The same picture as a frame and as the reference takes it."""
    half = ((height + 1) // 2, (width + 1) // 2)
    if format in PACKED:
        shape = (height, width) if format == "GRAY" else (height, width, PACKED[format])
        array = strided(rng, shape, dtype, gap, offset)
        if bits is not None:
            array &= (1 << bits) - 1
        return mnnlite.Frame(array, format, bits=bits), Image(format, (array,), bits=bits)
    if format in PAIRS:
        array = strided(rng, (height, (width + 1) // 2 * 2, 2), np.uint8, gap, offset)
        return getattr(mnnlite.Frame, format.lower())(array, matrix, range), Image(format, (array,), matrix, range)
    y = strided(rng, (height, width), np.uint8, gap, offset)
    if format == "I420":
        u, v = strided(rng, half, np.uint8, gap, offset), strided(rng, half, np.uint8, gap + 1, offset)
        return mnnlite.Frame.i420(y, u, v, matrix, range), Image(format, (y, u, v), matrix, range)
    uv = strided(rng, (*half, 2), np.uint8, gap, offset)
    make_two = mnnlite.Frame.nv12 if format == "NV12" else mnnlite.Frame.nv21
    return make_two(y, uv, matrix, range), Image(format, (y, uv), matrix, range)


def region_of(frame: mnnlite.Frame) -> Region:
    width, height, map_ = frame._handle.region
    return Region(width, height, map_)
