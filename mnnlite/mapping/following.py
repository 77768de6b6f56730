"""Which boxes of many frames show the same thing: followed in the picture, with the way that the camera drove taken off.

Each track has a guess of where its thing is; from the next frame's pose follows where it must be seen, however slow the
networks are and whatever bend the road takes. What moves on its own is told apart later, by what it leaves unexplained.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mnnlite.mapping.camera import Camera
    from mnnlite.mapping.kinds import ElementRule
    from mnnlite.mapping.measurements import Measurements
    from mnnlite.mapping.views import Boxes, Views

    Floats = NDArray[np.float64]

__all__ = ["follow"]

LOST_S = 1.5  # seconds after which a track that nothing fits has ended
LOST_M = 25.0  # or metres driven
GATE = 0.8  # parts of a box's size that it may be off where it is expected
LEAST = 0.012  # of a focal length: beside that, for small boxes
GROWN = 1.7  # by which factor a box may differ from what is expected
UNKNOWN = 20.0  # metres: of what has neither size nor ground
TRUST = 0.3  # how much of a new guess of the distance is taken


def _depths(rules: tuple[ElementRule, ...], rule: NDArray[np.int64], boxes: Boxes, camera: Camera) -> Floats:
    """What each box alone says about its distance along the optical axis, in metres."""
    depth = np.full(len(rule), UNKNOWN)
    turn, above = camera.mounting.turn, camera.mounting.height
    below = -(np.column_stack([boxes.foot, np.ones(len(rule))]) @ turn)[:, 2]  # per metre of depth
    for index, each in enumerate(rules):
        mine = rule == index
        if each.size:
            depth[mine] = each.size / np.maximum(boxes.size[mine, 1], 1e-4)
        elif each.ground:
            depth[mine] = above / np.maximum(below[mine], above / 80)
    return depth.clip(2.0, 150.0)


def follow(given: Measurements, views: Views, boxes: Boxes, camera: Camera) -> list[NDArray[np.int64]]:
    """Follow all boxes that are whole and of a rule with shape "point".

    Returns
    -------
    list of (K,) int64
        For each track the rows of its boxes, in time.
    """
    rules = given.rules.elements
    wanted = np.array([each.shape == "point" for each in rules])
    rows = np.flatnonzero(wanted[given.rule] & boxes.whole)
    if not len(rows):
        return []
    depth = _depths(rules, given.rule, boxes, camera)
    kind = (
        np.unique([each[0] for each in given.texts], return_inverse=True)[1] if len(given.texts) else np.empty(0, int)
    )
    kind = kind + 1000 * given.rule
    turn = camera.mounting.turn
    frames, starts = np.unique(given.owner[rows], return_index=True)
    per_frame = np.split(rows, starts[1:])
    members: list[list[int]] = []
    live: list[int] = []  # numbers of the tracks, in the order of the arrays below
    place, size, last = (
        np.empty((0, 3)),
        np.empty((0, 3)),
        np.empty((0, 2)),
    )  # size: width, height, depth; last: time, way
    kinds = np.empty(0, np.int64)
    for frame, found in zip(frames.tolist(), per_frame, strict=True):
        look, origin = turn @ views.turn[frame], views.origin[frame]
        now = np.array([views.utc[frame], views.states.way[frame]])
        owner = np.full(len(found), -1)
        if len(live):
            seen = (place - origin) @ look.T
            expected = np.maximum(seen[:, 2], 1.0)
            ahead = seen[:, 2] > 0.5
            off = np.abs(seen[:, None, :2] / expected[:, None, None] - boxes.middle[found])
            scale = (size[:, 2] / expected)[:, None] * size[:, :2]
            here = boxes.size[found]
            # A guess that is off in depth by a part is off across by that part of how far it came since.
            since = np.abs(now[1] - last[:, 1])
            slack = 0.3 * np.abs(seen[:, :2] / expected[:, None]) * (since / expected)[:, None]
            allowed = GATE * np.maximum(scale[:, None], here) + LEAST + slack[:, None]
            distance = (off / allowed).max(axis=2)
            ratio = here[None, :, 1] / np.maximum(scale[:, None, 1], 1e-6)
            bad = (
                (distance > 1)
                | (ratio > GROWN)
                | (ratio < 1 / GROWN)
                | (kinds[:, None] != kind[found])
                | ~ahead[:, None]
            )
            cost = np.where(bad, np.inf, distance + 0.5 * np.abs(np.log(np.maximum(ratio, 1e-6))))
            while True:
                best = int(np.argmin(cost))
                number, index = divmod(best, cost.shape[1])
                if not np.isfinite(cost[number, index]):
                    break
                owner[index] = number
                cost[number, :] = np.inf
                cost[:, index] = np.inf
            for index, number in enumerate(owner.tolist()):
                if number >= 0:
                    row = found[index]
                    guess = (
                        expected[number] * (depth[row] / expected[number]) ** TRUST
                        if depth[row] != UNKNOWN
                        else expected[number]
                    )
                    place[number] = origin + (np.append(boxes.middle[row], 1.0) * guess) @ look
                    size[number] = (*boxes.size[row], guess)
                    last[number] = now
                    members[live[number]].append(int(row))
        fresh = found[owner < 0]
        if len(fresh):
            rays = np.column_stack([boxes.middle[fresh], np.ones(len(fresh))]) * depth[fresh, None]
            place = np.concatenate([place, origin + rays @ look])
            size = np.concatenate([size, np.column_stack([boxes.size[fresh], depth[fresh]])])
            last = np.concatenate([last, np.tile(now, (len(fresh), 1))])
            kinds = np.concatenate([kinds, kind[fresh]])
            for row in fresh.tolist():
                live.append(len(members))
                members.append([row])
        keep = (now[0] - last[:, 0] < LOST_S) & (now[1] - last[:, 1] < LOST_M)
        if not keep.all():
            place, size, last, kinds = place[keep], size[keep], last[keep], kinds[keep]
            live = [number for number, kept in zip(live, keep.tolist(), strict=True) if kept]
    return [np.array(each, np.int64) for each in members]
