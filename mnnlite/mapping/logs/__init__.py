"""Logs of positions, each format by its own reader; which one it is, the content says."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mnnlite.errors import SourceError
from mnnlite.mapping.logs import gpmf, gpsd, nmea, tables
from mnnlite.mapping.logs.log import Log

if TYPE_CHECKING:
    import datetime as dt
    import os

__all__ = ["Log", "read"]

LARGEST = 2 << 30  # bytes; a day of ten positions a second is a quarter of that
_VIDEOS = (".mp4", ".mov", ".m4v", ".360", ".lrv")


def read(path: str | os.PathLike[str], date: dt.date | None = None, seconds: float | None = None) -> Log:
    """Read a log: NMEA, GPX, CSV, gpsd's JSON, GPMF raw or in an MP4; or take one down, for `seconds`, from ``gpsd://HOST:PORT``.

    Raises
    ------
    SourceError
        It cannot be read, is none of these, or has no position in it.
    """
    file, name = Path(path), str(path)
    if name.startswith(gpsd.ADDRESS):
        return gpsd.record(name, seconds).checked()
    if file.suffix.lower() in _VIDEOS:
        log = gpmf.read_video(name, file)
        if log is None:
            raise SourceError(f"{name} has no GPMF stream with positions; give the track as a file of its own")
        return log.checked()
    try:
        if file.stat().st_size > LARGEST:
            raise SourceError(f"{name} has more than {LARGEST} bytes; that is no log of a drive")
        content = file.read_bytes()
    except OSError as error:
        raise SourceError(f"cannot read the track {name}: {error.strerror}") from None
    return _parse(name, content, date).checked()


def _parse(name: str, content: bytes, date: dt.date | None) -> Log:
    start = content[:4096].lstrip()
    if not start:
        raise SourceError(f"{name} is empty; wanted a log of positions")
    if start.startswith(b"DEVC"):
        return gpmf.read(name, content)
    if start.startswith((b"<?xml", b"<gpx", b"\xef\xbb\xbf<")):
        return tables.read_gpx(name, content)
    if b'"class":"TPV"' in content:
        return gpsd.read(name, content)
    if next(iter(nmea.sentences(content)), None) is not None:
        return nmea.read(name, content, date)
    if b"\xb5b" in content[:65536]:
        raise SourceError(f"{name} is u-blox's binary protocol; give NMEA, or what gpsd makes of it (gpspipe -w)")
    if b"$G" in start:
        raise SourceError(f"{name} looks like NMEA, but no GGA or RMC in it has a right checksum")
    if b"," in start or b";" in start or b"\t" in start:
        return tables.read_csv(name, content)
    raise SourceError(f"{name} is no log that is known; wanted NMEA, GPX, CSV, JSON of gpsd, or GPMF")
