"""What the boxes of all things say, as normal equations: residuals, their slopes, and their sums by thing.

The unknowns of a thing are its own (`LOCAL`) and the whole drive's (`SHARED`). Boxes are taken in blocks, so that an hour's drive
needs no more memory than a minute's, and all things of a block at once.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from mnnlite.mapping.camera import Camera
    from mnnlite.mapping.measurements import Measurements
    from mnnlite.mapping.views import Boxes, Views

    Floats = NDArray[np.float64]
    Whole = NDArray[np.int64]

__all__ = ["CLOCK", "HEIGHT", "LOCAL", "PITCH", "ROLL", "SHARED", "YAW", "Equations", "Sums", "Things", "turns_of"]

PIXELS = 1.0  # by which the edges of a box are off, and a part of its size; both are scaled to what the drive shows
OF_SIZE = 0.03
HUBER, WRONG = 2.5, 5.0
# What is off while a thing is passed, beside the whole drive's quantities: heading against the way, pitch (the car nods),
# and metres driven as a part.
HEADING, NODS, METRES = math.radians(0.12), math.radians(0.2), 0.006
FLAT, CROSSFALL = 0.06, 0.02  # metres that the road is off its own profile, and by metres aside
YAW, PITCH, ROLL, HEIGHT, CLOCK = range(5)
SHARED = 5
LOCAL = 7  # x, y, z, size, heading, pitch, metres
BLOCK = 4096  # boxes taken at once: their slopes stay in a CPU's cache


@dataclass
class Things:
    """All things that were followed; a row of each array is one thing.

    Parameters
    ----------
    rows : list of (K,) int64
        Of their boxes, in time.
    place : (T, 3) float64
        In the plane of the track.
    stretch : (T,) float64
        Logarithm of its size by the usual one.
    nuisance : (T, 3) float64
        Heading, pitch and part of the metres driven that were off while it was passed.
    misfit : (T,) float64
        Root mean square of its residuals, in deviations.
    far : (T,) bool
        Further away than anything is seen.
    """

    rows: list[Whole]
    place: Floats
    stretch: Floats
    nuisance: Floats
    misfit: Floats
    far: NDArray[np.bool_]


class Sums(NamedTuple):
    """Normal equations by thing: (T, 7, 7) of its own unknowns, (T, 7, 5) with the drive's, (T, 5, 5) of those; gradients
    (T, 7) and (T, 5).
    """

    own: Floats
    crossed: Floats
    shared: Floats
    own_gradient: Floats
    shared_gradient: Floats


class _Block(NamedTuple):
    """Some things: numbers of them, rows of all their boxes, where each begins in that, whose each is, and the frames."""

    things: slice
    rows: Whole
    starts: Whole
    owner: Whole
    frame: Whole


def turns_of(camera: Camera, value: Floats) -> tuple[Floats, ...]:
    """The mounting's turn with yaw, pitch and roll changed, and its slopes by each of them."""
    mounting = camera.mounting

    def turned(change: Floats) -> Floats:
        yaw, pitch, roll = np.degrees(change).tolist()
        return replace(mounting, yaw=mounting.yaw + yaw, pitch=mounting.pitch + pitch, roll=mounting.roll + roll).turn

    step = 1e-5
    change = value[[YAW, PITCH, ROLL]]
    turn = turned(change)
    return (turn, *((turned(change + step * unit) - turn) / step for unit in np.eye(3)))


class Equations:
    """What is known of a drive, ready to be asked for its normal equations.

    Attributes
    ----------
    alike : float
        How much the error of a box is like that of the box before it.
    scale : float
        By how much boxes are off, against `PIXELS` and `OF_SIZE`.
    settled : bool
        All is near its place, so that boxes of something else can be told.
    """

    def __init__(self, given: Measurements, views: Views, boxes: Boxes, camera: Camera) -> None:
        self.given, self.views, self.boxes, self.camera = given, views, boxes, camera
        self.alike, self.scale, self.settled = 0.6, 1.0, False
        rules, rule = given.rules.elements, given.rule
        self.size = np.array([each.size for each in rules])[rule]
        self.size_sigma = np.array([each.size_sigma for each in rules])[rule]
        self.ground = np.array([each.ground for each in rules])[rule]
        focal = math.sqrt(camera.fx * camera.fy)
        # Of a thing on the ground the foot is measured, of others the middle, which is known better than an edge.
        self.point = np.where(self.ground[:, None], boxes.foot, boxes.middle)
        self.sigma = PIXELS / focal + OF_SIZE * boxes.size
        height = np.maximum(boxes.size[:, 1], 1e-6)
        self._of_height = math.sqrt(2) * self.sigma[:, 1] / height
        self._stretch = np.where(self.size > 0, np.log(height / np.where(self.size > 0, self.size, 1.0)), 0.0)
        self._way, first = np.unique(views.states.way, return_index=True)
        self._camera_height = views.origin[first, 2]

    def _blocks(self, things: Things) -> Iterator[_Block]:
        counts = np.array([len(rows) for rows in things.rows], np.int64)
        ends = np.cumsum(counts)
        begin = 0
        while begin < len(counts):
            end = max(int(np.searchsorted(ends, ends[begin] - counts[begin] + BLOCK, side="right")), begin + 1)
            rows = np.concatenate(things.rows[begin:end])
            mine = counts[begin:end]
            owner = np.repeat(np.arange(begin, end), mine)
            yield _Block(slice(begin, end), rows, np.cumsum(mine) - mine, owner, self.given.owner[rows])
            begin = end

    def residuals(self, things: Things, value: Floats) -> Iterator[tuple[slice, Whole, Floats]]:
        """Block by block: which things, where the boxes of each begin, and (N, 3) residuals in deviations, pulled no harder
        than `HUBER`.
        """
        turns = turns_of(self.camera, value)
        for block in self._blocks(things):
            residual, _ = self._linearised(block, things, value, turns)
            yield block.things, block.starts, residual * _huber(residual)

    def sums(self, things: Things, value: Floats) -> Sums:
        """Normal equations of all things, priors included; sets `misfit`."""
        turns = turns_of(self.camera, value)
        count, columns = len(things.rows), LOCAL + SHARED + 1
        total = np.zeros((count, columns, columns))
        news = math.sqrt((1 - self.alike) / (1 + self.alike))
        for block in self._blocks(things):
            residual, slopes = self._linearised(block, things, value, turns)
            pull = _huber(residual)
            squares = ((residual * pull) ** 2).sum(
                axis=1
            )  # also of what is believed less below: what moves leaves much
            counts = np.diff(np.append(block.starts, len(block.rows)))
            things.misfit[block.things] = np.sqrt(np.add.reduceat(squares, block.starts) / (2 * counts))
            # Errors that are alike from frame to frame count less: (1 - a) / (1 + a) of them are news.
            pull *= news
            if self.settled:  # by the worst of a box: if its foot is wrong its size is as well
                pull *= np.minimum(1.0, WRONG / np.abs(residual).max(axis=1, initial=1e-9))[:, None]
            table = np.concatenate([slopes, residual.T[None]]) * pull.T
            ends = [*block.starts[1:].tolist(), len(block.rows)]
            for number, (begin, end) in enumerate(zip(block.starts.tolist(), ends, strict=True), block.things.start):
                mine = table[:, :, begin:end].reshape(columns, -1)
                total[number] = mine @ mine.T
        self._add_priors(things, value, total)
        own, shared, last = slice(0, LOCAL), slice(LOCAL, LOCAL + SHARED), LOCAL + SHARED
        return Sums(
            total[:, own, own], total[:, own, shared], total[:, shared, shared], total[:, own, last], total[:, shared, last]
        )  # fmt: skip

    def _linearised(
        self, block: _Block, things: Things, value: Floats, turns: tuple[Floats, ...]
    ) -> tuple[Floats, Floats]:
        """(N, 3) residuals of x, y and logarithm of the height, in deviations; (12, 3, N) their slopes by all unknowns."""
        turn, *by_angle = turns
        views, rows, frame, owner = self.views, block.rows, block.frame, block.owner
        base, velocity, rate = views.origin[frame], views.velocity[frame], views.rate[frame]
        ends = np.append(block.starts[1:], len(rows)) - 1
        reference = base[ends][owner - block.things.start]  # where it was seen last
        heading, nods, metres = things.nuisance[owner].T
        origin = reference + (1 + metres)[:, None] * (base - reference) + velocity * value[CLOCK]
        axes = views.turn[frame]
        away = np.einsum("nij,nj->ni", axes, things.place[owner] - origin)
        right_turn = np.stack([-away[:, 1], away[:, 0], np.zeros(len(rows))], axis=1)
        nose_up = np.stack([np.zeros(len(rows)), away[:, 2], -away[:, 1]], axis=1)
        # Small turns about the vehicle's axes: heading to the right, nose up.
        body = away + right_turn * (heading + rate * value[CLOCK])[:, None] + nose_up * nods[:, None]
        seen = body @ turn.T
        depth = np.maximum(seen[:, 2], 0.5)
        x, y = seen[:, 0] / depth, seen[:, 1] / depth
        look = turn @ axes
        # How `seen` changes with each unknown.
        changes = np.zeros((LOCAL + SHARED, 3, len(rows)))
        changes[:3] = look.transpose(2, 1, 0)
        changes[4] = turn @ right_turn.T
        changes[5] = turn @ nose_up.T
        changes[6] = -np.einsum("nij,nj->in", look, base - reference)
        for index, by in zip((YAW, PITCH, ROLL), by_angle, strict=True):
            changes[LOCAL + index] = by @ body.T
        changes[LOCAL + CLOCK] = changes[4] * rate - np.einsum("nij,nj->in", look, velocity)
        # From there to x, y and the logarithm of the depth. That of the box's height is that of the size less that.
        changes[:, 0] -= x * changes[:, 2]
        changes[:, 1] -= y * changes[:, 2]
        changes[:, 2] *= -1
        changes /= depth
        changes[3, 2] = 1
        sized = self.size[rows] > 0
        residual = np.stack(
            [
                self.point[rows, 0] - x,
                self.point[rows, 1] - y,
                np.where(sized, self._stretch[rows] - things.stretch[owner] + np.log(depth), 0.0),
            ],
            axis=1,
        )
        deviation = np.column_stack([self.sigma[rows], self._of_height[rows]]) * self.scale
        changes /= deviation.T
        changes[:, 2, ~sized] = 0
        return residual / deviation, changes

    def _add_priors(self, things: Things, value: Floats, total: Floats) -> None:
        last = np.array([rows[-1] for rows in things.rows], np.int64)
        spread = np.maximum(self.size_sigma[last], 1e-3)
        offs = np.column_stack([things.stretch / spread, things.nuisance / (HEADING, NODS, METRES)])
        weights = np.column_stack([1 / spread, np.tile(1 / np.array([HEADING, NODS, METRES]), (len(last), 1))])
        number = np.arange(3, LOCAL)
        total[:, number, number] += weights**2
        total[:, number, -1] -= weights * offs
        on_ground = self.ground[last]
        road, sigma = self._road(things, last, value)
        off = (road - things.place[:, 2]) / sigma
        weight = np.where(on_ground, 1 / sigma, 0.0)
        high = LOCAL + HEIGHT  # it stands on the road, which lies under the camera
        for one, other in ((2, 2), (high, high), (2, high), (high, 2)):
            total[:, one, other] += weight**2
        for one in (2, high):
            total[:, one, -1] += weight * off

    def _road(self, things: Things, last: Whole, value: Floats) -> tuple[Floats, Floats]:
        """Height of the road beside things, and how well that is known, given the profile."""
        frame = self.given.owner[last]
        away = np.einsum("nij,nj->ni", self.views.turn[frame], things.place - self.views.origin[frame])
        way = self.views.states.way[frame] + away[:, 1]
        profile = np.interp(way, self._way, self._camera_height)
        beyond = np.maximum(0.0, way - self._way[-1])
        sigma = np.sqrt(FLAT**2 + (CROSSFALL * away[:, 0]) ** 2 + (0.03 * beyond) ** 2)
        return profile - self.camera.mounting.height - value[HEIGHT], sigma


def _huber(residual: Floats) -> Floats:
    """Roots of the weights with which residuals pull no harder than those of `HUBER` deviations."""
    pull: Floats = np.sqrt(np.minimum(1.0, HUBER / np.maximum(np.abs(residual), 1e-9)))
    return pull
