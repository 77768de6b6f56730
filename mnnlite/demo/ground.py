"""The ground, pixel by pixel: each one's place on the road is known, and so what lies there."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from mnnlite.demo.canvas import GROUND
from mnnlite.demo.classes import LANES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from mnnlite.demo.canvas import Canvas
    from mnnlite.demo.course import Curve
    from mnnlite.demo.world import Arc, Item, World
    from mnnlite.mapping.pinhole import PinholeCamera

    F32 = NDArray[np.float32]

__all__ = ["Ground", "noise", "paint_ground"]

REACH = 60.0  # metres along the road to which lines are labelled
LINE_PIXELS = 3.0  # half the least width of a line's label, in pixels of the frame
PAINT = {"white": (0.93, 0.93, 0.92), "yellow": (0.90, 0.68, 0.10)}


class Ground(NamedTuple):
    """Labels of the whole frame: (H, W) bool the road's surface, (H, W) uint8 classes of lines."""

    road: NDArray[np.bool_]
    lanes: NDArray[np.uint8]


@lru_cache(maxsize=1)
def noise() -> tuple[F32, F32]:
    """Two (1024, 1024) tiles of noise with variance 1: of single pixels, and of patches 16 pixels wide."""
    fine = np.random.default_rng(20).standard_normal((1024, 1024), dtype=np.float32)
    coarse = fine.copy()
    for lines, width in ((coarse.T, 16), (coarse, 16), (coarse.T, 8), (coarse, 8)):
        for start in range(0, 1024, 64):  # sums are of 8 bytes, so not of all lines at once
            part = lines[start : start + 64]
            sums = np.cumsum(np.concatenate([part, part[:, :width]], axis=1), axis=1, dtype=np.float64)
            part[:] = sums[:, width:] - sums[:, :-width]
    coarse /= np.float32(coarse.std())
    fine.flags.writeable = coarse.flags.writeable = False
    return fine, coarse


def _steepness(values: F32) -> F32:
    """How much they change over a pixel, in the direction in which they change most."""
    down, right = np.gradient(values)
    steepness: F32 = np.hypot(down, right)
    return steepness


def _cover(at: F32, low: float, high: float, pixel: F32) -> F32:
    """How much of a pixel around `at` lies between two borders; a box filter."""
    half = pixel / 2
    covered: F32 = (
        np.clip(np.minimum(at + half, np.float32(high)) - np.maximum(at - half, np.float32(low)), 0, None) / pixel
    )
    return covered


def _cover_dashes(at: F32, period: float, dash: float, pixel: F32) -> F32:
    """The same for dashes that start at every multiple of `period`."""

    def painted(place: Any) -> Any:
        whole = np.floor(place / np.float32(period))
        return whole * np.float32(dash) + np.minimum(place - whole * np.float32(period), np.float32(dash))

    half = pixel / 2
    covered: F32 = (painted(at + half) - painted(at - half)) / pixel
    return covered


def paint_ground(
    canvas: Canvas,
    world: World,
    camera: PinholeCamera,
    arc: Arc | Curve,
    start: float,
    crosswalks: Sequence[tuple[int, Item]],
) -> Ground:
    """Paint everything below the horizon; `start` is where on the road the camera is, `arc` how it runs from there.

    Crosswalks come with the number that owns their pixels.
    """
    height, width = canvas.height, canvas.width
    road_map, lane_map = np.zeros((height, width), bool), np.zeros((height, width), np.uint8)
    top = max(int(np.ceil(camera.horizon + 0.7)), 0)
    if top >= height:
        return Ground(road_map, lane_map)
    road = world.road
    u = np.arange(width, dtype=np.float32) + np.float32(0.5)
    v = np.arange(top, height, dtype=np.float32)[:, None] + np.float32(0.5)
    m = camera.image_to_ground.astype(np.float32)
    w = m[2, 1] * v + m[2, 2]  # no roll: the same along a row
    x = (m[0, 0] / w) * u + (m[0, 1] * v + m[0, 2]) / w
    y = (m[1, 0] / w) * u + (m[1, 1] * v + m[1, 2]) / w
    d, s = arc.locate(x, y)
    middle = np.clip(y[:, width // 2], 0.5, 2000)[:, None]
    # Metres of the road that a pixel covers, across it and along it.
    across, ahead = _steepness(d), _steepness(s)
    rgb, retro = canvas.rgb[:, top:], canvas.retro[top:]
    fine, coarse = noise()
    column = (d * np.float32(40)).astype(np.int32) & 1023
    row = ((s + np.float32(start)) * np.float32(16)).astype(np.int32) & 1023
    patches = coarse[row, column] * np.float32(road.patches) / (1 + middle / 40)
    grain = fine[row, column] * np.float32(0.05) / (1 + middle / 6)
    shade = 1 + patches + grain
    on_road = _cover(d, road.left, road.right, across)
    tracks: F32 | None = None
    if road.surface in ("snow", "unpaved"):
        tracks = np.zeros_like(d)
        for lane in road.lanes:
            for wheel in (-0.8, 0.8):
                tracks += _cover(d, lane + wheel - 0.28, lane + wheel + 0.28, across)
    for channel in range(3):
        surface = np.float32(road.tone[channel]) * shade
        if tracks is not None:
            surface *= 1 - tracks * np.float32(0.3 if road.surface == "snow" else 0.12)
        verge = np.float32(road.verge[channel]) * (1 + 2 * patches + grain)
        rgb[channel] = verge + (surface - verge) * on_road
    canvas.depth[top:] = np.maximum(y, 0.5)
    canvas.owner[top:] = GROUND
    far = s < REACH
    for line in road.lines:
        half = line.width / 2
        if line.kind == "double":
            covered = _cover(d, line.d - 0.1 - 2 * half, line.d - 0.1, across) + _cover(
                d, line.d + 0.1, line.d + 0.1 + 2 * half, across
            )
        else:
            covered = _cover(d, line.d - half, line.d + half, across)
        if line.kind == "dashed":
            covered *= _cover_dashes(s + np.float32(start), line.period, line.dash, ahead)
        if line.kind == "kerb":
            color, shine = (0.62, 0.61, 0.60), 0.0
        else:
            color, shine = PAINT[line.color], 0.45
            covered *= np.clip(np.float32(line.worn) * (1 + np.float32(1.6) * patches), 0, 1)
        for channel in range(3):
            rgb[channel] += (np.float32(color[channel]) - rgb[channel]) * covered
        retro += (np.float32(shine) - retro) * covered
        wide = half + (0.1 + half if line.kind == "double" else 0.0)
        near = np.abs(d - np.float32(line.d)) <= np.maximum(np.float32(wide), np.float32(LINE_PIXELS) * across)
        lane_map[top:][near & far] = LANES.index(line.kind)
    for owner, item in crosswalks:
        _crosswalk(canvas, top, d, s + np.float32(start), across, ahead, owner, item)
    road_map[top:] = (d > road.left) & (d < road.right) & (y > 0)
    return Ground(road_map, lane_map)


def _crosswalk(canvas: Canvas, top: int, d: F32, s: F32, across: F32, ahead: F32, owner: int, item: Item) -> None:
    length = _cover(s, item.s, item.s + item.length, ahead)
    rows = np.flatnonzero(length.max(axis=1) > 0.01)
    if not len(rows):
        return
    part = slice(int(rows[0]), int(rows[-1]) + 1)
    stripe = (0.45, 0.5, 0.55)[item.variant]
    covered = length[part] * _cover(d[part], item.d - item.width / 2, item.d + item.width / 2, across[part])
    covered *= _cover_dashes(
        d[part] - np.float32(item.d - item.width / 2), 2 * stripe, stripe, across[part]
    ) * np.float32(0.9)
    canvas._blend(
        slice(top + part.start, top + part.stop),
        slice(0, canvas.width),
        covered,
        [value * 0.93 for value in item.color],
        owner=owner,
        retro=0.4,
        flat=True,
    )
