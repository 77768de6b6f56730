"""From things that were placed to the records of a map: each once, with what it is, which way it faces, and how often it was seen."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from mnnlite.mapping import judging
from mnnlite.mapping.element import Element

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from mnnlite.mapping.camera import Camera
    from mnnlite.mapping.measurements import Measurements
    from mnnlite.mapping.solver import Solution, Thing
    from mnnlite.mapping.track import Track
    from mnnlite.mapping.views import Boxes, Views

    Floats = NDArray[np.float64]

__all__ = ["Solved", "element_of", "standing"]

_WORST = (0, 6, 7, 8, 1, 3, 2, 5, 4)  # GGA's qualities, from none over dead reckoning to RTK fixed
BINS = np.arange(0, 101, 10.0)  # metres: of the recall by distance


@dataclass
class Solved:
    """A drive's parts, once all is placed; `camera` has the mounting that the drive found out."""

    given: Measurements
    views: Views
    boxes: Boxes
    camera: Camera
    solution: Solution
    track: Track
    recall: dict[str, list[list[int]]] = field(default_factory=dict)

    @cached_property
    def occluders(self) -> judging.Occluders:
        """What hides things from the camera."""
        return judging.Occluders(self.given)


def standing(solved: Solved) -> tuple[list[tuple[Thing, tuple[float, float]]], int]:
    """Things that stand, each once, with the way it faces; and how many tracks were of something else."""
    given, views, boxes, solution = solved.given, solved.views, solved.boxes, solved.solution
    above = solved.camera.mounting.height
    kept = []
    for thing in solution.things:
        road = float(views.origin[given.owner[thing.rows[-1]], 2]) - above
        if judging.stands(thing, given, views, road):
            kept.append(thing)
    azimuths = [judging.azimuth_of(thing, given, views, boxes, solution.alike) for thing in kept]
    plain = [
        azimuth if math.isfinite(azimuth) else _coming(thing, given, views)
        for thing, (azimuth, _) in zip(kept, azimuths, strict=True)
    ]
    names = [_vote([given.texts[row][1] for row in thing.rows]) for thing in kept]
    groups = judging.join(kept, given, plain, names)
    result = []
    for group in sorted(groups, key=lambda each: int(kept[each[0]].rows[0])):
        members = [kept[index] for index in group]
        chosen = min(range(len(members)), key=lambda each: float(np.trace(members[each].covariance)))
        best = members[chosen]
        if len(members) > 1:
            weights = [np.linalg.inv(each.covariance) for each in members]
            covariance = np.linalg.inv(sum(weights))
            place = covariance @ sum(weight @ each.place for weight, each in zip(weights, members, strict=True))
            rows = np.sort(np.concatenate([each.rows for each in members]))
            best = replace(best, rows=rows, place=place, covariance=covariance)
        result.append((best, azimuths[group[chosen]]))
    return result, len(solution.things) - len(kept)


def _coming(thing: Thing, given: Measurements, views: Views) -> float:
    return math.degrees(views.states.heading[given.owner[thing.rows[-1]]]) + 180


def _vote(names: Sequence[str], weights: Sequence[float] | None = None) -> str:
    votes: Counter[str] = Counter()
    for index, name in enumerate(names):
        if name:
            votes[name] += 1 if weights is None else weights[index]  # type: ignore[assignment]
    return max(votes, key=lambda each: votes[each]) if votes else ""


def element_of(thing: Thing, azimuth: tuple[float, float], solved: Solved) -> Element:
    """The record of a thing."""
    given, views, boxes, camera, track = solved.given, solved.views, solved.boxes, solved.camera, solved.track
    rule = given.rules.elements[int(given.rule[thing.rows[0]])]
    frames = given.owner[thing.rows]
    last = int(frames[-1])
    texts = [given.texts[row] for row in thing.rows]
    near = boxes.size[thing.rows, 1]
    names = [each[1] for each in texts]
    label = _vote(names, [each[2] * size for each, size in zip(texts, near, strict=True)])
    reading = _vote([each[3] for each in texts], [each[4] * size for each, size in zip(texts, near, strict=True)])
    focal = np.array([camera.fx, camera.fy, camera.cx, camera.cy])
    kind = rule.kind or texts[0][0]
    should, distance = judging.expected_in(
        thing.place, azimuth[0], rule, solved.occluders, views, camera.mounting.turn, focal
    )
    found = np.isin(should, frames)
    bins = solved.recall.setdefault(kind, [[0, 0] for _ in BINS[1:]])
    for index, hit in zip(np.digitize(distance, BINS) - 1, found, strict=True):
        if index < len(bins):
            bins[index][0] += 1
            bins[index][1] += int(hit)
    expected = len(np.union1d(should, frames))
    away = thing.place - views.origin[last]
    pose = views.states.covariance[last]
    swing = np.array([away[1], -away[0]])  # by which a heading that is off moves it
    covariance = thing.covariance[:2, :2] + pose[:2, :2] + np.outer(swing, swing) * pose[2, 2]
    body = views.turn[last] @ away
    road = float(views.origin[last, 2]) - camera.mounting.height
    ellipsoid = track.vertical == "ellipsoid" and math.isfinite(float(views.states.height_sigma[last]))
    order = np.argsort(-near)[:5]
    degrees = track.plane.to_degrees(thing.place[None, :2])
    turned = math.degrees(float(track.plane.convergence(degrees[0, 0], degrees[0, 1])))
    utc = views.utc[frames]
    low, high = np.searchsorted(track.log.utc, (utc[0] - 1, utc[-1] + 1))
    scores = given.score[thing.rows]
    return Element(
        kind,
        label or (texts[0][0] if kind != texts[0][0] else ""),
        reading,
        float(scores.sum()) / expected,
        "point",
        degrees,
        covariance,
        len(frames),
        expected,
        float(utc[0]),
        float(utc[-1]),
        height=float(thing.place[2]) if ellipsoid else math.nan,
        height_sigma=math.hypot(float(views.states.height_sigma[last]), math.sqrt(thing.covariance[2, 2]))
        if ellipsoid
        else math.nan,
        above_road=float(thing.place[2]) - road,
        azimuth=(azimuth[0] - turned) % 360 if math.isfinite(azimuth[0]) else math.nan,
        azimuth_sigma=azimuth[1],
        side="right" if body[0] >= 0 else "left",
        aside=abs(float(body[0])),
        label_score=max((each[2] for each in texts if each[1] == label), default=0.0) if label else 0.0,
        text_score=max((each[4] for each in texts if each[3] == reading), default=0.0) if reading else 0.0,
        proof=[(int(given.frame[frames[index]]), tuple(given.box[thing.rows[index]].tolist())) for index in order],
        quality=min(track.log.quality[low:high].tolist(), key=_WORST.index, default=0),
    )
