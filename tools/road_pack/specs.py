"""What the networks of the pack take: the same for the data they learn from and for the shipped pipeline."""

from __future__ import annotations

from mnnlite import ImageSpec

# Of road_scene: neither road nor lines reach higher than where this begins.
ROAD = ImageSpec(size=(512, 176), fit="crop", anchor="bottom", color="RGB", filter="area", dtype="uint8")
LARGE = ImageSpec(size=(640, 352), fit="crop", color="RGB", filter="area", dtype="uint8")  # of road_objects
SIGN = ImageSpec(size=(40, 40), color="RGB", filter="area", dtype="uint8")
TEXT = ImageSpec(size=(96, 32), fit="letterbox", color="GRAY", filter="area", dtype="uint8")
SIGN_PADDING, TEXT_PADDING = 0.1, 0.04  # of a box's sides, as `Runtime.add` takes it
TRAIN, MARKED, GALLERY = 1_000_000, 1_500_000, 2_000_000  # first seeds; the tests' are in mnnlite.demo.metrics
