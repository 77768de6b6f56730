"""GPX and CSV."""

from __future__ import annotations

import csv
import io
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from mnnlite.errors import SourceError
from mnnlite.mapping.logs.log import GPS_AHEAD, Log, columns, utc_of

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["read_csv", "read_gpx"]


def read_gpx(name: str, content: bytes) -> Log:
    """Read the track points of a GPX 1.0 or 1.1 file; routes and waypoints have no times and are left out.

    Raises
    ------
    SourceError
        Not GPX, or nothing with a time in it.
    """
    from xml.etree import ElementTree as ET  # only here

    if b"<!DOCTYPE" in content[:4096] or b"<!ENTITY" in content[:4096]:
        raise SourceError(f"{name} is not GPX: it has a document type")
    try:
        root = ET.fromstring(content)
    except ET.ParseError as error:
        raise SourceError(f"{name} is not GPX: {error}") from None
    rows: list[tuple[float, ...]] = []
    points = timeless = zoneless = 0
    for point in root.iter():
        if _bare(point.tag) != "trkpt":
            continue
        points += 1
        values = {_bare(child.tag): (child.text or "").strip() for child in point.iter() if child is not point}
        try:
            moment = utc_of(values["time"])
        except (KeyError, ValueError):
            timeless += 1
            continue
        zoneless += not (values["time"].endswith(("Z", "z")) or "+" in values["time"] or values["time"].count("-") > 2)
        rows.append(
            (
                moment,
                _number(point.get("lat")),
                _number(point.get("lon")),
                _number(values.get("ele")),
                _number(values.get("speed")),
                _number(values.get("course")),
                _number(values.get("hdop")),
            )
        )
    if not rows:
        reason = "its points have no times" if points else "there is no <trkpt> in it"
        raise SourceError(f"{name} has no track to use: {reason}")
    utc, latitude, longitude, height, speed, course, hdop = columns(rows, 7)
    unknown = np.full(len(utc), np.nan)
    log = Log(
        name,
        utc,
        latitude,
        longitude,
        height,
        speed,
        course,
        unknown,
        hdop,
        np.ones(len(utc), np.int8),
        vertical="unknown",
    )
    if timeless:
        log.notes.append(f"{timeless} points without a time are left out")
    if zoneless:
        log.notes.append("times without a zone are taken for UTC")
    return log


def _bare(tag: Any) -> str:
    return tag.rpartition("}")[2].lower() if isinstance(tag, str) else ""


def _number(text: str | None) -> float:
    try:
        return float(text) if text else math.nan
    except ValueError:
        return math.nan


def _plain(text: str) -> float:
    """A moment: seconds or milliseconds since 1970, or ISO 8601."""
    try:
        number = float(text)
    except ValueError:
        return utc_of(text)
    return (
        number / 1e9 if number > 1e17 else number / 1e6 if number > 1e14 else number / 1e3 if number > 1e11 else number
    )


# What a column may be called (lower case, without blanks, unit in brackets or after an underscore), what it is, and how its
# texts become numbers.
_NAMES: dict[str, tuple[str, Callable[[str], float]]] = {
    **dict.fromkeys(("time", "utc", "utc_s", "timestamp", "datetime", "time_utc", "unix_time"), ("utc", _plain)),
    **dict.fromkeys(("gps_time", "gpstime", "time_gps"), ("utc", lambda text: _plain(text) - GPS_AHEAD)),
    **dict.fromkeys(("lat", "latitude", "lat_deg", "latitude_deg"), ("latitude", float)),
    **dict.fromkeys(("lon", "lng", "long", "longitude", "lon_deg", "longitude_deg"), ("longitude", float)),
    **dict.fromkeys(("alt", "altitude", "ele", "elevation", "alt_msl", "altitude_m"), ("height", float)),
    **dict.fromkeys(("height", "height_m", "hae", "ellipsoidal_height", "alt_hae"), ("ellipsoid", float)),
    **dict.fromkeys(("speed", "speed_mps", "speed_m_s", "velocity"), ("speed", float)),
    **dict.fromkeys(("speed_kmh", "speed_km_h", "speed_kph"), ("speed", lambda text: float(text) / 3.6)),
    **dict.fromkeys(("speed_knots", "speed_kn"), ("speed", lambda text: float(text) * 1852 / 3600)),
    **dict.fromkeys(("course", "bearing", "heading", "course_deg", "bearing_deg", "track"), ("course", float)),
    **dict.fromkeys(("sigma", "sigma_m", "accuracy", "hacc", "horizontal_accuracy"), ("sigma", float)),
    **dict.fromkeys(("hdop",), ("hdop", float)),
    **{f"{prefix}_{axis}": (f"gyro_{axis}", float) for prefix in ("gyro", "gyr", "omega") for axis in "xyz"},
    **{f"{prefix}_{axis}": (f"accel_{axis}", float) for prefix in ("accel", "acc", "a") for axis in "xyz"},
}
_FIX = ("latitude", "longitude", "height", "ellipsoid", "speed", "course", "sigma", "hdop")


def read_csv(name: str, content: bytes) -> Log:
    """Read a table with a line of names; rows may have a position, an IMU's numbers, or both.

    Raises
    ------
    SourceError
        No names that are known, or no row with a time and a place.
    """
    text = content.decode("utf-8-sig", "replace")
    first = text.split("\n", 1)[0]
    delimiter = max(",;\t", key=first.count)
    reader = csv.reader(io.StringIO(text), delimiter=delimiter)
    header = [word.strip().lower().replace(" ", "_").strip("[]()") for word in next(reader, [])]
    known = {index: _NAMES[word] for index, word in enumerate(header) if word in _NAMES}
    kinds = [kind for kind, _ in known.values()]
    missing = [kind for kind in ("utc", "latitude", "longitude") if kind not in kinds]
    if missing:
        raise SourceError(
            f"{name} is no table of positions: there is no column {', '.join(missing)}; its columns are {', '.join(header)[:200]}"
        )
    fixes: list[tuple[float, ...]] = []
    imu: dict[str, list[tuple[float, ...]]] = {"gyro": [], "accel": []}
    bad = 0
    for words in reader:
        row: dict[str, float] = {}
        for index, (kind, to_number) in known.items():
            if index < len(words) and words[index].strip():
                try:
                    row[kind] = to_number(words[index])
                except ValueError:
                    bad += 1
        if "utc" not in row:
            continue
        for kind, rows in imu.items():
            if f"{kind}_x" in row:
                rows.append((row["utc"], *(row.get(f"{kind}_{axis}", math.nan) for axis in "xyz")))
        if "latitude" in row and "longitude" in row:
            fixes.append((row["utc"], *(row.get(kind, math.nan) for kind in _FIX)))
    if not fixes:
        raise SourceError(f"{name} has no row with a time and a place")
    utc, latitude, longitude, height, ellipsoid, speed, course, sigma, hdop = columns(fixes, 9)
    on_ellipsoid = "ellipsoid" in kinds
    log = Log(
        name,
        utc,
        latitude,
        longitude,
        ellipsoid if on_ellipsoid else height,
        speed,
        course,
        sigma,
        hdop,
        np.ones(len(utc), np.int8),
        np.array(imu["gyro"], np.float64).reshape(-1, 4),
        np.array(imu["accel"], np.float64).reshape(-1, 4),
        "ellipsoid" if on_ellipsoid else "unknown",
    )
    if bad:
        log.notes.append(f"{bad} cells are no numbers")
    return log
