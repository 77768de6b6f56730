"""Where a vehicle was and how it stood at any time of a drive, with covariance: a Kalman filter forwards, then backwards.

The state is x and y in metres (east, north), heading in radians clockwise from north, speed, rate of turn, acceleration, the
bias of the gyroscope, and the slowly varying error of the receiver in x and y. That last part (a Gauss-Markov process, with
`correlation_s`) is what makes the answer honest: ten positions a second are not ten opinions on where the car is, but they do
tell well how it moved. The backward pass is that of Rauch, Tung and Striebel (1965). Parked, nothing turns or moves.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["Measured", "Smoothed", "smooth"]

X, Y, HEADING, SPEED, TURN, ACCELERATION, BIAS, EAST, NORTH = range(9)
SIZE = 9
# Usual accelerations along the road and rates of turn, with the time that each lasts; a bend's rate of turn is bounded by the
# acceleration across that people bear, so by their speed.
PUSH, PUSH_S = 1.2, 2.0  # m/s^2
SWERVE, SWERVE_S, SWERVE_MOST = 2.5, 2.0, 0.5  # m/s^2 across, s, rad/s
DRIFT = 1e-5  # rad/s per root second: of the gyroscope's bias
GATE = 25.0  # squared Mahalanobis distance that no honest position has
LOST = 8  # positions in a row beyond the gate: then it is we who are wrong
STILL = 0.25  # m/s: what a receiver says of a parked car, and below


@dataclass
class Measured:
    """What is known at the nodes of the filter; NaN where nothing is.

    Parameters
    ----------
    time : (N,) float64
        Seconds, growing.
    place : (N, 2) float64
        Metres.
    place_sigma : (N,) float64
        White part of its error, per axis.
    speed, speed_sigma : (N,) float64
    course, course_sigma : (N,) float64
        Radians.
    turn : (N,) float64
        Of a gyroscope, radians per second clockwise.
    turn_sigma : float
    common : float
        Standard deviation of the slow part of the receiver's error, per axis, in metres.
    correlation_s : float
    """

    time: Floats
    place: Floats
    place_sigma: Floats
    speed: Floats
    speed_sigma: Floats
    course: Floats
    course_sigma: Floats
    turn: Floats
    turn_sigma: float
    common: float
    correlation_s: float


@dataclass
class Smoothed:
    """States and covariances at the nodes, and which positions were believed."""

    time: Floats
    state: Floats
    covariance: Floats
    rejected: NDArray[np.bool_]
    white: float  # by how much the positions' white part was off what was said, as a factor


def _noise(seconds: float, speed: float, heading: float) -> Floats:
    """Covariance that the pushes along and across add in a step."""
    t2, t3, t4, t5 = seconds**2, seconds**3, seconds**4, seconds**5
    chain = np.array(
        [[t5 / 20, t4 / 8, t3 / 6], [t4 / 8, t3 / 3, t2 / 2], [t3 / 6, t2 / 2, seconds]]
    )  # of place, its rate, and the rate's rate
    still = min(1.0, abs(speed))
    along = chain * (2 * PUSH**2 / PUSH_S)
    rate = min(SWERVE_MOST, SWERVE / max(abs(speed), 1.0)) * still
    lever = np.array([speed, 1.0, 1.0])
    across = chain * (2 * rate**2 / SWERVE_S) * np.outer(lever, lever)
    noise = np.zeros((SIZE, SIZE))
    c, s = math.cos(heading), math.sin(heading)
    noise[X, X] = s * s * along[0, 0] + c * c * across[0, 0]
    noise[Y, Y] = c * c * along[0, 0] + s * s * across[0, 0]
    noise[X, Y] = noise[Y, X] = s * c * (along[0, 0] - across[0, 0])
    for index, (column, part) in enumerate(((SPEED, along[0, 1]), (ACCELERATION, along[0, 2]))):
        noise[X, column] = noise[column, X] = s * part
        noise[Y, column] = noise[column, Y] = c * part
        noise[column, column] = along[index + 1, index + 1]
    noise[SPEED, ACCELERATION] = noise[ACCELERATION, SPEED] = along[1, 2]
    for index, (column, part) in enumerate(((HEADING, across[0, 1]), (TURN, across[0, 2]))):
        noise[X, column] = noise[column, X] = c * part
        noise[Y, column] = noise[column, Y] = -s * part
        noise[column, column] = across[index + 1, index + 1]
    noise[HEADING, TURN] = noise[TURN, HEADING] = across[1, 2]
    noise[BIAS, BIAS] = DRIFT**2 * seconds
    return noise


def _step(state: Floats, seconds: float, correlation_s: float) -> tuple[Floats, Floats]:
    """The state after some seconds without pushes, and the slope of that."""
    moved = state.copy()
    slope = np.eye(SIZE)
    speed, turn, push = float(state[SPEED]), float(state[TURN]), float(state[ACCELERATION])
    heading = float(state[HEADING]) + turn * seconds / 2
    way = speed * seconds + push * seconds**2 / 2
    s, c = math.sin(heading), math.cos(heading)
    moved[X] += way * s
    moved[Y] += way * c
    moved[HEADING] += turn * seconds
    moved[SPEED] += push * seconds
    slope[X, HEADING], slope[X, TURN] = way * c, way * c * seconds / 2
    slope[Y, HEADING], slope[Y, TURN] = -way * s, -way * s * seconds / 2
    slope[X, SPEED], slope[X, ACCELERATION] = seconds * s, seconds**2 / 2 * s
    slope[Y, SPEED], slope[Y, ACCELERATION] = seconds * c, seconds**2 / 2 * c
    slope[HEADING, TURN] = slope[SPEED, ACCELERATION] = seconds
    for index, lasts in ((TURN, SWERVE_S), (ACCELERATION, PUSH_S), (EAST, correlation_s), (NORTH, correlation_s)):
        kept = math.exp(-seconds / lasts)
        moved[index] *= kept
        slope[index, index] = kept
    return moved, slope


def _wrapped(angle: float) -> float:
    return (angle + math.pi) % (2 * math.pi) - math.pi


class _Filter:
    def __init__(self, measured: Measured, white: float) -> None:
        self.given = measured
        self.white = white
        count = len(measured.time)
        self.states = np.empty((count, SIZE))
        self.covariances = np.empty((count, SIZE, SIZE))
        self.predicted = np.empty((count, SIZE))
        self.predicted_covariances = np.empty((count, SIZE, SIZE))
        self.slopes = np.empty((count, SIZE, SIZE))
        self.rejected = np.zeros(count, bool)
        self.surprises: list[tuple[float, float, float]] = []  # squared, expected, and the white part in it
        self._beyond = 0

    def forwards(self) -> None:
        given = self.given
        state, covariance = self._begin()
        common = given.common**2
        for index, time in enumerate(given.time):
            slope = np.eye(SIZE)
            if index:
                seconds = float(time - given.time[index - 1])
                state, slope = _step(state, seconds, given.correlation_s)
                covariance = slope @ covariance @ slope.T + _noise(seconds, float(state[SPEED]), float(state[HEADING]))
                kept = math.exp(-2 * seconds / given.correlation_s)
                covariance[EAST, EAST] += common * (1 - kept)
                covariance[NORTH, NORTH] += common * (1 - kept)
            self.predicted[index], self.predicted_covariances[index], self.slopes[index] = state, covariance, slope
            state, covariance = self._update(index, state, covariance)
            self.states[index], self.covariances[index] = state, covariance

    def _begin(self) -> tuple[Floats, Floats]:
        given = self.given
        known = np.flatnonzero(np.isfinite(given.place[:, 0]))
        state = np.zeros(SIZE)
        state[[X, Y]] = given.place[known[0]]
        heading, doubt = _first_heading(given, known)
        state[HEADING] = heading
        speeds = given.speed[np.isfinite(given.speed)]
        if len(speeds):
            state[SPEED] = speeds[0]
        elif len(known) > 1:
            a, b = known[0], known[min(len(known) - 1, 5)]
            state[SPEED] = np.hypot(*(given.place[b] - given.place[a])) / max(given.time[b] - given.time[a], 0.1)
        deviations = [10.0, 10.0, doubt, 3.0, 0.2, 1.5, 0.02, given.common, given.common]
        return state, np.diag(np.square(deviations))

    def _update(self, index: int, state: Floats, covariance: Floats) -> tuple[Floats, Floats]:
        given = self.given
        slopes, offs, variances = [], [], []
        if np.isfinite(given.place[index, 0]):
            white = (given.place_sigma[index] * self.white) ** 2
            off = given.place[index] - state[[X, Y]] - state[[EAST, NORTH]]
            rows = np.zeros((2, SIZE))
            rows[0, X] = rows[0, EAST] = rows[1, Y] = rows[1, NORTH] = 1
            expected = rows @ covariance @ rows.T + np.eye(2) * white
            squared = float(off @ np.linalg.solve(expected, off))
            if squared > GATE and self._beyond < LOST:
                self._beyond += 1
                self.rejected[index] = True
            else:
                if squared > GATE:  # the receiver's error has jumped: believe it anew
                    for each in (EAST, NORTH):
                        covariance[each, :] = covariance[:, each] = 0
                        covariance[each, each] = float(off @ off) + given.common**2
                else:
                    self.surprises.append((float(off @ off) / 2, float(np.trace(expected)) / 2, white))
                self._beyond = 0
                slopes += [rows[0], rows[1]]
                offs += off.tolist()
                variances += [white, white]
        speed = given.speed[index]
        if np.isfinite(speed):
            row = np.zeros(SIZE)
            row[SPEED] = 1 if state[SPEED] > -1 else -1
            slopes.append(row)
            still = speed < STILL
            offs.append((0.0 if still else speed) - row[SPEED] * state[SPEED])
            variances.append(0.05**2 if still else given.speed_sigma[index] ** 2)
            if still:  # a parked car neither turns nor pushes
                for each in (TURN, ACCELERATION):
                    row = np.zeros(SIZE)
                    row[each] = 1
                    slopes.append(row)
                    offs.append(-state[each])
                    variances.append(0.003**2 if each == TURN else 0.05**2)
        if np.isfinite(given.course[index]) and state[SPEED] > 0.5:
            off_course = _wrapped(given.course[index] - state[HEADING])
            variance = given.course_sigma[index] ** 2
            if off_course**2 < GATE * (variance + covariance[HEADING, HEADING]):
                row = np.zeros(SIZE)
                row[HEADING] = 1
                slopes.append(row)
                offs.append(off_course)
                variances.append(variance)
        if np.isfinite(given.turn[index]):
            row = np.zeros(SIZE)
            row[TURN] = row[BIAS] = 1
            slopes.append(row)
            offs.append(given.turn[index] - state[TURN] - state[BIAS])
            variances.append(given.turn_sigma**2)
        if not slopes:
            return state, covariance
        matrix = np.array(slopes)
        crossed = covariance @ matrix.T
        gain = np.linalg.solve(matrix @ crossed + np.diag(variances), crossed.T).T
        state = state + gain @ np.array(offs)
        left = np.eye(SIZE) - gain @ matrix
        return state, left @ covariance @ left.T + (gain * np.array(variances)) @ gain.T

    def backwards(self) -> None:
        for index in range(len(self.states) - 2, -1, -1):
            ahead = self.predicted_covariances[index + 1]
            gain = np.linalg.solve(ahead, self.slopes[index + 1] @ self.covariances[index]).T
            self.states[index] += gain @ (self.states[index + 1] - self.predicted[index + 1])
            self.covariances[index] += gain @ (self.covariances[index + 1] - ahead) @ gain.T


def _first_heading(given: Measured, known: NDArray[np.intp]) -> tuple[float, float]:
    """The heading in which it drives off, and how far that may be off."""
    courses = np.flatnonzero(np.isfinite(given.course) & ~(given.speed < 2.0))
    places = given.place[known]
    gone = np.hypot(*(places - places[0]).T)
    if len(courses):
        after = float(gone[np.searchsorted(known, courses[0]).clip(0, len(known) - 1)])
        return float(given.course[courses[0]]), 0.1 + min(after / 20, 0.5)
    moved = np.flatnonzero(gone > 8.0)
    if not len(moved):
        return 0.0, math.pi  # it never moved: no heading is known
    east, north = places[moved[0]] - places[0]
    return math.atan2(east, north), 0.5


def smooth(measured: Measured) -> Smoothed:
    """Run the filter both ways, twice where the positions scatter otherwise than was said.

    Parameters
    ----------
    measured : Measured

    Returns
    -------
    Smoothed
    """
    white = 1.0
    run = _Filter(measured, white)
    run.forwards()
    if len(run.surprises) >= 30:
        squared, expected, part = np.array(run.surprises[10:]).T  # at first nothing is known, so nothing surprises
        # Median of a chi-square with two degrees of freedom, halved: robust against what is not Gaussian.
        ratio = float(np.median(squared / expected)) / 0.693
        left = float(np.median(expected - part))
        variance = max(ratio * float(np.median(expected)) - left, 0.0)
        factor = math.sqrt(variance / float(np.median(part)))
        white = min(max(factor, 0.3), 10.0)
        if not 0.8 < white < 1.25:
            run = _Filter(measured, white)
            run.forwards()
    run.backwards()
    return Smoothed(measured.time, run.states, run.covariances, run.rejected, white)
