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
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mnnlite.mapping.camera import Camera
    from mnnlite.mapping.measurements import Measurements
    from mnnlite.mapping.views import Boxes, Views

    Floats = NDArray[np.float64]

__all__ = ["Globals", "Solution", "Thing", "solve"]

PIXELS = 1.0  # by which the edges of a box are off, and a part of its size; both are scaled to what the drive shows
OF_SIZE = 0.03
HUBER, WRONG = 2.5, 5.0
ROUNDS, ALONE, SETTLED = 9, 2, 5  # steps; how many of them things take alone, and from which on wrong boxes are told
STEPS = np.array([0.02, 0.02, 0.02, 0.1, 0.3])  # radians, metres, seconds: by which one step may change the drive's
# What is off while a thing is passed, beside the whole drive's quantities: heading against the way, pitch (the car nods),
# and metres driven as a part.
HEADING, NODS, METRES = math.radians(0.12), math.radians(0.2), 0.006
FLAT, CROSSFALL = 0.06, 0.02  # metres that the road is off its own profile, and by metres aside
FAR = 250.0  # metres: no thing of a road is seen further away
YAW, PITCH, ROLL, HEIGHT, CLOCK = range(5)
SHARED = 5
BENDS, SURE = 0.5, 0.1  # radians turned and deviation in seconds with which a clock counts as found
LOCAL = 7  # x, y, z, size, heading, pitch, metres


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
    nuisance: Floats = field(default_factory=lambda: np.zeros(3))
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


@dataclass
class _Problem:
    given: Measurements
    views: Views
    boxes: Boxes
    camera: Camera
    alike: float = 0.6
    scale: float = 1.0
    settled: bool = False

    def __post_init__(self) -> None:
        rules = self.given.rules.elements
        rule = self.given.rule
        self.size = np.array([each.size for each in rules])[rule]
        self.size_sigma = np.array([each.size_sigma for each in rules])[rule]
        self.ground = np.array([each.ground for each in rules])[rule]
        focal = math.sqrt(self.camera.fx * self.camera.fy)
        # Of a thing on the ground the foot is measured, of others the middle, which is known better than an edge.
        self.point = np.where(self.ground[:, None], self.boxes.foot, self.boxes.middle)
        self.sigma = PIXELS / focal + OF_SIZE * np.column_stack([self.boxes.size[:, 0], self.boxes.size[:, 1]])

    def system(self, thing: Thing, value: Floats, turns: tuple[Floats, ...]) -> tuple[Floats, Floats, Floats, int]:
        """Weighted residuals, slopes by the local quantities and by those of the drive; and how many are of boxes."""
        rows = thing.rows
        frame = self.given.owner[rows]
        turn, by_yaw, by_pitch, by_roll = turns
        base, velocity = self.views.origin[frame], self.views.velocity[frame]
        reference = base[-1]
        heading, nods, metres = thing.nuisance
        rate = self.views.rate[frame]
        origin = reference + (1 + metres) * (base - reference) + velocity * value[CLOCK]
        away = np.einsum("nij,nj->ni", self.views.turn[frame], thing.place - origin)
        # Small turns about the vehicle's axes: heading to the right, nose up.
        angle = heading + rate * value[CLOCK]
        body = away + np.stack(
            [-away[:, 1] * angle, away[:, 0] * angle + away[:, 2] * nods, -away[:, 1] * nods], axis=1
        )
        seen = body @ turn.T
        depth = np.maximum(seen[:, 2], 0.5)
        x, y = seen[:, 0] / depth, seen[:, 1] / depth
        count = len(rows)
        inverse = 1 / depth

        def to_picture(direction: Floats) -> Floats:
            """(N, 3) changes of `seen` -> (N, 3) changes of x, y and log depth."""
            return np.stack(
                [(direction[:, 0] - x * direction[:, 2]) * inverse, (direction[:, 1] - y * direction[:, 2]) * inverse,
                 direction[:, 2] * inverse], axis=1,
            )  # fmt: skip

        right_turn = np.stack([-away[:, 1], away[:, 0], np.zeros(count)], axis=1)
        nose_up = np.stack([np.zeros(count), away[:, 2], -away[:, 1]], axis=1)
        look = np.einsum("ij,njk->nik", turn, self.views.turn[frame])
        changes = np.empty((count, 3, LOCAL + SHARED))
        for axis in range(3):
            changes[:, :, axis] = to_picture(look[:, :, axis])
        changes[:, :, 3] = 0
        changes[:, :, 4] = to_picture(right_turn @ turn.T)
        changes[:, :, 5] = to_picture(nose_up @ turn.T)
        changes[:, :, 6] = to_picture(-np.einsum("nij,nj->ni", look, base - reference))
        changes[:, :, LOCAL + YAW] = to_picture(body @ by_yaw.T)
        changes[:, :, LOCAL + PITCH] = to_picture(body @ by_pitch.T)
        changes[:, :, LOCAL + ROLL] = to_picture(body @ by_roll.T)
        changes[:, :, LOCAL + HEIGHT] = 0
        changes[:, :, LOCAL + CLOCK] = to_picture(
            (right_turn * rate[:, None]) @ turn.T - np.einsum("nij,nj->ni", look, velocity)
        )
        # The logarithm of the box's height is that of the size less that of the depth.
        changes[:, 2] *= -1
        changes[:, 2, 3] = 1
        sized = self.size[rows] > 0
        with np.errstate(divide="ignore", invalid="ignore"):
            log_size = np.log(np.where(sized, self.size[rows], 1.0)) + thing.stretch - np.log(depth)
            height_off = np.log(np.maximum(self.boxes.size[rows, 1], 1e-6)) - log_size
        sigma = self.sigma[rows]
        of_height = math.sqrt(2) * sigma[:, 1] / np.maximum(self.boxes.size[rows, 1], 1e-6)
        residual = np.column_stack([self.point[rows, 0] - x, self.point[rows, 1] - y, np.where(sized, height_off, 0.0)])
        deviation = np.column_stack([sigma[:, 0], sigma[:, 1], of_height]) * self.scale
        weighted = residual / deviation
        slopes = changes / deviation[:, :, None]
        slopes[~sized, 2] = 0
        # Errors that are alike from frame to frame count less: (1 - a) / (1 + a) of them are news.
        news = math.sqrt((1 - self.alike) / (1 + self.alike))
        pull = np.minimum(1.0, HUBER / np.maximum(np.abs(weighted), 1e-9)) ** 0.5
        rest = (weighted * pull).ravel()  # also of what is believed less below: what moves leaves much
        pull *= news
        if self.settled:  # by the worst of a box: if its foot is wrong its size is as well
            pull *= np.minimum(1.0, WRONG / np.abs(weighted).max(axis=1, initial=1e-9))[:, None]
        weighted, slopes = (weighted * pull).ravel(), (slopes * pull[:, :, None]).reshape(3 * count, -1)
        extra_off, extra = self._priors(thing, value)
        return np.concatenate([weighted, extra_off]), np.concatenate([slopes, extra]), rest, 3 * count

    def _priors(self, thing: Thing, value: Floats) -> tuple[Floats, Floats]:
        row = int(thing.rows[-1])
        offs = [-thing.stretch / self.size_sigma[row], *(-thing.nuisance / (HEADING, NODS, METRES))]
        slopes = np.zeros((5, LOCAL + SHARED))
        slopes[0, 3] = 1 / max(self.size_sigma[row], 1e-3)
        slopes[[1, 2, 3], [4, 5, 6]] = 1 / np.array([HEADING, NODS, METRES])
        if self.ground[row]:
            road, sigma = self.road(thing, value)
            offs.append((road - thing.place[2]) / sigma)
            slopes[4, 2] = 1 / sigma
            slopes[4, LOCAL + HEIGHT] = 1 / sigma
        else:
            offs.append(0.0)
        return np.array(offs), slopes

    def road(self, thing: Thing, value: Floats) -> tuple[float, float]:
        """Height of the road beside a thing, and how well that is known, given the profile."""
        frame = int(self.given.owner[thing.rows[-1]])
        away = self.views.turn[frame] @ (thing.place - self.views.origin[frame])
        way = self.views.states.way[frame] + float(away[1])
        profile = np.interp(way, self._way, self._camera_height)
        beyond = max(0.0, way - float(self._way[-1]))
        sigma = math.hypot(FLAT, CROSSFALL * float(away[0]), 0.03 * beyond)
        return float(profile) - self.camera.mounting.height - float(value[HEIGHT]), sigma

    def prepare(self) -> None:
        way, first = np.unique(self.views.states.way, return_index=True)
        seconds = np.gradient(self.views.utc) if len(self.views.utc) > 1 else np.zeros(1)
        self.bends = float((np.abs(self.views.rate) * seconds.clip(0, 1)).sum()) > BENDS
        self._way, self._camera_height = way, self.views.origin[first, 2]


def _turns(camera: Camera, value: Floats) -> tuple[Floats, ...]:
    """The mounting's turn with yaw, pitch and roll changed, and its slopes by each of them."""
    mounting = camera.mounting

    def turned(change: Floats) -> Floats:
        yaw, pitch, roll = np.degrees(change).tolist()
        return replace(mounting, yaw=mounting.yaw + yaw, pitch=mounting.pitch + pitch, roll=mounting.roll + roll).turn

    step = 1e-5
    change = value[[YAW, PITCH, ROLL]]
    turn = turned(change)
    return (turn, *((turned(change + step * unit) - turn) / step for unit in np.eye(3)))


def _first_place(problem: _Problem, rows: NDArray[np.int64], turn: Floats) -> Floats:
    """From the nearest box: where its size, the ground, or else 20 metres put it."""
    row = int(rows[np.argmax(problem.boxes.size[rows, 1])])
    frame = int(problem.given.owner[row])
    ray = np.append(problem.point[row], 1.0)
    body = ray @ turn
    if problem.size[row] > 0:
        depth = problem.size[row] / max(float(problem.boxes.size[row, 1]), 1e-4)
    elif problem.ground[row]:
        depth = problem.camera.mounting.height / max(-float(body[2]), problem.camera.mounting.height / 80)
    else:
        depth = 20.0
    place: Floats = problem.views.origin[frame] + problem.views.turn[frame].T @ (body * min(depth, 120.0))
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
    problem = _Problem(given, views, boxes, camera)
    problem.prepare()
    value = np.zeros(SHARED)
    turns = _turns(camera, value)
    things = [Thing(rows, _first_place(problem, rows, turns[0])) for rows in tracks if len(rows) >= 2]
    drive = Globals(value, prior, np.diag(prior**2), np.zeros(SHARED) if before is None else before)
    for index in range(ROUNDS):
        # At first things are anywhere, and would pull the camera with them.
        drive = _round(problem, things, drive, level, steps=STEPS if index >= ALONE else np.zeros(SHARED))
        if index in (1, 3):
            _judge(problem, things, drive)
        problem.settled = index + 1 >= SETTLED
    drive = _round(problem, things, drive, level)
    return Solution(things, drive, problem.scale, problem.alike)


def _judge(problem: _Problem, things: list[Thing], drive: Globals) -> None:
    """Learn from what is left over how much boxes are off, and how alike that is from frame to frame."""
    squares, products, pairs = [], [], []
    for thing in things:
        if len(thing.rows) < 8 or thing.far:
            continue
        rest = _rest(problem, thing, drive)
        squares.append(np.median(rest**2) / 0.455)
        products.append(float((rest[1:] * rest[:-1]).sum()))
        pairs.append(float((rest**2).sum()))
    if len(squares) >= 5:
        problem.scale = float(np.clip(problem.scale * math.sqrt(np.median(squares)), 0.3, 4.0))
        problem.alike = float(np.clip(sum(products) / max(sum(pairs), 1e-9) + 0.05, 0.2, 0.9))


def _rest(problem: _Problem, thing: Thing, drive: Globals) -> Floats:
    """(K, 2) residuals of the directions, in deviations."""
    _, _, rest, count = problem.system(thing, drive.value, _turns(problem.camera, drive.value))
    rows: Floats = rest[:count].reshape(-1, 3)[:, :2]
    return rows


def _round(
    problem: _Problem,
    things: list[Thing],
    drive: Globals,
    level: tuple[Floats, Floats] | None,
    steps: Floats | None = None,
) -> Globals:
    """One step of Gauss and Newton for everything, by `steps` at most; covariances instead of a step without them."""
    turns = _turns(problem.camera, drive.value)
    information = np.diag(1 / drive.prior**2)
    gradient = -(drive.value + drive.before) / drive.prior**2
    if level is not None:
        for index in (YAW, PITCH):
            weight = 1 / level[1][index] ** 2
            information[index, index] += weight
            gradient[index] += weight * (level[0][index] - drive.value[index])
    parts = []
    for thing in things:
        residual, slopes, rest, count = problem.system(thing, drive.value, turns)
        own, shared = slopes[:, :LOCAL], slopes[:, LOCAL:]
        inner = own.T @ own
        inner[[0, 1, 2], [0, 1, 2]] += 1e-4  # nobody is further away than a hundred metres from where we guess
        crossed = own.T @ shared
        right = own.T @ residual
        inverse = np.linalg.inv(inner)
        thing.misfit = float(np.sqrt((rest[:count] ** 2).sum() / max(count * 2 / 3, 1)))
        parts.append((inverse, crossed, right))
        if thing.misfit < 4 and not thing.far:
            information += shared.T @ shared - crossed.T @ inverse @ crossed
            gradient += shared.T @ residual - crossed.T @ inverse @ right
    covariance: Floats = np.asarray(np.linalg.inv(information), np.float64)
    if not problem.bends or covariance[CLOCK, CLOCK] > SURE**2:
        # Not observable: it stays what was said, as uncertain as it was. What the differences of smoothed speeds seem to say
        # of it on a straight road is their noise.
        information[CLOCK, :] = information[:, CLOCK] = 0
        information[CLOCK, CLOCK], gradient[CLOCK] = 1 / drive.prior[CLOCK] ** 2, 0
        covariance = np.asarray(np.linalg.inv(information), np.float64)
    if steps is None:
        for thing, (inverse, crossed, _) in zip(things, parts, strict=True):
            lever = inverse @ crossed
            # What is left unexplained says how well the rest is known (Birge 1932): a thing that others hide in part, or whose
            # boxes are of two, is known less well than its boxes say.
            inverse = inverse * max(1.0, thing.misfit) ** 2
            thing.own = np.asarray(inverse[:3, :3], np.float64)
            thing.covariance = (inverse + lever @ covariance @ lever.T)[:3, :3]
        return Globals(drive.value, drive.prior, covariance, drive.before)
    step = (covariance @ gradient).clip(-steps, steps)
    for thing, (inverse, crossed, right) in zip(things, parts, strict=True):
        change = inverse @ right
        frame = int(problem.given.owner[thing.rows[-1]])
        away = float(np.linalg.norm(thing.place - problem.views.origin[frame]))
        limit = min(1.0, max(0.5 * away, 2.0) / max(float(np.linalg.norm(change[:3])), 1e-9))
        change = change * limit - inverse @ (crossed @ step)
        thing.place = thing.place + change[:3]
        thing.stretch = float(np.clip(thing.stretch + change[3], -1.5, 1.5))
        thing.nuisance = thing.nuisance + change[4:]
        thing.far = away > FAR
    return Globals(drive.value + step, drive.prior, covariance, drive.before)
