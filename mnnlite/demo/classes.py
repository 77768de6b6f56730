"""Names of what the road scenes hold and the road networks find; their order is that of class numbers."""

from __future__ import annotations

__all__ = ["KINDS", "LANES", "OBJECTS", "SIGNS", "SPEEDS", "SURFACES", "SYMBOLS"]

# What `road_objects` detects.
OBJECTS = ("sign", "board", "speed camera", "cone", "vehicle", "arrow", "crosswalk")

# What a sign is (`sign_class`); the last is everything that only looks like one.
SIGNS = (
    "speed limit",
    "end of limits",
    "no entry",
    "no parking",
    "give way",
    "stop",
    "priority road",
    "danger",
    "curve",
    "crossroads",
    "keep right",
    "crosswalk ahead",
    "other",
)

# Pixels of the lane map (`road_scene`); 0 is none.
LANES = ("none", "solid", "dashed", "double", "kerb")

SURFACES = ("dry", "wet", "snow", "unpaved")

# What `sign_text` reads on signs and boards.
SYMBOLS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"

SPEEDS = ("10", "20", "30", "40", "50", "60", "70", "80", "90", "100", "110", "120", "130")

# Standing objects and marks on the road that are drawn but not detected.
KINDS = (*OBJECTS, "billboard", "shop sign", "tree", "lamp", "house", "gantry")
