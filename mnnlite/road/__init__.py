"""The road pack: scenes from a seed with exact labels, and small networks that were trained on them."""

from __future__ import annotations

from mnnlite.road.camera import Camera
from mnnlite.road.classes import LANES, OBJECTS, SIGNS, SURFACES, SYMBOLS
from mnnlite.road.render import Lane, Thing, Truth
from mnnlite.road.scenes import clip, scene

__all__ = ["LANES", "OBJECTS", "SIGNS", "SURFACES", "SYMBOLS", "Camera", "Lane", "Thing", "Truth", "clip", "scene"]
