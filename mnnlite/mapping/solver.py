"""Pass 2 of a map: the places of all things, and with them how the camera really looks, by least squares over the drive.

Each thing is seen from many places. What its boxes say (two directions and, where its usual size is known, a distance; that
things on the ground are on the ground) is explained by its place, by a few quantities of its own (how its size differs from
the usual one, by how much heading, pitch and metres driven were off while it was passed) and by those of the whole drive: the
camera's yaw, pitch and height, and the clock. Those of its own are eliminated thing by thing (Schur's complement; Triggs et
al. 2000, "Bundle adjustment: a modern synthesis"), so an hour's drive is one small system. Residuals beyond `HUBER`
deviations pull no harder than that (Huber 1964); once all is near its place, those beyond `WRONG` pull less the further they
are: a box of something else, or of a part, is no observation.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from mnnlite.mapping.equations import CLOCK, HEIGHT, PITCH, ROLL, SHARED, YAW, Equations, Things, turns_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mnnlite.mapping.camera import Camera
    from mnnlite.mapping.measurements import Measurements
    from mnnlite.mapping.views import Boxes, Views

    Floats = NDArray[np.float64]

__all__ = ["CLOCK", "HEIGHT", "PITCH", "ROLL", "SHARED", "YAW", "Globals", "Solution", "Thing", "solve"]

ROUNDS, ALONE, SETTLED = 9, 2, 5  # steps; how many of them things take alone, and from which on wrong boxes are told
STEPS = np.array([0.02, 0.02, 0.02, 0.1, 0.3])  # radians, metres, seconds: by which one step may change the drive's
FAR = 250.0  # metres: no thing of a road is seen further away
BENDS, SURE = 0.5, 0.1  # radians turned and deviation in seconds with which a clock counts as found


@dataclass
class Globals:
    """What holds for the whole drive, and how well: yaw, pitch and roll in radians, height in metres, the clock in seconds.

    Parameters
    ----------
    value : (5,) float64
        To be added to the mounting's yaw, pitch, roll and height, and to the time of each frame.
    prior : (5,) float64
        Deviations before the drive.
    covariance : (5, 5) float64
    before : (5,) float64
        What has been added already: the prior holds for the sum.
    """

    value: Floats
    prior: Floats
    covariance: Floats
    before: Floats

    @property
    def sigma(self) -> Floats:
        """(5,) deviations."""
        deviations: Floats = np.sqrt(np.diag(self.covariance))
        return deviations


@dataclass
class Thing:
    """A thing that stands somewhere: rows of its boxes, and its place in the plane of the track.

    Parameters
    ----------
    rows : (K,) int64
    place : (3,) float64
    covariance : (3, 3) float64
        Relative to the vehicle when it was seen last, with the whole drive's quantities, without the track's own error.
    stretch : float
        Logarithm of its size by the usual one.
    own : (3, 3) float64
        The same without the whole drive's quantities.
    misfit : float
        Root mean square of its residuals, in deviations.
    """

    rows: NDArray[np.int64]
    place: Floats
    stretch: float = 0.0
    covariance: Floats = field(default_factory=lambda: np.eye(3))
    own: Floats = field(default_factory=lambda: np.eye(3))
    misfit: float = 0.0
    far: bool = False


@dataclass
class Solution:
    """Things and the whole drive's quantities; how much a box is off, against `PIXELS`, and alike from frame to frame."""

    things: list[Thing]
    drive: Globals
    scale: float
    alike: float


def _first_place(equations: Equations, rows: NDArray[np.int64], turn: Floats) -> Floats:
    """From the nearest box: where its size, the ground, or else 20 metres put it."""
    boxes, views, above = equations.boxes, equations.views, equations.camera.mounting.height
    row = int(rows[np.argmax(boxes.size[rows, 1])])
    frame = int(equations.given.owner[row])
    body = np.append(equations.point[row], 1.0) @ turn
    if equations.size[row] > 0:
        depth = equations.size[row] / max(float(boxes.size[row, 1]), 1e-4)
    elif equations.ground[row]:
        depth = above / max(-float(body[2]), above / 80)
    else:
        depth = 20.0
    place: Floats = views.origin[frame] + views.turn[frame].T @ (body * min(depth, 120.0))
    return place


def solve(
    given: Measurements,
    views: Views,
    boxes: Boxes,
    camera: Camera,
    tracks: list[NDArray[np.int64]],
    clock_sigma: float,
    level: tuple[Floats, Floats] | None = None,
    before: Floats | None = None,
) -> Solution:
    """Place all things and find the drive's quantities.

    Parameters
    ----------
    given, views, boxes, camera
        What was measured, from where.
    tracks : list of (K,) int64
        Rows of the boxes of each thing, in time.
    clock_sigma : float
        Deviation of the video's start, in seconds.
    level : (2,) and (2,) float64, optional
        Yaw and pitch to be added to the mounting's that vanishing points say, in radians, and their deviations.
    before : (5,) float64, optional
        What has been added already to what was known before the drive: priors hold for the sum.
    """
    mounting = camera.mounting
    prior = np.array(
        [
            math.radians(mounting.yaw_sigma),
            math.radians(mounting.pitch_sigma),
            math.radians(mounting.roll_sigma),
            mounting.height_sigma,
            clock_sigma,
        ]
    ).clip(1e-6, 10.0)
    equations = Equations(given, views, boxes, camera)
    turn = turns_of(camera, np.zeros(SHARED))[0]
    rows = [each for each in tracks if len(each) >= 2]
    count = len(rows)
    places = np.array([_first_place(equations, each, turn) for each in rows]).reshape(count, 3)
    things = Things(rows, places, np.zeros(count), np.zeros((count, 3)), np.zeros(count), np.zeros(count, bool))
    drive = Globals(np.zeros(SHARED), prior, np.diag(prior**2), np.zeros(SHARED) if before is None else before)
    seconds = np.gradient(views.utc).clip(0, 1) if len(views.utc) > 1 else np.zeros(1)
    bends = float((np.abs(views.rate) * seconds).sum()) > BENDS
    for index in range(ROUNDS):
        reduced = _Reduced(equations, things, drive, level, bends)
        # At first things are anywhere, and would pull the camera with them.
        drive = _step(equations, things, drive, reduced, STEPS if index >= ALONE else np.zeros(SHARED))
        if index in (1, 3):
            _judge(equations, things, drive)
        equations.settled = index + 1 >= SETTLED
    reduced = _Reduced(equations, things, drive, level, bends)
    drive = Globals(drive.value, drive.prior, reduced.covariance, drive.before)
    return Solution(_things(things, reduced), drive, equations.scale, equations.alike)


def _judge(equations: Equations, things: Things, drive: Globals) -> None:
    """Learn from what is left over how much boxes are off, and how alike that is from frame to frame."""
    squares, products, pairs = [], [], []
    for numbers, starts, residual in equations.residuals(things, drive.value):
        for far, rest in zip(things.far[numbers].tolist(), np.split(residual[:, :2], starts[1:]), strict=True):
            if len(rest) >= 8 and not far:
                squares.append(np.median(rest**2) / 0.455)
                products.append(float((rest[1:] * rest[:-1]).sum()))
                pairs.append(float((rest**2).sum()))
    if len(squares) >= 5:
        equations.scale = float(np.clip(equations.scale * math.sqrt(np.median(squares)), 0.3, 4.0))
        equations.alike = float(np.clip(sum(products) / max(sum(pairs), 1e-9) + 0.05, 0.2, 0.9))


class _Reduced:
    """The drive's equations without what is a thing's own, and the covariance that follows."""

    def __init__(
        self, equations: Equations, things: Things, drive: Globals, level: tuple[Floats, Floats] | None, bends: bool
    ) -> None:
        self.information = np.diag(1 / drive.prior**2)
        self.gradient = -(drive.value + drive.before) / drive.prior**2
        if level is not None:
            for index in (YAW, PITCH):
                weight = 1 / level[1][index] ** 2
                self.information[index, index] += weight
                self.gradient[index] += weight * (level[0][index] - drive.value[index])
        sums = equations.sums(things, drive.value)
        number = np.arange(3)
        sums.own[:, number, number] += 1e-4  # nobody is further away than a hundred metres from where we guess
        self.inverse: Floats = np.asarray(np.linalg.inv(sums.own), np.float64)
        self.lever = self.inverse @ sums.crossed  # how a thing's own follow the drive's
        self.change = np.einsum("nij,nj->ni", self.inverse, sums.own_gradient)
        told = (things.misfit < 4) & ~things.far
        crossed = sums.crossed[told].transpose(0, 2, 1)
        self.information += (sums.shared[told] - crossed @ self.lever[told]).sum(axis=0)
        self.gradient += (sums.shared_gradient[told] - np.einsum("nij,nj->ni", crossed, self.change[told])).sum(axis=0)
        self.covariance: Floats = np.asarray(np.linalg.inv(self.information), np.float64)
        if not bends or self.covariance[CLOCK, CLOCK] > SURE**2:
            # Not observable: it stays what was said, as uncertain as it was. What the differences of smoothed speeds seem to
            # say of it on a straight road is their noise.
            self.information[CLOCK, :] = self.information[:, CLOCK] = 0
            self.information[CLOCK, CLOCK], self.gradient[CLOCK] = 1 / drive.prior[CLOCK] ** 2, 0
            self.covariance = np.asarray(np.linalg.inv(self.information), np.float64)


def _step(equations: Equations, things: Things, drive: Globals, reduced: _Reduced, steps: Floats) -> Globals:
    """One step of Gauss and Newton for everything; what is the drive's moves by `steps` at most."""
    step = (reduced.covariance @ reduced.gradient).clip(-steps, steps)
    frame = equations.given.owner[[int(rows[-1]) for rows in things.rows]]
    away = np.linalg.norm(things.place - equations.views.origin[frame], axis=1)
    moved = np.linalg.norm(reduced.change[:, :3], axis=1)
    limit = np.minimum(1.0, np.maximum(0.5 * away, 2.0) / np.maximum(moved, 1e-9))
    change = reduced.change * limit[:, None] - reduced.lever @ step
    things.place = things.place + change[:, :3]
    things.stretch = (things.stretch + change[:, 3]).clip(-1.5, 1.5)
    things.nuisance = things.nuisance + change[:, 4:]
    things.far = away > FAR
    return Globals(drive.value + step, drive.prior, reduced.covariance, drive.before)


def _things(things: Things, reduced: _Reduced) -> list[Thing]:
    """The things with what their places are good for."""
    # What is left unexplained says how well the rest is known (Birge 1932): a thing that others hide in part, or whose boxes are
    # of two, is known less well than its boxes say.
    own = (reduced.inverse * (np.maximum(1.0, things.misfit) ** 2)[:, None, None])[:, :3, :3]
    lever = reduced.lever[:, :3]
    covariance = own + lever @ reduced.covariance @ lever.transpose(0, 2, 1)
    columns = (
        things.rows,
        things.place,
        things.stretch.tolist(),
        covariance,
        own,
        things.misfit.tolist(),
        things.far.tolist(),
    )
    return [Thing(*each) for each in zip(*columns, strict=True)]
