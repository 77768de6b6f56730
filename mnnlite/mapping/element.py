"""One object, line or area of the road with its place in the world: the record of a map, schema version 1."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from mnnlite.mapping.clocks import text

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["DATUM", "SCHEMA", "Element", "ellipse_of"]

SCHEMA = "mnnlite-element/1"
# Nothing is converted: the coordinates are those of the log, and of its epoch.
DATUM = "WGS84 as the receiver gave it, at the epoch of the drive"
DIGITS = 7  # of degrees: a centimetre


@dataclass
class Element:
    """An element of a map.

    Parameters
    ----------
    kind, label, text : str
        The class of the element, which one of that class it is, and the text on it; "" if that is not known.
    confidence : float
        Mean score over the frames in which it should have been seen; a frame in which it was not found counts as 0.
    shape : {"point", "line", "area"}
    degrees : (P, 2) float64
        Latitude and longitude. A point has one row; the ring of an area does not repeat its first point.
    covariance : (2, 2) float64
        Covariance of east and north, in metres squared.
    height, height_sigma : float
        Metres above the ellipsoid; NaN if the log has no heights above the ellipsoid.
    above_road : float
        Metres above the road; NaN for lines and areas.
    azimuth, azimuth_sigma : float
        Direction it faces, in degrees from true north; NaN if that is not known.
    side : {"left", "right", ""}
        Side of the vehicle's track on which it stands; `aside` is its distance from the track in metres.
    lane : int or None
        0 for the lane that was driven, 1 for the next one to its right, -1 to its left; None if lane lines do not tell.
    seen, expected : int
        Frames in which it was found, and in which it should have been.
    first, last : float
        UTC of the first and of the last frame in which it was found, seconds since 1970.
    proof : list of tuple
        The frames of the video with its largest boxes: their numbers, and the boxes.
    quality : int
        Smallest quality indicator of the positions while it was seen, as in NMEA's GGA; 0 if there were none.
    drive : str
        Hash of the drive.
    made_of : dict of str to str
        Hashes of the camera as it was calibrated and as the drive found it (`calibration`), of the `pipeline` and of its
        `models`, where they are known.
    """

    kind: str
    label: str
    text: str
    confidence: float
    shape: str
    degrees: Floats
    covariance: Floats
    seen: int
    expected: int
    first: float
    last: float
    height: float = math.nan
    height_sigma: float = math.nan
    above_road: float = math.nan
    azimuth: float = math.nan
    azimuth_sigma: float = math.nan
    side: str = ""
    aside: float = math.nan
    lane: int | None = None
    label_score: float = 0.0
    text_score: float = 0.0
    proof: list[tuple[int, tuple[float, ...]]] = field(default_factory=list)
    quality: int = 1
    drive: str = ""
    made_of: dict[str, str] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """Hash of the drive, the kind, the place and the time: the same drive gives the same ids."""
        place = np.round(self.degrees[0] * 10**DIGITS).astype(np.int64).tolist()
        words = [self.drive, self.kind, self.shape, *map(str, place), f"{self.first:.2f}"]
        import hashlib

        return hashlib.sha256("\n".join(words).encode()).hexdigest()[:20]

    @property
    def sigma(self) -> float:
        """Larger half axis of the one-sigma ellipse, in metres."""
        return ellipse_of(self.covariance)[0]

    def to_feature(self, proofs: bool = False) -> dict[str, Any]:
        """A GeoJSON feature (RFC 7946): longitude, latitude, and the height if it is above the ellipsoid.

        Parameters
        ----------
        proofs : bool
            Whether the feature has the frames and boxes of `proof`.
        """
        major, minor, direction = ellipse_of(self.covariance)
        properties: dict[str, Any] = {
            "kind": self.kind,
            "label": self.label,
            "text": self.text,
            "confidence": round(self.confidence, 3),
            "azimuth_deg": _number(self.azimuth, 1),
            "azimuth_sigma_deg": _number(self.azimuth_sigma, 1),
            "sigma_m": round(major, 2),
            "ellipse_m_deg": [round(major, 2), round(minor, 2), round(direction, 1)],
            "seen": self.seen,
            "expected": self.expected,
            "first_seen": _iso(self.first),
            "last_seen": _iso(self.last),
            "height_m": _number(self.height, 2),
            "height_sigma_m": _number(self.height_sigma, 2),
            "above_road_m": _number(self.above_road, 2),
            "side": self.side or None,
            "aside_m": _number(self.aside, 2),
            "lane": self.lane,
            "label_score": round(self.label_score, 3),
            "text_score": round(self.text_score, 3),
            "fix_quality": self.quality,
            "calibration": self.made_of.get("calibration"),
            "pipeline": self.made_of.get("pipeline"),
            "models": self.made_of.get("models"),
            "drive": self.drive,
            "id": self.id,
            "schema": SCHEMA,
        }
        if proofs:
            properties["proof"] = [[frame, [round(value, 1) for value in box]] for frame, box in self.proof]
        return {"type": "Feature", "id": self.id, "geometry": self._geometry(), "properties": properties}

    def _geometry(self) -> dict[str, Any]:
        points = np.round(self.degrees[:, ::-1], DIGITS).tolist()
        if self.shape == "point":
            height = [] if math.isnan(self.height) else [round(self.height, 2)]
            return {"type": "Point", "coordinates": [*points[0], *height]}
        if self.shape == "line":
            return {"type": "LineString", "coordinates": points}
        ring = self.degrees
        # Outer rings run counter-clockwise.
        x, y = ring[:, 1] - ring[0, 1], ring[:, 0] - ring[0, 0]
        area = float(np.sum(x * np.roll(y, -1) - np.roll(x, -1) * y))
        points = points if area > 0 else points[::-1]
        return {"type": "Polygon", "coordinates": [[*points, points[0]]]}


def _number(value: float, digits: int) -> float | None:
    return round(float(value), digits) if math.isfinite(value) else None


def _iso(utc: float) -> str:
    fraction = round(utc % 1 * 1000) % 1000
    return text(math.floor(utc + 0.0005)).replace(" UTC", "").replace(" ", "T") + f".{fraction:03}Z"


def ellipse_of(covariance: Floats) -> tuple[float, float, float]:
    """Half axes of the one-sigma ellipse in metres, the larger first, and the azimuth of the larger in degrees (0 to 180)."""
    values, vectors = np.linalg.eigh(covariance)
    minor, major = np.sqrt(np.maximum(values, 0)).tolist()
    east, north = vectors[:, 1].tolist()
    return float(major), float(minor), float(math.degrees(math.atan2(east, north)) % 180)
