"""The demo: scenes from a seed with exact labels, small networks that were trained on them, and how good these are.

Only the command line imports this package; what a user needs to make a map is in `mnnlite.mapping`.
"""

from __future__ import annotations

from mnnlite.demo.classes import LANES, OBJECTS, SIGNS, SURFACES, SYMBOLS
from mnnlite.demo.render import Lane, SceneObject, SceneTruth
from mnnlite.demo.scenes import clip, scene

__all__ = ["LANES", "OBJECTS", "SIGNS", "SURFACES", "SYMBOLS", "Lane", "SceneObject", "SceneTruth", "clip", "scene"]
