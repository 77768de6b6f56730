"""Places detections: from a box in the picture to a place in metres with its covariance."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mnnlite.mapping.tracker import Bearing, Measurement

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from mnnlite.mapping.pinhole import PinholeCamera

    Floats = NDArray[np.float64]

__all__ = ["measure", "visible"]

# Usual heights in metres of what hangs in the air; how far away it is follows from its box. All other kinds stand on the
# road, where the lower edge of their box is.
HEIGHTS = {"sign": 0.79, "board": 0.8, "speed camera": 0.77}
# How far that can be believed: sizes differ by 10 to 20 per cent. More would not do for the filter that follows an object: the
# camera must stay far outside of what it takes for possible.
ALONG = 0.25
PIXELS = 1.5  # by which an edge of a box is off, and a part of the box's height
OF_HEIGHT = 0.04
ACROSS = ("crosswalk",)  # as wide as the road, so that seldom the whole of it is in the picture
EDGE = 3.0  # pixels: a box so near to the edge of the frame is cut off there
RANGE = (4.0, 55.0)  # metres: between these something may be expected to be found


def measure(
    camera: PinholeCamera, kind: str, box: Sequence[float], score: float, label: str = "", text: str = ""
) -> Measurement | None:
    """Measure the place of a detection.

    Parameters
    ----------
    camera : PinholeCamera
    kind : str
    box : (x1, y1, x2, y2)
        The box, in pixels of the frame.
    score, label, text
        As in `Measurement`.

    Returns
    -------
    Measurement or None
        The measurement, in metres from the point of the road under the camera. None if the edge of the frame cuts the box
        off, or if the object stands on the road and its foot is above the horizon.
    """
    x1, y1, x2, y2 = (float(value) for value in box)
    if y1 < EDGE or y2 > camera.height - EDGE:
        return None
    if kind not in ACROSS and (x1 < EDGE or x2 > camera.width - EDGE):
        return None
    bearing = None
    if kind in HEIGHTS:
        bearing = _bearing(camera, (x1 + x2) / 2, (y1 + y2) / 2, y2 - y1, HEIGHTS[kind])
        place, covariance = _in_the_air(bearing)
    elif y2 > camera.horizon + 2:
        sideways = (x2 - x1) / 4 if kind in ACROSS else 0.0  # whichever part of it is in the picture
        place, covariance = _on_the_road(camera, (x1 + x2) / 2, y2, PIXELS + OF_HEIGHT * (y2 - y1), sideways)
    else:
        return None
    return Measurement(kind, place, covariance, score, label, text, bearing)


def _bearing(camera: PinholeCamera, u: float, v: float, pixels: float, metres: float) -> Bearing:
    ray = np.linalg.solve(camera.matrix[:, :3], np.array([u, v, 1.0]))  # whose depth along the optical axis is 1
    length = float(np.linalg.norm(ray))
    sigma = (PIXELS + OF_HEIGHT * pixels) / camera.focal
    return Bearing(
        np.array([0.0, 0.0, camera.above]), ray / length, sigma, length * camera.focal * metres / max(pixels, 1.0)
    )


def _in_the_air(bearing: Bearing) -> tuple[Floats, Floats]:
    across, along = bearing.range * bearing.sigma, bearing.range * ALONG
    covariance = np.eye(3) * across**2 + np.outer(bearing.ray, bearing.ray) * (along**2 - across**2)
    return bearing.origin + bearing.ray * bearing.range, covariance


def _on_the_road(camera: PinholeCamera, u: float, v: float, deviation: float, sideways: float) -> tuple[Floats, Floats]:
    pixels = np.array([[u, v], [u + 1, v], [u, v + 1]])
    here, right, down = camera.ground_of(pixels)
    slope = np.stack([right - here, down - here], axis=1)  # metres per pixel
    covariance = np.zeros((3, 3))
    covariance[:2, :2] = slope @ np.diag([deviation**2 + sideways**2, deviation**2]) @ slope.T + np.eye(2) * 0.05**2
    covariance[2, 2] = 0.05**2
    return np.array([here[0], here[1], 0.0]), covariance


def visible(camera: PinholeCamera, places: Floats) -> NDArray[np.bool_]:
    """(N,) bool: whether a detector should find objects at (N, 3) places in the vehicle's frame, in metres."""
    pixels, depths = camera.project(places)
    margin = 0.04 * camera.width
    inside = (pixels > margin).all(axis=1) & (pixels < (camera.width - margin, camera.height - margin)).all(axis=1)
    near, far = RANGE
    seen: NDArray[np.bool_] = inside & (depths > near) & (depths < far)
    return seen
