"""What could not be seen because something stood in front of it: directions and distances of what hides, frame by frame."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mnnlite.mapping.camera import Camera
    from mnnlite.mapping.measurements import Measurements
    from mnnlite.mapping.views import Views

    Floats = NDArray[np.float64]

__all__ = ["Hiding", "hiding_of"]

FURTHEST = 150.0  # metres: beyond, the foot of a box says no distance


@dataclass
class Hiding:
    """Of each frame of a drive.

    Parameters
    ----------
    looks : (F,) float64
        Degrees from the plane's north of the optical axis.
    boxes : list of list of (from, to, beyond)
        Of each occluder the directions between which it hides, clockwise in degrees, and the metres from which on it does;
        None where its foot is not on the road.
    """

    looks: Floats = field(default_factory=lambda: np.empty(0))
    boxes: list[list[tuple[float, float, float | None]]] = field(default_factory=list)


def hiding_of(given: Measurements, views: Views, camera: Camera) -> Hiding:
    """Look through all boxes of occluders."""
    turn = camera.mounting.turn
    heading = np.degrees(np.arctan2(views.turn[:, 1, 0], views.turn[:, 1, 1]))
    boxes: list[list[tuple[float, float, float | None]]] = [[] for _ in heading]
    looks = heading + camera.mounting.yaw
    hides = np.array([rule.shape == "occluder" for rule in given.rules.elements])
    rows = np.flatnonzero(hides[given.rule]) if len(given.rule) else np.empty(0, np.intp)
    if not len(rows):
        return Hiding(looks, boxes)
    x1, y1, x2, y2 = given.box[rows].T
    middle = (y1 + y2) / 2
    body = (
        camera.rays(
            np.concatenate([np.column_stack(each) for each in ((x1, middle), (x2, middle), ((x1 + x2) / 2, y2))])
        )
        @ turn
    )
    left, right, foot = body.reshape(3, len(rows), 3)
    with np.errstate(divide="ignore", invalid="ignore"):
        away = camera.mounting.height / -foot[:, 2] * np.hypot(foot[:, 0], foot[:, 1])
    known = np.isfinite(away) & (foot[:, 2] < 0) & (away < FURTHEST)
    for index, row in enumerate(rows.tolist()):
        frame = int(given.owner[row])
        sides = [
            round(float(np.degrees(np.arctan2(ray[index, 0], ray[index, 1])) + heading[frame]) % 360, 1)
            for ray in (left, right)
        ]
        if np.isfinite(sides).all():
            boxes[frame].append((sides[0], sides[1], round(float(away[index]), 1) if known[index] else None))
    return Hiding(looks, boxes)
