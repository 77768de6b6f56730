"""From boxes and lines in pixels to observations in metres, against the exact truth of a rendered drive."""

from __future__ import annotations

import math

import numpy as np
import pytest

from mnnlite import results
from mnnlite.demo import LANES, OBJECTS, clip
from mnnlite.demo.footage import FrameTruth, TruthObject
from mnnlite.demo.truth import score
from mnnlite.mapping.measurement import measure, visible
from mnnlite.mapping.observer import Found, Observer
from mnnlite.mapping.pinhole import PinholeCamera
from mnnlite.mapping.tracker import Pose

CAMERA = PinholeCamera()


def box_of(place: tuple[float, float, float], width: float, height: float) -> tuple[float, float, float, float]:
    """Of something flat that faces the camera; `place` is the middle of its lower edge."""
    x, y, z = place
    corners = [
        (x - width / 2, y, z),
        (x + width / 2, y, z),
        (x - width / 2, y, z + height),
        (x + width / 2, y, z + height),
    ]
    pixels, _ = CAMERA.project(corners)
    return (*pixels.min(axis=0), *pixels.max(axis=0))  # type: ignore[return-value]


@pytest.mark.parametrize("place", [(2.5, 12.0, 2.0), (-3.0, 25.0, 1.6), (6.0, 40.0, 2.2)])
def test_measure__of_a_sign_is_where_its_size_says(place: tuple[float, float, float]) -> None:
    seen = measure(CAMERA, "sign", box_of(place, 0.79, 0.79), 0.9, "stop", "STOP")
    assert seen is not None
    assert (seen.kind, seen.score, seen.label, seen.text) == ("sign", 0.9, "stop", "STOP")
    np.testing.assert_allclose(seen.place, (place[0], place[1], place[2] + 0.395), rtol=0.02, atol=0.1)
    along, across = np.linalg.eigvalsh(seen.covariance)[[2, 0]] ** 0.5
    assert along == pytest.approx(0.25 * np.linalg.norm(seen.place - (0, 0, CAMERA.above)), rel=0.01)
    assert across < 0.02 * along * 10


@pytest.mark.parametrize("kind", ["vehicle", "cone", "arrow"])
@pytest.mark.parametrize("place", [(1.5, 8.0, 0.0), (-2.0, 22.0, 0.0)])
def test_measure__of_what_stands_on_the_road_is_at_its_foot(kind: str, place: tuple[float, float, float]) -> None:
    seen = measure(CAMERA, kind, box_of(place, 0.6, 0.8), 0.9)
    assert seen is not None
    np.testing.assert_allclose(seen.place, place, atol=0.01)  # the upper corners widen the box a little
    # Further away a pixel is more metres.
    assert seen.covariance[1, 1] > seen.covariance[0, 0]


def test_measure__refuses_what_it_cannot_place() -> None:
    assert measure(CAMERA, "sign", (600, 100, 640, 140), 0.9) is None  # cut off by the edge of the frame
    assert measure(CAMERA, "vehicle", (300, 100, 340, 150), 0.9) is None  # in the sky
    assert measure(CAMERA, "crosswalk", (0, 250, 640, 300), 0.9) is not None


def test_visible__is_what_lies_in_the_picture() -> None:
    places = np.array([(0.0, 20.0, 1.0), (0.0, -20.0, 1.0), (30.0, 20.0, 1.0), (0.0, 90.0, 1.0)])
    assert visible(CAMERA, places).tolist() == [True, False, False, False]


def found_of(truth, rng: np.random.Generator, missed: float, noise: float) -> Found:
    """What good networks would find: the truth, with noise and gaps."""
    objects = [obj for obj in truth.objects if obj.clear and rng.random() >= missed]
    boxes = np.array([obj.box for obj in objects], float).reshape(-1, 4)
    boxes += rng.normal(0, noise, boxes.shape)
    rows = [row for row in range(200, 360, 4) if truth.drivable[row].any()]
    left = [(float(np.flatnonzero(truth.drivable[row])[0]), row + 0.5) for row in rows]
    right = [(float(np.flatnonzero(truth.drivable[row])[-1] + 1), row + 0.5) for row in rows]
    return Found(
        results.Detections.from_arrays(boxes, [0.8] * len(objects), [obj.class_id for obj in objects], names=OBJECTS),
        {index: (obj.name, 0.9) for index, obj in enumerate(objects) if obj.kind == "sign"},
        {index: (obj.text, 0.9) for index, obj in enumerate(objects) if obj.text},
        results.Polylines.from_points(
            [lane.points for lane in truth.lanes],
            [0.9] * len(truth.lanes),
            [lane.class_id for lane in truth.lanes],
            names=LANES,
        ),
        results.Polygons.from_points([np.array(left[::-1] + right)], [1.0], [1], names=("", "drivable")),
        (truth.surface, 0.9),
    )


@pytest.fixture(scope="module")
def drive() -> tuple[list[dict], list[FrameTruth], list[list]]:
    """A second and a half of seed 7 at twice the usual speed."""
    rng, observer = np.random.default_rng(1), Observer(CAMERA)
    features, truths, elements = [], [], []
    for _, truth in clip(7, 36, speed=28.0):
        pose = Pose(*truth.pose)
        elements.append(observer.update(found_of(truth, rng, missed=0.1, noise=0.7), pose, truth.time_s))
        features += observer.features()
        objects = tuple(
            TruthObject(each.id, each.kind, each.box, each.place, each.clear, each.name, each.text)
            for each in truth.objects
        )
        truths.append(FrameTruth(truth.time_s, pose, objects, truth.surface))
    return features + observer.features(everything=True), truths, elements


def test_observer__finds_what_stands_there_once(drive) -> None:
    features, truths, _ = drive
    found = score(features, truths, ["vehicle"])
    assert found.objects >= 5
    assert found.found == found.objects
    assert found.named == found.names >= 1
    assert found.read == found.texts >= 1
    assert found.false <= 2
    assert found.off_m < 0.6


def test_observer__features_are_geojson_in_metres(drive) -> None:
    features, truths, _ = drive
    assert {feature["geometry"]["type"] for feature in features} == {"Point", "LineString", "Polygon"}
    for feature in features:
        assert feature["type"] == "Feature"
        properties = feature["properties"]
        assert properties["reference"].startswith("local: metres")
        assert 0 <= properties["first_seen_s"] <= properties["captured_s"] <= truths[-1].time_s
        assert 0 < properties["confidence"] <= 1
        assert 1 <= properties["frames_seen"] <= len(truths)
    (area,) = (feature for feature in features if feature["geometry"]["type"] == "Polygon")
    assert area["properties"]["label"] == "wet"
    (ring,) = area["geometry"]["coordinates"]
    assert ring[0] == ring[-1]
    vehicles = [feature for feature in features if feature["properties"]["element"] == "vehicle"]
    assert vehicles
    assert all(len(each["properties"]["velocity_mps"]) == 2 for each in vehicles)


def test_observer__lines_are_the_lines_of_the_road(drive) -> None:
    features, _, _ = drive
    lines = [feature for feature in features if feature["geometry"]["type"] == "LineString"]
    _, truth = next(clip(7, 1))
    assert sorted(line["properties"]["label"] for line in lines) == sorted(lane.kind for lane in truth.lanes)
    for line in lines:
        first = np.array(line["geometry"]["coordinates"][:12])
        nearest = min(
            float(np.abs(np.interp(first[:, 1], lane.ground[:, 1], lane.ground[:, 0]) - first[:, 0]).mean())
            for lane in truth.lanes
            if lane.kind == line["properties"]["label"]
        )
        assert nearest < 0.15


def test_observer__elements_say_pixels_and_metres(drive) -> None:
    _, _, elements = drive
    last = elements[-1]
    assert {"lane", "area"} < {element.kind for element in last}
    for element in last:
        entry = element.to_json()
        assert {"element", "confidence", "box"} <= entry.keys()
        assert np.isfinite(entry["box"]).all()
        if element.kind == "lane":
            assert len(entry["polyline"]) == len(entry["metres"]) == len(element.points)
        if element.observation:
            assert len(entry["metres"]) == 3
            assert entry["observation"] == element.observation


def test_observer__a_frame_without_anything_is_fine() -> None:
    observer = Observer(CAMERA)
    nothing = Found(
        results.Detections.from_arrays([], []),
        {},
        {},
        results.Polylines.from_points([]),
        results.Polygons.from_points([]),
    )
    assert observer.update(nothing, Pose(), 0.0) == []
    assert observer.features(everything=True) == []


def test_score__counts_what_is_not_there_and_what_is_wrong() -> None:
    stop = TruthObject(1, "sign", (0, 0, 9, 9), (3.0, 20.0), True, "stop", "STOP")
    truths = [FrameTruth(0.0, Pose(), (stop,), "dry")] * 10

    def point(x: float, y: float, label: str) -> dict:
        return {
            "geometry": {"type": "Point", "coordinates": [x, y, 2.0]},
            "properties": {"element": "sign", "label": label, "text": "STOP"},
        }

    right = score([point(3.3, 20.4, "stop")], truths, [])
    assert right[:7] == (1, 1, 1, 1, 1, 1, 0)
    assert right.off_m == pytest.approx(0.5)
    wrong = score([point(3.0, 20.0, "danger"), point(-9.0, 30.0, "stop")], truths, [])
    assert wrong[:7] == (1, 1, 0, 1, 1, 1, 1)
    nothing = score([], truths, [])
    assert nothing[:7] == (1, 0, 0, 0, 0, 0, 0)
    assert math.isnan(nothing.off_m)
