"""Frame to tensor: what each step computes, in whole numbers wherever the result must be equal on every CPU.

The steps: `place` the region in the network's input, `compose` the map from network pixels to frame pixels, sample the
frame's own components along it (`bilinear` or `area`), convert colour (`to_color`), normalise and store (`to_output`).

Positions are in 1/2048 of a frame pixel (`fixed`), weights have 11 bits (area: 14). Rows are blended first and rounded to
7 fraction bits, which leaves a signed 16-bit factor (16-bit frames: to whole numbers); columns are blended exactly, and
sampled values carry `Samples.bits` fraction bits. A YUV picture is sampled in YUV, its chroma planes with their own tables, and converted afterwards; a
chroma sample covers its luma pixels (centre siting).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mnnlite.specs import ImageSpec

    Ints = NDArray[np.int64]

__all__ = [
    "Image",
    "Region",
    "area_weights",
    "bilinear_taps",
    "convert",
    "fixed",
    "network_size",
    "pack",
    "place",
    "yuv_matrix",
]

POSITION_BITS = 11  # positions and bilinear weights
AREA_BITS = 14  # area weights: the largest is 2**14 and must fit a signed 16-bit factor
YUV_BITS = 13  # colour matrix: the largest coefficient, 2.11, must fit a signed 16-bit factor
GRAY_BITS = 15
GRAY_RGB = (9798, 19235, 3735)  # BT.601 luma 0.299, 0.587, 0.114; the sum is exactly 2**15

COMPONENTS = {
    **{name: tuple(name) for name in ("RGB", "BGR", "RGBA", "BGRA")},
    "GRAY": ("Y",),
    **dict.fromkeys(("NV12", "NV21", "I420", "YUYV", "UYVY"), ("Y", "U", "V")),
}


@dataclass(frozen=True)
class Image:
    """A picture in memory.

    Parameters
    ----------
    format : str
        RGB, BGR, RGBA, BGRA, GRAY, NV12, NV21, I420, YUYV or UYVY.
    planes : tuple of arrays
        Packed formats: one (H, W, C) or (H, W) array, uint8 or uint16. NV12, NV21: (H, W) and (H/2, W/2, 2), I420:
        (H, W), (H/2, W/2), (H/2, W/2); halves are rounded up. YUYV, UYVY: (H, W, 2).
    matrix : {"bt601", "bt709"}
    range : {"limited", "full"}
    bits : int, optional
        Bits of a sample that are in use; all of them if it is not said.
    """

    format: str
    planes: tuple[NDArray[Any], ...]
    matrix: str = "bt601"
    range: str = "limited"
    bits: int | None = None

    @property
    def width(self) -> int:
        """Pixels."""
        return int(self.planes[0].shape[1])

    @property
    def height(self) -> int:
        """Pixels."""
        return int(self.planes[0].shape[0])

    @property
    def top(self) -> int:
        """The sample that counts as p = 255: 255, or of 16 bits 65535."""
        return int((1 << (self.bits or 8 * self.planes[0].dtype.itemsize)) - 1)

    @property
    def is_yuv(self) -> bool:
        """Whether chroma is stored apart from luma."""
        return COMPONENTS[self.format] == ("Y", "U", "V")

    def components(self) -> list[tuple[Ints, int, int]]:
        """Each component as (samples, horizontal subsampling, vertical subsampling)."""
        first = self.planes[0].astype(np.int64)
        if self.format == "GRAY":
            return [(first.reshape(first.shape[:2]), 1, 1)]
        if self.format in ("NV12", "NV21"):
            chroma = self.planes[1].astype(np.int64)
            u, v = (0, 1) if self.format == "NV12" else (1, 0)
            return [(first, 1, 1), (chroma[..., u], 2, 2), (chroma[..., v], 2, 2)]
        if self.format == "I420":
            return [(first, 1, 1)] + [(plane.astype(np.int64), 2, 2) for plane in self.planes[1:]]
        if self.format in ("YUYV", "UYVY"):
            at_y, at_uv = (0, 1) if self.format == "YUYV" else (1, 0)
            return [(first[..., at_y], 1, 1), (first[:, 0::2, at_uv], 2, 1), (first[:, 1::2, at_uv], 2, 1)]
        return [(first[..., index], 1, 1) for index in range(first.shape[2])]


@dataclass(frozen=True)
class Region:
    """A part of the frame: region pixels [0, width) x [0, height) go through `to_frame` (3x3, row-major)."""

    width: float
    height: float
    to_frame: tuple[float, ...] = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)


@dataclass(frozen=True)
class Placement:
    """Where the region lies in the network's input (whole network pixels), and network pixel -> region pixel."""

    left: int
    top: int
    width: int
    height: int
    scale_x: float
    scale_y: float
    shift_x: float
    shift_y: float


@dataclass
class Samples:
    """Sampled components (C, H, W) with `bits` fraction bits, and which pixels lie inside the picture."""

    values: Ints
    bits: int
    inside: NDArray[np.bool_]
    names: tuple[str, ...] = field(default=())


def fixed(position: NDArray[np.float64]) -> Ints:
    """Return a position in 1/2048 pixel, rounded; what is absurdly far away or not a number becomes -2**40."""
    scaled = np.floor(position * 2048.0 + 0.5)
    usable = np.abs(scaled) < 2.0**40
    return np.where(usable, np.where(usable, scaled, 0), -(2.0**40)).astype(np.int64)


def network_size(spec: ImageSpec, region: Region) -> tuple[int, int]:
    """Width and height of the network's input for this region; differs from ``spec.size`` only with ``multiple``."""
    if spec.size is None:
        raise ValueError("a spec without a size takes it from a tensor")
    width, height = spec.size
    if not spec.multiple:
        return width, height
    placed = place(spec, region, width, height)
    up = spec.multiple
    return (placed.width + up - 1) // up * up, (placed.height + up - 1) // up * up


# Of what is over, in the picture (a crop) or beside it (a letterbox), the part to the left and above.
FRACTIONS = {"center": (0.5, 0.5), "top_left": (0.0, 0.0), "bottom": (0.5, 1.0)}


def place(spec: ImageSpec, region: Region, width: int, height: int) -> Placement:
    """Place the region in an input of width x height pixels.

    A letterbox has whole-pixel borders: the picture is rounded to whole network pixels (half to even) and centred, the
    odd pixel to the right or below.
    """
    if spec.fit == "stretch":
        return Placement(0, 0, width, height, region.width / width, region.height / height, 0.0, 0.0)
    fraction_x, fraction_y = FRACTIONS[spec.anchor]
    if spec.fit == "crop":
        scale = 1.0 / max(width / region.width, height / region.height)
        shift_x, shift_y = (region.width - width * scale) * fraction_x, (region.height - height * scale) * fraction_y
        return Placement(0, 0, width, height, scale, scale, shift_x, shift_y)
    box_width, box_height = spec.size or (width, height)
    ratio = min(box_width / region.width, box_height / region.height)
    inner_width = int(min(max(round(region.width * ratio), 1), width))
    inner_height = int(min(max(round(region.height * ratio), 1), height))
    left, top = int((width - inner_width) * fraction_x), int((height - inner_height) * fraction_y)
    scale_x, scale_y = region.width / inner_width, region.height / inner_height
    return Placement(left, top, inner_width, inner_height, scale_x, scale_y, -(left * scale_x), -(top * scale_y))


def compose(region: Region, placed: Placement) -> tuple[float, ...]:
    """Network pixel -> frame pixel. An affine map is divided by its last element."""
    outer = region.to_frame
    inner = (placed.scale_x, 0.0, placed.shift_x, 0.0, placed.scale_y, placed.shift_y, 0.0, 0.0, 1.0)
    result = []
    for row in range(3):
        for column in range(3):
            total = 0.0
            for k in range(3):
                total += outer[row * 3 + k] * inner[k * 3 + column]
            result.append(total)
    if result[6] == 0 and result[7] == 0:
        result = [value / result[8] for value in result]
    return tuple(result)


def is_axis_aligned(m: tuple[float, ...]) -> bool:
    """Rows and columns of the network are rows and columns of the frame."""
    return m[1] == 0 and m[3] == 0 and m[6] == 0 and m[7] == 0


def tap_bounds(start: float, end: float, size: int) -> tuple[int, int]:
    """First and last frame pixel that a region from `start` to `end` touches, within the frame."""
    low, high = sorted(int(v) for v in fixed(np.array([start, end])))
    first = min(max(low >> POSITION_BITS, 0), size - 1)
    last = min(max(((high + 2047) >> POSITION_BITS) - 1, first), size - 1)
    return first, last


def bilinear_taps(position: Ints, first: int, last: int, *, nearest: bool) -> tuple[Ints, Ints, Ints]:
    """Indices of two neighbours and the weight of the second in 1/2048; taps beyond [first, last] repeat the edge."""
    if nearest:
        index = np.clip(position >> POSITION_BITS, first, last)
        return index, index, np.zeros_like(index)
    from_centre = position - 1024
    index = from_centre >> POSITION_BITS
    return np.clip(index, first, last), np.clip(index + 1, first, last), from_centre & 2047


def area_weights(low: int, high: int, first: int, last: int) -> tuple[int, Ints]:
    """First pixel and weights (sum 2**14) of the mean over [low, high), positions in 1/2048, within [first, last].

    Running sums are rounded, not single weights, so the sum is exact whatever the number of pixels.
    """
    low, high = max(low, first << POSITION_BITS), min(high, (last + 1) << POSITION_BITS)
    start, stop = low >> POSITION_BITS, (high + 2047) >> POSITION_BITS
    edges = np.clip(np.arange(start, stop + 1, dtype=np.int64) << POSITION_BITS, low, high) - low
    total = high - low
    running = ((edges << AREA_BITS) + total // 2) // total
    return start, np.diff(running)


def _axis_matrix(scale: float, shift: float, outputs: Ints, bounds: tuple[int, int], size: int, half: float) -> Ints:
    """Area weights of one axis as a (len(outputs), size) matrix; `half` is 0.5 for a plane with half as many samples."""
    first, last = bounds
    weights = np.zeros((len(outputs), size), np.int64)
    for row, i in enumerate(outputs):
        if abs(scale) * half <= 1:
            position = fixed(np.array([(scale * (i + 0.5) + shift) * half]))
            a, b, w = bilinear_taps(position, first, last, nearest=False)
            weights[row, a[0]] += (2048 - w[0]) * 8
            weights[row, b[0]] += w[0] * 8
        else:
            low, high = sorted(int(v) for v in fixed(np.array([scale * i + shift, scale * (i + 1) + shift]) * half))
            start, taps = area_weights(low, high, first, last)
            weights[row, start : start + len(taps)] = taps
    return weights


def sample(image: Image, spec: ImageSpec, region: Region, width: int, height: int) -> Samples:
    """Sample every component of the frame at every network pixel."""
    placed = place(spec, region, width, height)
    m = compose(region, placed)
    is_16bit = image.planes[0].dtype == np.uint16
    x = np.arange(width, dtype=np.int64)
    y = np.arange(height, dtype=np.int64)
    in_place = ((x >= placed.left) & (x < placed.left + placed.width))[None, :] & (
        (y >= placed.top) & (y < placed.top + placed.height)
    )[:, None]
    aligned = is_axis_aligned(m)
    if aligned:
        to_frame = [value / region.to_frame[8] for value in region.to_frame]
        bounds_x = tap_bounds(to_frame[2], to_frame[0] * region.width + to_frame[2], image.width)
        bounds_y = tap_bounds(to_frame[5], to_frame[4] * region.height + to_frame[5], image.height)
        at_x = np.broadcast_to((m[0] * (x + 0.5) + m[2])[None, :], (height, width))
        at_y = np.broadcast_to((m[4] * (y + 0.5) + m[5])[:, None], (height, width))
    else:
        if spec.filter == "area":
            raise ValueError("area is defined for upright regions only")
        bounds_x, bounds_y = (0, image.width - 1), (0, image.height - 1)
        column, row = (x + 0.5)[None, :], (y + 0.5)[:, None]
        with np.errstate(all="ignore"):
            at_x = m[0] * column + (m[1] * row + m[2])
            at_y = m[3] * column + (m[4] * row + m[5])
            if m[6] != 0 or m[7] != 0:
                divisor = m[6] * column + (m[7] * row + m[8])
                at_x, at_y = at_x / divisor, at_y / divisor
                at_x, at_y = (np.where(divisor > 0, at, np.nan) for at in (at_x, at_y))
    position_x, position_y = fixed(at_x), fixed(at_y)
    inside = in_place & (position_x >= 0) & (position_x < image.width * 2048)
    inside &= (position_y >= 0) & (position_y < image.height * 2048)

    planes = []
    for plane, sub_x, sub_y in image.components():
        shift_x, shift_y = sub_x - 1, sub_y - 1  # 1 -> 0, 2 -> 1
        taps_x = (bounds_x[0] >> shift_x, bounds_x[1] >> shift_x)
        taps_y = (bounds_y[0] >> shift_y, bounds_y[1] >> shift_y)
        values = np.zeros((height, width), np.int64)
        if spec.filter == "area":
            columns, rows = np.flatnonzero(inside.any(0)), np.flatnonzero(inside.any(1))
            if len(columns):
                across = _axis_matrix(m[0], m[2], columns, taps_x, plane.shape[1], 1 / sub_x)
                down = _axis_matrix(m[4], m[5], rows, taps_y, plane.shape[0], 1 / sub_y)
                between = (down @ plane) >> (14 if is_16bit else 7)
                values[np.ix_(rows, columns)] = between @ across.T
        else:
            nearest = spec.filter == "nearest"
            px = position_x if sub_x == 1 else fixed(at_x * 0.5)
            py = position_y if sub_y == 1 else fixed(at_y * 0.5)
            x0, x1, weight_x = bilinear_taps(px, *taps_x, nearest=nearest)
            y0, y1, weight_y = bilinear_taps(py, *taps_y, nearest=nearest)
            keep = 11 if is_16bit else 4
            half = 1 << (keep - 1)
            left = (plane[y0, x0] * (2048 - weight_y) + plane[y1, x0] * weight_y + half) >> keep
            right = (plane[y0, x1] * (2048 - weight_y) + plane[y1, x1] * weight_y + half) >> keep
            values = left * (2048 - weight_x) + right * weight_x
        planes.append(values)
    bits = (14 if is_16bit else 21) if spec.filter == "area" else 11 if is_16bit else 18
    return Samples(np.stack(planes), bits, inside, COMPONENTS[image.format])


def yuv_matrix(matrix: str, range_: str) -> tuple[Ints, Ints]:
    """(3, 3) matrix YUV -> RGB in 1/8192 and what is subtracted from Y, U, V before.

    From the luma coefficients Kr, Kb of ITU-R BT.601-7 and BT.709-6; limited range has 219 steps of luma from 16 and
    224 of chroma.
    """
    kr, kb = {"bt601": (0.299, 0.114), "bt709": (0.2126, 0.0722)}[matrix]
    kg = 1 - kr - kb
    luma, chroma, black = (255 / 219, 255 / 224, 16) if range_ == "limited" else (1.0, 1.0, 0)
    real = [
        [luma, 0, 2 * (1 - kr) * chroma],
        [luma, -2 * (1 - kb) * kb / kg * chroma, -2 * (1 - kr) * kr / kg * chroma],
        [luma, 2 * (1 - kb) * chroma, 0],
    ]
    whole = np.floor(np.array(real) * 2**YUV_BITS + 0.5).astype(np.int64)
    return whole, np.array([black, 128, 128], np.int64)


def to_color(samples: Samples, image: Image, color: str) -> Samples:
    """Components -> the channels of `color`."""
    is_16bit = image.planes[0].dtype == np.uint16
    kept = 0 if is_16bit else 7  # fraction bits of a 16-bit factor
    values, bits, names = samples.values, samples.bits, samples.names
    if image.is_yuv:
        coefficients, offset = yuv_matrix(image.matrix, image.range)
        narrow = values >> (bits - kept)
        bits = kept + YUV_BITS
        if color == "GRAY":
            converted = coefficients[0, 0] * (narrow[:1] - (offset[0] << kept))
            names = ("Y",)
        else:
            converted = np.tensordot(coefficients, narrow - (offset[:, None, None] << kept), 1)
            names = ("R", "G", "B")
        values = np.clip(converted, 0, 255 << bits)
    elif color == "GRAY" and names != ("Y",):
        narrow = values >> (bits - kept)
        total = sum(weight * narrow[names.index(name)] for weight, name in zip(GRAY_RGB, "RGB", strict=True))
        values, bits, names = np.asarray(total)[None], kept + GRAY_BITS, ("Y",)
    opaque = np.full(values.shape[1:], image.top << bits, np.int64)
    wanted = ("Y",) if color == "GRAY" else tuple(color)
    picked = []
    for name in wanted:
        if name in names:
            picked.append(values[names.index(name)])
        else:
            picked.append(opaque if name == "A" else values[0])
    return Samples(np.stack(picked), bits, samples.inside, wanted)


def to_output(samples: Samples, spec: ImageSpec, dtype: str, scale: float, zero_point: int, top: int) -> NDArray[Any]:
    """Normalise, quantise and store one (C, H, W) picture; `top` is the sample that counts as p = 255.

    So p is ``v / (2**bits * top / 255)``: of 16-bit samples v / 257 beside the fraction bits.
    float32: ``float32(v) * k + b``, each operation rounded once; float16 rounds that (half to even). Integers: the
    float32, rounded half to even and saturated; of 8-bit samples without any normalisation ``(v + half) >> bits``, exact.
    """
    one = (1 << samples.bits) * (top / 255)  # v of p = 1
    pad = np.array([min(math.floor(value * one + 0.5), top << samples.bits) for value in spec.pad_], np.int64)
    values = np.where(samples.inside, samples.values, pad[:, None, None])
    is_integer = dtype in ("uint8", "int8")
    if not is_integer:
        scale, zero_point = 1.0, 0
    limits = np.iinfo(dtype) if is_integer else None
    is_plain = all(m == 0 for m in spec.mean_) and all(s == 1 for s in spec.std_) and (scale, zero_point) == (1, 0)
    if limits and is_plain and top == 255:
        half = 1 << (samples.bits - 1)
        exact: NDArray[Any] = np.clip((values + half) >> samples.bits, limits.min, limits.max).astype(dtype)
        return exact
    k = np.array([1.0 / (s * scale * one) for s in spec.std_]).astype(np.float32)
    b = np.array([zero_point - m / (s * scale) for m, s in zip(spec.mean_, spec.std_, strict=True)]).astype(np.float32)
    real = values.astype(np.float32) * k[:, None, None] + b[:, None, None]
    if limits:
        real = np.rint(np.clip(real, limits.min, limits.max))
    with np.errstate(over="ignore"):
        result: NDArray[Any] = real.astype(dtype)
    return result


def pack(planar: NDArray[Any], layout: str) -> NDArray[Any]:
    """(N, C, H, W) -> the layout; packed channels as (N, groups, H, W, 4 or 8), the last group filled with zeros."""
    if layout == "NCHW":
        return planar
    if layout == "NHWC":
        return np.ascontiguousarray(planar.transpose(0, 2, 3, 1))
    group = {"NC4HW4": 4, "NC8HW8": 8}[layout]
    n, c, h, w = planar.shape
    groups = (c + group - 1) // group
    padded = np.zeros((n, groups * group, h, w), planar.dtype)
    padded[:, :c] = planar
    return np.ascontiguousarray(padded.reshape(n, groups, group, h, w).transpose(0, 1, 3, 4, 2))


def convert(
    spec: ImageSpec, image: Image, region: Region | None = None, *, size: tuple[int, int] | None = None
) -> NDArray[Any]:
    """One picture through the whole of `spec`, as ``spec.apply`` gives it: a batch of one.

    Parameters
    ----------
    spec : ImageSpec
    image : Image
    region : Region, optional
        Default: the whole frame.
    size : (width, height), optional
        For a spec without a size.

    Returns
    -------
    array of the spec's dtype (default float32) and layout (default NCHW)
    """
    region = region or Region(float(image.width), float(image.height))
    width, height = size or network_size(spec, region)
    samples = to_color(sample(image, spec, region, width, height), image, spec.color)
    scale = 1.0 if spec.scale is None else spec.scale
    planar = to_output(samples, spec, spec.dtype or "float32", scale, spec.zero_point or 0, image.top)
    return pack(planar[None], spec.layout or "NCHW")
