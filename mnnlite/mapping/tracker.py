"""Tracks objects over many frames, so that the same object becomes one observation.

The tracker follows an object in a *local* frame that does not move: metres, x to the right and y forward of the vehicle where it
was at the first frame, z upwards from the road. The caller gives the vehicle's `Pose` (from odometry or GNSS). Each measurement
has a place in the vehicle's frame and a covariance. A camera measures well across the line of sight and badly along it, and near
objects better than far ones. A Kalman filter (Kalman 1960) weighs the measurements by their covariance, so the nearest frames
decide.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mnnlite.mapping.triangulation import triangulate

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["Bearing", "Pose", "Measurement", "ObjectTrack", "Tracker"]

# All but one in a million of a chi-square distribution with three degrees of freedom: what is further off is another.
GATE = 30.66
ACCELERATION = 3.0  # metres per second squared: what moves may do between frames
SPEED = 15.0  # metres per second: what may be expected of something that moves, before it was seen twice


class Pose(NamedTuple):
    """Place of the vehicle in the local frame in metres, and its heading in radians to the right."""

    x: float = 0.0
    y: float = 0.0
    heading: float = 0.0

    @property
    def rotation(self) -> Floats:
        """(2, 2): direction in the vehicle's frame -> direction in the local frame."""
        c, s = math.cos(self.heading), math.sin(self.heading)
        return np.array([[c, s], [-s, c]])

    def to_local(self, points: Floats) -> Floats:
        """(N, 2 or 3) places in the vehicle's frame -> in the local frame."""
        moved = np.array(points, np.float64)
        moved[:, :2] = moved[:, :2] @ self.rotation.T + (self.x, self.y)
        return moved

    def to_vehicle(self, points: Floats) -> Floats:
        """(N, 2 or 3) places in the local frame -> in the vehicle's frame."""
        moved = np.array(points, np.float64)
        moved[:, :2] = (moved[:, :2] - (self.x, self.y)) @ self.rotation
        return moved


class Bearing(NamedTuple):
    """A line of sight: (3,) origin in metres, (3,) unit vector, deviation in radians, and range in metres from the size."""

    origin: Floats
    ray: Floats
    sigma: float
    range: float


@dataclass(frozen=True)
class Measurement:
    """One element in one frame.

    Parameters
    ----------
    kind : str
        Class of the element. Measurements of different kinds are never of the same object.
    place : (3,) float64
        x to the right, y forward, z upwards, in metres from the vehicle.
    covariance : (3, 3) float64
        Covariance of the place, in metres squared.
    score : float in [0, 1]
    label, text : str
        Which element of that class it is, and the text on it; "" if that is not known. The track takes a vote.
    bearing : Bearing, optional
        The line of sight, for objects whose range follows only from their size. `triangulate` places their tracks.
    """

    kind: str
    place: Floats
    covariance: Floats
    score: float
    label: str = ""
    text: str = ""
    bearing: Bearing | None = None


@dataclass
class ObjectTrack:
    """An object that the tracker follows or has followed.

    Parameters
    ----------
    id : int
        A number that counts from 1, in the order of first measurements.
    kind : str
    moves : bool
        Whether it may move.
    state : (5,) float64
        x, y, z in metres and velocity along x and y in metres per second, in the local frame.
    covariance : (5, 5) float64
    first_s, last_s : float
        Times of the first and last measurement, in seconds.
    hits : int
        Number of frames in which it was seen.
    missed : int
        Number of frames between its measurements in which it should have been seen and was not.
    """

    id: int
    kind: str
    moves: bool
    state: Floats
    covariance: Floats
    first_s: float
    last_s: float
    hits: int = 0
    missed: int = 0
    confirmed: bool = False
    unseen: int = 0  # frames since the last measurement
    visible_unseen: int = 0  # those of them in which it was in view
    labels: Counter[str] = field(default_factory=Counter)
    texts: Counter[str] = field(default_factory=Counter)
    scores: float = 0.0
    bearings: list[Bearing] = field(default_factory=list, repr=False)  # in the local frame

    @property
    def place(self) -> Floats:
        """(3,) x, y, z in metres, in the local frame; the filter's estimate until `finalize`."""
        return self.state[:3]

    def finalize(self) -> None:
        """Place an ended track by all of its bearings, if it has any."""
        if not self.bearings:
            return
        origins, rays, sigmas, ranges = (np.array(column) for column in zip(*self.bearings, strict=True))
        self.state[:3], self.covariance[:3, :3] = triangulate(origins, rays, sigmas, ranges)

    @property
    def velocity(self) -> Floats:
        """(2,) metres per second, in the local frame."""
        return self.state[3:]

    @property
    def deviation(self) -> float:
        """Standard deviation of the place on the ground, in metres: the larger half axis of its ellipse."""
        return math.sqrt(max(float(np.linalg.eigvalsh(self.covariance[:2, :2])[-1]), 0.0))

    @property
    def confidence(self) -> float:
        """Mean score over the frames in which it should have been seen; a frame in which it was missed counts as 0."""
        return self.scores / max(self.hits + self.missed, 1)

    @property
    def label(self) -> str:
        """The label with the most votes; a vote weighs score / distance."""
        return _winner(self.labels)

    @property
    def text(self) -> str:
        """The text with the most votes."""
        return _winner(self.texts)

    def predict(self, seconds: float) -> None:
        """Predict the state some seconds later."""
        if not self.moves or seconds <= 0:
            return
        step = np.eye(5)
        step[0, 3] = step[1, 4] = seconds
        push = np.zeros((5, 2))
        push[[0, 1], [0, 1]] = seconds * seconds / 2
        push[[3, 4], [0, 1]] = seconds
        self.state = step @ self.state
        self.covariance = step @ self.covariance @ step.T + push @ push.T * ACCELERATION**2

    def distance(self, place: Floats, covariance: Floats) -> tuple[float, float]:
        """Squared Mahalanobis distance of a measurement in the local frame, and its negative log-likelihood (doubled)."""
        off, together = place - self.state[:3], self.covariance[:3, :3] + covariance
        squared = float(off @ np.linalg.solve(together, off))
        return squared, squared + float(np.linalg.slogdet(together)[1])

    def take(self, measurement: Measurement, place: Floats, covariance: Floats, time_s: float) -> None:
        """Add a measurement, whose place and covariance are in the local frame."""
        gain = np.linalg.solve(self.covariance[:3, :3] + covariance, self.covariance[:3]).T
        self.state = self.state + gain @ (place - self.state[:3])
        left = np.eye(5)
        left[:, :3] -= gain
        self.covariance = (
            left @ self.covariance @ left.T + gain @ covariance @ gain.T
        )  # stays symmetric (Joseph's form)
        self.count(measurement, time_s)

    def keep(self, bearing: Bearing, pose: Pose) -> None:
        """Keep a line of sight that is in the vehicle's frame."""
        (origin,) = pose.to_local(bearing.origin[None])
        ray = np.concatenate([pose.rotation @ bearing.ray[:2], bearing.ray[2:]])
        self.bearings.append(Bearing(origin, ray, bearing.sigma, bearing.range))

    def count(self, measurement: Measurement, time_s: float) -> None:
        """Count a measurement and its votes."""
        self.last_s = time_s
        self.hits += 1
        self.missed += self.visible_unseen
        self.unseen = self.visible_unseen = 0
        self.scores += measurement.score
        weight = measurement.score / max(float(np.linalg.norm(measurement.place)), 1.0)
        if measurement.label:
            self.labels[measurement.label] += weight  # type: ignore[assignment]
        if measurement.text:
            self.texts[measurement.text] += weight  # type: ignore[assignment]


def _winner(votes: Counter[str]) -> str:
    return max(votes, key=lambda each: votes[each]) if votes else ""


class Tracker:
    """Follows objects over frames.

    Parameters
    ----------
    moving : collection of str
        Kinds of objects that may move. All others stand still.
    confirm : int
        Measurements that confirm a track. Until then the track ends with the second frame in a row without one.
    end : int
        Frames in a row without a measurement after which a confirmed track ends.

    Notes
    -----
    The tracker assigns measurements to tracks of their kind, the likeliest pair first, by the predicted place and both
    covariances. A measurement that noise explains only once in a million begins a new track. Use it from one thread.
    """

    def __init__(self, moving: Sequence[str] = (), confirm: int = 3, end: int = 12) -> None:
        self._moving = frozenset(moving)
        self._confirm, self._end = confirm, end
        self._time_s: float | None = None
        self._made = 0
        self.tracks: list[ObjectTrack] = []

    def update(
        self,
        measurements: Sequence[Measurement],
        pose: Pose,
        time_s: float,
        visible: Callable[[Floats], NDArray[np.bool_]] | None = None,
    ) -> list[ObjectTrack | None]:
        """Add the measurements of a frame.

        Parameters
        ----------
        measurements : sequence of Measurement
        pose : Pose
        time_s : float
            Time of the frame in seconds; it must not decrease.
        visible : callable, optional
            (N, 3) places in the vehicle's frame -> (N,) bool: whether an object there would be in the picture. A track
            outside of the picture does not count as missed.

        Returns
        -------
        list of ObjectTrack or None
            For each measurement the confirmed track that it belongs to.
        """
        passed = 0.0 if self._time_s is None else time_s - self._time_s
        self._time_s = time_s
        rotation = np.eye(3)
        rotation[:2, :2] = pose.rotation
        places = pose.to_local(np.array([each.place for each in measurements]).reshape(-1, 3))
        covariances = [rotation @ each.covariance @ rotation.T for each in measurements]
        for track in self.tracks:
            track.predict(passed)
            track.unseen += 1
        owners = self._assign(measurements, places, covariances)
        for index, (measurement, owner) in enumerate(zip(measurements, owners, strict=True)):
            if owner is None:
                owner = owners[index] = self._begin(measurement, places[index], covariances[index], time_s)
            else:
                owner.take(measurement, places[index], covariances[index], time_s)
            if measurement.bearing is not None:
                owner.keep(measurement.bearing, pose)
        self._note_misses(pose, visible)
        for track in self.tracks:
            track.confirmed = track.confirmed or track.hits >= self._confirm
        return [track if track is not None and track.confirmed else None for track in owners]

    def _note_misses(self, pose: Pose, visible: Callable[[Floats], NDArray[np.bool_]] | None) -> None:
        absent = [track for track in self.tracks if track.unseen]
        if not absent:
            return
        places = pose.to_vehicle(np.array([track.place for track in absent]))
        seen = np.ones(len(places), bool) if visible is None else visible(places)
        for track, is_visible in zip(absent, seen, strict=True):
            track.visible_unseen += bool(is_visible)

    def _assign(
        self, measurements: Sequence[Measurement], places: Floats, covariances: Sequence[Floats]
    ) -> list[ObjectTrack | None]:
        pairs = []
        for number, track in enumerate(self.tracks):
            for index, measurement in enumerate(measurements):
                if track.kind == measurement.kind:
                    squared, unlikely = track.distance(places[index], covariances[index])
                    if squared <= GATE:
                        pairs.append((unlikely, number, index))
        owners: list[ObjectTrack | None] = [None] * len(measurements)
        taken: set[int] = set()
        for _, number, index in sorted(pairs):
            if owners[index] is None and number not in taken:
                owners[index] = self.tracks[number]
                taken.add(number)
        return owners

    def _begin(self, measurement: Measurement, place: Floats, covariance: Floats, time_s: float) -> ObjectTrack:
        self._made += 1
        moves = measurement.kind in self._moving
        spread = np.zeros((5, 5))
        spread[:3, :3] = covariance
        spread[3, 3] = spread[4, 4] = SPEED**2 if moves else 0.0  # no doubt about 0: what stands never moves
        state = np.concatenate([place, np.zeros(2)])
        track = ObjectTrack(self._made, measurement.kind, moves, state, spread, time_s, time_s)
        track.count(measurement, time_s)
        self.tracks.append(track)
        return track

    def ended(self, everything: bool = False) -> list[ObjectTrack]:
        """Take out the confirmed tracks that have ended since the last call, in the order of their first measurements.

        Parameters
        ----------
        everything : bool
            Whether the drive is over, so that all tracks have ended.
        """
        over = [track for track in self.tracks if everything or track.unseen >= (self._end if track.confirmed else 2)]
        gone = {id(track) for track in over}
        self.tracks = [track for track in self.tracks if id(track) not in gone]
        found = [track for track in over if track.confirmed]
        for track in found:
            track.finalize()
        return found
