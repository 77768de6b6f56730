"""A drive's track: from a log to the vehicle's pose, with covariance, at any time."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mnnlite.errors import ArgumentError, SourceError
from mnnlite.mapping import clocks, logs
from mnnlite.mapping.geodesy import Plane
from mnnlite.mapping.motion import start_of_motion
from mnnlite.mapping.profile import WORSE, Profile, profile
from mnnlite.mapping.smoother import HEADING, SPEED, TURN, Measured, Smoothed, X, Y, smooth
from mnnlite.mapping.turning import clockwise

if TYPE_CHECKING:
    import datetime as dt
    import os

    from numpy.typing import ArrayLike, NDArray

    from mnnlite.mapping.motion import Motion

    Floats = NDArray[np.float64]

__all__ = ["States", "Track", "TrackPose"]

STEP, STEP_IMU, STEP_GAP = (
    0.25,
    0.1,
    1.0,
)  # seconds between nodes at most: usually, with a gyroscope, where nothing is known
GAP = 4.0  # seconds without a position
SPEED_SIGMA = 0.1  # m/s: of a Doppler speed
COURSE_SIGMA = math.radians(0.3)
TURN_SIGMA = 0.01  # rad/s: a gyroscope's noise, and the car's own shaking, over a step
WHITE = 0.15  # part of a position's deviation that is its own; the rest it shares with those of the next minute
LEAST = 0.05  # metres
MOTION_S = 10.0  # seconds that a video's start may be off, at least, where its camera's motion is asked


class TrackPose(NamedTuple):
    """Position of the antenna, and heading of the vehicle.

    Parameters
    ----------
    position : (..., 3) float64
        Latitude and longitude in degrees (WGS84), and height in metres; `Track.vertical` says above what.
    heading : (...) float64
        Degrees from true north, clockwise.
    covariance : (..., 4, 4) float64
        Of east, north, up in metres and heading in degrees.
    speed : (...) float64
        Metres per second.
    """

    position: Floats
    heading: Floats
    covariance: Floats
    speed: Floats


@dataclass
class States:
    """Poses in the plane of a track: metres east, north and up, radians clockwise from the plane's north.

    Parameters
    ----------
    place : (N, 3) float64
        Of the antenna.
    heading, speed, turn, grade, way : (N,) float64
        Radians, metres per second, radians per second, metres per metre, metres driven.
    covariance : (N, 4, 4) float64
        Of x, y, heading and speed.
    height_sigma, grade_sigma : (N,) float64
    """

    place: Floats
    heading: Floats
    speed: Floats
    turn: Floats
    grade: Floats
    way: Floats
    covariance: Floats
    height_sigma: Floats
    grade_sigma: Floats


class Track:
    """Where a vehicle was during a drive.

    Parameters
    ----------
    log : Log
        From `mnnlite.mapping.logs.read`, or made of arrays.
    sigma_m : float
        Standard deviation of a position per axis in metres, for each unit of HDOP, if the log has none (GST).
    correlation_s : float
        Correlation time of the receiver's slow errors, in seconds.

    Attributes
    ----------
    start, end : float
        UTC of the first and last position, seconds since 1970.
    vertical : str
        What heights are above: "ellipsoid", "sea level" or "unknown".
    video_start : float or None
        UTC of the video's first frame, with its deviation `video_start_sigma`; None if it is not known.
    notes : list of str
        What the track leaves out, what it assumes, and what it could not find.
    """

    def __init__(self, log: logs.Log, *, sigma_m: float = 1.0, correlation_s: float = 60.0) -> None:
        if not (sigma_m > 0 and correlation_s > 0):
            raise ArgumentError(f"sigma_m is {sigma_m}, correlation_s {correlation_s}; wanted numbers above 0")
        if len(log.utc) < 2:
            raise SourceError(f"{log.name} has one position; a track has two or more")
        self.log = log
        self.notes = list(log.notes)
        self.start, self.end = float(log.utc[0]), float(log.utc[-1])
        self.vertical = log.vertical
        self.video_start: float | None = log.video_start
        self.video_start_sigma = 0.05 if log.video_start is not None else math.inf
        self.plane = Plane(float(log.latitude[0]), float(log.longitude[0]))
        self._places = self.plane.to_plane(log.latitude, log.longitude)
        self._check_jumps()
        self.sigma = np.where(np.isfinite(log.sigma), log.sigma, np.nan_to_num(log.hdop, nan=1.0) * sigma_m)
        measured = self._measured(correlation_s)
        self.smoothed: Smoothed = smooth(measured)
        rejected = int(self.smoothed.rejected.sum())
        if rejected:
            self.notes.append(
                f"{rejected} position{' ' if rejected == 1 else 's '}jumped and {'was' if rejected == 1 else 'were'} not believed"
            )
        moved = np.hypot(*np.diff(self.smoothed.state[:, [X, Y]], axis=0).T)
        # What a parked car's smoothed place creeps is no way driven.
        moved *= np.abs(self.smoothed.state[1:, SPEED]) > 0.1
        self._way = np.concatenate([[0.0], np.cumsum(moved)])
        self.profile = self._profile(measured, correlation_s)
        still = ~np.isfinite(log.speed).any() and self.length < 8
        self.heading_known = not still and self.length > 2

    @classmethod
    def load(
        cls,
        path: str | os.PathLike[str],
        video: str | os.PathLike[str] | None = None,
        offset: float | None = None,
        *,
        date: dt.date | None = None,
        sigma_m: float = 1.0,
        correlation_s: float = 60.0,
        seconds: float | None = None,
    ) -> Track:
        """Read a track and, with a video, find the UTC of the video's first frame.

        Parameters
        ----------
        path : path
            NMEA, GPX, CSV, gpsd's JSON, or GPMF (raw, or the MP4 itself); or ``gpsd://HOST:PORT``, whose positions are taken
            down as they come.
        video : path, optional
            The video that was recorded on the drive.
        offset : float, optional
            Seconds from the time at which the video says that it began (GoPro's metadata or ``creation_time``; without
            them, the track's first position) to the UTC of its first frame. Without `offset`, `Observer` finds it from
            the drive itself, if the drive reveals it.
        date : date, optional
            The date of the first position, for logs that never say it.
        sigma_m, correlation_s
            As for `Track`.
        seconds : float, optional
            How long to listen to a live gpsd; by default until it ends the connection.

        Returns
        -------
        Track

        Raises
        ------
        SourceError
            The log cannot be used, or does not cover the time of the video.
        """
        log = logs.read(path, date, seconds)
        track = cls(log, sigma_m=sigma_m, correlation_s=correlation_s)
        if video is not None:
            known, length = clocks.begun(video)
            motion = None
            if offset is None and (known is None or known.sigma > clocks.OWN):
                motion = clocks.motion_of(video)
            track.synchronise(known, length, offset, motion)
        elif offset is not None:
            track.video_start, track.video_start_sigma = (track.video_start or track.start) + offset, 0.02
        return track

    def synchronise(
        self,
        known: clocks.Start | None,
        seconds: float | None,
        offset: float | None,
        motion: Motion | None = None,
    ) -> None:
        """Set the UTC of the video's first frame.

        Parameters
        ----------
        known : clocks.Start or None
            When the video says that it began.
        seconds : float or None
            Length of the video.
        offset : float or None
            As for `load`.
        motion : Motion, optional
            What a gyroscope and an accelerometer on the video's clock measured: without `offset`, the start is the one at which
            they say what the track does.

        Raises
        ------
        SourceError
            The track does not cover the time of the video.
        """
        found = clocks.start_of(known, seconds, self.start, self.end, self.log.name, offset)
        if motion is not None and offset is None:
            within = max(MOTION_S, 4 * found.sigma)
            moved = start_of_motion(motion, self._moved, (self.start, self.end), found.start, within)
            if moved is None:
                found.notes.append(
                    f"how the camera turned and was pushed does not tell when the video began (not observable, within {within:g} s)"
                )
            else:
                late = moved.start - found.start
                found = clocks.Start(
                    moved.start,
                    moved.sigma,
                    [
                        f"by the camera's gyroscope and accelerometer the video began {late:+.2f} s from what was said, give or take {moved.sigma:.2f}"
                    ],
                )
        self.video_start, self.video_start_sigma = found.start, found.sigma
        self.notes += found.notes

    @property
    def length(self) -> float:
        """Metres driven."""
        return float(self._way[-1])

    def _check_jumps(self) -> None:
        gone = np.hypot(*np.diff(self._places, axis=0).T)
        passed = np.diff(self.log.utc)
        if len(gone) and np.median(gone / passed) > 100:
            raise SourceError(
                f"{self.log.name}: half of its steps are faster than 100 m/s; are latitude and longitude, or units, mixed up?"
            )

    def _nodes(self) -> Floats:
        utc = self.log.utc
        step = STEP_IMU if len(self.log.gyro) else STEP
        parts = [utc]
        for index in np.flatnonzero(np.diff(utc) > step * 1.01):
            gap = float(utc[index + 1] - utc[index])
            count = math.ceil(gap / (STEP_GAP if gap > GAP and not len(self.log.gyro) else step))
            if count > 100_000:
                raise SourceError(f"{self.log.name} has a gap of {gap / 3600:.1f} hours in it; that is two drives")
            parts.append(utc[index] + np.arange(1, count) * (gap / count))
        return np.sort(np.concatenate(parts))

    def _measured(self, correlation_s: float) -> Measured:
        log, time = self.log, self._nodes()
        place, sigma, speed, course = np.full((len(time), 2), np.nan), *(np.full(len(time), np.nan) for _ in range(3))
        at = np.searchsorted(time, log.utc)
        place[at], speed[at] = self._places, log.speed
        sigma[at] = np.maximum(self.sigma * WHITE, LEAST)
        course[at] = np.radians(log.course) + self.plane.convergence(log.latitude, log.longitude)
        with np.errstate(invalid="ignore"):
            course = np.where(speed > 1.5, course, np.nan)
            course_sigma = np.hypot(COURSE_SIGMA, SPEED_SIGMA / np.maximum(speed, 0.5))
        turn = clockwise(log, time, course)
        return Measured(
            time=time - self.start,
            place=place,
            place_sigma=sigma,
            speed=speed,
            speed_sigma=np.full(len(time), SPEED_SIGMA),
            course=course,
            course_sigma=course_sigma,
            turn=turn,
            turn_sigma=TURN_SIGMA,
            common=float(np.median(self.sigma)),
            correlation_s=correlation_s,
        )

    def _profile(self, measured: Measured, correlation_s: float) -> Profile:
        way = np.interp(self.log.utc - self.start, measured.time, self._way)
        common = float(np.median(self.sigma)) * WORSE
        speed = max(self.length / max(self.end - self.start, 1.0), 1.0)
        return profile(way, self.log.height, max(common * 0.3, 0.1), common, speed * correlation_s)

    def states(self, utc: ArrayLike) -> States:
        """Poses in the plane, for (N,) times; beyond the ends it is where it was there, with less and less certainty."""
        times = np.atleast_1d(np.asarray(utc, np.float64)) - self.start
        node, given = self.smoothed.time, self.smoothed
        after = np.searchsorted(node, times).clip(1, len(node) - 1)
        gap = node[after] - node[after - 1]
        part = ((times - node[after - 1]) / gap).clip(0, 1)
        before, then = given.state[after - 1], given.state[after]
        mixed = before + part[:, None] * (then - before)
        # Places by the cubic that also has the right speeds at both ends (Hermite).
        for column, turned in ((X, np.sin), (Y, np.cos)):
            slope_before = before[:, SPEED] * turned(before[:, HEADING]) * gap
            slope_then = then[:, SPEED] * turned(then[:, HEADING]) * gap
            mixed[:, column] = (
                (2 * part**3 - 3 * part**2 + 1) * before[:, column]
                + (part**3 - 2 * part**2 + part) * slope_before
                + (3 * part**2 - 2 * part**3) * then[:, column]
                + (part**3 - part**2) * slope_then
            )
        kept = [X, Y, HEADING, SPEED]
        square = np.ix_(range(len(node)), kept, kept)
        covariance = given.covariance[square]
        covariance = covariance[after - 1] + part[:, None, None] * (covariance[after] - covariance[after - 1])
        beyond = np.maximum(np.maximum(-times, times - node[-1]), 0)
        covariance[:, [0, 1], [0, 1]] += (15.0 * beyond[:, None]) ** 2
        way = np.interp(times, node, self._way)
        height, grade, height_sigma, grade_sigma = self.profile.at(way)
        return States(
            np.column_stack([mixed[:, [X, Y]], height]),
            mixed[:, HEADING],
            mixed[:, SPEED],
            mixed[:, TURN],
            grade,
            way,
            covariance,
            height_sigma,
            grade_sigma,
        )

    def _moved(self, utc: Floats) -> tuple[Floats, Floats]:
        states = self.states(utc)
        return states.heading, states.speed

    def pose(self, utc_s: ArrayLike) -> TrackPose:
        """Position of the antenna and heading of the vehicle at one time or at many.

        Parameters
        ----------
        utc_s : float or (N,) array
            Seconds since 1970, UTC.

        Returns
        -------
        TrackPose
            Its arrays have no leading axis for a single time.

        Raises
        ------
        ArgumentError
            A time is more than two seconds before or after the track.
        """
        times = np.asarray(utc_s, np.float64)
        if times.size and not (times.min() >= self.start - 2 and times.max() <= self.end + 2):
            raise ArgumentError(
                f"the track is from {clocks.text(self.start)} to {clocks.text(self.end)}; "
                f"got {clocks.text(float(times.min()))} to {clocks.text(float(times.max()))}"
            )
        states = self.states(times)
        degrees = self.plane.to_degrees(states.place[:, :2])
        turned = self.plane.convergence(degrees[:, 0], degrees[:, 1])
        covariance = np.zeros((len(states.heading), 4, 4))
        covariance[:, :2, :2] = states.covariance[:, :2, :2]
        covariance[:, :2, 3] = covariance[:, 3, :2] = np.degrees(states.covariance[:, :2, 2])
        covariance[:, 2, 2] = states.height_sigma**2
        covariance[:, 3, 3] = np.degrees(np.degrees(states.covariance[:, 2, 2]))
        height = np.where(np.isfinite(states.height_sigma), states.place[:, 2], np.nan)
        position = np.column_stack([degrees, height])
        heading = np.degrees(states.heading - turned) % 360
        if times.ndim == 0:
            return TrackPose(position[0], heading[0], covariance[0], states.speed[0])
        return TrackPose(position, heading, covariance, states.speed)
