"""Lines and areas of a whole drive: places each frame's outlines on the road, and makes one element of what many frames show."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING

import numpy as np

from mnnlite.mapping.element import Element
from mnnlite.mapping.polyline_tracker import CONTINUED, FAR, AreaTracker, Course, PolylineTrack, PolylineTracker
from mnnlite.mapping.tracker import Pose
from mnnlite.mapping.views import rays_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from mnnlite.mapping.camera import Camera
    from mnnlite.mapping.measurements import Measurements, Outline
    from mnnlite.mapping.track import Track
    from mnnlite.mapping.views import Views

    Floats = NDArray[np.float64]

__all__ = ["elements_of"]

EVERY = 1.0  # metres driven between the frames that are used: stations of a line are as far apart
GONE = math.ceil((FAR + CONTINUED) / EVERY)  # frames after which no piece of a line ahead can go on with it
ASIDE = 0.15  # metres that a line's points are off across, besides the track
PIECE = 200  # points of a line or of an area's side in one element
SURE = 15.0  # metres: what of a line was never seen from nearer is not drawn
BEYOND = 40.0  # metres: an outline's points further ahead say nothing


def elements_of(given: Measurements, views: Views, camera: Camera, track: Track) -> list[Element]:
    """Make elements of all outlines.

    Parameters
    ----------
    given, views
    camera : Camera
        The camera with the mounting that the drive revealed.
    track : Track
    """
    if not given.outlines:
        return []
    lines: dict[int, PolylineTracker] = {}
    areas: dict[int, AreaTracker] = {}
    scores: dict[int, list[float]] = {}
    ended: dict[int, list[PolylineTrack]] = {}
    for frame, shown in _by_frame(given, views, camera):
        forward = views.turn[frame][1]
        pose = Pose(float(views.origin[frame, 0]), float(views.origin[frame, 1]), math.atan2(forward[0], forward[1]))
        time_s = float(views.utc[frame] - track.start)
        for rule in {each.rule for each, _ in shown}:
            shapes = [each for each, _ in shown if each.rule == rule]
            grounds = [_on_road(rays, camera) for each, rays in shown if each.rule == rule]
            if given.rules.elements[rule].shape == "line":
                tracker = lines.setdefault(rule, PolylineTracker(end=GONE))
                tracker.update(grounds, [each.label for each in shapes], [each.score for each in shapes], pose, time_s)
                ended.setdefault(rule, []).extend(tracker.ended())
            else:
                whole = [ground for ground in grounds if len(ground) > 2]
                areas.setdefault(rule, AreaTracker()).update(whole, pose, time_s, given.frame_size[0] / 2 / camera.fx)
                scores.setdefault(rule, []).extend(each.score for each in shapes[:1])
    found: list[Element] = []
    for rule, tracker in lines.items():
        kind = given.rules.elements[rule].kind
        for line in sorted(ended[rule] + tracker.ended(everything=True), key=lambda each: each.id):
            times = (line.first_s, line.last_s)
            found += [
                _element(kind, line.label, line.confidence, "line", points, line.hits, times, track)
                for points in _sure(line.course)
                if len(points) >= 3
            ]
    for rule, area in areas.items():
        kind, score = given.rules.elements[rule].kind, float(np.mean(scores[rule]))
        left, right = area.left, area.right
        both = np.intersect1d(left.course.stations, right.course.stations)
        for piece in _runs(both):
            ring = np.concatenate([left.course.at(piece)[0], right.course.at(piece)[0][::-1]])
            if len(piece) >= 3:
                found.append(_element(kind, "", score, "area", ring, area.frames, (left.first_s, left.last_s), track))
    return found


def _by_frame(given: Measurements, views: Views, camera: Camera) -> Iterator[tuple[int, list[tuple[Outline, Floats]]]]:
    """Frames that are `EVERY` metres apart, with their outlines and the directions of these."""
    frames, last = set(), -math.inf
    for frame in sorted({each.frame for each in given.outlines}):
        way = float(views.states.way[frame])
        if way - last >= EVERY:
            last = way
            frames.add(frame)
    used = sorted((each for each in given.outlines if each.frame in frames), key=lambda each: each.frame)
    for frame, shown in itertools.groupby(zip(used, rays_of(used, camera), strict=True), lambda each: each[0].frame):
        yield frame, list(shown)


def _on_road(rays: Floats, camera: Camera) -> Floats:
    """(P, 3) directions -> metres right and forward of the camera, on the road, without those above the horizon."""
    body = rays @ camera.mounting.turn
    down = -body[:, 2]
    good = np.isfinite(down) & (down > camera.mounting.height / BEYOND * 0.5)
    ground: Floats = body[good, :2] * (camera.mounting.height / down[good])[:, None]
    return ground


def _runs(stations: NDArray[np.int64], gap: int = 5) -> list[NDArray[np.int64]]:
    """Stations without gaps, `PIECE` at most; neighbours share one."""
    cuts = np.flatnonzero(np.diff(stations) > gap) + 1
    runs = []
    for run in np.split(stations, cuts):
        runs += [run[at : at + PIECE + 1] for at in range(0, max(len(run) - 1, 1), PIECE)]
    return runs


def _sure(course: Course) -> list[Floats]:
    """Pieces of a line, without what was only seen from further than `SURE`, where a pixel is a metre."""
    stations = course.stations
    places, weights = course.at(stations)
    sure = weights >= SURE**-4
    return [places[sure][np.searchsorted(stations[sure], run)] for run in _runs(stations[sure], CONTINUED)]


def _element(
    kind: str,
    label: str,
    confidence: float,
    shape: str,
    points: Floats,
    seen: int,
    times: tuple[float, float],
    track: Track,
) -> Element:
    utc = track.start + np.array(times)
    states = track.states(np.array([utc.mean()]))
    covariance = states.covariance[0, :2, :2] + np.eye(2) * ASIDE**2
    degrees = track.plane.to_degrees(points)
    return Element(kind, label, "", confidence, shape, degrees, covariance, seen, seen, float(utc[0]), float(utc[1]))
