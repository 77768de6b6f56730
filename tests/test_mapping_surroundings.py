"""What is said beside a place: lanes, what hid what, what a map was made with, and a live camera's clock."""

from __future__ import annotations

import json
import math
import time
from dataclasses import replace

import numpy as np
import pytest

from mnnlite import results
from mnnlite.frame import Frame
from mnnlite.mapping import Element, MapRules, Track, formats, measurements
from mnnlite.mapping.drive import Drive, solve_drive
from mnnlite.mapping.lanes import number_lanes
from mnnlite.mapping.levelling import level_of
from mnnlite.mapping.recording import Recorder
from mnnlite.mapping.simulator import RULES, Options, Simulated, simulate
from mnnlite.mapping.views import Views, views_of
from mnnlite.runtime import FrameResult

FACTS = {"pipeline": "abc", "models": {"objects": "def"}, "begun": [1.0, 0.02], "seconds": 60.0}


def track_of(made: Simulated) -> Track:
    track = Track(made.log)
    track.video_start, track.video_start_sigma = made.video_start, 0.02
    return track


@pytest.fixture(scope="module")
def made() -> Simulated:
    return simulate(11, Options(seconds=25, gyro=False))


@pytest.fixture(scope="module")
def views(made: Simulated) -> tuple[Track, Views]:
    track = track_of(made)
    return track, views_of(track, made.camera, made.video_start + made.given.time)


@pytest.fixture(scope="module")
def drive(made: Simulated) -> Drive:
    given = replace(made.given, facts=dict(FACTS))
    # A lorry ahead, in one frame: 3.5 m wide, 10 m away.
    box = [[640 - 160.0, 200.0, 640 + 160.0, 490.0]]
    at = int(np.searchsorted(given.owner, 40))
    given = replace(
        given,
        owner=np.insert(given.owner, at, 40),
        rule=np.insert(given.rule, at, 2),
        score=np.insert(given.score, at, 0.9),
        box=np.insert(given.box, at, box, axis=0),
        texts=[*given.texts[:at], ("vehicle", "", 0.0, "", 0.0), *given.texts[at:]],
    )
    return solve_drive(given, made.camera, track_of(made))


def aside(views: tuple[Track, Views], metres: float, frames: range) -> np.ndarray:
    """Places beside the way, as degrees."""
    track, seen = views
    chosen = list(frames)
    return track.plane.to_degrees(seen.origin[chosen, :2] + metres * seen.turn[chosen, 0, :2])


def element(shape: str, degrees: np.ndarray, first: float, last: float) -> Element:
    kind = "lane" if shape == "line" else "sign"
    return Element(kind, "", "", 1.0, shape, degrees, np.eye(2), 9, 9, first, last)


@pytest.mark.parametrize(
    ("metres", "lane"),
    [(0.3, 0), (3.4, 1), (-3.0, -1), (7.0, 2), (11.0, None), (-8.0, None)],
)
def test_lanes__counted_from_the_one_driven(views: tuple[Track, Views], metres: float, lane: int | None) -> None:
    utc = views[1].utc
    lines = [
        element("line", aside(views, off, range(40, 200)), utc[40], utc[200])
        for off in (-4.9, -1.7, 1.7, 1.9, 5.1, 8.5)
    ]
    sign = element("point", aside(views, metres, range(120, 121)), utc[90], utc[118])
    number_lanes([*lines, sign], *views[::-1])
    assert sign.lane == lane
    assert sign.to_feature()["properties"]["lane"] == lane


def test_lanes__what_is_no_lane_wide_is_none(views: tuple[Track, Views]) -> None:
    utc = views[1].utc
    lines = [element("line", aside(views, off, range(40, 200)), utc[40], utc[200]) for off in (-1.7, 1.7, 3.0, 9.9)]
    shoulder, field = (element("point", aside(views, off, range(120, 121)), utc[90], utc[118]) for off in (2.5, 6.0))
    number_lanes([*lines, shoulder, field], *views[::-1])
    assert shoulder.lane is None
    assert field.lane is None
    alone = element("point", aside(views, 0.0, range(120, 121)), utc[90], utc[118])
    number_lanes([alone], *views[::-1])
    assert alone.lane is None


def test_level__a_bend_is_no_yaw() -> None:
    """Lines of a road, seen by a camera that looks a little elsewhere than is said, on a drive full of bends."""
    made = simulate(9, Options(seconds=40, gyro=False))
    rules = MapRules.of({"element": [{"task": "lanes", "shape": "line"}]})
    track = track_of(made)
    utc = made.video_start + made.given.time
    true = made.camera.mounted(replace(made.camera.mounting, pitch=made.camera.mounting.pitch + 0.7, yaw=1.8))
    seen = views_of(track, true, utc)
    way, first = np.unique(seen.states.way, return_index=True)
    outlines = []
    for frame in range(0, len(utc), 3):
        station = seen.states.way[frame] + np.arange(5.0, 30.0)
        if station[-1] > way[-1]:
            continue
        for off in (-1.8, 1.8, 5.2):
            middle = np.column_stack([np.interp(station, way, seen.origin[first, axis]) for axis in range(3)])
            right = np.column_stack([np.interp(station, way, seen.turn[first, 0, axis]) for axis in range(3)])
            place = middle + off * right - (0, 0, 1.4)
            body = (place - seen.origin[frame]) @ seen.turn[frame].T
            pixels = true.pixels(body @ true.mounting.turn.T)
            pixels = pixels[np.isfinite(pixels).all(axis=1)]
            outlines.append(measurements.Outline(frame, 0, 0.9, "solid", pixels))
    given = replace(made.given, rules=rules, outlines=outlines)
    level = level_of(given, views_of(track, made.camera, utc), made.camera)
    assert level is not None
    yaw, pitch = np.degrees(level[0][:2])
    assert yaw == pytest.approx(0.8, abs=0.15)
    assert pitch == pytest.approx(0.7, abs=0.15)
    assert np.degrees(level[1][:2]).max() < 0.3


def test_coverage__says_what_hid_the_rest(made: Simulated, drive: Drive) -> None:
    (way,) = formats.coverage(drive, made.given.rules, 68.0)["features"]
    said = way["properties"]
    points = len(way["geometry"]["coordinates"])
    assert len(said["looks_deg"]) == len(said["hidden"]) == len(said["times"]) == points
    assert len(drive.hiding.boxes) == len(drive.path)
    ((left, right, beyond),) = drive.hiding.boxes[40]
    assert (right - left) % 360 == pytest.approx(2 * math.degrees(math.atan(160 / 950)), abs=2)
    assert (left + right) / 2 % 360 == pytest.approx(drive.hiding.looks[40] % 360, abs=2)
    assert 5 < beyond < 20
    assert sum(map(len, drive.hiding.boxes)) == 1


def test_map__says_what_it_was_made_with(made: Simulated, drive: Drive) -> None:
    properties = drive.elements[0].to_feature()["properties"]
    assert properties["pipeline"] == "abc"
    assert len(properties["models"]) == len(properties["calibration"]) == 20
    other = solve_drive(replace(made.given, facts=dict(FACTS)), replace(made.camera, fx=951.0), track_of(made))
    assert other.elements[0].made_of["calibration"] != properties["calibration"]
    assert other.elements[0].made_of["models"] == properties["models"]
    whole = formats.collection(drive)
    assert whole["made_of"] == {
        "pipeline": "abc",
        "models": {"objects": "def"},
        "calibration": properties["calibration"],
    }
    assert json.dumps(whole).count('"begun"') == 0  # a map with trimmed ends does not say when the drive began


def test_recorder__of_a_live_camera_writes_when_frames_were_taken() -> None:
    lines: list[dict] = []
    live, filed = Recorder(lines.append, RULES, {}, live=True), Recorder(lambda _: None, RULES, {})
    taken = time.monotonic_ns() - 2_000_000_000
    for number in range(3):
        frame = Frame(
            np.zeros((8, 8), np.uint8), "GRAY", timestamp_ns=taken, meta={"frame": number, "time_ms": 40.0 * number}
        )
        result = FrameResult(number, frame)
        result._results["objects"] = results.Detections.from_arrays([], [])
        live.add(result)
        filed.add(result)
    assert lines[1]["u"] == pytest.approx(time.time() - 2.0, abs=1.0)
    assert np.isfinite(measurements.of_lines(lines).utc).all()


def test_times__of_a_live_camera_are_its_own(made: Simulated) -> None:
    """Frames that say UTC need no start of a video; an offset is added."""
    given = replace(made.given, utc=made.video_start + made.given.time)
    plain = solve_drive(given, made.camera, Track(made.log))
    assert not any("taken to begin" in note for note in plain.notes)
    assert plain.utc[0] == pytest.approx(given.utc[0], abs=0.1)
    late = replace(given, utc=given.utc - 5.0)
    track = Track(made.log)
    track.video_start, track.video_start_sigma = float(late.utc[0] - late.time[0]) + 5.0, 0.02
    assert solve_drive(late, made.camera, track).utc[0] == pytest.approx(given.utc[0], abs=0.1)
