"""Rendered drives with bends, a lens and a camera that looks elsewhere: the pictures show what the truth says, and a map of
what the networks find in them is right."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from mnnlite import ArgumentError, pipeline
from mnnlite.demo import pack
from mnnlite.demo.course import STEP, Course
from mnnlite.demo.drives import Drive
from mnnlite.demo.world import Arc
from mnnlite.mapping import MapRules, Track, measurements
from mnnlite.mapping.drive import solve_drive
from mnnlite.mapping.recording import Recorder
from mnnlite.mapping.simulator import PLANE, START, TICK, Options, noisy_log

RULES = MapRules.of(
    {
        "element": [
            {"task": "objects", "labels": ["sign"], "size": 0.79, "aspect": 1.0, "label": "signs"},
            {"task": "objects", "labels": ["board"], "size": 0.78},
            {"task": "objects", "labels": ["speed camera"], "size": 0.77},
            {"task": "objects", "labels": ["cone"], "ground": True},
            {"task": "objects", "labels": ["vehicle"], "shape": "occluder"},
            {"task": "scene.lanes", "shape": "line", "kind": "lane"},
        ]
    }
)


@pytest.mark.parametrize("curvature", [0.0, 0.004, -0.01])
def test_course__of_an_arc_is_the_arc(curvature: float) -> None:
    """What bends evenly is where `Arc` says, whose formulas are exact."""
    arc, curve = Arc(curvature), Course(np.full(1200, curvature)).seen_from(40.0)
    for s, d in ((5.0, -3.0), (30.0, 4.0), (70.0, 0.0)):
        np.testing.assert_allclose(curve.place(s, d), arc.place(s, d), atol=2e-3)
    s = np.arange(3.0, 60.0, 1.5)
    np.testing.assert_allclose(curve.along(s, 2.0), arc.along(s, 2.0), atol=2e-3)
    x, y = arc.along(s, -4.0).T.astype(np.float32)
    d, back = curve.locate(x, y)
    np.testing.assert_allclose(d, -4.0, atol=5e-3)
    np.testing.assert_allclose(back, s, atol=5e-3)


def test_course__there_and_back_in_changing_bends() -> None:
    along = np.arange(0, 300, STEP)
    course = Course(0.01 * np.sin(along / 25))
    curve = course.seen_from(60.0)
    assert curve.place(0.0, 0.0) == pytest.approx((0, 0, 0), abs=1e-9)
    s = np.linspace(2, 70, 60)
    for d in (-8.0, 0.0, 6.0):
        x, y = curve.along(s, d).T.astype(np.float32)
        off, back = curve.locate(x, y)
        np.testing.assert_allclose(off, d, atol=5e-3)
        np.testing.assert_allclose(back, s, atol=5e-3)


def test_drive__shows_things_where_they_stand() -> None:
    drive = Drive(7_000_001, 24.0, pitch=0.8, yaw=-0.5)
    index, shown = 200, 0
    image, seen = drive.frame(index)
    assert image.shape == (360, 640, 3)
    again, _ = Drive(7_000_001, 24.0, pitch=0.8, yaw=-0.5).frame(index)
    assert (image == again).all()
    time_s = drive.time[index]
    x, y, heading = drive.course.pose(float(np.interp(time_s, drive.moments, drive.way)))
    camera = drive.true_camera
    nod = float(np.interp(time_s, drive.moments, drive._nods))
    camera = camera.mounted(replace(camera.mounting, pitch=camera.mounting.pitch + nod))
    for each in seen:
        if not each.clear or each.kind not in ("sign", "board", "speed camera"):
            continue
        east, north, up = drive.things[drive.ids.index(each.id)].place - (float(x), float(y), 1.4)
        c, s = math.cos(heading), math.sin(heading)
        (pixel,) = camera.pixels((camera.mounting.turn @ (east * c - north * s, east * s + north * c, up))[None])
        x1, y1, x2, y2 = each.box
        assert pixel == pytest.approx(((x1 + x2) / 2, (y1 + y2) / 2), abs=1.5)
        shown += 1
    assert shown >= 3
    with pytest.raises(ArgumentError, match="more than 0"):
        Drive(1, 0)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [7_000_001, 7_000_006])
def test_map__of_a_rendered_drive(seed: int) -> None:
    drive = Drive(seed, 9.0, 6.25, pitch=0.9, yaw=-0.6)
    lines: list[dict] = []
    recorder = Recorder(lines.append, RULES, {})
    with pipeline.load(pack.pipeline_file()).open() as runtime:
        for result in runtime.stream(drive.play()):
            recorder.add(result)
    given = measurements.of_lines([json.dumps(line) for line in lines])
    antenna = np.column_stack([np.interp(given.time, drive.moments, drive.antenna[:, axis]) for axis in (0, 1)])
    off, inside, angles, found = [], [], [], 0
    for number in range(20):
        rng = np.random.default_rng((seed, number))
        velocity = np.gradient(drive.antenna[:, :2], TICK, axis=0)
        track = Track(noisy_log(rng, Options(), drive.moments, drive.antenna, velocity, drive.turn))
        track.video_start, track.video_start_sigma = START, 0.02
        solved = solve_drive(given, drive.camera, track)
        for element in solved.elements:
            same = [thing.place[:2] for thing in drive.things if thing.kind == element.kind]
            if element.shape != "point" or not same:
                continue
            away = PLANE.to_plane(*element.degrees.T)[0] - np.array(same)
            best = away[np.argmin(np.linalg.norm(away, axis=1))]
            if np.linalg.norm(antenna - same[int(np.argmin(np.linalg.norm(away, axis=1)))], axis=1).min() < 20:
                off.append(np.linalg.norm(best))
                inside.append(best @ np.linalg.solve(element.covariance, best) < 4.605)
                found += 1
        angles.append((solved.calibration.pitch[0], solved.calibration.yaw[0]))
    assert found >= 20
    # Nine seconds do not tell more.
    assert np.median(angles, axis=0) == pytest.approx((0.9, -0.6), abs=0.3)
    assert np.median(off) < 1.5
    assert np.mean(inside) > 0.75
