"""A network says how it is used."""

from __future__ import annotations

import contextlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from PIL import Image

import mnnlite
from helpers import golden, networks, shared
from mnnlite import ImageSpec, TaskSpec, decoders, descriptions
from mnnlite.convert import convert
from mnnlite.descriptions import mnnfile
from mnnlite.descriptions.fits import fits
from mnnlite.specs import TensorInfo

NAMES = {"0": "car", "1": "bus", "2": "sign"}
YOLO = {"task": "detect", "stride": 32, "imgsz": [64, 96], "names": NAMES, "batch": 1, "channels": 3, "end2end": False}
USUAL = {"score": 0.25, "iou": 0.7, "top_k": 30000, "classes": ("car", "bus", "sign")}  # the exporter's own
CELLS = 8 * 12 + 4 * 6 + 2 * 3  # of a 96x64 input at strides 8, 16, 32


@pytest.fixture
def made(tmp_path: Path):
    """Make a network with these outputs, which says this of itself."""

    def make(
        outputs: dict[str, tuple[int, ...]], said: dict | None = None, size: tuple[int, ...] = (1, 3, 64, 96)
    ) -> Path:
        path = networks.convert(networks.outputs(tmp_path / "net.onnx", size, outputs))
        if said is not None:
            mnnfile.write(path, said)
        return path

    return make


def test_describe__reads_what_the_exporter_says(made):
    path = made({"output0": (1, 7, CELLS)}, YOLO)
    found = mnnlite.describe(path)
    assert found.question == ""
    assert found.candidates == ()
    image = ImageSpec(size=(96, 64), fit="letterbox", std=255, pad=114)
    assert found.task_spec == TaskSpec(str(path), image, decoders.Yolo("v8", **USUAL))
    assert found.sources["image.size"] == "the exporter's description: imgsz"
    assert found.sources["decoder.version"] == "output0 1x7x126"
    assert "image.size: (96, 64) (the exporter's description: imgsz)" in found.lines()


@pytest.mark.parametrize(
    ("changes", "outputs", "wanted"),
    [
        ({}, (1, CELLS, 8), decoders.Yolo("v5", **USUAL)),
        (
            {"task": "pose", "kpt_shape": [5, 3]},
            (1, 22, CELLS),
            decoders.Yolo("v8", **USUAL, points=5, point_values=3),
        ),
        (
            {"task": "obb"},
            (1, 8, CELLS),
            decoders.Yolo("v8", **USUAL, rotated=True, overlap="gaussian", nms="fast"),
        ),
        ({"end2end": True}, (1, 300, 6), decoders.Yolo("end2end", **USUAL)),
        ({"task": "classify"}, (1, 3), decoders.Classification(activation="none", classes=tuple(NAMES.values()))),
    ],
)
def test_describe__heads(made, changes, outputs, wanted):
    path = made({"output0": outputs}, {**YOLO, **changes})
    spec = mnnlite.describe(path).one()
    assert spec.decoder == wanted
    assert spec.image.fit == ("crop" if changes.get("task") == "classify" else "letterbox")


@pytest.mark.parametrize(
    ("changes", "outputs", "said"),
    [
        ({}, (1, 9, CELLS), r"net\.mnn: .* 3 names, so 7 numbers, but output output0 is 1x9x126"),
        ({"imgsz": [64, 64]}, (1, 7, CELLS), r"net\.mnn: .* imgsz \[64, 64\], but input input is 1x3x64x96"),
        ({"imgsz": "wide"}, (1, 7, CELLS), r"imgsz 'wide'; wanted \[height, width\]"),
        ({"names": {"0": "a", "2": "b"}}, (1, 7, CELLS), "not numbered from 0"),
        ({"task": "pose"}, (1, 7, CELLS), "kpt_shape None; wanted"),
        ({"task": "grasp"}, (1, 7, CELLS), "task 'grasp'; there is no decoder for it"),
        ({"channels": 5}, (1, 7, CELLS), "channels 5; wanted 3 or 1"),
    ],
)
def test_describe__contradictions_are_one_line(made, changes, outputs, said):
    path = made({"output0": outputs}, {**YOLO, **changes})
    with pytest.raises(mnnlite.ArgumentError, match=said) as caught:
        mnnlite.describe(path)
    assert "\n" not in str(caught.value)


def test_describe__silence_is_a_question(made):
    path = made({"odd": (1, 3, 13)})
    found = mnnlite.describe(path)
    assert found.task_spec is None
    assert "odd 1x3x13" in found.question
    with pytest.raises(mnnlite.ArgumentError, match=r"net\.mnn: it does not say how it is used"):
        mnnlite.Task(path)


def test_task__by_its_path_alone(made):
    with mnnlite.Task(made({"output0": (1, 7, CELLS)}, YOLO)) as task:
        assert isinstance(task.spec.decoder, decoders.Yolo)
        found = task(mnnlite.Frame(np.zeros((64, 96, 3), np.uint8), "BGR"))
        assert isinstance(found, mnnlite.results.Detections)
        assert found.names == ("car", "bus", "sign")
    assert task.model.closed


def test_task__open_shapes_take_the_described_size(made):
    path = made({"output0": (1, 7, CELLS)}, YOLO, size=(1, 3, -1, -1))
    with mnnlite.Task(path) as task:
        assert task.model.inputs["input"].shape == (1, 3, 64, 96)


# ---- mnnlite's own


def test_embed__keeps_the_exporters_and_adds_its_own(made):
    path = made({"output0": (1, 7, CELLS)}, YOLO)
    spec = replace(
        mnnlite.describe(path).one(), decoder=decoders.Yolo("v8", score=0.6, classes=("a", "b", "c")), precision="high"
    )
    descriptions.embed(path, spec)
    said = mnnfile.read(path)
    assert said["task"] == "detect"
    assert said["mnnlite"]["version"] == 1
    found = mnnlite.describe(path)
    assert found.task_spec == spec
    assert "net.mnn" in found.sources["decoder"]
    with mnnlite.Task(path) as task:
        assert task.spec == spec


def test_embed__the_network_stays_what_it_was(made):
    path = made({"output0": (1, 7, CELLS)}, YOLO)
    frame = mnnlite.Frame(np.random.default_rng(1).integers(0, 256, (64, 96, 3), np.uint8), "BGR")
    with mnnlite.Task(path, image=ImageSpec(), decoder="raw") as task:
        before = task(frame)["output0"]
    for score in (0.1, 0.2):
        descriptions.embed(path, TaskSpec(None, ImageSpec(), decoders.Yolo(score=score)))
        with mnnlite.Task(path, image=ImageSpec(), decoder="raw") as task:
            assert np.array_equal(task(frame)["output0"], before)


def test_embed__names_are_in_the_file(made, tmp_path):
    names = tmp_path / "names.txt"
    names.write_text("car\nbus\nsign\n")
    path = made({"output0": (1, 7, CELLS)})
    descriptions.embed(path, TaskSpec(None, ImageSpec(std=255), decoders.Yolo(classes=str(names))))
    names.unlink()
    assert mnnlite.describe(path).one().decoder.names == ("car", "bus", "sign")


@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        ({}, "has no version"),
        ([], "has no version"),
        ({"version": 2}, "is of version 2, this mnnlite reads up to 1; update mnnlite"),
        ({"version": 1, "model": "/etc/passwd"}, "unknown part 'model'"),
        ({"version": 1, "decoder": {"family": "os:system"}}, "there is no built-in family 'os:system'"),
        ({"version": 1, "decoder": {"family": "yolo", "classes": "/etc/passwd"}}, "wanted a list of names, got a path"),
        ({"version": 1, "image": {"color": "RGB", "std": 0}}, "wanted a number other than 0"),
        ({"version": 1, "image": {"color": "RGB", "sizes": [1, 2]}}, "sizes"),
        ({"version": 1, "decoder": [1]}, "wanted a table with 'family'"),
    ],
)
def test_own__is_not_believed(made, said, wanted):
    path = made({"output0": (1, 7, CELLS)}, {"mnnlite": said})
    with pytest.raises(mnnlite.ArgumentError, match=wanted) as caught:
        mnnlite.Task(path)
    assert "net.mnn" in str(caught.value)


def test_mnnfile__damage_is_an_error_never_a_crash(made, tmp_path):
    whole = made({"output0": (1, 7, CELLS)}, YOLO).read_bytes()
    rng = np.random.default_rng(7)
    broken = tmp_path / "broken.mnn"
    for _ in range(300):
        data = bytearray(whole)
        for at in rng.integers(0, 64, 3):
            data[at] = rng.integers(0, 256)
        broken.write_bytes(data[: rng.integers(1, len(data))])
        with contextlib.suppress(mnnlite.ModelFormatError):
            mnnfile.read(broken)
    for content in (b"", b"abc", json.dumps(YOLO).encode()):
        broken.write_bytes(content)
        with pytest.raises(mnnlite.ModelFormatError, match=r"broken\.mnn"):
            mnnfile.read(broken)
    with pytest.raises(mnnlite.ModelNotFoundError, match=r"nowhere\.mnn"):
        mnnfile.read(tmp_path / "nowhere.mnn")


# ---- the exporter's own files, each by its path alone

EXPORTS = [
    "yolov5n",
    "yolov8n",
    "yolov8n-seg",
    "yolo11n-seg",
    "yolov8n-pose",
    "yolov8n-obb",
    "yolov8n-cls",
    "yolo26n-e2e",
    "yolo26n-seg-e2e",
    "yolo26n-pose-e2e",
    "yolo26n-sem",
]


@pytest.mark.parametrize("name", EXPORTS)
def test_exports__give_the_exporters_rows_and_no_row_more(name, checkout):
    folder = shared.models(checkout) / "ultralytics"
    wanted = dict(np.load(folder / f"{name}.golden.npz"))
    picture = np.asarray(Image.open(folder / "picture.png").convert("RGB"))
    golden.compare(folder / f"{name}.mnn", picture, wanted)


# ---- what other files say


def test_onnx__metadata_says_the_same(made, tmp_path):
    path = made({"output0": (1, 7, CELLS)})
    model = onnx.load(tmp_path / "net.onnx")
    for key, value in YOLO.items():
        model.metadata_props.add(key=key, value=str(value))
    onnx.save(model, tmp_path / "net.onnx")
    mnnfile.write(path, YOLO)
    told, known = mnnlite.describe(tmp_path / "net.onnx"), mnnlite.describe(path)
    assert told.sources == known.sources
    assert replace(told.one(), model=None) == replace(known.one(), model=None)


def test_onnx__damage_is_an_error(made, tmp_path):
    made({"output0": (1, 7, CELLS)})
    whole, broken = (tmp_path / "net.onnx").read_bytes(), tmp_path / "broken.onnx"
    rng = np.random.default_rng(8)
    for _ in range(200):
        data = bytearray(whole)
        for at in rng.integers(0, len(data), 4):
            data[at] = rng.integers(0, 256)
        broken.write_bytes(data)
        with contextlib.suppress(mnnlite.MnnliteError):
            mnnlite.describe(broken)
    for content in (b"", b"\xff" * 9, whole[:-3]):
        broken.write_bytes(content)
        with pytest.raises(mnnlite.ModelFormatError, match=r"broken\.onnx"):
            mnnlite.describe(broken)


def test_texts__symbols_of_the_exporter(made, tmp_path):
    path = made({"out": (1, 40, 12)}, {"character": "\n".join("0123456789")}, size=(1, 3, 48, -1))
    spec = mnnlite.describe(path).one()
    assert spec.decoder == decoders.Ctc(keys=tuple("0123456789"), space=True)
    assert (spec.image.size, spec.image.color, spec.image.anchor) == ((320, 48), "BGR", "top_left")
    mnnfile.write(path, {"character": "0\n1\n2"})
    with pytest.raises(mnnlite.ArgumentError, match="3 symbols, but output out is 1x40x12"):
        mnnlite.describe(path)


def test_hugging_face__what_lies_beside(made, tmp_path):
    path = made({"logits": (1, 3)}, size=(1, 3, 32, 32))
    (tmp_path / "config.json").write_text(
        json.dumps({"architectures": ["ResNetForImageClassification"], "id2label": NAMES})
    )
    processor = {"image_mean": [0.5, 0.25, 0.75], "image_std": [0.5, 0.5, 0.25], "size": {"height": 32, "width": 32}}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(processor))
    found = mnnlite.describe(path)
    spec = found.one()
    assert spec.decoder == decoders.Classification(classes=tuple(NAMES.values()))
    np.testing.assert_allclose(spec.image.mean, [127.5, 63.75, 191.25])
    np.testing.assert_allclose(spec.image.std, [127.5, 127.5, 63.75])
    assert found.sources["image.mean"] == "preprocessor_config.json"
    assert found.sources["decoder.classes"] == "config.json: id2label"
    (tmp_path / "preprocessor_config.json").write_text(json.dumps({"image_mean": [1, 2], "image_std": [1, 2]}))
    with pytest.raises(
        mnnlite.ArgumentError, match=r"net\.mnn: its preprocessor_config\.json or config\.json cannot be used"
    ):
        mnnlite.describe(path)


def test_archive__what_lies_beside(made, tmp_path):
    path = made({"out": (1, 3)}, size=(1, 3, 32, 32))
    steps = {"mean": [1, 2, 3], "scale": [4, 5, 6], "dai_type": "BGR888p"}
    head = {"parser": "ClassificationParser", "metadata": {"classes": ["a", "b", "c"], "is_softmax": True}}
    model = {"metadata": {"path": "net.onnx"}, "inputs": [{"preprocessing": steps}], "heads": [head]}
    (tmp_path / "config.json").write_text(json.dumps({"model": model}))
    spec = mnnlite.describe(path).one()
    assert spec.decoder == decoders.Classification(classes=("a", "b", "c"), activation="none")
    assert spec.image == ImageSpec(size=(32, 32), color="BGR", mean=(1, 2, 3), std=(4, 5, 6))
    model["metadata"]["path"] = "other.onnx"  # of another network in the same folder
    (tmp_path / "config.json").write_text(json.dumps({"model": model}))
    assert mnnlite.describe(path).task_spec is None


def test_tflite__metadata_of_the_task_library(checkout):
    folder = shared.models(checkout) / "mp_selfie_segmentation"
    spec = mnnlite.describe(folder / "selfie_segmentation_landscape.tflite").one()
    assert spec.image == ImageSpec(size=(256, 144), color="RGB", mean=0.0, std=255.0)
    assert isinstance(spec.decoder, decoders.Segmentation)


def test_convert__the_description_goes_along(made, tmp_path):
    made({"output0": (1, 7, CELLS)})
    model = onnx.load(tmp_path / "net.onnx")
    for key, value in YOLO.items():
        model.metadata_props.add(key=key, value=str(value))
    onnx.save(model, tmp_path / "net.onnx")
    convert(tmp_path / "net.onnx", tmp_path / "all.mnn")
    said = mnnfile.read(tmp_path / "all.mnn")
    assert said["names"] == NAMES or said["names"] == {str(key): name for key, name in NAMES.items()}
    assert said["mnnlite"]["decoder"]["classes"] == list(NAMES.values())
    with mnnlite.Task(tmp_path / "all.mnn") as task:
        assert task.spec == replace(mnnlite.describe(tmp_path / "net.onnx").one(), model=str(tmp_path / "all.mnn"))


# ---- what tensors alone show

SIZE = (1, 3, 128, 128)
GRID = 16 * 16 + 8 * 8 + 4 * 4


@pytest.mark.parametrize(
    ("outputs", "last", "titles"),
    [
        ({"o": (1, 84, GRID)}, "", ["Yolo()", "Yolo(nms='fast', rotated=True, overlap='gaussian')"]),
        ({"o": (1, 3 * GRID, 9)}, "", ["Yolo(version='v5')"]),
        (
            {f"{n}{k}": (1, k, g, g) for n, g in (("a", 16), ("b", 8), ("c", 4)) for k in (1, 51, 64)},
            "",
            ["Yolo(version='split', points=17, point_values=3)", "Yolo(version='split')"],
        ),
        ({"o": (1, 3 * GRID, 16)}, "", ["Yolo(version='v5')", "Yolo(version='v5', points=5)"]),
        ({"o": (1, 3 * GRID, 15)}, "", ["Yolo(version='v5')", "Yolo(version='v5', points=4)"]),
        ({"o": (1, 300, 6)}, "", ["Yolo(version='end2end')"]),
        ({"o": (1, 40)}, "Softmax", ["Classification(activation='none')"]),
        ({"o": (1, 41)}, "", ["Classification()", "Embedding()"]),
        ({"s": (1, 99, 3), "b": (1, 99, 4)}, "", ["Ssd()", "Ssd(boxes='centers')"]),
        ({"o": (1, 4, 128, 128)}, "", ["Segmentation()"]),
        ({"a": (1, 2, 64, 64), "b": (1, 2, 64, 64)}, "", ["Segmentation()"]),
        ({"o": (1, 1, 128, 128)}, "", ["Segmentation(mode='binary')", "Maps()", "DbText()"]),
        ({"o": (1, 17, 32, 32)}, "", ["Segmentation()", "Keypoints()"]),
        ({"a": (1, 1, 32, 32), "b": (1, 2, 32, 32), "c": (1, 2, 32, 32), "d": (1, 10, 32, 32)}, "", ["CenterFace()"]),
        ({"r": (1, 896, 16), "c": (1, 896, 1)}, "", ["Ssd("]),
        ({"o": (1, 43, GRID), "p": (1, 32, 32, 32)}, "", ["Yolo(masks=True)"]),
        ({"o": (1, 300, 38), "p": (1, 32, 32, 32)}, "", ["Yolo(version='end2end', masks=True)"]),
        ({"o": (1, 300, 57)}, "", ["Yolo(version='end2end', points=17, point_values=3)"]),
        ({"o": (1, 300, 7)}, "", ["Yolo(version='end2end', rotated=True)"]),
        (
            {f"{n}{k}": (1, 2 * g * g, k) for n, g in (("a", 16), ("b", 8), ("c", 4)) for k in (1, 4, 10)},
            "",
            ["Scrfd()"],
        ),
        (
            {f"{n}{k}": (1, g * g, max(k, 1)) for n, g in (("a", 16), ("b", 8), ("c", 4)) for k in (0, 1, 4, 10)},
            "",
            ["YuNet()"],
        ),
        (
            {"l": (1, 2 * GRID, 4), "c": (1, 2 * GRID, 2), "p": (1, 2 * GRID, 10)},
            "",
            ["RetinaFace()", "RetinaFace(activation='softmax')"],
        ),
        (
            {f"{n}{k}": (1, k, g, g) for n, g in (("a", 16), ("b", 8), ("c", 4)) for k in (64, 9)},
            "",
            ["Yolo(version='split')"],
        ),
        (
            {f"{n}{k}": (1, k, g, g) for n, g in (("a", 16), ("b", 8), ("c", 4)) for k in (4, 9)},
            "",
            ["RtmDet()", "Yolo(version='split', bins=1)"],
        ),
        (
            {"logits": (1, 50, 9), "boxes": (1, 50, 4)},
            "",
            ["Detr()", "Detr(activation='softmax', background='last')"],
        ),
        ({"o": (1, 1)}, "", ["Regression()"]),
        ({"h": (1, 17, 8, 8), "o": (1, 34, 8, 8), "m": (1, 64, 8, 8)}, "", ["Keypoints(mode='offsets'"]),
        ({"o": (80, 95)}, "", ["YoloFastestV2()"]),
        ({f"{n}{k}": (1, g * g, k) for n, g in (("a", 16), ("b", 8), ("c", 4)) for k in (32, 9)}, "", ["NanoDet("]),
        ({"o": (1, 3, 256, 256)}, "", ["Maps(output='picture')"]),
        ({"output": (1, 3, 128, 128)}, "", ["Maps(output='picture')", "Segmentation()"]),  # beside "input" no state
        ({"o": (1, 7, 11)}, "", []),
    ],
)
def test_tensors__every_reading_that_fits_and_no_other(made, outputs, last, titles):
    path = networks.convert(networks.outputs(made({"x": (1, 1)}).with_name("n.onnx"), SIZE, outputs, last))
    found = mnnlite.describe(path)
    readings = [reading.title for reading in found.candidates] or ([] if found.task_spec is None else [found.title])
    if len(readings) == 1:
        assert readings[0].startswith(titles[0])
    else:
        assert readings == titles
    assert (found.task_spec is None) == (found.question != "")


def test_tensors__what_nobody_says_is_asked_for(made):
    path = networks.convert(networks.outputs(made({"x": (1, 1)}).with_name("n.onnx"), SIZE, {"o": (1, 40)}, "Softmax"))
    with pytest.raises(mnnlite.ArgumentError, match=r"n\.mnn: .* nothing says image.color, image.mean, image.std"):
        mnnlite.Task(path)
    reading = mnnlite.describe(path).candidates[0]
    with mnnlite.Task(reading.task_spec) as task:  # to go on from
        assert task.model.inputs["input"].shape == SIZE


@pytest.mark.parametrize(("maker", "activation"), [("Convolution", "sigmoid"), ("UnaryOp", "usual"), ("", "usual")])
def test_tensors__scores_of_a_convolution_are_none_yet(maker, activation):
    grids = [(f"{part}{side}", (1, part, side, side)) for side in (16, 8, 4) for part in (64, 9)]
    outputs = tuple(TensorInfo(name, shape, "float32", "NCHW") for name, shape in grids)
    inputs = (TensorInfo("input", SIZE, "float32", "NCHW"),)
    makers = {name: "Convolution" if name.startswith("64") else maker for name, _ in grids}
    (fit,) = fits(descriptions.Network("n.mnn", inputs, outputs, makers))
    assert fit.decoder == decoders.Yolo("split", activation=activation)


def test_tensors__a_small_classifier_is_no_detector(made):
    """A picture of 30x30 has one cell at stride 16 and none at 32."""
    path = networks.convert(networks.outputs(made({"x": (1, 1)}).with_name("n.onnx"), (1, 3, 30, 30), {"o": (1, 43)}))
    found = mnnlite.describe(path)
    assert "YoloFastestV2" not in str((found.title, found.candidates))


@pytest.mark.parametrize(("side", "marks"), [(24, False), (48, True)])
def test_tensors__the_later_networks_of_mtcnn(made, side, marks):
    outputs = {"reg": (1, 4), "prob": (1, 2)} | ({"marks": (1, 10)} if marks else {})
    path = networks.convert(
        networks.outputs(made({"x": (1, 1)}).with_name("n.onnx"), (1, 3, side, side), outputs, "Softmax")
    )
    spec = mnnlite.describe(path).task_spec
    assert spec.decoder == decoders.Mtcnn()
    assert (spec.image.color, spec.image.mean, spec.image.std) == ("RGB", (127.5,) * 3, (128.0,) * 3)


def test_tensors__the_columns_and_rows_of_simcc(made):
    path = networks.convert(
        networks.outputs(
            made({"x": (1, 1)}).with_name("n.onnx"), (1, 3, 128, 96), {"x": (1, 17, 192), "y": (1, 17, 256)}
        )
    )
    assert mnnlite.describe(path).one().decoder == decoders.SimCC(tensors=("x", "y"))


@pytest.mark.parametrize(("rows", "first", "ratio"), [(72, 0.42, 0.6), (56, 160 / 720, 0.8)])
def test_tensors__row_and_column_anchors_of_lanes(made, rows, first, ratio):
    shapes = {
        "loc_row": (1, 20, rows, 4),
        "loc_col": (1, 10, 41, 4),
        "exist_row": (1, 2, rows, 4),
        "exist_col": (1, 2, 41, 4),
    }
    path = networks.convert(networks.outputs(made({"x": (1, 1)}).with_name("l.onnx"), (1, 3, 64, 160), shapes))
    spec = mnnlite.describe(path).one()
    assert (spec.decoder.head, spec.decoder.crop_ratio) == ("anchors", ratio)
    assert spec.decoder.row_anchors[0] == pytest.approx(first)
    assert (spec.image.size, spec.image.fit, spec.image.anchor) == ((160, 64), "crop", "bottom")
    with mnnlite.Task(path) as task:
        assert isinstance(task(np.zeros((90, 160, 3), np.uint8), "RGB"), mnnlite.results.Polylines)


def test_tflite__boxes_of_the_exporter_are_relative(made):
    path = made({"output0": (1, 7, CELLS)}, {**YOLO, "boxes": "relative"})
    assert mnnlite.describe(path).one().decoder.units == "relative"
    path = made({"output0": (1, 10, CELLS)}, {**YOLO, "boxes": "relative", "task": "pose", "kpt_shape": [1, 3]})
    decoder = mnnlite.describe(path).one().decoder
    assert (decoder.units, decoder.point_units, decoder.points) == ("relative", "pixels", 1)
    mnnfile.write(path, {**YOLO, "boxes": "relative", "task": "pose", "kpt_shape": [1, 3], "end2end": True})
    with pytest.raises(mnnlite.ArgumentError, match="units differ within a row"):
        mnnlite.describe(path)
