"""Detection heads: native against their definitions, and known boxes encoded by the published formulas and back."""

import cv2
import numpy as np
import pytest

from helpers.decoding import (
    BOXES,
    CLASSES,
    NET,
    QUAD,
    SCORES,
    Letterbox,
    check_boxes,
    items_for,
    logit,
    same_detections,
)
from mnnlite import decoders, results
from mnnlite.errors import ArgumentError, DecoderError
from mnnlite.reference.decode import centerface, nanodet, ssd, yolo, yolofastestv2

STRETCH = Letterbox(NET, "stretch")
FRAME = (640, 480)
SCALE = (2, 1.5)
IMAGES = [None, Letterbox((128, 96)), QUAD]


def centers(boxes):
    return np.concatenate([(boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]], axis=1)


def random(*shape, seed=0, dtype=np.float32):
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


def scores_of(*shape, seed=1):
    return np.random.default_rng(seed).random(shape).astype(np.float32) ** 3


# ---- YOLO: encode


def test_yolov8_gives_back_what_was_encoded():
    head = np.zeros((1, 4 + 5, 100), np.float32)
    for k, (box, class_id, score) in enumerate(zip(centers(BOXES), CLASSES, SCORES, strict=True)):
        head[0, :4, 7 * k] = box
        head[0, 4 + class_id, 7 * k] = score
    for tensor, options in (
        (head, {}),
        (head.transpose(0, 2, 1), {}),
        (head.transpose(0, 2, 1), {"channels": "last"}),
        (head[:, None], {}),
    ):
        check_boxes(decoders.Yolo(version="v8", **options).decode({"y": tensor}, FRAME, STRETCH), SCALE)
    relative = head.copy()
    relative[0, :4] /= 320
    check_boxes(decoders.Yolo(units="relative").decode({"y": relative}, FRAME, STRETCH), SCALE)


def test_yolov5_flat_gives_back_what_was_encoded():
    head = np.zeros((1, 60, 5 + 4), np.float32)
    head[0, [3, 10, 30, 59], :4] = centers(BOXES)
    head[0, [3, 10, 30, 59], 4] = SCORES
    head[0, [3, 10, 30, 59], 5 + CLASSES] = 1
    check_boxes(decoders.Yolo(version="v5").decode({"y": head}, FRAME, STRETCH), SCALE)
    check_boxes(decoders.Yolo(version="v5").decode({"y": head[0]}, FRAME, STRETCH), SCALE)


@pytest.mark.parametrize("version", ["v3", "v5"])
@pytest.mark.parametrize("five_axes", [False, True])
def test_yolo_grids_give_back_what_was_encoded(version, five_axes):
    """Inverse of v3: bx = sigmoid(tx) + cx, bw = anchor e^tw; of v5: bx = 2 sigmoid(tx) - 0.5 + cx, bw = anchor (2 sigmoid(tw))^2."""
    anchors = np.reshape(yolo.COCO_ANCHORS, (3, 3, 2))
    grids = [np.full((1, 3, 320 // stride, 320 // stride, 5 + 4), -9.0, np.float32) for stride in (8, 16, 32)]
    for k, ((cx, cy, w, h), class_id, score) in enumerate(zip(centers(BOXES), CLASSES, SCORES, strict=True)):
        g, a = k % 3, 2
        stride = (8, 16, 32)[g]
        fits = np.abs(np.log(np.array([w, h]) / anchors)).max(axis=2)
        if version == "v5":  # sizes up to four times the anchor can be said
            g, a = np.unravel_index(fits.argmin(), fits.shape)
            stride = (8, 16, 32)[g]
        x, y = cx / stride, cy / stride
        column, row = int(x), int(y)
        cell = grids[g][0, a, row, column]
        if version == "v3":
            cell[:4] = (
                logit(max(x - column, 1e-6)),
                logit(max(y - row, 1e-6)),
                np.log(w / anchors[g, a, 0]),
                np.log(h / anchors[g, a, 1]),
            )
        else:
            cell[:2] = logit((x - column + 0.5) / 2), logit((y - row + 0.5) / 2)
            cell[2:4] = logit(np.sqrt(w / anchors[g, a, 0]) / 2), logit(np.sqrt(h / anchors[g, a, 1]) / 2)
        cell[4], cell[5 + class_id] = logit(score), 30
    if not five_axes:
        grids = [g.transpose(0, 1, 4, 2, 3).reshape(1, 27, *g.shape[2:4]) for g in grids]
    outputs = {name: grids[i] for name, i in (("c", 2), ("a", 0), ("b", 1))}  # any order
    found = decoders.Yolo(version=version).decode(outputs, FRAME, STRETCH)
    check_boxes(found, SCALE, tolerance=2e-3)


def test_yolox_gives_back_what_was_encoded():
    """Inverse of xy = (raw + cell) stride, wh = e^raw stride."""
    head = np.zeros((1, 40 * 40 + 20 * 20 + 10 * 10, 5 + 4), np.float32)
    first = {8: 0, 16: 1600, 32: 2000}
    for k, ((cx, cy, w, h), class_id, score) in enumerate(zip(centers(BOXES), CLASSES, SCORES, strict=True)):
        stride = (8, 16, 32)[k % 3]
        x, y = cx / stride, cy / stride
        row = head[0, first[stride] + int(y) * (320 // stride) + int(x)]
        row[:5] = x - int(x), y - int(y), np.log(w / stride), np.log(h / stride), 1
        row[5 + class_id] = score
    check_boxes(decoders.Yolo(version="yolox").decode({"y": head}, FRAME, STRETCH), SCALE)
    with pytest.raises(DecoderError, match=r"2100 cells, an input of 640x480"):
        decoders.Yolo(version="yolox").decode({"y": head}, FRAME)


def test_yolo_end2end_gives_back_what_was_encoded():
    six = np.zeros((1, 300, 6), np.float32)
    six[0, :4] = np.column_stack([BOXES, SCORES, CLASSES])
    spec = decoders.Yolo(version="end2end")
    check_boxes(spec.decode({"y": six}, FRAME, STRETCH), SCALE)
    check_boxes(spec.decode({"y": six[0]}, FRAME, STRETCH), SCALE)
    seven = np.full((9, 7), -1, np.float32)
    seven[:4] = np.column_stack([np.zeros(4), BOXES, CLASSES, SCORES])
    check_boxes(spec.decode({"y": seven}, FRAME, STRETCH), SCALE)
    openvino = np.column_stack([np.zeros(4), CLASSES, SCORES, BOXES / 320]).astype(np.float32)[None, None]
    found = decoders.Yolo(version="end2end", columns="bcsxyxy", units="relative").decode(
        {"y": openvino}, FRAME, STRETCH
    )
    check_boxes(found, SCALE)


def test_end2end_rows_go_to_the_slot_they_name():
    rows = np.array([[0, 0, 0, 9, 9, 0, 0.9], [1, 5, 5, 20, 20, 1, 0.8]], np.float32)
    placed = decoders.batch_item(None, (64, 64))
    items = [placed._replace(item=10), placed._replace(item=20)]
    found = decoders.Yolo(version="end2end").decode({"y": rows}, (64, 64), items=items)
    np.testing.assert_array_equal(found.items, [10, 20])
    np.testing.assert_array_equal(found.class_ids, [0, 1])


def test_points_of_a_plate_head():
    """yolov5-face: x, y, w, h, objectness, 4 corners, classes."""
    head = np.zeros((1, 30, 5 + 8 + 2), np.float32)
    corners = np.array([[31, 45], [118, 41], [119, 190], [33, 199]], np.float32)
    head[0, 4, :4] = centers(BOXES[:1])[0]
    head[0, 4, 4] = 0.9
    head[0, 4, 5:13] = corners.ravel()
    head[0, 4, 14] = 0.8
    found = decoders.Yolo(version="v5", points=4).decode({"y": head}, FRAME, STRETCH)
    assert isinstance(found, results.Detections)
    np.testing.assert_allclose(found.points[0], corners * SCALE, rtol=1e-6)
    assert found.class_ids.tolist() == [1]
    np.testing.assert_allclose(found.scores, [0.72], atol=1e-6)


def test_poses_are_key_points_with_confidences():
    head = np.zeros((1, 4 + 1 + 3 * 3, 50), np.float32)
    marks = np.array([[50, 60, 0.9], [70, 90, 0.5], [100, 150, 0.1]], np.float32)
    head[0, :4, 9] = centers(BOXES[:1])[0]
    head[0, 4, 9] = 0.9
    head[0, 5:, 9] = marks.ravel()
    found = decoders.Yolo(points=3, point_values=3).decode({"y": head}, FRAME, STRETCH)
    assert isinstance(found, results.Keypoints)
    np.testing.assert_allclose(found.points[0], marks * [*SCALE, 1], rtol=1e-6)


@pytest.mark.parametrize("version", ["v8", "v5", "end2end"])
def test_points_in_pixels_beside_relative_boxes(version):
    """The exporter's TFLite: boxes are shares of the network's input, points are its pixels."""
    rng = np.random.default_rng(4)
    rows = rng.random((2, 40, {"v8": 14, "v5": 15, "end2end": 15}[version])).astype(np.float32)
    rows[..., 2:4] += rows[..., :2] if version == "end2end" else 0
    if version == "end2end":
        rows[..., 5] = 0
    at = slice(5, 14) if version == "v8" else slice(5, 14) if version == "v5" else slice(6, 15)
    points = rows[..., at].reshape(2, 40, 3, 3)
    points[..., :2] *= NET[0]
    options = {"points": 3, "point_values": 3, "score": 0.3}
    pixels = rows.copy()
    pixels[..., :4] *= NET[0]
    head, equal = (array.transpose(0, 2, 1) if version == "v8" else array for array in (rows, pixels))
    found = decoders.Yolo(version, units="relative", point_units="pixels", **options).decode(
        {"y": head}, FRAME, STRETCH
    )
    other = decoders.Yolo(version, **options).decode({"y": equal}, FRAME, STRETCH)
    assert len(found) == len(other) > 5
    np.testing.assert_allclose(found.points, other.points, atol=1e-3)
    np.testing.assert_allclose(found.boxes_xyxy, other.boxes_xyxy, atol=1e-3)
    decode = {"v8": yolo.decode_v8, "v5": yolo.decode_flat, "end2end": yolo.decode_end2end}[version]
    want = decode(head, items_for(STRETCH, FRAME, 2), units="relative", point_units="pixels", **options)
    same_detections(found, want, 1e-6, 1e-3)


def test_turned_boxes_have_no_points_of_other_units():
    with pytest.raises(ArgumentError, match="turned boxes have the units of boxes"):
        decoders.Yolo(rotated=True, units="relative", point_units="pixels")


def test_rotated_boxes_give_back_what_was_encoded():
    head = np.zeros((1, 4 + 2 + 1, 40), np.float32)
    angle = 0.4
    head[0, :, 5] = 160, 150, 120, 40, 0.1, 0.9, angle
    head[0, :, 9] = 160, 150, 120, 40, 0.1, 0.8, angle + np.pi / 2  # a cross: little overlap though the boxes agree
    found = decoders.Yolo(rotated=True, iou=0.4).decode({"y": head}, (320, 320), STRETCH)
    assert len(found) == 2
    c, s = np.cos(angle), np.sin(angle)
    local = np.array([(-60, -20), (60, -20), (60, 20), (-60, 20)])
    expected = np.array([160, 150]) + local @ np.array([[c, s], [-s, c]])
    np.testing.assert_allclose(found.points[0], expected, atol=1e-3)
    np.testing.assert_allclose(found.boxes_xyxy[0], [*expected.min(axis=0), *expected.max(axis=0)], atol=1e-3)


# ---- YOLO: equality


@pytest.mark.parametrize("image", IMAGES)
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"nms": "soft", "score": 0.4},
        {"nms": "weighted", "agnostic": True},
        {"points": 2},
        {"points": 2, "nms": "weighted"},
        {"rotated": True},
        {"activation": "sigmoid", "score": 0.7},
        {"top_k": 40, "max_detections": 7, "clip": False},
    ],
)
def test_yolov8_equals_its_definition(image, options):
    extra = 1 if options.get("rotated") else 4 if options.get("points") else 0
    head = np.concatenate(
        [
            np.random.default_rng(2).random((2, 2, 400)) * 100,
            np.random.default_rng(3).random((2, 2, 400)) * 30,
            scores_of(2, 6, 400),
            np.random.default_rng(4).random((2, extra, 400)) * 100,
        ],
        axis=1,
    ).astype(np.float32)
    options = {"score": 0.6, **options}
    got = decoders.Yolo(**options).decode({"y": head}, FRAME, image)
    want = yolo.decode_v8(head, items_for(image, FRAME, 2), **options)
    assert len(want.scores) > 10
    same_detections(got, want, point_tolerance=1e-4 if "rotated" in options else 0)


@pytest.mark.parametrize("image", IMAGES)
def test_yolov5_equals_its_definition(image):
    flat = np.concatenate([np.random.default_rng(1).random((2, 300, 4)) * 100, scores_of(2, 300, 9) ** 0.2], axis=2)
    flat = flat.astype(np.float32)
    for options in ({"score": 0.7}, {"score": 0.7, "points": 2}):
        got = decoders.Yolo(version="v5", **options).decode({"y": flat}, FRAME, image)
        same_detections(got, yolo.decode_flat(flat, items_for(image, FRAME, 2), **options))
    for version in ("v3", "v5"):
        grids = [random(2, 3 * 9, 12 // step, 16 // step, seed=step) for step in (1, 2, 4)]
        grids[2] = grids[2].reshape(2, 3, 9, 3, 4).transpose(0, 1, 3, 4, 2)
        got = decoders.Yolo(version=version, score=0.5).decode(dict(zip("abc", grids, strict=True)), FRAME, image)
        want = yolo.decode_grids(grids, items_for(image, FRAME, 2), version=version, score=0.5)
        assert len(want.scores) > 20
        same_detections(got, want)


def test_yolox_and_end2end_equal_their_definitions():
    image = Letterbox((128, 96))
    head = np.concatenate([random(2, 16 * 12 + 8 * 6 + 4 * 3, 4), scores_of(2, 252, 7) ** 0.3], axis=2)
    got = decoders.Yolo(version="yolox", score=0.5).decode({"y": head}, FRAME, image)
    want = yolo.decode_yolox(head, items_for(image, FRAME, 2), score=0.5)
    assert len(want.scores) > 20
    same_detections(got, want)
    rows = np.concatenate(
        [np.random.default_rng(5).random((2, 50, 4)) * 100, scores_of(2, 50, 1), np.ones((2, 50, 1))], axis=2
    )
    got = decoders.Yolo(version="end2end", score=0.1).decode({"y": rows}, FRAME, image)
    same_detections(got, yolo.decode_end2end(rows.astype(np.float32), items_for(image, FRAME, 2), score=0.1))


@pytest.mark.parametrize("dtype", [np.float16, np.float64])
def test_yolo_reads_other_floats(dtype):
    head = np.zeros((1, 4 + 5, 100), dtype)
    for k, (box, class_id, score) in enumerate(zip(centers(BOXES), CLASSES, SCORES, strict=True)):
        head[0, :4, 7 * k] = box
        head[0, 4 + class_id, 7 * k] = score
    found = decoders.Yolo().decode({"y": head}, FRAME, STRETCH)
    np.testing.assert_allclose(found.boxes_xyxy, BOXES * np.tile(SCALE, 2), atol=0.3)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_bad_numbers_in_yolo_heads_name_the_tensor(bad):
    for version, shape, place in (
        ("v8", (1, 9, 2000), (0, 8, 1999)),
        ("v8", (1, 2000, 9), (0, 3, 7)),
        ("v5", (1, 40, 9), (0, 39, 4)),
        ("end2end", (1, 10, 6), (0, 9, 4)),
    ):
        head = np.zeros(shape, np.float32)
        head[place] = bad
        with pytest.raises(DecoderError, match='"out"'):
            decoders.Yolo(version=version).decode({"out": head}, FRAME, STRETCH)
    head = np.zeros((1, 9, 2000), np.float32)
    head[0, 4, 3] = 0.9
    head[0, 2, 3] = bad  # the box of a survivor
    with pytest.raises(DecoderError, match='"out".*candidate 3'.replace(".*", "[^\n]*")):
        decoders.Yolo().decode({"out": head}, FRAME, STRETCH)


def test_yolo_refuses_what_does_not_fit():
    with pytest.raises(ArgumentError, match="version"):
        decoders.Yolo(version="v99")
    with pytest.raises(ArgumentError, match="rotated"):
        decoders.Yolo(version="v5", rotated=True)
    with pytest.raises(DecoderError, match=r"\[1, 3, 100\]"):
        decoders.Yolo().decode({"y": np.zeros((1, 3, 100), np.float32)}, FRAME)
    with pytest.raises(DecoderError, match="columns"):
        decoders.Yolo(version="end2end", columns="xysc").decode({"y": np.zeros((1, 3, 4), np.float32)}, FRAME)


# ---- SSD


def test_ssd_corners_and_centers_give_back_what_was_encoded():
    scores = np.zeros((1, 20, 5), np.float32)
    scores[..., 0] = 1  # background
    boxes = np.zeros((1, 20, 4), np.float32)
    scores[0, :4] = 0
    scores[0, np.arange(4), 1 + CLASSES] = SCORES
    boxes[0, :4] = BOXES / 320
    check_boxes(decoders.Ssd(background=0).decode({"s": scores, "b": boxes}, FRAME, STRETCH), SCALE)
    check_boxes(decoders.Ssd(background=0).decode({"b": boxes, "s": scores}, FRAME, STRETCH), SCALE)
    swapped = boxes[..., [1, 0, 3, 2]]
    check_boxes(decoders.Ssd(background=0, order="yx").decode({"s": scores, "b": swapped}, FRAME, STRETCH), SCALE)
    boxes[0, :4] = centers(BOXES)
    found = decoders.Ssd(background=0, boxes="centers", units="pixels").decode(
        {"s": scores, "b": boxes}, FRAME, STRETCH
    )
    check_boxes(found, SCALE)


@pytest.mark.parametrize("given", [True, False])
def test_ssd_deltas_give_back_what_was_encoded(given):
    """Inverse of SSD: dx = (x - anchor x) / (anchor w * variance), dw = log(w / anchor w) / variance."""
    layout = {"strides": (32, 64, 128), "aspect_ratios": (1, 2, 0.5)}
    anchors = ssd.make_anchors(input_size=NET, **layout)
    scores, deltas = np.full((1, len(anchors), 4), -9, np.float32), np.zeros((1, len(anchors), 4), np.float32)
    for (cx, cy, w, h), class_id, score in zip(centers(BOXES) / 320, CLASSES, SCORES, strict=True):
        k = int(np.abs(anchors - [cx, cy, w, h]).sum(axis=1).argmin())
        ax, ay, aw, ah = anchors[k].astype(np.float64)
        deltas[0, k] = (cx - ax) / aw / 0.1, (cy - ay) / ah / 0.1, np.log(w / aw) / 0.2, np.log(h / ah) / 0.2
        scores[0, k, class_id] = logit(score)
    options = {"anchors": tuple(anchors.ravel().tolist())} if given else layout
    found = decoders.Ssd(boxes="deltas", activation="sigmoid", **options).decode(
        {"s": scores, "b": deltas}, FRAME, STRETCH
    )
    check_boxes(found, SCALE)


def test_mediapipe_faces_give_back_what_was_encoded():
    """Inverse of MediaPipe: raw = (x - anchor x) * 128 for centres and marks, raw = w * 128 for sizes."""
    spec = decoders.Ssd.mediapipe_face()
    anchors = ssd.make_anchors((8, 16, 16, 16), (128, 128), fixed_anchor_size=True)
    assert len(anchors) == 896
    np.testing.assert_allclose(anchors[:3, :2], [[1 / 32, 1 / 32], [1 / 32, 1 / 32], [3 / 32, 1 / 32]])
    scores, raw = np.full((1, 896, 1), -9, np.float32), np.zeros((1, 896, 16), np.float32)
    box, marks = np.array([0.5, 0.4, 0.3, 0.2]), np.linspace(0.4, 0.6, 12).reshape(6, 2)
    for k, weight in ((200, 0.9), (201, 0.6)):  # the same face from two anchors: averaged
        raw[0, k] = np.concatenate([box[:2] - anchors[k, :2], box[2:], (marks - anchors[k, :2]).ravel()]) * 128
        scores[0, k] = logit(weight)
    found = spec.decode({"c": scores, "r": raw}, (640, 480), Letterbox((128, 128), "stretch"))
    assert len(found) == 1
    np.testing.assert_allclose(found.boxes_xyxy[0], np.array([0.35, 0.3, 0.65, 0.5]) * [640, 480, 640, 480], atol=1e-3)
    np.testing.assert_allclose(found.points[0], marks * [640, 480], atol=1e-3)
    np.testing.assert_allclose(found.scores, [0.9], atol=1e-6)


@pytest.mark.parametrize("image", IMAGES)
@pytest.mark.parametrize("nms", ["hard", "soft", "weighted"])
@pytest.mark.parametrize("activation", ["none", "sigmoid", "softmax"])
@pytest.mark.parametrize("multi_label", [False, True])
def test_ssd_equals_its_definition(image, nms, activation, multi_label):
    layout = {"strides": (48, 96), "aspect_ratios": (1, 2)}
    size = decoders.batch_item(image, FRAME).net_size
    anchors = ssd.make_anchors(input_size=size, **layout)
    scores = random(2, len(anchors), 3, seed=8) if activation != "none" else scores_of(2, len(anchors), 3)
    deltas = random(2, len(anchors), 4 + 4, seed=9)
    options = {"nms": nms, "activation": activation, "background": 1, "points": 2, "score": 0.6, "max_detections": 50}
    options |= {"score": 0.45, "multi_label": True} if multi_label else {}
    got = decoders.Ssd(boxes="deltas", input_size=size, **layout, **options).decode(
        {"s": scores, "b": deltas}, FRAME, image
    )
    want = ssd.decode(scores, deltas, items_for(image, FRAME, 2), box_kind="deltas", anchors=anchors, **options)
    assert len(want.scores) > 3
    same_detections(got, want)


def test_ssd_with_several_labels_is_suppression_class_by_class():
    """Each class on its own, as Liu et al. 2016 do it: what OpenCV keeps of the class's boxes."""
    rng = np.random.default_rng(12)
    corner = rng.uniform(0, 250, (400, 2))
    boxes = np.column_stack([corner, corner + rng.uniform(20, 70, (400, 2))]).astype(np.float32)
    scores = rng.random((400, 4), np.float32)
    found = decoders.Ssd(multi_label=True, units="pixels", score=0.3, iou=0.4, max_detections=2000, top_k=2000).decode(
        {"s": scores[None], "b": boxes[None]}, NET, STRETCH
    )
    best = decoders.Ssd(units="pixels", score=0.3, iou=0.4, max_detections=2000, top_k=2000).decode(
        {"s": scores[None], "b": boxes[None]}, NET, STRETCH
    )
    assert len(found) > len(best)
    sides = np.column_stack([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]])
    for c in range(4):
        kept = np.sort(np.array(cv2.dnn.NMSBoxes(sides, scores[:, c], 0.3, 0.4)).ravel())
        np.testing.assert_array_equal(np.sort(found.scores[found.class_ids == c]), np.sort(scores[kept, c]))


@pytest.mark.parametrize("top_k", [3, 200])
def test_ssd_with_more_labels_than_there_is_room_for(top_k):
    """30 classes of 1000 anchors are more candidates than are held at once: the best are the same all the same."""
    rng = np.random.default_rng(13)
    scores = np.round(rng.random((1, 1000, 30), np.float32), 3)  # with ties
    boxes = np.tile(np.array([0.1, 0.1, 0.4, 0.4], np.float32), (1, 1000, 1)) + rng.uniform(0, 0.5, (1, 1000, 1))
    options = {"multi_label": True, "score": 0.05, "iou": 1.0, "top_k": top_k, "max_detections": 5000}
    got = decoders.Ssd(**options).decode({"s": scores, "b": boxes}, FRAME, STRETCH)
    want = ssd.decode(scores, boxes.astype(np.float32), items_for(STRETCH, FRAME, 1), **options)
    assert want.truncated
    assert len(want.scores) == top_k
    same_detections(got, want)
    boxes[0, 0, 2] = np.nan
    with pytest.raises(DecoderError, match='"b" gives candidate 0'):
        decoders.Ssd(**options).decode({"s": scores, "b": boxes}, FRAME, STRETCH)


def test_ssd_says_which_outputs_do_not_fit():
    spec = decoders.Ssd()
    with pytest.raises(DecoderError, match='20 boxes but "s" has 10'):
        spec.decode({"s": np.zeros((1, 10, 2), np.float32), "b": np.zeros((1, 20, 4), np.float32)}, FRAME)
    with pytest.raises(DecoderError, match="4 numbers an anchor"):
        spec.decode({"s": np.zeros((1, 10, 2), np.float32), "b": np.zeros((1, 10, 5), np.float32)}, FRAME)
    with pytest.raises(ArgumentError, match="needs anchors"):
        decoders.Ssd(boxes="deltas")
    with pytest.raises(DecoderError, match="anchors; check"):
        decoders.Ssd(boxes="deltas", strides=(32,)).decode(
            {"s": np.zeros((1, 7, 2), np.float32), "b": np.zeros((1, 7, 4), np.float32)}, FRAME
        )


# ---- NanoDet


def test_nanodet_gives_back_what_was_encoded():
    """A distance between two bins is their mean if all weight lies on them (Li et al. 2020, equation 6)."""
    strides = (8, 16, 32)
    outputs = {}
    per_stride = {
        s: (np.zeros((1, (320 // s) ** 2, 4), np.float32), np.full((1, (320 // s) ** 2, 32), -60, np.float32))
        for s in strides
    }
    for (x1, y1, x2, y2), class_id, score in zip(BOXES, CLASSES, SCORES, strict=True):
        stride = next(s for s in strides if max(x2 - x1, y2 - y1) / 2 < 6.5 * s)
        column, row = round((x1 + x2) / 2 / stride), round((y1 + y2) / 2 / stride)
        cell = row * (320 // stride) + column
        scores, bins = per_stride[stride]
        scores[0, cell, class_id] = score
        for side, distance in enumerate(
            (column * stride - x1, row * stride - y1, x2 - column * stride, y2 - row * stride)
        ):
            low, part = divmod(distance / stride, 1)
            bins[0, cell, side * 8 + int(low)] = np.log(1 - part)
            if part:
                bins[0, cell, side * 8 + int(low) + 1] = np.log(part)
    for stride in (16, 8, 32):
        outputs[f"dis{stride}"], outputs[f"cls{stride}"] = per_stride[stride][1], per_stride[stride][0]
    check_boxes(decoders.NanoDet(strides=strides).decode(outputs, FRAME, STRETCH), SCALE)
    joined = np.concatenate([np.concatenate(per_stride[s], axis=2) for s in strides], axis=1)
    check_boxes(decoders.NanoDet(strides=strides).decode({"y": joined}, FRAME, STRETCH), SCALE)
    with pytest.raises(DecoderError, match="cells"):
        decoders.NanoDet(strides=strides).decode({"y": joined}, FRAME)


@pytest.mark.parametrize("image", [Letterbox((128, 96)), Letterbox((100, 70), "stretch")])
@pytest.mark.parametrize("sigmoid", [False, True])
def test_nanodet_equals_its_definition(image, sigmoid):
    placed = decoders.batch_item(image, FRAME)
    cells = sum(-(-placed.net_size[0] // s) * -(-placed.net_size[1] // s) for s in (8, 16, 32, 64))
    scores = random(2, cells, 5) if sigmoid else scores_of(2, cells, 5)
    head = np.concatenate([scores, random(2, cells, 32, seed=4)], axis=2)
    options = {"score": 0.6, "sigmoid": sigmoid, "cell_offset": 0.5}
    got = decoders.NanoDet(**options).decode({"y": head}, FRAME, image)
    want = nanodet.decode(head, items_for(image, FRAME, 2), **options)
    assert len(want.scores) > 20
    same_detections(got, want)


# ---- Yolo-FastestV2


def test_yolofastestv2_gives_back_what_was_encoded():
    """Inverse of xy = (2 raw - 0.5 + cell) stride, wh = (2 raw)^2 anchor."""
    anchors = np.reshape(yolofastestv2.COCO_ANCHORS, (2, 3, 2))
    grids = [np.zeros((1, 320 // s, 320 // s, 15 + 4), np.float32) for s in (16, 32)]
    for (cx, cy, w, h), class_id, score in zip(centers(BOXES), CLASSES, SCORES, strict=True):
        fits = np.abs(np.log(np.array([w, h]) / anchors)).max(axis=2)
        g, a = np.unravel_index(fits.argmin(), fits.shape)
        stride = (16, 32)[g]
        x, y = cx / stride, cy / stride
        cell = grids[g][0, int(y), int(x)]
        size = np.sqrt(np.array([w, h]) / anchors[g, a]) / 2
        cell[4 * a : 4 * a + 4] = (x - int(x) + 0.5) / 2, (y - int(y) + 0.5) / 2, *size
        cell[12 + a], cell[15 + class_id] = 1, score
    check_boxes(decoders.YoloFastestV2().decode({"a": grids[0], "b": grids[1]}, FRAME, STRETCH), SCALE)
    first = {name: grid.transpose(0, 3, 1, 2) for name, grid in zip("ab", grids, strict=True)}
    check_boxes(decoders.YoloFastestV2(layout="NCHW").decode(first, FRAME, STRETCH), SCALE)
    rows = np.concatenate([grid.reshape(-1, 19) for grid in grids])  # as the export writes both
    check_boxes(decoders.YoloFastestV2().decode({"o": rows}, FRAME, STRETCH), SCALE)
    check_boxes(decoders.YoloFastestV2().decode({"o": rows[None]}, FRAME, STRETCH), SCALE)


def test_yolofastestv2_equals_its_definition():
    grids = [scores_of(2, 22 // step, 22 // step, 15 + 6, seed=step) ** 0.3 for step in (1, 2)]
    image = Letterbox((352, 352))
    got = decoders.YoloFastestV2(score=0.5).decode({"b": grids[1], "a": grids[0]}, FRAME, image)
    want = yolofastestv2.decode([grids[1], grids[0]], items_for(image, FRAME, 2), score=0.5)
    assert len(want.scores) > 50
    same_detections(got, want)
    rows = np.concatenate([grid.reshape(2, -1, 15 + 6) for grid in grids], axis=1)
    got = decoders.YoloFastestV2(score=0.5).decode({"o": rows}, FRAME, image)
    same_detections(got, yolofastestv2.decode([rows], items_for(image, FRAME, 2), score=0.5))
    with pytest.raises(DecoderError, match='output "o" has 605 cells, an input of 320x320 has 500 in 2 grids'):
        decoders.YoloFastestV2().decode({"o": rows[:1]}, FRAME, Letterbox((320, 320)))


# ---- CenterFace and CenterNet


def test_centerface_gives_back_what_was_encoded():
    """Inverse of centerface.py decode: scale = log(size / 4), offset = centre / 4 - cell - 0.5, marks relative to the box."""
    heat, scale, offset, marks = (np.zeros((1, c, 80, 80), np.float32) for c in (1, 2, 2, 10))
    points = np.array([(0.3, 0.4), (0.7, 0.4), (0.5, 0.6), (0.35, 0.8), (0.65, 0.8)])
    for (x1, y1, x2, y2), score in zip(BOXES, SCORES, strict=True):
        cx, cy = (x1 + x2) / 8, (y1 + y2) / 8
        column, row = int(cx), int(cy)
        heat[0, 0, row, column] = score
        scale[0, :, row, column] = np.log((y2 - y1) / 4), np.log((x2 - x1) / 4)
        offset[0, :, row, column] = cy - row - 0.5, cx - column - 0.5
        marks[0, :, row, column] = points[:, ::-1].ravel()
    outputs = {"heat": heat, "scale": scale, "offset": offset, "marks": marks}
    found = decoders.CenterFace().decode(outputs, FRAME, STRETCH)
    np.testing.assert_allclose(found.boxes_xyxy, BOXES * np.tile(SCALE, 2), atol=1e-3)
    expected = (BOXES[:, None, :2] + points * (BOXES[:, None, 2:] - BOXES[:, None, :2])) * SCALE
    np.testing.assert_allclose(found.points, expected, atol=1e-3)


def test_centernet_gives_back_what_was_encoded():
    heat, size, offset = (np.zeros((1, c, 80, 80), np.float32) for c in (4, 2, 2))
    for (x1, y1, x2, y2), class_id, score in zip(BOXES, CLASSES, SCORES, strict=True):
        cx, cy = (x1 + x2) / 8, (y1 + y2) / 8
        column, row = int(cx), int(cy)
        heat[0, class_id, row - 1 : row + 2, column - 1 : column + 2] = score - 0.05  # no peaks
        heat[0, class_id, row, column] = score
        size[0, :, row, column] = (x2 - x1) / 4, (y2 - y1) / 4
        offset[0, :, row, column] = cx - column, cy - row
    found = decoders.CenterFace(variant="centernet").decode({"hm": heat, "wh": size, "reg": offset}, FRAME, STRETCH)
    check_boxes(found, SCALE)


@pytest.mark.parametrize("variant", ["centerface", "centernet"])
@pytest.mark.parametrize("count", [2, 3, 4])
@pytest.mark.parametrize("image", IMAGES)
def test_centers_equal_their_definition(variant, count, image):
    outputs = [
        scores_of(2, 3, 20, 24),
        random(2, 2, 20, 24),
        random(2, 2, 20, 24, seed=5),
        random(2, 6, 20, 24, seed=6),
    ]
    outputs = [np.abs(output) for output in outputs[:count]]
    named = {f"o{i}": output for i, output in enumerate(outputs)}
    got = decoders.CenterFace(variant=variant, score=0.4).decode(named, FRAME, image)
    want = centerface.decode(outputs, items_for(image, FRAME, 2), variant=variant, score=0.4)
    assert len(want.scores) > 20
    same_detections(got, want)
