"""Raw frames from a pipe."""

from __future__ import annotations

import os
import re
import select
import time
from typing import TYPE_CHECKING, Any, BinaryIO, TypeAlias

import numpy as np

from mnnlite.errors import ArgumentError, SourceError
from mnnlite.frame import Frame
from mnnlite.video.source import Source

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

__all__ = ["Raw", "parse"]


class Raw(Source):
    """Frames without any container, e.g. from ``rpicam-vid --codec yuv420 -o -``."""

    live = True

    def __init__(self, stream: BinaryIO, format: str, width: int, height: int) -> None:
        self.name = "standard input"
        self._stream = stream
        self._format = format
        self._shapes = _PLANES[format](width, height)
        self._stopping = False
        try:
            self._descriptor = stream.fileno()
        except (OSError, ValueError):  # not a file: memory, in a test
            self._descriptor = -1
        # Written to by `stop`: a thread that waits for a quiet camera must come back before the interpreter goes.
        self._woken, self._wake = os.pipe() if self._descriptor >= 0 else (-1, -1)
        self._poll = select.poll()
        for descriptor in (self._descriptor, self._woken):
            if descriptor >= 0:
                self._poll.register(descriptor, select.POLLIN)

    def stop(self) -> None:
        """Give no further frames."""
        self._stopping = True
        if self._wake >= 0:
            os.write(self._wake, b"x")

    def __del__(self) -> None:
        for descriptor in (getattr(self, "_woken", -1), getattr(self, "_wake", -1)):
            if descriptor >= 0:
                os.close(descriptor)

    def __iter__(self) -> Iterator[Frame]:
        sizes = [int(np.prod(shape)) for shape in self._shapes]
        ends = np.cumsum(sizes)[:-1]
        index, first = 0, None
        while True:
            buffer = np.empty(sum(sizes), np.uint8)  # each frame has its own: results may be late
            got = self._read(buffer)
            if self._stopping:
                return
            if got == 0:
                if index == 0:
                    raise SourceError(f"{self.name} ended before the first frame")
                return
            if got < len(buffer):
                raise SourceError(f"{self.name} ends within frame {index}: {got} of {len(buffer)} bytes")
            now = time.monotonic_ns()
            first = now if first is None else first
            parts = np.split(buffer, ends)
            planes = [part.reshape(shape) for part, shape in zip(parts, self._shapes, strict=True)]
            yield self._make(planes, now, {"frame": index, "time_ms": (now - first) / 1e6})
            index += 1

    def _make(self, planes: list[NDArray[np.uint8]], now: int, meta: dict[str, Any]) -> Frame:
        make = getattr(Frame, self._format.lower(), None)  # YUV formats have a maker each, named after them
        if make is not None:
            return make(*planes, timestamp_ns=now, meta=meta)  # type: ignore[no-any-return]
        return Frame(planes[0], self._format, timestamp_ns=now, meta=meta)

    def _read(self, buffer: NDArray[np.uint8]) -> int:
        view, got = buffer.data, 0
        while got < len(view) and not self._stopping:
            try:
                count = self._read_some(view[got:])
            except OSError as error:
                raise SourceError(f"cannot read {self.name}: {error.strerror or error}") from None
            if not count:
                break
            got += count
        return got

    def _read_some(self, view: memoryview) -> int:
        if self._descriptor < 0:
            return int(self._stream.readinto(view))  # type: ignore[attr-defined]
        # Not through the stream's buffer, whose lock a thread that waits would hold when the interpreter ends.
        self._poll.poll()
        return 0 if self._stopping else os.readv(self._descriptor, [view])


Shapes: TypeAlias = "list[tuple[int, ...]]"


def _half(width: int, height: int) -> tuple[int, int]:
    return (height + 1) // 2, (width + 1) // 2


def _pairs(width: int, height: int) -> Shapes:
    return [(height, width, 2)]


_PLANES: dict[str, Callable[[int, int], Shapes]] = {
    "NV12": lambda w, h: [(h, w), (*_half(w, h), 2)],
    "NV21": lambda w, h: [(h, w), (*_half(w, h), 2)],
    "I420": lambda w, h: [(h, w), _half(w, h), _half(w, h)],
    "YUYV": _pairs,
    "UYVY": _pairs,
    "RGB": lambda w, h: [(h, w, 3)],
    "BGR": lambda w, h: [(h, w, 3)],
    "RGBA": lambda w, h: [(h, w, 4)],
    "BGRA": lambda w, h: [(h, w, 4)],
    "GRAY": lambda w, h: [(h, w)],
}


def parse(raw: str) -> tuple[str, int, int]:
    """Take ``FORMAT:WIDTHxHEIGHT`` apart.

    Raises
    ------
    ArgumentError
        It cannot be understood.
    """
    found = re.fullmatch(r"(\w+):(\d+)x(\d+)", raw)
    if found is None:
        raise ArgumentError(f"raw is {raw!r}; wanted FORMAT:WIDTHxHEIGHT, e.g. NV12:1920x1080")
    format, width, height = found[1].upper(), int(found[2]), int(found[3])
    if format not in _PLANES:
        raise ArgumentError(f"raw has the format {found[1]!r}; wanted one of {', '.join(_PLANES)}")
    if not (1 <= width <= 16384 and 1 <= height <= 16384):
        raise ArgumentError(f"raw has a size of {width}x{height}; wanted 1 to 16384 pixels a side")
    if _PLANES[format] is _pairs and width % 2:
        raise ArgumentError(f"raw has a width of {width}; {format} needs an even one")
    return format, width, height
