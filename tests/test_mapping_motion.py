"""When a video began, from its camera's gyroscope and accelerometer beside a track."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from mnnlite.mapping import Track
from mnnlite.mapping.clocks import Start
from mnnlite.mapping.logs import gpmf
from mnnlite.mapping.motion import Found, Motion, start_of_motion
from mnnlite.mapping.simulator import START, Options, Simulated, noisy_motion, simulate

LATE = 1.37  # seconds that the video began after the simulated drive


def motion_of(made: Simulated, seed: int) -> Motion:
    return noisy_motion(np.random.default_rng(seed), made, LATE)


def found(made: Simulated, motion: Motion, said: float = START + LATE - 2) -> Found | None:
    track = Track(made.log)

    def moved(utc: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        states = track.states(utc)
        return states.heading, states.speed

    return start_of_motion(motion, moved, (track.start, track.end), said, 10.0)


def test_motion__tells_the_start_within_its_deviation() -> None:
    """In bends, whatever the orientation; the deviations are right over drives."""
    off = []
    for seed in range(6):
        made = simulate(seed, Options(gyro=False))
        start = found(made, motion_of(made, seed))
        assert start is not None
        assert start.sigma < 0.15
        off.append((start.start - START - LATE) / start.sigma)
    assert np.sqrt(np.mean(np.square(off))) < 1.6
    assert np.abs(off).max() < 3


def test_motion__on_a_straight_road_changes_of_speed_tell() -> None:
    """Where a solver of drives can say nothing: what is not found is said not to be."""
    starts = []
    for seed in range(8):
        made = simulate(seed, Options(gyro=False, straight=True))
        starts.append(found(made, motion_of(made, seed)))
    told = [start for start in starts if start is not None]
    assert len(told) >= 3
    assert all(abs(start.start - START - LATE) < 3 * start.sigma for start in told)


def test_motion__that_is_even_or_of_another_drive_tells_nothing() -> None:
    made = simulate(1, Options(gyro=False))
    still = motion_of(made, 1)
    still.gyro[:, 1:] = np.random.default_rng(0).normal(0, 0.02, (len(still.gyro), 3))
    still.accelerometer[:, 1:] = np.random.default_rng(1).normal(0, 0.6, (len(still.gyro), 3))
    assert found(made, still) is None
    assert found(made, motion_of(simulate(2, Options()), 2)) is None
    short = motion_of(made, 1)
    assert found(made, Motion(short.gyro[:500], short.accelerometer[:500])) is None  # ten seconds
    assert found(made, Motion()) is None
    assert found(made, motion_of(made, 1), said=START + LATE + 30) is None  # further off than is tried


def test_track__takes_the_start_from_the_motion_and_says_so() -> None:
    made = simulate(3, Options(gyro=False))
    motion = motion_of(made, 3)
    track = Track(made.log)
    track.synchronise(Start(START + LATE - 1.0, 1.5), 50.0, None, motion)
    assert track.video_start == pytest.approx(START + LATE, abs=0.2)
    assert track.video_start_sigma < 0.15
    assert any("gyroscope and accelerometer" in note for note in track.notes)
    # What the user says stands.
    track.synchronise(Start(START + LATE - 1.0, 1.5), 50.0, 0.5, motion)
    assert track.video_start == START + LATE - 0.5
    blind = Track(made.log)
    blind.synchronise(Start(START + LATE - 1.0, 1.5), 50.0, None, Motion())
    assert blind.video_start == START + LATE - 1.0
    assert blind.video_start_sigma == 1.5
    assert any("not observable" in note for note in blind.notes)


def entry(key: str, kind: str, size: int, content: bytes) -> bytes:
    head = struct.pack(">4scBH", key.encode(), kind.encode(), size, len(content) // size)
    return head + content + bytes(-len(content) % 4)


def stream(key: str, scale: int, samples: np.ndarray) -> bytes:
    values = np.round(samples * scale).astype(">i2").tobytes()
    inner = entry("SCAL", "s", 2, struct.pack(">h", scale)) + entry("ORIN", "c", 1, b"ZXY") + entry(key, "s", 6, values)
    return entry("STRM", "\0", 1, inner)


def test_gpmf__of_a_camera_without_a_receiver_is_motion() -> None:
    rng = np.random.default_rng(5)
    rates, forces = rng.normal(0, 1, (400, 3)), rng.normal(0, 5, (200, 3))
    parts = []
    for second in range(2):
        device = stream("ACCL", 400, forces[100 * second : 100 * (second + 1)])
        device += stream("GYRO", 900, rates[200 * second : 200 * (second + 1)])
        parts.append((entry("DEVC", "\0", 1, device), second * 1.0, 1.0))
    motion = gpmf.motion_of(parts)
    assert motion is not None
    np.testing.assert_allclose(motion.gyro[:, 0], np.arange(400) / 200)
    np.testing.assert_allclose(motion.gyro[:, [3, 1, 2]], rates, atol=1e-3)  # ORIN names the axis of each
    np.testing.assert_allclose(motion.accelerometer[:, [3, 1, 2]], forces, atol=2e-3)
    assert gpmf.motion_of([(b"", 0.0, 1.0)]) is None
