"""The start of a video from how its camera turned and was pushed: an IMU on the video's clock beside the speeds and headings of a
track.

A camera without a receiver, or whose receiver is not the one that made the track, often has a gyroscope and an accelerometer, and
their samples are on the clock of its pictures. What they say is the same motion as the track's, some seconds apart. Unlike the
solver of drives, this also finds the clock on straight roads, from changes of speed: these are measured twice, by sensors whose
errors have nothing to do with one another. The orientation of the axes need not be known.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["Found", "Motion", "start_of_motion"]

STEP = 0.1  # seconds between the times that are compared
HALF = 0.5  # seconds before and after of which the mean is taken: vibrations are no motion
ALIKE_S = 2.0  # seconds over which what is left over is alike
LEAST_S = 15.0  # seconds that both must have in common
APART_S = 1.5  # further away than that another start is another answer
CLEAR = 8.0  # by how much the logarithm of the likelihood must be below the best there
SURE = 0.3  # seconds: a start that is known less was not found
FLOOR = 0.03  # seconds: what the clocks of sensors and pictures are apart


def _no_samples() -> Floats:
    return np.empty((0, 4))


@dataclass
class Motion:
    """Samples on a video's clock.

    Parameters
    ----------
    gyro, accelerometer : (N, 4) float64
        Seconds since the video's first frame, then three axes.
    """

    gyro: Floats = field(default_factory=_no_samples)
    accelerometer: Floats = field(default_factory=_no_samples)


class Found(NamedTuple):
    """UTC of a video's first frame, and its deviation in seconds."""

    start: float
    sigma: float


def _means(samples: Floats, time: Floats) -> Floats:
    """(T, 3) means of samples around some times."""
    at, values = samples[:, 0], samples[:, 1:4]
    total = np.concatenate([np.zeros((1, 3)), np.cumsum((values[1:] + values[:-1]) / 2 * np.diff(at)[:, None], axis=0)])
    ends = [
        np.column_stack([np.interp(time + side, at, total[:, axis]) for axis in range(3)]) for side in (-HALF, HALF)
    ]
    means: Floats = (ends[1] - ends[0]) / (2 * HALF)
    return means


def _basis(columns: Floats) -> Floats:
    """An orthonormal basis of some columns and a constant."""
    table = np.column_stack([np.ones(len(columns)), columns - columns.mean(axis=0)])
    basis, sizes, _ = np.linalg.svd(table, full_matrices=False)
    kept: Floats = basis[:, sizes > 1e-6 * sizes[0]]
    return kept


def _unexplained(basis: Floats, rows: Floats) -> Floats:
    """For (L, T) series the part of each one's variance that a basis does not explain."""
    centred = rows - rows.mean(axis=1, keepdims=True)
    whole = (centred**2).sum(axis=1)
    left = whole - ((rows @ basis) ** 2).sum(axis=1) + len(basis) * rows.mean(axis=1) ** 2
    return np.where(whole > 1e-12, left / np.maximum(whole, 1e-12), 1.0).clip(1e-4, 1.0)


def start_of_motion(
    motion: Motion,
    moved: Callable[[Floats], tuple[Floats, Floats]],
    covered: tuple[float, float],
    start: float,
    within: float,
) -> Found | None:
    """Find when a video began.

    Parameters
    ----------
    motion : Motion
    moved : callable
        (T,) UTC -> (T,) headings in radians, not wrapped, and (T,) speeds: what a track says.
    covered : (float, float)
        UTC of its ends.
    start : float
        UTC at which it is thought to have begun.
    within : float
        Seconds before and after that are tried.

    Returns
    -------
    Found or None
        None if the motion does not tell: too short, too even, or another start would explain it as well.
    """
    lags = np.arange(-math.floor(within / STEP), math.floor(within / STEP) + 1) * STEP
    cost = np.zeros(len(lags))
    for name, samples in (("turn", motion.gyro), ("push", motion.accelerometer)):
        if len(samples) < 2:
            continue
        first = max(float(samples[0, 0]), covered[0] - start - float(lags[0])) + HALF
        last = min(float(samples[-1, 0]), covered[1] - start - float(lags[-1])) - HALF
        if last - first < LEAST_S:
            continue
        time = np.arange(first, last, STEP)
        # What the track says at all starts that are tried: one long series, of which each lag sees a part.
        whole = np.arange(len(time) + len(lags) - 1) * STEP + first + lags[0] + start
        column = 0 if name == "turn" else 1
        said = (moved(whole + HALF)[column] - moved(whole - HALF)[column]) / (2 * HALF)
        rows = np.lib.stride_tricks.sliding_window_view(said, len(time))
        count = len(time) * STEP / ALIKE_S
        cost += count / 2 * np.log(_unexplained(_basis(_means(samples, time)), rows))
    best = int(np.argmin(cost))
    other = np.abs(lags - lags[best]) > APART_S
    if best in (0, len(lags) - 1) or not other.any() or cost[best] + CLEAR > cost[other].min():
        return None
    left, middle, right = cost[best - 1 : best + 2]
    curvature = (left - 2 * middle + right) / STEP**2
    if curvature <= 0:
        return None
    sigma = math.hypot(1 / math.sqrt(curvature), FLOOR)
    lag = float(lags[best]) - (right - left) / (2 * STEP) / curvature
    return Found(start + lag, sigma) if sigma < SURE else None
