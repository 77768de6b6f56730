"""Writes videos, picture by picture."""

from __future__ import annotations

import os
from fractions import Fraction
from typing import TYPE_CHECKING, Any, final

import numpy as np

from mnnlite.errors import OutputError
from mnnlite.video import pyav

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import TracebackType

    from numpy.typing import NDArray

__all__ = ["VIDEOS", "VideoWriter", "write_video"]

VIDEOS = (".mp4", ".mkv", ".mov", ".avi")


@final
class VideoWriter:
    """A video file (MPEG-4) to which pictures are added; a context manager. The file is complete once it is closed.

    Parameters
    ----------
    path : path
        The file; its suffix names the container: ``.mp4``, ``.mkv``, ``.mov`` or ``.avi``. The first picture creates it.
    fps : float
        Pictures per second.

    Raises
    ------
    MissingExtraError
        PyAV is not installed.
    """

    def __init__(self, path: str | os.PathLike[str], fps: float) -> None:
        self._av = pyav.load()
        self._path = os.fspath(path)
        self._rate = Fraction(fps).limit_denominator(1001)
        self._container: Any = None
        self._stream: Any = None

    def add(self, rgb: NDArray[np.uint8]) -> None:
        """Add a picture.

        Parameters
        ----------
        rgb : (H, W, 3) uint8
            The picture; it is scaled if its size is not that of the first one. An odd last row or column is left out.

        Raises
        ------
        OutputError
            The file cannot be written.
        """
        try:
            if self._stream is None:
                self._open(rgb.shape[1] // 2 * 2, rgb.shape[0] // 2 * 2)
            picture = self._av.VideoFrame.from_ndarray(np.ascontiguousarray(rgb), format="rgb24")
            width, height = self._stream.width, self._stream.height
            if (rgb.shape[1] // 2 * 2, rgb.shape[0] // 2 * 2) == (width, height):
                cut = np.ascontiguousarray(rgb[:height, :width])
                picture = self._av.VideoFrame.from_ndarray(cut, format="rgb24")
            else:
                picture = picture.reformat(width, height)
            self._container.mux(self._stream.encode(picture))
        except (OSError, ValueError, self._av.error.FFmpegError) as error:
            raise OutputError(f"cannot write {self._path}: {pyav.reason(error)}") from None

    def _open(self, width: int, height: int) -> None:
        self._container = self._av.open(self._path, "w")
        self._stream = self._container.add_stream("mpeg4", rate=self._rate, bit_rate=6_000_000)
        self._stream.width, self._stream.height, self._stream.pix_fmt = max(width, 2), max(height, 2), "yuv420p"

    def close(self) -> None:
        """Write the rest and close the file. Closing twice is fine.

        Raises
        ------
        OutputError
            The file cannot be written.
        """
        container, self._container = self._container, None
        if container is None:
            return
        try:
            container.mux(self._stream.encode(None))
            container.close()
        except (OSError, ValueError, self._av.error.FFmpegError) as error:
            raise OutputError(f"cannot write {self._path}: {pyav.reason(error)}") from None

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def write_video(path: str | os.PathLike[str], pictures: Iterable[NDArray[np.uint8]], fps: float) -> None:
    """Write a video file (MPEG-4).

    Parameters
    ----------
    path : path
        The file; its suffix names the container: ``.mp4``, ``.mkv``, ``.mov`` or ``.avi``.
    pictures : iterable of (H, W, 3) uint8
        RGB, all of one size.
    fps : float
        Pictures per second.

    Raises
    ------
    OutputError
        The file cannot be written.
    MissingExtraError
        PyAV is not installed.
    """
    with VideoWriter(path, fps) as writer:
        for rgb in pictures:
            writer.add(rgb)
