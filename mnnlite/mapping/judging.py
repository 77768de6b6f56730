"""What of the things that were followed is an element: told from what moves and from what is not there, and joined where one was followed twice."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from mnnlite.mapping.kinds import ElementRule
    from mnnlite.mapping.measurements import Measurements
    from mnnlite.mapping.solver import Thing
    from mnnlite.mapping.views import Boxes, Views

    Floats = NDArray[np.float64]

__all__ = ["Occluders", "azimuth_of", "expected_in", "join", "stands"]

SEEN = 4  # boxes that a thing must have
DRIVEN = 2.0  # metres that must have been driven while it was seen: without parallax nothing tells it from what moves
MISFIT = 3.5  # deviations: what a standing thing does not leave unexplained
STRETCH = 3.5  # deviations by which its size may differ from the usual
DOUBT = 8.0  # metres: a place that is known less is none
BELOW = -2.5  # metres under the road: nothing stands there
JOIN_M = 2.0  # metres within which two tracks may be of one thing
FACING = math.radians(20)  # by which a sign stands off the road's direction
FRAME = 0.02  # part of the picture's sides in which a thing may be cut off


def stands(thing: Thing, given: Measurements, views: Views, road: float) -> bool:
    """Whether an object stands still, at a place where one can stand."""
    rule = given.rules.elements[int(given.rule[thing.rows[0]])]
    frames = given.owner[thing.rows]
    driven = float(views.states.way[frames[-1]] - views.states.way[frames[0]])
    deviation = math.sqrt(max(float(np.linalg.eigvalsh(thing.own[:2, :2])[-1]), 0.0))
    return (
        len(thing.rows) >= SEEN
        and driven >= DRIVEN
        and thing.misfit < MISFIT
        and not thing.far
        and (rule.size == 0 or abs(thing.stretch) < STRETCH * rule.size_sigma)
        and deviation < DOUBT
        and BELOW < thing.place[2] - road < 12
    )


def join(
    things: Sequence[Thing], given: Measurements, azimuths: Sequence[float], names: Sequence[str]
) -> list[list[int]]:
    """Groups of tracks that are one object: of one kind, at one place, never in one frame, and not back to back.

    Returns
    -------
    list of list of int
        Each track is in one group.
    """
    order = np.argsort([float(thing.place[0]) for thing in things], kind="stable").tolist()
    groups = {index: [index] for index in order}
    owner = dict(zip(order, order, strict=True))
    for position, first in enumerate(order):
        for second in order[position + 1 :]:
            a, b = things[first], things[second]
            if b.place[0] - a.place[0] > JOIN_M:
                break
            if owner[first] == owner[second] or given.rule[a.rows[0]] != given.rule[b.rows[0]]:
                continue
            off = b.place - a.place
            together = a.own + b.own + np.eye(3) * 0.05**2
            if np.linalg.norm(off) > JOIN_M or float(off @ np.linalg.solve(together, off)) > 11.3:
                continue
            if abs((azimuths[first] - azimuths[second] + 180) % 360 - 180) > 90:
                continue
            if names[first] and names[second] and names[first] != names[second]:
                continue
            one, other = groups[owner[first]], groups[owner[second]]
            rows = [np.concatenate([given.owner[things[each].rows] for each in group]) for group in (one, other)]
            if np.isin(rows[0], rows[1]).any():
                continue
            one += other
            gone = owner[second]
            for each in groups.pop(gone):
                owner[each] = owner[first]
    return list(groups.values())


def azimuth_of(thing: Thing, given: Measurements, views: Views, boxes: Boxes, alike: float) -> tuple[float, float]:
    """The direction an object faces, in degrees of the plane, and its deviation, from how slim it looks from each place.

    From the front a sign is as wide as its rule says. From an angle it is narrower by the cosine. It usually faces the vehicles
    that approach.
    """
    rule = given.rules.elements[int(given.rule[thing.rows[0]])]
    if not rule.aspect:
        return math.nan, math.nan
    frames = given.owner[thing.rows]
    away = views.origin[frames] - thing.place
    bearing = np.arctan2(away[:, 0], away[:, 1])
    coming = float(views.states.heading[frames[-1]]) + math.pi
    width, height = boxes.size[thing.rows].T
    ratio = width / np.maximum(height, 1e-6) / rule.aspect
    sigma = 0.05 + 0.002 / np.maximum(height, 1e-4)
    angle = coming + np.radians(np.arange(-85, 86, 1.0))
    expected = np.cos(angle[:, None] - bearing)
    news = (1 - alike) / (1 + alike)
    cost = (np.where(expected > 0, np.minimum(((ratio - expected) / sigma) ** 2, 9), 9).sum(axis=1)) * news
    cost += ((angle - coming) / FACING) ** 2
    weight = np.exp(-(cost - cost.min()) / 2)
    weight /= weight.sum()
    mean = float((weight * angle).sum())
    deviation = math.sqrt(float((weight * (angle - mean) ** 2).sum()))
    return math.degrees(mean) % 360, math.degrees(max(deviation, math.radians(3)))


class Occluders:
    """The boxes of occluders, by frame.

    Parameters
    ----------
    given : Measurements
    """

    def __init__(self, given: Measurements) -> None:
        self.frame_size = given.frame_size
        hides = np.array([rule.shape == "occluder" for rule in given.rules.elements])
        rows = np.flatnonzero(hides[given.rule]) if hides.any() else np.empty(0, np.intp)
        self._owner, self._box = given.owner[rows], given.box[rows]

    def covers(self, frames: NDArray[np.int64], u: Floats, v: Floats) -> NDArray[np.bool_]:
        """For (N,) frames with a pixel each: whether a box lies over it."""
        low, high = (np.searchsorted(self._owner, frames, side=side) for side in ("left", "right"))
        # Each of the frames with each of its boxes.
        count = high - low
        index = np.repeat(np.arange(len(frames)), count)
        x1, y1, x2, y2 = self._box[np.arange(len(index)) + np.repeat(low - (np.cumsum(count) - count), count)].T
        over = (x1 < u[index]) & (u[index] < x2) & (y1 < v[index]) & (v[index] < y2)
        covered = np.zeros(len(frames), bool)
        covered[index[over]] = True
        return covered


def expected_in(
    place: Floats, facing: float, rule: ElementRule, occluders: Occluders, views: Views, turn: Floats, focal: Floats
) -> tuple[NDArray[np.int64], Floats]:
    """Frames in which an object at a place should be found, and its distance in each.

    In these frames it is in the picture, within the range of its rule, it faces the camera, and no occluder's box hides it.

    Parameters
    ----------
    place : (3,) float64
    facing : float
        The direction it faces, in degrees; NaN if it has no front.
    rule, occluders, views
    turn : (3, 3) float64
        Of the camera's mounting.
    focal : (4,) float64
        fx, fy, cx, cy: a pinhole will do to say what is in the picture.
    """
    candidates = views.near(place, rule.far)
    if not len(candidates):
        return candidates, np.empty(0)
    away = place - views.origin[candidates]
    body = np.einsum("nij,nj->ni", views.turn[candidates], away)
    seen = body @ turn.T
    depth = seen[:, 2]
    width, height = occluders.frame_size
    with np.errstate(divide="ignore", invalid="ignore"):
        u, v = (seen[:, axis] / depth * focal[axis] + focal[axis + 2] for axis in (0, 1))
        inside = (u > FRAME * width) & (u < (1 - FRAME) * width) & (v > FRAME * height) & (v < (1 - FRAME) * height)
    distance = np.linalg.norm(away, axis=1)
    inside &= (depth > 1) & (distance > rule.near) & (distance < rule.far)
    if math.isfinite(facing):
        front = np.array([math.sin(math.radians(facing)), math.cos(math.radians(facing))])
        inside &= -(away[:, :2] @ front) / np.maximum(distance, 0.1) > 0.35
    kept = candidates[inside]
    hidden = occluders.covers(kept, u[inside], v[inside])
    return kept[~hidden], distance[inside][~hidden]
