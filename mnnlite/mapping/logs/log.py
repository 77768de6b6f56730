"""What every reader of a position log gives, and the checks that all logs pass."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from mnnlite.errors import SourceError

if TYPE_CHECKING:
    from typing import TypeAlias

    from numpy.typing import NDArray

    Floats: TypeAlias = NDArray[np.float64]

__all__ = ["GPS_AHEAD", "Log", "columns", "utc_of"]

GPS_AHEAD = 18.0  # seconds that GPS time is ahead of UTC since 2017-01-01 (IERS Bulletin C 52)
_NO_IMU = np.empty((0, 4))


@dataclass
class Log:
    """Positions and motion as they were recorded.

    Parameters
    ----------
    name : str
        Of the file, for messages.
    utc : (N,) float64
        Seconds since 1970 without leap seconds, growing.
    latitude, longitude : (N,) float64
        Degrees, WGS84.
    height : (N,) float64
        Metres; NaN where not known.
    speed : (N,) float64
        Metres per second; NaN where not known.
    course : (N,) float64
        Degrees from true north, clockwise; NaN where not known.
    sigma : (N,) float64
        Horizontal standard deviation per axis in metres, where the receiver says it (GST and the like); else NaN.
    hdop : (N,) float64
        NaN where not known.
    quality : (N,) int8
        As in NMEA's GGA: 1 GNSS, 2 differential, 4 RTK fixed, 5 RTK float, 6 dead reckoning.
    gyro, accelerometer : (M, 4) float64
        UTC and three axes, right-handed, in radians per second and metres per second squared.
    vertical : {"ellipsoid", "sea level", "unknown"}
        What `height` is above.
    video_start : float, optional
        UTC of the video's first frame, where the log was made by the same clock.
    notes : list of str
        What had to be left out or taken for granted.
    """

    name: str
    utc: Floats
    latitude: Floats
    longitude: Floats
    height: Floats
    speed: Floats
    course: Floats
    sigma: Floats
    hdop: Floats
    quality: NDArray[np.int8]
    gyro: Floats = field(default_factory=lambda: _NO_IMU)
    accelerometer: Floats = field(default_factory=lambda: _NO_IMU)
    vertical: str = "unknown"
    video_start: float | None = None
    notes: list[str] = field(default_factory=list)

    def checked(self) -> Log:
        """The same log with growing times and places that can be; what is left out is noted.

        Raises
        ------
        SourceError
            Nothing is left.
        """
        count = len(self.utc)
        good = np.isfinite(self.utc) & np.isfinite(self.latitude) & np.isfinite(self.longitude)
        good &= (np.abs(self.latitude) <= 90) & (np.abs(self.longitude) <= 180)
        good &= (self.latitude != 0) | (self.longitude != 0)  # what devices without a fix write
        if not good.any():
            swapped = count and (np.abs(self.latitude) > 90).mean() > 0.5
            reason = "latitudes beyond 90 degrees: are they swapped with longitudes?" if swapped else "no fix in it"
            raise SourceError(f"{self.name} has no usable position ({reason})")
        if not good.all():
            self.notes.append(
                f"{count - int(good.sum())} of {count} positions are not usable (no fix, or out of range)"
            )
        order = np.flatnonzero(good)
        order = order[np.argsort(self.utc[order], kind="stable")]
        order = order[np.concatenate([[True], np.diff(self.utc[order]) > 1e-4])]
        if len(order) < good.sum():
            self.notes.append(f"{int(good.sum()) - len(order)} positions repeat the time of another")
        for name in ("utc", "latitude", "longitude", "height", "speed", "course", "sigma", "hdop", "quality"):
            setattr(self, name, getattr(self, name)[order])
        for name in ("gyro", "accelerometer"):
            rows = getattr(self, name)
            rows = rows[np.isfinite(rows).all(axis=1)]
            rows = rows[np.argsort(rows[:, 0], kind="stable")]
            setattr(self, name, rows[np.concatenate([[True], np.diff(rows[:, 0]) > 1e-6])] if len(rows) else rows)
        self.course = np.where(np.isfinite(self.course), self.course % 360, np.nan)
        return self


def columns(rows: list[tuple[float, ...]], width: int) -> list[Floats]:
    """Rows of equal length as arrays."""
    table = np.array(rows, np.float64).reshape(-1, width)
    return [np.ascontiguousarray(table[:, index]) for index in range(width)]


def utc_of(text: str) -> float:
    """Seconds since 1970 of an ISO 8601 time; without a zone it is taken for UTC.

    Raises
    ------
    ValueError
        It is none.
    """
    moment = dt.datetime.fromisoformat(text.strip().replace("Z", "+00:00").replace("z", "+00:00"))
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=dt.timezone.utc)
    return moment.timestamp()
