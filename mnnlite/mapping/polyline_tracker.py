"""Tracks lines and the road's area over many frames: one observation each, as a polyline in the local frame.

The points of a line are binned by station, which is metres along the vehicle's path and beyond it. The places of all frames'
points in a bin are averaged in the local frame. Near points weigh more, because a pixel at twice the distance covers four times
the ground.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from mnnlite.mapping.tracker import Pose

    Floats = NDArray[np.float64]

__all__ = ["AreaTracker", "PolylineTrack", "PolylineTracker", "Odometer"]

SPACING = 1.0  # metres between the stations of a line
NEAR, FAR = 3.0, 30.0  # metres ahead between which points are taken: nearer is out of view, further is guesswork
CONTINUED = 15  # stations that a line may be missing and go on
END = 1.5  # metres: so close to the ends of an area its outline runs across, not along
APART = 0.6  # metres: what lies further apart is two lines


class Odometer:
    """Counts the metres driven."""

    def __init__(self) -> None:
        self.metres = 0.0
        self._last: tuple[float, float] | None = None

    def update(self, pose: Pose) -> float:
        """Add a pose; returns the station of the vehicle."""
        if self._last is not None:
            self.metres += math.hypot(pose.x - self._last[0], pose.y - self._last[1])
        self._last = pose.x, pose.y
        return self.metres


def resample(points: Floats) -> Floats:
    """Points every `SPACING` metres forward along a polyline in the vehicle's frame, between `NEAR` and `FAR`.

    Parameters
    ----------
    points : (P, 2) array
        x to the right, y forward, in metres. Points that are not finite or behind the vehicle are left out.

    Returns
    -------
    (K, 2) float64
        The points, by growing y.
    """
    kept = points[np.isfinite(points).all(axis=1)]
    kept = kept[kept[:, 1] > 0]
    if len(kept) < 2:
        return np.empty((0, 2))
    kept = kept[np.argsort(kept[:, 1], kind="stable")]
    first, last = max(NEAR, kept[0, 1]), min(FAR, kept[-1, 1])
    ahead = np.arange(math.ceil(first / SPACING), math.floor(last / SPACING) + 1) * SPACING
    return np.column_stack([np.interp(ahead, kept[:, 1], kept[:, 0]), ahead])


# What is seen of a line in a frame: stations, places in the local frame, weights, label, score.
_Seen: TypeAlias = "tuple[NDArray[np.int64], Floats, Floats, str, float]"


class Course:
    """Weighted means of places in the local frame, by station."""

    def __init__(self) -> None:
        self._first = 0  # station of the first of the arrays
        self._weights = np.zeros(0)
        self._places = np.zeros((0, 2))

    @property
    def stations(self) -> NDArray[np.int64]:
        """The stations that have a place, in units of `SPACING` along the path."""
        return np.flatnonzero(self._weights) + self._first

    @property
    def points(self) -> Floats:
        """(P, 2) places, in the direction of travel."""
        return self._places[self._weights > 0]

    def add(self, stations: NDArray[np.int64], places: Floats, weights: Floats) -> None:
        """Add places; each station at most once, in growing order."""
        if not len(stations):
            return
        self._reach(int(stations[0]), int(stations[-1]))
        at = stations - self._first
        self._weights[at] += weights
        part = (weights / self._weights[at])[:, None]
        self._places[at] += part * (places - self._places[at])

    def _reach(self, low: int, high: int) -> None:
        if not len(self._weights):
            self._first = low
        size = len(self._weights)
        before = max(0, self._first - low)
        # At the end it grows by half, so that a line over the whole drive is not copied for each frame.
        after = 0 if high < self._first + size else max(high + 1 - self._first - size, 64, size // 2)
        if before or after:
            self._weights = np.pad(self._weights, (before, after))
            self._places = np.pad(self._places, ((before, after), (0, 0)))
            self._first -= before

    def common(self, stations: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which of these stations have a place here."""
        at = stations - self._first
        inside: NDArray[np.bool_] = (at >= 0) & (at < len(self._weights))
        inside[inside] = self._weights[at[inside]] > 0
        return inside

    def at(self, stations: NDArray[np.int64]) -> tuple[Floats, Floats]:
        """Places and weights at stations that have a place."""
        return self._places[stations - self._first], self._weights[stations - self._first]


@dataclass(eq=False)
class PolylineTrack:
    """A line that the tracker follows or has followed.

    Parameters
    ----------
    id : int
        A number that counts from 1.
    first_s, last_s : float
        Times of the first and last measurement, in seconds.
    scores : dict of float to float
        By the time of each frame in which it was seen: the best score of its pieces.
    course : Course
        Its places by station.
    """

    id: int
    first_s: float
    last_s: float
    unseen: int = 0
    scores: dict[float, float] = field(default_factory=dict, repr=False)
    labels: Counter[str] = field(default_factory=Counter)
    course: Course = field(default_factory=Course, repr=False)

    @property
    def points(self) -> Floats:
        """(P, 2) places in the local frame, in metres, in the direction of travel."""
        return self.course.points

    @property
    def label(self) -> str:
        """The label with the most votes; a vote weighs length of line * score."""
        return max(self.labels, key=lambda each: self.labels[each]) if self.labels else ""

    @property
    def confidence(self) -> float:
        """Mean score over the frames in which it was seen."""
        return sum(self.scores.values()) / max(self.hits, 1)

    @property
    def hits(self) -> int:
        """Number of frames in which it was seen."""
        return len(self.scores)

    def offset(self, stations: NDArray[np.int64], places: Floats, weights: Floats, across: Floats) -> float:
        """Mean distance in metres, across the path, at common stations; infinite if there are fewer than three."""
        common = self.course.common(stations)
        if np.count_nonzero(common) < 3:
            return math.inf
        off = np.abs((places[common] - self.course.at(stations[common])[0]) @ across)
        return float(np.average(off, weights=np.sqrt(weights[common])))

    def gap(self, stations: NDArray[np.int64], places: Floats, across: Floats) -> float:
        """Distance across the path from this line's end, continued straight, to the start of a later piece."""
        own = self.course.stations[-6:]
        if len(own) < 3 or not 0 < stations[0] - own[-1] <= CONTINUED:
            return math.inf
        slope = np.polyfit(own, self.course.at(own)[0], 1)
        return abs(float((places[0] - (slope[0] * stations[0] + slope[1])) @ across))

    def is_one_with(self, other: PolylineTrack, across: Floats) -> bool:
        """Whether two tracks that the same measurement fits are one line, which was first seen in pieces."""
        stations = other.course.stations
        common = stations[self.course.common(stations)]
        if not len(common):
            return True
        off = np.abs((self.course.at(common)[0] - other.course.at(common)[0]) @ across)
        return float(off.mean()) <= APART / 2

    def absorb(self, other: PolylineTrack) -> None:
        """Add another track's measurements to this one's."""
        stations = other.course.stations
        self.course.add(stations, *other.course.at(stations))
        self.first_s, self.last_s = min(self.first_s, other.first_s), max(self.last_s, other.last_s)
        for time_s, score in other.scores.items():
            self.scores[time_s] = max(score, self.scores.get(time_s, 0.0))
        self.labels += other.labels

    def take(self, stations: NDArray[np.int64], places: Floats, weights: Floats, time_s: float) -> None:
        """Add points."""
        self.course.add(stations, places, weights)
        self.last_s = time_s
        self.unseen = 0


class PolylineTracker:
    """Follows lines over frames.

    Parameters
    ----------
    confirm : int
        Frames with a measurement that confirm a track.
    end : int
        Frames in a row without a measurement after which a track ends.
    """

    def __init__(self, confirm: int = 3, end: int = 12) -> None:
        self._confirm, self._end = confirm, end
        self._odometer = Odometer()
        self._made = 0
        self.tracks: list[PolylineTrack] = []

    def update(
        self, lines: Sequence[Floats], labels: Sequence[str], scores: Sequence[float], pose: Pose, time_s: float
    ) -> None:
        """Add the lines of a frame.

        Parameters
        ----------
        lines : sequence of (P, 2) arrays
            Points in metres in the vehicle's frame, x to the right and y forward.
        labels, scores
            The label and the score of each line.
        pose : Pose
        time_s : float
        """
        station = self._odometer.update(pose)
        across = pose.rotation[:, 0]
        for track in self.tracks:
            track.unseen += 1
        seen: list[_Seen] = []
        for line, label, score in zip(lines, labels, scores, strict=True):
            points = resample(np.asarray(line, np.float64))
            if len(points) >= 3:
                stations = np.round((station + points[:, 1]) / SPACING).astype(np.int64)
                seen.append((stations, pose.to_local(points), 1.0 / points[:, 1] ** 4, label, score))
        owners = self._assign(seen, across)
        for index, (stations, places, weights, label, score) in enumerate(seen):
            track = owners.get(index) or self._begin(time_s)
            track.take(stations, places, weights, time_s)
            track.labels[label] += len(stations) * score  # type: ignore[assignment]
            track.scores[time_s] = max(score, track.scores.get(time_s, 0.0))

    def _assign(self, seen: Sequence[_Seen], across: Floats) -> dict[int, PolylineTrack]:
        """The track of each measurement that has one, the nearest pairs first."""
        pairs = sorted(
            (min(track.offset(*one[:3], across), track.gap(*one[:2], across)), number, index)
            for number, track in enumerate(self.tracks)
            for index, one in enumerate(seen)
        )
        tracks = list(self.tracks)
        owners: dict[int, PolylineTrack] = {}
        claimed: dict[int, set[int]] = {}  # pieces of a broken line are of one track, lines side by side are not
        for distance, number, index in pairs:
            track, stations = tracks[number], set(seen[index][0].tolist())
            if distance > APART:
                break
            owner = owners.get(index)
            if owner is None:
                mine = claimed.setdefault(track.id, set())
                if track in self.tracks and len(mine & stations) < 3:
                    owners[index] = track
                    mine |= stations
            elif (
                track is not owner
                and track in self.tracks
                and track.id not in claimed
                and owner.is_one_with(track, across)
            ):
                owner.absorb(track)
                self.tracks.remove(track)
        return owners

    def _begin(self, time_s: float) -> PolylineTrack:
        self._made += 1
        self.tracks.append(PolylineTrack(self._made, time_s, time_s))
        return self.tracks[-1]

    def ended(self, everything: bool = False) -> list[PolylineTrack]:
        """Take out the confirmed tracks that have ended; see `Tracker.ended`."""
        over = [track for track in self.tracks if everything or track.unseen >= self._end]
        self.tracks = [track for track in self.tracks if all(track is not each for each in over)]
        return [track for track in over if track.hits >= self._confirm]


class AreaTracker:
    """Tracks the area that can be driven on, by its left and right edge at each station."""

    def __init__(self) -> None:
        self._odometer = Odometer()
        self.left, self.right = PolylineTrack(1, math.inf, 0.0), PolylineTrack(2, math.inf, 0.0)
        self.frames = 0

    def update(self, polygons: Sequence[Floats], pose: Pose, time_s: float, view: float = math.inf) -> None:
        """Add the outlines of a frame.

        Parameters
        ----------
        polygons : sequence of (P, 2) arrays
            Points in metres in the vehicle's frame.
        pose : Pose
        time_s : float
        view : float
            Tangent of half the camera's horizontal field of view. An outline that ends there ends at the edge of the picture,
            not of the road.
        """
        station = self._odometer.update(pose)
        ahead = SPACING * np.arange(math.ceil(NEAR / SPACING), math.floor(FAR / SPACING) + 1, dtype=np.float64)
        edges = [_extent(np.asarray(polygon, np.float64), ahead) for polygon in polygons]
        if not edges:
            return
        low = np.min([left for left, _ in edges], axis=0)
        high = np.max([right for _, right in edges], axis=0)
        self.frames += 1
        for track, x in ((self.left, low), (self.right, high)):
            known = np.abs(x) < 0.95 * view * ahead if math.isfinite(view) else np.isfinite(x)
            stations = np.round((station + ahead[known]) / SPACING).astype(np.int64)
            track.first_s = min(track.first_s, time_s)
            track.take(stations, pose.to_local(np.column_stack([x, ahead])[known]), 1.0 / ahead[known] ** 4, time_s)

    @property
    def ring(self) -> Floats:
        """(P, 2) outline in the local frame: the left edge forward, then the right edge back; (0, 2) if no area was seen."""
        return np.concatenate([self.left.points, self.right.points[::-1]])


def _extent(polygon: Floats, ahead: Floats) -> tuple[Floats, Floats]:
    """Least and largest x where a polygon crosses y = `ahead`; infinite where it does not, and close to its two ends."""
    start, end = polygon, np.roll(polygon, -1, axis=0)
    y1, y2 = start[:, 1, None], end[:, 1, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        part = (ahead - y1) / (y2 - y1)
        x = start[:, 0, None] + part * (end[:, 0, None] - start[:, 0, None])
    inside = (ahead > polygon[:, 1].min() + END) & (ahead < polygon[:, 1].max() - END)
    crosses = (part >= 0) & (part <= 1) & np.isfinite(x) & inside
    return np.where(crosses, x, np.inf).min(axis=0), np.where(crosses, x, -np.inf).max(axis=0)
