"""Vectors, text, key points, embeddings: native against their definitions, and known shapes back."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mnnlite
from helpers import networks
from helpers.decoding import NET, QUAD, Letterbox, items_for
from helpers.shapes import FRAME, blobs
from mnnlite import decoders, results
from mnnlite.errors import ArgumentError, DecoderError
from mnnlite.reference.decode import ctc, dbtext, geometry, keypoints, segmentation

STRETCH = Letterbox(NET, "stretch")
IMAGES = [None, Letterbox((96, 64)), QUAD]


# ---- outlines


def same_outlines(got: results.Polygons, want):
    np.testing.assert_array_equal(got.class_ids, [row.class_id for row in want])
    np.testing.assert_array_equal(got.parents, [row.parent for row in want])
    np.testing.assert_allclose(got.areas, [row.area for row in want], rtol=1e-6)
    assert [len(points) for points in got.points] == [len(row.points) for row in want]
    for points, row in zip(got.points, want, strict=True):
        np.testing.assert_allclose(points, row.points, atol=1e-4)


@pytest.mark.parametrize("image", IMAGES)
@pytest.mark.parametrize("options", [{}, {"tolerance": 0.0}, {"tolerance": 8.0, "min_area": 200.0}, {"holes": False}])
def test_polygons_equal_their_definition(image, options):
    maps = np.stack([blobs((31, 47), seed) for seed in range(2)])
    got = decoders.Segmentation(output="polygons", **options).decode({"y": maps}, FRAME, image)
    want = segmentation.polygons(maps, items_for(image, FRAME, 2), **options)
    assert isinstance(got, results.Polygons)
    assert len(want) > 20
    same_outlines(got, want)


def fill(points, shape):
    """Pixels whose centre lies inside a ring, by crossings."""
    y, x = np.mgrid[0 : shape[0], 0 : shape[1]] + 0.5
    inside = np.zeros(shape, bool)
    for (x1, y1), (x2, y2) in zip(points, np.roll(points, -1, axis=0), strict=True):
        if y1 != y2:
            crosses = (y1 <= y) != (y2 <= y)
            inside ^= crosses & (x < x1 + (y - y1) / (y2 - y1) * (x2 - x1))
    return inside


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 20), st.integers(1, 20), st.integers(0, 2**32 - 1), st.sampled_from([1, 2, 3]))
def test_outlines_give_back_the_map(height, width, seed, block):
    """Filled with even-odd crossings, all rings of a class are its pixels; outer rings and holes add up to its area."""
    classes = blobs((height, width), seed, classes=3, block=block)
    found = decoders.Segmentation(output="polygons", tolerance=0.0, max_polygons=1000).decode(
        {"y": classes[None]}, (width, height)
    )
    for c in range(3):
        inside = np.zeros(classes.shape, bool)
        for row in np.flatnonzero(found.class_ids == c):
            inside ^= fill(found.points[row], classes.shape)
        np.testing.assert_array_equal(inside, classes == c)
        mine = found.class_ids == c
        area = found.areas[mine & (found.parents < 0)].sum() - found.areas[mine & (found.parents >= 0)].sum()
        assert area == (classes == c).sum()
    for row in np.flatnonzero(found.parents >= 0):
        assert found.parents[found.parents[row]] == -1
        assert found.class_ids[found.parents[row]] == found.class_ids[row]


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**32 - 1), st.floats(0.0, 5.0))
def test_simplified_outlines_keep_the_stated_error(seed, tolerance):
    classes = blobs((24, 30), seed, classes=2)
    exact = decoders.Segmentation(output="polygons", tolerance=0.0).decode({"y": classes[None]}, (30, 24))
    rough = decoders.Segmentation(output="polygons", tolerance=tolerance).decode({"y": classes[None]}, (30, 24))
    assert len(exact) == len(rough)
    for points, kept in zip(exact.points, rough.points, strict=True):
        assert len(kept) <= len(points)
        ends = zip(kept, np.roll(kept, -1, axis=0), strict=True)
        distance = np.min(
            [geometry._distance(points.astype(float), a.astype(float), b.astype(float)) for a, b in ends], axis=0
        )
        assert distance.max() <= tolerance + 1e-4


def test_more_polygons_than_fit_keep_the_largest():
    classes = np.zeros((40, 80), np.uint8)
    for k in range(8):
        classes[2 : 4 + 4 * k, 10 * k : 10 * k + 8] = 1
    found = decoders.Segmentation(output="polygons", background=0, max_polygons=3).decode(
        {"y": classes[None]}, (80, 40)
    )
    assert found.truncated
    assert found.found == 8
    np.testing.assert_array_equal(found.areas, [8 * 22, 8 * 26, 8 * 30])
    with pytest.raises(ArgumentError, match="polygons"):
        decoders.Segmentation(max_polygons=3)


def test_filtered_polygons_keep_their_holes():
    classes = np.zeros((20, 20), np.uint8)
    classes[2:5, 2:5] = 2
    classes[8:18, 8:18] = 1
    classes[10:14, 10:14] = 0
    found = decoders.Segmentation(output="polygons", background=0).decode({"y": classes[None]}, (20, 20))
    assert found.parents.tolist() == [-1, -1, 1]
    kept = found[found.class_ids == 1]
    assert kept.parents.tolist() == [-1, 0]
    feature = kept.to_geojson()["features"][0]
    assert len(feature["geometry"]["coordinates"]) == 2


# ---- text areas


def test_db_gives_back_a_known_rectangle():
    """A text area shrunk by D = A (1 - r^2) / L in training; here its inverse: unclip / perimeter as in section 3.5."""
    angle = np.deg2rad(20)
    along, across = np.array([np.cos(angle), np.sin(angle)]), np.array([-np.sin(angle), np.cos(angle)])
    center, half = np.array([150.0, 100.0]), np.array([80.0, 15.0])
    y, x = np.mgrid[0:200, 0:320] + 0.5
    u = (x - center[0]) * along[0] + (y - center[1]) * along[1]
    v = (x - center[0]) * across[0] + (y - center[1]) * across[1]
    inside = (np.abs(u) <= half[0]) & (np.abs(v) <= half[1])
    found = decoders.DbText(unclip=1.6).decode(
        {"p": inside[None, None].astype(np.float32) * 0.9}, (640, 400), Letterbox((320, 200))
    )
    grow = (160 * 30) * 1.6 / (2 * (160 + 30))
    sides = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)]) * (half + grow)
    expected = (center + sides[:, :1] * along + sides[:, 1:] * across) * 2
    assert len(found) == 1
    np.testing.assert_allclose(found.points[0], expected, atol=6)  # a staircase of pixels is a little larger
    assert found.scores[0] > 0.8


@pytest.mark.parametrize("image", IMAGES)
def test_db_equals_its_definition(image):
    rng = np.random.default_rng(1)
    maps = np.zeros((2, 1, 90, 140), np.float32)
    y, x = np.mgrid[0:90, 0:140] + 0.5
    for _ in range(14):
        angle, cx, cy = rng.uniform(-3, 3), rng.uniform(0, 140), rng.uniform(0, 90)
        u, v = (x - cx) * np.cos(angle) + (y - cy) * np.sin(angle), (y - cy) * np.cos(angle) - (x - cx) * np.sin(angle)
        maps[rng.integers(2), 0][(np.abs(u) < rng.uniform(4, 15)) & (np.abs(v) < rng.uniform(2, 5))] = rng.uniform(
            0.35, 1
        )
    got = decoders.DbText(score=0.2).decode({"p": maps}, FRAME, image)
    want = dbtext.decode(maps, items_for(image, FRAME, 2), score=0.2)
    assert len(want) > 5
    assert len(got) == len(want)
    for points, row in zip(got.points, want, strict=True):
        # A square has two rectangles of the same area: the corners may be those of the other, turned.
        np.testing.assert_allclose(points, row.corners, atol=2e-3)
    np.testing.assert_allclose(got.scores, [row.score for row in want], atol=1e-5)


# ---- text


def test_ctc_gives_back_what_was_encoded():
    keys = ("a", "b", "é", "路")
    text = [1, 1, 0, 1, 2, 2, 0, 0, 4, 3, 3]
    steps = np.full((1, len(text), 6), 0.01, np.float32)
    steps[0, np.arange(len(text)), text] = np.linspace(0.5, 0.9, len(text))
    steps[0, 6, 5] = 0.95  # the space
    found = decoders.Ctc(keys=keys, space=True).decode({"y": steps}, (64, 32), Letterbox((128, 64)))
    assert found.text == ["aab 路é"]
    np.testing.assert_allclose(found.confidences[0], steps[0].max(axis=1)[[0, 3, 4, 6, 8, 9]])
    np.testing.assert_allclose(found.points[0], [[0, 0], [64, 0], [64, 32], [0, 32]])
    assert found.to_json()[0]["text"] == "aab 路é"
    turned = np.array([[0, -1, 50], [1, 0, 10], [0, 0, 1]])  # a crop turned by 90 degrees
    placed = decoders.BatchItem(tuple(turned.ravel().tolist()), (30, 20), (64, 64), 3)
    found = decoders.Ctc(keys=keys, space=True).decode({"y": steps}, (64, 64), items=[placed])
    np.testing.assert_allclose(found.points[0], [[50, 10], [50, 40], [30, 40], [30, 10]])
    assert found.items.tolist() == [3]


@pytest.mark.parametrize("activation", ["none", "softmax"])
@pytest.mark.parametrize("blank", ["first", "last"])
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_ctc_equals_its_definition(activation, blank, dtype):
    logits = np.random.default_rng(3).normal(size=(3, 40, 37)).astype(dtype)
    if activation == "none":
        logits = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
    keys = tuple(chr(0x4E00 + k) for k in range(36))
    got = decoders.Ctc(keys=keys, activation=activation, blank=blank, keep_empty=True).decode({"y": logits}, (9, 9))
    want = ctc.decode(logits.astype(np.float32), keys, activation=activation, blank=blank)
    assert got.text == [row.text for row in want]
    np.testing.assert_array_equal(got.scores, [row.score for row in want])
    for confidences, row in zip(got.confidences, want, strict=True):
        np.testing.assert_array_equal(confidences, row.confidences)


def test_ctc_without_text_and_with_wrong_keys():
    blank = np.zeros((2, 5, 4), np.float32)
    blank[:, :, 0] = 1
    spec = decoders.Ctc(keys=("a", "b", "c"))
    assert len(spec.decode({"y": blank}, (9, 9))) == 0
    kept = decoders.Ctc(keys=("a", "b", "c"), keep_empty=True).decode({"y": blank}, (9, 9))
    assert kept.text == ["", ""]
    with pytest.raises(DecoderError, match="4 symbols with the blank, but there are 2 keys"):
        decoders.Ctc(keys=("a", "b")).decode({"y": blank}, (9, 9))
    blank[1, 2, 3] = np.nan
    with pytest.raises(DecoderError, match='"y"'):
        spec.decode({"y": blank}, (9, 9))


def test_ctc_with_time_first():
    steps = np.zeros((6, 1, 3), np.float32)
    steps[[0, 1, 2, 3, 4, 5], 0, [1, 0, 2, 2, 0, 1]] = 0.9
    assert decoders.Ctc(keys=("x", "y"), first_axis="time").decode(
        {"y": steps}, (9, 9), items=[decoders.batch_item(None, (9, 9))]
    ).text == ["xyx"]


# ---- embeddings


def test_embeddings_have_length_one():
    vectors = np.random.default_rng(0).normal(size=(3, 128, 1, 1)).astype(np.float32)
    vectors[1] = 0
    found = decoders.Embedding().decode({"y": vectors}, (9, 9))
    np.testing.assert_allclose(np.linalg.norm(found.vectors, axis=1), [1, 0, 1], atol=1e-6)
    np.testing.assert_allclose(found.vectors[0] * np.linalg.norm(vectors[0]), vectors[0].ravel(), atol=1e-5)
    raw = decoders.Embedding(normalize=False).decode({"y": vectors}, (9, 9))
    np.testing.assert_array_equal(raw.vectors, vectors.reshape(3, 128))


# ---- key points


def gaussians(centers, shape, sigma=2.0):
    y, x = np.mgrid[0 : shape[0], 0 : shape[1]] + 0.5
    return np.exp(-((x - centers[:, 0, None, None]) ** 2 + (y - centers[:, 1, None, None]) ** 2) / (2 * sigma**2))


def test_heat_maps_give_back_points_below_a_pixel():
    centers = np.array([[10.3, 20.7], [30.1, 5.6], [40.45, 40.55]])
    heat = gaussians(centers, (48, 64))[None].astype(np.float32)
    found = decoders.Keypoints().decode({"y": heat}, (256, 192))
    np.testing.assert_allclose(found.points[0, :, :2], centers * 4, atol=2e-3)
    rough = decoders.Keypoints(subpixel="none").decode({"y": heat}, (256, 192))
    np.testing.assert_allclose(rough.points[0, :, :2], (np.floor(centers) + 0.5) * 4)


@pytest.mark.parametrize("subpixel", ["parabola", "quarter", "none"])
@pytest.mark.parametrize("image", IMAGES)
def test_key_points_equal_their_definition(subpixel, image):
    heat = np.random.default_rng(4).normal(size=(2, 5, 12, 16)).astype(np.float32)
    got = decoders.Keypoints(subpixel=subpixel, score=-9.0).decode({"y": heat}, FRAME, image)
    want = keypoints.decode(heat, items_for(image, FRAME, 2), subpixel=subpixel)
    np.testing.assert_allclose(got.points, want, rtol=1e-6)
    last = decoders.Keypoints(subpixel=subpixel, layout="NHWC", score=-9.0).decode(
        {"y": heat.transpose(0, 2, 3, 1)}, FRAME, image
    )
    np.testing.assert_array_equal(last.points, got.points)


@pytest.mark.parametrize("points", [1, 2, 4, 6, 8, 13, 16, 32, 33, 39, 71])
def test_heat_maps_side_by_side_equal_their_definition(points):
    rng = np.random.default_rng(points)
    heat = rng.integers(0, 30, (2, points, 7, 9)).astype(np.float32)  # some are equal: the first one counts
    spec = decoders.Keypoints(layout="NHWC", subpixel="quarter")
    got = spec.decode({"y": np.ascontiguousarray(heat.transpose(0, 2, 3, 1))}, FRAME, IMAGES[0])
    want = keypoints.decode(heat, items_for(IMAGES[0], FRAME, 2), subpixel="quarter")
    np.testing.assert_allclose(got.points, want, rtol=1e-6)


def test_points_beside_cells_give_back_what_was_encoded():
    """As PoseNet is trained: the cell is the nearest one, the offset what is left, in pixels, y first."""
    rng = np.random.default_rng(11)
    net, cells, step = (257, 193), (17, 13), 16
    points = rng.uniform(0, 1, (5, 2)) * (np.array(net) - 1)
    heat, beside = rng.normal(-6, 0.5, (1, 5, *cells[::-1])), rng.normal(size=(1, 10, *cells[::-1])) * 9
    for k, point in enumerate(points):
        column, row = np.round(point / step).astype(int)
        heat[0, k, row, column] = 2 + k
        beside[0, [5 + k, k], row, column] = point - np.array([column, row]) * step
    outputs = {"heat": heat.astype(np.float32), "offsets": beside.astype(np.float32)}
    spec = decoders.Keypoints(mode="offsets", order="yx", activation="sigmoid")
    found = spec.decode(outputs, net)
    np.testing.assert_allclose(found.points[0, :, :2], points, atol=1e-4)
    np.testing.assert_allclose(found.points[0, :, 2], 1 / (1 + np.exp(-2.0 - np.arange(5))), rtol=1e-6)
    swapped = spec.decode(dict(reversed(outputs.items())), net)
    np.testing.assert_array_equal(swapped.points, found.points)
    last = replace(spec, layout="NHWC").decode({name: x.transpose(0, 2, 3, 1) for name, x in outputs.items()}, net)
    np.testing.assert_array_equal(last.points, found.points)


@pytest.mark.parametrize("order", ["xy", "yx"])
@pytest.mark.parametrize("sigmoid", [False, True])
@pytest.mark.parametrize("cells", [(12, 16), (1, 1), (1, 7)])
@pytest.mark.parametrize("image", IMAGES)
def test_points_beside_cells_equal_their_definition(order, sigmoid, cells, image):
    rng = np.random.default_rng(5)
    heat = rng.normal(size=(2, 5, *cells)).astype(np.float32)
    heat[0, 2] = 1  # all the same: the first cell
    beside = (rng.normal(size=(2, 10, *cells)) * 8).astype(np.float32)
    spec = decoders.Keypoints(mode="offsets", order=order, activation="sigmoid" if sigmoid else "none", score=-9.0)
    got = spec.decode({"heat": heat, "offsets": beside}, FRAME, image)
    want = keypoints.offsets(heat, beside, items_for(image, FRAME, 2), order=order, sigmoid=sigmoid)
    np.testing.assert_allclose(got.points, want, rtol=1e-6, atol=1e-5)


def test_points_beside_cells__what_does_not_fit():
    heat, beside = np.zeros((1, 5, 4, 4), np.float32), np.zeros((1, 10, 4, 4), np.float32)
    spec = decoders.Keypoints(mode="offsets")
    for outputs, words in [
        ({"h": heat, "o": beside[:, :9]}, "are not heat maps .* and offsets"),
        ({"h": heat, "o": beside[:, :, :3]}, "are not heat maps .* and offsets"),
        ({"h": heat}, "takes heat maps and offsets, got 1 outputs"),
    ]:
        with pytest.raises(DecoderError, match=words):
            spec.decode(outputs, (64, 64))
    with pytest.raises(DecoderError, match="takes one output, got 2"):
        decoders.Keypoints().decode({"h": heat, "o": beside}, (64, 64))
    beside[0, 3, 1, 2] = np.nan
    with pytest.raises(DecoderError, match='"o" holds NaN'):
        spec.decode({"h": heat, "o": beside}, (64, 64))


def test_regressed_points():
    raw = np.array([[0.25, 0.5, 0.9, 0.75, 1.0, 0.2]], np.float32)
    found = decoders.Keypoints(mode="regressed", units="relative", values=3).decode({"y": raw}, (200, 100))
    np.testing.assert_allclose(found.points[0], [[50, 50, 0.9], [150, 100, 0.2]], rtol=1e-6)
    np.testing.assert_allclose(found.boxes_xyxy, [[50, 50, 150, 100]], rtol=1e-6)


def test_regressed_depth_is_no_confidence():
    raw = np.array([[3, 4, -9, 8, 1, -20]], np.float32)
    found = decoders.Keypoints(mode="regressed", values=3, confidence=False).decode({"y": raw}, (20, 10))
    np.testing.assert_array_equal(found.points[0], [[3, 4, 1], [8, 1, 1]])
    assert found.scores == [1]
    assert len(decoders.Keypoints(mode="regressed", values=3).decode({"y": raw}, (20, 10))) == 0  # below the score 0


@pytest.mark.parametrize(
    "options", [{}, {"values": 3}, {"values": 5, "activation": "sigmoid"}, {"values": 4, "confidence": False}]
)
@pytest.mark.parametrize("units", ["pixels", "relative"])
@pytest.mark.parametrize("image", [Letterbox((64, 48)), Letterbox((64, 48), "stretch"), QUAD])
def test_regressed_points_as_the_definition(options, units, image):
    values = options.get("values", 2)
    raw = np.random.default_rng(7).normal(0.5, 3, (3, 11 * values)).astype(np.float32)
    spec = decoders.Keypoints(mode="regressed", units=units, score=-1e9, **options)
    found = spec.decode({"y": raw}, (200, 90), image)
    expected = keypoints.regressed(
        raw,
        items_for(image, (200, 90), 3),
        values=values,
        relative=units == "relative",
        confidence=options.get("confidence", True),
        sigmoid=options.get("activation") == "sigmoid",
    )
    np.testing.assert_allclose(found.points, expected, rtol=2e-7, atol=1e-6)


@pytest.mark.parametrize("anchor", ["top_left", "center", "bottom"])
@pytest.mark.parametrize("size", [(100, 48), (33, 96), (1000, 48), (320, 48)])
def test_a_text_lies_where_its_picture_is_and_not_where_the_bars_are(anchor, size):
    """A line of text in the input of a reader, 320x48 with bars: its corners are those of the frame."""
    image = mnnlite.ImageSpec(size=(320, 48), fit="letterbox", anchor=anchor)
    steps = np.zeros((1, 40, 4), np.float32)
    steps[0, 3:5, 2] = 0.9
    steps[0, 9, 1] = 0.7
    (found,) = decoders.Ctc(keys=["a", "b", "c"]).decode({"o": steps}, size, image)
    assert found.text == "ba"
    width, height = size
    np.testing.assert_allclose(found.points, [[0, 0], [width, 0], [width, height], [0, height]], atol=1e-3)
    item = decoders.batch_item(image, size)
    np.testing.assert_allclose(found.points, ctc.place(item, item.picture), atol=1e-4)


def test_a_text_of_a_crop_lies_in_the_crop(tmp_path):
    """The same through a task, on a turned part of the frame."""
    path = networks.convert(networks.outputs(tmp_path / "reader.onnx", (1, 3, 48, 320), {"o": (1, 40, 4)}))
    image = mnnlite.ImageSpec(size=(320, 48), fit="letterbox", anchor="top_left")
    frame = mnnlite.Frame(np.zeros((240, 320, 3), np.uint8), "BGR")
    corners = [(100, 50), (180, 70), (172, 102), (92, 82)]
    with mnnlite.Task(
        path, image=image, decoder=decoders.Ctc(keys=["a", "b", "c"], activation="softmax", keep_empty=True)
    ) as task:
        (found,) = task(frame.quad(corners))
        np.testing.assert_allclose(found.points, corners, atol=1e-3)
        (found,) = task(frame.roi(10, 20, 60, 48))
        np.testing.assert_allclose(found.points, [(10, 20), (70, 20), (70, 68), (10, 68)], atol=1e-3)
