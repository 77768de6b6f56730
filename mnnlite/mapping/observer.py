"""Observations of what the road pack's networks find frame by frame: one for each element of the road."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from mnnlite.mapping.measurement import measure, visible
from mnnlite.mapping.polyline_tracker import AreaTracker, PolylineTrack, PolylineTracker
from mnnlite.mapping.tracker import ObjectTrack, Tracker

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from mnnlite import results
    from mnnlite.mapping.pinhole import PinholeCamera
    from mnnlite.mapping.tracker import Pose

    Floats = NDArray[np.float64]

__all__ = ["Element", "Found", "Observer"]

FRAME = "local: metres, x to the right and y forward of the vehicle at the first frame, z up from the road"
MOVING = ("vehicle",)
NO_SIGN = "other"  # what the classifier calls a sign that only looks like one
MIN_CONFIDENCE = 0.25  # of an observation: its mean score over the frames in which it should have been seen


class Found(NamedTuple):
    """What the networks found in one frame.

    Parameters
    ----------
    objects : Detections
    labels, texts : dict of int to (str, float)
        By row of `objects`, for some rows: which sign it is, and the text on it, each with a score.
    lanes : Polylines
    areas : Polygons
        The areas that can be driven on.
    surface : (str, float) or None
        The state of the road and its score, if a task classified it in this frame.
    """

    objects: results.Detections
    labels: Mapping[int, tuple[str, float]]
    texts: Mapping[int, tuple[str, float]]
    lanes: results.Polylines
    areas: results.Polygons
    surface: tuple[str, float] | None = None


@dataclass(frozen=True)
class Element:
    """One object or line in one frame.

    Parameters
    ----------
    kind : str
        The detector's class, or ``"lane"`` or ``"area"``.
    label, text : str
    score : float
    box : (x1, y1, x2, y2)
        Pixels of the frame.
    points : (P, 2) float32
        Points of a line or an area, in pixels of the frame; empty for objects.
    place : (P, 2 or 3) float64
        Metres from the vehicle: x to the right, y forward, z up. An object has one row. Empty if the place is not known.
    observation : int
        Number of the observation that it belongs to; 0 if there is none yet.
    """

    kind: str
    label: str
    text: str
    score: float
    box: tuple[float, float, float, float]
    points: NDArray[np.float32] = field(default_factory=lambda: np.empty((0, 2), np.float32))
    place: Floats = field(default_factory=lambda: np.empty((0, 3)))
    observation: int = 0

    def to_json(self) -> dict[str, Any]:
        """Plain data: boxes and points in pixels, ``metres`` from the vehicle."""
        entry: dict[str, Any] = {"element": self.kind}
        entry |= {key: value for key, value in (("label", self.label), ("text", self.text)) if value}
        entry |= {"confidence": round(self.score, 3), "box": [round(value, 1) for value in self.box]}
        if len(self.points):
            entry["polyline"] = np.round(self.points.astype(np.float64), 1).tolist()
        if len(self.place):
            metres = np.round(self.place, 2).tolist()
            entry["metres"] = metres[0] if not len(self.points) else metres
        if self.observation:
            entry["observation"] = self.observation
        return entry


class Observer:
    """Follows objects, lines and areas over frames and makes observations of them.

    Parameters
    ----------
    camera : PinholeCamera
        The camera that took the frames.
    """

    def __init__(self, camera: PinholeCamera) -> None:
        self.camera = camera
        self._objects, self._lanes, self._area = Tracker(moving=MOVING), PolylineTracker(), AreaTracker()
        self._surfaces: Counter[str] = Counter()
        self._area_scores: list[float] = []

    def update(self, found: Found, pose: Pose, time_s: float) -> list[Element]:
        """Add what was found in a frame.

        Parameters
        ----------
        found : Found
        pose : Pose
            Pose of the vehicle when the frame was taken.
        time_s : float
            Time of the frame, in seconds.

        Returns
        -------
        list of Element
            All that was found, with places in metres, and for objects the observation that each belongs to.
        """
        elements = self._update_objects(found, pose, time_s)
        metres = found.lanes.to_ground(self.camera.image_to_ground)
        scores = [float(score) for score in found.lanes.scores]
        self._lanes.update(metres, found.lanes.labels, scores, pose, time_s)
        for row, place in zip(found.lanes, metres, strict=True):
            box = tuple(float(each) for each in (*row.points.min(axis=0), *row.points.max(axis=0)))
            elements.append(Element("lane", row.label, "", row.score, box, row.points, place))  # type: ignore[arg-type]
        return elements + self._update_area(found, pose, time_s)

    def _update_objects(self, found: Found, pose: Pose, time_s: float) -> list[Element]:
        elements, placed, measurements = [], [], []
        for index, row in enumerate(found.objects):
            label, text = found.labels.get(index, ("", 0.0))[0], found.texts.get(index, ("", 0.0))[0]
            seen = measure(self.camera, row.label, row.box, row.score, label, text)
            elements.append(Element(row.label, label, text, row.score, row.box))
            if seen is not None:
                placed.append(index)
                measurements.append(seen)
        tracks = self._objects.update(measurements, pose, time_s, lambda places: visible(self.camera, places))
        for index, seen, track in zip(placed, measurements, tracks, strict=True):
            old = elements[index]
            number = 0 if track is None else track.id
            elements[index] = Element(
                old.kind, old.label, old.text, old.score, old.box, place=seen.place[None], observation=number
            )
        return elements

    def _update_area(self, found: Found, pose: Pose, time_s: float) -> list[Element]:
        outer = found.areas[found.areas.parents < 0]
        # What reaches up to the horizon lies infinitely far away.
        metres = [_below(points, self.camera.horizon + 4) for points in outer.points]
        grounds = [self.camera.ground_of(points) for points in metres]
        view = self.camera.width / 2 / self.camera.focal
        self._area.update([ground for ground in grounds if len(ground) > 2], pose, time_s, view)
        if found.surface is not None:
            self._surfaces[found.surface[0]] += found.surface[1]  # type: ignore[assignment]
        self._area_scores += [float(score) for score in outer.scores[:1]]
        surface = "" if found.surface is None else found.surface[0]
        return [
            Element("area", surface, "", row.score, tuple(box.tolist()), row.points, place)
            for row, box, place in zip(outer, outer.boxes_xyxy, grounds, strict=True)
        ]

    def features(self, everything: bool = False) -> list[dict[str, Any]]:
        """Take out the observations that have become complete since the last call.

        Parameters
        ----------
        everything : bool
            Whether the drive is over, so that all observations are complete.

        Returns
        -------
        list of dict
            GeoJSON-shaped features. Their coordinates are metres in the local frame, not degrees, as
            ``properties.reference`` says. Objects are Points and lines are LineStrings. At the end of the drive, the area
            that can be driven on is a Polygon.
        """
        features = [
            _of_object(track)
            for track in self._objects.ended(everything)
            if track.confidence >= MIN_CONFIDENCE and track.label != NO_SIGN
        ]
        features += [_of_line(track) for track in self._lanes.ended(everything) if len(track.points) >= 3]
        if everything and len(self._area.ring) >= 3:
            features.append(self._of_area())
        return features

    def _of_area(self) -> dict[str, Any]:
        ring = np.round(self._area.ring, 2).tolist()
        surface = max(self._surfaces, key=lambda each: self._surfaces[each]) if self._surfaces else ""
        return _feature(
            {"type": "Polygon", "coordinates": [[*ring, ring[0]]]},
            element="area",
            label=surface,
            confidence=float(np.mean(self._area_scores)) if self._area_scores else 0.0,
            times=(self._area.left.first_s, self._area.left.last_s),
            frames=self._area.frames,
        )


def _below(points: NDArray[np.float32], row: float) -> Floats:
    """The part of a polygon below a row of the picture (Sutherland and Hodgman 1974, one edge)."""
    kept: list[Floats] = []
    for start, end in zip(points.astype(np.float64), np.roll(points, -1, axis=0).astype(np.float64), strict=True):
        if start[1] >= row:
            kept.append(start)
        if (start[1] >= row) != (end[1] >= row):
            kept.append(start + (end - start) * (row - start[1]) / (end[1] - start[1]))
    return np.array(kept).reshape(-1, 2)


def _feature(
    geometry: dict[str, Any],
    *,
    element: str,
    label: str,
    confidence: float,
    times: Sequence[float],
    frames: int,
    **more: Any,
) -> dict[str, Any]:
    properties = {
        "element": element,
        "label": label,
        "confidence": round(confidence, 3),
        "first_seen_s": round(times[0], 3),
        "captured_s": round(times[1], 3),
        "frames_seen": frames,
        "reference": FRAME,
    }
    return {"type": "Feature", "geometry": geometry, "properties": {**properties, **more}}


def _of_object(track: ObjectTrack) -> dict[str, Any]:
    more: dict[str, Any] = {"text": track.text, "deviation_m": round(track.deviation, 2), "observation": track.id}
    if track.moves:
        more["velocity_mps"] = np.round(track.velocity, 2).tolist()
    return _feature(
        {"type": "Point", "coordinates": np.round(track.place, 2).tolist()},
        element=track.kind,
        label=track.label,
        confidence=track.confidence,
        times=(track.first_s, track.last_s),
        frames=track.hits,
        **more,
    )


def _of_line(track: PolylineTrack) -> dict[str, Any]:
    length = float(np.linalg.norm(np.diff(track.points, axis=0), axis=1).sum()) if len(track.points) > 1 else math.nan
    return _feature(
        {"type": "LineString", "coordinates": np.round(track.points, 2).tolist()},
        element="lane",
        label=track.label,
        confidence=track.confidence,
        times=(track.first_s, track.last_s),
        frames=track.hits,
        length_m=round(length, 1),
    )
