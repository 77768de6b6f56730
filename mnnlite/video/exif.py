"""Which way round a picture is to be shown, by its EXIF data. PyAV gives the turn, but not whether it is mirrored too."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["orientation_of"]

_ORIENTATION = 0x0112  # the tag; CIPA DC-008 (EXIF 2.32), 4.6.4 A
_MOST = 1 << 16  # of JPEG's segments, and more than any first directory has


def orientation_of(file: Path) -> int:
    """Read the EXIF orientation of a JPEG, PNG, WebP or TIFF file.

    Parameters
    ----------
    file : Path

    Returns
    -------
    int
        1 to 8; 1, "as it is", where it is not said or cannot be read.
    """
    try:
        with file.open("rb") as stream:
            head = stream.read(12)
            if head[:2] == b"\xff\xd8":
                data = _of_jpeg(stream)
            elif head[:8] == b"\x89PNG\r\n\x1a\n":
                data = _of_chunks(stream, 8, ">I4s", b"eXIf", 4, 1)
            elif head[:4] == b"RIFF" and head[8:] == b"WEBP":
                data = _of_chunks(stream, 12, "<4sI", b"EXIF", 0, 2)
            else:
                stream.seek(0)
                return _orientation(stream, 0)
            return _orientation(stream, stream.tell()) if data else 1
    except (OSError, struct.error):
        return 1


def _of_jpeg(stream: BinaryIO) -> bool:
    """Go to the EXIF data of a JPEG file; False if there is none."""
    at = 2
    while True:
        stream.seek(at)
        marker, length = struct.unpack(">HH", stream.read(4))
        if marker >> 8 != 0xFF or marker in (0xFFDA, 0xFFD9):  # the picture itself begins, or the end
            return False
        if marker == 0xFFE1 and stream.read(6) == b"Exif\0\0":
            return True
        at += 2 + length


def _of_chunks(stream: BinaryIO, at: int, head: str, name: bytes, checksum: int, align: int) -> bool:
    """Go to the EXIF chunk of a PNG or WebP file; False if there is none."""
    while True:
        stream.seek(at)
        words = struct.unpack(head, stream.read(8))
        length, found = sorted(words, key=lambda word: isinstance(word, bytes))
        if found == name:
            if stream.read(6) != b"Exif\0\0":  # which some writers of WebP put before it
                stream.seek(at + 8)
            return True
        at += 8 + -(-length // align) * align + checksum


def _orientation(stream: BinaryIO, start: int) -> int:
    """Of TIFF data that begin at `start`."""
    head = stream.read(8)
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(head[:4])
    if order is None:
        return 1
    stream.seek(start + struct.unpack(order + "I", head[4:])[0])
    (count,) = struct.unpack(order + "H", stream.read(2))
    entries = stream.read(12 * count)[:_MOST]
    for at in range(0, len(entries) - 11, 12):
        tag, kind, _, value = struct.unpack_from(order + "HHIH", entries, at)
        if tag == _ORIENTATION and kind == 3 and 1 <= value <= 8:
            return int(value)
    return 1
