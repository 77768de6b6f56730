"""GPMF, the metadata of GoPro's cameras: out of the MP4 or as raw payloads.

The format is GoPro's (github.com/gopro/gpmf-parser, README): keys of four letters, a type, a size, a count, values in big
endian, padded to four bytes, nested. A payload covers about a second of the video.
"""

from __future__ import annotations

import datetime as dt
import math
import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from mnnlite.errors import SourceError
from mnnlite.mapping.logs.log import Log, columns
from mnnlite.mapping.motion import Motion

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["motion_of", "motion_of_video", "payloads_of", "read", "read_video"]

PAYLOAD = 1.001  # seconds: what one covers, where no container says it
DOP_UNKNOWN = 99.0  # dilutions from here on are what a receiver without a fix says
_TYPES = {
    "b": "i1", "B": "u1", "d": ">f8", "f": ">f4", "j": ">i8", "J": ">u8", "l": ">i4", "L": ">u4", "s": ">i2", "S": ">u2",
}  # fmt: skip
_EPOCH_2000 = dt.datetime(2000, 1, 1, tzinfo=dt.timezone.utc).timestamp()


def _items(content: bytes, depth: int = 0) -> Iterator[tuple[str, str, int, bytes]]:
    """Key, type, size of one value and content of each entry; ends where the bytes do."""
    at = 0
    while at + 8 <= len(content) and depth < 8:
        key, kind, size, count = struct.unpack_from(">4scBH", content, at)
        length = size * count
        if key == b"\0\0\0\0" or at + 8 + length > len(content):
            return
        yield key.decode("ascii", "replace"), kind.decode("latin-1"), size, content[at + 8 : at + 8 + length]
        at += 8 + (length + 3) // 4 * 4


def _values(kind: str, size: int, content: bytes, layout: str) -> Floats | None:
    """(N, K) numbers, or None for what is no number."""
    codes = layout if kind == "?" else kind
    if not codes or any(code not in _TYPES for code in codes):
        return None
    if kind == "?":
        record = np.dtype([(str(index), _TYPES[code]) for index, code in enumerate(codes)])
        if record.itemsize != size or not len(content):
            return None
        rows = np.frombuffer(content, record)
        return np.stack([rows[name].astype(np.float64) for name in record.names or ()], axis=1)
    scalar = np.dtype(_TYPES[kind])
    if not size or size % scalar.itemsize:
        return None
    return np.frombuffer(content, scalar).astype(np.float64).reshape(-1, size // scalar.itemsize)


@dataclass
class _Payload:
    """One second of one device: the samples of the streams that are used, scaled, and what stood beside them."""

    streams: dict[str, Floats] = field(default_factory=dict)
    notes: dict[str, dict[str, Any]] = field(default_factory=dict)


_WANTED = ("GPS5", "GPS9", "GYRO", "ACCL")


def _parse(content: bytes) -> Iterator[_Payload]:
    for key, kind, _, device in _items(content):
        if key != "DEVC" or kind != "\0":
            continue
        payload = _Payload()
        for inner, inner_kind, _, stream in _items(device, 1):
            if inner == "STRM" and inner_kind == "\0":
                _take_stream(payload, stream)
        yield payload


def _take_stream(payload: _Payload, content: bytes) -> None:
    notes: dict[str, Any] = {}
    layout = ""
    for key, kind, size, raw in _items(content, 2):
        if kind == "c":
            text = raw.decode("latin-1").rstrip("\0")
            notes[key] = text
            layout = text if key == "TYPE" else layout
            continue
        if key == "GPSU":
            notes[key] = raw.decode("latin-1")
            continue
        values = _values(kind, size, raw, layout)
        if values is None:
            continue
        if key in _WANTED:
            scale = notes.get("SCAL", np.ones(1))
            payload.streams[key] = values / np.where(scale == 0, 1.0, scale)
            payload.notes[key] = notes
        elif values.size:
            notes[key] = values.ravel()


def payloads_of(content: bytes) -> list[bytes]:
    """The payloads of a raw file: one ``DEVC`` after another."""
    parts = []
    at = 0
    while at + 8 <= len(content):
        key, _, size, count = struct.unpack_from(">4scBH", content, at)
        if key != b"DEVC":
            break
        length = 8 + (size * count + 3) // 4 * 4
        parts.append(content[at : at + length])
        at += length
    return parts


def read(name: str, content: bytes) -> Log:
    """Read raw payloads, a second each.

    Raises
    ------
    SourceError
        No GPMF, or nothing in it says where the camera was.
    """
    parts = payloads_of(content)
    return _log(name, [(part, index * PAYLOAD, PAYLOAD) for index, part in enumerate(parts)])


def read_video(name: str, path: Path, needed: bool = True) -> Log | None:
    """Read the metadata stream of an MP4 through PyAV; None if there is none, or, where it is not `needed`, none with a fix.

    Raises
    ------
    SourceError
        The file cannot be read, or its GPMF says no place.
    MissingExtraError
        PyAV is not installed.
    """
    parts = _parts_of_video(name, path)
    try:
        return _log(name, parts) if parts else None
    except SourceError:
        if needed:
            raise
        return None


def motion_of_video(name: str, path: Path) -> Motion | None:
    """What the camera's gyroscope and accelerometer measured, on the video's clock; None if it has neither.

    Raises
    ------
    SourceError
        The file cannot be read.
    MissingExtraError
        PyAV is not installed.
    """
    return motion_of(_parts_of_video(name, path))


def motion_of(parts: list[tuple[bytes, float, float]]) -> Motion | None:
    """As `motion_of_video`, of payloads with the second at which each begins, and for how long it lasts."""
    samples: dict[str, list[Floats]] = {"GYRO": [], "ACCL": []}
    for content, start, duration in parts:
        for payload in _parse(content):
            _take_imu(samples, payload, start, duration)
    if not any(samples.values()):
        return None
    return Motion(*(np.concatenate(each) if each else np.empty((0, 4)) for each in samples.values()))


def _take_imu(samples: dict[str, list[Floats]], payload: _Payload, start: float, duration: float) -> None:
    for key, taken in samples.items():
        if key in payload.streams and payload.streams[key].shape[1] >= 3:
            taken.append(_spread(_right_handed(payload, key), start, duration))


def _parts_of_video(name: str, path: Path) -> list[tuple[bytes, float, float]]:
    """The payloads of a video, with the second at which each begins, and for how long it lasts."""
    from mnnlite.video import pyav

    av = pyav.load()
    try:
        container = av.open(f"file:{path}")
    except (OSError, ValueError) as error:
        raise SourceError(f"cannot read {name}: {pyav.reason(error)}") from None
    parts: list[tuple[bytes, float, float]] = []
    with container:
        for stream in container.streams:
            tag = getattr(stream, "codec_tag", "") or ""
            handler = stream.metadata.get("handler_name", "")
            if stream.type == "data" and (tag == "gpmd" or "GoPro MET" in handler):
                for packet in container.demux(stream):
                    if packet.size and packet.pts is not None:
                        base = float(packet.time_base)
                        parts.append((bytes(packet), packet.pts * base, (packet.duration or 0) * base or PAYLOAD))
                break
    return parts


def _log(name: str, parts: list[tuple[bytes, float, float]]) -> Log:
    fixes: list[tuple[float, ...]] = []  # video second, UTC, and the rest
    imu: dict[str, list[Floats]] = {"GYRO": [], "ACCL": []}
    vertical, seen = "unknown", 0
    for content, start, duration in parts:
        for payload in _parse(content):
            seen += 1
            _take_imu(imu, payload, start, duration)
            for key, to_rows in (("GPS5", _gps5), ("GPS9", _gps9)):
                if key in payload.streams and payload.streams[key].shape[1] >= (5 if key == "GPS5" else 9):
                    fixes += to_rows(payload, start, duration)
                    above = str(payload.notes[key].get("GPSA", ""))
                    vertical = "sea level" if above.startswith("MSL") else "ellipsoid"
    if not seen:
        raise SourceError(f"{name} has no GPMF in it")
    if not fixes:
        raise SourceError(f"{name} has GPMF, but no fix: the camera never knew where it was")
    video, utc, latitude, longitude, height, speed, hdop, quality = columns(fixes, 8)
    start = float(np.median(utc - video))
    unknown = np.full(len(utc), np.nan)
    log = Log(name, utc, latitude, longitude, height, speed, unknown, unknown.copy(), hdop, quality.astype(np.int8))
    log.vertical, log.video_start = vertical, start
    for key, attribute in (("GYRO", "gyro"), ("ACCL", "accelerometer")):
        if imu[key]:
            rows = np.concatenate(imu[key])
            rows[:, 0] += start
            setattr(log, attribute, rows)
    return log


def _spread(samples: Floats, start: float, duration: float) -> Floats:
    """Put times before the samples of a payload, which are evenly spaced in it."""
    times = start + np.arange(len(samples)) * (duration / max(len(samples), 1))
    return np.column_stack([times, samples])


def _right_handed(payload: _Payload, key: str) -> Floats:
    """Samples on axes that are right-handed: ``ORIN`` names the camera's axis of each, small letters point the other way."""
    samples = payload.streams[key][:, :3]
    axes = str(payload.notes[key].get("ORIN", ""))
    if sorted(axes.upper()) != ["X", "Y", "Z"]:
        return samples
    turned = np.empty_like(samples)
    for column, axis in enumerate(axes):
        turned[:, "XYZ".index(axis.upper())] = samples[:, column] * (1 if axis.isupper() else -1)
    return turned


def _gps5(payload: _Payload, start: float, duration: float) -> Iterator[tuple[float, ...]]:
    """Latitude, longitude, height, speed on the ground and in space; one time, fix and dilution for all of a payload."""
    samples, notes = payload.streams["GPS5"], payload.notes["GPS5"]
    fix = float(np.ravel(notes.get("GPSF", 3))[0])
    moment = _gpsu(str(notes.get("GPSU", "")))
    dilution = float(np.ravel(notes.get("GPSP", math.nan))[0]) / 100
    if fix < 2 or moment is None or dilution >= DOP_UNKNOWN:
        return
    for index, row in enumerate(samples):
        after = index * duration / len(samples)
        yield (start + after, moment + after, row[0], row[1], row[2] if fix >= 3 else math.nan, row[3], dilution, 1)


def _gps9(payload: _Payload, start: float, duration: float) -> Iterator[tuple[float, ...]]:
    """As `_gps5`, but each sample has days since 2000, seconds of the day, dilution and fix of its own."""
    samples = payload.streams["GPS9"]
    for index, row in enumerate(samples):
        if row[8] >= 2 and row[7] < DOP_UNKNOWN:
            utc = _EPOCH_2000 + row[5] * 86400 + row[6]
            height = row[2] if row[8] >= 3 else math.nan
            yield (start + index * duration / len(samples), utc, row[0], row[1], height, row[3], row[7], 1)


def _gpsu(text: str) -> float | None:
    """yymmddhhmmss.sss"""
    try:
        moment = dt.datetime.strptime(text[:12], "%y%m%d%H%M%S").replace(tzinfo=dt.timezone.utc)
        return moment.timestamp() + float("0" + text[12:].rstrip("\0 ") if len(text) > 12 else 0)
    except ValueError:
        return None
