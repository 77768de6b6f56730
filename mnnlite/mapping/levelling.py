"""Yaw and pitch of the camera from where the lines of a straight road meet."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from mnnlite.mapping.solver import PITCH, YAW

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mnnlite.mapping.camera import Camera
    from mnnlite.mapping.measurements import Measurements
    from mnnlite.mapping.views import Views

    Floats = NDArray[np.float64]

__all__ = ["level_of"]

STRAIGHT = 0.003  # radians per metre: on what bends more, lines meet elsewhere
LEAST = 10  # frames
FRAMES_ALIKE = 8.0  # neighbouring frames see the same lines, so so many count as one
FLOOR = np.radians([0.1, 0.15])  # yaw and pitch: what lines do not agree on with the way driven, however many there are


def level_of(given: Measurements, views: Views, camera: Camera) -> tuple[Floats, Floats] | None:
    """What has to be added to yaw and pitch, in radians, and how well that is known; None where there are too few lines.

    Parameters
    ----------
    given, views
    camera : Camera
        With the mounting that is tried now.
    """
    by_frame: dict[int, list[Floats]] = {}
    for outline in given.outlines:
        if given.rules.elements[outline.rule].shape == "line":
            by_frame.setdefault(outline.frame, []).append(outline.points)
    found = []
    turn = camera.mounting.turn
    for frame, lines in by_frame.items():
        speed = float(views.states.speed[frame])
        if len(lines) < 2 or speed < 5 or abs(float(views.states.turn[frame])) / speed > STRAIGHT:
            continue
        point = _meeting(lines, camera)
        if point is not None:
            body = np.append(point, 1.0) @ turn
            found.append((math.atan2(body[0], body[1]), math.atan2(body[2], math.hypot(body[0], body[1]))))
    if len(found) < LEAST:
        return None
    angles = np.array(found)
    middle = np.median(angles, axis=0)
    spread = 1.4826 * np.median(np.abs(angles - middle), axis=0)
    sigma = np.hypot(spread / math.sqrt(max(len(found) / FRAMES_ALIKE, 1.0)), FLOOR)
    # What is ahead should be seen at 0, 0: if it appears to the right, the camera looks less to the right than was thought.
    change, deviation = np.zeros(2), np.full(2, math.inf)
    change[YAW], change[PITCH] = -middle
    deviation[YAW], deviation[PITCH] = sigma
    return change, deviation


def _meeting(lines: list[Floats], camera: Camera) -> Floats | None:
    """Where the near parts of lines meet, as x / z and y / z in the camera's axes."""
    normals = []
    for points in lines:
        rays = camera.rays(points)
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
    if len(normals) < 2:
        return None
    table = np.array(normals)
    if np.ptp(table[:, 1]) < 0.3:  # nearly parallel in the picture: they meet anywhere
        return None
    point = np.linalg.lstsq(table[:, :2], table[:, 2], rcond=None)[0]
    return point if np.abs(point).max() < 0.5 else None
