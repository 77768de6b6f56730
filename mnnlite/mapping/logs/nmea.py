"""NMEA 0183: GGA, RMC, VTG, GST and ZDA of any talker, between whatever else a receiver writes."""

from __future__ import annotations

import datetime as dt
import math
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from mnnlite.errors import SourceError
from mnnlite.mapping.logs.log import Log, columns

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["read", "sentences"]

KNOT = 1852 / 3600  # metres per second
_SENTENCE = re.compile(rb"[$!]([A-Z]{2,3}(?:GGA|RMC|VTG|GST|ZDA|GNS),[^$!*\r\n]*)\*([0-9A-Fa-f]{2})")
_DAY = 86400.0
# Parts of the usual deviation that better fixes have (GGA's quality: differential, RTK fixed, RTK float), and that
# dead reckoning has.
_BETTER = {2: 0.7, 4: 0.05, 5: 0.3, 6: 5.0}


def sentences(content: bytes) -> Iterable[list[str]]:
    """Fields of each sentence with a right checksum; others are left out."""
    for found in _SENTENCE.finditer(content):
        body = found[1]
        total = 0
        for sign in body:
            total ^= sign
        if total == int(found[2], 16):
            yield body.decode("ascii", "replace").split(",")


@dataclass
class _Epoch:
    """What was said for one time of day."""

    second: float
    day: float | None = None  # seconds since 1970 of its midnight, where a sentence says it
    values: dict[str, float] = field(default_factory=dict)
    valid: bool | None = None


def read(name: str, content: bytes, date: dt.date | None = None) -> Log:
    """Read a log.

    Parameters
    ----------
    name : str
        For messages.
    content : bytes
    date : date, optional
        Of the first position, for logs that never say one (GGA alone).

    Raises
    ------
    SourceError
        No sentence with a position in it, or no date.
    """
    epochs: list[_Epoch] = []
    good = 0
    for words in sentences(content):
        good += 1
        _take(epochs, words[0][-3:], words[1:])
    if not epochs:
        raise SourceError(f"{name} has no NMEA sentence with a time and a right checksum; wanted GGA or RMC")
    _date(name, epochs, date)
    rows: list[tuple[float, ...]] = []
    separated = []
    for epoch in epochs:
        values = epoch.values
        if "latitude" not in values or epoch.valid is False or values.get("quality", 1) == 0 or epoch.day is None:
            continue
        quality = values.get("quality", 1)
        sigma = values.get("sigma", math.nan)
        hdop = values.get("hdop", math.nan)
        if math.isnan(sigma):
            hdop *= _BETTER.get(int(quality), 1.0)
        height = values.get("altitude", math.nan) + values.get("separation", 0.0)
        separated.append("separation" in values)
        rows.append(
            (
                epoch.day + epoch.second,
                values["latitude"],
                values["longitude"],
                height,
                values.get("speed", math.nan),
                values.get("course", math.nan),
                sigma,
                hdop,
                quality,
            )
        )
    if not rows:
        raise SourceError(f"{name} has {len(epochs)} times but no fix: the receiver never knew where it was")
    *numbers, qualities = columns(rows, 9)
    utc, latitude, longitude, heights, speeds, courses, sigmas, hdops = numbers
    log = Log(name, utc, latitude, longitude, heights, speeds, courses, sigmas, hdops, qualities.astype(np.int8))
    log.vertical = "ellipsoid" if all(separated) else "unknown" if any(separated) else "sea level"
    if log.vertical == "unknown":
        log.height[:] = np.where(separated, log.height, np.nan)
        log.vertical = "ellipsoid"
        log.notes.append("heights without a geoid separation are left out")
    bad = content.count(b"*") - good
    if bad > 0 and good == 0:
        log.notes.append(f"{bad} {'line has' if bad == 1 else 'lines have'} a wrong checksum")
    return log


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def _time(text: str) -> float | None:
    if len(text) < 6 or not text[:6].isdigit():
        return None
    second = _number(text[4:])
    hours, minutes = int(text[:2]), int(text[2:4])
    return hours * 3600 + minutes * 60 + second if hours < 24 and minutes < 60 and second < 61 else None


def _angle(text: str, side: str, digits: int) -> float:
    """ddmm.mmmm and N, S, E or W."""
    if len(text) < digits + 2 or side not in ("N", "S", "E", "W"):
        return math.nan
    degrees, minutes = _number(text[:digits]), _number(text[digits:])
    if not 0 <= minutes < 60:
        return math.nan
    value = degrees + minutes / 60
    return -value if side in "SW" else value


def _epoch_of(epochs: list[_Epoch], text: str) -> _Epoch | None:
    second = _time(text)
    if second is None:
        return None
    for epoch in epochs[-3:]:
        if abs(epoch.second - second) < 1e-4:
            return epoch
    epochs.append(_Epoch(second))
    return epochs[-1]


def _take(epochs: list[_Epoch], kind: str, words: list[str]) -> None:
    if kind == "VTG":  # has no time: it belongs to the position before it
        if epochs and len(words) >= 7:
            _put(epochs[-1], course=_number(words[0]), speed=_number(words[6]) / 3.6)
        return
    epoch = _epoch_of(epochs, words[0]) if words else None
    if epoch is None:
        return
    if kind == "GGA" and len(words) >= 11:
        _put(
            epoch,
            latitude=_angle(words[1], words[2], 2),
            longitude=_angle(words[3], words[4], 3),
            quality=_number(words[5]),
            hdop=_number(words[7]),
            altitude=_number(words[8]),
            separation=_number(words[10]),
        )
    elif kind == "RMC" and len(words) >= 9:
        epoch.valid = words[1] == "A"
        _put(
            epoch,
            latitude=_angle(words[2], words[3], 2),
            longitude=_angle(words[4], words[5], 3),
            speed=_number(words[6]) * KNOT,
            course=_number(words[7]),
        )
        if len(words[8]) == 6 and words[8].isdigit():
            year = int(words[8][4:])
            _set_day(epoch, 2000 + year if year < 80 else 1900 + year, int(words[8][2:4]), int(words[8][:2]))
    elif kind == "GST" and len(words) >= 7:
        north, east = _number(words[5]), _number(words[6])
        _put(epoch, sigma=math.sqrt((north * north + east * east) / 2))
    elif kind == "ZDA" and len(words) >= 4 and all(word.isdigit() for word in words[1:4]):
        _set_day(epoch, int(words[3]), int(words[2]), int(words[1]))


def _put(epoch: _Epoch, **values: float) -> None:
    epoch.values |= {key: value for key, value in values.items() if not math.isnan(value)}


def _set_day(epoch: _Epoch, year: int, month: int, day: int) -> None:
    try:
        moment = dt.datetime(year, month, day, tzinfo=dt.timezone.utc)
    except ValueError:
        return
    epoch.day = moment.timestamp()


def _date(name: str, epochs: list[_Epoch], date: dt.date | None) -> None:
    """Give each epoch its day: its own, else that of its neighbour, with midnight between."""
    known = [index for index, epoch in enumerate(epochs) if epoch.day is not None]
    if not known:
        if date is None:
            raise SourceError(f"{name} says no date (there is no RMC or ZDA in it); give one with date=, or --date")
        _set_day(epochs[0], date.year, date.month, date.day)
        known = [0]
    for index in range(known[0] - 1, -1, -1):
        later, epoch = epochs[index + 1], epochs[index]
        assert later.day is not None
        epoch.day = later.day - (_DAY if epoch.second > later.second + _DAY / 2 else 0)
    for before, epoch in zip(epochs[known[0] :], epochs[known[0] + 1 :], strict=False):
        if epoch.day is None:
            assert before.day is not None
            epoch.day = before.day + (_DAY if epoch.second < before.second - _DAY / 2 else 0)
