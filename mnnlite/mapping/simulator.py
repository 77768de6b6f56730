"""Drives that never were, with their truth: a car, a road with bends and slopes, a lens, a receiver, networks that are a
little off. What a map of them should hold is known to the millimetre, and two hundred take seconds.

Nothing is rendered; boxes are where the corners of a thing are seen, and off by what `BOX` says. Its figures are those of the
road pack's detector on rendered drives (``benchmarks/map_rendered.py --boxes``: 882 boxes of signs and cones in two drives; how often they
are found, and their scores, in three), in pixels of a camera twice as wide as the network's picture.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from mnnlite.mapping.camera import Camera, Mounting
from mnnlite.mapping.geodesy import Plane
from mnnlite.mapping.kinds import ElementRule, MapRules
from mnnlite.mapping.logs import Log
from mnnlite.mapping.measurements import Measurements
from mnnlite.mapping.motion import Motion

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = [
    "HARD",
    "RULES",
    "TICK",
    "USUAL",
    "Gnss",
    "Made",
    "Options",
    "Simulated",
    "alike",
    "noisy_log",
    "noisy_motion",
    "simulate",
    "waves",
]

START = 1_770_112_800.0
PLANE = Plane(48.1, 11.5)
TICK = 0.02  # seconds of the truth
RULES = MapRules(
    (
        ElementRule("objects", ("sign",), size=0.79, aspect=1.0, size_sigma=0.12),
        ElementRule("objects", ("cone",), ground=True),
        ElementRule("objects", ("vehicle",), shape="occluder"),
    )
)
LENS = (-0.28, 0.09, 0.0006, -0.0004, -0.01)
# Of a box's edges: pixels and parts of its height that are white, how much of it is alike from frame to frame, and parts of
# the height that stay for as long as a thing is in view.
BOX = {"pixels": 1.4, "part": 0.007, "alike": 0.45, "lasting": 0.035}
# Of the same: how often it is found at most, the height at which it is half of that, and over how much it falls; and what part
# of a thing must be in the picture, and by how much a box that the edge cuts off ends before it.
FOUND = {"most": 0.985, "half": 17.6, "over": 2.2, "inside": 0.5, "short": 12.0}


@dataclass(frozen=True)
class Gnss:
    """A receiver: metres per axis of its slow (60 s) and its white error, and what goes wrong."""

    common: float = 0.7
    white: float = 0.1
    gaps: int = 0
    jumps: int = 0


USUAL, HARD = Gnss(), Gnss(white=0.5, gaps=2, jumps=2)


@dataclass(frozen=True)
class Options:
    """What a drive is like.

    Parameters
    ----------
    seconds, fps : float
    gnss : Gnss
    rate : float
        Positions a second.
    gyro, course : bool
        Whether there is a gyroscope; whether the receiver gives speed and course.
    slopes, straight : bool
        Of the road.
    clock : float
        Seconds that the video's start is off what is said.
    pitch, yaw, height : float
        By how many degrees and metres the mounting is off what is said.
    """

    seconds: float = 60.0
    fps: float = 12.5
    gnss: Gnss = USUAL
    rate: float = 5.0
    gyro: bool = True
    course: bool = True
    slopes: bool = False
    straight: bool = False
    clock: float = 0.0
    pitch: float = 0.0
    yaw: float = 0.0
    height: float = 0.0


@dataclass
class Made:
    """A thing as it is: its kind, place in the plane (the middle, or the foot of what stands on the road), size, azimuth,
    and metres above the road.
    """

    kind: str
    place: Floats
    size: float
    azimuth: float
    above: float = 0.0
    moves: bool = False


@dataclass
class Simulated:
    """A drive as it was recorded, and as it was.

    Parameters
    ----------
    log : Log
    given : Measurements
    camera : Camera
        With the mounting that is said.
    video_start : float
        As it is said.
    things : list of Made
        All that is there.
    utc, antenna, heading : (T,) and (T, 3) float64
        The truth.
    owner : (N,) int64
        For each object the number of its thing; -1 for what is not there.
    """

    log: Log
    given: Measurements
    camera: Camera
    video_start: float
    things: list[Made]
    utc: Floats
    antenna: Floats
    heading: Floats
    owner: NDArray[np.int64]


def waves(rng: np.random.Generator, at: Floats, count: int, shortest: float, longest: float) -> Floats:
    """Smooth ups and downs with unit deviation."""
    total = np.zeros_like(at)
    for _ in range(count):
        total += np.sin(2 * np.pi * at / rng.uniform(shortest, longest) + rng.uniform(0, 2 * np.pi))
    waves: Floats = total * math.sqrt(2 / count)
    return waves


def alike(rng: np.random.Generator, shape: tuple[int, ...], keeps: float) -> Floats:
    """Gauss-Markov noise along the first axis, with unit deviation."""
    noise = rng.normal(0, math.sqrt(1 - keeps**2), shape)
    noise[0] = rng.normal(0, 1, shape[1:])
    for index in range(1, len(noise)):
        noise[index] += keeps * noise[index - 1]
    return noise


def _things(rng: np.random.Generator, way: Floats, path: Floats, heading: Floats, height: Floats) -> list[Made]:
    things: list[Made] = []
    at = 15.0
    while at < way[-1] + 20:
        index = int(np.searchsorted(way, min(at, way[-1] - 0.1)))
        beyond = max(0.0, at - float(way[-1]))
        side = rng.choice([-1, 1], p=[0.35, 0.65])
        aside = side * rng.uniform(2.5, 8.0)
        turned = heading[index]
        here = path[index] + beyond * np.array([math.sin(turned), math.cos(turned)])

        def place(
            aside: float, above: float, here: Floats = here, index: int = index, turned: float = turned
        ) -> Floats:
            right = np.array([math.cos(turned), -math.sin(turned)])
            return np.append(here + aside * right, height[index] + above)

        kind = rng.choice(["sign", "stack", "pair", "cone"], p=[0.5, 0.1, 0.1, 0.3])
        faces = math.degrees(turned) + 180 + rng.normal(0, 12)
        size = 0.79 * math.exp(rng.normal(0, 0.1))
        above = rng.uniform(1.8, 2.8)
        if kind == "cone":
            things.append(Made("cone", place(aside, 0.0), 0.7, math.nan))
        else:
            things.append(Made("sign", place(aside, above), size, faces, above))
        if kind == "stack":
            things.append(Made("sign", place(aside, above + size + 0.1), size, faces, above + size + 0.1))
        if kind == "pair":
            things.append(Made("sign", place(-aside, above), size, faces, above))
        at += rng.uniform(12, 30)
    return things


def simulate(seed: int, options: Options | None = None) -> Simulated:
    """Make a drive.

    Parameters
    ----------
    seed : int
    options : Options, optional
    """
    options = options or Options()
    rng = np.random.default_rng(seed)
    time = np.arange(0, options.seconds, TICK)
    speed = (13 + 3 * waves(rng, time, 3, 12, 40)).clip(4, 24)
    way = np.concatenate([[0.0], np.cumsum(speed[:-1] * TICK)])
    bend = np.zeros_like(way) if options.straight else 0.006 * waves(rng, way, 3, 120, 400)
    heading = rng.uniform(0, 2 * np.pi) + np.concatenate([[0.0], np.cumsum(bend[:-1] * speed[:-1] * TICK)])
    path = np.concatenate(
        [
            [[0.0, 0.0]],
            np.cumsum(np.column_stack([np.sin(heading), np.cos(heading)])[:-1] * speed[:-1, None] * TICK, axis=0),
        ]
    )
    road = 500 + (0.03 * 60 / (2 * np.pi) * 4 * waves(rng, way, 2, 250, 500) if options.slopes else np.zeros_like(way))
    grade = np.gradient(road, way) if options.slopes else np.zeros_like(way)
    push = np.gradient(speed, TICK)
    shake = math.exp(-TICK / 0.15)
    pitch = np.radians(0.12 * alike(rng, (len(time), 1), shake)[:, 0] + 0.15 * push)
    roll = np.radians(0.3 * alike(rng, (len(time), 1), shake)[:, 0] + rng.normal(0, 0.3))
    said = Mounting(height=1.4, pitch=-2.0, yaw=1.0, antenna=(0.3, -1.2, 0.2))
    true = replace(
        said, pitch=said.pitch + options.pitch, yaw=said.yaw + options.yaw, height=said.height + options.height
    )
    camera = Camera(1280, 720, 950.0, 950.0, 640.0, 360.0, "plumb_bob", LENS, said)
    level = np.arctan(grade) + pitch
    body = _axes(heading, level, roll)
    # The rear axle moves where the car points; the camera is ahead of it.
    eye = np.column_stack([path, road + true.height]) - body[:, 1] * true.axle * (1, 1, 0)
    off = rng.normal(0, 0.1 / math.sqrt(3), 3)  # what the lever arm was measured wrong by
    antenna = eye + np.einsum("nij,i->nj", body, np.array(said.antenna) + off)
    things = _things(rng, way, path, heading, road)
    if rng.random() < 0.3:
        things.append(Made("sign", np.zeros(3), 0.8, math.nan, moves=True))  # on the back of a lorry ahead
    frames = np.arange(0, len(time), round(1 / options.fps / TICK))
    frames = frames[(time[frames] > 1) & (time[frames] < options.seconds - 1)]
    given, owner = _look(rng, frames, time, eye, body, replace(camera, mounting=true), things)
    velocity = np.gradient(antenna[:, :2], TICK, axis=0)
    log = noisy_log(rng, options, time, antenna, velocity, bend * speed)
    return Simulated(log, given, camera, START + options.clock, things, START + time, antenna, heading, owner)


def _axes(heading: Floats, pitch: Floats, roll: Floats) -> Floats:
    s, c = np.sin(heading), np.cos(heading)
    right = np.stack([c, -s, np.zeros_like(s)], axis=1)
    forward = np.stack([s * np.cos(pitch), c * np.cos(pitch), np.sin(pitch)], axis=1)
    up = np.cross(right, forward)
    cr, sr = np.cos(roll)[:, None], np.sin(roll)[:, None]
    return np.stack([cr * right - sr * up, forward, sr * right + cr * up], axis=1)


def _look(
    rng: np.random.Generator,
    frames: NDArray[np.intp],
    time: Floats,
    eye: Floats,
    body: Floats,
    camera: Camera,
    things: list[Made],
) -> tuple[Measurements, NDArray[np.int64]]:
    """What the networks would say of each frame."""
    look = camera.mounting.turn @ body[frames]
    origin = eye[frames]
    columns: list[Floats] = []
    kinds = {rule.labels[0]: index for index, rule in enumerate(RULES.elements)}
    keeps = BOX["alike"]
    for number, thing in enumerate(things):
        place = np.tile(thing.place, (len(frames), 1))
        if thing.moves:
            ahead = 22 + 3 * np.sin(time[frames] / 3)
            place = origin + body[frames][:, 1] * ahead[:, None] + body[frames][:, 0] * 1.5 + (0, 0, 0.6)
        half = thing.size / 2
        width = half if thing.kind == "sign" else half * 0.8
        turned = math.radians(thing.azimuth) if math.isfinite(thing.azimuth) else 0.0
        if math.isfinite(thing.azimuth):
            across = np.tile([math.cos(turned), -math.sin(turned), 0.0], (len(frames), 1))
        else:
            across = body[frames][:, 0]
        low, high = (0.0, thing.size) if thing.kind == "cone" else (-half, half)
        corners = np.stack(
            [place + sign * width * across + (0, 0, above) for sign in (-1, 1) for above in (low, high)], axis=1
        )
        seen = np.einsum("nij,nkj->nki", look, corners - origin[:, None])
        pixels = camera.pixels(seen.reshape(-1, 3)).reshape(len(frames), 4, 2)
        box = np.concatenate([pixels.min(axis=1), pixels.max(axis=1)], axis=1)
        distance = np.linalg.norm(place - origin, axis=1)
        facing = np.ones(len(frames), bool)
        if math.isfinite(thing.azimuth):
            front = np.array([math.sin(turned), math.cos(turned), 0.0])
            facing = ((origin - place) / distance[:, None]) @ front > 0.25
        ends = np.array([camera.width, camera.height] * 2)
        kept = box.clip(0, ends)
        with np.errstate(invalid="ignore", divide="ignore"):
            inside = (seen[:, :, 2] > 1).all(axis=1) & facing & (distance < 70)
            area = (kept[:, 2:] - kept[:, :2]).prod(axis=1) / (box[:, 2:] - box[:, :2]).prod(axis=1)
            inside &= area > FOUND["inside"]
        rows = np.flatnonzero(inside)
        if not len(rows):
            continue
        cut = box[rows] != kept[rows]
        box = kept[rows]
        tall = box[:, 3] - box[:, 1]
        deviation = BOX["pixels"] + BOX["part"] * tall
        lasting = rng.normal(0, BOX["lasting"], 4) * tall[:, None]
        box = box + alike(rng, (len(rows), 4), keeps) * deviation[:, None] + lasting
        short = np.where(cut, rng.uniform(0, FOUND["short"], box.shape), 0)
        box = (box + short * (1, 1, -1, -1)).clip(0, ends)
        found = rng.random(len(rows)) < FOUND["most"] / (1 + np.exp(-(tall - FOUND["half"]) / FOUND["over"]))
        score = (0.95 - 5.6 / tall + rng.normal(0, 0.05, len(rows))).clip(0.3, 0.99)
        count = int(found.sum())
        columns.append(
            np.column_stack(
                [rows[found], np.full(count, kinds[thing.kind]), score[found], box[found], np.full(count, number)]
            )
        )
    wrong = rng.integers(0, len(frames), round(0.02 * len(frames)))  # seen where nothing is
    middle = rng.uniform((50, 200), (1230, 500), (len(wrong), 2))
    half_size = rng.uniform(6, 40, (len(wrong), 1))
    columns.append(
        np.column_stack(
            [
                wrong,
                rng.integers(0, 2, len(wrong)),
                np.full(len(wrong), 0.45),
                middle - half_size,
                middle + half_size,
                np.full(len(wrong), -1),
            ]
        )
    )
    table = np.concatenate(columns)
    table = table[np.argsort(table[:, 0], kind="stable")]
    names = [rule.labels[0] for rule in RULES.elements]
    given = Measurements(
        RULES,
        (camera.width, camera.height),
        frames.astype(np.int64),
        time[frames],
        np.full(len(frames), np.nan),
        table[:, 0].astype(np.int64),
        table[:, 1].astype(np.int64),
        table[:, 2],
        table[:, 3:7],
        [(names[int(row[1])], "", 0.0, "", 0.0) for row in table],
    )
    return given, table[:, 7].astype(np.int64)


def noisy_log(
    rng: np.random.Generator, options: Options, time: Floats, antenna: Floats, velocity: Floats, turn: Floats
) -> Log:
    """What a receiver, and a gyroscope if there is one, say of a drive.

    Parameters
    ----------
    rng : numpy.random.Generator
    options : Options
    time : (T,) float64
        Seconds of the truth, `TICK` apart.
    antenna : (T, 3) float64
    velocity : (T, 2) float64
    turn : (T,) float64
        Radians per second, clockwise.
    """
    speed, heading = np.hypot(*velocity.T), np.arctan2(*velocity.T)
    step = round(1 / options.rate / TICK)
    at = np.arange(0, len(time), step)
    gnss = options.gnss
    slow = gnss.common * alike(rng, (len(at), 3), math.exp(-1 / options.rate / 60)) * (1, 1, 1.5)
    error = slow + rng.normal(0, gnss.white, (len(at), 3))
    for _ in range(gnss.jumps):
        begin = rng.integers(0, len(at))
        error[begin : begin + max(1, round(options.rate))] += np.append(rng.normal(0, 15, 2), 0)
    kept = np.ones(len(at), bool)
    for _ in range(gnss.gaps):
        lost = rng.uniform(5, options.seconds - 10)
        kept &= (time[at] < lost) | (time[at] > lost + rng.uniform(2, 5))
    at, error = at[kept], error[kept]
    places = antenna[at] + error
    degrees = PLANE.to_degrees(places[:, :2])
    turned = PLANE.convergence(degrees[:, 0], degrees[:, 1])
    count = len(at)
    unknown = np.full(count, np.nan)
    course = np.degrees(heading[at] - turned + rng.normal(0, 1, count) * 0.1 / np.maximum(speed[at], 1))
    log = Log(
        "simulated",
        START + time[at],
        degrees[:, 0],
        degrees[:, 1],
        places[:, 2],
        np.maximum(speed[at] + rng.normal(0, 0.08, count), 0) if options.course else unknown,
        course if options.course else unknown.copy(),
        np.full(count, gnss.common),
        unknown.copy(),
        np.ones(count, np.int8),
        vertical="ellipsoid",
    )
    if options.gyro:
        bias = rng.normal(0, 0.005)
        noise = rng.normal(0, 0.004, (len(time), 3))
        log.gyro = np.column_stack([START + time, noise[:, :2], -turn + bias + noise[:, 2]])
        log.accelerometer = np.column_stack([START + time, np.zeros((len(time), 2)), np.full(len(time), 9.81)])
    return log.checked()


def noisy_motion(rng: np.random.Generator, made: Simulated, late: float) -> Motion:
    """What an IMU beside the camera measures, in whatever orientation it is: it shakes, tilts a little, and is noisy.

    Parameters
    ----------
    rng : numpy.random.Generator
    made : Simulated
    late : float
        Seconds after the drive's first moment at which the video begins.
    """
    time = made.utc - START
    speed = np.hypot(*np.gradient(made.antenna[:, :2], TICK, axis=0).T)
    speed = np.convolve(np.pad(speed, 12, mode="edge"), np.full(25, 1 / 25), "valid")  # the antenna nods
    turn, push, zero = np.gradient(made.heading, TICK), np.gradient(speed, TICK), np.zeros(len(time))
    orientation = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    tilt = 0.01 * alike(rng, (len(time), 1), math.exp(-TICK))[:, 0]
    rates = np.column_stack([zero, zero, -turn]) + rng.normal(0, 0.02, (len(time), 3))
    forces = np.column_stack([speed * turn, push + 9.81 * tilt, zero + 9.81]) + rng.normal(0, 0.6, (len(time), 3))
    kept = (time >= late) & (time < time[-1] - 3)
    clock = (time - late)[kept, None]
    return Motion(
        np.concatenate([clock, rates[kept] @ orientation.T], axis=1),
        np.concatenate([clock, forces[kept] @ orientation.T], axis=1),
    )
