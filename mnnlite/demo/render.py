"""A world as the camera sees it, and the exact truth about the picture."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from mnnlite.demo.canvas import GROUND, NOTHING, Canvas
from mnnlite.demo.classes import LANES, OBJECTS
from mnnlite.demo.ground import REACH, noise, paint_ground
from mnnlite.demo.objects import Painter

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mnnlite.demo.course import Curve
    from mnnlite.demo.world import Arc, Item, Look, World
    from mnnlite.mapping.pinhole import PinholeCamera

    F32 = NDArray[np.float32]

__all__ = ["Lane", "SceneObject", "SceneTruth", "render"]

SEEN = (2.6, 78.0)  # metres along the road between which objects are painted
FLAT = ("arrow", "crosswalk")
LEAST = {"arrow": (8, 7), "crosswalk": (16, 7)}  # width and height from which a box is held against a detector
LEAST_OTHER = (9, 9)


@dataclass(frozen=True)
class SceneObject:
    """One object of `classes.OBJECTS` in the frame.

    Attributes
    ----------
    id : int
        The same in all frames of a clip.
    kind, class_id : str, int
        What it is, and its number in `classes.OBJECTS`.
    box : (x1, y1, x2, y2)
        Of the pixels it covers in the frame, also those that something nearer hides.
    place : (x, y)
        Metres to the right of and in front of the camera, on the ground; of arrows and crosswalks the near edge.
    visible : float
        How much of its pixels nothing hides.
    clear : bool
        It is large, visible and inside enough to be held against a detector.
    name, text : str
        Of a sign in `classes.SIGNS`; what stands on it, or nothing.
    """

    id: int
    kind: str
    class_id: int
    box: tuple[int, int, int, int]
    place: tuple[float, float]
    visible: float
    clear: bool
    name: str
    text: str

    @property
    def legible(self) -> bool:
        """There is a text, its letters are at least 8 pixels high, and hardly anything hides it."""
        height = (self.box[3] - self.box[1]) * {"board": 0.56}.get(self.kind, 0.375)
        return bool(self.text) and self.clear and self.visible > 0.9 and height >= 8


@dataclass(frozen=True)
class Lane:
    """A line along the road, as far as it lies in the frame and within 60 m, from near to far.

    Attributes
    ----------
    kind, class_id : str, int
        What it is, and its number in `classes.LANES`.
    color : str
    points : (N, 2) float64
        Pixels of the frame.
    ground : (N, 2) float64
        The same places in metres to the right of and in front of the camera.
    """

    kind: str
    class_id: int
    color: str
    points: NDArray[np.float64]
    ground: NDArray[np.float64]


@dataclass(frozen=True)
class SceneTruth:
    """What is in a frame.

    Attributes
    ----------
    time_s : float
        Since the clip began.
    camera : PinholeCamera
    pose : (x, y, heading)
        Where the camera is, in metres and radians to the right, in the ground coordinates of the clip's first frame.
    surface, light, weather : str
    objects : list of SceneObject
        From far to near.
    lanes : list of Lane
    drivable : (H, W) bool
        Road surface that nothing stands on.
    lane_map : (H, W) uint8
        Class of the line at each pixel, gaps of dashes included, what hides it not; see `classes.LANES`.
    owner : (H, W) int16
        Which of `objects` a pixel shows: its index + 1; 0 and less is none.
    """

    time_s: float
    camera: PinholeCamera
    pose: tuple[float, float, float]
    surface: str
    light: str
    weather: str
    objects: list[SceneObject]
    lanes: list[Lane]
    drivable: NDArray[np.bool_]
    lane_map: NDArray[np.uint8]
    owner: NDArray[np.int16]


def render(
    world: World, camera: PinholeCamera, start: float = 0.0, time_s: float = 0.0, curve: Curve | None = None
) -> tuple[NDArray[np.uint8], SceneTruth]:
    """Paint a frame.

    Parameters
    ----------
    world : World
    camera : PinholeCamera
    start : float
        Where on the road the camera is, in metres.
    time_s : float
        Since the clip began: vehicles have moved on.
    curve : Curve, optional
        How the road runs from there, if its bends change; else it is an arc of the road's curvature.

    Returns
    -------
    image : (H, W, 3) uint8, RGB
    truth : SceneTruth
    """
    rng = np.random.default_rng((world.seed, round(time_s * 1000)))
    canvas = Canvas(camera.width, camera.height)
    arc: Arc | Curve = world.road.arc if curve is None else curve
    pose = (*arc.place(start, 0.0)[:2], world.road.curvature * start) if curve is None else curve.pose
    _paint_sky(canvas, world, camera, pose[2])
    here: list[tuple[float, Item]] = []
    for item in world.items:
        s = item.s + item.speed * time_s - start
        if SEEN[0] - (item.length if item.kind in FLAT else 0.0) < s < SEEN[1]:
            here.append((s, item))
    # Marks on the road first, then from far to near.
    here.sort(key=lambda entry: (entry[1].kind not in FLAT, -entry[0]))
    labelled = [(s, item) for s, item in here if item.kind in OBJECTS]
    numbers = {id(item): index + 1 for index, (_, item) in enumerate(labelled)}
    crosswalks = [(numbers[id(item)], item) for _, item in here if item.kind == "crosswalk"]
    ground = paint_ground(canvas, world, camera, arc, start, crosswalks)
    painter = Painter(canvas, camera, arc)
    drawn: dict[int, tuple[tuple[int, int, int, int], int, float]] = {}
    for s, item in here:
        number = numbers.get(id(item), NOTHING)
        if item.kind == "crosswalk":
            canvas.touched = [(slice(0, camera.height), slice(0, camera.width))]
            inside = 1.0 if s > SEEN[0] + 1.5 else 0.4
        else:
            canvas.touched = []
            painter.paint(item, s, number)
            inside = 1.0
        if number != NOTHING and (found := canvas.take_touched(number)) is not None:
            box, pixels = found
            if item.kind != "crosswalk":
                full = np.maximum(painter.high - painter.low, 1.0)
                inside = (box[2] - box[0]) * (box[3] - box[1]) / float(full[0] * full[1])
            drawn[number] = (box, pixels, inside)
    counts = np.bincount(np.maximum(canvas.owner, 0).reshape(-1), minlength=len(labelled) + 1)
    objects: list[SceneObject] = []
    owner = np.full_like(canvas.owner, NOTHING)
    owner[canvas.owner == GROUND] = GROUND
    for number, (s, item) in enumerate(labelled, 1):
        if number in drawn:
            objects.append(_scene_object(item, arc.place(s, item.d)[:2], *drawn[number], int(counts[number])))
            owner[canvas.owner == number] = len(objects)
    flat = np.array([True, *(item.kind in FLAT for _, item in labelled), False])  # the last is for NOTHING
    open_ground = flat[canvas.owner]
    ground.lanes[~open_ground] = 0
    image = _expose(canvas, world, camera, rng, ground.road & open_ground)
    look = world.look
    lanes = _lanes(world, camera, arc)
    truth = SceneTruth(
        time_s,
        camera,
        pose,
        world.road.surface,
        look.light,
        look.weather,
        objects,
        lanes,
        ground.road & open_ground,
        ground.lanes,
        owner,
    )
    return image, truth


def _scene_object(
    item: Item, place: tuple[float, float], box: tuple[int, int, int, int], drawn: int, inside: float, left: int
) -> SceneObject:
    visible = left / drawn
    least = LEAST.get(item.kind, LEAST_OTHER)
    clear = box[2] - box[0] >= least[0] and box[3] - box[1] >= least[1] and visible >= 0.5 and inside >= 0.5
    return SceneObject(item.id, item.kind, OBJECTS.index(item.kind), box, place, visible, clear, item.name, item.text)


def _lanes(world: World, camera: PinholeCamera, arc: Arc | Curve) -> list[Lane]:
    s = np.arange(1.0, REACH + 0.25, 0.5)
    lanes = []
    for line in world.road.lines:
        places = arc.along(s, line.d)
        pixels, depths = camera.project(places)
        kept = (
            (depths > 0.3) & (pixels >= 0).all(axis=1) & (pixels[:, 0] < camera.width) & (pixels[:, 1] < camera.height)
        )
        if np.count_nonzero(kept) >= 2:
            lanes.append(Lane(line.kind, LANES.index(line.kind), line.color, pixels[kept], places[kept]))
    return lanes


def _paint_sky(canvas: Canvas, world: World, camera: PinholeCamera, heading: float) -> None:
    rng = np.random.default_rng((world.seed, 77))
    grey = world.look.weather != "clear"
    high = np.array((0.62, 0.65, 0.68) if grey else (0.30, 0.50, 0.82), np.float32) * np.float32(
        0.85 + 0.3 * rng.random()
    )
    low = np.array((0.78, 0.79, 0.80) if grey else (0.74, 0.83, 0.92), np.float32)
    bottom = min(max(int(camera.horizon) + 2, 1), canvas.height)
    part = np.linspace(0, 1, bottom, dtype=np.float32)[:, None] ** np.float32(0.8)
    canvas.rgb[:, :bottom] = (high + (low - high) * part).T[:, :, None]
    # Hills and woods far away, which turn with the camera.
    u = np.arange(canvas.width, dtype=np.float32) + np.float32(0.5)
    angle = np.arctan((u - np.float32(camera.cx)) / np.float32(camera.focal)) + np.float32(camera.yaw + heading)
    v = np.arange(bottom, dtype=np.float32)[:, None] + np.float32(0.5)
    fine, _ = noise()
    for layer in range(2):
        line = np.full_like(angle, 0.012 + 0.03 * rng.random())
        for octave in (3, 8, 21, 55, 140):
            line += np.float32(0.11 * rng.random() / octave**0.75) * np.sin(
                angle * octave + np.float32(6.3 * rng.random())
            )
        covered = np.clip(
            v - (np.float32(camera.horizon) - np.maximum(line, 0.003) * np.float32(camera.focal)) + 0.5, 0, 1
        )
        color = np.array([0.30, 0.38, 0.33] if layer == 0 else [0.17, 0.24, 0.13]) * (0.75 + 0.5 * rng.random())
        if world.road.surface == "snow":
            color = color + 0.25
        grain = 1 + np.float32(0.06) * fine[:bottom, (angle * 700).astype(np.int32) & 1023]
        rows = np.flatnonzero(covered.any(axis=1))
        for channel in range(3):
            plane = canvas.rgb[channel, rows[0] : bottom]
            plane += (np.float32(color[channel]) * grain[rows[0] :] - plane) * covered[rows[0] :]
        if layer:
            canvas.depth[:bottom][covered > 0.5] = 160.0


def _expose(
    canvas: Canvas, world: World, camera: PinholeCamera, rng: np.random.Generator, road: NDArray[np.bool_]
) -> NDArray[np.uint8]:
    """From colours of objects to what the sensor saw: reflections, light, haze, drops, glare, blur and noise."""
    look, rgb = world.look, canvas.rgb
    if world.road.surface == "wet":
        _reflect(rgb, camera, road)
    _light(canvas, camera, look)
    # Haze of the colour of the sky near the horizon.
    clear = np.exp(np.minimum(canvas.depth, 400) * np.float32(-look.haze))
    air = np.array([0.76, 0.79, 0.82], np.float32) * np.asarray(look.ambient, np.float32)
    rgb -= air[:, None, None]
    rgb *= clear
    rgb += air[:, None, None]
    if look.weather in ("rain", "snowfall"):
        _drops(canvas, look, rng)
    if look.sun[2]:
        x = (np.arange(canvas.width, dtype=np.float32) - np.float32(look.sun[0] * canvas.width)) / np.float32(
            canvas.width * 0.35
        )
        y = (np.arange(canvas.height, dtype=np.float32) - np.float32(look.sun[1] * canvas.height)) / np.float32(
            canvas.width * 0.35
        )
        bloom = np.float32(look.sun[2]) / (1 + 6 * (x * x + (y * y)[:, None]))
        for channel, tint in enumerate((1.0, 0.95, 0.82)):
            rgb[channel] += bloom * np.float32(tint)
    rgb = _blurred(rgb, look)
    rgb *= np.float32(255)
    scale = np.float32(255 * look.noise)
    grain = _grain(canvas, rng) * scale
    image = np.empty((canvas.height, canvas.width, 3), np.uint8)
    for channel, own in enumerate((0.5, 0.0, 0.5)):  # some of the noise is the channel's own
        plane = rgb[channel]
        plane += grain
        if own:
            plane += _grain(canvas, rng) * (scale * np.float32(own))
        np.clip(plane, 0, 255, out=plane)
        image[..., channel] = plane
    return image if look.gamma == 1.0 else _gamma(round(look.gamma * 20))[image]


@lru_cache(maxsize=16)
def _gamma(twentieths: int) -> NDArray[np.uint8]:
    """A table: quicker than a power of every pixel."""
    return np.round(255 * np.linspace(0, 1, 256) ** (twentieths / 20)).astype(np.uint8)


def _grain(canvas: Canvas, rng: np.random.Generator) -> F32:
    """Noise of variance 1 for the whole frame: another window of the same tile each time."""
    fine, _ = noise()
    if canvas.height > 512 or canvas.width > 704:
        fine = np.tile(fine, (canvas.height // 1024 + 2, canvas.width // 1024 + 2))
    top, left = int(rng.integers(0, 512)), int(rng.integers(0, 320))
    return fine[top : top + canvas.height, left : left + canvas.width]


def _reflect(rgb: F32, camera: PinholeCamera, road: NDArray[np.bool_]) -> None:
    """A wet road mirrors, streaked along the columns, what stands above the horizon."""
    height = rgb.shape[1]
    top = min(max(int(camera.horizon) + 1, 1), height - 1)
    rows = height - top
    source = np.clip(top - 1 - (np.arange(rows) * 0.9).astype(np.int64), 0, height - 1)
    mirrored = rgb[:, source]
    mirrored[:, 3:-3] = (mirrored[:, :-6] + mirrored[:, 3:-3] + mirrored[:, 6:]) / np.float32(3)
    weight = np.where(road[top:], np.float32(0.36), np.float32(0))
    rgb[:, top:] += (mirrored - rgb[:, top:]) * weight


def _light(canvas: Canvas, camera: PinholeCamera, look: Look) -> None:
    ambient = np.asarray(look.ambient, np.float32)
    if not look.lamp:
        canvas.rgb *= ambient[:, None, None]
        return
    u = (np.arange(canvas.width, dtype=np.float32) - np.float32(camera.cx)) / np.float32(canvas.width * 0.42)
    v = (np.arange(canvas.height, dtype=np.float32) - np.float32(camera.horizon)) / np.float32(canvas.height * 0.5)
    beam = np.exp(-u * u) * np.where(v < 0, np.exp(-3 * v * v), 1.0)[:, None].astype(np.float32)
    spread = canvas.depth / np.float32(20)
    near = np.float32(1.2 * look.lamp) * beam / (1 + spread * spread)
    far = np.float32(look.lamp) * canvas.retro * (np.float32(0.25) + beam) / (1 + spread * np.float32(0.22))
    canvas.rgb *= ambient[:, None, None] + np.minimum(near + far, 1.35)


def _drops(canvas: Canvas, look: Look, rng: np.random.Generator) -> None:
    snow = look.weather == "snowfall"
    level = float(np.clip(np.mean(look.ambient), 0.25, 1.0))
    places = rng.random((45, 2)) * (canvas.width, canvas.height)
    sizes = rng.random(45)
    slant = float(rng.random() - 0.5)
    for (x, y), size in zip(places, sizes, strict=True):
        if snow:
            radius = 0.8 + 2.2 * float(size) ** 3
            canvas.ellipse((x, y), (radius, radius), (0.95 * level,) * 3, alpha=0.75, flat=True)
        else:
            long = 8 + 22 * float(size)
            ends = [(x, y), (x + slant * long * 0.5, y + long)]
            canvas.stroke(ends, 0.8 + 0.6 * float(size), (0.85 * level,) * 3, alpha=0.4, flat=True)


def _blurred(rgb: F32, look: Look) -> F32:
    dx, dy = round(look.blur[0]), round(look.blur[1])
    if dx or dy:
        rgb = (rgb + _shifted(rgb, dx, dy) + _shifted(rgb, -dx, -dy)) / np.float32(3)
    if look.soft > 0.2:
        part = np.float32(look.soft * 0.3)
        rgb = rgb * (1 - part) + (_shifted(rgb, 1, 1) + _shifted(rgb, -1, -1)) * (part / 2)
    return rgb


def _shifted(rgb: F32, dx: int, dy: int) -> F32:
    """Moved right and down; the edge is repeated."""
    height, width = rgb.shape[1:]
    result = np.empty_like(rgb)
    y1, y2, x1, x2 = max(dy, 0), height + min(dy, 0), max(dx, 0), width + min(dx, 0)
    result[:, y1:y2, x1:x2] = rgb[:, y1 - dy : y2 - dy, x1 - dx : x2 - dx]
    result[:, :y1], result[:, y2:] = result[:, y1 : y1 + 1], result[:, y2 - 1 : y2]
    result[:, :, :x1], result[:, :, x2:] = result[:, :, x1 : x1 + 1], result[:, :, x2 - 1 : x2]
    return result


def varied(camera: PinholeCamera, rng: np.random.Generator) -> PinholeCamera:
    """The same camera as another car carries it."""
    return replace(
        camera,
        focal=camera.focal * float(0.82 + 0.36 * rng.random()),
        above=float(1.15 + 0.75 * rng.random()),
        pitch=math.radians(float(0.2 + 4.0 * rng.random())),
        yaw=math.radians(float(5 * rng.random() - 2.5)),
    )
