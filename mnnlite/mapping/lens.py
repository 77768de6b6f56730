"""Lenses: from directions to the picture and back, for points, not for frames.

The models are OpenCV's, as its documentation of ``calib3d`` and ``fisheye`` gives them: ``plumb_bob`` (k1, k2, p1, p2, k3;
Brown 1966), ``rational`` (k1, k2, p1, p2, k3, k4, k5, k6) and ``fisheye`` (k1 to k4 over the angle; Kannala and Brandt 2006).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

Floats: TypeAlias = "NDArray[np.float64]"

__all__ = ["COEFFICIENTS", "distort", "fisheye_angle", "fisheye_radius", "undistort"]

COEFFICIENTS = {"plumb_bob": 5, "rational": 8, "fisheye": 4}
STEPS = 20
CLOSE = 1e-9  # of a focal length: a thousandth of a thousandth of a pixel


def distort(points: Floats, coefficients: Sequence[float]) -> Floats:
    """Where ideal points are seen, by ``plumb_bob`` or ``rational``.

    Parameters
    ----------
    points : (N, 2) float64
        x / z and y / z of directions.
    coefficients : sequence of float
        5 or 8 of them.

    Returns
    -------
    (N, 2) float64
        NaN beyond the radius up to which the model grows: there it folds back into the picture what is out of view.
    """
    with np.errstate(all="ignore"):
        seen, slope = _distorted(points[:, 0], points[:, 1], coefficients)
        seen[~_grows(slope)] = np.nan
    return seen


def _grows(slope: Floats) -> NDArray[np.bool_]:
    """Whether both principal values of (N, 2, 2) symmetric slopes are above 0."""
    determinant = slope[:, 0, 0] * slope[:, 1, 1] - slope[:, 0, 1] * slope[:, 1, 0]
    positive: NDArray[np.bool_] = (determinant > 0) & (slope[:, 0, 0] + slope[:, 1, 1] > 0)
    return positive


def _distorted(x: Floats, y: Floats, coefficients: Sequence[float]) -> tuple[Floats, Floats]:
    """The points, and the (N, 2, 2) slope there."""
    k1, k2, p1, p2, k3, k4, k5, k6 = (*coefficients, 0.0, 0.0, 0.0)[:8]
    r2 = x * x + y * y
    above, below = 1 + r2 * (k1 + r2 * (k2 + r2 * k3)), 1 + r2 * (k4 + r2 * (k5 + r2 * k6))
    radial = above / below
    # By r2:
    change = ((k1 + r2 * (2 * k2 + 3 * r2 * k3)) - radial * (k4 + r2 * (2 * k5 + 3 * r2 * k6))) / below
    seen = np.stack(
        [
            x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x),
            y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y,
        ],
        axis=1,
    )
    slope = np.empty((len(x), 2, 2))
    slope[:, 0, 0] = radial + 2 * x * x * change + 2 * p1 * y + 6 * p2 * x
    slope[:, 0, 1] = slope[:, 1, 0] = 2 * x * y * change + 2 * p1 * x + 2 * p2 * y
    slope[:, 1, 1] = radial + 2 * y * y * change + 6 * p1 * y + 2 * p2 * x
    return seen, slope


def undistort(points: Floats, coefficients: Sequence[float]) -> Floats:
    """Invert `distort` by Newton's method.

    Parameters
    ----------
    points : (N, 2) float64
        As seen.
    coefficients : sequence of float

    Returns
    -------
    (N, 2) float64
        NaN for what no direction is seen at: beyond the radius up to which the model grows.
    """
    ideal = points.copy()
    with np.errstate(all="ignore"):
        for _ in range(STEPS):
            seen, slope = _distorted(ideal[:, 0], ideal[:, 1], coefficients)
            off = points - seen
            if not (np.abs(off) > CLOSE).any():
                break
            determinant = slope[:, 0, 0] * slope[:, 1, 1] - slope[:, 0, 1] * slope[:, 1, 0]
            ideal[:, 0] += (slope[:, 1, 1] * off[:, 0] - slope[:, 0, 1] * off[:, 1]) / determinant
            ideal[:, 1] += (slope[:, 0, 0] * off[:, 1] - slope[:, 1, 0] * off[:, 0]) / determinant
        seen, slope = _distorted(ideal[:, 0], ideal[:, 1], coefficients)
        good = (np.abs(points - seen) < 1e-6).all(axis=1) & _grows(slope)
    ideal[~good] = np.nan
    return ideal


def fisheye_radius(angle: Floats, coefficients: Sequence[float]) -> Floats:
    """Distance from the principal point, in focal lengths, of what is `angle` radians off the optical axis."""
    k1, k2, k3, k4 = coefficients
    square = angle * angle
    grown: Floats = angle * (1 + square * (k1 + square * (k2 + square * (k3 + square * k4))))
    return grown


def fisheye_angle(radius: Floats, coefficients: Sequence[float]) -> Floats:
    """Invert `fisheye_radius`; NaN beyond the angle up to which it grows, and beyond 180 degrees."""
    k1, k2, k3, k4 = coefficients
    angle = radius.copy()
    with np.errstate(all="ignore"):
        for _ in range(STEPS):
            square = angle * angle
            slope = 1 + square * (3 * k1 + square * (5 * k2 + square * (7 * k3 + 9 * k4 * square)))
            off = radius - fisheye_radius(angle, coefficients)
            if not (np.abs(off) > CLOSE).any():
                break
            angle = angle + off / slope
        square = angle * angle
        slope = 1 + square * (3 * k1 + square * (5 * k2 + square * (7 * k3 + 9 * k4 * square)))
        good = (np.abs(radius - fisheye_radius(angle, coefficients)) < 1e-6) & (slope > 0) & (np.abs(angle) < np.pi)
    angle[~good] = np.nan
    return angle
