"""Settings that would give nonsense are refused, with what is likely meant."""

from __future__ import annotations

import numpy as np
import pytest

import mnnlite
from helpers import networks
from mnnlite import decoders

NAMES = [f"class {i}" for i in range(3)]
MORE, LESS = [*NAMES, "class 3"], NAMES[:2]
IMAGE = mnnlite.ImageSpec(size=(64, 64))


def zeros(*shape):
    return np.zeros(shape, np.float32)


# A decoder of three classes, and outputs that fit it.
FAMILIES = {
    "yolo v8": (lambda classes: decoders.Yolo("v8", classes=classes), {"o": zeros(1, 7, 84)}),
    "yolo v8, channels last": (
        lambda classes: decoders.Yolo("v8", channels="last", classes=classes),
        {"o": zeros(1, 84, 7)},
    ),
    "yolo v8, points": (lambda classes: decoders.Yolo("v8", points=5, classes=classes), {"o": zeros(1, 17, 84)}),
    "yolo v5": (lambda classes: decoders.Yolo("v5", classes=classes), {"o": zeros(1, 84, 8)}),
    "yolo v5, grids": (
        lambda classes: decoders.Yolo("v5", classes=classes),
        {name: zeros(1, 24, size, size) for name, size in (("a", 8), ("b", 4), ("c", 2))},
    ),
    "yolo v3": (
        lambda classes: decoders.Yolo("v3", classes=classes),
        {name: zeros(1, 24, size, size) for name, size in (("a", 8), ("b", 4), ("c", 2))},
    ),
    "yolox": (lambda classes: decoders.Yolo("yolox", classes=classes), {"o": zeros(1, 84, 8)}),
    "fastestdet": (lambda classes: decoders.FastestDet(classes=classes), {"o": zeros(1, 8, 4, 4)}),
    "ssd": (lambda classes: decoders.Ssd(boxes="corners", classes=classes), {"s": zeros(1, 9, 3), "b": zeros(1, 9, 4)}),
    "ssd, background": (
        lambda classes: decoders.Ssd(boxes="corners", background=0, classes=classes),
        {"s": zeros(1, 9, 4), "b": zeros(1, 9, 4)},
    ),
    "classification": (lambda classes: decoders.Classification(classes=classes), {"o": zeros(1, 3)}),
    "segmentation": (lambda classes: decoders.Segmentation(classes=classes), {"o": zeros(1, 3, 8, 8)}),
}


@pytest.mark.parametrize("family", FAMILIES)
def test_there_is_a_name_for_each_class(family):
    make, outputs = FAMILIES[family]
    make(NAMES).decode(outputs, (64, 64), IMAGE)
    make(None).decode(outputs, (64, 64), IMAGE)
    for classes in (MORE, LESS):
        with pytest.raises(
            mnnlite.DecoderError, match=rf"has 3 classes, but {len(classes)} names of classes are given"
        ):
            make(classes).decode(outputs, (64, 64), IMAGE)


def test_two_classes_of_a_binary_map():
    outputs = {"o": zeros(1, 1, 8, 8)}
    decoders.Segmentation(mode="binary", classes=["", "line"]).decode(outputs, (8, 8))
    with pytest.raises(mnnlite.DecoderError, match="has 2 classes, but 3 names"):
        decoders.Segmentation(mode="binary", classes=["", "line", "edge"]).decode(outputs, (8, 8))


def test_a_task_refuses_wrong_names_when_it_is_made(tmp_path):
    path = networks.convert(networks.two_branches(tmp_path))
    with pytest.raises(mnnlite.DecoderError, match=r'output "points" has 6 classes, but 3 names'):
        mnnlite.Task(path, decoder=decoders.Segmentation(classes=NAMES, tensors=["points"]))


def test_the_wrong_version_is_an_error_and_not_a_class_2009():
    """A v8 export read as v5: candidates and channels change places."""
    rng = np.random.default_rng(1)
    head = rng.uniform(0, 640, (1, 84, 2100)).astype(np.float32)
    head[:, 4:] = rng.uniform(0, 1, (1, 80, 2100))
    decoders.Yolo("v8").decode({"out": head}, (640, 640), IMAGE)
    with pytest.raises(
        mnnlite.DecoderError, match=r'output "out" gives a score of .* at most 1; likely version'
    ) as caught:
        decoders.Yolo("v5").decode({"out": head}, (640, 640), IMAGE)
    assert "\n" not in str(caught.value)
    with pytest.raises(mnnlite.DecoderError, match="2095 classes, but 80 names"):
        decoders.Yolo("v5", classes=[str(i) for i in range(80)]).decode({"out": head}, (640, 640), IMAGE)


def test_logits_read_as_probabilities_are_an_error():
    head = zeros(1, 7, 84)
    head[0, :4] = 32
    head[0, 5, 3] = 4.5
    with pytest.raises(mnnlite.DecoderError, match=r'score of 4\.5.*activation \("sigmoid"\)'):
        decoders.Yolo("v8").decode({"o": head}, (64, 64), IMAGE)
    assert decoders.Yolo("v8", activation="sigmoid", score=0.9).decode(
        {"o": head}, (64, 64), IMAGE
    ).scores == pytest.approx(0.989, abs=1e-3)
    text = zeros(1, 6, 4)
    text[0, 2, 1] = 9
    with pytest.raises(mnnlite.DecoderError, match=r'score of 9.*activation="softmax"'):
        decoders.Ctc(keys=["a", "b", "c"]).decode({"o": text}, (64, 64), IMAGE)
    with pytest.raises(mnnlite.DecoderError, match=r"score of 6.*sigmoid=true"):
        decoders.DbText().decode({"o": np.full((1, 1, 16, 16), 6, np.float32)}, (64, 64), IMAGE)


def test_where_both_axes_fit_the_axis_has_to_be_said():
    square = zeros(1, 84, 84)
    square[0, :4] = 32
    square[0, 7, 9] = 0.9
    for classes in (None, [str(i) for i in range(80)]):
        with pytest.raises(
            mnnlite.DecoderError, match=r'both axes fit 4 \+ classes; say which one by channels="first" or "last"'
        ):
            decoders.Yolo("v8", classes=classes).decode({"o": square}, (64, 64), IMAGE)
    (found,) = decoders.Yolo("v8", channels="first").decode({"o": square}, (64, 64), IMAGE)
    assert found.class_id == 3


def test_names_tell_which_axis_holds_the_channels():
    """A small input has fewer candidates than channels."""
    head = zeros(1, 84, 21)
    head[0, :4] = 32
    head[0, 4 + 70, 9] = 0.9
    names = [f"name {i}" for i in range(80)]
    for outputs in ({"o": head}, {"o": head.transpose(0, 2, 1).copy()}):
        (found,) = decoders.Yolo("v8", classes=names).decode(outputs, (64, 64), IMAGE)
        assert found.label == "name 70"


def test_rows_of_a_class_without_a_name():
    rows = zeros(1, 2, 6)
    rows[0, 0] = [1, 1, 9, 9, 0.9, 3]
    with pytest.raises(mnnlite.DecoderError, match="the class 3, but there are 3 names"):
        decoders.Yolo("end2end", classes=NAMES).decode({"o": rows}, (64, 64), IMAGE)
