"""What the networks of the pack take: the same for the data they learn from and for the shipped pipeline."""

from __future__ import annotations

from mnnlite import ImageSpec

FRAME = ImageSpec(size=(320, 192), color="RGB", filter="area", dtype="uint8")  # of road_scene
LARGE = ImageSpec(size=(480, 288), color="RGB", filter="area", dtype="uint8")  # of road_objects: signs are small
SIGN = ImageSpec(size=(40, 40), color="RGB", filter="area", dtype="uint8")
TEXT = ImageSpec(size=(96, 32), fit="letterbox", color="GRAY", filter="area", dtype="uint8")
SIGN_PADDING, TEXT_PADDING = 0.1, 0.04  # of a box's sides, as `Runtime.add` takes it
TRAIN, GALLERY, TEST = 1_000_000, 2_000_000, 5_000_000  # first seeds
