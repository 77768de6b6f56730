"""Frames as arrays to draw on, and arrays as files."""

from __future__ import annotations

import os
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mnnlite.errors import ArgumentError, OutputError
from mnnlite.specs import ImageSpec
from mnnlite.video import pyav

if TYPE_CHECKING:
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
        An array of its own.
    """
    spec = ImageSpec(size=(frame.width, frame.height), color="RGB", dtype="uint8", layout="NHWC")
    array: NDArray[np.uint8] = spec.apply(frame)[0]
    return array


def write_picture(path: str | os.PathLike[str], rgb: NDArray[np.uint8]) -> None:
    """Write a PNG or JPEG file.

    Parameters
    ----------
    path : path
        Ends in ``.png`` or ``.jpg``.
    rgb : (H, W, 3) uint8

    Raises
    ------
    OutputError
        It cannot be written.
    ArgumentError
        Another ending.
    MissingExtraError
        PyAV is not installed.
    """
    av = pyav.load()
    path = Path(path)
    codec, pixels = {".png": ("png", "rgb24"), ".jpg": ("mjpeg", "yuvj420p")}.get(path.suffix, ("", ""))
    if not codec:
        raise ArgumentError(f"{path} ends in {path.suffix!r}; wanted .png or .jpg")
    encoder = av.CodecContext.create(codec, "w")
    encoder.width, encoder.height, encoder.pix_fmt = rgb.shape[1], rgb.shape[0], pixels
    encoder.time_base = Fraction(1)
    if codec == "mjpeg":
        encoder.options = {"qmin": "2", "qmax": "2"}
    picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(rgb), format="rgb24").reformat(format=pixels)
    data = b"".join(bytes(packet) for packet in [*encoder.encode(picture), *encoder.encode(None)])
    part = path.with_name(path.name + ".part")
    try:
        part.write_bytes(data)
        os.replace(part, path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise OutputError(f"cannot write {path}: {error.strerror}") from None
