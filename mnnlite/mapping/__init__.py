"""From what networks find in frames to one observation for each element of the road, at its place in metres."""

from __future__ import annotations

from mnnlite.mapping.camera import Camera, Mounting
from mnnlite.mapping.drive import Observer
from mnnlite.mapping.element import Element
from mnnlite.mapping.kinds import ElementRule, MapRules
from mnnlite.mapping.pinhole import PinholeCamera
from mnnlite.mapping.track import Track, TrackPose
from mnnlite.mapping.tracker import Pose

__all__ = [
    "Camera",
    "Element",
    "ElementRule",
    "MapRules",
    "Mounting",
    "Observer",
    "PinholeCamera",
    "Pose",
    "Track",
    "TrackPose",
]
