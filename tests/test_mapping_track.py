"""From a log to poses with covariance: made drives whose truth is known, and a real one with a reference."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from helpers import drives
from mnnlite.errors import ArgumentError, SourceError
from mnnlite.mapping import Track, clocks, logs
from mnnlite.mapping.geodesy import Plane

START = 1_770_112_800.0
PLANE = Plane(48.1, 11.5)


def drive(
    seconds: float = 60.0,
    rate: float = 5.0,
    *,
    seed: int = 0,
    parked: tuple[float, float] = (0.0, 0.0),
    gyro: bool = False,
    course: bool = True,
    white: float = 0.1,
    common: float = 0.7,
    clockwise: float = 1.0,
) -> tuple[logs.Log, dict[str, np.ndarray]]:
    """A log of a car in bends, and its truth every hundredth of a second."""
    rng = np.random.default_rng(seed)
    time = np.arange(0, seconds, 0.01)
    speed = 12 + 3 * np.sin(time / 9)
    speed[(time >= parked[0]) & (time < parked[1])] = 0
    turn = clockwise * 0.12 * np.sin(time / 5) * np.minimum(speed, 1)
    heading = 0.3 + np.cumsum(turn) * 0.01
    place = np.cumsum(np.column_stack([np.sin(heading), np.cos(heading)]) * speed[:, None] * 0.01, axis=0)
    step = round(100 / rate)
    at = np.arange(0, len(time), step)
    error = np.zeros((len(at), 2))
    error[0] = rng.normal(0, common, 2)
    kept = math.exp(-1 / rate / 60)
    for index in range(1, len(at)):
        error[index] = kept * error[index - 1] + rng.normal(0, common * math.sqrt(1 - kept**2), 2)
    degrees = PLANE.to_degrees(place[at] + error + rng.normal(0, white, (len(at), 2)))
    count = len(at)
    unknown = np.full(count, np.nan)
    turned = PLANE.convergence(degrees[:, 0], degrees[:, 1])
    log = logs.Log(
        "made", START + time[at], degrees[:, 0], degrees[:, 1], 500 + rng.normal(0, 1, count),
        np.maximum(speed[at] + rng.normal(0, 0.1, count), 0) if course else unknown,
        np.degrees(heading[at] - turned + rng.normal(0, 0.01, count)) if course else unknown.copy(),
        np.full(count, common), unknown.copy(), np.ones(count, np.int8), vertical="ellipsoid",
    )  # fmt: skip
    if gyro:
        axes = np.column_stack(
            [START + time, rng.normal(0, 0.005, (len(time), 2)), -turn + 0.01 + rng.normal(0, 0.005, len(time))]
        )
        log.gyro = axes
        log.accelerometer = np.column_stack([START + time, np.zeros((len(time), 2)), np.full(len(time), 9.81)])
    return log.checked(), {"utc": START + time, "place": place, "heading": heading, "speed": speed}


def errors(track: Track, truth: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of places in metres, of headings in degrees, and squared Mahalanobis distances."""
    inside = (truth["utc"] >= track.start) & (truth["utc"] <= track.end)
    pose = track.pose(truth["utc"][inside])
    off = PLANE.to_plane(pose.position[:, 0], pose.position[:, 1]) - truth["place"][inside]
    turned = PLANE.convergence(pose.position[:, 0], pose.position[:, 1])
    heading = (pose.heading - np.degrees(truth["heading"][inside] - turned) + 180) % 360 - 180
    squared = np.einsum("ni,nij,nj->n", off, np.linalg.inv(pose.covariance[:, :2, :2]), off)
    return off, heading, squared


@pytest.mark.parametrize(("gyro", "bar"), [(False, 1.0), (True, 0.5)])
def test_pose__follows_bends(gyro: bool, bar: float) -> None:
    log, truth = drive(gyro=gyro)
    off, heading, _ = errors(Track(log), truth)
    assert np.quantile(np.abs(heading), 0.9) < bar
    assert np.quantile(np.linalg.norm(off - off.mean(axis=0), axis=1), 0.9) < 1.0


def test_pose__ellipses_hold_the_truth() -> None:
    inside = []
    for seed in range(40):
        log, truth = drive(12, 1, seed=seed)
        inside.append(errors(Track(log), truth)[2][600] < 4.605)  # one moment of each: the others share its error
    assert 0.78 <= np.mean(inside) <= 0.99  # 0.9, of 40


def test_pose__positions_alone() -> None:
    log, truth = drive(course=False)
    _, heading, _ = errors(Track(log), truth)
    assert np.median(np.abs(heading)) < 2.0


def test_pose__a_parked_car_stays_where_it_is() -> None:
    log, truth = drive(90, parked=(30, 60), white=0.3)
    track = Track(log)
    pose = track.pose(START + np.arange(35, 55, 0.5))
    places = PLANE.to_plane(pose.position[:, 0], pose.position[:, 1])
    assert np.ptp(places, axis=0).max() < 0.15
    assert np.ptp(pose.heading) < 0.5
    assert track.length == pytest.approx(float(truth["speed"].sum() * 0.01), rel=0.01)


def test_pose__gaps_widen() -> None:
    log, _ = drive(60, 5)
    kept = (log.utc < START + 20) | (log.utc > START + 32)
    for name in ("utc", "latitude", "longitude", "height", "speed", "course", "sigma", "hdop", "quality"):
        setattr(log, name, getattr(log, name)[kept])
    track = Track(log)
    sigmas = np.sqrt(track.pose(START + np.array([15.0, 26.0, 45.0])).covariance[:, 0, 0])
    assert sigmas[1] > 2 * max(sigmas[0], sigmas[2])
    after = track.states(np.array([track.end, track.end + 2.0])).covariance[:, 0, 0]
    assert after[1] > after[0] + 100


def test_pose__jumps_are_not_believed() -> None:
    log, truth = drive()
    log.latitude[100:103] += 0.0005  # 55 m
    track = Track(log)
    off, _, _ = errors(track, truth)
    assert np.linalg.norm(off, axis=1).max() < 4
    assert any("jumped" in note for note in track.notes)


def test_gyro__of_the_wrong_hand_is_found_out() -> None:
    log, truth = drive(gyro=True)
    log.accelerometer[:, 1:] *= -1  # what is up is down, for a maker of other habits
    _, heading, _ = errors(Track(log), truth)
    assert np.quantile(np.abs(heading), 0.9) < 0.5


def test_pose__says_when_it_does_not_know() -> None:
    log, _ = drive(20)
    track = Track(log)
    with pytest.raises(ArgumentError, match="the track is from 2026-02-03 10:00:00 UTC"):
        track.pose(START - 100)
    single = track.pose(START + 5)
    assert single.position.shape == (3,)
    assert single.covariance.shape == (4, 4)
    log.utc = log.utc[:1]
    with pytest.raises(SourceError, match="one position"):
        Track(log)


@pytest.mark.parametrize(
    ("away", "said"), [(7200.0, r"\+2 h apart.*local time.*--offset 7200"), (86400 * 3, "do not belong together")]
)
def test_clock__of_another_time(away: float, said: str) -> None:
    with pytest.raises(SourceError, match=said):
        clocks.check_covers(START, 60, START + away, START + away + 70, "drive.nmea")
    clocks.check_covers(START, 60, START - 1, START + 70, "drive.nmea")


def test_comma2k19__against_its_reference() -> None:
    log, truth = drives.comma(drives.drive("comma2k19_40"))
    track = Track(log, sigma_m=0.7)
    moment = truth["utc"] - 0.1  # the receiver's stamps are late by that
    inside = (moment >= track.start) & (moment <= track.end)
    pose = track.pose(moment[inside])
    off = track.plane.to_plane(pose.position[:, 0], pose.position[:, 1]) - track.plane.to_plane(
        *truth["places"][inside, :2].T
    )
    away = np.linalg.norm(off, axis=1)
    heading = np.abs((pose.heading - truth["courses"][inside] + 180) % 360 - 180)
    squared = np.einsum("ni,nij,nj->n", off, np.linalg.inv(pose.covariance[:, :2, :2]), off)
    assert np.median(away) < 0.56  # what the receiver itself comes to
    assert np.quantile(away, 0.9) < 0.77
    assert np.quantile(heading, 0.9) < 0.3
    assert (squared < 4.605).mean() > 0.85


def test_gpmf__tracks(tmp_path: Path) -> None:
    track = Track.load(drives.drive("gpmf/hero7.raw"))
    assert track.video_start is not None
    assert track.pose(track.start + 5).position[0] == pytest.approx(42.3425, abs=1e-3)
