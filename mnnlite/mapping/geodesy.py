"""Maps WGS84 to a plane around a drive: a transverse Mercator projection, centred where the drive begins.

The series are Krüger's (1912) to the fourth order as Karney gives them (2011, "Transverse Mercator with an accuracy of a few
nanometers"); within 300 km of the centre they are good to far below a millimetre. Distances in the plane are true to a part
in 100,000 within 25 km east or west of the centre, angles everywhere.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]

__all__ = ["Plane", "from_ecef"]

A = 6378137.0  # metres (WGS84, NIMA TR8350.2)
F = 1 / 298.257223563
_N = F / (2 - F)
_E2 = F * (2 - F)
_E = math.sqrt(_E2)
_RADIUS = A / (1 + _N) * (1 + _N**2 / 4 + _N**4 / 64)
_ALPHA = (
    _N / 2 - 2 * _N**2 / 3 + 5 * _N**3 / 16 + 41 * _N**4 / 180,
    13 * _N**2 / 48 - 3 * _N**3 / 5 + 557 * _N**4 / 1440,
    61 * _N**3 / 240 - 103 * _N**4 / 140,
    49561 * _N**4 / 161280,
)
_BETA = (
    _N / 2 - 2 * _N**2 / 3 + 37 * _N**3 / 96 - _N**4 / 360,
    _N**2 / 48 + _N**3 / 15 - 437 * _N**4 / 1440,
    17 * _N**3 / 480 - 37 * _N**4 / 840,
    4397 * _N**4 / 161280,
)


def _conformal(tau: Floats) -> Floats:
    """Tangent of the conformal latitude from that of the geodetic one."""
    secant = np.sqrt(1 + tau * tau)
    sigma = np.sinh(_E * np.arctanh(_E * tau / secant))
    conformal: Floats = tau * np.sqrt(1 + sigma * sigma) - sigma * secant
    return conformal


@dataclass(frozen=True)
class Plane:
    """A plane in metres, x to the east and y to the north, that touches the ellipsoid at a place.

    Parameters
    ----------
    latitude, longitude : float
        Place of its centre, in degrees (WGS84).
    """

    latitude: float
    longitude: float

    @cached_property
    def _north(self) -> float:
        return float(self._project(np.array([self.latitude]), np.array([self.longitude]))[0, 1])

    def _project(self, latitude: Floats, longitude: Floats) -> Floats:
        conformal = _conformal(np.tan(np.radians(latitude)))
        east = np.radians((longitude - self.longitude + 180) % 360 - 180)
        xi = np.arctan2(conformal, np.cos(east))
        eta = np.arcsinh(np.sin(east) / np.hypot(conformal, np.cos(east)))
        x, y = eta.copy(), xi.copy()
        for order, factor in enumerate(_ALPHA, 1):
            y += factor * np.sin(2 * order * xi) * np.cosh(2 * order * eta)
            x += factor * np.cos(2 * order * xi) * np.sinh(2 * order * eta)
        return np.stack([x, y], axis=-1) * _RADIUS

    def to_plane(self, latitude: ArrayLike, longitude: ArrayLike) -> Floats:
        """(..., 2) metres east and north of places in degrees."""
        places = self._project(np.asarray(latitude, np.float64), np.asarray(longitude, np.float64))
        places[..., 1] -= self._north
        return places

    def to_degrees(self, places: ArrayLike) -> Floats:
        """(..., 2) latitude and longitude in degrees of places in metres east and north."""
        metres = np.asarray(places, np.float64)
        xi, eta = (metres[..., 1] + self._north) / _RADIUS, metres[..., 0] / _RADIUS
        north, east = xi.copy(), eta.copy()
        for order, factor in enumerate(_BETA, 1):
            north -= factor * np.sin(2 * order * xi) * np.cosh(2 * order * eta)
            east -= factor * np.cos(2 * order * xi) * np.sinh(2 * order * eta)
        conformal = np.sin(north) / np.hypot(np.sinh(east), np.cos(north))
        tau = conformal / (1 - _E2)
        for _ in range(5):
            here = _conformal(tau)
            tau = tau + (conformal - here) / np.sqrt(1 + here * here) * (1 + (1 - _E2) * tau * tau) / (
                (1 - _E2) * np.sqrt(1 + tau * tau)
            )
        longitude = self.longitude + np.degrees(np.arctan2(np.sinh(east), np.cos(north)))
        return np.stack([np.degrees(np.arctan(tau)), (longitude + 180) % 360 - 180], axis=-1)

    def convergence(self, latitude: ArrayLike, longitude: ArrayLike) -> Floats:
        """Radians from the plane's north to true north, clockwise: add it to a true heading to get a heading in the plane."""
        step = 1e-5
        degrees = np.asarray(latitude, np.float64)
        ahead = self.to_plane(degrees + step, longitude) - self.to_plane(degrees - step, longitude)
        angle: Floats = np.arctan2(ahead[..., 0], ahead[..., 1])
        return angle


def from_ecef(places: ArrayLike) -> Floats:
    """(N, 3) earth-centred metres -> latitude and longitude in degrees, height above the ellipsoid (Bowring 1976)."""
    x, y, z = np.moveaxis(np.asarray(places, np.float64), -1, 0)
    across = np.hypot(x, y)
    b = A * (1 - F)
    theta = np.arctan2(z * A, across * b)
    second = _E2 / (1 - _E2)
    latitude = np.arctan2(z + second * b * np.sin(theta) ** 3, across - _E2 * A * np.cos(theta) ** 3)
    radius = A / np.sqrt(1 - _E2 * np.sin(latitude) ** 2)
    height = across * np.cos(latitude) + z * np.sin(latitude) - A * A / radius
    return np.stack([np.degrees(latitude), np.degrees(np.arctan2(y, x)), height], axis=-1)
