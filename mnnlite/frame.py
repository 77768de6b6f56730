"""An image with its pixel format, its colours, the region of it that is meant, and the time when it was taken."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from mnnlite import _core
from mnnlite.errors import ArgumentError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike

__all__ = ["Frame"]

# PyAV's names of formats: ours, bits of a sample, and of YUV what says its range: the frame's tag, or the name itself.
_AV_FORMATS: dict[str, tuple[str, int, str | None]] = {
    "rgb24": ("RGB", 8, None),
    "bgr24": ("BGR", 8, None),
    "rgba": ("RGBA", 8, None),
    "bgra": ("BGRA", 8, None),
    "gray": ("GRAY", 8, None),
    "gray8": ("GRAY", 8, None),
    "rgb48le": ("RGB", 16, None),
    "bgr48le": ("BGR", 16, None),
    "rgba64le": ("RGBA", 16, None),
    "bgra64le": ("BGRA", 16, None),
    "gray10le": ("GRAY", 10, None),
    "gray12le": ("GRAY", 12, None),
    "gray14le": ("GRAY", 14, None),
    "gray16le": ("GRAY", 16, None),
    "nv12": ("NV12", 8, "tagged"),
    "nv21": ("NV21", 8, "tagged"),
    "yuv420p": ("I420", 8, "tagged"),
    "yuvj420p": ("I420", 8, "full"),
    "yuyv422": ("YUYV", 8, "tagged"),
    "uyvy422": ("UYVY", 8, "tagged"),
}
# ITU-T H.273 MatrixCoefficients, as FFmpeg's AVColorSpace: 2 is "not said", 5 and 6 are both BT.601's.
_AV_MATRICES = {0: "bt601", 1: "bt709", 2: "bt601", 5: "bt601", 6: "bt601"}
_AV_RANGES = {0: "limited", 1: "limited", 2: "full"}


class Frame:
    """A picture in memory of the caller, or a region of one. The frame holds that memory and never copies it.

    Parameters
    ----------
    array : (H, W, C) uint8 or uint16, or (H, W) for GRAY
        Anything with the buffer protocol, ``__array_interface__`` or DLPack. Rows may be strided (a crop of a larger
        array is fine); pixels of a row must lie side by side. A 16-bit value v counts as p = v / 257, in [0, 255] like 8
        bits.
    format : {"BGR", "RGB", "RGBA", "BGRA", "GRAY"}
        The order of the channels. OpenCV gives BGR, PIL and PyAV mostly RGB. For YUV use `nv12`, `nv21`, `i420`, `yuyv` or
        `uyvy`.
    bits : int, optional
        How many bits of each value of a uint16 array are in use, 10 to 16 (the default). A value v counts as
        p = 255 v / (2**bits - 1). Industrial and thermal cameras give 10, 12 or 14 bits. If they use the upper bits, 16 is
        right.
    timestamp_ns : int, optional
        When the picture was taken. The results get it too, and deadlines count from it.
    meta : optional
        Any object. The results get it unchanged.

    Raises
    ------
    ArgumentError
        The format is unknown, there are no pixels, or it is not an array.
    DTypeError
        The elements are not uint8 or uint16. Nothing is converted silently.
    LayoutError
        The shape does not fit the format, a stride is negative, or pixels do not lie side by side. The error names the axis.

    Notes
    -----
    You may write to the memory between uses (a capture buffer), but not during one. A frame is immutable, and any number of
    threads may use it.
    """

    __slots__ = ("_handle", "meta", "timestamp_ns")

    _handle: _core.FrameHandle

    def __init__(
        self,
        array: ArrayLike,
        format: str,
        *,
        bits: int | None = None,
        timestamp_ns: int | None = None,
        meta: object = None,
    ) -> None:
        self._handle = _core.FrameHandle.packed(array, _word("format", format), _bits(bits))
        self.timestamp_ns = _timestamp(timestamp_ns)
        self.meta = meta

    @classmethod
    def _of(cls, handle: _core.FrameHandle, timestamp_ns: int | None, meta: object) -> Frame:
        frame = cls.__new__(cls)
        frame._handle = handle
        frame.timestamp_ns = _timestamp(timestamp_ns)
        frame.meta = meta
        return frame

    @classmethod
    def nv12(
        cls,
        y: ArrayLike,
        uv: ArrayLike,
        matrix: str = "bt601",
        range: str = "limited",
        *,
        timestamp_ns: int | None = None,
        meta: object = None,
    ) -> Frame:
        """Make a frame of NV12, which most cameras and hardware decoders give.

        Parameters
        ----------
        y : (H, W) uint8
        uv : (H/2, W/2, 2) or (H/2, W) uint8, halves rounded up
            Chroma, U first: one sample for 2 x 2 pixels, sited in their middle.
        matrix : {"bt601", "bt709"}
        range : {"limited", "full"}
            Limited: luma 16 to 235, chroma 16 to 240.
        timestamp_ns, meta
            As for `Frame`.
        """
        return cls._yuv("NV12", (y, uv), matrix, range, timestamp_ns, meta)

    @classmethod
    def nv21(
        cls,
        y: ArrayLike,
        vu: ArrayLike,
        matrix: str = "bt601",
        range: str = "limited",
        *,
        timestamp_ns: int | None = None,
        meta: object = None,
    ) -> Frame:
        """Make a frame of NV21, Android's camera format: as `nv12`, with V first."""
        return cls._yuv("NV21", (y, vu), matrix, range, timestamp_ns, meta)

    @classmethod
    def i420(
        cls,
        y: ArrayLike,
        u: ArrayLike,
        v: ArrayLike,
        matrix: str = "bt601",
        range: str = "limited",
        *,
        timestamp_ns: int | None = None,
        meta: object = None,
    ) -> Frame:
        """Make a frame of I420 (yuv420p): as `nv12`, with U and V in (H/2, W/2) planes of their own."""
        return cls._yuv("I420", (y, u, v), matrix, range, timestamp_ns, meta)

    @classmethod
    def yuyv(
        cls,
        array: ArrayLike,
        matrix: str = "bt601",
        range: str = "limited",
        *,
        timestamp_ns: int | None = None,
        meta: object = None,
    ) -> Frame:
        """Make a frame of YUYV (YUY2), which USB cameras give: (H, W, 2) or (H, 2 W) uint8, W even."""
        return cls._yuv("YUYV", (array,), matrix, range, timestamp_ns, meta)

    @classmethod
    def uyvy(
        cls,
        array: ArrayLike,
        matrix: str = "bt601",
        range: str = "limited",
        *,
        timestamp_ns: int | None = None,
        meta: object = None,
    ) -> Frame:
        """Make a frame of UYVY: as `yuyv`, with chroma first."""
        return cls._yuv("UYVY", (array,), matrix, range, timestamp_ns, meta)

    @classmethod
    def _yuv(
        cls,
        format: str,
        arrays: tuple[ArrayLike, ...],
        matrix: str,
        range: str,
        timestamp_ns: int | None,
        meta: object,
    ) -> Frame:
        handle = _core.FrameHandle.yuv(format, arrays, _word("matrix", matrix), _word("range", range))
        return cls._of(handle, timestamp_ns, meta)

    @classmethod
    def from_av(cls, video_frame: Any, *, timestamp_ns: int | None = None, meta: object = None) -> Frame:
        """Make a frame of a PyAV ``VideoFrame``, plane by plane, without a copy.

        Parameters
        ----------
        video_frame : av.VideoFrame
            yuv420p, nv12, nv21, yuyv422, uyvy422, rgb24, bgr24, rgba, bgra, gray, and the 16-bit rgb48le, bgr48le,
            rgba64le, bgra64le, gray16le (and gray10le, gray12le, gray14le). Its tags give matrix and range. If they are not
            set, it is BT.601 limited.
        timestamp_ns, meta
            As for `Frame`.

        Raises
        ------
        ArgumentError
            The format or the matrix (BT.2020) is another one; the error names it and says what to do.
        """
        name = str(video_frame.format.name)
        if name not in _AV_FORMATS:
            raise ArgumentError(
                f"from_av: got a frame of {name!r}, wanted one of {', '.join(_AV_FORMATS)}; "
                "convert it with video_frame.reformat(format='nv12')"
            )
        format, bits, says_range = _AV_FORMATS[name]
        matrix, range = "bt601", "limited"
        if says_range is not None:
            space, tagged = int(video_frame.colorspace), int(video_frame.color_range)
            if space not in _AV_MATRICES:
                raise ArgumentError(
                    f"from_av: the frame's colour matrix has the number {space} of ITU-T H.273, wanted BT.601 or "
                    "BT.709; convert it with video_frame.reformat(dst_colorspace='ITU709')"
                )
            matrix, range = _AV_MATRICES[space], "full" if says_range == "full" else _AV_RANGES.get(tagged, "limited")
        planes = video_frame.planes
        lines = [int(plane.line_size) for plane in planes]
        width, height = int(video_frame.width), int(video_frame.height)
        if not all(0 <= number < 2**31 for number in (width, height)) or any(abs(line) >= 2**62 for line in lines):
            raise ArgumentError(
                f"from_av: the frame is {width} x {height} pixels with lines of {lines} bytes; no memory holds that"
            )
        handle = _core.FrameHandle.planes(
            format=format,
            buffers=list(planes),
            strides=lines,
            width=width,
            height=height,
            itemsize=1 if bits == 8 else 2,
            bits=bits,
            matrix=matrix,
            range=range,
        )
        return cls._of(handle, timestamp_ns, meta)

    def roi(self, x: float, y: float, width: float, height: float) -> Frame:
        """Return an upright part of the frame, sharing its memory.

        Parameters
        ----------
        x, y, width, height : float
            Pixels of the whole frame, also when called on a part. They may be fractional. The region may reach outside of
            the frame, where it shows the spec's `pad`. Only pixels that the region touches are sampled: a region at whole
            pixels gives the same as a frame of ``array[y:y+height, x:x+width]``.

        Raises
        ------
        ArgumentError
            The size is 0 or less, or a number is not finite.
        """
        numbers = _floats("roi", (x, y, width, height))
        return self._of(self._handle.roi(*numbers), self.timestamp_ns, self.meta)

    def quad(self, points: ArrayLike) -> Frame:
        """Return a rotated or slanted part of the frame (a plate, a line of text), sharing its memory.

        Parameters
        ----------
        points : (4, 2) float, pixels of the whole frame
            Corners of the part as the network should see it: top-left, top-right, bottom-right, bottom-left. They must be
            convex.

        Raises
        ------
        ArgumentError
            There are not four points, they are not convex, or they come in another order.
        """
        try:
            corners = np.asarray(points, dtype=np.float64)
        except (TypeError, ValueError):
            raise ArgumentError(f"quad: got {points!r:.80}, wanted four points (x, y)") from None
        if corners.shape != (4, 2):
            raise ArgumentError(f"quad: got an array of shape {corners.shape}, wanted (4, 2)")
        return self._of(self._handle.quad(corners.ravel().tolist()), self.timestamp_ns, self.meta)

    @property
    def width(self) -> int:
        """Width of the whole frame in pixels, also for a region of it."""
        return self._handle.width

    @property
    def height(self) -> int:
        """Height of the whole frame in pixels, also for a region of it."""
        return self._handle.height

    @property
    def format(self) -> str:
        """The pixel format: RGB, BGR, RGBA, BGRA, GRAY, NV12, NV21, I420, YUYV or UYVY."""
        return self._handle.format

    @property
    def bits(self) -> int:
        """How many bits of a sample are in use: 8, or 10 to 16 of a uint16 array."""
        return self._handle.bits

    @property
    def region(self) -> tuple[float, float]:
        """Width and height of the region, in frame pixels along its own sides."""
        return self._handle.region[:2]

    def __repr__(self) -> str:
        width, height = self.region
        part = "" if (width, height) == (self.width, self.height) else f", part of {width:g} x {height:g}"
        bits = "" if self.bits == 8 else f", {self.bits} bits"
        return f"Frame({self.width} x {self.height} {self.format}{bits}{part})"


def _word(name: str, value: object) -> str:
    if not isinstance(value, str):
        raise ArgumentError(f"{name}: got {value!r:.80}, wanted a word such as 'BGR' or 'bt601'")
    return value


def _floats(name: str, values: Sequence[object]) -> list[float]:
    try:
        return [float(value) for value in values]  # type: ignore[arg-type]
    except (TypeError, ValueError):
        raise ArgumentError(f"{name}: got {tuple(values)!r:.120}, wanted numbers") from None


def _bits(value: int | None) -> int:
    if value is None:
        return 0
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or not 8 <= value <= 16:
        raise ArgumentError(f"bits: got {value!r:.80}, wanted 10 to 16, or None for all bits of the array's elements")
    return int(value)


def _timestamp(value: int | None) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise ArgumentError(f"timestamp_ns: got {value!r:.80}, wanted a whole number of nanoseconds or None")
    return int(value)
