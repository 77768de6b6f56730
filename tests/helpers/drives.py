"""Logs of drives that nobody here made: tests of them are skipped where the folder is not."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from mnnlite.mapping import logs

NAME = "MNNLITE_DRIVES"
WHAT = f"{NAME} does not name a folder of recorded drives (comma2k19_40, gpmf, nmea)"


def folder() -> Path:
    """The folder that `MNNLITE_DRIVES` names."""
    where = os.environ.get(NAME)
    if not where or not Path(where).is_dir():
        pytest.skip(WHAT)
    return Path(where)


def drive(name: str) -> Path:
    """A file or folder in it."""
    path = folder() / name
    if not path.exists():
        pytest.skip(f"{path} is not there")
    return path


def comma(path: Path, imu: bool = True) -> tuple[logs.Log, dict[str, np.ndarray]]:
    """The receiver's and the IMU's log of a segment of comma2k19, and its reference.

    The reference has UTC (`utc`), latitude, longitude and height (`places`) and courses in degrees (`courses`) of each frame.
    """
    from mnnlite.mapping.geodesy import from_ecef

    def load(name: str) -> np.ndarray:
        return np.load(path / name)

    value, boot = load("ublox/value"), load("ublox/t")
    utc = value[:, 3] / 1e3
    clock = float(np.median(utc - boot))
    unknown = np.full(len(value), np.nan)
    rows = [
        np.column_stack([load(f"imu/{name}_t") + clock, load(f"imu/{name}_value")])
        for name in ("gyro", "accelerometer")
    ]
    log = logs.Log(
        "comma2k19", utc, value[:, 0], value[:, 1], value[:, 4], value[:, 2], value[:, 5], unknown, unknown.copy(),
        np.ones(len(value), np.int8), *(rows if imu else ()),
    )  # fmt: skip
    week, second = load("global_pose/frame_gps_times").T
    places = from_ecef(load("global_pose/frame_positions"))
    velocity = load("global_pose/frame_velocities")
    lat, lon = np.radians(places[:, 0]), np.radians(places[:, 1])
    east = -np.sin(lon) * velocity[:, 0] + np.cos(lon) * velocity[:, 1]
    north = -np.sin(lat) * (np.cos(lon) * velocity[:, 0] + np.sin(lon) * velocity[:, 1]) + np.cos(lat) * velocity[:, 2]
    moment = 315964800 + week * 604800 + second - logs.log.GPS_AHEAD
    return log.checked(), {"utc": moment, "places": places, "courses": np.degrees(np.arctan2(east, north))}
