"""Logs that real receivers and cameras made, beside references, expected values and other programs; and real videos.

    MNNLITE_DRIVES=FOLDER python benchmarks/map_real.py [--videos FILE ...] [--json]

The folder has comma2k19_40 (segment 40 of commaai/comma2k19's Example_1: global_pose, imu, ublox), gpmf (samples of
JuanIrache/gopro-telemetry, raw) and nmea (gpsd's test/daemon, .log and .log.chk); exiftool (libimage-exiftool-perl) and gpsfake
(gpsd-clients) are asked where they are installed. What is not there is named with a reason, and nothing is made up for it.
Videos get a track that this script makes up: they show that a map comes out and is valid, not how good it is.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from mnnlite import errors
from mnnlite.mapping import Track, logs
from mnnlite.mapping.geodesy import from_ecef
from mnnlite.mapping.logs import gpmf
from mnnlite.mapping.logs.gpsd import Gpsd, row_of

INSIDE = 4.605  # squared deviations within which 90 of 100 are, of two dimensions


class NotThereError(Exception):
    """What is not here, and why that matters."""


def there(folder: Path | None, name: str) -> Path:
    if folder is None or not (folder / name).exists():
        raise NotThereError(f"MNNLITE_DRIVES names no folder with {name}")
    return folder / name


def program(name: str, package: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise NotThereError(f"{name} is not installed (Debian: {package})")
    return found


# ---- a minute of motorway with a reference


def comma(folder: Path | None, imu: bool, clock: float) -> dict[str, Any]:
    """The receiver and the IMU alone, smoothed, against the reference of comma2k19."""
    path = there(folder, "comma2k19_40")

    def load(name: str) -> Any:
        return np.load(path / name)

    value, boot = load("ublox/value"), load("ublox/t")
    utc = value[:, 3] / 1e3
    since = float(np.median(utc - boot))
    unknown = np.full(len(value), np.nan)
    parts = [
        np.column_stack([load(f"imu/{each}_t") + since, load(f"imu/{each}_value")])
        for each in ("gyro", "accelerometer")
    ]
    log = logs.Log(
        "comma2k19", utc, value[:, 0], value[:, 1], value[:, 4], value[:, 2], value[:, 5], unknown, unknown.copy(),
        np.ones(len(value), np.int8), *(parts if imu else ()),
    )  # fmt: skip
    week, second = load("global_pose/frame_gps_times").T
    places = from_ecef(load("global_pose/frame_positions"))
    velocity = load("global_pose/frame_velocities")
    lat, lon = np.radians(places[:, :2]).T
    east = -np.sin(lon) * velocity[:, 0] + np.cos(lon) * velocity[:, 1]
    north = -np.sin(lat) * (np.cos(lon) * velocity[:, 0] + np.sin(lon) * velocity[:, 1]) + np.cos(lat) * velocity[:, 2]
    moment = 315964800 + week * 604800 + second - logs.log.GPS_AHEAD + clock
    courses = np.degrees(np.arctan2(east, north))
    track = Track(log.checked(), sigma_m=0.7)
    inside = (moment >= track.start) & (moment <= track.end)
    pose = track.pose(moment[inside])
    off = track.plane.to_plane(*pose.position[:, :2].T) - track.plane.to_plane(*places[inside, :2].T)
    heading = (pose.heading - courses[inside] + 180) % 360 - 180
    squared = np.einsum("ni,nij,nj->n", off, np.linalg.inv(pose.covariance[:, :2, :2]), off)
    own = np.column_stack([np.interp(log.utc, moment, each) for each in places[:, :2].T])
    raw = np.linalg.norm(track.plane.to_plane(log.latitude, log.longitude) - track.plane.to_plane(*own.T), axis=1)
    away = np.linalg.norm(off, axis=1)
    return {
        "frames": int(inside.sum()),
        "receiver_itself_m": quantiles(raw, 2),
        "position_m": quantiles(away, 2),
        "heading_deg": quantiles(np.abs(heading), 2),
        "position_inside_90": round(float((squared < INSIDE).mean()), 3),
        "heading_inside_90": round(float((np.abs(heading) < 1.645 * np.sqrt(pose.covariance[:, 3, 3])).mean()), 3),
        "sigma_m": round(float(np.sqrt(np.median(np.trace(pose.covariance[:, :2, :2], axis1=1, axis2=2) / 2))), 2),
    }


def quantiles(values: Any, digits: int) -> list[float]:
    return [round(float(np.quantile(values, part)), digits) for part in (0.5, 0.9)]


# ---- cameras


def gopro(folder: Path | None) -> dict[str, Any]:
    """Every position, height, speed and time of a file against what gopro-telemetry makes of it."""
    log = logs.read(there(folder, "gpmf/hero5.raw"))
    said = json.loads(there(folder, "gpmf/karma_mergedGps.json").read_text())["1"]["streams"]["GPS5"]["samples"]
    values = np.array([each["value"][:4] for each in said])
    own = np.column_stack([log.latitude, log.longitude, log.height, log.speed])
    times = np.array([logs.log.utc_of(each["date"]) for each in said])
    return {
        "positions": len(log.utc),
        "expected": len(said),
        "largest_degrees": float(np.abs(own - values)[:, :2].max()),
        "largest_m_and_mps": round(float(np.abs(own - values)[:, 2:].max()), 4),
        "largest_s": round(float(np.abs(log.utc - times).max()), 4),
    }


def exiftool(folder: Path | None, name: str) -> dict[str, Any]:
    """The first second's positions against exiftool's, which reads GPMF out of a JPEG's APP6 segments (64 KiB)."""
    raw = there(folder, f"gpmf/{name}.raw")
    tool = program("exiftool", "libimage-exiftool-perl")
    part = gpmf.payloads_of(raw.read_bytes())[0]
    if len(part) > 65000:
        raise NotThereError(f"a payload of {name} is larger than the JPEG segment that exiftool reads")
    jpeg = b"\xff\xd8\xff\xe6" + (len(part) + 8).to_bytes(2, "big") + b"GoPro\0" + part + b"\xff\xd9"
    words = [tool, "-ee", "-n", "-a", "-p", "$GPSLatitude $GPSLongitude", "-"]
    found = subprocess.run(words, input=jpeg, capture_output=True, check=False).stdout.decode()
    said = np.array([line.split() for line in found.splitlines()], float)
    log = logs.read(raw)
    places = np.column_stack([log.latitude, log.longitude])[log.utc < log.utc[0] + 1.05]
    off = [float(np.abs(places - place).max(axis=1).min()) for place in said]
    return {"positions_of_exiftool": len(said), "largest_degrees": max(off), "positions": len(log.utc)}


def without_fix(folder: Path | None) -> dict[str, Any]:
    """Of a file whose camera never had a fix: it is refused."""
    return {"positions": len(logs.read(there(folder, "gpmf/karma.raw")).utc)}


# ---- receivers


def receiver(folder: Path | None, name: str) -> dict[str, Any]:
    """A receiver's NMEA against gpsd's own expected reports of it."""
    own, said = logs.read(there(folder, f"nmea/{name}.log")), logs.read(there(folder, f"nmea/{name}.log.chk"))
    common, mine, other = np.intersect1d(np.round(own.utc, 3), np.round(said.utc, 3), return_indices=True)
    figures: dict[str, Any] = {"times": len(own.utc), "of_gpsd": len(said.utc), "common": len(common)}
    for column, digits in (("latitude", 10), ("longitude", 10), ("height", 3), ("speed", 3)):
        off = np.abs(getattr(own, column)[mine] - getattr(said, column)[other])
        off = off[np.isfinite(off)]
        figures[f"largest_{column}"] = round(float(off.max()), digits) if len(off) else None
    return figures


def live(folder: Path | None) -> dict[str, Any]:
    """Reports of a running gpsd that gpsfake feeds, against the log that it plays."""
    log = there(folder, "nmea/ublox-neo-m9n-nmea.log")
    tool = program("gpsfake", "gpsd-clients")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
    fake = subprocess.Popen(
        [tool, "-q", "-P", str(port), "-c", "0.02", str(log)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        for _ in range(50):
            try:
                gpsd = Gpsd(f"127.0.0.1:{port}", timeout_s=5)
                break
            except errors.SourceError:
                time.sleep(0.1)
        else:
            raise NotThereError("gpsfake did not begin to listen here")
        with gpsd:
            reports = [each for each, _ in zip(gpsd, range(20), strict=False)]
        track = Track.load(f"gpsd://127.0.0.1:{port}", seconds=2)
    finally:
        fake.terminate()
        fake.wait(10)
    rows = np.array([row for row in map(row_of, reports) if row is not None])
    own = logs.read(log)
    off = [np.abs([own.latitude - row[1], own.longitude - row[2]]).max(axis=0).min() for row in rows]
    return {
        "reports": len(reports), "with_a_place": len(rows), "largest_degrees": float(max(off)), "of_a_live_track": len(track.log.utc)
    }  # fmt: skip


# ---- videos

MAP = """
[camera]
height = 1.4
pitch = -1.0

[[map.element]]
task = "objects"
labels = ["sign"]
size = 0.79
aspect = 1.0

[[map.element]]
task = "objects"
labels = ["vehicle"]
shape = "occluder"

[[map.element]]
task = "scene.lanes"
shape = "line"
kind = "lane"
"""


def film(path: Path) -> dict[str, Any]:
    """A real video with a made-up track through `mnnlite map`, and ogrinfo's word on what comes out."""
    if not path.is_file():
        raise NotThereError(f"there is no {path}")
    from mnnlite.demo import pack

    with tempfile.TemporaryDirectory(prefix="mnnlite-film-") as name:
        folder = Path(name)
        shutil.copytree(pack.FOLDER, folder / "pack")
        pipeline = folder / "pack" / "pipeline.toml"
        pipeline.write_text(pipeline.read_text() + MAP)
        (width, height), seconds = size_of(path)
        (folder / "camera.yaml").write_text(
            f"image_width: {width}\nimage_height: {height}\ndistortion_model: plumb_bob\n"
            f"camera_matrix: {{rows: 3, cols: 3, data: [{width}, 0, {width / 2}, 0, {width}, {height / 2}, 0, 0, 1]}}\n"
            "distortion_coefficients: {rows: 1, cols: 5, data: [0, 0, 0, 0, 0]}\n"
        )
        rows = [f"{1.77e9 + t:.2f},{48.1 + t * 20 / 111_200:.8f},11.5,20,0" for t in np.arange(0, seconds + 1, 0.2)]
        (folder / "track.csv").write_text("\n".join(["utc,lat,lon,speed,course", *rows]) + "\n")
        out = folder / "drive.geojson"
        done = subprocess.run(
            [
                sys.executable, "-m", "mnnlite", "map", str(pipeline), str(path), "--camera", str(folder / "camera.yaml"),
                "--track", str(folder / "track.csv"), "--offset", str(1.77e9 - begun_of(path)), "-o", str(out), "-o",
                str(folder / "drive.html"), "--coverage", str(folder / "coverage.geojson"), "--quiet",
            ],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            return {"video": path.name, "failed": done.stderr.strip()}
        found = json.loads(out.read_text())["features"]
        kinds: dict[str, int] = {}
        for feature in found:
            kinds[feature["properties"]["kind"]] = kinds.get(feature["properties"]["kind"], 0) + 1
        figures: dict[str, Any] = {"video": path.name, "seconds": round(seconds, 1), "elements": kinds}
        if shutil.which("ogrinfo"):
            said = subprocess.run(["ogrinfo", "-al", "-so", str(out)], capture_output=True, text=True, check=False)
            figures["ogrinfo_features"] = sum(
                int(line.split(":")[1]) for line in said.stdout.splitlines() if line.startswith("Feature Count")
            )
            figures["ogrinfo_errors"] = said.stderr.count("ERROR")
        return figures


def size_of(path: Path) -> tuple[tuple[int, int], float]:
    from mnnlite.video import pyav

    with pyav.load().open(f"file:{path}") as container:
        stream = container.streams.video[0]
        return (stream.width, stream.height), container.duration / 1e6


def begun_of(path: Path) -> float:
    """What the video says of when it was begun; the track's first position where it says nothing."""
    from mnnlite.mapping import clocks

    start, _ = clocks.begun(path)
    return 1.77e9 if start is None else start.start


def tasks(folder: Path | None, videos: list[Path]) -> Iterator[tuple[str, Callable[[], dict[str, Any]]]]:
    # The receiver's stamps are late: the reference's README says 0.06 s; 0.1 s fits best, and both are printed.
    yield "comma2k19, receiver and IMU, clock 0.06 s", lambda: comma(folder, True, -0.06)
    yield "comma2k19, receiver and IMU, clock 0.1 s", lambda: comma(folder, True, -0.1)
    yield "comma2k19, receiver alone, clock 0.1 s", lambda: comma(folder, False, -0.1)
    yield "GPMF, hero5 as gopro-telemetry", lambda: gopro(folder)
    yield "GPMF, karma without a fix", lambda: without_fix(folder)
    for name in ("hero5", "hero7", "hero11"):
        yield f"GPMF, {name} as exiftool", lambda name=name: exiftool(folder, name)  # type: ignore[misc]
    for name in ("navisys-gr701w", "quectel-l76k-nmea", "ublox-neo-m9n-nmea"):
        yield f"NMEA, {name} as gpsd", lambda name=name: receiver(folder, name)  # type: ignore[misc]
    yield "gpsd, live from gpsfake", lambda: live(folder)
    for path in videos:
        yield f"video {path.name}", lambda path=path: film(path)  # type: ignore[misc]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--videos", nargs="*", type=Path, default=[], metavar="FILE")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    where = os.environ.get("MNNLITE_DRIVES")
    for name, task in tasks(Path(where) if where else None, args.videos):
        try:
            figures = task()
        except NotThereError as reason:
            figures = {"skipped": str(reason)}
        except errors.SourceError as error:
            figures = {"refused": str(error).replace(f"{where}/", "")}
        if args.json:
            print(json.dumps({"what": name, **figures}), flush=True)
        else:
            print(f"{name}: " + ", ".join(f"{key} {value}" for key, value in figures.items()), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
