"""Outlines of areas, fewer points with a stated error, the smallest rectangle around points."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_STEPS = ((0, -1), (1, 0), (0, 1), (-1, 0))  # up, right, down, left


class Ring(NamedTuple):
    """A closed outline along pixel edges: (P, 2) corners, area inside (negative for holes), class, ring around a hole."""

    corners: NDArray[np.int64]
    pixels: int
    class_id: int
    parent: int


def rings(classes: NDArray[np.uint8], skip: int = -1) -> list[Ring]:
    """Outlines of all areas of a class map but `skip` and 255, in the order of their topmost, then leftmost left edge.

    The area lies to the right of the way, so outer rings run clockwise on the screen. Pixels that touch at a corner
    belong together: where two meet, the way turns left.
    """
    padded = np.pad(classes, 1, constant_values=255)
    done: dict[tuple[int, int], int] = {}
    result: list[Ring] = []
    for start_y, start_x in np.argwhere(padded[1:-1, 1:-1] != padded[1:-1, :-2]).tolist():
        value = int(classes[start_y, start_x])
        if value in (255, skip) or (start_x, start_y) in done:
            continue

        def inside(x: int, y: int, value: int = value) -> bool:
            return bool(padded[y + 1, x + 1] == value)

        x, y, way = start_x, start_y + 1, 0
        corners: list[tuple[int, int]] = []
        area = 0
        while True:
            if way == 0:
                done[(x, y - 1)] = len(result)
                area -= x
            elif way == 2:
                area += x
            x, y = x + _STEPS[way][0], y + _STEPS[way][1]
            # Pixels around the vertex: the ones ahead to the left and to the right.
            left = ((x - 1, y - 1), (x, y - 1), (x, y), (x - 1, y))[way]
            right = ((x, y - 1), (x, y), (x - 1, y), (x - 1, y - 1))[way]
            if inside(*left):
                corners.append((x, y))
                way = (way + 3) % 4
            elif not inside(*right):
                corners.append((x, y))
                way = (way + 1) % 4
            if (x, y, way) == (start_x, start_y + 1, 0):
                break
        parent = -1
        if area < 0:
            u = start_x - 1
            while not inside(u, start_y):
                u -= 1
            while inside(u - 1, start_y):
                u -= 1
            other = done[(u, start_y)]
            parent = other if result[other].pixels > 0 else result[other].parent
        result.append(Ring(np.array(corners), area, value, parent))
    return result


def _distance(p: NDArray[np.float64], a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """Distances of points (N, 2) from the segment a b."""
    d = b - a
    length2 = float(d @ d)
    t = np.clip(((p - a) @ d) / length2, 0, 1) if length2 > 0 else np.zeros(len(p))
    result: NDArray[np.float64] = np.hypot(*(p - (a + t[:, None] * d)).T)
    return result


def _keep(points: NDArray[np.float64], first: int, last: int, tolerance: float, kept: set[int]) -> None:
    """Douglas and Peucker 1973 between two indices that are kept, taken modulo the number of points."""
    n = len(points)
    between = np.arange(first + 1, last)
    if len(between) == 0:
        return
    distance = _distance(points[between % n], points[first % n], points[last % n])
    worst = int(distance.argmax())
    if distance[worst] <= tolerance:
        return
    split = int(between[worst])
    kept.add(split % n)
    _keep(points, first, split, tolerance, kept)
    _keep(points, split, last, tolerance, kept)


def simplify_line(points: NDArray[np.float64], tolerance: float) -> NDArray[np.float64]:
    """Drop points of a line so that none is further than `tolerance` from what is left; the ends stay."""
    if len(points) < 3:
        return points
    kept = {0, len(points) - 1}
    _keep(points, 0, len(points) - 1, tolerance, kept)
    return points[sorted(kept)]


def simplify_ring(points: NDArray[np.float64], tolerance: float) -> NDArray[np.float64]:
    """The same for a closed ring, from its first point and the one furthest from it; at least three points stay."""
    if len(points) < 4:
        return points
    far = int(((points - points[0]) ** 2).sum(axis=1)[1:].argmax()) + 1
    kept = {0, far}
    _keep(points, 0, far, tolerance, kept)
    _keep(points, far, len(points), tolerance, kept)
    if len(kept) < 3:
        distance = _distance(points, points[0], points[far])
        distance[[0, far]] = -1
        kept.add(int(distance.argmax()))
    return points[sorted(kept)]


class Rectangle(NamedTuple):
    """A rectangle whose width runs along (cosine, sine), within 45 degrees of the x axis."""

    center: tuple[float, float]
    width: float
    height: float
    cosine: float
    sine: float

    def corners(self, grow: float = 0.0) -> NDArray[np.float64]:
        """(4, 2): top-left, top-right, bottom-right, bottom-left, with `grow` added to each side."""
        w, h = self.width / 2 + grow, self.height / 2 + grow
        sides = ((-1, -1), (1, -1), (1, 1), (-1, 1))
        return np.array(
            [
                (
                    self.center[0] + sx * w * self.cosine - sy * h * self.sine,
                    self.center[1] + sx * w * self.sine + sy * h * self.cosine,
                )
                for sx, sy in sides
            ]
        )


def convex_hull(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Corners of the convex hull (Andrew 1979)."""
    ordered = sorted({(float(x), float(y)) for x, y in points})
    if len(ordered) < 3:
        return np.array(ordered)

    def chain(sequence: list[tuple[float, float]]) -> list[tuple[float, float]]:
        hull: list[tuple[float, float]] = []
        for p in sequence:
            while len(hull) >= 2:
                (ox, oy), (ax, ay) = hull[-2:]
                if (ax - ox) * (p[1] - oy) - (ay - oy) * (p[0] - ox) > 0:
                    break
                hull.pop()
            hull.append(p)
        return hull[:-1]

    return np.array(chain(ordered) + chain(ordered[::-1]))


def smallest_rectangle(hull: NDArray[np.float64]) -> Rectangle:
    """The rectangle of least area around a convex hull: one side lies on a side of it (Freeman and Shapira 1975)."""
    best, least = Rectangle((0, 0), 0, 0, 1, 0), -1.0
    for a, b in zip(hull, np.roll(hull, -1, axis=0), strict=True):
        d = b - a
        length = float(np.hypot(*d))
        c, s = (float(d[0]) / length, float(d[1]) / length) if length > 0 else (1.0, 0.0)
        u, v = hull[:, 0] * c + hull[:, 1] * s, hull[:, 1] * c - hull[:, 0] * s
        width, height = float(u.max() - u.min()), float(v.max() - v.min())
        if least >= 0 and not width * height < least * (1 - 1e-12):
            continue
        least = width * height
        mu, mv = float(u.max() + u.min()) / 2, float(v.max() + v.min()) / 2
        best = Rectangle((mu * c - mv * s, mu * s + mv * c), width, height, c, s)
    center, width, height, c, s = best
    if abs(s) > abs(c) * (1 + 1e-9):
        width, height, c, s = height, width, -s, c
    if c < 0:
        c, s = -c, -s
    return Rectangle(center, width, height, c, s)
