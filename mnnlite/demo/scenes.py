"""Road scenes from a seed: single ones to learn and to measure from, and clips of a drive."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mnnlite.demo.generator import random_world
from mnnlite.demo.render import SceneTruth, render, varied
from mnnlite.errors import ArgumentError
from mnnlite.mapping.pinhole import PinholeCamera

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

__all__ = ["VERSION", "clip", "scene"]

# Of what a seed gives. The networks of the pack were trained on this one, and the tests hold the pictures to it.
VERSION = 1


def scene(seed: int) -> tuple[NDArray[np.uint8], SceneTruth]:
    """A scene of its own: road, light, weather and camera are made up from the seed.

    Parameters
    ----------
    seed : int
        Not negative.

    Returns
    -------
    image : (360, 640, 3) uint8, RGB
    truth : SceneTruth
    """
    rng = np.random.default_rng(_checked("seed", seed))
    world = random_world(rng, seed)
    return render(world, varied(PinholeCamera(), rng))


def clip(
    seed: int, frames: int, *, fps: float = 25.0, speed: float = 14.0
) -> Iterator[tuple[NDArray[np.uint8], SceneTruth]]:
    """A drive along one road; objects keep their `id` from frame to frame.

    Parameters
    ----------
    seed : int
        Not negative.
    frames : int
        How many.
    fps : float
        Frames a second.
    speed : float
        Metres a second.

    Yields
    ------
    image : (360, 640, 3) uint8, RGB
    truth : SceneTruth
    """
    count = _checked("frames", frames)
    if not fps > 0 or not speed >= 0:
        raise ArgumentError(f"fps is {fps!r} and speed {speed!r}; wanted more than 0, and at least 0")
    rng = np.random.default_rng(_checked("seed", seed))
    length = count / fps * speed
    world = random_world(rng, seed, near=8.0, far=78.0 + length, crowd=1.0 + length / 60)
    camera = PinholeCamera()
    for index in range(count):
        time_s = index / fps
        yield render(world, camera, time_s * speed, time_s)


def _checked(name: str, value: int) -> int:
    if isinstance(value, bool) or not hasattr(value, "__index__") or value < 0:
        raise ArgumentError(f"{name} is {value!r}; wanted a whole number from 0")
    return int(value)
