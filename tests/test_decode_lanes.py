"""Lanes from masks, from row anchors, from row and column anchors: against their definitions, and known lanes back."""

import numpy as np
import pytest

from helpers.decoding import QUAD, Letterbox, items_for
from helpers.shapes import FRAME, blobs
from mnnlite import decoders, results
from mnnlite.errors import ArgumentError, DecoderError
from mnnlite.reference.decode import lanes, segmentation

# ---- from masks


def lane_mask(height=72, width=128):
    """Two lines with a gap that meet towards the top, one that lies flat, and noise."""
    mask = np.zeros((height, width), np.uint8)
    for y in range(20, height):
        if not 40 <= y < 48:
            x = 20 + 0.9 * (height - y)
            mask[y, int(x) : int(x) + 3] = 1
        x = 110 - 0.75 * (height - y)
        mask[y, int(x) : int(x) + 4] = 1
    mask[10:12, 30:90] = 1
    mask[5, 5] = 1
    return mask


@pytest.mark.parametrize("image", [None, Letterbox((128, 72)), QUAD])
@pytest.mark.parametrize("tolerance", [0.3, 1.0])
def test_lanes_equal_their_definition(image, tolerance):
    rng = np.random.default_rng(6)
    for mask in (lane_mask(), blobs((40, 60), 3, classes=3, block=4), (rng.random((50, 70)) < 0.4).astype(np.uint8)):
        placed = items_for(image, FRAME, 1)[0]
        m = segmentation.map_to_frame(placed, mask.shape[1], mask.shape[0])
        u, v = segmentation._at_centres(m, mask.shape[1], mask.shape[0])
        inside = (u >= 0) & (v >= 0) & (u < FRAME[0]) & (v < FRAME[1])
        got = decoders.Lanes(tolerance=tolerance).decode({"y": mask[None]}, FRAME, image)
        seen = np.where(inside, mask, 255).astype(np.uint8)
        want = lanes.decode(seen, np.ones(mask.shape), m, tolerance=tolerance)
        assert len(got) == len(want) > 0
        np.testing.assert_array_equal(got.class_ids, [line.class_id for line in want])
        for points, line in zip(got.points, want, strict=True):
            assert points.shape == line.points.shape
            np.testing.assert_allclose(points, line.points, atol=1e-3)


def test_lanes_give_back_known_lines():
    found = decoders.Lanes().decode({"y": lane_mask()[None]}, (128, 72))
    assert len(found) == 3
    for points in found.points[:2]:
        assert points[0, 1] > points[-1, 1]  # from near to far
    left = next(points for points in found.points if points[0, 0] < 40 and points[0, 1] > 60)
    assert left[-1, 1] < 25  # over the gap
    expected = 20 + 0.9 * (72 - (left[:, 1] - 0.5)) + 1
    assert np.abs(left[:, 0] - expected).max() < 2
    flat = next(points for points in found.points if np.ptp(points[:, 1]) < 2)
    assert np.ptp(flat[:, 0]) > 55
    np.testing.assert_allclose(flat[:, 1], 11, atol=0.6)


def test_lane_scores_are_mean_probabilities():
    logits = np.zeros((1, 2, 40, 40), np.float32)
    logits[0, 1] = -4
    logits[0, 1, :, 18:22] = 2
    found = decoders.Lanes().decode({"y": logits}, (40, 40))
    np.testing.assert_allclose(found.scores, [1 / (1 + np.exp(-2))], atol=1e-6)
    np.testing.assert_allclose(found.points[0], [[20, 39.5], [20, 0.5]])


def test_lanes_as_polynomials():
    y = np.arange(72) + 0.5
    mask = np.zeros((72, 128), np.uint8)
    for row in range(72):
        x = 20 + 0.01 * (row - 36) ** 2 + 0.3 * row
        mask[row, int(x) : int(x) + 3] = 1
    found = decoders.Lanes(degree=2, tolerance=0.05).decode({"y": mask[None]}, (128, 72))
    coefficients = found.polynomials(2)[0]
    expected = 20 + 0.01 * (y - 0.5 - 36) ** 2 + 0.3 * (y - 0.5) + 1
    assert np.abs(np.polyval(coefficients, y) - expected).max() < 0.6


# ---- from row anchors


def test_row_anchor_lanes_give_back_what_was_encoded():
    """Training bins x into floor(x / step), step = (width - 1) / (cells - 1): data/dataset.py _grid_pts."""
    anchors = tuple(range(100, 300, 20))
    logits = np.zeros((1, 101, len(anchors), 4), np.float32)
    logits[0, 100] = 8  # no lane
    step = 799 / 99
    x = 300 + 4.0 * np.arange(len(anchors)) ** 2
    for row in range(len(anchors)):
        logits[0, 100, row, 1] = -8
        logits[0, int(x[row] / step), row, 1] = 30
    found = decoders.Lanes(head="rows", row_anchors=anchors, tolerance=0.0).decode({"y": logits}, (800, 288))
    assert len(found) == 1
    assert found.class_ids.tolist() == [1]
    points = found.points[0]  # those on a straight line with their neighbours are dropped
    assert points[0, 1] == anchors[-1]
    assert points[-1, 1] == anchors[0]
    rows = [anchors.index(int(y)) for y in points[:, 1]]
    assert np.abs(points[:, 0] - x[rows]).max() <= step / 2 + 1e-3


def test_row_anchor_lanes_equal_their_definition():
    anchors = tuple(np.linspace(50, 280, 18).tolist())
    logits = np.random.default_rng(2).normal(scale=3, size=(2, 41, 18, 4)).astype(np.float32)
    image = Letterbox((800, 288), "stretch")
    got = decoders.Lanes(head="rows", row_anchors=anchors, tolerance=0.0).decode({"y": logits}, FRAME, image)
    want = [
        line
        for slot, item in enumerate(items_for(image, FRAME, 2))
        for line in lanes.decode_rows(logits[slot], item, anchors)
    ]
    np.testing.assert_array_equal(got.class_ids, [line.class_id for line in want])
    np.testing.assert_allclose(got.scores, [line.score for line in want], atol=1e-6)
    for points, line in zip(got.points, want, strict=True):
        np.testing.assert_allclose(points, line.points, atol=1e-3)


def test_lanes_on_the_ground():
    lines = results.Polylines.from_points([[(100, 200), (100, 100)]])
    ground = lines.to_ground([[0.01, 0, -1], [0, -0.02, 4], [0, 0, 1]])
    np.testing.assert_allclose(ground[0], [[0, 0], [0, 2]])
    with pytest.raises(ArgumentError, match="3x3"):
        lines.to_ground(np.zeros((3, 3)))


# ---- from row and column anchors

CULANE = {"row_anchors": (0.42, 1.0), "crop_ratio": 0.6}
ROWS, COLUMNS = np.linspace(0.42, 1, 72), np.linspace(0, 1, 81)
SEEN = Letterbox((1600, 320), "stretch")  # what lies in the lowest 0.6 of a picture, stretched to this


def encode(where, cells):
    """Logits (cells, anchors) whose softmax beside the best cell has its mean, plus a half, at `where` x (cells - 1)."""
    logits = np.full((cells, len(where)), -9.0)
    for k, share in enumerate(where):
        cell = share * (cells - 1) - 0.5
        low = min(max(int(np.floor(cell)), 0), cells - 2)
        upper = np.clip(cell - low, 1e-4, 1 - 1e-4)
        logits[low, k], logits[low + 1, k] = np.log(1 - upper), np.log(upper)
    return logits


def known_lanes():
    """Four straight lanes as outputs, and as points in fractions of the whole picture."""
    outputs = {
        "loc_row": np.zeros((1, 200, 72, 4)),
        "loc_col": np.zeros((1, 100, 81, 4)),
        "exist_row": np.zeros((1, 2, 72, 4)),
        "exist_col": np.zeros((1, 2, 81, 4)),
    }
    outputs["exist_row"][:, 0] = outputs["exist_col"][:, 0] = 3  # no
    known = {}
    for lane, x_of in ((1, lambda y: 0.5 - 0.4 * (y - 0.42)), (2, lambda y: 0.5 + 0.35 * (y - 0.42))):
        there = slice(20, 72)
        outputs["loc_row"][0, :, there, lane] = encode(x_of(ROWS[there]), 200)
        outputs["exist_row"][0, 1, there, lane] = 3 + np.log(9)
        known[lane] = np.stack([x_of(ROWS[there]), ROWS[there]], axis=1)[::-1]
    for lane, there, y_of in (
        (0, slice(0, 40), lambda x: 0.9 - 0.8 * x),
        (3, slice(41, 81), lambda x: 0.95 - 0.9 * (1 - x)),
    ):
        outputs["loc_col"][0, :, there, lane] = encode(y_of(COLUMNS[there]), 100)
        outputs["exist_col"][0, 1, there, lane] = 3 + np.log(4)
        points = np.stack([COLUMNS[there], y_of(COLUMNS[there])], axis=1)
        known[lane] = points if lane == 0 else points[::-1]
    return {name: array.astype(np.float32) for name, array in outputs.items()}, known


def check_known(found, known, size):
    assert found.class_ids.tolist() == [0, 1, 2, 3]
    np.testing.assert_allclose(found.scores, [0.8, 0.9, 0.9, 0.8], atol=1e-6)
    for lane, points in enumerate(found.points):
        assert points[0, 1] > points[-1, 1]  # from near to far
        ends = known[lane][[0, -1]] * size
        np.testing.assert_allclose(points[[0, -1]], ends, atol=0.05)
        x = np.interp(points[:, 1], (known[lane][::-1] * size)[:, 1], (known[lane][::-1] * size)[:, 0])
        assert np.abs(points[:, 0] - x).max() < 0.1


@pytest.mark.parametrize(
    "order", [("loc_row", "loc_col", "exist_row", "exist_col"), ("exist_col", "loc_col", "exist_row", "loc_row")]
)
def test_lanes_of_anchors_give_back_what_was_encoded(order):
    """In pixels of the lowest 0.6 of a picture of 1640 x 590, which is 354 high."""
    outputs, known = known_lanes()
    decoder = decoders.Lanes(head="anchors", tolerance=0.0, **CULANE)
    found = decoder.decode({name: outputs[name] for name in order}, (1640, 354), SEEN)
    check_known(found, {lane: points - [0, 0.4] for lane, points in known.items()}, (1640, 590))


def test_lanes_of_anchors_are_told_apart_by_shape_where_names_say_nothing():
    outputs, known = known_lanes()
    decoder = decoders.Lanes(head="anchors", tolerance=0.0, **CULANE)
    arrays = {str(i): outputs[name] for i, name in enumerate(("exist_col", "loc_row", "loc_col", "exist_row"))}
    found = decoder.decode(arrays, (1640, 354), SEEN)
    check_known(found, {lane: points - [0, 0.4] for lane, points in known.items()}, (1640, 590))


@pytest.mark.parametrize("cells", [(200, 100), (3, 3), (17, 5)])
@pytest.mark.parametrize("anchors", [(72, 81), (5, 3), (4, 11)])
@pytest.mark.parametrize("image", [SEEN, Letterbox((96, 64))])
def test_lanes_of_anchors_equal_their_definition(cells, anchors, image):
    rng = np.random.default_rng(anchors[0] + cells[0])
    outputs = {
        "loc_row": rng.normal(scale=3, size=(2, cells[0], anchors[0], 4)),
        "loc_col": rng.normal(scale=3, size=(2, cells[1], anchors[1], 4)),
        "exist_row": rng.normal(size=(2, 2, anchors[0], 4)),
        "exist_col": rng.normal(size=(2, 2, anchors[1], 4)),
    }
    outputs = {name: array.astype(np.float32) for name, array in outputs.items()}
    outputs["exist_row"][0, :, 0] = 1  # a tie is no lane
    outputs["loc_row"][0, :, 1] = 2  # the first of equal cells is the best
    options = {"row_lanes": (3, 1), "column_lanes": (2, 0), "crop_ratio": 0.75, "min_points": 2}
    rows = tuple(np.sort(rng.random(anchors[0])).tolist())
    decoder = decoders.Lanes(head="anchors", tolerance=0.0, row_anchors=rows, column_anchors=(0.1, 0.9), **options)
    got = decoder.decode(outputs, FRAME, image)
    columns = np.linspace(0.1, 0.9, anchors[1])
    want = [
        line
        for slot, item in enumerate(items_for(image, FRAME, 2))
        for line in lanes.decode_anchors({k: v[slot] for k, v in outputs.items()}, item, rows, columns, **options)
    ]
    assert len(want) >= 2
    np.testing.assert_array_equal(got.class_ids, [line.class_id for line in want])
    np.testing.assert_allclose(got.scores, [line.score for line in want], atol=1e-6)
    for points, line in zip(got.points, want, strict=True):
        kept = [k for k, point in enumerate(line.points) if np.abs(points - point).max(axis=1).min() < 1e-3]
        assert len(kept) >= len(points)
        np.testing.assert_allclose(points[[0, -1]], line.points[[0, -1]], atol=1e-3)


def test_lanes_on_few_anchors_are_none():
    outputs, _ = known_lanes()
    outputs["exist_row"][0, 1, 36:, 1] = 0  # 16 of 72 rows left
    outputs["exist_row"][0, 1, 56:, 2] = 0  # half of them
    outputs["exist_row"][0, 1, :20, 2] = 0
    outputs["exist_col"][0, 1, 20:, 0] = 0  # 20 of 81 columns
    found = decoders.Lanes(head="anchors", **CULANE).decode(outputs, (1640, 354), SEEN)
    assert found.class_ids.tolist() == [3]
    assert len(decoders.Lanes(head="anchors", score=0.85, **CULANE).decode(outputs, (1640, 354), SEEN)) == 0


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({}, "needs row_anchors"),
        ({"row_anchors": (160.0, 710.0)}, r"fractions of the picture from 0 to 1, got 160"),
        ({"row_anchors": (0.5, 0.4)}, "must grow"),
        ({"row_anchors": (0.4, 1.0), "row_lanes": (0, 1)}, "lane 0 is in row_lanes and in column_lanes"),
        ({"row_anchors": (0.4, 1.0), "row_lanes": (1.5,)}, r"wants numbers of lanes from 0, got 1\.5"),
        ({"row_anchors": (0.4, 1.0), "row_lanes": (1, 1)}, "has a lane twice"),
        ({"row_anchors": (0.4, 1.0), "crop_ratio": 0.0}, "crop_ratio"),
    ],
)
def test_anchors_that_cannot_be_are_refused(options, error):
    with pytest.raises(ArgumentError, match=error):
        decoders.Lanes(head="anchors", **options)


def test_outputs_that_do_not_fit_anchors_are_refused():
    outputs, _ = known_lanes()

    def error(outputs, **options):
        with pytest.raises(DecoderError) as caught:
            decoders.Lanes(head="anchors", **{**CULANE, **options}).decode(outputs, (1640, 354), SEEN)
        return str(caught.value)

    assert 'it has 72 anchors; option "row_anchors" has 3' in error(outputs, row_anchors=(0.4, 0.6, 1.0))
    assert "lane 7 is asked for" in error(outputs, row_lanes=(1, 7))
    assert "are wanted" in error({**outputs, "exist_col": outputs["exist_row"]})
    assert "loc_row" in error({**outputs, "loc_row": np.full_like(outputs["loc_row"], np.nan)})


def test_one_decoder_takes_networks_of_other_sizes():
    """First and last of the anchors are filled in anew for each."""
    outputs, known = known_lanes()
    decoder = decoders.Lanes(head="anchors", tolerance=0.0, **CULANE)
    small = {name: array[:, :, ::2] for name, array in outputs.items()}
    assert len(decoder.decode(small, (1640, 354), SEEN)) > 0
    check_known(
        decoder.decode(outputs, (1640, 354), SEEN),
        {lane: points - [0, 0.4] for lane, points in known.items()},
        (1640, 590),
    )
