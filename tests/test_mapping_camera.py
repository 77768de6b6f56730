"""Calibration files and lenses, beside OpenCV's."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from mnnlite.errors import ArgumentError, SourceError
from mnnlite.mapping import Camera, Mounting

LENSES = {
    "plumb_bob": (-0.31, 0.11, 0.0012, -0.0007, -0.018),
    "rational": (0.31, -0.04, 0.0006, -0.0004, 0.001, 0.66, 0.01, -0.003),
    "fisheye": (0.03, -0.012, 0.004, -0.001),
}
ROS = """\
# made by camera_calibration
image_width: 1280
image_height: 720
camera_name: front
camera_matrix:
  rows: 3
  cols: 3
  data: [ 902.5, 0.0, 640.25,
          0.0, 901.75, 358.5, 0.0, 0.0, 1.0 ]
distortion_model: plumb_bob
distortion_coefficients:
  rows: 1
  cols: 5
  data: [-0.31, 0.11, 0.0012, -0.0007, -0.018]
rectification_matrix:
  rows: 3
  cols: 3
  data: [1, 0, 0, 0, 1, 0, 0, 0, 1]
projection_matrix:
  rows: 3
  cols: 4
  data: [900.0, 0.0, 640.0, 0.0, 0.0, 900.0, 358.0, 0.0, 0.0, 0.0, 1.0, 0.0]
"""


def camera_of(model: str) -> Camera:
    return Camera(1280, 720, 902.5, 901.75, 640.75, 359.0, model, LENSES[model])


def grid(camera: Camera) -> np.ndarray:
    x, y = np.meshgrid(np.linspace(5, camera.width - 5, 23), np.linspace(5, camera.height - 5, 17))
    return np.column_stack([x.ravel(), y.ravel()])


@pytest.mark.parametrize("model", LENSES)
def test_rays__there_and_back(model: str) -> None:
    camera = camera_of(model)
    pixels = grid(camera)
    rays = camera.rays(pixels)
    assert np.allclose(np.linalg.norm(rays, axis=1), 1)
    assert np.abs(camera.pixels(rays * 7.5) - pixels).max() < 1e-3
    assert np.abs(camera.distort(camera.undistort(pixels)) - pixels).max() < 0.05


@pytest.mark.parametrize("model", LENSES)
def test_pixels__as_opencv_projects(model: str) -> None:
    camera = camera_of(model)
    rng = np.random.default_rng(1)
    places = np.column_stack([rng.uniform(-5, 5, 200), rng.uniform(-3, 3, 200), rng.uniform(8, 60, 200)])
    # OpenCV's pixels have their middle at whole numbers, ours at halves.
    matrix = np.array([[camera.fx, 0, camera.cx - 0.5], [0, camera.fy, camera.cy - 0.5], [0, 0, 1]])
    project = cv2.fisheye.projectPoints if model == "fisheye" else cv2.projectPoints
    zero, lens = np.zeros(3), np.array(camera.coefficients)
    if model == "fisheye":
        seen = project(places[:, None], zero, zero, matrix, lens)[0]
    else:
        seen = project(places, zero, zero, matrix, lens)[0]
    assert np.abs(camera.pixels(places) - (seen[:, 0] if seen.shape[1] == 1 else seen[0]) - 0.5).max() < 1e-6


def test_rays__beyond_the_lens_are_not_known() -> None:
    camera = Camera(1280, 720, 400, 400, 640, 360, "plumb_bob", (-0.4, 0.0, 0.0, 0.0, 0.0))
    rays = camera.rays([(640, 360), (1279, 1)])
    assert np.isfinite(rays[0]).all()
    assert np.isnan(rays[1]).all()
    assert np.isnan(camera.pixels([(0, 0, -1)])).all()
    assert np.isnan(camera.pixels([(4, 0, 1)])).all()  # the model folds it back into the picture


def test_load__ros(tmp_path: Path) -> None:
    (tmp_path / "camera.yaml").write_text(ROS)
    camera = Camera.load(tmp_path / "camera.yaml")
    assert (camera.width, camera.height, camera.fx, camera.fy) == (1280, 720, 902.5, 901.75)
    assert (camera.cx, camera.cy) == (640.75, 359.0)
    assert (camera.model, camera.coefficients) == ("plumb_bob", LENSES["plumb_bob"])
    (tmp_path / "block.yaml").write_text(
        ROS.replace(
            "data: [-0.31, 0.11, 0.0012, -0.0007, -0.018]",
            "data:\n  - -0.31\n  - 0.11\n  - 0.0012\n  - -0.0007\n  - -0.018",
        )
    )
    assert Camera.load(tmp_path / "block.yaml") == camera


@pytest.mark.parametrize("suffix", ["yaml", "yml", "xml", "json"])
@pytest.mark.parametrize("model", LENSES)
def test_load__what_opencv_writes(tmp_path: Path, suffix: str, model: str) -> None:
    wanted = camera_of(model)
    file = str(tmp_path / f"camera.{suffix}")
    storage = cv2.FileStorage(file, cv2.FILE_STORAGE_WRITE)
    storage.write("calibration_time", "Tue 03 Feb 2026 11:04:05")
    storage.write("image_width", wanted.width)
    storage.write("image_height", wanted.height)
    matrix = np.array([[wanted.fx, 0, wanted.cx - 0.5], [0, wanted.fy, wanted.cy - 0.5], [0, 0, 1]])
    storage.write("camera_matrix", matrix)
    storage.write("distortion_coefficients", np.array(wanted.coefficients))
    storage.release()
    camera = Camera.load(file, model="fisheye" if model == "fisheye" else None)
    assert camera == wanted


def test_scaled__keeps_directions_and_refuses_another_ratio() -> None:
    camera = camera_of("plumb_bob")
    half = camera.scaled(640, 360)
    np.testing.assert_allclose(half.rays(grid(half)), camera.rays(grid(half) * 2), atol=1e-9)
    with pytest.raises(ArgumentError, match="1280x720, the pictures are 640x480"):
        camera.scaled(640, 480)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("image_width: 1280", "image_w: 1280"), "image_width"),
        (("distortion_model: plumb_bob", "distortion_model: magic"), "'magic' is not known"),
        (("data: [ 902.5", "data: [ 0.0"), "above 0"),
        (("0.0, 1.0 ]", "0.0 ]"), "8 numbers; wanted 9"),
        (("0.0, 1.0 ]", "0.0, 1.0"), "not closed|bracket"),
    ],
)
def test_load__says_what_is_wrong(tmp_path: Path, change: tuple[str, str], said: str) -> None:
    assert change[0] in ROS
    (tmp_path / "camera.yaml").write_text(ROS.replace(*change))
    with pytest.raises(ArgumentError, match=said):
        Camera.load(tmp_path / "camera.yaml")


@pytest.mark.parametrize(
    "content", [b"", b"\xff\xfe\x00", b"a: &b 1", b"<a><b", b"[1, 2", b"x" * (2 << 20), b"<!DOCTYPE x><a/>"]
)
def test_load__refuses_what_is_no_camera_file(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "camera.yaml").write_bytes(content)
    with pytest.raises(ArgumentError):
        Camera.load(tmp_path / "camera.yaml")
    with pytest.raises(SourceError, match="cannot read the camera file"):
        Camera.load(tmp_path / "no.yaml")


def test_mounting__signs() -> None:
    mounting = Mounting.parse("height=1.4,pitch=-2.0,yaw=3,roll=0,antenna=0.3:-1.2:0.2")
    assert (mounting.height, mounting.pitch, mounting.yaw, mounting.antenna) == (1.4, -2.0, 3.0, (0.3, -1.2, 0.2))
    camera = Camera(1280, 720, 900, 900, 640, 360)
    ahead = (0.0, 30.0, 0.0)

    def seen(**options: float) -> np.ndarray:
        return camera.pixels([Mounting(**options).turn @ ahead])[0] - (640, 360)

    assert seen(pitch=-2.0)[1] < 0  # it looks down, so what is ahead is above the middle
    assert seen(yaw=2.0)[0] < 0  # it looks to the right, so what is ahead is left of the middle
    right = Mounting(roll=10).turn @ (5.0, 30.0, 0.0)
    assert camera.pixels([right])[0][1] < 360  # its right side is lower, so the picture's right side is turned up
    assert np.allclose(Mounting(yaw=20, pitch=-7, roll=3).turn @ Mounting(yaw=20, pitch=-7, roll=3).turn.T, np.eye(3))


@pytest.mark.parametrize("text", ["height=0", "pitch=2,nonsense=1", "antenna=1:2", "height=x", "yaw=nan", ""])
def test_mounting__refuses(text: str) -> None:
    with pytest.raises(ArgumentError, match="mounting"):
        Mounting.parse(text)
