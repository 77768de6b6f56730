"""The rate at which a vehicle turns, from an IMU that is mounted in any orientation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mnnlite.mapping.logs import Log

    Floats = NDArray[np.float64]

__all__ = ["clockwise"]

COVERED = 0.5  # seconds: further from a sample nothing is said of the rate


def clockwise(log: Log, time: Floats, course: Floats) -> Floats:
    """Mean rates of turn around each of some times, in radians per second clockwise as seen from above; NaN without a gyroscope.

    What is up the accelerometer says: over a drive the mean of what it measures is what holds the vehicle against gravity. If
    the rates then turn against the courses that GNSS says, the axes were left-handed or the sign of the accelerometer another,
    and the sign is changed.

    Parameters
    ----------
    log : Log
    time : (N,) float64
        UTC.
    course : (N,) float64
        Radians, NaN where not known.
    """
    if len(log.gyro) < 2:
        return np.full(len(time), np.nan)
    up = np.array([0.0, 0.0, 1.0])
    if len(log.accelerometer):
        mean = log.accelerometer[:, 1:].mean(axis=0)
        if np.linalg.norm(mean) > 1:
            up = mean / np.linalg.norm(mean)
    at, rate = log.gyro[:, 0], -log.gyro[:, 1:] @ up
    turned = np.concatenate([[0.0], np.cumsum((rate[1:] + rate[:-1]) / 2 * np.diff(at))])
    edges = np.concatenate([[time[0]], (time[1:] + time[:-1]) / 2, [time[-1]]])
    width = np.maximum(np.diff(edges), 1e-3)
    rates = np.diff(np.interp(edges, at, turned)) / width
    near = np.abs(at[np.searchsorted(at, time).clip(0, len(at) - 1)] - time)
    near = np.minimum(near, np.abs(at[(np.searchsorted(at, time) - 1).clip(0)] - time))
    rates[near > COVERED] = np.nan
    signed: Floats = rates * _sign(time, course, rates)
    return signed


def _sign(time: Floats, course: Floats, rates: Floats) -> float:
    known = np.flatnonzero(np.isfinite(course))
    if len(known) < 10:
        return 1.0
    seconds = np.diff(time[known])
    said = ((np.diff(course[known]) + np.pi) % (2 * np.pi) - np.pi) / seconds
    turned = np.concatenate([[0.0], np.cumsum(np.nan_to_num(rates[1:]) * np.diff(time))])
    measured = np.diff(turned[known]) / seconds
    good = (seconds < 2) & (np.abs(said) < 1.0)
    if good.sum() < 10 or said[good].std() < 0.01:
        return 1.0
    return -1.0 if np.corrcoef(said[good], measured[good])[0, 1] < -0.3 else 1.0
