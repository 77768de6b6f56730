"""A calibrated camera: its lens, and how it is mounted in the vehicle."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from mnnlite.errors import ArgumentError
from mnnlite.mapping import camera_files, lens

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]

__all__ = ["Camera", "Mounting"]

RATIO = 0.005  # by which the sides of a picture may be off the calibration's: rows that an encoder adds
_MODELS = {
    "plumb_bob": "plumb_bob",
    "pinhole": "plumb_bob",
    "radtan": "plumb_bob",
    "rational_polynomial": "rational",
    "rational": "rational",
    "equidistant": "fisheye",
    "fisheye": "fisheye",
}


@dataclass(frozen=True)
class Mounting:
    """Where the camera is in the vehicle and how it looks.

    ::

        from the side                              from above               from behind
                     z up                              y forward                z up
                      |   antenna                       |   / yaw > 0            |   roll > 0: the right
                      |  *                              |  /  looks to           |   side is lower
           camera [=]>- - - - y forward                 | /   the right       ---+--- x right
             |        '- . pitch < 0 looks down         |/
             | height                           camera [=]------ x right
        _____|____ road

    Parameters
    ----------
    height : float
        Height of the camera above the road, in metres.
    pitch, yaw, roll : float
        Degrees: up, to the right, and clockwise as seen from behind. They apply in the order yaw, pitch, roll.
    antenna : (right, forward, up)
        Metres from the camera to the GNSS antenna, along the vehicle's axes.
    axle : float
        How far the rear axle is ahead of the camera, in metres: a negative number. In a bend only the rear axle moves in the
        direction of the vehicle's heading.
    height_sigma, pitch_sigma, yaw_sigma, roll_sigma : float
        Standard deviations of these, in metres and degrees. Calibration over a drive starts from them.
    """

    height: float = 1.4
    pitch: float = 0.0
    yaw: float = 0.0
    roll: float = 0.0
    antenna: tuple[float, float, float] = (0.0, 0.0, 0.0)
    axle: float = -1.8
    height_sigma: float = 0.1
    pitch_sigma: float = 1.0
    yaw_sigma: float = 1.0
    roll_sigma: float = 0.5

    def __post_init__(self) -> None:
        for entry in fields(self):
            value = getattr(self, entry.name)
            numbers = value if entry.name == "antenna" else (value,)
            if isinstance(numbers, str) or len(numbers) != (3 if entry.name == "antenna" else 1):
                raise ArgumentError(f"mounting: antenna is {value!r}; wanted three numbers, right, forward and up")
            for number in numbers:
                if isinstance(number, bool) or not isinstance(number, (int, float)) or not math.isfinite(number):
                    raise ArgumentError(f"mounting: {entry.name} is {value!r}; wanted a finite number")
        if not 0.1 <= self.height <= 10:
            raise ArgumentError(f"mounting: height is {self.height}; wanted 0.1 to 10 metres above the road")
        if abs(self.pitch) > 60 or abs(self.roll) > 60 or abs(self.yaw) > 180:
            raise ArgumentError("mounting: wanted degrees: pitch and roll within 60, yaw within 180")
        if min(self.height_sigma, self.pitch_sigma, self.yaw_sigma, self.roll_sigma) < 0:
            raise ArgumentError("mounting: a sigma below 0")
        object.__setattr__(self, "antenna", tuple(float(each) for each in self.antenna))

    @classmethod
    def parse(cls, text: str) -> Mounting:
        """Read ``"height=1.4,pitch=-2.0,yaw=0,roll=0,antenna=0.3:-1.2:0.2"``; fields that it does not name keep their defaults.

        Raises
        ------
        ArgumentError
            A name is unknown, or a value is not a number.
        """
        known = [entry.name for entry in fields(cls)]
        given: dict[str, Any] = {}
        for word in text.split(","):
            name, _, value = (part.strip() for part in word.partition("="))
            if name not in known:
                raise ArgumentError(f"mounting: {name!r} is unknown; known are {', '.join(known)}")
            try:
                given[name] = tuple(float(part) for part in value.split(":")) if name == "antenna" else float(value)
            except ValueError:
                raise ArgumentError(
                    f"mounting: {word.strip()!r}; wanted numbers, such as height=1.4 or antenna=0.3:-1.2:0.2"
                ) from None
        return cls(**given)

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Mounting:
        """Read the ``[camera]`` table of a pipeline."""
        known = [entry.name for entry in fields(cls)]
        for name in values:
            if name not in known:
                raise ArgumentError(f"camera: {name!r} is unknown; known are {', '.join(known)}")
        return cls(**{**values, **({"antenna": tuple(values["antenna"])} if "antenna" in values else {})})

    @cached_property
    def turn(self) -> Floats:
        """(3, 3): direction in the vehicle (right, forward, up) -> in the camera (right, down, forward)."""
        yaw, pitch, roll = (math.radians(each) for each in (self.yaw, self.pitch, self.roll))
        forward = np.array([math.sin(yaw) * math.cos(pitch), math.cos(yaw) * math.cos(pitch), math.sin(pitch)])
        level = np.array([math.cos(yaw), -math.sin(yaw), 0.0])
        below = np.cross(forward, level)
        right = math.cos(roll) * level + math.sin(roll) * below
        down = -math.sin(roll) * level + math.cos(roll) * below
        return np.stack([right, down, forward])


@dataclass(frozen=True)
class Camera:
    """A calibrated camera. Pixel i covers [i, i+1), so its principal point is OpenCV's plus half a pixel.

    Parameters
    ----------
    width, height : int
        Size of the pictures that the camera was calibrated with, in pixels.
    fx, fy, cx, cy : float
        Focal lengths and principal point, in pixels.
    model : {"plumb_bob", "rational", "fisheye"}
    coefficients : tuple of float
        Distortion coefficients in OpenCV's order: 5, 8 or 4 for the three models. All are 0 for a pinhole.
    mounting : Mounting
    """

    width: int
    height: int
    fx: float
    fy: float
    cx: float
    cy: float
    model: str = "plumb_bob"
    coefficients: tuple[float, ...] = (0.0, 0.0, 0.0, 0.0, 0.0)
    mounting: Mounting = field(default_factory=Mounting)

    def __post_init__(self) -> None:
        if self.model not in lens.COEFFICIENTS:
            raise ArgumentError(f"camera: model is {self.model!r}; wanted {', '.join(lens.COEFFICIENTS)}")
        if len(self.coefficients) != lens.COEFFICIENTS[self.model]:
            wanted = lens.COEFFICIENTS[self.model]
            raise ArgumentError(f"camera: {self.model} takes {wanted} coefficients, got {len(self.coefficients)}")
        numbers = (self.fx, self.fy, self.cx, self.cy, *self.coefficients)
        if not all(math.isfinite(each) for each in numbers) or min(self.fx, self.fy) <= 0:
            raise ArgumentError(
                "camera: focal lengths, principal point and coefficients must be finite, the first above 0"
            )
        if min(self.width, self.height) < 1:
            raise ArgumentError(f"camera: the picture is {self.width}x{self.height}; wanted a size in pixels")

    @classmethod
    def load(
        cls, path: str | os.PathLike[str], *, model: str | None = None, mounting: Mounting | str | None = None
    ) -> Camera:
        """Read a calibration: ROS ``camera_info`` YAML, or OpenCV ``FileStorage`` in YAML, XML or JSON.

        Parameters
        ----------
        path : path
        model : {"plumb_bob", "rational", "fisheye"}, optional
            The lens model, if the file does not name it: OpenCV's files do not tell a fisheye from other lenses.
        mounting : Mounting or str, optional
            As `Mounting.parse` takes it.

        Returns
        -------
        Camera

        Raises
        ------
        SourceError
            The file cannot be read.
        ArgumentError
            The file is not a calibration, or its lens model is unknown.
        """
        values = camera_files.read(path)
        mounted = Mounting.parse(mounting) if isinstance(mounting, str) else mounting or Mounting()
        try:
            return replace(_of_file(values, model), mounting=mounted)
        except ArgumentError as error:
            raise ArgumentError(f"{path}: {error}") from None

    def mounted(self, mounting: Mounting) -> Camera:
        """The same camera with another mounting."""
        return replace(self, mounting=mounting)

    def scaled(self, width: int, height: int) -> Camera:
        """The same camera for pictures of another size.

        Raises
        ------
        ArgumentError
            The aspect ratio is another one: a part of the picture was cut off, and nobody knows which.
        """
        if (width, height) == (self.width, self.height):
            return self
        across, down = width / self.width, height / self.height
        if abs(across / down - 1) > RATIO:
            raise ArgumentError(
                f"the camera was calibrated at {self.width}x{self.height}, the pictures are {width}x{height}: the sides have "
                "another ratio, so a part was cut off; calibrate at the size that is recorded"
            )
        return replace(
            self,
            width=width,
            height=height,
            fx=self.fx * across,
            fy=self.fy * down,
            cx=self.cx * across,
            cy=self.cy * down,
        )

    def rays(self, pixels: ArrayLike) -> Floats:
        """Directions of (N, 2) pixels, as (N, 3) unit vectors right, down and forward; NaN for pixels that the lens does not reach."""
        points = np.asarray(pixels, np.float64).reshape(-1, 2)
        seen = (points - (self.cx, self.cy)) / (self.fx, self.fy)
        if self.model == "fisheye":
            radius = np.hypot(seen[:, 0], seen[:, 1])
            angle = lens.fisheye_angle(radius, self.coefficients)
            part = np.sin(angle) / np.maximum(radius, 1e-12)
            return np.column_stack([seen[:, 0] * part, seen[:, 1] * part, np.cos(angle)])
        ideal = lens.undistort(seen, self.coefficients) if any(self.coefficients) else seen
        directions = np.column_stack([ideal, np.ones(len(ideal))])
        unit: Floats = directions / np.linalg.norm(directions, axis=1)[:, None]
        return unit

    def pixels(self, directions: ArrayLike) -> Floats:
        """Pixels (N, 2) of (N, 3) directions or places in the camera's axes; NaN behind the camera."""
        points = np.asarray(directions, np.float64).reshape(-1, 3)
        with np.errstate(divide="ignore", invalid="ignore"):
            if self.model == "fisheye":
                across = np.hypot(points[:, 0], points[:, 1])
                radius = lens.fisheye_radius(np.arctan2(across, points[:, 2]), self.coefficients)
                seen = points[:, :2] * (radius / np.maximum(across, 1e-12))[:, None]
            else:
                ideal = points[:, :2] / np.where(points[:, 2] > 0, points[:, 2], np.nan)[:, None]
                seen = lens.distort(ideal, self.coefficients) if any(self.coefficients) else ideal
        return seen * (self.fx, self.fy) + (self.cx, self.cy)

    def undistort(self, pixels: ArrayLike) -> Floats:
        """(N, 2) pixels -> pixels of a pinhole with the same focal lengths and principal point."""
        rays = self.rays(pixels)
        with np.errstate(divide="ignore", invalid="ignore"):
            ideal = rays[:, :2] / np.where(rays[:, 2] > 0, rays[:, 2], np.nan)[:, None]
        return ideal * (self.fx, self.fy) + (self.cx, self.cy)

    def distort(self, pixels: ArrayLike) -> Floats:
        """Invert `undistort`."""
        points = np.asarray(pixels, np.float64).reshape(-1, 2)
        ideal = (points - (self.cx, self.cy)) / (self.fx, self.fy)
        return self.pixels(np.column_stack([ideal, np.ones(len(ideal))]))


def _of_file(values: dict[str, Any], model: str | None) -> Camera:
    def first(*names: str) -> Any:
        for name in names:
            if values.get(name) not in (None, ""):
                return values[name]
        raise ArgumentError(f"there is no {names[0]}; wanted ROS camera_info or OpenCV FileStorage")

    matrix = _numbers(first("camera_matrix", "cameraMatrix", "Camera_Matrix", "K", "k"), "camera_matrix")
    if len(matrix) != 9:
        raise ArgumentError(f"camera_matrix has {len(matrix)} numbers; wanted 9")
    try:
        given = first("distortion_coefficients", "dist_coeffs", "distCoeffs", "Distortion_Coefficients", "D", "d")
        coefficients = _numbers(given, "distortion_coefficients")
    except ArgumentError:
        if any(name in values for name in ("distortion_coefficients", "distCoeffs", "D")):
            coefficients = []
        else:
            raise
    width, height = _size(values)
    if any(matrix[index] != 0 for index in (1, 3, 6, 7)):
        raise ArgumentError("camera_matrix is skewed; wanted fx 0 cx, 0 fy cy, 0 0 1")
    name = model or values.get("distortion_model") or values.get("camera_model") or values.get("fisheye_model")
    if name in (None, "", 0):
        name = "fisheye" if values.get("fisheye") in (1, "true") else ""
    if name == 1:
        name = "fisheye"
    kind = _MODELS.get(str(name).lower(), "") if name else _by_count(coefficients)
    if not kind:
        raise ArgumentError(f"the distortion model {name!r} is not known; known are {', '.join(_MODELS)}")
    if kind == "plumb_bob" and len(coefficients) > 5:
        kind = "rational"
    wanted = lens.COEFFICIENTS[kind]
    if any(coefficients[wanted:]):
        raise ArgumentError("thin prism and tilt coefficients are not known; calibrate with 5 or 8 coefficients")
    filled = (*coefficients, *[0.0] * wanted)[:wanted]
    binned = [max(int(values.get(key) or 1), 1) for key in ("binning_x", "binning_y")]
    camera = Camera(width, height, matrix[0], matrix[4], matrix[2] + 0.5, matrix[5] + 0.5, kind, tuple(filled))
    roi = values.get("roi")
    if isinstance(roi, dict) and any(roi.get(key) for key in ("x_offset", "y_offset")):
        raise ArgumentError("a region of interest with an offset; calibrate at the size that is recorded")
    if binned != [1, 1]:
        return replace(
            camera,
            width=width // binned[0],
            height=height // binned[1],
            fx=camera.fx / binned[0],
            fy=camera.fy / binned[1],
            cx=camera.cx / binned[0],
            cy=camera.cy / binned[1],
        )
    return camera


def _by_count(coefficients: Sequence[float]) -> str:
    return "plumb_bob" if len(coefficients) <= 5 else "rational"


def _size(values: dict[str, Any]) -> tuple[int, int]:
    for across, down in (("image_width", "image_height"), ("image_Width", "image_Height"), ("width", "height")):
        if isinstance(values.get(across), (int, float)) and isinstance(values.get(down), (int, float)):
            return int(values[across]), int(values[down])
    for name in ("image_size", "imageSize", "image_resolution"):
        size = values.get(name)
        if isinstance(size, dict):
            size = size.get("data")
        if isinstance(size, list) and len(size) == 2:
            return int(size[0]), int(size[1])
    raise ArgumentError("there is no image_width and image_height: without them pixels mean nothing")


def _numbers(value: Any, name: str) -> list[float]:
    data = value.get("data") if isinstance(value, Mapping) else value
    flat: list[Any] = []
    for each in data if isinstance(data, list) else [data]:
        flat += each if isinstance(each, list) else [each]
    if not all(isinstance(each, (int, float)) and not isinstance(each, bool) for each in flat):
        raise ArgumentError(f"{name} is {value!r}; wanted numbers")
    return [float(each) for each in flat]
