"""Yaw and pitch of the camera from where the lines of the road meet.

Lines side by side meet in the direction that they have where they were looked at, some metres ahead. Which direction that is
against the vehicle's own the track says, so that a bend is not taken for a yaw,
nor a crest for a pitch.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from mnnlite.mapping.solver import PITCH, YAW
from mnnlite.mapping.views import rays_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mnnlite.mapping.camera import Camera
    from mnnlite.mapping.measurements import Measurements
    from mnnlite.mapping.views import Views

    Floats = NDArray[np.float64]

__all__ = ["level_of"]

STRAIGHT = 0.006  # radians per metre: on what bends more, a line is no line in the picture
LEAST = 10  # frames
METRES_ALIKE = 20.0  # on so many metres driven frames see the same lines, and count as one
FLOOR = np.radians([0.1, 0.15])  # yaw and pitch: what lines do not agree on with the way driven, however many there are


def level_of(given: Measurements, views: Views, camera: Camera) -> tuple[Floats, Floats] | None:
    """Corrections of yaw and pitch, in radians, and their deviations; None if there are too few lines.

    Parameters
    ----------
    given, views
    camera : Camera
        With the mounting that is tried now.
    """
    lines = [each for each in given.outlines if given.rules.elements[each.rule].shape == "line"]
    speed, turning = views.states.speed, np.abs(views.states.turn)
    frames = np.array([each.frame for each in lines], np.int64)
    useful = (np.bincount(frames, minlength=len(speed)) >= 2) & (speed >= 5) & (turning <= STRAIGHT * speed)
    lines = [each for each in lines if useful[each.frame]]
    by_frame: dict[int, list[Floats]] = {}
    for line, rays in zip(lines, rays_of(lines, camera), strict=True):
        by_frame.setdefault(line.frame, []).append(rays)
    found, places = [], set()
    turn = camera.mounting.turn
    way, first = np.unique(views.states.way, return_index=True)
    course = np.unwrap(np.arctan2(views.turn[first, 1, 0], views.turn[first, 1, 1]))
    slope = np.arctan(views.states.grade[first])
    for frame, directions in by_frame.items():
        point = _meeting(directions, turn)
        if point is not None:
            body, ahead = np.append(point[0], 1.0) @ turn, camera.mounting.height / point[1]
            here = float(views.states.way[frame])
            if here + ahead > way[-1]:
                continue
            turned, risen = (
                np.interp(here + ahead, way, each) - np.interp(here, way, each) for each in (course, slope)
            )
            up = math.atan2(body[2], math.hypot(body[0], body[1]))
            found.append((math.atan2(body[0], body[1]) - turned, up - risen))
            places.add(int(here / METRES_ALIKE))
    if len(found) < LEAST:
        return None
    angles = np.array(found)
    middle = np.median(angles, axis=0)
    spread = 1.4826 * np.median(np.abs(angles - middle), axis=0)
    sigma = np.hypot(spread / math.sqrt(len(places)), FLOOR)
    # What is ahead should be seen at 0, 0: if it appears to the right, the camera looks less to the right than was thought.
    change, deviation = np.zeros(2), np.full(2, math.inf)
    change[YAW], change[PITCH] = -middle
    deviation[YAW], deviation[PITCH] = sigma
    return change, deviation


def _meeting(lines: list[Floats], turn: Floats) -> tuple[Floats, float] | None:
    """Where the near parts of lines meet, as x / z and y / z in the camera's axes; and how far below the horizon they are."""
    normals, below = [], []
    for rays in lines:
        seen = rays[:, :2] / rays[:, 2:]
        seen = seen[np.isfinite(seen).all(axis=1)]
        if len(seen) < 3:
            continue
        low = seen[seen[:, 1] >= np.median(seen[:, 1])] if len(seen) > 6 else seen
        if np.ptp(low[:, 1]) < 0.05:
            continue
        slope, start = np.polyfit(low[:, 1], low[:, 0], 1)
        if abs(slope) < 6:
            normals.append((1.0, -slope, start))
            body = np.column_stack([low, np.ones(len(low))]) @ turn
            below.append(float(np.median(-body[:, 2] / np.maximum(body[:, 1], 0.1))))
    if len(normals) < 2:
        return None
    table = np.array(normals)
    if np.ptp(table[:, 1]) < 0.3:  # nearly parallel in the picture: they meet anywhere
        return None
    point = np.linalg.lstsq(table[:, :2], table[:, 2], rcond=None)[0]
    down = float(np.mean(below))
    return (point, down) if np.abs(point).max() < 0.5 and down > 0.02 else None
