"""Where the camera was and how it looked in each frame, and what an object's box is in the camera's own directions."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from mnnlite.mapping.camera import Camera
    from mnnlite.mapping.measurements import Measurements, Outline
    from mnnlite.mapping.track import States, Track

    Floats = NDArray[np.float64]

__all__ = ["Boxes", "Views", "boxes_of", "rays_of", "views_of"]

HALF = 0.5  # seconds before and after between which a rate of turn is taken
SURELY = 0.015  # rad/s: what is below it may be noise
# Part of the frame's sides: what is cut off there has a box that ends so near to the edge, a bit inside of it as a rule (of the
# road pack's on rendered drives up to 12 of 640 pixels), and its middle is not the thing's.
EDGE = 0.025
TOGETHER = 256  # outlines whose points are undistorted at once: each alone costs a hundred times as much
RUN = 64  # frames in a row that are near a place, or not, together


@dataclass
class Views:
    """Of each frame, in the plane of the track (metres east, north, up).

    Parameters
    ----------
    utc : (F,) float64
    states : States
    origin : (F, 3) float64
        Of the camera.
    turn : (F, 3, 3) float64
        Direction in the plane -> in the vehicle (right, forward, up).
    velocity : (F, 3) float64
        On the level: grades are known too little to find a clock by.
    rate : (F,) float64
        Radians per second that it surely turned, clockwise: what the clock is found by. Noise in it would be taken for
        bends, and it is not independent of the headings' own errors.
    """

    utc: Floats
    states: States
    origin: Floats
    turn: Floats
    velocity: Floats
    rate: Floats

    @cached_property
    def _runs(self) -> tuple[Floats, Floats]:
        """Of each `RUN` frames the middle, and how far they are from it at most."""
        starts = np.arange(0, len(self.origin), RUN)
        last = np.append(starts[1:], len(self.origin)) - 1
        middle = (self.origin[starts, :2] + self.origin[last, :2]) / 2
        off = np.hypot(*(self.origin[:, :2] - np.repeat(middle, last - starts + 1, axis=0)).T)
        return middle, np.maximum.reduceat(off, starts)

    def near(self, place: Floats, far: float) -> NDArray[np.int64]:
        """The frames whose camera was nearer than `far` metres to a place, on the level."""
        middle, reach = self._runs
        runs = np.flatnonzero(np.hypot(*(middle - place[:2]).T) < far + reach + 1e-6)
        frames = (runs[:, None] * RUN + np.arange(RUN)).ravel()
        frames = frames[frames < len(self.origin)]
        found: NDArray[np.int64] = frames[((self.origin[frames, :2] - place[:2]) ** 2).sum(axis=1) < far**2]
        return found


def views_of(track: Track, camera: Camera, utc: Floats) -> Views:
    """Poses of a camera at some times."""
    states = track.states(utc)
    mounting = camera.mounting
    # The track's heading is the way of the antenna; in a bend the vehicle points where its rear axle goes.
    with np.errstate(divide="ignore", invalid="ignore"):
        bend = np.where(states.speed > 1.0, states.turn / np.maximum(states.speed, 1.0), 0.0).clip(-0.2, 0.2)
    heading = states.heading - bend * (mounting.antenna[1] - mounting.axle)
    s, c = np.sin(heading), np.cos(heading)
    slope = np.arctan(states.grade)
    level, rise = np.cos(slope), np.sin(slope)
    zero = np.zeros_like(s)
    right = np.stack([c, -s, zero], axis=1)
    forward = np.stack([s * level, c * level, rise], axis=1)
    turn = np.stack([right, forward, np.cross(right, forward)], axis=1)
    lever = np.einsum("nij,i->nj", turn, np.array(mounting.antenna))
    aside = bend * states.speed * -mounting.axle  # of the camera, which swings outwards ahead of the axle
    velocity = forward * states.speed[:, None] + right * aside[:, None]
    around = track.states(np.concatenate([utc - HALF, utc + HALF])).heading
    rate = (around[len(utc) :] - around[: len(utc)]) / (2 * HALF)
    rate = np.sign(rate) * np.maximum(np.abs(rate) - SURELY, 0)
    return Views(utc, states, states.place - lever, turn, velocity * (1, 1, 0), rate)


@dataclass
class Boxes:
    """Of each object, where lens and place of the camera in the vehicle are taken off: x / z and y / z in its axes.

    Parameters
    ----------
    middle, foot : (N, 2) float64
        Of the box, and of its lower edge.
    size : (N, 2) float64
        Width and height.
    whole : (N,) bool
        Not cut off at the edge of the frame.
    """

    middle: Floats
    foot: Floats
    size: Floats
    whole: NDArray[np.bool_]


def boxes_of(given: Measurements, camera: Camera) -> Boxes:
    """What `follow` and `solve` need of all boxes; NaN where the lens sees nothing."""
    x1, y1, x2, y2 = given.box.T
    across, down = (x1 + x2) / 2, (y1 + y2) / 2
    count = len(across)
    points = np.concatenate(
        [np.column_stack(each) for each in ((across, down), (across, y2), (across, y1), (x1, down), (x2, down))]
    )
    rays = camera.rays(points)
    with np.errstate(divide="ignore", invalid="ignore"):
        seen = rays[:, :2] / np.where(rays[:, 2] > 0.05, rays[:, 2], np.nan)[:, None]
    middle, foot, top, left, right = seen.reshape(5, count, 2)
    width, height = given.frame_size
    across, down = EDGE * width, EDGE * height
    whole = (x1 > across) & (y1 > down) & (x2 < width - across) & (y2 < height - down)
    whole &= np.isfinite(seen.reshape(5, count, 2)).all(axis=(0, 2)) & (x2 > x1) & (y2 > y1)
    return Boxes(middle, foot, np.column_stack([right[:, 0] - left[:, 0], foot[:, 1] - top[:, 1]]), whole)


def rays_of(outlines: Sequence[Outline], camera: Camera) -> Iterator[Floats]:
    """For each outline the directions of its points in the camera's axes, as `Camera.rays` gives them."""
    for begin in range(0, len(outlines), TOGETHER):
        points = [each.points for each in outlines[begin : begin + TOGETHER]]
        yield from np.split(camera.rays(np.concatenate(points)), np.cumsum([len(each) for each in points])[:-1])
