"""Decoders: native against their definitions, and known results through the published formulas and back."""

import pickle

import cv2
import numpy as np
import onnx
import onnx.reference
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.child import run_python
from helpers.decoding import Letterbox, items_for, logit, same_detections
from mnnlite import ImageSpec, decoders, results
from mnnlite.errors import ArgumentError, DecoderError, DTypeError, TensorNotFoundError
from mnnlite.reference.decode import classification, fastestdet, nms, segmentation
from mnnlite.reference.decode import math as reference_math

# ---- specs as data


def test_specs_are_frozen_hashable_comparable_and_picklable():
    spec = decoders.FastestDet(score=0.3, classes=["a", "b"])
    assert spec == decoders.FastestDet(score=0.3, classes=("a", "b"))
    assert hash(spec) == hash(decoders.FastestDet(score=0.3, classes=("a", "b")))
    with pytest.raises(AttributeError):
        spec.score = 0.9
    again = pickle.loads(pickle.dumps(spec))
    assert again == spec
    assert again.names == ("a", "b")
    assert decoders.from_dict(spec.to_dict()) == spec


@pytest.mark.parametrize(
    ("family", "options", "words"),
    [
        ("FastestDet", {"score": float("nan")}, ["FastestDet.score", "nan", "[0, 1]"]),
        ("FastestDet", {"iou": 1.5}, ["FastestDet.iou", "1.5", "[0, 1]"]),
        ("FastestDet", {"score": "high"}, ["FastestDet.score", "a number", "'high'"]),
        ("FastestDet", {"score": True}, ["FastestDet.score", "True"]),
        ("FastestDet", {"max_detections": 0}, ["max_detections", "0"]),
        ("FastestDet", {"max_detections": 2.5}, ["max_detections", "whole number", "2.5"]),
        ("FastestDet", {"agnostic": 1}, ["agnostic", "true or false", "1"]),
        ("FastestDet", {"classes": "no/such/file.txt"}, ["classes", "no/such/file.txt", "one name a line"]),
        ("FastestDet", {"classes": [1, 2]}, ["classes", "list of texts", "1"]),
        ("Classification", {"activation": "tanh"}, ["activation", "'softmax'", "'tanh'"]),
        ("Segmentation", {"activation": "sigmoid", "threshold": 2}, ["threshold", "[0, 1]", "2"]),
    ],
)
def test_bad_options_are_one_clear_line(family, options, words):
    with pytest.raises(ArgumentError) as caught:
        getattr(decoders, family)(**options)
    text = str(caught.value)
    assert "\n" not in text
    for word in words:
        assert word in text


def test_from_dict_names_unknown_families_and_keys():
    with pytest.raises(ArgumentError, match="'fastestdet'"):
        decoders.from_dict({"family": "fastesdet"})
    with pytest.raises(ArgumentError, match=r"'scor'.*did you mean 'score'"):
        decoders.from_dict({"family": "fastestdet", "scor": 0.5})
    with pytest.raises(ArgumentError, match="wanted a family's name"):
        decoders.from_dict({"score": 0.5})


def test_classes_come_from_a_file_relative_to_the_base(tmp_path):
    (tmp_path / "names.txt").write_text("Person\nCar\n", encoding="utf-8")
    spec = decoders.from_dict({"family": "fastestdet", "classes": "names.txt"}, base=tmp_path)
    assert spec.names == ("Person", "Car")


def test_every_family_is_native_and_named_after_its_class():
    from mnnlite import _core

    assert set(decoders.families()) == set(_core.decoder_families())
    for name, spec in decoders.families().items():
        assert spec.__name__.lower() == name
        assert spec.__name__ in decoders.__all__
        for option in decoders.options_of(name):
            assert option.doc, f"{name}.{option.name} has no description"
        assert decoders.from_dict(name) == spec()


# Options that only some heads of a family read, with an option that makes such a head.
WAYS = {
    "segmentation": ({}, {"output": "polygons"}),
    "lanes": ({}, {"head": "rows", "row_anchors": [1.0, 2.0, 3.0]}, {"head": "anchors", "row_anchors": [0.4, 1.0]}),
}


@pytest.mark.parametrize("family", [name for name in decoders.families() if name != "raw"])
def test_both_languages_describe_the_same_options(family):
    """The specs' description is the one that users see; native code reads the same names, defaults and ranges."""
    from mnnlite import _core

    native = {}
    for way in WAYS.get(family, ({},)):
        native.update({option[0]: option[1:] for option in _core.decoder_options(family, way)})
    mine = {
        entry.name: entry
        for entry in decoders.options_of(family)
        if entry.name not in ("classes", "tensors", "quantities", "unit", "keys")
    }
    assert set(mine) <= set(native), set(mine) ^ set(native)
    for name, entry in mine.items():
        kind, default, low, high, choices = native[name]
        where = f"{family}.{name}"
        assert kind == entry.type, where
        if kind == "word":
            assert tuple(choices) == entry.choices, where
        if kind in ("number", "whole"):
            assert (low, high) == (
                entry.low if entry.low is not None else low,
                entry.high if entry.high is not None else high,
            ), where
        if kind not in ("numbers",) and entry.default is not None:
            wanted = entry.default if isinstance(entry.default, str) else float(entry.default)
            assert default == pytest.approx(wanted, abs=1e-7), where


# ---- placing


@pytest.mark.parametrize(
    ("image", "frame", "point", "expected"),
    [
        (None, (640, 480), (10, 20), (10, 20)),
        (Letterbox((320, 320), "stretch"), (640, 480), (160, 160), (320, 240)),
        (Letterbox((320, 320)), (640, 480), (0, 40), (0, 0)),
        (Letterbox((320, 320), anchor="top_left"), (640, 480), (320, 240), (640, 480)),
        (Letterbox((320, 320), anchor="bottom"), (640, 480), (0, 80), (0, 0)),
        (Letterbox((320, 320), "crop"), (640, 480), (0, 0), (80, 0)),
        (Letterbox((320, 320), "crop", anchor="top_left"), (640, 480), (0, 0), (0, 0)),
        (Letterbox((320, 80), "crop", anchor="bottom"), (640, 480), (0, 0), (0, 320)),
    ],
)
def test_place_maps_network_pixels_to_the_frame(image, frame, point, expected):
    m = np.reshape(decoders.batch_item(image, frame).to_frame, (3, 3))
    x, y, w = m @ [*point, 1]
    assert (x / w, y / w) == pytest.approx(expected, abs=1e-9)


def test_place_refuses_what_it_cannot_use():
    with pytest.raises(ArgumentError, match="frame_size"):
        decoders.batch_item(None, (0, 480))
    with pytest.raises(ArgumentError, match="3x3"):
        decoders.batch_item(np.zeros((3, 3)), (640, 480))


# ---- the numbers underneath


def test_exp_is_close_to_the_true_one():
    x = np.linspace(-87, 88, 200_001, dtype=np.float32)
    true = np.exp(x.astype(np.float64))
    assert np.abs(reference_math.exp(x) / true - 1).max() < 2e-7


# ---- FastestDet


def fastestdet_head(boxes, class_ids, scores, classes, grid, net):
    """Encode boxes (in network pixels) by the formula of FastestDet's utils/tool.py."""
    head = np.zeros((1, 5 + classes, *grid), np.float32)
    for (x1, y1, x2, y2), class_id, score in zip(boxes, class_ids, scores, strict=True):
        cx, cy = (x1 + x2) / 2 / net[0] * grid[1], (y1 + y2) / 2 / net[1] * grid[0]
        column, row = int(cx), int(cy)
        head[0, 0, row, column] = score
        head[0, 1:5, row, column] = (
            np.arctanh(cx - column),
            np.arctanh(cy - row),
            logit((x2 - x1) / net[0]),
            logit((y2 - y1) / net[1]),
        )
        head[0, 5 + class_id, row, column] = score
    return head


def test_fastestdet_gives_back_what_was_encoded():
    boxes = [(30, 40, 120, 200), (200, 100, 260, 140), (5, 300, 95, 345)]
    head = fastestdet_head(boxes, [2, 0, 7], [0.9, 0.8, 0.7], 8, (22, 22), (352, 352))
    found = decoders.FastestDet().decode({"758": head}, (704, 352), Letterbox((352, 352), "stretch"))
    assert isinstance(found, results.Detections)
    np.testing.assert_allclose(found.boxes_xyxy, np.array(boxes) * [2, 1, 2, 1], atol=1e-3)
    np.testing.assert_array_equal(found.class_ids, [2, 0, 7])
    np.testing.assert_allclose(found.scores, [0.9, 0.8, 0.7], atol=1e-6)


@pytest.mark.parametrize("dtype", [np.float32, np.float16, np.float64])
@pytest.mark.parametrize(
    "image", [None, Letterbox((352, 352)), np.array([[1.5, 0.2, 3], [-0.1, 1.2, 5], [1e-4, 0, 1]])]
)
def test_fastestdet_equals_its_definition(dtype, image):
    rng = np.random.default_rng(3)
    head = rng.normal(size=(2, 5 + 7, 13, 17)).astype(dtype)
    head[:, 0] = rng.random((2, 13, 17))
    head[:, 5:] = rng.random((2, 7, 13, 17))
    got = decoders.FastestDet(score=0.4, max_detections=30).decode({"y": head}, (640, 480), image)
    want = fastestdet.decode(
        head.astype(np.float32), items_for(image, (640, 480), 2), score=0.4, max_detections=30, iou=0.45
    )
    assert len(want.scores) > 20
    same_detections(got, want, score_tolerance=1e-6)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("channel", [0, 2, 6])
def test_numbers_that_are_not_finite_name_the_tensor(bad, channel):
    head = fastestdet_head([(30, 40, 120, 200)], [1], [0.9], 3, (22, 22), (352, 352))
    row, column = np.argwhere(head[0, 0] > 0)[0]
    head[0, channel, row, column] = bad
    with pytest.raises(DecoderError, match='"758"'):
        decoders.FastestDet().decode({"758": head}, (352, 352))


def test_more_than_fits_is_data():
    boxes = [(10 + 40 * i, 10, 40 + 40 * i, 60) for i in range(8)]
    scores = np.linspace(0.95, 0.6, 8)
    head = fastestdet_head(boxes, [0] * 8, scores, 2, (22, 22), (352, 352))
    found = decoders.FastestDet(max_detections=3).decode({"y": head}, (352, 352))
    assert len(found) == 3
    assert found.truncated
    assert found.found == 8
    np.testing.assert_allclose(found.scores, scores[:3], atol=1e-6)


def test_shapes_and_dtypes_that_do_not_fit_are_refused():
    spec = decoders.FastestDet()
    with pytest.raises(DecoderError, match=r"\[1, 3, 22, 22\]"):
        spec.decode({"y": np.zeros((1, 3, 22, 22), np.float32)}, (352, 352))
    with pytest.raises(DecoderError, match="takes 1 output"):
        spec.decode({"a": np.zeros((1, 8, 2, 2), np.float32), "b": np.zeros((1, 8, 2, 2), np.float32)}, (352, 352))
    with pytest.raises(DTypeError, match="complex64"):
        spec.decode({"y": np.zeros((1, 8, 2, 2), np.complex64)}, (352, 352))
    with pytest.raises(DecoderError, match="axis 1"):
        spec.decode({"y": np.zeros((1, 0, 2, 2), np.float32)}, (352, 352))
    with pytest.raises(TensorNotFoundError, match="did you mean 'boxes'"):
        decoders.FastestDet(tensors=("boxs",)).decode({"boxes": np.zeros((1, 8, 2, 2), np.float32)}, (352, 352))


def test_a_decoder_may_be_used_from_several_threads():
    import threading

    spec = decoders.FastestDet()
    heads = [fastestdet_head([(10 + i, 10, 60 + i, 80)], [0], [0.9], 2, (22, 22), (352, 352)) for i in range(4)]
    wrong, start = [], threading.Barrier(4)

    def work(i):
        start.wait()
        for _ in range(200):
            box = spec.decode({"y": heads[i]}, (352, 352)).boxes_xyxy
            if abs(box[0, 0] - (10 + i)) > 1e-2:
                wrong.append(box)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


# ---- classification


@pytest.mark.parametrize("activation", ["softmax", "sigmoid", "none"])
@pytest.mark.parametrize("shape", [(1, 1), (3, 43), (2, 1000, 1, 1)])
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_classification_equals_its_definition(activation, shape, dtype):
    logits = np.random.default_rng(1).normal(scale=4, size=shape).astype(dtype)
    logits[0, : shape[1] // 2] = logits[0, 0]  # ties go to the lower class
    got = decoders.Classification(activation=activation, top_k=7, score=1e-4).decode({"y": logits}, (10, 10))
    want = classification.decode(
        logits.astype(np.float32), items_for(None, (10, 10), shape[0]), activation=activation, top_k=7, score=1e-4
    )
    np.testing.assert_array_equal(got.class_ids, want.class_ids)
    np.testing.assert_array_equal(got.scores, want.scores)
    np.testing.assert_array_equal(got.items, want.items)


def test_classification_of_known_probabilities():
    p = np.array([0.1, 0.6, 0.05, 0.25], np.float32)
    got = decoders.Classification(classes=["a", "b", "c", "d"], top_k=2).decode({"y": np.log(p)}, (10, 10))
    assert got.labels == ["b", "d"]
    np.testing.assert_allclose(got.scores, [0.6, 0.25], atol=1e-6)
    several = decoders.Classification(activation="sigmoid", score=0.5).decode(
        {"y": np.array([[2.0, -1.0, 3.0]])}, (9, 9)
    )
    np.testing.assert_array_equal(several.class_ids, [2, 0])


# ---- segmentation


def same_areas(got: results.Masks, want: list, score_tolerance=0.0):
    np.testing.assert_array_equal(got.class_ids, [row.class_id for row in want])
    np.testing.assert_array_equal(got.items, [row.item for row in want])
    if not want:
        return
    np.testing.assert_array_equal(got.boxes_xyxy, np.stack([row.box for row in want]))
    np.testing.assert_allclose(got.areas, [row.area for row in want], rtol=1e-6)
    np.testing.assert_allclose(got.scores, [row.score for row in want], atol=score_tolerance)
    for index, row in enumerate(want):
        np.testing.assert_array_equal(got.class_map(row.item), row.map)
        np.testing.assert_allclose(got.to_frame[index].ravel(), row.to_frame, rtol=1e-6)


QUAD = np.array([[1.5, 0.2, -30], [-0.1, 1.2, 5], [1e-4, 0, 1]])


@pytest.mark.parametrize("image", [None, Letterbox((96, 64)), Letterbox((96, 64), "crop"), QUAD])
@pytest.mark.parametrize("size", ["network", "frame"])
@pytest.mark.parametrize(
    ("shape", "dtype", "options"),
    [
        ((2, 5, 31, 47), np.float32, {}),
        ((1, 19, 32, 48), np.float16, {"scores": True}),
        ((2, 2, 16, 1100), np.float32, {"scores": True}),
        ((2, 1, 31, 47), np.float32, {"activation": "sigmoid", "threshold": 0.3}),
        ((1, 31, 47), np.float32, {}),
        ((2, 31, 47), np.uint8, {}),
        ((1, 1, 31, 47), np.int64, {"background": 3}),
        ((1, 31, 47), np.int8, {"min_area": 40.0}),
        ((1, 31, 47), np.float32, {"mode": "classes"}),
    ],
)
def test_segmentation_equals_its_definition(shape, dtype, options, size, image):
    rng = np.random.default_rng(5)
    whole = np.issubdtype(dtype, np.integer) or options.get("mode") == "classes"
    # Blocks rather than noise, so that classes have extents that differ.
    small = rng.integers(0, 9, shape) if whole else rng.normal(size=shape)
    data = np.repeat(np.repeat(small, 4, axis=-2), 4, axis=-1)[..., : shape[-2], : shape[-1]].astype(dtype)
    got = decoders.Segmentation(size=size, **options).decode({"y": data}, (120, 100), image)
    native = data.astype(np.float32) if dtype == np.float16 else data
    want = segmentation.decode(native, items_for(image, (120, 100), shape[0]), size=size, **options)
    same_areas(got, want, score_tolerance=2e-6)


@pytest.mark.parametrize("image", [None, Letterbox((96, 64)), Letterbox((96, 64), "crop"), QUAD])
@pytest.mark.parametrize(
    ("shape", "dtype", "options"),
    [
        ((2, 5, 31, 47), np.float32, {"scores": True}),
        ((1, 3, 130, 9), np.float16, {}),
        ((2, 1, 31, 47), np.float32, {"activation": "sigmoid", "threshold": 0.3}),
        ((1, 3, 1, 1), np.float32, {}),
    ],
)
def test_interpolated_scores_as_the_definition(shape, dtype, options, image):
    data = np.random.default_rng(6).normal(size=shape, scale=3).astype(dtype)
    options = {"size": "frame", "resize": "linear", **options}
    got = decoders.Segmentation(**options).decode({"y": data}, (121, 100), image)
    want = segmentation.decode(data.astype(np.float32), items_for(image, (121, 100), shape[0]), **options)
    same_areas(got, want, score_tolerance=2e-6)


def test_interpolated_scores_are_those_of_opencv():
    planes = np.random.default_rng(8).normal(size=(1, 4, 20, 30), scale=3).astype(np.float32)
    found = decoders.Segmentation(size="frame", resize="linear").decode({"y": planes}, (137, 91))
    larger = np.stack([cv2.resize(plane, (137, 91), interpolation=cv2.INTER_LINEAR) for plane in planes[0]])
    near = np.sort(larger, axis=0)[-1] - np.sort(larger, axis=0)[-2] < 1e-4  # either class is right there
    assert near.mean() < 1e-3
    np.testing.assert_array_equal(found.class_map()[~near], larger.argmax(axis=0)[~near])


def test_an_edge_between_pixels_is_found_where_it_is():
    """Logits that grow along x by 1 a pixel of the map and are 0 at 7.3: the edge in a frame ten times as large is at 73."""
    ramp = (np.arange(16) + 0.5 - 7.3).astype(np.float32)
    heat = np.broadcast_to(ramp, (1, 1, 12, 16)).copy()
    options = {"mode": "binary", "activation": "sigmoid", "size": "frame"}
    smooth = decoders.Segmentation(**options, resize="linear").decode({"y": heat}, (160, 120))
    rough = decoders.Segmentation(**options).decode({"y": heat}, (160, 120))
    np.testing.assert_array_equal(smooth.boxes_xyxy, [[73, 0, 160, 120]])
    np.testing.assert_array_equal(rough.boxes_xyxy, [[70, 0, 160, 120]])


def test_interpolation_is_for_scores_over_the_frame():
    with pytest.raises(ArgumentError, match='needs size "frame"'):
        decoders.Segmentation(resize="linear")
    with pytest.raises(ArgumentError, match=r"Segmentation\.resize: is for masks"):
        decoders.Segmentation(output="polygons", resize="linear")
    with pytest.raises(DecoderError, match='output "y" holds classes'):
        decoders.Segmentation(size="frame", resize="linear").decode({"y": np.zeros((1, 4, 5), np.uint8)}, (50, 40))
    far = np.array([[-3e38, 3e38], [3e38, -3e38]], np.float32)[None, None]
    with pytest.raises(DecoderError, match="too far apart"):
        decoders.Segmentation(mode="binary", size="frame", resize="linear").decode({"y": far}, (50, 40))


@pytest.mark.parametrize("rule", ["half_pixel", "align_corners", "asymmetric"])
@pytest.mark.parametrize(
    ("shape", "upsample"), [((2, 5, 9, 11), (44, 37)), ((1, 19, 33, 33), (100, 1)), ((1, 2, 1, 1), (3, 5)), ((1, 3, 40, 30), (7, 9))]
)  # fmt: skip
@pytest.mark.parametrize("more", [{}, {"size": "frame"}])
def test_upsampled_scores_as_the_definition(shape, upsample, rule, more):
    data = np.random.default_rng(7).normal(size=shape, scale=3).astype(np.float32)
    options = {"upsample": upsample, "upsample_by": rule, **more}
    got = decoders.Segmentation(**options).decode({"y": data}, (121, 100), Letterbox((96, 64)))
    same_areas(got, segmentation.decode(data, items_for(Letterbox((96, 64)), (121, 100), shape[0]), **options))


@pytest.mark.parametrize("rule", ["half_pixel", "align_corners", "asymmetric"])
def test_upsampling_is_that_of_onnx(rule):
    data = np.random.default_rng(8).normal(size=(1, 4, 9, 13)).astype(np.float32)
    resize = onnx.helper.make_node(
        "Resize", ["x", "", "", "s"], ["y"], mode="linear", coordinate_transformation_mode=rule
    )
    x = onnx.helper.make_tensor_value_info("x", 1, data.shape)
    y = onnx.helper.make_tensor_value_info("y", 1, (1, 4, 35, 60))
    sizes = onnx.numpy_helper.from_array(np.int64([1, 4, 35, 60]), "s")
    graph = onnx.helper.make_graph([resize], "resize", [x], [y], [sizes])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 13)])
    (want,) = onnx.reference.ReferenceEvaluator(model).run(None, {"x": data})
    np.testing.assert_allclose(segmentation.upsampled(data[0], (60, 35), rule), want[0], atol=1e-5)


def test_upsampling_is_for_scores_of_classes():
    for options, data, said in [
        ({"upsample": (8, 8)}, np.zeros((1, 1, 4, 4), np.float32), "a channel a class"),
        ({"upsample": (8, 8), "scores": True}, np.zeros((1, 3, 4, 4), np.float32), 'without "scores"'),
        ({"upsample": (8, 8)}, np.full((1, 3, 4, 4), np.nan, np.float32), "index 0"),
    ]:
        with pytest.raises(DecoderError, match=said):
            decoders.Segmentation(**options).decode({"y": data}, (50, 40))
    for options, said in [
        ({"upsample": (8,)}, "width and height"),
        ({"upsample": (8, 2.5)}, "whole numbers"),
        ({"upsample": (8, 8), "size": "frame", "resize": "linear"}, "give one of them"),
    ]:
        with pytest.raises(ArgumentError, match=said):
            decoders.Segmentation(**options)


def test_segmentation_reads_channels_last():
    planes = np.random.default_rng(2).normal(size=(1, 6, 20, 30)).astype(np.float32)
    first = decoders.Segmentation().decode({"y": planes}, (30, 20))
    last = decoders.Segmentation(layout="NHWC").decode({"y": planes.transpose(0, 2, 3, 1)}, (30, 20))
    np.testing.assert_array_equal(first.class_map(), last.class_map())
    np.testing.assert_array_equal(first.class_map(), planes[0].argmax(axis=0))


def test_segmentation_gives_back_a_known_area():
    logits = np.full((1, 2, 36, 64), -3.0, np.float32)
    logits[0, 0] = 0
    logits[0, 1, 9:18, 16:48] = 5
    found = decoders.Segmentation(classes=["other", "lane"]).decode({"ll": logits}, (640, 360))
    assert found.labels == ["lane"]
    np.testing.assert_array_equal(found.boxes_xyxy, [[160, 90, 480, 180]])
    np.testing.assert_allclose(found.areas, [320 * 90])
    assert found.masks[0].sum() == 32 * 9


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("channels", [1, 3])
def test_segmentation_refuses_numbers_that_are_not_finite(bad, channels):
    data = np.zeros((1, channels, 40, 50), np.float32)
    data[0, -1, 39, 49] = bad
    with pytest.raises(DecoderError, match='"seg"'):
        decoders.Segmentation().decode({"seg": data}, (50, 40))


def test_segmentation_refuses_what_is_no_class():
    for value in (-1, 256, 70000):
        data = np.zeros((1, 4, 5), np.int32)
        data[0, 3, 4] = value
        with pytest.raises(DecoderError, match=r'"seg".*no class'):
            decoders.Segmentation().decode({"seg": data}, (50, 40))


# ---- non-maximum suppression: laws


boxes_strategy = st.lists(
    st.tuples(
        st.integers(0, 40),
        st.integers(0, 40),
        st.integers(0, 25),
        st.integers(0, 25),
        st.integers(0, 5),
        st.integers(0, 2),
    ),
    max_size=40,
)


def arrays_of(rows):
    a = np.array(rows, np.float32).reshape(-1, 6)
    boxes = np.stack([a[:, 0], a[:, 1], a[:, 0] + a[:, 2], a[:, 1] + a[:, 3]], axis=1)
    return boxes, a[:, 4] / 5, a[:, 5].astype(np.int32)


@settings(deadline=None, max_examples=200)
@given(boxes_strategy, st.sampled_from([0.0, 0.3, 0.5, 1.0]), st.booleans(), st.sampled_from([1, 7, 1000]))
def test_nms_laws(rows, iou, agnostic, top_k):
    boxes, scores, class_ids = arrays_of(rows)
    options = {"agnostic": agnostic, "top_k": top_k}
    kept = decoders.nms(boxes, scores, class_ids, iou, **options)
    # As defined.
    np.testing.assert_array_equal(kept, nms.nms(boxes, scores, class_ids, iou, **options))
    # A subset, best first, ties by position.
    assert len(set(kept.tolist())) == len(kept) <= min(top_k, len(boxes))
    keys = [(-scores[i], i) for i in kept]
    assert keys == sorted(keys)
    # No two that are kept overlap by more.
    for n, i in enumerate(kept):
        better = [j for j in kept[:n] if agnostic or class_ids[i] == class_ids[j]]
        assert not nms.overlaps(boxes[i], boxes[better], iou).any()
    # Idempotent.
    again = decoders.nms(boxes[kept], scores[kept], class_ids[kept], iou, **options)
    np.testing.assert_array_equal(again, np.arange(len(kept)))


def test_nms_does_not_depend_on_the_order_of_boxes():
    rng = np.random.default_rng(0)
    corners = rng.random((200, 2)) * 100
    boxes = np.concatenate([corners, corners + 5 + rng.random((200, 2)) * 30], axis=1).astype(np.float32)
    scores = rng.permutation(200).astype(np.float32) / 200
    class_ids = rng.integers(0, 3, 200).astype(np.int32)
    kept = decoders.nms(boxes, scores, class_ids, 0.4)
    shuffle = rng.permutation(200)
    again = decoders.nms(boxes[shuffle], scores[shuffle], class_ids[shuffle], 0.4)
    np.testing.assert_array_equal(shuffle[again], kept)


def test_nms_refuses_what_it_cannot_use():
    with pytest.raises(ArgumentError, match="finite"):
        decoders.nms([[0, 0, 1, np.nan]], [0.5])
    with pytest.raises(ArgumentError, match="wanted"):
        decoders.nms([[0, 0, 1, 1]], [0.5, 0.6])


def test_every_instruction_set_decodes_the_same(tmp_path, monkeypatch):
    code = f"""
import numpy as np
import onnx
import onnx.reference
from mnnlite import decoders
rng = np.random.default_rng(0)
found = []
for shape in ((1, 84, 1001), (1, 9, 37), (1, 500, 85)):
    head = rng.random(shape).astype(np.float32)
    rows = decoders.Yolo(score=0.6).decode({{"y": head}}, (64, 64))
    found += [rows.scores, rows.class_ids, rows.boxes_xyxy.ravel()]
for channels in (2, 5, 19):
    planes = rng.normal(size=(1, channels, 31, 47)).astype(np.float32)
    found.append(decoders.Segmentation().decode({{"y": planes}}, (47, 31)).class_map().ravel())
for width in (2, 7, 8, 31, 33, 100):
    steps = rng.random((1, 9, width)).astype(np.float32)
    found.append(np.frombuffer(decoders.Ctc().decode({{"y": steps}}, (9, 9)).text[0].encode(), np.uint8))
for columns in (3, 8, 9, 40, 300):
    values = rng.normal(size=(1, 1, 6, columns)).astype(np.float32)
    found.append(decoders.Maps(size="frame").decode({{"y": values}}, (131, 17)).maps[0].ravel())
for points in (1, 3, 4, 7, 8, 9, 31, 32, 39, 70):
    heat = rng.integers(0, 9, (1, 6, 11, points)).astype(np.float32)  # many are equal: the first one counts
    found.append(decoders.Keypoints(layout="NHWC").decode({{"y": heat}}, (64, 64)).points.ravel())
for columns in (1, 3, 8, 9, 15, 300):
    values = rng.normal(size=(1, 1, 6, columns)).astype(np.float32) * 60  # beyond the clamps, too
    found.append(decoders.Maps(activation="sigmoid").decode({{"y": values}}, (131, 17)).maps[0].ravel())
    areas = decoders.Segmentation(mode="binary", activation="sigmoid").decode({{"y": values}}, (131, 17))
    found.append(areas.scores)
np.savez(r"{tmp_path}/" + __import__("os").environ.get("MNNLITE_FORCE_ISA", "own"), *found)
"""
    monkeypatch.delenv("MNNLITE_FORCE_ISA", raising=False)
    for forced in ({}, {"MNNLITE_FORCE_ISA": "baseline"}):
        run_python(code, env=forced)
    own, baseline = np.load(tmp_path / "own.npz"), np.load(tmp_path / "baseline.npz")
    assert len(own.files) == 45
    for name in own.files:
        np.testing.assert_array_equal(own[name], baseline[name])


def test_every_instruction_set_finds_each_number_that_is_not_finite(monkeypatch):
    code = """
import numpy as np
from mnnlite import DecoderError, decoders
embedding, points = decoders.Embedding(normalize=False), decoders.Keypoints(layout="NHWC", score=-1e30)
def refused(decoder, values):
    try:
        decoder.decode({"y": values}, (64, 64))
    except DecoderError as error:
        return '"y" holds' in str(error)
    return False
for count in (*range(1, 40), 67, 128):
    largest = np.where(np.arange(count) % 2, np.float32(3.4e38), np.float32(-3.4e38))
    assert not refused(embedding, largest[None]), count
    assert not refused(points, np.tile(largest, (1, 2, 3, 1))), count
    for bad in (np.nan, np.inf, -np.inf):
        for at in range(count):
            vector = largest.copy()
            vector[at] = bad
            assert refused(embedding, vector[None]), (count, bad, at)
            for cell in ((0, 0), (1, 2)):
                heat = np.zeros((1, 2, 3, count), np.float32)
                heat[0, cell[0], cell[1], at] = bad
                assert refused(points, heat), (count, bad, at, cell)
"""
    monkeypatch.delenv("MNNLITE_FORCE_ISA", raising=False)
    for forced in ({}, {"MNNLITE_FORCE_ISA": "baseline"}):
        run_python(code, env=forced)


# ---- geometry


def into_network(points, frame, net, fit, anchor):
    """Where a frame's points lie in the network's picture; a letterbox has whole pixels, as YOLO's own has."""
    frame, net = np.array(frame, float), np.array(net, float)
    inner = net
    if fit == "letterbox":
        inner = np.clip(np.round(frame * (net / frame).min()), 1, net)
    elif fit == "crop":
        inner = frame * (net / frame).max()
    margin = (net - inner) / 2
    if fit == "letterbox":
        margin = np.floor(margin) if anchor == "center" else np.zeros(2)
    return points * (inner / frame) + margin


@settings(deadline=None, max_examples=200)
@given(
    st.tuples(st.integers(16, 4096), st.integers(16, 2160)),
    st.tuples(st.integers(16, 640), st.integers(16, 640)),
    st.sampled_from([("stretch", "center"), ("letterbox", "center"), ("letterbox", "top_left"), ("crop", "center")]),
    st.integers(0, 2**32 - 1),
)
def test_boxes_come_back_to_their_place_in_the_frame(frame, net, how, seed):
    """The boxes of a frame, taken into the network's picture and decoded, lie where they were."""
    fit, anchor = how
    corners = np.sort(np.random.default_rng(seed).random((5, 2, 2)) * frame, axis=1)
    rows = np.zeros((1, 5, 6), np.float32)
    rows[0, :, :4] = into_network(corners, frame, net, fit, anchor).reshape(5, 4)
    rows[0, :, 4] = [0.9, 0.8, 0.7, 0.6, 0.5]
    spec = decoders.Yolo("end2end", score=0.1, clip=False)
    found = spec.decode({"boxes": rows}, frame_size=frame, image=ImageSpec(size=net, fit=fit, anchor=anchor))
    # A float32 of the network's picture is 2^-24 of its size exact, which the way back enlarges.
    scale = into_network(np.ones(2), frame, net, fit, anchor) - into_network(np.zeros(2), frame, net, fit, anchor)
    rounding = np.abs(rows[..., :4]).max() * 2.0**-23 / scale.min()
    np.testing.assert_allclose(found.boxes_xyxy, corners.reshape(5, 4), atol=max(1e-3, rounding), rtol=0)
