"""Heads that users deploy: native against their definitions, and known boxes through the published formulas and back."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from helpers.decoding import Letterbox
from mnnlite import decoders, results
from mnnlite.errors import ArgumentError, DecoderError
from mnnlite.reference.decode import detections, detr, grids, maps, mtcnn, nms, regression, retinaface, simcc, yolo
from mnnlite.reference.decode.frame_box import Item

FRAME = (150, 90)
NET = (128, 64)
IMAGES: list[Any] = [
    Letterbox(NET),
    Letterbox(NET, "crop"),
    np.array([[0.9, -0.2, 8], [0.1, 0.8, -3], [1e-4, 2e-4, 1]]),
]


def item_of(image: Any) -> Item:
    placed = decoders.batch_item(image, FRAME)
    return Item(placed.to_frame, placed.net_size, placed.frame_size, 0)


def same(got: Any, want: detections.Found, exact: bool = True) -> None:
    tolerance = 0 if exact else 1e-4
    np.testing.assert_array_equal(got.class_ids, want.class_ids)
    np.testing.assert_allclose(got.scores, want.scores, atol=tolerance, rtol=0)
    np.testing.assert_allclose(got.boxes_xyxy, want.boxes, atol=tolerance, rtol=0)
    assert (got.found, got.truncated) == (want.found, want.truncated)
    if want.points.size:
        np.testing.assert_allclose(got.points, want.points, atol=tolerance, rtol=0)


def grid_sizes(net: tuple[int, int] = NET, strides: tuple[int, ...] = (8, 16, 32)) -> list[tuple[int, int]]:
    return [(-(-net[1] // stride), -(-net[0] // stride)) for stride in strides]


# ---- instances


def v8_with_masks(rng: np.random.Generator, candidates: int = 60, classes: int = 3, numbers: int = 8) -> np.ndarray:
    head = rng.random((1, 4 + classes + numbers, candidates)).astype(np.float32)
    head[:, 0] *= NET[0]
    head[:, 1] *= NET[1]
    head[:, 2:4] = head[:, 2:4] * 60 + 1
    head[:, 4 + classes :] -= 0.5
    return head


@pytest.mark.parametrize("image", IMAGES, ids=["letterbox", "crop", "turned"])
@pytest.mark.parametrize("shape", [(16, 32), (7, 5), (64, 128), (1, 1), (100, 300)])
def test_masks_are_those_of_the_definition(image: Any, shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(shape[0])
    head = v8_with_masks(rng)
    prototypes = rng.normal(size=(1, 8, *shape)).astype(np.float32)
    item = item_of(image)
    found = decoders.Yolo(masks=True, score=0.5).decode({"y": head, "p": prototypes}, FRAME, image)
    want = yolo.decode_v8(head, [item], score=0.5, prototypes=prototypes)
    assert isinstance(found, results.Instances)
    same(found, want)
    assert len(found) == len(want.masks) > 0
    for index, cut in enumerate(want.masks):
        assert found.mask_boxes[index, :2].tolist() == [cut.left, cut.top]
        np.testing.assert_array_equal(found.masks[index], cut.mask)
        assert found.areas[index] == cut.mask.sum()
    # The other order of the outputs, channels last, v5 and rows that the network suppressed give the same masks.
    rows = np.ascontiguousarray(head.transpose(0, 2, 1))
    last = decoders.Yolo(masks=True, score=0.5, channels="last").decode({"p": prototypes, "y": rows}, FRAME, image)
    assert last.to_json() == found.to_json()
    v5 = np.concatenate([rows[..., :4], np.ones_like(rows[..., :1]), rows[..., 4:]], axis=2)
    same(
        decoders.Yolo("v5", masks=True, score=0.5).decode({"y": v5, "p": prototypes}, FRAME, image),
        yolo.decode_flat(v5, [item], score=0.5, prototypes=prototypes),
    )
    best = rows[0, :, 4:7]
    end = np.concatenate(
        [
            rows[0, :, :2],
            rows[0, :, :2] + rows[0, :, 2:4],
            best.max(1)[:, None],
            best.argmax(1)[:, None],
            rows[0, :, 7:],
        ],
        axis=1,
    )
    end = end[None].astype(np.float32)
    got = decoders.Yolo("end2end", masks=True, score=0.5).decode({"y": end, "p": prototypes}, FRAME, image)
    wanted = yolo.decode_end2end(end, [item], score=0.5, prototypes=prototypes)
    same(got, wanted)
    for mask, cut in zip(got.masks, wanted.masks, strict=True):
        np.testing.assert_array_equal(mask, cut.mask)


def test_a_known_mask_comes_back() -> None:
    # One prototype that is a disc, one that is its complement: coefficients choose which.
    y, x = np.mgrid[0:64, 0:128] + 0.5
    disc = np.where((x - 60) ** 2 + (y - 30) ** 2 < 20**2, 1, -1).astype(np.float32)
    prototypes = np.stack([disc, -disc])[None]
    head = np.zeros((1, 7, 2), np.float32)
    head[0, :, 0] = [60, 30, 60, 60, 0.9, 1, 0]
    head[0, :, 1] = [60, 30, 60, 60, 0.8, 0, 1]
    found = decoders.Yolo(masks=True, iou=1, channels="first").decode(
        {"y": head, "p": prototypes}, NET, Letterbox(NET, "stretch")
    )
    inside = disc[0:60, 30:90] > 0
    np.testing.assert_array_equal(found.masks[0], inside)
    np.testing.assert_array_equal(found.masks[1], ~inside)
    assert found.mask_boxes.tolist() == [[30, 0, 90, 60]] * 2
    assert found[0].area == inside.sum()
    whole = found.over_frame(0)
    np.testing.assert_array_equal(whole, (disc > 0) & (x > 30) & (x < 90) & (y < 60))
    runs = found.run_lengths()[0]
    assert sum(runs) == NET[0] * NET[1]
    assert sum(runs[1::2]) == inside.sum()
    back = np.repeat(np.arange(len(runs)) % 2, runs).reshape(NET, order="C").T.astype(bool)
    np.testing.assert_array_equal(back, whole)


def test_outlines_of_masks() -> None:
    disc = np.full((1, 1, 64, 128), -1, np.float32)
    disc[..., 10:50, 20:100] = 1
    disc[..., 20:30, 40:60] = -1  # a hole
    head = np.zeros((1, 6, 1), np.float32)
    head[0, :, 0] = [64, 32, 128, 64, 0.9, 1]
    found = decoders.Yolo(masks=True, classes=["a"], channels="first").decode(
        {"y": head, "p": disc}, NET, Letterbox(NET, "stretch")
    )
    rings = found.polygons
    assert isinstance(rings, results.Polygons)
    assert rings.labels == ["a", "a"]
    assert rings.parents.tolist() == [-1, 0]
    assert rings.areas.tolist() == [80 * 40, 20 * 10]
    assert sorted(map(tuple, rings.points[0].tolist())) == [(20, 10), (20, 50), (100, 10), (100, 50)]
    assert found.to_polygons(0)[0].points.shape == (4, 2)
    with pytest.raises(ArgumentError, match="tolerance"):
        found.to_polygons(-1)
    assert len(found[:0].polygons) == 0
    picture = np.zeros((64, 128, 3), np.uint8)
    assert found.draw(picture)[40, 90].any()
    assert found.to_json()[0]["area"] == 80 * 40 - 20 * 10


def test_masks_without_room_are_cut_and_say_so() -> None:
    rng = np.random.default_rng(3)
    head = v8_with_masks(rng)
    prototypes = np.abs(rng.normal(size=(1, 8, 16, 32))).astype(np.float32)
    head[:, 7:] = 1
    small = decoders.Yolo(masks=True, score=0.1, iou=1, mask_room=0).decode({"y": head, "p": prototypes}, FRAME)
    whole = decoders.Yolo(masks=True, score=0.1, iou=1).decode({"y": head, "p": prototypes}, FRAME)
    assert 0 < len(small) < len(whole)
    assert small.truncated
    assert small.found == whole.found
    prototypes[0, 0] = np.inf
    with pytest.raises(DecoderError, match="not finite"):
        decoders.Yolo(masks=True, score=0.1).decode({"y": head, "p": prototypes}, FRAME)
    with pytest.raises(DecoderError, match="prototypes"):
        decoders.Yolo(masks=True).decode({"y": head, "p": head}, FRAME)
    with pytest.raises(ArgumentError, match="masks or points"):
        decoders.Yolo(masks=True, points=3)


# ---- turned boxes


def turned_head(rng: np.random.Generator, count: int = 80) -> np.ndarray:
    head = rng.random((1, 4 + 2 + 1, count)).astype(np.float32)
    centres = rng.random((2, 8)) * [[NET[0]], [NET[1]]]
    head[0, :2] = centres[:, rng.integers(0, 8, count)] + rng.normal(size=(2, count)) * 2
    head[0, 2:4] = head[0, 2:4] * 10 + 15
    head[0, 6] = head[0, 6] * 3 - 0.7
    return head


@pytest.mark.parametrize("how", ["hard", "fast"])
@pytest.mark.parametrize("overlap", ["polygon", "gaussian"])
def test_turned_boxes_by_area_and_by_gaussians(how: str, overlap: str) -> None:
    head = turned_head(np.random.default_rng(5))
    item = item_of(IMAGES[0])
    spec = decoders.Yolo(rotated=True, overlap=overlap, nms=how, iou=0.3)
    want = yolo.decode_v8(head, [item], rotated=True, overlap=overlap, nms=how, iou=0.3)
    found = spec.decode({"y": head}, FRAME, IMAGES[0])
    assert 0 < len(want.scores) < 80
    same(found, want)
    # The same boxes as rows that need no suppression, with the angle last.
    rows = np.concatenate(
        [head[0, :4].T, head[0, 4:6].max(0)[:, None], head[0, 4:6].argmax(0)[:, None], head[0, 6:].T], axis=1
    )[None]
    end = decoders.Yolo("end2end", rotated=True).decode({"y": rows.astype(np.float32)}, FRAME, IMAGES[0])
    same(end, yolo.decode_end2end(rows, [item], rotated=True))


def test_the_gaussian_overlap_is_that_of_the_paper() -> None:
    def published(a: Any, b: Any) -> float:
        """Llerena et al. 2021, equations 5 to 9, with the terms as written there."""

        def terms(box: Any) -> tuple[float, float, float]:
            w, h, angle = box[2] ** 2 / 12, box[3] ** 2 / 12, box[4]
            cosine, sine = np.cos(angle), np.sin(angle)
            return w * cosine**2 + h * sine**2, w * sine**2 + h * cosine**2, (w - h) * cosine * sine

        (a1, b1, c1), (a2, b2, c2) = terms(a), terms(b)
        low = (a1 + a2) * (b1 + b2) - (c1 + c2) ** 2
        first = ((a1 + a2) * (a[1] - b[1]) ** 2 + (b1 + b2) * (a[0] - b[0]) ** 2) / low / 4
        second = (c1 + c2) * (b[0] - a[0]) * (a[1] - b[1]) / low / 2
        third = np.log(low / (4 * np.sqrt((a1 * b1 - c1**2) * (a2 * b2 - c2**2)))) / 2
        return float(1 - np.sqrt(1 - np.exp(-(first + second + third))))

    rng = np.random.default_rng(2)
    for _ in range(50):
        boxes = rng.random((2, 5)) * [6, 6, 20, 20, 3] + [0, 0, 3, 3, 0]
        quads = [yolo._turned(*(np.array([value]) for value in box), np.ones(2))[0] for box in boxes]
        assert nms.gaussian_iou(*quads) == pytest.approx(published(*boxes), abs=2e-3)


def test_key_points_of_rows_that_suppressed_themselves() -> None:
    rng = np.random.default_rng(8)
    rows = rng.random((1, 20, 6 + 5 * 3)).astype(np.float32) * 50
    rows[..., 2:4] += rows[..., :2] + 1
    rows[..., 4] = rng.random(20)
    rows[..., 5] = 0
    found = decoders.Yolo("end2end", points=5, point_values=3).decode({"y": rows}, FRAME, IMAGES[0])
    assert isinstance(found, results.Keypoints)
    same(found, yolo.decode_end2end(rows, [item_of(IMAGES[0])], points=5, point_values=3))


def test_scores_above_one_are_no_probabilities() -> None:
    head = np.random.default_rng(1).random((1, 7, 40)).astype(np.float32)
    head[0, 5, 3] = 7.5
    with pytest.raises(DecoderError, match=r"score of 7.5.*likely.*activation"):
        decoders.Yolo().decode({"y": head}, FRAME)


# ---- grids


def parts_of(rng: np.random.Generator, numbers: dict[str, int], per_cell: int = 1) -> dict[str, list[np.ndarray]]:
    return {
        name: [
            rng.random((1, rows * columns * per_cell, count)).astype(np.float32) * 4 for rows, columns in grid_sizes()
        ]
        for name, count in numbers.items()
    }


def flat(parts: dict[str, list[np.ndarray]], planes: bool = False, per_cell: int = 1) -> dict[str, np.ndarray]:
    outputs = {}
    for name, tensors in parts.items():
        for s, tensor in enumerate(tensors):
            array = tensor
            if planes:
                rows, columns = grid_sizes()[s]
                array = np.ascontiguousarray(tensor.reshape(1, rows, columns, -1).transpose(0, 3, 1, 2))
            outputs[f"{name}_{s}"] = array
    return outputs


@pytest.mark.parametrize("planes", [False, True])
@pytest.mark.parametrize("points", [0, 5])
def test_scrfd(planes: bool, points: int) -> None:
    rng = np.random.default_rng(4)
    parts = parts_of(rng, {"score": 1, "box": 4, **({"points": 2 * points} if points else {})}, per_cell=2)
    parts["score"] = [np.clip(each / 4, 0, 1) for each in parts["score"]]
    outputs = flat(parts, planes, 2)
    found = decoders.Scrfd(score=0.6).decode(outputs, FRAME, IMAGES[0])
    want = grids.decode(parts, [item_of(IMAGES[0])], (8, 16, 32), score=0.6, iou=0.4, per_cell=2)
    assert len(found) > 5
    same(found, want)
    backwards = dict(reversed(list(outputs.items()))) if not planes else outputs
    if not points and not planes:
        assert decoders.Scrfd(score=0.6).decode(backwards, FRAME, IMAGES[0]).to_json() == found.to_json()
    if not planes:
        bare = {name: array[0] for name, array in outputs.items()}  # without a batch
        assert (
            decoders.Scrfd(score=0.6)
            .decode(bare, FRAME, IMAGES[0], items=[decoders.batch_item(IMAGES[0], FRAME)])
            .to_json()
            == found.to_json()
        )


def test_scrfd__a_known_face_comes_back() -> None:
    parts = {"score": [], "box": [], "points": []}
    for rows, columns in grid_sizes():
        for name, count in (("score", 1), ("box", 4), ("points", 10)):
            parts[name].append(np.zeros((1, rows * columns * 2, count), np.float32))
    box, marks = np.array([20, 10, 70, 50.0]), np.array([[30, 20], [60, 20], [45, 30], [35, 40], [55, 40.0]])
    centre, stride = np.array([48.0, 32.0]), 16
    index = (2 * 8 + 3) * 2 + 1  # the second anchor of cell (3, 2) at stride 16
    parts["score"][1][0, index] = 0.9
    parts["box"][1][0, index] = np.concatenate([centre - box[:2], box[2:] - centre]) / stride
    parts["points"][1][0, index] = ((marks - centre) / stride).ravel()
    found = decoders.Scrfd().decode(flat(parts), NET, Letterbox(NET, "stretch"))
    assert found.boxes_xyxy.tolist() == [box.tolist()]
    np.testing.assert_allclose(found.points[0], marks, atol=1e-4)


@pytest.mark.parametrize("planes", [False, True])
def test_yunet(planes: bool) -> None:
    rng = np.random.default_rng(6)
    parts = parts_of(rng, {"score": 1, "objectness": 1, "box": 4, "points": 10})
    for name in ("score", "objectness"):
        parts[name] = [each / 4 for each in parts[name]]
    parts["box"] = [each / 2 for each in parts["box"]]
    found = decoders.YuNet(score=0.7).decode(flat(parts, planes), FRAME, IMAGES[0])
    want = grids.decode(
        parts,
        [item_of(IMAGES[0])],
        (8, 16, 32),
        box="middle",
        score=0.7,
        iou=0.3,
        planes=grid_sizes() if planes else None,
    )
    assert len(found) > 5
    same(found, want)


def test_yunet__a_known_face_comes_back() -> None:
    # opencv, face_detect.cpp: score sqrt(cls obj), centre (c + d) stride, size exp(d) stride, points (c + d) stride.
    parts = {
        name: [np.zeros((1, r * c, n), np.float32) for r, c in grid_sizes()]
        for name, n in (("score", 1), ("objectness", 1), ("box", 4), ("points", 10))
    }
    index = 1 * 4 + 2  # cell (2, 1) at stride 32
    parts["score"][2][0, index], parts["objectness"][2][0, index] = 0.9801, 1
    parts["box"][2][0, index] = [0.25, 0.5, np.log(1.5), np.log(0.5)]
    parts["points"][2][0, index] = np.tile([0.125, -0.25], 5)
    found = decoders.YuNet().decode(flat(parts), NET, Letterbox(NET, "stretch"))
    np.testing.assert_allclose(found.boxes_xyxy, [[72 - 24, 48 - 8, 72 + 24, 48 + 8]], atol=1e-4)
    np.testing.assert_allclose(found.points[0], [[68, 24]] * 5, atol=1e-4)
    np.testing.assert_allclose(found.scores, [0.99], atol=1e-6)


@pytest.mark.parametrize("planes", [False, True])
@pytest.mark.parametrize("classes", [1, 4, 7])
def test_rtmdet(planes: bool, classes: int) -> None:
    rng = np.random.default_rng(classes)
    parts = parts_of(rng, {"score": classes, "box": 4})
    parts["score"] = [each - 3 for each in parts["score"]]
    parts["box"] = [each * 6 for each in parts["box"]]
    found = decoders.RtmDet().decode(flat(parts, planes), FRAME, IMAGES[0])
    want = grids.decode(
        parts, [item_of(IMAGES[0])], (8, 16, 32), score=0.3, iou=0.65, pixels=True, sigmoid=True,
        planes=grid_sizes() if planes else None,
    )  # fmt: skip
    assert len(found) > 5
    same(found, want)


@pytest.mark.parametrize(
    ("bins", "how"),
    [(bins, how) for bins in (1, 16) for how in ("planes", "rows", "sums", "joined")],
)
def test_split_heads_of_tool_chains(bins: int, how: str) -> None:
    rng = np.random.default_rng(bins)
    parts = parts_of(rng, {"box": 4 * bins, "score": 5})
    parts["score"] = [each / 4 for each in parts["score"]]
    outputs = flat(parts, how in ("planes", "sums"))
    if how == "sums":
        outputs |= {f"sum_{s}": outputs[f"score_{s}"].sum(axis=1, keepdims=True) for s in range(3)}
    if how == "joined":
        outputs = {
            "y": np.concatenate(
                [np.concatenate([b, c], axis=2) for b, c in zip(parts["box"], parts["score"], strict=True)], axis=1
            )
        }
    found = decoders.Yolo("split", score=0.8, bins=bins).decode(outputs, FRAME, IMAGES[0])
    want = grids.decode(
        parts, [item_of(IMAGES[0])], (8, 16, 32), box="distributions" if bins > 1 else "distances", score=0.8, offset=0.5,
        planes=grid_sizes() if how in ("planes", "sums") else None,
    )  # fmt: skip
    assert len(found) > 5
    same(found, want)


@pytest.mark.parametrize("values", [2, 3])
@pytest.mark.parametrize("how", ["planes", "rows", "joined"])
def test_split_heads_of_poses(values: int, how: str) -> None:
    rng = np.random.default_rng(values)
    parts = parts_of(rng, {"box": 64, "score": 2, "points": 5 * values})
    parts["score"] = [each / 4 for each in parts["score"]]
    outputs = flat(parts, how == "planes")
    if how == "joined":
        rows = {name: np.concatenate(parts[name], axis=1) for name in parts}
        outputs = {"p": rows["points"], "y": np.concatenate([rows["box"], rows["score"]], axis=2)}
    spec = decoders.Yolo("split", score=0.8, points=5, point_values=values)
    want = grids.decode(
        parts, [item_of(IMAGES[0])], (8, 16, 32), box="distributions", score=0.8, iou=0.45, offset=0.5, around=True,
        point_values=values, planes=grid_sizes() if how == "planes" else None,
    )  # fmt: skip
    for given in (outputs, dict(reversed(outputs.items()))):
        found = spec.decode(given, FRAME, IMAGES[0])
        assert len(found) > 5
        assert isinstance(found, results.Keypoints if values == 3 else results.Detections)
        same(found, want)


@pytest.mark.parametrize("sums", [False, True])
@pytest.mark.parametrize(
    ("planes", "image"),  # rows say their grid by the size of the input, which a matrix alone does not
    [(False, IMAGES[0]), (False, IMAGES[1]), *((True, image) for image in IMAGES)],
)
def test_split_heads_with_masks(image: Any, planes: bool, sums: bool) -> None:
    rng = np.random.default_rng(3)
    parts = parts_of(rng, {"box": 64, "score": 2, "weights": 8})
    parts["score"] = [each / 4 for each in parts["score"]]
    parts["weights"] = [each - 1 for each in parts["weights"]]
    prototypes = rng.normal(size=(1, 8, 16, 32)).astype(np.float32)
    outputs = flat(parts, planes)
    if sums:
        outputs |= {f"sum_{s}": outputs[f"score_{s}"].sum(axis=1 if planes else 2, keepdims=True) for s in range(3)}
    found = decoders.Yolo("split", score=0.8, masks=True).decode({"p": prototypes, **outputs}, FRAME, image)
    want = grids.decode(
        parts, [item_of(image)], (8, 16, 32), box="distributions", score=0.8, iou=0.45, offset=0.5,
        prototypes=prototypes, planes=grid_sizes() if planes else None,
    )  # fmt: skip
    assert isinstance(found, results.Instances)
    assert len(found) == len(want.masks) > 5
    same(found, want)
    for index, cut in enumerate(want.masks):
        np.testing.assert_array_equal(found.masks[index], cut.mask)
    with pytest.raises(DecoderError, match="masks need prototypes"):
        decoders.Yolo("split", masks=True).decode({"y": np.zeros((1, 168, 66), np.float32)}, FRAME, image)


def test_split__the_exporters_formula_of_poses() -> None:
    """nn/modules/head.py, Pose.kpts_decode: (2 raw + anchor - 0.5) stride, sigmoid; anchors are the middles of cells."""
    box, score, points = (np.zeros((1, numbers, 8, 16), np.float32) for numbers in (64, 1, 6))
    score[0, 0, 5, 7], place = 0.9, np.array([[59.0, 41.0, 0.7], [70.0, 30.0, 0.2]])
    raw = (place[:, :2] / 8 - [7, 5]) / 2
    points[0, :, 5, 7] = np.column_stack([raw, np.log(place[:, 2] / (1 - place[:, 2]))]).ravel()
    spec = decoders.Yolo("split", strides=(8,), points=2, point_values=3)
    found = spec.decode({"b": box, "s": score, "p": points}, NET, Letterbox(NET, "stretch"))
    np.testing.assert_allclose(found.points, [place], atol=1e-5)
    with pytest.raises(DecoderError, match="and points"):
        spec.decode({"b": box, "s": score, "p": points[:, :5]}, NET, Letterbox(NET, "stretch"))
    rows = np.zeros((1, 128, 65), np.float32)
    with pytest.raises(DecoderError, match="and as many rows of points is wanted"):
        spec.decode({"y": rows, "p": np.zeros((1, 127, 6), np.float32)}, NET, Letterbox(NET, "stretch"))


def test_split__the_published_formula() -> None:
    # Of one-hot distributions the mean is the bin: 3 strides to the left of the cell's middle, and so on.
    box, score = np.zeros((1, 128, 64), np.float32), np.zeros((1, 128, 2), np.float32)
    score[0, 5 * 16 + 7, 1] = 0.9
    for side, distance in enumerate((3, 1, 4, 2)):
        box[0, 5 * 16 + 7, side * 16 + distance] = 80
    outputs = {"b0": box, "s0": score, "b1": np.zeros((1, 32, 64), np.float32), "s1": np.zeros((1, 32, 2), np.float32)}
    found = decoders.Yolo("split", strides=(8, 16)).decode(outputs, NET, Letterbox(NET, "stretch"))
    np.testing.assert_allclose(found.boxes_xyxy, [[60 - 24, 44 - 8, 60 + 32, 44 + 16]], atol=1e-4)


def test_grids_name_what_does_not_fit() -> None:
    parts = parts_of(np.random.default_rng(0), {"score": 1, "box": 4}, per_cell=2)
    with pytest.raises(DecoderError, match=r"scrfd.*128x96"):
        decoders.Scrfd().decode(flat(parts), FRAME, Letterbox((128, 96)))
    with pytest.raises(DecoderError, match="of 2 sizes, the option strides has 3"):
        decoders.Scrfd().decode({k: v for k, v in flat(parts).items() if not k.endswith("2")}, FRAME, IMAGES[0])
    with pytest.raises(DecoderError, match="boxes of 4 numbers"):
        decoders.Scrfd().decode({k: v for k, v in flat(parts).items() if k != "box_1"}, FRAME, IMAGES[0])
    with pytest.raises(ArgumentError, match="strides"):
        decoders.Scrfd(strides=(0.5,))


# ---- RetinaFace, DETR, SimCC, regression, maps


@pytest.mark.parametrize("batched", [True, False])
@pytest.mark.parametrize("activation", ["none", "softmax"])
def test_retinaface(batched: bool, activation: str) -> None:
    rng = np.random.default_rng(9)
    count = len(retinaface.priors(NET, (8, 16, 32), retinaface.MIN_SIZES))
    boxes, points = (
        rng.normal(size=(1, count, 4)).astype(np.float32),
        rng.normal(size=(1, count, 10)).astype(np.float32),
    )
    scores = rng.random((1, count, 2)).astype(np.float32)
    want = retinaface.decode(boxes, scores, points, [item_of(IMAGES[0])], score=0.6, iou=0.4, activation=activation)
    outputs = {"loc": boxes, "conf": scores, "landms": points}
    if not batched:
        outputs = {name: array[0] for name, array in outputs.items()}
    spec = decoders.RetinaFace(score=0.6, activation=activation)
    found = spec.decode(outputs, FRAME, items=[decoders.batch_item(IMAGES[0], FRAME)])
    assert len(found) > 5
    same(found, want)
    with pytest.raises(DecoderError, match="priors"):
        spec.decode(outputs, FRAME, items=[decoders.batch_item(Letterbox((64, 64)), FRAME)])


def test_retinaface__a_known_face_comes_back() -> None:
    priors = retinaface.priors(NET, (8, 16, 32), retinaface.MIN_SIZES)
    index, box = 300, np.array([30, 12, 60, 52.0])
    middle, side = priors[index, :2], priors[index, 2]
    boxes, scores, points = (np.zeros((1, len(priors), n), np.float32) for n in (4, 2, 10))
    scores[0, index, 1] = 0.8
    boxes[0, index] = np.concatenate(
        [((box[:2] + box[2:]) / 2 - middle) / 0.1 / side, np.log((box[2:] - box[:2]) / side) / 0.2]
    )
    marks = np.array([[40, 20], [50, 20], [45, 30], [40, 40], [50, 40.0]])
    points[0, index] = ((marks - middle) / 0.1 / side).ravel()
    found = decoders.RetinaFace().decode({"l": boxes, "c": scores, "p": points}, NET, Letterbox(NET, "stretch"))
    np.testing.assert_allclose(found.boxes_xyxy, [box], atol=1e-3)
    np.testing.assert_allclose(found.points[0], marks, atol=1e-3)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"activation": "softmax", "background": "last"},
        {"activation": "softmax", "background": "first"},
        {"activation": "none"},
    ],
)
@pytest.mark.parametrize("units", ["relative", "pixels"])
def test_detr(options: dict[str, str], units: str) -> None:
    rng = np.random.default_rng(11)
    logits, boxes = rng.normal(size=(1, 40, 6)).astype(np.float32), rng.random((1, 40, 4)).astype(np.float32)
    if options.get("activation") == "none":
        logits = np.clip(np.abs(logits) / 3, 0, 1)
    if units == "pixels":
        boxes *= 60
    want = detr.decode(logits, boxes, [item_of(IMAGES[0])], score=0.4, units=units, **options)
    spec = decoders.Detr(score=0.4, units=units, **options)
    found = spec.decode({"logits": logits, "boxes": boxes}, FRAME, IMAGES[0])
    assert len(found) > 3
    same(found, want)
    joined = np.concatenate([boxes, logits], axis=2)
    assert spec.decode({"y": joined}, FRAME, IMAGES[0]).to_json() == found.to_json()
    assert spec.decode({"boxes": boxes, "logits": logits}, FRAME, IMAGES[0]).to_json() == found.to_json()


@pytest.mark.parametrize("confidence", ["smaller", "mean"])
@pytest.mark.parametrize("image", IMAGES, ids=["letterbox", "crop", "turned"])
def test_simcc(confidence: str, image: Any) -> None:
    rng = np.random.default_rng(12)
    x, y = rng.random((1, 17, 2 * NET[0])).astype(np.float32), rng.random((1, 17, 2 * NET[1])).astype(np.float32)
    want = simcc.decode(x, y, [item_of(image)], confidence=confidence)
    found = decoders.SimCC(confidence=confidence).decode({"simcc_x": x, "simcc_y": y}, FRAME, image)
    assert isinstance(found, results.Keypoints)
    np.testing.assert_array_equal(found.points, want)
    np.testing.assert_allclose(found.scores, want[..., 2].mean(axis=1), rtol=1e-6)


def test_simcc__a_known_body_comes_back() -> None:
    points = np.array([[10, 20], [100.5, 33.5], [0, 63.5]])
    x, y = np.zeros((1, 3, 256), np.float32), np.zeros((1, 3, 128), np.float32)
    for k, (u, v) in enumerate((points * 2).astype(int)):
        x[0, k, u], y[0, k, v] = 0.9, 0.8
    found = decoders.SimCC().decode({"x": x, "y": y}, NET, Letterbox(NET, "stretch"))
    np.testing.assert_array_equal(found.points[0, :, :2], points)
    np.testing.assert_allclose(found.points[0, :, 2], 0.8)


def test_regression__numbers_and_expectations() -> None:
    rng = np.random.default_rng(13)
    outputs = {name: rng.normal(size=(2, 66)).astype(np.float32) for name in ("yaw", "pitch", "roll")}
    spec = decoders.Regression(mode="expectation", scale=3, offset=-99, quantities=("yaw", "pitch", "roll"), unit="deg")
    found = spec.decode(outputs, FRAME)
    assert isinstance(found, results.Measurements)
    np.testing.assert_allclose(
        found.values, regression.decode(list(outputs.values()), mode="expectation", scale=3, offset=-99), rtol=1e-6
    )
    assert found.items.tolist() == [0, 1]
    assert found.labels[0].startswith("yaw [deg] ")
    assert len(found.to_json()[0]["values"]) == 3
    assert found.draw(np.zeros((90, 150, 3), np.uint8)).any()
    shares = np.exp(outputs["yaw"]) / np.exp(outputs["yaw"]).sum(axis=1, keepdims=True)
    by_shares = decoders.Regression(mode="probabilities").decode({"age": shares}, FRAME)
    np.testing.assert_allclose(by_shares.values, regression.decode([shares], mode="probabilities"), rtol=1e-6)
    np.testing.assert_allclose(by_shares.values, regression.decode([outputs["yaw"]], mode="expectation"), rtol=1e-5)
    plain = decoders.Regression(scale=100).decode({"age": np.array([[0.31]], np.float32)}, FRAME)
    np.testing.assert_allclose(plain.values, [[31]])
    assert decoders.from_dict(spec.to_dict()) == spec


@pytest.mark.parametrize("image", IMAGES, ids=["letterbox", "crop", "turned"])
@pytest.mark.parametrize("shape", [(1, 1, 16, 32), (1, 3, 9, 7), (1, 64, 128)])
def test_maps_lie_where_the_definition_says(image: Any, shape: tuple[int, ...]) -> None:
    values = np.random.default_rng(14).normal(size=shape).astype(np.float32)
    planes = values.reshape(-1, *shape[-2:])
    item = item_of(image)
    found = decoders.Maps(size="frame", scale=2, offset=1, unit="m").decode({"y": values}, FRAME, image)
    assert isinstance(found, results.Maps)
    want, (left, top) = maps.over_frame(maps.scaled(planes, scale=2, offset=1), item)
    np.testing.assert_array_equal(found.maps[0], want)
    np.testing.assert_array_equal(found.to_frame(), [[1, 0, left], [0, 1, top], [0, 0, 1]])
    assert found.unit == "m"
    own = decoders.Maps().decode({"y": values}, FRAME, image)
    if image is IMAGES[2]:
        np.testing.assert_array_equal(own.maps[0], planes)
    # A pixel's middle goes where the matrix says, and what is there came from it.
    spread = own.over_frame()
    m = own.to_frame().astype(np.float64)
    height, width = own.maps[0].shape[1:]
    x, y = width // 2, height // 2
    u, v, w = m @ [x + 0.5, y + 0.5, 1]
    assert spread[int(v / w), int(u / w)] == own.maps[0][0, y, x]
    assert own.draw(np.zeros((90, 150, 3), np.uint8)).any()


# ---- MTCNN


def test_mtcnn_windows_give_back_what_was_encoded() -> None:
    """Inverse of bbreg.m: each side's distance from the window's, in windows; marks from the window's corner."""
    faces = np.array([[10.5, 4, 25, 19.5], [60, 30, 70, 43]])
    cells = np.array([[6, 3], [30, 16]])
    scores, boxes = np.zeros((1, 2, 27, 59), np.float32), np.zeros((1, 4, 27, 59), np.float32)
    for face, (x, y) in zip(faces, cells, strict=True):
        window = np.array([x * 2, y * 2, x * 2 + 12, y * 2 + 12])
        boxes[0, :, y, x] = (face - window) / 12
        scores[0, 1, y, x] = 0.9
    found = decoders.Mtcnn().decode({"reg": boxes, "prob": scores}, NET)
    np.testing.assert_allclose(found.boxes_xyxy, faces, atol=1e-5)
    crop = (48, 48)
    face, marks = np.array([3.0, -2.0, 44.0, 50.0]), np.array([[15.0, 20], [33, 20], [24, 29], [17, 38], [31, 38]])
    outputs = {
        "marks": (marks / 48).T.reshape(1, -1).astype(np.float32),
        "prob": np.array([[0.02, 0.98]], np.float32),
        "reg": ((face - [0, 0, 48, 48]) / 48).astype(np.float32)[None],
    }
    found = decoders.Mtcnn(clip=False).decode(outputs, crop)
    np.testing.assert_allclose(found.boxes_xyxy, [face], atol=1e-5)
    np.testing.assert_allclose(found.points, [marks], atol=1e-5)


@pytest.mark.parametrize("image", IMAGES, ids=["letterbox", "crop", "turned"])
@pytest.mark.parametrize("grid", [(27, 59), (1, 1), ()])
@pytest.mark.parametrize("activation", ["none", "softmax"])
@pytest.mark.parametrize("marks", [False, True])
def test_mtcnn_is_its_definition(image: Any, grid: tuple[int, ...], activation: str, marks: bool) -> None:
    rng = np.random.default_rng(17)
    outputs = {
        "reg": rng.normal(size=(2, 4, *grid)).astype(np.float32) * 0.2,
        "prob": rng.uniform(0.2 if grid == (27, 59) else 0.6, 1, (2, 2, *grid)).astype(np.float32),
        "marks": rng.random((2, 10, *grid)).astype(np.float32),
    }
    if not marks:
        del outputs["marks"]
    options: dict[str, Any] = {"activation": activation, "score": 0.3, "max_detections": 40}
    found = decoders.Mtcnn(**options).decode(outputs, FRAME, image)
    items = [item_of(image)._replace(item=k) for k in range(2)]
    want = mtcnn.decode(outputs["prob"], outputs["reg"], outputs.get("marks"), items, **options)
    assert len(found) > 0
    same(found, want, exact=activation == "none")
    if grid:
        turned = {name: np.ascontiguousarray(np.moveaxis(x, 1, -1)) for name, x in outputs.items()}
        last = decoders.Mtcnn(layout="NHWC", **options).decode(turned, FRAME, image)
        assert last.to_json() == found.to_json()


def test_mtcnn__what_does_not_fit() -> None:
    reg, prob = np.zeros((1, 4, 5, 5), np.float32), np.zeros((1, 2, 5, 5), np.float32)
    for outputs, words in [
        ({"a": reg, "b": reg}, "scores of 2, boxes of 4"),
        ({"a": reg, "b": prob[:, :, :4]}, "all .* of one size"),
        ({"a": prob, "b": np.zeros((1, 10, 5, 5), np.float32)}, "one of them is missing"),
        ({"a": reg, "b": prob + 1.5}, "a probability is at most 1"),
    ]:
        with pytest.raises(DecoderError, match=words):
            decoders.Mtcnn().decode(outputs, NET)
    prob[0, 0, 1, 1] = np.nan
    with pytest.raises(DecoderError, match="NaN"):
        decoders.Mtcnn().decode({"a": reg, "b": prob}, NET)
    assert len(decoders.Mtcnn().decode({"a": reg, "b": np.zeros_like(prob)}, NET)) == 0


@pytest.mark.parametrize("columns", [*range(1, 20), 33, 149, 400])
@pytest.mark.parametrize("mirrored", [False, True])
def test_maps_as_wide_as_the_frame_are_the_definitions_at_every_width(columns: int, mirrored: bool) -> None:
    values = np.random.default_rng(columns).normal(size=(1, 1, 5, columns)).astype(np.float32)
    sign = -1 if mirrored else 1  # a crop that was turned by half, as cascades turn lines of text
    placed = np.array([[sign * 150 / 128, 0, 150 * mirrored], [0, sign * 90 / 64, 90 * mirrored], [0, 0, 1]])
    found = decoders.Maps(size="frame").decode({"y": values}, FRAME, placed)
    want, _ = maps.over_frame(values[0], item_of(placed))
    assert want.shape[1:] == (90, 150)
    np.testing.assert_array_equal(found.maps[0], want)


def test_maps__pictures_and_alpha() -> None:
    values = np.random.default_rng(15).random((1, 3, 32, 64)).astype(np.float32) * 1.2 - 0.1
    found = decoders.Maps(output="picture", scale=255).decode({"y": values}, FRAME)
    assert found.maps[0].shape == (32, 64, 3)
    np.testing.assert_array_equal(found.maps[0], maps.picture(maps.scaled(values[0], scale=255)))
    alpha = decoders.Maps(activation="sigmoid").decode({"y": values[:, :1]}, FRAME)
    np.testing.assert_array_equal(alpha.maps[0], maps.scaled(values[0, :1], activation="sigmoid"))
    values[0, 0, 3, 4] = np.nan
    with pytest.raises(DecoderError, match="NaN"):
        decoders.Maps().decode({"y": values}, FRAME)
    with pytest.raises(DecoderError, match="1, 3 or 4 channels"):
        decoders.Maps(output="picture").decode({"y": values[:, :2]}, FRAME)


# ---- outputs without a batch, and axes the other way round


def test_outputs_without_a_batch_are_those_of_one_item() -> None:
    rng = np.random.default_rng(16)
    where = [decoders.batch_item(Letterbox(NET, "stretch"), FRAME)]
    cases: list[tuple[Any, dict[str, tuple[int, ...]]]] = [
        (decoders.Yolo(score=0.9), {"y": (1, 7, 40)}),
        (decoders.Yolo("v5", score=0.5), {"y": (1, 40, 7)}),
        (decoders.Yolo("yolox", score=0.5), {"y": (1, 168, 8)}),
        (decoders.Detr(score=0.6), {"logits": (1, 20, 5), "boxes": (1, 20, 4)}),
        (decoders.RetinaFace(score=0.9), {"boxes": (1, 336, 4), "scores": (1, 336, 2), "points": (1, 336, 10)}),
        (decoders.SimCC(), {"x": (1, 5, 256), "y": (1, 5, 128)}),
        (decoders.YoloFastestV2(score=0.5), {"a": (1, 4, 8, 17), "b": (1, 2, 4, 17)}),
        (decoders.Maps(), {"y": (1, 16, 32)}),
    ]
    for spec, shapes in cases:
        outputs = {name: rng.random(shape).astype(np.float32) for name, shape in shapes.items()}
        batched = spec.decode(outputs, FRAME, items=where)
        bare = spec.decode({name: array[0] for name, array in outputs.items()}, FRAME, items=where)
        assert len(batched) > 0, spec
        assert bare.to_json() == batched.to_json(), spec
        alone = {name: array[0] for name, array in outputs.items()}
        assert spec.decode(alone, FRAME, Letterbox(NET, "stretch")).to_json() == batched.to_json(), spec
        with pytest.raises(DecoderError):
            spec.decode({name: array[0] for name, array in outputs.items()}, FRAME, items=where * 2)


def test_key_points_with_y_first() -> None:
    points = np.random.default_rng(17).random((1, 1, 17, 3)).astype(np.float32)
    swapped = np.ascontiguousarray(points[..., [1, 0, 2]])
    options: dict[str, Any] = {"mode": "regressed", "values": 3, "units": "relative"}
    found = decoders.Keypoints(**options, order="yx").decode({"y": swapped}, FRAME, IMAGES[0])
    np.testing.assert_array_equal(
        found.points, decoders.Keypoints(**options).decode({"y": points}, FRAME, IMAGES[0]).points
    )


@pytest.mark.parametrize("batched", [True, False])
def test_texts_with_symbols_before_time(batched: bool) -> None:
    steps = np.random.default_rng(18).random((1, 12, 6)).astype(np.float32)
    keys = ["a", "b", "c", "d", "e"]
    turned = np.ascontiguousarray(steps.transpose(0, 2, 1))
    spec = decoders.Ctc(keys=keys, symbols_first=True, blank="last")
    found = spec.decode({"y": turned if batched else turned[0]}, FRAME)
    assert found.to_json() == decoders.Ctc(keys=keys, blank="last").decode({"y": steps}, FRAME).to_json()
    assert found.text[0]
