"""Pictures of a drive: a frame with what was found in it, and a map of the observations seen from above."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from mnnlite import draw
from mnnlite.demo.classes import LANES, OBJECTS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from mnnlite.mapping.observer import Element
    from mnnlite.mapping.tracker import Pose

    Image = NDArray[np.uint8]

__all__ = ["annotate", "poster", "seen_from_above"]

ROAD, AREA = (52, 54, 58), (0, 200, 83)
WHITE, GREY = (235, 235, 235), (120, 120, 120)
LINE_COLORS = {"solid": (255, 255, 255), "dashed": (255, 214, 0), "double": (255, 145, 0), "kerb": (0, 184, 212)}


def _color(kind: str) -> tuple[int, int, int]:
    return draw.color_of(OBJECTS.index(kind)) if kind in OBJECTS else GREY


def annotate(image: Image, elements: Sequence[Element], status: Sequence[str] = ()) -> Image:
    """Draw what was found in a frame, in place.

    Parameters
    ----------
    image : (H, W, 3) uint8, RGB
    elements : sequence of Element
    status : sequence of str
        Lines in the upper left corner.
    """
    style = draw.Style(alpha=0.28, text_size=8)
    for element in elements:
        if element.kind == "area" and len(element.points) > 2:
            _fill(image, element.points, AREA, style.alpha)
    for element in elements:
        if element.kind == "lane":
            color = LINE_COLORS.get(element.label, draw.color_of(LANES.index(element.label)))
            draw.polyline(image, element.points, color, style=draw.Style(thickness=3))
    for element in elements:
        if element.kind not in ("lane", "area"):
            draw.box(image, element.box, _color(element.kind), caption=_caption(element), style=style)
    draw.text_block(image, (4, 4), list(status), style)
    return image


def _caption(element: Element) -> str:
    what = [element.kind if element.kind != "sign" or not element.label else element.label, element.text]
    if len(element.place):
        what.append(f"{element.place[0][1]:.0f} m")
    return " ".join(each for each in what if each)


def _fill(image: Image, points: NDArray[Any], color: tuple[int, int, int], alpha: float) -> None:
    """Tint the inside of a polygon, by the even-odd rule at the middle of each pixel."""
    height, width = image.shape[:2]
    low, high = np.floor(points.min(axis=0)).astype(int), np.ceil(points.max(axis=0)).astype(int)
    top, bottom = max(int(low[1]), 0), min(int(high[1]), height)
    start, end = points.astype(np.float64), np.roll(points, -1, axis=0).astype(np.float64)
    tint = np.array(color, np.float32)
    for row in range(top, bottom):
        y = row + 0.5
        crossing = (start[:, 1] <= y) != (end[:, 1] <= y)
        a, b = start[crossing], end[crossing]
        x = np.sort(a[:, 0] + (y - a[:, 1]) / (b[:, 1] - a[:, 1]) * (b[:, 0] - a[:, 0]))
        for left, right in zip(x[::2], x[1::2], strict=False):
            part = image[row, max(round(left), 0) : min(round(right), width)]
            part[...] = (part + (tint - part) * alpha).astype(np.uint8)


def seen_from_above(
    features: Sequence[dict[str, Any]], poses: Sequence[Pose], size: tuple[int, int], title: str = ""
) -> Image:
    """A map of observations: the way driven upwards, metres as a scale.

    Parameters
    ----------
    features : sequence of dict
        As `Observer.features` gives them.
    poses : sequence of Pose
        Where the vehicle was.
    size : (width, height)
        Of the picture, in pixels.
    title : str

    Returns
    -------
    (height, width, 3) uint8, RGB
    """
    width, height = size
    picture = np.empty((height, width, 3), np.uint8)
    picture[...] = (24, 26, 30)
    path = np.array([(pose.x, pose.y) for pose in poses])
    every = [path, *(_flat(feature) for feature in features)]
    corners = np.concatenate(every)
    low, high = corners.min(axis=0) - 3, corners.max(axis=0) + 4
    margin = np.array([12.0, 26.0])
    scale = float(np.min((np.array([width, height]) - 2 * margin) / (high - low)))
    shift = (np.array([width, height]) - scale * (high - low)) / 2

    def at(places: NDArray[Any]) -> NDArray[np.float64]:
        moved = (np.asarray(places, np.float64)[:, :2] - low) * scale + shift
        return np.column_stack([moved[:, 0], height - moved[:, 1]])

    for feature in features:
        if feature["geometry"]["type"] == "Polygon":
            _fill(picture, at(_flat(feature)), ROAD, 1.0)
    for feature in features:
        if feature["geometry"]["type"] == "LineString":
            color = LINE_COLORS.get(feature["properties"]["label"], WHITE)
            draw.polyline(picture, at(_flat(feature)), color, style=draw.Style(thickness=2))
    draw.polyline(picture, at(path), (61, 90, 254), style=draw.Style(thickness=1.5))
    taken: list[tuple[float, float, float, float]] = []
    for feature in features:
        if feature["geometry"]["type"] == "Point":
            properties, (place,) = feature["properties"], at(_flat(feature))
            color = _color(properties["element"])
            draw.dots(picture, place[None], color, draw.Style(thickness=3))
            what = [properties["label"] or properties["element"], properties.get("text", "")]
            caption = " ".join(each for each in what if each)
            wide, high = draw.text_size(caption, 8)
            for left in (place[0] + 8, place[0] - 8 - wide):  # on a side where it hides nothing, or not at all
                room = (left, place[1] - 6, left + wide, place[1] - 6 + high)
                if left >= 0 and room[2] < width and not any(_overlap(room, other) for other in taken):
                    taken.append(room)
                    draw.text(picture, (round(left), round(place[1]) - 4), caption, WHITE, 8)
                    break
    bar = np.array([[12.0, height - 8.0], [12.0 + 10 * scale, height - 8.0]])
    draw.polyline(picture, bar, WHITE, style=draw.Style(thickness=2))
    draw.text(picture, (16 + round(10 * scale), height - 13), "10 m", WHITE, 8)
    draw.text(picture, (12, 8), title, WHITE, 9)
    return picture


def _overlap(a: tuple[float, float, float, float], b: tuple[float, float, float, float]) -> bool:
    return min(a[2], b[2]) > max(a[0], b[0]) and min(a[3], b[3]) > max(a[1], b[1])


def _flat(feature: dict[str, Any]) -> NDArray[np.float64]:
    """(P, 2) x, y of all points of a feature."""
    geometry = feature["geometry"]
    coordinates = geometry["coordinates"][0] if geometry["type"] == "Polygon" else geometry["coordinates"]
    return np.array(coordinates, np.float64).reshape(-1, 3 if geometry["type"] == "Point" else 2)[:, :2]


def poster(frames: Sequence[Image], above: Image) -> Image:
    """Frames one below the other, and beside them the map, whose height is theirs together."""
    return np.concatenate([np.concatenate(list(frames)), above], axis=1)
