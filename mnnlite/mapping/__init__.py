"""From what networks find in frames to one observation for each element of the road, at its place in metres."""

from __future__ import annotations

from mnnlite.mapping.camera import Camera, Mounting
from mnnlite.mapping.observer import Observer
from mnnlite.mapping.pinhole import PinholeCamera
from mnnlite.mapping.track import Track, TrackPose
from mnnlite.mapping.tracker import Pose

__all__ = ["Camera", "Mounting", "Observer", "PinholeCamera", "Pose", "Track", "TrackPose"]
