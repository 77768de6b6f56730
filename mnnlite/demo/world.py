"""What a stretch of road is made of: its course, its lines, its surface, the light, and the objects along it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mnnlite.demo.canvas import Texture

__all__ = ["Arc", "Item", "Line", "Look", "Road", "World"]

SIGN_SIDE = 0.75  # metres; the side of a sign's face, whatever its shape


class Arc(NamedTuple):
    """A road's course as the camera sees it: an arc through the camera, tangent to its way; exact on flat ground.

    A place on the road is `s` metres along the camera's way and `d` metres to the right of it.
    """

    curvature: float  # 1 / radius in 1 / metre; positive bends to the right

    def place(self, s: float, d: float) -> tuple[float, float, float]:
        """x, y on the ground and the road's heading there (radians to the right)."""
        turn = self.curvature * s
        x = d + (1 - self.curvature * d) * self.curvature * s * s / 2 * float(np.sinc(turn / 2 / math.pi)) ** 2
        return x, (1 - self.curvature * d) * s * float(np.sinc(turn / math.pi)), turn

    def along(self, s: NDArray[np.float64], d: float) -> NDArray[np.float64]:
        """(N, 2) x, y of (N,) places at `d`."""
        turn = self.curvature * s
        x = d + (1 - self.curvature * d) * self.curvature * s * s / 2 * np.sinc(turn / 2 / math.pi) ** 2
        return np.stack([x, (1 - self.curvature * d) * s * np.sinc(turn / math.pi)], axis=1)

    def locate(self, x: NDArray[np.float32], y: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """`d` and `s` of places on the ground: exact for an arc, and without cancellation where it is nearly straight."""
        k = np.float32(self.curvature)
        bend = 1 - k * x
        d = (2 * x - k * (x * x + y * y)) / (1 + np.sqrt(bend * bend + (k * y) * (k * y)))
        return d, y if abs(self.curvature) < 1e-6 else np.arctan2(k * y, bend) / k


@dataclass(frozen=True)
class Line:
    """A line along the road at `d` metres; `kind` is one of `classes.LANES`."""

    kind: str
    d: float
    color: str = "white"
    width: float = 0.14
    period: float = 9.0  # of dashes, in metres
    dash: float = 4.0
    worn: float = 1.0  # how much of the paint is left


@dataclass(frozen=True)
class Road:
    """Lanes, lines and surface; `d` in metres to the right of the camera's way."""

    curvature: float
    left: float
    right: float
    lane_width: float
    lanes: tuple[float, ...]  # middles
    oncoming: tuple[bool, ...]
    lines: tuple[Line, ...]
    surface: str
    tone: tuple[float, float, float]
    verge: tuple[float, float, float]
    patches: float  # how uneven the colour is

    @property
    def arc(self) -> Arc:
        """The course."""
        return Arc(self.curvature)


@dataclass(frozen=True)
class Look:
    """Light, weather and the camera's faults."""

    light: str = "day"  # day, dusk, night, glare
    weather: str = "clear"  # clear, cloudy, rain, fog, snowfall
    ambient: tuple[float, float, float] = (1.0, 1.0, 1.0)
    lamp: float = 0.0  # of the own headlights
    haze: float = 0.0015  # per metre
    noise: float = 0.012
    blur: tuple[float, float] = (0.0, 0.0)  # pixels right and down during the exposure
    soft: float = 0.0
    gamma: float = 1.0
    sun: tuple[float, float, float] = (0.0, 0.0, 0.0)  # x, y as parts of the frame, and strength


@dataclass(frozen=True)
class Item:
    """An object at a place of the road. Metres; `d` is its middle, `z` its lower edge above the ground."""

    id: int
    kind: str
    s: float
    d: float
    width: float = SIGN_SIDE
    height: float = SIGN_SIDE
    z: float = 0.0
    turn: float = 0.0
    speed: float = 0.0  # along the road, metres per second
    name: str = ""  # of a sign; shape of a vehicle or an arrow
    text: str = ""
    variant: int = 0
    color: tuple[float, float, float] = (1.0, 1.0, 1.0)
    length: float = 0.0
    texture: Texture | None = field(default=None, repr=False, compare=False)


@dataclass(frozen=True)
class World:
    """A road with what stands along it, and how it looks."""

    seed: int
    road: Road
    look: Look
    items: tuple[Item, ...]
