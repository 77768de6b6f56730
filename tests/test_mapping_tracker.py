"""Trackers against exact truth: drives along an arc past objects whose places are known, seen with noise, misses and
objects that are not there."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pytest

from mnnlite.mapping import tracker as tracker_module
from mnnlite.mapping.polyline_tracker import AreaTracker, PolylineTracker, resample
from mnnlite.mapping.tracker import ACCELERATION, Bearing, Measurement, ObjectTrack, Pose, Tracker
from mnnlite.mapping.triangulation import triangulate

FPS = 25.0
SPEED = 12.0  # metres per second
FOV = 0.5  # tangent of half the field of view
ALONG, ACROSS = 0.12, 0.004  # deviations of a place along and across the line of sight, in parts of the distance


def drive(frames: int = 150, curvature: float = 0.004) -> list[Pose]:
    """Along an arc."""
    poses = []
    for index in range(frames):
        s = SPEED * index / FPS
        turn = curvature * s
        x = (1 - math.cos(turn)) / curvature if curvature else 0.0
        poses.append(Pose(x, math.sin(turn) / curvature if curvature else s, turn))
    return poses


def visible(places: np.ndarray) -> np.ndarray:
    return (places[:, 1] > 4) & (places[:, 1] < 45) & (np.abs(places[:, 0]) < FOV * places[:, 1])


@dataclass
class SceneObject:
    kind: str
    place: tuple[float, float, float]
    label: str = ""
    velocity: tuple[float, float] = (0.0, 0.0)

    def at(self, time_s: float) -> np.ndarray:
        x, y, z = self.place
        return np.array([x + self.velocity[0] * time_s, y + self.velocity[1] * time_s, z])


def covariance_of(place: np.ndarray, along: float = ALONG, across: float = ACROSS) -> np.ndarray:
    """As of a camera: `along` and `across` the line of sight, in parts of the distance."""
    distance = float(np.linalg.norm(place))
    ray = place / distance
    shape = np.eye(3) * across**2 + np.outer(ray, ray) * (along**2 - across**2)
    return shape * distance**2


def noise(rng: np.random.Generator, place: np.ndarray, along: float = ALONG, across: float = ACROSS) -> np.ndarray:
    """A draw with the covariance of `covariance_of`, term by term.

    `Generator.multivariate_normal` draws what LAPACK's decomposition makes of it, which differs from machine to machine:
    the covariance is the same in all directions across the line of sight.
    """
    distance = float(np.linalg.norm(place))
    ray = place / distance
    drawn = rng.standard_normal(3) * across + ray * rng.standard_normal() * math.sqrt(along**2 - across**2)
    return np.asarray(drawn * distance)


def watch(
    objects: list[SceneObject],
    poses: list[Pose],
    seed: int,
    missed: float = 0.2,
    false: float = 0.3,
    wrong: float = 0.15,
) -> tuple[list[ObjectTrack], Tracker]:
    """Drive by, and give the tracks that ended and those at the end."""
    rng = np.random.default_rng(seed)
    tracker = Tracker(moving=["vehicle"])
    done: list[ObjectTrack] = []
    for index, pose in enumerate(poses):
        time_s = index / FPS
        measurements = []
        for obj in objects:
            place = pose.to_vehicle(obj.at(time_s)[None])[0]
            if not visible(place[None])[0] or rng.random() < missed:
                continue
            along = 0.05 if obj.kind == "vehicle" else ALONG  # these stand on the ground
            covariance = covariance_of(place, along)
            seen = place + noise(rng, place, along)
            label = "other" if obj.label and rng.random() < wrong else obj.label
            measurements.append(Measurement(obj.kind, seen, covariance, float(rng.uniform(0.6, 0.95)), label))
        for _ in range(int(rng.poisson(false))):
            y = rng.uniform(6, 45)
            place = np.array([rng.uniform(-FOV, FOV) * y, y, rng.uniform(0, 3)])
            measurements.append(Measurement("sign", place, covariance_of(place), 0.4, "other"))
        rng.shuffle(measurements)  # type: ignore[arg-type]
        tracker.update(measurements, pose, time_s, visible)
        done += tracker.ended()
    return done + tracker.ended(everything=True), tracker


SIGNS = [
    SceneObject("sign", (5.0, 30.0, 2.0), "stop"),
    SceneObject("sign", (5.0, 30.0, 2.9), "keep right"),  # on the same pole
    SceneObject("sign", (-4.5, 45.0, 2.1), "give way"),
    SceneObject("cone", (2.5, 36.0, 0.4)),
    SceneObject("cone", (2.6, 38.5, 0.4)),
    SceneObject("speed camera", (6.0, 55.0, 2.5)),
]


@pytest.mark.parametrize("seed", range(12))
def test_tracker__one_observation_for_each_object(seed: int) -> None:
    found, _ = watch(SIGNS, drive(), seed)
    believed = [track for track in found if track.confidence > 0.3]
    assert len(believed) == len(SIGNS)
    for obj in SIGNS:
        mine = min(
            (track for track in believed if track.kind == obj.kind),
            key=lambda track: float(np.linalg.norm(track.place - obj.place)),
        )
        error = float(np.linalg.norm(mine.place - obj.place))
        assert error < 0.5, (obj, mine.place)
        assert error < 5 * max(float(np.sqrt(np.trace(mine.covariance[:3, :3]))), 0.02)  # it knows how well it knows
        assert mine.label == obj.label
        assert mine.hits > 30


def test_tracker__nearest_frames_decide() -> None:
    """A place from 40 m away is off by metres, the last one by decimetres."""
    obj = SceneObject("sign", (4.0, 42.0, 2.0), "stop")
    rng = np.random.default_rng(3)
    tracker = Tracker()
    errors = []
    for index, pose in enumerate(drive(75, curvature=0.0)):
        place = pose.to_vehicle(obj.at(0)[None])[0]
        covariance = covariance_of(place)
        tracker.update([Measurement("sign", place + noise(rng, place), covariance, 0.9)], pose, index / FPS)
        errors.append(float(np.linalg.norm(tracker.tracks[0].place - obj.place)))
    assert errors[-1] < 0.15
    assert errors[-1] < errors[0] / 4


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("factor", [0.8, 1.0, 1.25])
def test_tracker__driving_past_tells_what_sizes_do_not(seed: int, factor: float) -> None:
    """All ranges are wrong by one factor, as of a sign of another size than usual; bearings have noise."""
    obj, rng = SceneObject("sign", (4.0, 50.0, 2.5)), np.random.default_rng(seed)
    tracker, camera = Tracker(), np.array([0.0, 0.0, 1.4])
    for index, pose in enumerate(drive(75, curvature=0.003)):
        off = pose.to_vehicle(obj.at(0)[None])[0] - camera
        distance = float(np.linalg.norm(off))
        ray = off / distance + rng.normal(0, 0.003, 3)
        ray /= np.linalg.norm(ray)
        place = camera + ray * distance * factor
        bearing = Bearing(camera, ray, 0.003, distance * factor)
        tracker.update(
            [Measurement("sign", place, covariance_of(place, 0.25), 0.9, bearing=bearing)], pose, index / FPS
        )
    (track,) = tracker.ended(everything=True)
    assert float(np.linalg.norm(track.place - obj.place)) < min(1.0, 4 * math.sqrt(np.trace(track.covariance[:3, :3])))


def test_triangulate__of_hardly_any_parallax_believes_the_size() -> None:
    """Eleven measurements over 6 m of something 60 m ahead: the lines of sight meet anywhere, above all at the camera."""
    rng = np.random.default_rng(0)
    origins = np.column_stack([np.zeros(11), 0.56 * np.arange(11), np.full(11, 1.4)])
    off = np.array([3.0, 60.0, 6.0]) - origins
    distance = np.linalg.norm(off, axis=1)
    for _ in range(20):
        rays = off / distance[:, None] + rng.normal(0, 0.004, off.shape)
        rays /= np.linalg.norm(rays, axis=1)[:, None]
        place, covariance = triangulate(origins, rays, np.full(11, 0.004), distance * 1.1, doubt=0.2)
        deviation = math.sqrt(np.linalg.eigvalsh(covariance)[-1])
        assert 3 < deviation < 15
        assert float(np.linalg.norm(place - (3, 60, 6))) < 3 * deviation


@pytest.mark.parametrize("seed", range(12))
def test_tracker__things_that_cross_keep_their_identity(seed: int) -> None:
    """Two vehicles change places across the road: each keeps its track, its velocity and its votes."""
    a = SceneObject("vehicle", (-3.0, 24.0, 0.7), "car", (2.0, SPEED - 1))
    b = SceneObject("vehicle", (3.0, 30.0, 0.7), "truck", (-2.0, SPEED - 2))
    found, _ = watch([a, b], drive(75, curvature=0.0), seed, missed=0.1, false=0.0, wrong=0.1)
    assert len(found) == 2
    for obj in (a, b):
        (mine,) = (track for track in found if track.label == obj.label)
        error = float(np.linalg.norm(mine.place[:2] - obj.at(mine.last_s)[:2]))
        assert error < min(1.5, 4 * mine.deviation)
        assert float(np.linalg.norm(mine.velocity - obj.velocity)) < 2.0


def test_tracker__false_sightings_alone_are_nothing() -> None:
    found, _ = watch([], drive(), seed=1, false=0.6)
    assert [track for track in found if track.confidence > 0.3] == []


@pytest.mark.parametrize("seed", range(12))
def test_triangulate__is_where_its_definition_is_least(seed: int) -> None:
    """Angles' sines over their sigmas, and the size once; with exact angles the covariance is the Fisher information's."""
    rng = np.random.default_rng(seed)
    count = int(rng.integers(3, 9))
    truth = rng.normal(0, 1, 3) + np.array((0, 0, 20.0 if seed % 3 else 3.0))
    origins = rng.normal(0, 0.5, (count, 3)) + np.linspace(0, 0.8 * truth[2], count)[:, None] * (0, 0, 1.0)
    sigmas = rng.uniform(0.001, 0.01, count)
    off = truth - origins
    distance = np.linalg.norm(off, axis=1)
    exact = off / distance[:, None]

    place, covariance = triangulate(origins, exact, sigmas, distance)
    np.testing.assert_allclose(place, truth, atol=1e-6)
    across = [
        (np.eye(3) - np.outer(ray, ray)) / (far * sigma) ** 2
        for ray, far, sigma in zip(exact, distance, sigmas, strict=True)
    ]
    slope = (off / distance[:, None] ** 2).mean(axis=0)
    np.testing.assert_allclose(
        covariance, np.linalg.inv(sum(across) + np.outer(slope, slope) / 0.2**2), rtol=1e-4, atol=1e-12
    )

    rays = exact + rng.normal(0, 1, exact.shape) * sigmas[:, None]
    rays /= np.linalg.norm(rays, axis=1)[:, None]
    ranges = distance * 1.2
    place, _ = triangulate(origins, rays, sigmas, ranges, doubt=0.3)

    def cost(at: np.ndarray) -> float:
        off = at - origins
        far = np.linalg.norm(off, axis=1)
        seen = off / far[:, None]
        sines = np.linalg.norm(seen - (seen * rays).sum(axis=1, keepdims=True) * rays, axis=1)
        return float(((sines / sigmas) ** 2).sum() + (np.log(far / ranges).mean() / 0.3) ** 2)

    least = cost(place)
    for axis in np.eye(3):
        assert least <= cost(place + 1e-3 * axis)
        assert least <= cost(place - 1e-3 * axis)


def test_triangulate__something_half_a_metre_from_a_camera() -> None:
    origins = np.array([[0.0, 0, 0], [0.2, 0, 0], [0.4, 0, 0]])
    off = np.array([0.2, 0.1, 0.5]) - origins
    distance = np.linalg.norm(off, axis=1)
    place, _ = triangulate(origins, off / distance[:, None], np.full(3, 0.002), distance)
    np.testing.assert_allclose(place, (0.2, 0.1, 0.5), atol=1e-6)


@pytest.mark.parametrize("factor", [0.2, 2.0, 4.0, 8.0])
def test_triangulate__ends_at_the_place_from_a_size_that_is_far_off(factor: float) -> None:
    """Steps from there are long, and angles are not linear over them."""
    origins = np.column_stack([0.1 * np.arange(6), np.linspace(0, 12, 6), np.full(6, 1.4)])
    off = np.array([3.0, 20.0, 2.0]) - origins
    distance = np.linalg.norm(off, axis=1)
    place, _ = triangulate(origins, off / distance[:, None], np.full(6, 0.002), factor * distance, doubt=3.0)
    np.testing.assert_allclose(place, (3.0, 20.0, 2.0), atol=2e-3)


def test_tracker__a_gap_is_bridged_and_counted() -> None:
    obj = SceneObject("sign", (4.0, 40.0, 2.0))
    tracker = Tracker(end=12)
    for index, pose in enumerate(drive(60, curvature=0.0)):
        place = pose.to_vehicle(obj.at(0)[None])[0]
        measurements = [] if 20 <= index < 30 else [Measurement("sign", place, covariance_of(place), 0.8)]
        tracker.update(measurements, pose, index / FPS, visible)
        assert tracker.ended() == []
    (track,) = tracker.ended(everything=True)
    assert (track.hits, track.missed) == (50, 10)
    assert track.confidence == pytest.approx(50 * 0.8 / 60)


def test_tracker__out_of_view_is_not_missed_and_ends() -> None:
    obj = SceneObject("sign", (4.0, 20.0, 2.0))
    tracker = Tracker(end=12)
    ended = []
    for index, pose in enumerate(drive(100, curvature=0.0)):
        place = pose.to_vehicle(obj.at(0)[None])[0]
        measurements = [Measurement("sign", place, covariance_of(place), 0.8)] if visible(place[None])[0] else []
        tracker.update(measurements, pose, index / FPS, visible)
        ended += [(index, track) for track in tracker.ended()]
    ((index, track),) = ended
    assert track.missed == 0
    assert track.confidence == pytest.approx(0.8)
    assert index / FPS == pytest.approx(track.last_s + 12 / FPS)


def test_tracker__confirms_after_three_and_forgets_single_ones() -> None:
    place = np.array([2.0, 20.0, 1.0])
    one = Measurement("sign", place, covariance_of(place), 0.9)
    tracker = Tracker()
    owners = [tracker.update(seen, Pose(), index / FPS) for index, seen in enumerate([[one], [one], [one]])]
    assert [each[0] is not None for each in owners] == [False, False, True]
    tracker = Tracker()
    for index, seen in enumerate([[one], [], []]):
        tracker.update(seen, Pose(), index / FPS)
    assert tracker.ended() == []
    assert tracker.tracks == []


def test_pose__turns_there_and_back() -> None:
    rng = np.random.default_rng(0)
    pose, places = Pose(3.0, -2.0, 0.7), rng.normal(size=(5, 3))
    np.testing.assert_allclose(pose.to_vehicle(pose.to_local(places)), places, atol=1e-12)
    # Heading to the right: what lies ahead lies to the right of where it lay.
    np.testing.assert_allclose(Pose(0, 0, math.pi / 2).to_local(np.array([[0.0, 1.0]])), [[1.0, 0.0]], atol=1e-12)


# ---- lines


def seen_line(
    offset: float, pose: Pose, curvature: float, rng: np.random.Generator, near: float = 5.0, far: float = 28.0
):
    """Points of a line beside an arc, in the vehicle's frame, with noise that grows with the distance."""
    start = pose.heading / curvature
    s = np.arange(start + near, start + far, 1.5)
    turn = curvature * s
    local = np.stack(
        [(1 - np.cos(turn)) / curvature + offset * np.cos(turn), np.sin(turn) / curvature - offset * np.sin(turn)],
        axis=1,
    )
    points = pose.to_vehicle(local)
    points[:, 0] += rng.normal(0, 0.004, len(points)) * points[:, 1]
    return points


def off_arc(points: np.ndarray, curvature: float) -> np.ndarray:
    """Metres to the right of the arc through the origin."""
    radius = 1 / curvature
    return radius - np.hypot(points[:, 0] - radius, points[:, 1])


def test_lines__one_for_each_line_of_the_road() -> None:
    curvature, rng = 0.006, np.random.default_rng(4)
    offsets = {"solid": -1.8, "dashed": 1.7, "kerb": 2.9}
    tracker = PolylineTracker()
    for index, pose in enumerate(drive(100, curvature)):
        lines, labels = [], []
        for label, offset in offsets.items():
            if rng.random() < 0.2:
                continue
            line = seen_line(offset, pose, curvature, rng)
            pieces = [line] if rng.random() < 0.7 else [line[:7], line[9:]]
            lines += pieces
            labels += [label if rng.random() > 0.1 else "double"] * len(pieces)
        tracker.update(lines, labels, [0.9] * len(lines), pose, index / FPS)
    found = tracker.ended(everything=True)
    assert sorted(track.label for track in found) == sorted(offsets)
    for track in found:
        assert track.hits > 60
        assert track.confidence == pytest.approx(0.9)
        assert len(track.points) > 60  # 48 m driven and 28 seen ahead
        error = off_arc(track.points, curvature) - offsets[track.label]
        assert np.abs(error[:45]).max() < 0.12
        steps = np.linalg.norm(np.diff(track.points, axis=0), axis=1)
        assert steps.max() < 2.5  # a line, not a zigzag


def test_lines__end_when_they_are_not_seen() -> None:
    tracker = PolylineTracker(end=5)
    line = np.array([[1.5, 5.0], [1.5, 20.0]])
    for index in range(4):
        tracker.update([line], ["solid"], [0.9], Pose(y=0.5 * index), index / FPS)
    for index in range(4, 9):
        assert tracker.ended() == []
        tracker.update([], [], [], Pose(y=0.5 * index), index / FPS)
    (track,) = tracker.ended()
    assert (track.label, track.first_s, track.last_s) == ("solid", 0.0, 3 / FPS)
    np.testing.assert_allclose(track.points[:, 0], 1.5, atol=1e-9)


def test_lines__resample_takes_what_lies_ahead() -> None:
    points = np.array([[0.0, 40.0], [0.0, 10.0], [1.0, 4.0], [np.inf, 2.0], [3.0, -1.0]])
    got = resample(points)
    np.testing.assert_allclose(got[:, 1], np.arange(4, 31))
    np.testing.assert_allclose(got[0], [1.0, 4.0])
    assert resample(points[:1]).shape == (0, 2)


def test_area__is_as_wide_as_the_road() -> None:
    curvature, rng = 0.005, np.random.default_rng(5)
    tracker = AreaTracker()
    for index, pose in enumerate(drive(60, curvature)):
        left, right = (seen_line(offset, pose, curvature, rng) for offset in (-3.5, 5.0))
        tracker.update([np.concatenate([left, right[::-1]])] if rng.random() > 0.1 else [], pose, index / FPS)
    half = len(tracker.ring) // 2
    assert half > 45
    offsets = off_arc(tracker.ring, curvature)
    assert np.abs(offsets[: half - 8] + 3.5).max() < 0.15
    assert np.abs(offsets[half + 8 :] - 5.0).max() < 0.15


def test_area__of_nothing_is_empty() -> None:
    tracker = AreaTracker()
    tracker.update([], Pose(), 0.0)
    assert tracker.ring.shape == (0, 2)


# ---- a track by itself


def one_track(moves: bool = True) -> ObjectTrack:
    covariance = np.diag([4.0, 5, 6, 7, 8])
    return ObjectTrack(1, "vehicle", moves, np.array([1.0, 2, 3, 10, -20]), covariance, 0.0, 0.0)


def test_a_prediction_is_that_of_constant_velocity_with_pushes() -> None:
    """Bar-Shalom, Li, Kirubarajan 2001, section 6.3.2: white noise in acceleration, constant over a step."""
    track, seconds = one_track(), 3.0
    track.predict(seconds)
    assert track.state.tolist() == [31, -58, 3, 10, -20]
    wanted = np.zeros((5, 5))
    noise = ACCELERATION**2 * np.array([[seconds**4 / 4, seconds**3 / 2], [seconds**3 / 2, seconds**2]])
    for axis, (place, speed) in enumerate([(4, 7), (5, 8)]):
        pair = np.ix_([axis, 3 + axis], [axis, 3 + axis])
        wanted[pair] = np.array([[place + seconds**2 * speed, seconds * speed], [seconds * speed, speed]]) + noise
    wanted[2, 2] = 6
    np.testing.assert_allclose(track.covariance, wanted, rtol=1e-12)


@pytest.mark.parametrize(("moves", "seconds"), [(False, 1.0), (True, 0.0), (True, -1.0)])
def test_what_stands_and_what_was_is_not_predicted(moves: bool, seconds: float) -> None:
    track = one_track(moves)
    track.predict(seconds)
    assert track.state.tolist() == [1, 2, 3, 10, -20]
    assert (track.covariance == np.diag([4.0, 5, 6, 7, 8])).all()


def test_the_distance_of_a_measurement_and_its_likelihood() -> None:
    track = one_track()
    squared, doubled = track.distance(np.array([3.0, 5, 3]), np.diag([4.0, 4, 4]))
    assert squared == pytest.approx(2 * 2 / 8 + 3 * 3 / 9)
    assert doubled == pytest.approx(squared + math.log(8 * 9 * 10))


def test_a_vote_weighs_the_score_over_the_distance() -> None:
    track = one_track()
    for place, score, label, text in [
        ((3, 4, 0), 0.5, "a", "x"),
        ((0.5, 0, 0), 0.25, "b", ""),
        ((1.5, 0, 0), 0.6, "", "y"),
        ((2, 0, 0), 0.5, "", "y"),
    ]:
        track.count(Measurement("vehicle", np.array(place, float), np.eye(3), score, label, text), 2.0)
    assert track.labels == {"a": pytest.approx(0.1), "b": pytest.approx(0.25)}  # nearer than a metre is a metre
    assert track.texts == {"x": pytest.approx(0.1), "y": pytest.approx(0.65)}
    assert (track.label, track.text, track.hits, track.last_s) == ("b", "y", 4, 2.0)
    assert track.scores == pytest.approx(1.85)


def test_tracks_are_numbered_and_know_when_they_were_seen_and_missed() -> None:
    tracker, pose = Tracker(), Pose(0, 0, 0)
    sign, board, post = (
        Measurement(kind, np.array([0.0, 10, 1]), 0.01 * np.eye(3), 0.5) for kind in ("sign", "board", "post")
    )
    tracker.update([sign, board], pose, 5.0)
    tracker.update([sign, post], pose, 6.0)  # the board is not there, and nobody says that it is out of view
    tracker.update([sign, board], pose, 7.0, lambda places: np.zeros(len(places), bool))
    tracker.update([sign, board, post], pose, 8.0)
    found = [(track.id, track.kind, track.first_s, track.last_s, track.hits, track.missed) for track in tracker.tracks]
    assert found == [(1, "sign", 5, 8, 4, 0), (2, "board", 5, 8, 3, 1), (3, "post", 6, 8, 2, 0)]


@pytest.mark.parametrize(("hits", "frames", "kept"), [(3, 12, 1), (2, 2, 0)])
def test_a_track_ends_after_so_many_frames(hits: int, frames: int, kept: int) -> None:
    tracker, pose = Tracker(), Pose(0, 0, 0)
    for index in range(hits):
        tracker.update([Measurement("sign", np.array([0.0, 10, 1]), 0.01 * np.eye(3), 0.5)], pose, float(index))
    for index in range(frames):
        assert tracker.ended() == []
        assert len(tracker.tracks) == 1
        tracker.update([], pose, float(hits + index))
    assert len(tracker.ended()) == kept
    assert tracker.tracks == []


def test_what_may_move_begins_with_any_velocity() -> None:
    tracker = Tracker(["vehicle"])
    for kind in ("vehicle", "sign"):
        tracker.update([Measurement(kind, np.array([0.0, 10, 1]), np.diag([1.0, 2, 3]), 0.5)], Pose(0, 0, 0), 1.0)
    vehicle, sign = tracker.tracks
    assert (
        vehicle.covariance.tolist() == np.diag([1.0, 2, 3, tracker_module.SPEED**2, tracker_module.SPEED**2]).tolist()
    )
    assert sign.covariance.tolist() == np.diag([1.0, 2, 3, 0, 0]).tolist()
    assert vehicle.state.tolist() == sign.state.tolist() == [0, 10, 1, 0, 0]
    assert (vehicle.first_s, vehicle.last_s) == (1.0, 1.0)


def test_places_in_whole_metres_are_not_rounded_elsewhere() -> None:
    pose, places = Pose(0.5, 0.25, 0), np.array([[1, 2, 3]])
    assert pose.to_local(places).tolist() == [[1.5, 2.25, 3]]
    assert pose.to_vehicle(places).tolist() == [[0.5, 1.75, 3]]
