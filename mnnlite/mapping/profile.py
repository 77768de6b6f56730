"""Height and grade of the road along a drive, by a separate filter, forwards and backwards."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["Profile", "profile"]

GRADE, GRADE_M = 0.04, 80.0  # usual grade of a road, and over how many metres it stays
WORSE = 1.6  # heights of GNSS are so much worse than places
SPACING = 1.0  # metres; more than enough for roads, and parked cars make no nodes


@dataclass
class Profile:
    """Height and grade by metres driven.

    Parameters
    ----------
    way : (N,) float64
        Metres driven.
    height, grade : (N,) float64
        Metres; metres up per metre.
    height_sigma, grade_sigma : (N,) float64
    """

    way: Floats
    height: Floats
    grade: Floats
    height_sigma: Floats
    grade_sigma: Floats

    def at(self, way: Floats) -> tuple[Floats, Floats, Floats, Floats]:
        """Height, grade and their deviations after some metres of the drive."""
        columns = (self.height, self.grade, self.height_sigma, self.grade_sigma)
        height, grade, height_sigma, grade_sigma = (np.interp(way, self.way, column) for column in columns)
        return height, grade, height_sigma, grade_sigma


def profile(way: Floats, height: Floats, white: float, common: float, metres_of_common: float) -> Profile:
    """Smooth heights that were measured after `way` metres.

    Parameters
    ----------
    way, height : (N,) float64
        Metres driven, not falling; heights may be NaN.
    white, common : float
        Deviation of a height that is independent, and the deviation that nearby heights share.
    metres_of_common : float
        Over how many metres heights share the latter.
    """
    stations = np.unique(np.round(np.append(way, [way[0], way[-1]]) / SPACING))
    known = np.isfinite(height)
    if not known.any():
        zero = np.zeros(len(stations))
        return Profile(stations * SPACING, zero, zero, zero + np.inf, zero + GRADE)
    bins = np.searchsorted(stations, np.round(way[known] / SPACING)).clip(0, len(stations) - 1)
    counts = np.bincount(bins, minlength=len(stations))
    sums = np.bincount(bins, height[known], minlength=len(stations))
    first = float(height[known][0])
    state, covariance = np.array([first, 0.0, 0.0]), np.diag([25.0, GRADE**2, common**2])
    count = len(stations)
    states, covariances = np.empty((count, 3)), np.empty((count, 3, 3))
    predicted, before, slopes = np.empty((count, 3)), np.empty((count, 3, 3)), np.empty((count, 3, 3))
    row = np.array([1.0, 0.0, 1.0])
    for index in range(count):
        slope = np.eye(3)
        if index:
            metres = float(stations[index] - stations[index - 1]) * SPACING
            kept, stays = np.exp(-metres / GRADE_M), np.exp(-metres / metres_of_common)
            slope = np.array([[1.0, metres, 0.0], [0.0, kept, 0.0], [0.0, 0.0, stays]])
            rate = 2 * GRADE**2 / GRADE_M
            noise = np.zeros((3, 3))
            noise[:2, :2] = rate * np.array([[metres**3 / 3, metres**2 / 2], [metres**2 / 2, metres]])
            noise[2, 2] = common**2 * (1 - stays**2)
            state = slope @ state
            covariance = slope @ covariance @ slope.T + noise
        predicted[index], before[index], slopes[index] = state, covariance, slope
        if counts[index]:
            crossed = covariance @ row
            gain = crossed / (row @ crossed + white**2 / counts[index])
            state = state + gain * (sums[index] / counts[index] - row @ state)
            covariance = covariance - np.outer(gain, crossed)
        states[index], covariances[index] = state, covariance
    for index in range(count - 2, -1, -1):
        gain = np.linalg.solve(before[index + 1], slopes[index + 1] @ covariances[index]).T
        states[index] += gain @ (states[index + 1] - predicted[index + 1])
        covariances[index] += gain @ (covariances[index + 1] - before[index + 1]) @ gain.T
    sigmas = np.sqrt(np.maximum(covariances[:, [0, 1], [0, 1]], 0))
    return Profile(stations * SPACING, states[:, 0], states[:, 1], sigmas[:, 0], sigmas[:, 1])
