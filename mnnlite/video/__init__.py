"""Reads frames from videos, pictures, folders, cameras and pipes, and writes pictures and videos."""

from __future__ import annotations

import glob
import os
import sys
from pathlib import Path

from mnnlite.errors import ArgumentError, SourceError
from mnnlite.video import raw as _raw
from mnnlite.video.camera import Camera
from mnnlite.video.files import Files, in_natural_order
from mnnlite.video.pictures import to_rgb, write_picture
from mnnlite.video.pyav import PICTURES
from mnnlite.video.source import Source
from mnnlite.video.writer import VIDEOS, VideoWriter, write_video

__all__ = ["VIDEOS", "Source", "VideoWriter", "open_source", "to_rgb", "write_picture", "write_video"]


def open_source(source: str | os.PathLike[str] | int, raw: str | None = None) -> Source:
    """Open a source of frames.

    Parameters
    ----------
    source : path, str or int
        A video, a picture, a folder of pictures, a glob pattern, a V4L2 device (``/dev/video0``, or its number if there is
        no file of that name), or ``"-"`` for raw frames from standard input. Several files come in natural order: 1, 2, 10.
    raw : str, optional
        With ``"-"``: the format of the frames, as ``FORMAT:WIDTHxHEIGHT``, e.g. ``"NV12:1920x1080"``. Formats are those of
        `Frame`. YUV is BT.601 limited range, and rows have no padding.

    Returns
    -------
    Source
        An iterable of `Frame`.

    Raises
    ------
    SourceError
        There is nothing, or nothing that can be read. While iterating: the file is damaged or cut off; the error comes
        after its last good frame. If one of several files is, only its own frames are missing, see `Source.errors`.
    MissingExtraError
        PyAV is not installed; raw frames do not need it.
    ArgumentError
        `raw` cannot be understood, or does not belong to this source.
    """
    text = str(source) if isinstance(source, int) else os.fspath(source)
    if text == "-":
        if raw is None:
            raise ArgumentError("frames from standard input need raw='FORMAT:WIDTHxHEIGHT', e.g. 'NV12:1920x1080'")
        wanted = _raw.parse(raw)
        if sys.stdin is None:
            raise SourceError("standard input is closed; there are no frames to read")
        return _raw.Raw(sys.stdin.buffer, *wanted)
    if raw is not None:
        raise ArgumentError(f"raw={raw!r} is for frames from standard input; the source is {text!r}, wanted '-'")
    path = Path(text)
    if text.isdigit() and not path.exists() and Path(f"/dev/video{text}").is_char_device():
        path = Path(f"/dev/video{text}")
    if path.is_char_device():
        return Camera(path)
    if path.is_dir():
        found = (entry for entry in path.iterdir() if entry.suffix.lower() in PICTURES and entry.is_file())
        files = sorted(found, key=in_natural_order)
        if not files:
            raise SourceError(f"no pictures in the folder {text}; wanted files that end in {', '.join(PICTURES)}")
        return Files(text, files)
    if path.exists():
        return Files(text, [path])
    if glob.has_magic(text):
        files = [Path(found) for found in glob.glob(text, recursive=True) if Path(found).is_file()]
        files.sort(key=in_natural_order)
        if not files:
            raise SourceError(f"no file matches {text!r}")
        return Files(text, files)
    if text.isdigit():
        devices = sorted((each.name for each in Path("/dev").glob("video*")), key=len)
        raise SourceError(f"there is no camera {text} (/dev/video{text}); there is {', '.join(devices) or 'none'}")
    raise SourceError(f"there is no {text!r}; wanted a video, picture, folder, pattern, device, or '-'")
