"""The course of a road that bends this way and that, as a camera sees it from any place of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    F32 = NDArray[np.float32]
    Floats = NDArray[np.float64]

__all__ = ["Course", "Curve"]

STEP = 0.25  # metres between the nodes of a course
AHEAD, BEHIND = 160.0, 12.0  # metres: beyond, a curve goes on straight
ROUNDS = 3  # of Newton's method; two are enough where a road is


class Course:
    """A road's middle by its curvature, in the coordinates of its first place: x to the right, y forward.

    Parameters
    ----------
    curvature : (N,) float64
        1 / radius in 1 / metre at every `STEP`, positive to the right.
    """

    def __init__(self, curvature: Floats) -> None:
        self.curvature = np.asarray(curvature, np.float64)
        turned = (self.curvature[1:] + self.curvature[:-1]) / 2 * STEP
        self.heading = np.concatenate([[0.0], np.cumsum(turned)])
        middle = (self.heading[1:] + self.heading[:-1]) / 2
        steps = np.column_stack([np.sin(middle), np.cos(middle)]) * STEP
        self.places = np.concatenate([[[0.0, 0.0]], np.cumsum(steps, axis=0)])
        self.length = STEP * (len(self.curvature) - 1)

    def pose(self, s: float | Floats) -> tuple[Floats, Floats, Floats]:
        """x, y and heading after `s` metres, which may be many; beyond the ends it goes on straight."""
        at = np.asarray(s, np.float64)
        inside = at.clip(0, self.length)
        node = inside / STEP
        x, y, heading = (np.interp(node, np.arange(len(each)), each) for each in (*self.places.T, self.heading))
        over = at - inside
        return x + over * np.sin(heading), y + over * np.cos(heading), heading

    def place(self, s: Floats, d: Floats) -> Floats:
        """(N, 2) places `d` metres to the right of the course after `s` metres."""
        x, y, heading = self.pose(s)
        return np.stack([x + d * np.cos(heading), y - d * np.sin(heading)], axis=-1)

    def seen_from(self, start: float) -> Curve:
        """The course from a place of it."""
        return Curve(self, start)


class Curve:
    """A course as the camera at `start` sees it, looking along it; for `render` what `mnnlite.demo.world.Arc` is."""

    def __init__(self, course: Course, start: float) -> None:
        self._course, self._start = course, start
        x, y, heading = course.pose(start)
        self._origin, self._heading = np.array([float(x), float(y)]), float(heading)
        c, s = np.cos(self._heading), np.sin(self._heading)
        self._turn = np.array(
            [[c, -s], [s, c]]
        )  # in the course's coordinates -> to the right of the camera, ahead of it
        nodes = np.arange(-BEHIND, AHEAD + STEP, STEP)
        px, py, turned = course.pose(start + nodes)
        places = (np.column_stack([px, py]) - self._origin) @ self._turn.T
        turned = turned - self._heading
        self._nodes = nodes
        columns = (*places.T, np.sin(turned), np.cos(turned), np.gradient(turned, STEP))
        self._table = np.column_stack(columns).astype(np.float32)
        self._steps = np.diff(self._table, axis=0)

    @property
    def pose(self) -> tuple[float, float, float]:
        """x, y and heading of the camera, in the course's coordinates."""
        return float(self._origin[0]), float(self._origin[1]), self._heading

    def place(self, s: float, d: float) -> tuple[float, float, float]:
        """x, y on the ground and the road's heading there (radians to the right)."""
        (place,) = self.along(np.array([s]), d)
        heading = float(self._course.pose(self._start + s)[2]) - self._heading
        return float(place[0]), float(place[1]), heading

    def along(self, s: Floats, d: float) -> Floats:
        """(N, 2) x, y of (N,) places at `d`."""
        places: Floats = (self._course.place(self._start + s, np.full_like(s, d)) - self._origin) @ self._turn.T
        return places

    def locate(self, x: F32, y: F32) -> tuple[F32, F32]:
        """`d` and `s` of places on the ground, by Newton's method from straight ahead."""
        low, high = np.float32(self._nodes[0]), np.float32(self._nodes[-1])
        s = y.clip(low, high)
        for _ in range(ROUNDS):
            across, along, bend = self._beside(s, x, y)
            s = (s + along / (1 - bend * across).clip(0.3, 3.0)).clip(low, high)
        across, along, _ = self._beside(s, x, y)
        return across, s + along

    def _beside(self, s: F32, x: F32, y: F32) -> tuple[F32, F32, F32]:
        """How far places are to the right of the course at `s` and ahead of there, and how it bends."""
        at = (s - np.float32(self._nodes[0])) * np.float32(1 / STEP)
        below = np.minimum(at.astype(np.int32), len(self._nodes) - 2)
        node = self._table[below]
        node = node + (at - below)[..., None] * self._steps[below]
        away_x, away_y = x - node[..., 0], y - node[..., 1]
        sine, cosine = node[..., 2], node[..., 3]
        return away_x * cosine - away_y * sine, away_x * sine + away_y * cosine, node[..., 4]
