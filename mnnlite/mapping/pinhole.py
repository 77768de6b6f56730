"""A pinhole camera above flat ground, for which every pixel below the horizon is one place in metres."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = ["PinholeCamera"]


@dataclass(frozen=True)
class PinholeCamera:
    """A pinhole camera with its place and direction, in metres, radians and pixels (pixel i covers [i, i+1)).

    Ground coordinates are x to the right and y forward, in metres, from the point of the road under the camera. A third
    number is z upwards from the ground.

    Parameters
    ----------
    width, height : int
        Size of the picture, in pixels.
    focal : float
        Focal length in pixels.
    cx, cy : float
        Principal point, in pixels.
    above : float
        Height above the ground, in metres.
    pitch : float
        Angle by which it looks down, in radians.
    yaw : float
        Angle by which it looks to the right, in radians.
    """

    width: int = 640
    height: int = 360
    focal: float = 560.0
    cx: float = 320.0
    cy: float = 180.0
    above: float = 1.4
    pitch: float = 0.035
    yaw: float = 0.0

    @cached_property
    def matrix(self) -> NDArray[np.float64]:
        """(3, 4): homogeneous x, y, z in metres -> homogeneous pixel; the third number is the depth in metres."""
        c, s = math.cos(self.yaw), math.sin(self.yaw)
        cp, sp = math.cos(self.pitch), math.sin(self.pitch)
        # Rows: to the right, downwards and forward as seen by the camera.
        rotation = np.array([[c, -s, 0.0], [-s * sp, -c * sp, -cp], [s * cp, c * cp, -sp]])
        axes = np.concatenate([rotation, -rotation @ np.array([[0.0], [0.0], [self.above]])], axis=1)
        lens = np.array([[self.focal, 0.0, self.cx], [0.0, self.focal, self.cy], [0.0, 0.0, 1.0]])
        matrix: NDArray[np.float64] = lens @ axes
        return matrix

    @cached_property
    def ground_to_image(self) -> NDArray[np.float64]:
        """(3, 3): place on the ground in metres -> pixel of the frame, projective."""
        columns: NDArray[np.float64] = self.matrix[:, [0, 1, 3]]
        return columns

    @cached_property
    def image_to_ground(self) -> NDArray[np.float64]:
        """(3, 3): pixel of the frame -> place on the ground in metres, as `Polylines.to_ground` takes it."""
        return np.linalg.inv(self.ground_to_image).astype(np.float64)

    @property
    def horizon(self) -> float:
        """The row of the horizon, in pixels."""
        return self.cy - self.focal * math.tan(self.pitch)

    def project(self, points: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Pixels and depths of places.

        Parameters
        ----------
        points : (N, 3) or (N, 2) array
            x, y and z in metres. Places without z are on the ground.

        Returns
        -------
        pixels : (N, 2) float64
        depths : (N,) float64
            Metres along the optical axis. A place whose depth is not positive lies behind the camera: its pixel means
            nothing.
        """
        places = np.asarray(points, np.float64)
        matrix = self.matrix if places.shape[1] == 3 else self.ground_to_image
        seen = places @ matrix[:, :-1].T + matrix[:, -1]
        depth = seen[:, 2]
        return seen[:, :2] / np.where(np.abs(depth) < 1e-9, 1e-9, depth)[:, None], depth

    def ground_of(self, pixels: ArrayLike) -> NDArray[np.float64]:
        """(N, 2) pixels below the horizon -> places on the ground in metres."""
        seen = np.column_stack([np.asarray(pixels, np.float64), np.ones(len(np.asarray(pixels)))])
        mapped = seen @ self.image_to_ground.T
        places: NDArray[np.float64] = mapped[:, :2] / mapped[:, 2:]
        return places
