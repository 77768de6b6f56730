"""Rendered drives as a real camera would see them: roads with bends, changing speed, a lens, a camera that looks a little
elsewhere than is said and nods. What a map of such a drive should hold is known.

This is version 2 of what a seed gives; scenes and clips of version 1 (`mnnlite.demo.scenes`), from which the networks of the
pack learned, are as they were.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from mnnlite.demo.course import STEP, Course
from mnnlite.demo.generator import random_world
from mnnlite.demo.render import render
from mnnlite.errors import ArgumentError
from mnnlite.frame import Frame
from mnnlite.mapping.camera import Camera, Mounting
from mnnlite.mapping.pinhole import PinholeCamera
from mnnlite.mapping.simulator import TICK, Made, alike, waves

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from mnnlite.demo.world import Item

    Floats = NDArray[np.float64]

__all__ = ["KINDS", "VERSION", "Drive", "Seen"]

VERSION = 2
KINDS = ("sign", "board", "speed camera", "cone", "arrow")  # what stands or lies, and is of a known place
LENS = (-0.2, 0.04, 0.0005, -0.0003, 0.0)
WIDTH, HEIGHT, FOCAL = 640, 360, 560.0
AROUND = (704, 404)  # size of the pinhole's picture that the lens bends into WIDTH x HEIGHT
BEND = 0.005  # 1 / metre: usual curvature
SPEED = 12.0  # metres per second: usual
NODS, NODS_S = 0.1, 0.15  # degrees that the car nods, and for how long it keeps to one side


@dataclass(frozen=True)
class Seen:
    """An object in a frame, as the lens shows it.

    Parameters
    ----------
    id, kind, box
        As those of `mnnlite.demo.SceneObject`.
    clear : bool
        It is large, visible and inside enough to be held against a detector.
    """

    id: int
    kind: str
    box: tuple[float, float, float, float]
    clear: bool


class Drive:
    """A drive from a seed.

    Parameters
    ----------
    seed : int
    seconds, fps : float
    pitch, yaw : float, optional
        Degrees that the camera looks elsewhere than its mounting says; by default some, from the seed.

    Attributes
    ----------
    camera : Camera
        With the mounting that is said. Its rear axle is where the camera is: it moves where it looks.
    off : (pitch, yaw)
    time : (F,) float64
        Seconds of each frame.
    moments : (T,) float64
        Seconds of the truth.
    antenna : (T, 3) float64
    heading, turn : (T,) float64
        Where it really was, in metres and radians clockwise from y; radians per second.
    things : list of Made
        What stands along the road, in the order of `ids`.
    ids : list of int
    """

    def __init__(
        self,
        seed: int,
        seconds: float = 60.0,
        fps: float = 12.5,
        *,
        pitch: float | None = None,
        yaw: float | None = None,
    ) -> None:
        if not (seconds > 0 and fps > 0):
            raise ArgumentError(f"seconds is {seconds!r} and fps {fps!r}; wanted more than 0")
        rng = np.random.default_rng((VERSION, seed))
        self.moments = np.arange(0, seconds + TICK, TICK)
        speed = (SPEED * (1 + 0.25 * waves(rng, self.moments, 3, 12, 40))).clip(4, 20)
        self.way = np.concatenate([[0.0], np.cumsum(speed[:-1] * TICK)])
        length = float(self.way[-1])
        along = np.arange(0, length + 200, STEP)
        self.course = Course(BEND * waves(rng, along, 3, 120, 400))
        self.world = random_world(rng, seed, near=8.0, far=78.0 + length, crowd=1.0 + length / 60)
        said = Mounting(height=1.4, pitch=-2.0, yaw=0.0, antenna=(0.3, -1.2, 0.2), axle=0.0)
        self.off = (
            float(rng.normal(0, 0.5)) if pitch is None else pitch,
            float(rng.normal(0, 0.5)) if yaw is None else yaw,
        )
        self.camera = Camera(WIDTH, HEIGHT, FOCAL, FOCAL, WIDTH / 2, HEIGHT / 2, "plumb_bob", LENS, said)
        self._nods = NODS * alike(rng, (len(self.moments), 1), math.exp(-TICK / NODS_S))[:, 0]
        x, y, self.heading = self.course.pose(self.way)
        self.turn = np.gradient(self.heading, TICK)
        right = np.column_stack([np.cos(self.heading), -np.sin(self.heading)])
        ahead = np.column_stack([np.sin(self.heading), np.cos(self.heading)])
        arm = said.antenna
        self.antenna = np.column_stack(
            [np.column_stack([x, y]) + arm[0] * right + arm[1] * ahead, np.full(len(x), said.height + arm[2])]
        )
        self.time = np.arange(round(seconds * fps)) / fps
        standing = [item for item in self.world.items if item.kind in KINDS]
        self.ids = [item.id for item in standing]
        self.things = [self._made(item) for item in standing]
        self._source = self._behind_the_lens()

    def _made(self, item: Item) -> Made:
        (place,) = self.course.place(np.array([item.s]), np.array([item.d]))
        _, _, heading = self.course.pose(item.s)
        above = 0.0 if item.kind in ("cone", "arrow") else item.z + item.height / 2
        faces = math.degrees(float(heading) + item.turn) + 180 if item.kind in ("sign", "board") else math.nan
        return Made(item.kind, np.append(place, above), item.height, faces, above)

    def _behind_the_lens(self) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """For each pixel of the frame the first of the four of the pinhole's that it mixes, and their (4, N, 1) weights."""
        y, x = np.mgrid[0:HEIGHT, 0:WIDTH] + 0.5
        ideal = self.camera.undistort(np.column_stack([x.ravel(), y.ravel()]))
        at = ideal + (np.array(AROUND) - (WIDTH, HEIGHT)) / 2 - 0.5
        at = at.clip(0, np.array(AROUND) - 1.001)
        whole = at.astype(np.int64)
        right, down = (at - whole).T
        weights = ((1 - right) * (1 - down), right * (1 - down), (1 - right) * down, right * down)
        return whole[:, 1] * AROUND[0] + whole[:, 0], np.stack(weights)[..., None].astype(np.float32)

    def frame(self, index: int) -> tuple[NDArray[np.uint8], list[Seen]]:
        """Paint a frame.

        Returns
        -------
        image : (360, 640, 3) uint8, RGB
        seen : list of Seen
        """
        time_s = float(self.time[index])
        start = float(np.interp(time_s, self.moments, self.way))
        mounting = self.camera.mounting
        down = -math.radians(mounting.pitch + self.off[0] + float(np.interp(time_s, self.moments, self._nods)))
        pinhole = PinholeCamera(
            *AROUND,
            FOCAL,
            AROUND[0] / 2,
            AROUND[1] / 2,
            mounting.height,
            down,
            math.radians(mounting.yaw + self.off[1]),
        )
        picture, truth = render(self.world, pinhole, start, time_s, self.course.seen_from(start))
        first, weights = self._source
        source = picture.reshape(-1, 3)
        mixed = np.full((len(first), 3), np.float32(0.5))
        for after, weight in zip((0, 1, AROUND[0], AROUND[0] + 1), weights, strict=True):
            mixed += source[first + after] * weight
        return mixed.astype(np.uint8).reshape(HEIGHT, WIDTH, 3), [
            each for obj in truth.objects if (each := self._seen(obj.id, obj.kind, obj.box, obj.clear))
        ]

    def _seen(self, number: int, kind: str, box: tuple[int, int, int, int], clear: bool) -> Seen | None:
        x1, y1, x2, y2 = box
        part = np.linspace(0, 1, 5)
        across, along = x1 + part * (x2 - x1), y1 + part * (y2 - y1)
        border = np.concatenate([
            np.column_stack([across, np.full(5, y1)]), np.column_stack([across, np.full(5, y2)]),
            np.column_stack([np.full(5, x1), along]), np.column_stack([np.full(5, x2), along]),
        ])  # fmt: skip
        bent = self.camera.distort(border - (np.array(AROUND) - (WIDTH, HEIGHT)) / 2)
        if not np.isfinite(bent).all():
            return None
        low, high = bent.min(axis=0), bent.max(axis=0)
        inside = bool((low >= 0).all() and high[0] <= WIDTH and high[1] <= HEIGHT)
        low, high = low.clip(0, (WIDTH, HEIGHT)), high.clip(0, (WIDTH, HEIGHT))
        if (high - low < 1).any():
            return None
        return Seen(number, kind, (*low.tolist(), *high.tolist()), clear and inside)

    def play(self) -> Iterator[Frame]:
        """Frames with their number and time in ``meta``."""
        for index, time_s in enumerate(self.time.tolist()):
            yield Frame(self.frame(index)[0], "RGB", meta={"frame": index, "time_ms": time_s * 1000})

    @property
    def true_camera(self) -> Camera:
        """The camera with the mounting that it really has."""
        said = self.camera.mounting
        return self.camera.mounted(replace(said, pitch=said.pitch + self.off[0], yaw=said.yaw + self.off[1]))
