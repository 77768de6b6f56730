"""Which lane a thing stands in or above, counted from the one that was driven, where lines on the road say it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from mnnlite.mapping.element import Element
    from mnnlite.mapping.track import Track
    from mnnlite.mapping.views import Views

    Floats = NDArray[np.float64]

__all__ = ["number_lanes"]

NARROW, WIDE = 2.2, 5.5  # metres: what is between two lines that are closer or further apart is no lane
SAME = 0.9  # metres: lines that are closer are one
REACH = 12.0  # metres along the way from a line's point to what stands beside it
AFTER_S = 20.0  # seconds within which a thing is passed that was seen last


def number_lanes(elements: Sequence[Element], views: Views, track: Track) -> None:
    """Set `lane` of all points between two lines; what lies elsewhere, or where a lane between is not seen, keeps None.

    Parameters
    ----------
    elements : sequence of Element
        Lines are those of shape "line".
    views : Views
    track : Track
        Whose plane it is.
    """
    lines = [track.plane.to_plane(*each.degrees.T) for each in elements if each.shape == "line"]
    if not lines:
        return
    points = np.concatenate(lines)
    owner = np.repeat(np.arange(len(lines)), [len(each) for each in lines])
    order = np.argsort(points[:, 0], kind="stable")
    points, owner = points[order], owner[order]
    for element in elements:
        if element.shape != "point":
            continue
        (place,) = track.plane.to_plane(*element.degrees.T)
        low, high = np.searchsorted(views.utc, (element.first, element.last + AFTER_S))
        if high <= low:
            continue
        frame = low + int(np.argmin(((views.origin[low:high, :2] - place) ** 2).sum(axis=1)))
        right, forward = views.turn[frame, 0, :2], views.turn[frame, 1, :2]
        here = views.origin[frame, :2]
        aside, station = float((place - here) @ right), float((place - here) @ forward)
        first, last = np.searchsorted(points[:, 0], (place[0] - 30, place[0] + 30))
        near = points[first:last] - here
        borders = _borders(near @ right, near @ forward - station, owner[first:last])
        element.lane = _between(borders, aside)


def _borders(aside: Floats, along: Floats, owner: NDArray[np.intp]) -> list[float]:
    """How far to the right each line passes, from left to right; lines that are almost one are one."""
    found = []
    for line in np.unique(owner[np.abs(along) < REACH]):
        mine = owner == line
        way, off = along[mine], aside[mine]
        close = np.argsort(np.abs(way))[:6]
        if np.abs(way[close[0]]) < 2.0:
            found.append(float(np.median(off[close][np.abs(way[close]) < 4.0])))
        elif way.min() < 0 < way.max():  # between two dashes
            sequence = np.argsort(way)
            found.append(float(np.interp(0.0, way[sequence], off[sequence])))
    found.sort()
    borders: list[float] = []
    for each in found:
        if not borders or each - borders[-1] > SAME:
            borders.append(each)
    return borders


def _between(borders: list[float], aside: float) -> int | None:
    own = int(np.searchsorted(borders, 0.0))
    lane = int(np.searchsorted(borders, aside))
    low, high = min(own, lane), max(own, lane)
    if low < 1 or high >= len(borders):
        return None
    widths = np.diff(borders[low - 1 : high + 1])
    return lane - own if ((widths > NARROW) & (widths < WIDE)).all() else None
