"""Makes arrays of frames to draw on, and writes arrays as files."""

from __future__ import annotations

import os
import struct
import zlib
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mnnlite.errors import ArgumentError, OutputError
from mnnlite.files import checked_path
from mnnlite.specs import ImageSpec
from mnnlite.video import pyav

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from mnnlite.frame import Frame

__all__ = ["to_rgb", "write_picture"]


def to_rgb(frame: Frame) -> NDArray[np.uint8]:
    """Make an RGB array of a frame, e.g. to draw results on.

    Parameters
    ----------
    frame : Frame

    Returns
    -------
    (H, W, 3) uint8
        A new array.
    """
    spec = ImageSpec(size=(frame.width, frame.height), color="RGB", dtype="uint8", layout="NHWC")
    array: NDArray[np.uint8] = spec.apply(frame)[0]
    return array


def write_picture(path: str | os.PathLike[str], rgb: NDArray[np.uint8]) -> None:
    """Write a PNG or JPEG file.

    Parameters
    ----------
    path : path
        A path that ends in ``.png`` or ``.jpg``.
    rgb : (H, W, 3) uint8

    Raises
    ------
    OutputError
        The file cannot be written.
    ArgumentError
        The path ends in something else.
    MissingExtraError
        It is a JPEG file, and PyAV is not installed. PNG needs no further package.
    """
    path = Path(checked_path(path, "the picture"))
    if path.suffix not in _ENCODERS:
        raise ArgumentError(f"{path} ends in {path.suffix!r}; wanted .png or .jpg")
    data = _ENCODERS[path.suffix](np.ascontiguousarray(rgb))
    part = path.with_name(path.name + ".part")
    try:
        part.unlink(missing_ok=True)  # of a process that was killed; or a link that somebody laid there
        with part.open("xb") as stream:
            stream.write(data)
        os.replace(part, path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise OutputError(f"cannot write {path}: {error.strerror}") from None


def _jpeg(rgb: NDArray[np.uint8]) -> bytes:
    av = pyav.load()
    encoder = av.CodecContext.create("mjpeg", "w")
    encoder.width, encoder.height, encoder.pix_fmt = rgb.shape[1], rgb.shape[0], "yuvj420p"
    encoder.time_base = Fraction(1)
    encoder.options = {"qmin": "2", "qmax": "2"}
    picture = av.VideoFrame.from_ndarray(rgb, format="rgb24").reformat(format="yuvj420p")
    return b"".join(bytes(packet) for packet in [*encoder.encode(picture), *encoder.encode(None)])


def _png(rgb: NDArray[np.uint8]) -> bytes:
    """PNG (ISO/IEC 15948): eight bits, RGB, each row as its difference to the one above (filter type 2)."""
    height, width, _ = rgb.shape
    lines = np.empty((height, 1 + 3 * width), np.uint8)
    lines[:, 0] = 2
    rows = rgb.reshape(height, 3 * width)
    lines[0, 1:] = rows[0]
    np.subtract(rows[1:], rows[:-1], out=lines[1:, 1:])

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    packed = zlib.compress(lines.tobytes(), 6)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


_ENCODERS: dict[str, Callable[[NDArray[np.uint8]], bytes]] = {".png": _png, ".jpg": _jpeg}
