"""``mnnlite map``: from files to files, and what is said of files that do not fit."""

from __future__ import annotations

import json
import math
import os
import re
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from helpers import tracks
from helpers.cli import mnnlite
from mnnlite import video
from mnnlite.demo import pack
from mnnlite.demo.footage import Footage
from mnnlite.mapping import measurements
from mnnlite.mapping.geodesy import Plane
from mnnlite.mapping.logs import Log
from mnnlite.mapping.simulator import Options, Simulated, simulate

MOUNT = "height=1.4,pitch=-2.0,yaw=1.0,antenna=0.3:-1.2:0.2"


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Simulated, list[str]]:
    made = simulate(4, Options(seconds=25, gyro=False))
    measured, camera, track = tracks.recorded(tmp_path_factory.mktemp("drive"), made)
    return made, ["map", "--from", str(measured), "--camera", str(camera), "--track", str(track), "--mount", MOUNT]


@pytest.fixture(scope="module")
def mapped(files: tuple[Simulated, list[str]], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict]:
    folder = tmp_path_factory.mktemp("map")
    outs = [word for suffix in ("geojson", "geojsons", "html") for word in ("-o", str(folder / f"drive.{suffix}"))]
    done = mnnlite(*files[1], *outs, "--coverage", str(folder / "coverage.geojson"), "--json", "--device", "dashcam 7")
    assert done.code == 0, done.err
    return folder, json.loads(done.out)["summary"]


def test_map__writes_what_was_found(mapped: tuple[Path, dict], files: tuple[Simulated, list[str]]) -> None:
    folder, summary = mapped
    found = json.loads((folder / "drive.geojson").read_text())
    assert found["type"] == "FeatureCollection"
    assert len(found["features"]) == sum(summary["elements"].values()) > 8
    made = files[0]
    plane = Plane(48.1, 11.5)
    places = np.array([thing.place[:2] for thing in made.things])
    for feature in found["features"]:
        longitude, latitude = feature["geometry"]["coordinates"][:2]
        off = plane.to_plane(latitude, longitude) - places
        assert np.linalg.norm(off, axis=1).min() < 5
        assert feature["properties"]["drive"] == summary["drive"]
    assert "dashcam 7" not in (folder / "drive.geojson").read_text()
    assert re.fullmatch("[0-9a-f]{20}", found["made_of"]["device"])
    assert "proof" not in found["features"][0]["properties"]


def test_map__sequence_has_a_record_a_feature(mapped: tuple[Path, dict]) -> None:
    text = (mapped[0] / "drive.geojsons").read_bytes()
    records = text.split(b"\x1e")
    assert records[0] == b""
    whole = json.loads((mapped[0] / "drive.geojson").read_text())["features"]
    assert [json.loads(record) for record in records[1:]] == whole


def test_map__page_needs_nothing_else(mapped: tuple[Path, dict]) -> None:
    page = (mapped[0] / "drive.html").read_text()
    assert "<svg" in page
    assert page.count("<circle") > 8
    assert not re.search(r"(src|href)=|https?://|@import|url\(", page)


def test_map__coverage_says_where_it_looked(mapped: tuple[Path, dict]) -> None:
    (way,) = json.loads((mapped[0] / "coverage.geojson").read_text())["features"]
    assert len(way["geometry"]["coordinates"]) > 20
    recall = way["properties"]["kinds"]["sign"]["recall_by_10_m"]
    assert all(0 <= found <= should for _, should, found in recall)
    near = [found / should for metres, should, found in recall if 10 <= metres < 40]
    assert min(near) > 0.6


def test_map__as_ogrinfo_reads_it(mapped: tuple[Path, dict]) -> None:
    if shutil.which("ogrinfo") is None:
        pytest.skip("ogrinfo is not installed (Debian: gdal-bin)")
    count = len(json.loads((mapped[0] / "drive.geojson").read_text())["features"])
    for name in ("drive.geojson", "drive.geojsons", "coverage.geojson"):
        done = subprocess.run(
            ["ogrinfo", "-al", "-so", str(mapped[0] / name)], capture_output=True, text=True, check=True
        )
        assert f"Feature Count: {1 if name.startswith('cov') else count}" in done.stdout
        assert 'GEOGCRS["WGS 84"' in done.stdout or 'GEOGCS["WGS 84"' in done.stdout
        assert "ERROR" not in done.stderr


def test_map__follows_rfc_7946(mapped: tuple[Path, dict]) -> None:
    found = json.loads((mapped[0] / "drive.geojson").read_text())
    assert "crs" not in found
    ids = set()
    for feature in found["features"]:
        assert feature["type"] == "Feature"
        assert feature["geometry"]["type"] == "Point"
        longitude, latitude, *height = feature["geometry"]["coordinates"]
        assert -180 <= longitude <= 180
        assert -90 <= latitude <= 90
        assert len(height) == 1  # above the ellipsoid: the log has the separation
        assert round(longitude * 1e7) == pytest.approx(longitude * 1e7, abs=1e-3)
        ids.add(feature["id"])
    assert len(ids) == len(found["features"])


def change(words: list[str], name: str, value: str) -> list[str]:
    changed = list(words)
    changed[changed.index(name) + 1] = value
    return changed


@pytest.mark.parametrize(
    "case", ["other day", "local time", "other size", "no fix", "swapped", "no folder", "format", "mount", "no track"]
)
def test_map__says_what_does_not_fit(case: str, files: tuple[Simulated, list[str]], tmp_path: Path) -> None:
    made, words = files
    out = ["-o", str(tmp_path / "x.geojson")]
    log = made.log
    track = tmp_path / "track.nmea"
    said = ""
    if case in ("other day", "local time"):
        away = 3 * 86400 if case == "other day" else 7200
        shifted = Log(**{**log.__dict__, "utc": log.utc + away})
        track.write_text(tracks.nmea(shifted))
        words, said = (
            change(words, "--track", str(track)),
            "do not belong together" if case == "other day" else "local time",
        )
    elif case == "other size":
        file = tracks.calibration(tmp_path / "c.yaml", 640, 480, 500)
        words, said = change(words, "--camera", str(file)), "640x480, the pictures are 1280x720"
    elif case == "no fix":
        track.write_text(tracks.sentence("GPRMC,123519.00,V,,,,,,,230394,,"))
        words, said = change(words, "--track", str(track)), "no fix"
    elif case == "swapped":
        csv = tmp_path / "track.csv"
        csv.write_text("utc,lat,lon\n" + "".join(f"{177e7 + index},{115 + index * 1e-4},48.1\n" for index in range(9)))
        words, said = change(words, "--track", str(csv)), "swapped"
    elif case == "no folder":
        out, said = ["-o", str(tmp_path / "none" / "x.geojson")], "no folder"
    elif case == "format":
        out, said = ["-o", str(tmp_path / "x.shp")], "no format of maps"
    elif case == "mount":
        words, said = change(words, "--mount", "hight=2"), "'hight' is unknown"
    elif case == "no track":
        at = words.index("--track")
        words, said = words[:at] + words[at + 2 :], "without --track"
    done = mnnlite(*words, *out)
    assert done.code == 2, done.err
    assert re.search(said, done.err)
    assert done.err.count("\n") == 1
    assert not list(tmp_path.glob("*.geojson"))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"-o": "--from"}, "it is what is read; name another file"),
        ({"--coverage": "--track"}, "it is what is read; name another file"),
        ({"--coverage": "-o"}, "two results would be written to it"),
        ({"--offset": "nan"}, "--offset is nan; wanted seconds"),
        ({"--offset": "inf"}, "--offset is inf; wanted seconds"),
        ({"--frames": "5"}, "--from FILE takes all frames that were measured; it takes no --frames and no --every"),
        ({"--trim": "nan"}, "--trim wants metres from 0"),
        ({"--date": "2026-13-01"}, "--date: invalid date value: '2026-13-01'"),
    ],
)
def test_map__refuses_before_any_work(
    changes: dict[str, str], said: str, files: tuple[Simulated, list[str]], tmp_path: Path
) -> None:
    words = [*files[1], "-o", str(tmp_path / "x.geojson")]
    before = {path: path.read_bytes() for path in map(Path, words[2:8:2])}
    for name, value in changes.items():
        words += [name, words[words.index(value) + 1] if value.startswith("-") else value]
    done = mnnlite(*words)
    assert said in done.error()
    assert {path: path.read_bytes() for path in before} == before
    assert not list(tmp_path.iterdir())


def test_map__nothing_is_left_by_trimming(files: tuple[Simulated, list[str]], tmp_path: Path) -> None:
    done = mnnlite(*files[1], "-o", tmp_path / "x.geojson", "--trim", "1e6")
    assert "trimming 1e+06 m at both ends leaves nothing of a drive of" in done.out


def test_map__doubts_a_calibration_of_another_camera(files: tuple[Simulated, list[str]], tmp_path: Path) -> None:
    text = Path(files[1][files[1].index("--camera") + 1]).read_text()
    file = tmp_path / "c.yaml"
    file.write_text(text.replace("1280", "1920").replace("720", "1080"))
    done = mnnlite(*change(files[1], "--camera", str(file)), "-o", tmp_path / "x.geojson")
    right = mnnlite(*files[1], "-o", tmp_path / "y.geojson")
    doubt = "are calibration, mounting and track those of this drive?"
    assert (doubt in done.out, doubt in right.out) == (True, False)


def test_measurements__numbers_that_are_none_make_a_line_damaged() -> None:
    head = {
        "mnnlite": "measurements",
        "schema": 1,
        "frame_size": [640, 480],
        "map": {"element": [{"task": "a", "ground": True}]},
    }
    lines = [head, *({"f": i, "t": i / 10, "o": [[0, 0.5, 1, 2, 3, 4, "a"]]} for i in range(4))]
    lines[2] = {**lines[2], "t": math.nan}
    lines[3] = {**lines[3], "o": [[0, 0.5, 1, math.inf, 3, 4, "a"]]}
    found = measurements.of_lines(map(json.dumps, lines))
    assert found.frame.tolist() == [0, 3]
    assert found.notes == ["2 lines of the measurements are damaged and left out"]


def test_map__without_a_track_gives_metres(files: tuple[Simulated, list[str]], tmp_path: Path) -> None:
    at = files[1].index("--track")
    done = mnnlite(*files[1][:at], *files[1][at + 2 :], "-o", str(tmp_path / "x.jsonl"))
    assert done.code == 0, done.err
    lines = [json.loads(line) for line in (tmp_path / "x.jsonl").read_text().splitlines()]
    assert len(lines) > 100
    assert all(line["reference"].startswith("metres from the camera") for line in lines)
    assert "coordinates" not in lines[0]


def limited(words: list[str], size: int, folder: Path) -> subprocess.CompletedProcess[str]:
    """The command where no file can become larger than `size`: what a full disk does, and needs no disk."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    return subprocess.run(
        [sys.executable, "-m", "mnnlite", *words], capture_output=True, text=True, preexec_fn=limit, cwd=folder,
        env={**os.environ, "TMPDIR": str(folder)}, check=False,
    )  # fmt: skip


def test_map__of_a_full_disk(files: tuple[Simulated, list[str]], tmp_path: Path) -> None:
    """What is there stays, no half of a file, and the file that fits is written."""
    before = '{"type": "FeatureCollection", "features": []}'
    (tmp_path / "x.geojson").write_text(before)
    done = limited(
        [*files[1], "-o", "x.geojson", "-o", "x.geojsonl", "--trim", "40", "--coverage", "c.geojson"], 12_000, tmp_path
    )
    assert done.returncode == 2, done.stderr
    assert re.fullmatch(r"mnnlite: error: cannot write x\.geojson: .*\n", done.stderr), done.stderr
    assert (tmp_path / "x.geojson").read_text() == before
    assert all(
        json.loads(line) for line in (tmp_path / "x.geojsonl").read_text().splitlines()
    )  # has no indents, so it fits
    assert json.loads((tmp_path / "c.geojson").read_text())
    assert {path.name for path in tmp_path.iterdir()} == {"x.geojson", "x.geojsonl", "c.geojson"}


def test_map__keeps_what_was_measured(tmp_path: Path) -> None:
    """If the map cannot be written after the networks have run, they need not run again."""
    picture = np.zeros((360, 640, 3), np.uint8)
    video.write_video(tmp_path / "drive.mp4", [picture] * 12, 12.5)
    shutil.copytree(pack.FOLDER, tmp_path / "pack")
    pipeline = tmp_path / "pack" / "pipeline.toml"
    pipeline.write_text(pipeline.read_text() + MAP[: MAP.index("label =")])
    tracks.calibration(tmp_path / "camera.yaml", 640, 360, 560)
    rows = "".join(f"{177e7 + index / 5},{48.1 + index * 2e-5},11.5,10,0\n" for index in range(20))
    (tmp_path / "track.csv").write_text("utc,lat,lon,speed,course\n" + rows)
    words = ["--camera", "camera.yaml", "--track", "track.csv"]
    done = limited(
        ["map", "pack/pipeline.toml", "drive.mp4", *words, "--offset", "0", "-o", "x.html", "--quiet"], 3_000, tmp_path
    )
    assert done.returncode == 2, done.stderr
    assert done.stderr.count("\n") == 2, done.stderr
    said, error = done.stderr.splitlines()
    assert error.startswith("mnnlite: error: cannot write x.html: ")
    (kept,) = re.findall(r"--from (\S+) goes on", said)
    again = mnnlite(
        "map",
        "--from",
        kept,
        *(str(tmp_path / word) if "." in word else word for word in words),
        "-o",
        str(tmp_path / "x.html"),
    )
    assert again.code == 0, again.err
    assert "</html>" in (tmp_path / "x.html").read_text()


MAP = """
[camera]
height = 1.4
pitch = -2.005

[[map.element]]
task = "objects"
labels = ["sign"]
size = 0.79
label = "signs"
text = "texts"
aspect = 1.0

[[map.element]]
task = "objects"
labels = ["cone", "arrow"]
ground = true

[[map.element]]
task = "objects"
labels = ["vehicle"]
shape = "occluder"

[[map.element]]
task = "scene.lanes"
shape = "line"
kind = "lane"

[[map.element]]
task = "scene.drivable"
shape = "area"
kind = "road"
"""


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            '["vehicle"]',
            '["vehicel"]',
            "map.element[2]: task 'objects' knows no label 'vehicel'; did you mean 'vehicle'?",
        ),
        (
            'shape = "line"',
            'shape = "line"\nlabels = ["sold"]',
            "task 'scene.lanes' knows no label 'sold'; did you mean 'solid'?",
        ),
        (MAP, "", "there is no [[map.element]], so nothing would be an element"),
    ],
)
def test_map__labels_that_no_network_gives_are_refused(old: str, new: str, said: str, tmp_path: Path) -> None:
    shutil.copytree(pack.FOLDER, tmp_path / "pack")
    path = tmp_path / "pack" / "pipeline.toml"
    path.write_text(path.read_text() + MAP.replace(old, new))
    camera = tracks.calibration(tmp_path / "camera.yaml", 640, 360, 560)
    done = mnnlite("map", path, "none.mp4", "--camera", camera, "-o", tmp_path / "x.jsonl")
    assert str(path) in done.error()
    assert said in done.error()


@pytest.mark.slow
def test_map__from_a_rendered_video(tmp_path: Path) -> None:
    """All of it: the road pack on a painted drive, with a track that an independent writer made."""
    with Footage(29, 60, 12.5) as footage:
        video.write_video(tmp_path / "drive.mp4", (footage.image(number) for number in range(60)), 12.5)
        poses = [truth.pose for truth in footage.truths]
    folder = tmp_path / "pack"
    shutil.copytree(pack.FOLDER, folder)
    (folder / "pipeline.toml").write_text((folder / "pipeline.toml").read_text() + MAP)
    tracks.calibration(tmp_path / "camera.yaml", 640, 360, 560)
    plane = Plane(48.1, 11.5)
    places = np.array([(pose.x, pose.y) for pose in poses])
    degrees = plane.to_degrees(places)
    utc = 1_770_112_800.0 + np.arange(len(poses)) / 12.5
    speed = np.hypot(*np.gradient(places, 1 / 12.5, axis=0).T)
    unknown = np.full(len(utc), np.nan)
    log = Log(
        "made", utc, degrees[:, 0], degrees[:, 1], np.full(len(utc), 500.0), speed,
        np.degrees([pose.heading for pose in poses]) % 360, unknown + 0.5, unknown, np.ones(len(utc), np.int8),
    )  # fmt: skip
    log.sigma = np.full(len(utc), 0.5)
    (tmp_path / "drive.nmea").write_text(tracks.nmea(log))
    done = mnnlite(
        "map", str(folder / "pipeline.toml"), str(tmp_path / "drive.mp4"), "--camera", str(tmp_path / "camera.yaml"), "--track",
        str(tmp_path / "drive.nmea"), "--offset", "0", "-o", str(tmp_path / "drive.geojson"), "--measurements",
        str(tmp_path / "m.jsonl"), "--proofs", "--json",
    )  # fmt: skip
    assert done.code == 0, done.err
    found = json.loads((tmp_path / "drive.geojson").read_text())
    kinds = {feature["properties"]["kind"] for feature in found["features"]}
    assert {"sign", "lane"} <= kinds
    assert len(measurements.read(tmp_path / "m.jsonl").frame) == 60
    for feature in found["features"]:
        if feature["geometry"]["type"] == "Point":
            assert feature["properties"]["proof"]
            assert math.isfinite(feature["properties"]["sigma_m"])
