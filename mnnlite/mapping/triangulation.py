"""Places an object that was seen from several places, from bearings and its size."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["triangulate"]

STEPS = 12


def triangulate(
    origins: Floats, rays: Floats, sigmas: Floats, ranges: Floats, doubt: float = 0.2
) -> tuple[Floats, Floats]:
    """Find the place that explains all bearings best, by least squares (Gauss-Newton) over angles.

    A Kalman filter over places cannot do that: if the range is hardly known, every line of sight passes through the camera,
    and the filter ends there. Least squares over angles do not have that solution.

    Parameters
    ----------
    origins : (N, 3) float64
        Places of the camera, in metres.
    rays : (N, 3) float64
        Unit vectors from there to the object.
    sigmas : (N,) float64
        Standard deviations of the bearings, in radians.
    ranges : (N,) float64
        Distances in metres that follow from the object's size in the picture. All are wrong by the same factor, so together
        they count as one measurement.
    doubt : float
        Standard deviation of that factor's logarithm.

    Returns
    -------
    place : (3,) float64
    covariance : (3, 3) float64
        Covariance of the place, in metres squared.
    """
    nearest = int(np.argmin(ranges))
    place = origins[nearest] + rays[nearest] * ranges[nearest]
    information = np.eye(3)
    for _ in range(STEPS):
        off = place - origins
        distance = np.maximum(np.linalg.norm(off, axis=1), 0.1)
        seen = off / distance[:, None]  # where the object would be seen, if it were there
        across = seen - np.einsum("ij,ij->i", seen, rays)[:, None] * rays  # the sine of the angle to where it was seen
        weight = 1 / (sigmas * sigmas)
        # A direction changes only by what is across it: the projection that takes off the rest is the slope of `seen`.
        scaled = weight / distance**2
        information = np.eye(3) * scaled.sum() - np.einsum("i,ij,ik->jk", scaled, seen, seen)
        turning = across - np.einsum("ij,ij->i", across, seen)[:, None] * seen
        gradient = ((weight / distance)[:, None] * turning).sum(axis=0)
        slope = (off / distance[:, None] ** 2).mean(axis=0)
        information += np.outer(slope, slope) / doubt**2
        gradient += slope * float(np.log(distance / ranges).mean()) / doubt**2
        step = -np.linalg.solve(information, gradient)
        # Not further than half the way to the nearest camera: the angles are not linear beyond.
        place = place + step * min(1.0, 0.5 * float(distance.min()) / max(float(np.linalg.norm(step)), 1e-12))
        if float(np.linalg.norm(step)) < 1e-4:
            break
    return place, np.asarray(np.linalg.inv(information), np.float64)
