"""Makes one observation of each element of the road, with its place in metres, from what networks find in frames."""

from __future__ import annotations

from mnnlite.lazy import lazily

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mnnlite.mapping.camera import Camera, Mounting
    from mnnlite.mapping.drive import Observer
    from mnnlite.mapping.element import Element
    from mnnlite.mapping.kinds import ElementRule, MapRules
    from mnnlite.mapping.pinhole import PinholeCamera
    from mnnlite.mapping.track import Track, TrackPose
    from mnnlite.mapping.tracker import Pose

# Found when first asked for: a device that records measurements does without what solves a drive.
_HOMES = {
    "Camera": "mnnlite.mapping.camera",
    "Element": "mnnlite.mapping.element",
    "ElementRule": "mnnlite.mapping.kinds",
    "MapRules": "mnnlite.mapping.kinds",
    "Mounting": "mnnlite.mapping.camera",
    "Observer": "mnnlite.mapping.drive",
    "PinholeCamera": "mnnlite.mapping.pinhole",
    "Pose": "mnnlite.mapping.tracker",
    "Track": "mnnlite.mapping.track",
    "TrackPose": "mnnlite.mapping.track",
}

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

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazily(__name__, _HOMES)
