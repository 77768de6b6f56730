"""Result types: sequences of rows, columns, JSON, adapters."""

import copy
import io
import json
import math
import pickle

import numpy as np
import pytest
from PIL import Image

from mnnlite import _core, decoders, results
from mnnlite.errors import ArgumentError
from mnnlite.results import rows

NAMES = ("car", "person", "sign")


def three():
    return results.Detections.from_arrays(
        [[1, 2, 30.5, 40], [5, 6, 7, 8], [0, 0, 10, 10]], [0.9, 0.8, 0.7], [0, 2, 5], names=NAMES, frame_size=(64, 48)
    )


def test_the_row_of_python_is_the_row_of_the_header():
    assert rows.ROW_SIZE == _core.ROW_SIZE == rows.ALL.itemsize
    for kind in results.KINDS.values():
        assert kind._DTYPE.itemsize == _core.ROW_SIZE


def test_detections_have_their_columns():
    found = three()
    assert found.boxes_xyxy.shape == (3, 4)
    assert found.boxes_xyxy.dtype == np.float32
    np.testing.assert_allclose(found.boxes_xywh[0], [1, 2, 29.5, 38])
    assert found.labels == ["car", "sign", "5"]
    assert found.points.shape == (3, 0, 2)
    assert found.rows.dtype.names == ("item", "class_id", "score", "box")
    assert np.asarray(found)["score"].tolist() == pytest.approx([0.9, 0.8, 0.7])
    assert (found.found, found.truncated) == (3, False)
    assert repr(found) == "<Detections: 3 (1 car, 1 sign, 1 5)>"


def test_rows_are_named_tuples():
    row = three()[1]
    assert row.label == "sign"
    assert row.box == (5, 6, 7, 8)
    assert three()[-1].class_id == 5
    assert [row.label for row in three()] == ["car", "sign", "5"]
    with pytest.raises(IndexError):
        three()[3]


def test_filtering_gives_the_same_type():
    found = three()
    for index in (found.scores > 0.75, [True, True, False], slice(0, 2), [0, 1], np.array([0, 1])):
        part = found[index]
        assert type(part) is results.Detections
        assert part.labels == ["car", "sign"]
        assert part.names == NAMES
        assert part.frame_size == (64, 48)
    assert len(found[[]]) == 0
    assert not found[found.scores > 2]
    assert found[found.scores > 2].to_json() == []
    with pytest.raises(ArgumentError):
        found[np.zeros((2, 2), int)]


def test_an_empty_result_has_all_columns():
    found = results.Detections.from_arrays([], [])
    assert len(found) == 0
    assert not found
    assert found.boxes_xyxy.shape == (0, 4)
    assert found.labels == []
    assert list(found) == []


def test_detections_as_json_are_clean():
    entries = json.loads(json.dumps(three().to_json(), allow_nan=False))
    assert entries[0] == {"label": "car", "score": 0.9, "box": [1.0, 2.0, 30.5, 40.0]}
    crops = results.Detections.from_arrays([[0, 0, 1, 1]] * 2, [0.5, 0.4], [0, 0], items=[0, 3])
    assert [entry["item"] for entry in crops.to_json()] == [0, 3]


def test_detections_with_points():
    found = results.Detections.from_arrays([[0, 0, 9, 9]] * 2, [0.5, 0.4], points=np.arange(16).reshape(2, 4, 2))
    np.testing.assert_array_equal(found.points, np.arange(16).reshape(2, 4, 2))
    np.testing.assert_array_equal(found[1:].points, np.arange(8, 16).reshape(1, 4, 2))
    assert found.to_json()[1]["points"][0] == [8.0, 9.0]


def test_coco_dictionaries():
    entry = three().to_coco(image_id=7)[0]
    assert entry == {"image_id": 7, "category_id": 0, "bbox": [1.0, 2.0, 29.5, 38.0], "score": 0.9}


def test_polylines_and_polygons():
    lines = results.Polylines.from_points([[(0, 1), (2, 3), (4.5, 6)], [(1, 1), (2, 2)]], [0.5, 1], names=("lane",))
    assert [len(points) for points in lines.points] == [3, 2]
    np.testing.assert_array_equal(lines.boxes_xyxy[0], [0, 1, 4.5, 6])
    assert lines[1:].points[0].tolist() == [[1, 1], [2, 2]]
    assert lines.to_json()[0] == {"label": "lane", "score": 0.5, "points": [[0, 1], [2, 3], [4.5, 6]]}
    feature = lines.to_geojson()["features"][0]
    assert feature["geometry"] == {"type": "LineString", "coordinates": [[0, 1], [2, 3], [4.5, 6]]}
    areas = results.Polygons.from_points([[(0, 0), (9, 0), (9, 9)]])
    ring = areas.to_geojson()["features"][0]["geometry"]["coordinates"][0]
    assert ring[0] == ring[-1]
    assert len(ring) == 4


def test_masks_over_the_frame():
    logits = np.zeros((1, 3, 4, 6), np.float32)
    logits[0, 1, :2] = 5
    logits[0, 2, 2:, 3:] = 5
    found = decoders.Segmentation(classes=("road", "sky", "car")).decode({"y": logits}, (60, 40))
    assert found.labels == ["road", "sky", "car"]
    spread = found.over_frame()
    assert spread.shape == (40, 60)
    assert (spread[:20] == 1).all()
    assert (spread[20:, 30:] == 2).all()
    assert found[found.class_ids == 2].masks.shape == (1, 4, 6)
    assert found[1].mask.sum() == 12
    assert set(found.to_json()[2]) == {"label", "score", "box", "area"}
    with pytest.raises(ArgumentError, match="item"):
        found.class_map(4)


def test_no_result_writes_numbers_that_json_cannot():
    found = decoders.Classification().decode({"y": np.array([[1e30, -1e30, 0]], np.float32)}, (4, 4))
    for entry in json.loads(json.dumps(found.to_json(), allow_nan=False)):
        assert math.isfinite(entry["score"])


def test_results_are_the_callers_own():
    spec = decoders.Classification()
    first = spec.decode({"y": np.array([[1.0, 2.0]])}, (4, 4))
    before = first.scores.copy()
    spec.decode({"y": np.array([[9.0, -9.0]])}, (4, 4))
    np.testing.assert_array_equal(first.scores, before)


def test_borrowed_results_are_read_only_and_keep_their_memory():
    native = _core.ArrayDecoder("classification", {})
    item = decoders.batch_item(None, (4, 4))
    logits = np.array([[1.0, 2.0, 3.0]], np.float32)
    borrowed = results.from_native(native.decode([("y", logits, 0, None, 0.0, 0)], [item], True))
    assert not borrowed.scores.flags.writeable
    before = borrowed.scores.copy()
    native.decode([("y", -logits, 0, None, 0.0, 0)], [item], True)
    del native
    np.testing.assert_array_equal(borrowed.scores, before)


def random_heads(rng):
    """For each kind of rows a decoder, and a function that makes outputs for it."""
    scores = decoders.Ctc(keys=("a", "b", "c"), keep_empty=True)
    return {
        "Classes": (decoders.Classification(), lambda: rng.standard_normal((1, 9), np.float32)),
        "Detections": (decoders.Yolo(score=0.6), lambda: rng.random((1, 9, 300), np.float32)),
        "Masks": (decoders.Segmentation(size="frame"), lambda: rng.standard_normal((1, 3, 12, 16), np.float32)),
        "Polygons": (decoders.Segmentation(output="polygons"), lambda: rng.standard_normal((1, 3, 12, 16), np.float32)),
        "Polylines": (
            decoders.Lanes(min_pixels=1, min_length=0),
            lambda: rng.standard_normal((1, 2, 12, 16), np.float32),
        ),
        "Keypoints": (decoders.Keypoints(), lambda: rng.random((1, 5, 12, 16), np.float32)),
        "Texts": (scores, lambda: rng.random((1, 20, 4), np.float32)),
        "Instances": (
            decoders.Yolo(score=0.6, masks=True),
            lambda: {"y": rng.random((1, 13, 300), np.float32), "p": rng.standard_normal((1, 4, 12, 16), np.float32)},
        ),
        "Maps": (decoders.Maps(), lambda: rng.standard_normal((1, 1, 12, 16), np.float32)),
        "Measurements": (decoders.Regression(), lambda: rng.standard_normal((1, 3), np.float32)),
        "Embeddings": (decoders.Embedding(), lambda: rng.standard_normal((1, 32), np.float32)),
    }


@pytest.mark.parametrize("kind", [kind.__name__ for kind in results.KINDS.values()])
def test_out_is_used_again_and_becomes_the_result(kind):
    rng = np.random.default_rng(3)
    spec, make = random_heads(rng)[kind]
    kept = None
    addresses = set()
    for run in range(6):
        made = make()
        head = made if isinstance(made, dict) else {"y": made}
        fresh = spec.decode(head, (64, 48))
        assert type(fresh).__name__ == kind
        again = spec.decode(head, (64, 48), out=kept)
        assert run == 0 or again is kept
        kept = again
        assert len(kept) == len(fresh)
        assert kept.to_json() == fresh.to_json()
        assert (kept.found, kept.truncated, kept.names, kept.frame_size) == (
            fresh.found,
            fresh.truncated,
            fresh.names,
            fresh.frame_size,
        )
        if run > 0 and len(kept):
            addresses.add(kept._rows.__array_interface__["data"][0])
    assert len(addresses) == 1


def test_out_that_is_too_small_is_replaced_and_what_was_taken_stays():
    rng = np.random.default_rng(4)
    spec = decoders.Segmentation(size="frame")
    head = {"y": rng.standard_normal((1, 3, 12, 16), np.float32)}
    kept = spec.decode(head, (64, 48))
    kept = spec.decode(head, (64, 48), out=kept)
    before, saved = kept.class_map(), kept.class_map().copy()
    larger = {"y": rng.standard_normal((1, 3, 12, 16), np.float32)}
    assert spec.decode(larger, (640, 480), out=kept) is kept
    assert kept.class_map().shape == (480, 640)
    np.testing.assert_array_equal(before, saved)
    np.testing.assert_array_equal(kept.class_map(), spec.decode(larger, (640, 480)).class_map())
    # Results of another decoder of the kind, made for fewer rows.
    small, large = decoders.Yolo(score=0.1, iou=1, max_detections=2), decoders.Yolo(score=0.1, iou=1)
    head = {"y": rng.random((1, 5, 40), np.float32)}
    kept = small.decode(head, (64, 48), out=results.Detections.from_arrays(np.zeros((0, 4)), []))
    assert (len(kept), kept.truncated) == (2, True)
    assert len(large.decode(head, (64, 48), out=kept)) == large.decode(head, (64, 48)).found == kept.found > 2


def test_out_of_another_kind_is_refused():
    head = {"y": np.array([[1.0, 2.0]], np.float32)}
    with pytest.raises(ArgumentError, match="out: got a Detections, wanted Classes"):
        decoders.Classification().decode(head, (4, 4), out=three())
    with pytest.raises(ArgumentError, match="out: got a ndarray, wanted results"):
        decoders.Classification().decode(head, (4, 4), out=np.zeros(3))


def test_a_copy_of_out_has_its_own_memory():
    spec = decoders.Classification()
    kept = spec.decode({"y": np.array([[1.0, 2.0]], np.float32)}, (4, 4), out=results.Classes(np.zeros(0, np.uint8)))
    for copied in (pickle.loads(pickle.dumps(kept)), copy.deepcopy(kept)):
        before = copied.to_json()
        assert before == kept.to_json()
        spec.decode({"y": np.array([[5.0, -2.0]], np.float32)}, (4, 4), out=kept)
        assert copied.to_json() == before
        spec.decode({"y": np.array([[1.0, 2.0]], np.float32)}, (4, 4), out=copied)
        assert kept.to_json() != copied.to_json()
        spec.decode({"y": np.array([[1.0, 2.0]], np.float32)}, (4, 4), out=kept)


# ---- for other libraries


def one_of_each():
    """A result of every kind, from its decoder, and the empty ones beside."""
    rng = np.random.default_rng(4)
    names = ("a", "b", "c")
    size = (64, 48)
    box = np.array([[4, 4, 20, 30], [10, 8, 50, 40]], np.float32)
    heat = np.zeros((1, 4, 12, 16), np.float32)
    heat[0, :, 5, 7] = 1
    mask = np.zeros((1, 2, 12, 16), np.float32)
    mask[0, 1, 3:8, 4:12] = 1
    text = np.zeros((1, 6, 4), np.float32)
    text[0, :, 0] = 0.1
    text[0, [0, 2], [1, 2]] = 0.9
    return {
        "classes": decoders.Classification(classes=names).decode({"o": rng.random((1, 3), np.float32)}, size),
        "detections": results.Detections.from_arrays(box, [0.9, 0.5], [0, 2], names=names, frame_size=size),
        "masks": decoders.Segmentation(classes=names[:2]).decode({"o": mask}, size),
        "polygons": decoders.Segmentation(classes=names[:2], output="polygons").decode({"o": mask}, size),
        "polylines": results.Polylines.from_points(
            [[(0, 1), (2, 3), (4.5, 6)]], [0.5], names=("lane",), frame_size=size
        ),
        "keypoints": decoders.Keypoints().decode({"o": heat}, size),
        "texts": decoders.Ctc(keys=("x", "y", "z")).decode({"o": text}, size),
        "instances": decoders.Yolo(masks=True, classes=names, channels="first").decode(
            {"y": np.array([[[32], [24], [40], [30], [0.1], [0.9], [0.2], [1]]], np.float32), "p": mask[:, 1:] - 0.5},
            size,
        ),
        "maps": decoders.Maps(unit="m").decode({"o": mask[:, :1] + 1}, size),
        "measurements": decoders.Regression(quantities=("age",)).decode({"o": np.array([[31.5]], np.float32)}, size),
        "embeddings": decoders.Embedding().decode({"o": rng.random((1, 8), np.float32)}, size),
    }


@pytest.mark.parametrize("kind", list(one_of_each()))
def test_coco__every_kind(kind):
    found = one_of_each()[kind]
    entries = json.loads(json.dumps(found.to_coco(7)))
    assert len(entries) == len(found) > 0
    assert found[:0].to_coco() == []
    for entry, row, score in zip(entries, found, found.scores, strict=True):
        assert (entry["image_id"], entry["score"]) == (7, pytest.approx(score, abs=1e-5))
        if kind == "keypoints":
            assert entry["keypoints"] == pytest.approx(row.points.ravel(), abs=1e-3)
            assert entry["num_keypoints"] == 4
        if kind == "instances":
            assert sum(entry["segmentation"]["counts"][1::2]) == row.area > 0
        if kind == "measurements":
            assert entry["values"] == [31.5]
        if kind == "polygons":
            assert entry["segmentation"] == [pytest.approx(row.points.ravel(), abs=1e-3)]


@pytest.mark.parametrize("kind", list(one_of_each()))
def test_arrow__every_kind(kind):
    import pyarrow as pa  # in the test group: a missing one is a failure

    found = one_of_each()[kind]
    table, empty = found.to_arrow(), found[:0].to_arrow()
    assert table.schema.equals(empty.schema, check_metadata=True)  # also where nothing was found
    assert (table.num_rows, empty.num_rows) == (len(found), 0)
    assert table.column("label").to_pylist() == found.labels
    assert table.column("score").to_pylist() == found.scores.tolist()
    if hasattr(found, "boxes_xyxy"):
        assert table.column("box").to_pylist() == found.boxes_xyxy.tolist()
        assert table.schema.field("box").type == pa.list_(pa.float32(), 4)
    if kind == "keypoints":
        assert table.column("keypoints").to_pylist() == found.points.tolist()
    if kind == "texts":
        assert table.column("text").to_pylist() == found.text
    if kind == "embeddings":
        assert table.column("embedding").to_pylist() == found.vectors.tolist()
    assert table.schema.metadata[b"mnnlite.frame_size"] == b"64x48"


@pytest.mark.parametrize("kind", list(one_of_each()))
def test_supervision__every_kind_that_it_has_room_for(kind):
    sv = pytest.importorskip(
        "supervision", reason="supervision brings an OpenCV of its own and is not in the test group"
    )
    found = one_of_each()[kind]
    if kind in ("embeddings", "measurements"):
        with pytest.raises(ArgumentError, match="no place for embeddings"):
            found.to_supervision()
        return
    made = found.to_supervision()
    assert len(made) == len(found)
    np.testing.assert_array_equal(made.class_id, found.class_ids)
    if kind == "keypoints":
        np.testing.assert_array_equal(made.xy, found.points[..., :2])
    elif kind != "classes":
        assert isinstance(made, sv.Detections)
        np.testing.assert_array_equal(made.xyxy, found.boxes_xyxy)
    if kind == "masks":
        assert made.mask.shape == (1, 48, 64)
        assert made.mask.sum() == found.areas[0]


@pytest.mark.parametrize("kind", list(one_of_each()))
def test_notebook__a_picture_of_the_frames_size(kind):
    found = one_of_each()[kind]
    shown = np.asarray(Image.open(io.BytesIO(found._repr_png_())))
    assert shown.shape == (48, 64, 3)
    canvas = np.full((48, 64, 3), 40, np.uint8)
    np.testing.assert_array_equal(shown, found.draw(canvas))
    found.frame_size = None
    assert found._repr_png_() is None
