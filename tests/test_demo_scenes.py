"""The road scenes: what a seed gives stays the same, and the labels are exact."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from mnnlite import ArgumentError, demo
from mnnlite.demo import scenes
from mnnlite.demo.ground import REACH

THUMBNAILS = Path(__file__).parent / "data" / "road_scenes.json"
SEEDS = (3, 17, 40, 101, 112, 123)


@pytest.fixture(scope="module")
def made() -> list[tuple[np.ndarray, demo.SceneTruth]]:
    return [demo.scene(seed) for seed in SEEDS]


def thumbnail(image: np.ndarray) -> list[int]:
    """Means of blocks of 40 x 40 pixels."""
    return np.rint(image.reshape(9, 40, 16, 40, 3).mean(axis=(1, 3))).astype(int).reshape(-1).tolist()


def test_scene__is_the_frozen_one(made: list[tuple[np.ndarray, demo.SceneTruth]]) -> None:
    """The networks of the pack learned from these pictures. The last bits of a sine differ between machines: not more."""
    frozen = json.loads(THUMBNAILS.read_text())
    assert frozen["version"] == scenes.VERSION
    for (image, truth), expected in zip(made, frozen["scenes"], strict=True):
        assert np.abs(np.array(thumbnail(image)) - expected["means"]).max() <= 1
        found = [[obj.kind, *obj.box] for obj in truth.objects]
        assert [entry[0] for entry in found] == [entry[0] for entry in expected["boxes"]]
        for entry, wanted in zip(found, expected["boxes"], strict=True):
            assert np.abs(np.subtract(entry[1:], wanted[1:])).max() <= 1
        assert np.count_nonzero(truth.lane_map) == pytest.approx(expected["lane_pixels"], rel=0.002)
        assert truth.surface == expected["surface"]


def test_scene__same_seed_same_picture() -> None:
    first, again, other = demo.scene(5), demo.scene(5), demo.scene(6)
    assert np.array_equal(first[0], again[0])
    assert first[1].objects == again[1].objects
    assert not np.array_equal(first[0], other[0])


def test_truth__boxes_hold_the_painted_pixels(made: list[tuple[np.ndarray, demo.SceneTruth]]) -> None:
    seen = set()
    for image, truth in made:
        assert image.shape == (360, 640, 3)
        assert image.dtype == np.uint8
        for index, obj in enumerate(truth.objects, 1):
            ys, xs = np.nonzero(truth.owner == index)
            x1, y1, x2, y2 = obj.box
            assert 0 <= x1 < x2 <= 640
            assert 0 <= y1 < y2 <= 360
            if len(xs):
                assert (xs.min(), ys.min()) >= (x1, y1)
                assert xs.max() < x2
                assert ys.max() < y2
            if obj.visible == 1.0:  # nothing hides it: the box is tight
                assert (xs.min(), ys.min(), xs.max() + 1, ys.max() + 1) == obj.box
            assert obj.kind == demo.OBJECTS[obj.class_id]
            assert obj.kind != "sign" or obj.name in demo.SIGNS[:-1]
            seen.add(obj.kind)
    assert len(seen) >= 5


def test_truth__places_are_where_they_are_seen(made: list[tuple[np.ndarray, demo.SceneTruth]]) -> None:
    for _, truth in made:
        places = np.array([(-3.0, 5.0), (0.5, 12.0), (4.0, 60.0)])
        pixels, depths = truth.camera.project(places)
        assert (depths > 0).all()
        assert np.abs(truth.camera.ground_of(pixels) - places).max() < 1e-6
        assert np.allclose(truth.camera.image_to_ground @ truth.camera.ground_to_image, np.eye(3), atol=1e-9)
        for lane in truth.lanes:
            assert np.abs(truth.camera.ground_of(lane.points) - lane.ground).max() < 1e-6
            assert (np.diff(lane.ground[:, 1]) > 0).all()  # from near to far
            x, y = lane.points[len(lane.points) // 2].astype(int)
            assert truth.lane_map[y, x] != 0 or truth.owner[y, x] != 0  # the line, or what hides it


def test_truth__maps_fit_one_another(made: list[tuple[np.ndarray, demo.SceneTruth]]) -> None:
    for _, truth in made:
        standing = [index for index, obj in enumerate(truth.objects, 1) if obj.kind not in ("arrow", "crosswalk")]
        assert not truth.drivable[np.isin(truth.owner, standing)].any()
        assert not truth.lane_map[np.isin(truth.owner, standing)].any()
        assert not truth.lane_map[: int(truth.camera.horizon)].any()
        assert set(np.unique(truth.lane_map)) <= {0, *(lane.class_id for lane in truth.lanes)}


def test_clip__what_stands_stays_where_it_is() -> None:
    """In the coordinates of the clip's first frame, by the camera's pose; and it comes nearer."""
    places: dict[int, list[tuple[float, float]]] = {}
    near: dict[int, list[float]] = {}
    for _, truth in demo.clip(7, 8, fps=4):
        x, y, heading = truth.pose
        c, s = np.cos(heading), np.sin(heading)
        for obj in truth.objects:
            if obj.kind in ("sign", "board", "speed camera", "cone"):
                right, ahead = obj.place
                places.setdefault(obj.id, []).append((x + c * right + s * ahead, y - s * right + c * ahead))
                near.setdefault(obj.id, []).append(ahead)
    several = {number: seen for number, seen in places.items() if len(seen) > 1}
    assert len(several) >= 3
    for number, seen in several.items():
        assert np.ptp(np.array(seen), axis=0).max() < 1e-6
        assert (np.diff(near[number]) < 0).all()


def test_ground__is_exact_on_a_bend() -> None:
    """The lane map, made pixel by pixel, agrees with the lines, made point by point."""
    for seed in range(200, 206):
        _, truth = demo.scene(seed)
        for lane in truth.lanes:
            for (x, y), (_, ahead) in zip(lane.points, lane.ground, strict=True):
                row, column = int(y), int(x)
                hidden = truth.owner[row, column] != 0
                if ahead < REACH - 3 and not hidden:
                    assert truth.lane_map[row, column] != 0


@pytest.mark.parametrize("seed", [-1, True, 0.5, "a"])
def test_scene__refuses(seed: object) -> None:
    with pytest.raises(ArgumentError, match="seed"):
        demo.scene(seed)  # type: ignore[arg-type]


def test_clip__refuses() -> None:
    with pytest.raises(ArgumentError, match="fps"):
        next(demo.clip(0, 1, fps=0))
    with pytest.raises(ArgumentError, match="frames"):
        next(demo.clip(0, -1))
