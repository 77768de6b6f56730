"""Observations beside what is really there."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mnnlite.demo.footage import FrameTruth

__all__ = ["Score", "score"]

NEAR = 40.0  # metres: what never came nearer is not asked for
FRAMES = 8  # nor what was clear to see in fewer frames
OFF = 4.0  # metres: an observation further off is of nothing


class Score(NamedTuple):
    """How observations of standing objects compare with the truth.

    Parameters
    ----------
    objects : int
        That stand there and came near enough.
    found : int
        Of these.
    named, names : int
        Found signs with the right name, of how many.
    read, texts : int
        Found signs and boards with the right text, of how many.
    false : int
        Observations of nothing that is there.
    off_m : float
        Median distance of the found ones from their place on the ground, in metres.
    """

    objects: int
    found: int
    named: int
    names: int
    read: int
    texts: int
    false: int
    off_m: float


def score(features: Sequence[dict[str, Any]], truths: Sequence[FrameTruth], moving: Sequence[str]) -> Score:
    """Compare observations with the truth of a clip; what moves is left out.

    Parameters
    ----------
    features : sequence of dict
        As `Observer.features` gives them.
    truths : sequence of FrameTruth
    moving : sequence of str
        Kinds that move.
    """
    clear: Counter[int] = Counter()
    seen, asked = {}, set()
    for frame_truth in truths:
        for obj in frame_truth.objects:
            if obj.kind in moving:
                continue
            (place,) = frame_truth.pose.to_local(np.array([obj.place]))
            seen[obj.id] = obj, place
            clear[obj.id] += obj.clear
            if obj.clear and obj.place[1] < NEAR:
                asked.add(obj.id)
    asked = {number for number in asked if clear[number] >= FRAMES}
    points = [
        each for each in features if each["geometry"]["type"] == "Point" and each["properties"]["element"] not in moving
    ]
    pairs = sorted(
        (float(np.hypot(*(np.array(point["geometry"]["coordinates"][:2]) - place))), index, number)
        for index, point in enumerate(points)
        for number, (obj, place) in seen.items()
        if obj.kind == point["properties"]["element"]
    )
    mine: dict[int, int] = {}  # object -> observation
    off = []
    for distance, index, number in pairs:
        if distance <= OFF and number not in mine and index not in mine.values():
            mine[number] = index
            if number in asked:
                off.append(distance)
    found = {number: points[index]["properties"] for number, index in mine.items() if number in asked}
    named = [
        seen[number][0].name == properties["label"]
        for number, properties in found.items()
        if seen[number][0].kind == "sign"
    ]
    read = [seen[number][0].text == properties["text"] for number, properties in found.items() if seen[number][0].text]
    return Score(
        len(asked),
        len(found),
        sum(named),
        len(named),
        sum(read),
        len(read),
        len(points) - len(mine),
        float(np.median(off)) if off else float("nan"),
    )
