"""Whether a file is as long as its own container says: what lost its power in the middle often just ends."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["is_cut_off"]

_MATROSKA, _SEGMENT = b"\x1a\x45\xdf\xa3", 0x18538067
_PACKETS = ((0, 188), (4, 192))  # of a transport stream: where the byte 0x47 is, and how long they are


def is_cut_off(file: Path) -> bool:
    """Tell whether bytes are missing at the end of a file, by what it says of its own length.

    MP4 and MOV (ISO/IEC 14496-12: boxes), AVI (RIFF chunks), Matroska and WebM (RFC 8794: the segment) and transport
    streams (ISO/IEC 13818-1: packets of one size). Of other files, and of pipes, nothing is known.

    Parameters
    ----------
    file : Path

    Returns
    -------
    bool
    """
    if not file.is_file():
        return False
    try:
        with file.open("rb") as stream:
            size = os.fstat(stream.fileno()).st_size
            head = stream.read(256)
            if head[:4] == b"RIFF":
                return _ends_in_a_chunk(stream, size)
            if head[:4] == _MATROSKA:
                return _ends_in_the_segment(head, size)
            if head[4:8] in (b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"styp"):
                return _ends_in_a_box(stream, size)
            for at, length in _PACKETS:
                if head[at : at + 1] == head[at + length : at + length + 1] == b"\x47":
                    return size % length != 0
    except OSError:
        pass
    return False


def _ends_in_a_chunk(stream: BinaryIO, size: int) -> bool:
    at = 0
    while at < size:
        stream.seek(at)
        head = stream.read(8)
        length = int.from_bytes(head[4:], "little")
        if head[:4] != b"RIFF" or length == 0:  # something behind the end, or never finished
            return False
        at += 8 + length + length % 2
        if at > size + 1:  # the last byte of padding may be missing
            return True
    return False


def _ends_in_a_box(stream: BinaryIO, size: int) -> bool:
    at = 0
    while at < size:
        stream.seek(at)
        head = stream.read(16)
        length = int.from_bytes(head[:4], "big")
        if len(head) < 8:
            return True
        if length == 0 or not head[4:8].isalnum():  # up to the end of the file, or something behind the last box
            return False
        if length == 1:
            length = int.from_bytes(head[8:16], "big")
        if length < 8:
            return False
        at += length
    return at > size


def _ends_in_the_segment(head: bytes, size: int) -> bool:
    try:
        _, at = _number(head, 4)
        at += _
        identifier, at = int.from_bytes(head[at : at + 4], "big"), at + 4
        length, at = _number(head, at)
    except IndexError:
        return True
    unknown = length in {(1 << 7 * count) - 1 for count in range(1, 9)}
    return identifier == _SEGMENT and not unknown and at + length > size


def _number(data: bytes, at: int) -> tuple[int, int]:
    """A number of variable length, without its length marker, and where it ends."""
    count = 9 - data[at].bit_length()
    if count > 8 or at + count > len(data):
        raise IndexError
    return int.from_bytes(data[at : at + count], "big") & ((1 << 7 * count) - 1), at + count
