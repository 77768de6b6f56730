"""ImageSpec: plain data that is checked when it is made."""

from __future__ import annotations

import math
import pickle

import numpy as np
import pytest

from mnnlite import ArgumentError, Frame, ImageSpec, LayoutError
from mnnlite.errors import DTypeError

FRAME = Frame(np.zeros((9, 16, 3), np.uint8), "BGR")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"size": (0, 4)}, r"size\[0\]: got 0, wanted a whole number from 1 to 16384"),
        ({"size": (4, 4.5)}, r"size\[1\]: got 4.5"),
        ({"size": (True, 4)}, r"size\[0\]: got True"),
        ({"size": 4}, r"size: got 4, wanted \(width, height\)"),
        ({"size": (4, 4, 3)}, r"size: got \(4, 4, 3\)"),
        ({"fit": "fill"}, r"fit: got 'fill', wanted one of 'stretch', 'letterbox', 'crop'"),
        ({"color": "rgb"}, r"color: got 'rgb', wanted one of 'RGB'"),
        ({"filter": "cubic"}, r"filter: got 'cubic'"),
        ({"anchor": "left"}, r"anchor: got 'left'"),
        ({"std": 0}, r"std\[0\]: got 0.0, wanted a number other than 0"),
        ({"std": (1, 0, 1)}, r"std\[1\]: got 0.0"),
        ({"std": math.nan}, r"std\[0\]: got nan, wanted a finite number"),
        ({"mean": (0, math.inf, 0)}, r"mean\[1\]: got inf"),
        ({"mean": (1, 2)}, r"mean: got 2 numbers, wanted 1 or 3, one per channel of color='RGB'"),
        ({"mean": "abc"}, r"mean\[0\]: got 'a'"),
        ({"mean": None}, r"mean: got None"),
        ({"pad": -1}, r"pad\[0\]: got -1.0"),
        ({"pad": 70000}, r"pad\[0\]: got 70000"),
        ({"dtype": "float64"}, r"dtype: got 'float64', wanted one of 'float32'"),
        ({"layout": "CHW"}, r"layout: got 'CHW'"),
        ({"scale": 0}, r"scale: got 0.0, wanted a number greater than 0"),
        ({"zero_point": 1.5}, r"zero_point: got 1.5"),
        ({"multiple": 32}, r"multiple: is for fit='letterbox'"),
        ({"multiple": 32, "fit": "letterbox", "size": (100, 64)}, r"not a multiple of 32"),
    ],
)
def test_bad_values_are_refused_with_the_reason(options, said):
    with pytest.raises(ArgumentError, match=said) as caught:
        ImageSpec(**options)
    assert "\n" not in str(caught.value)
    assert isinstance(caught.value, ValueError)


def test_a_spec_is_hashable_data():
    spec = ImageSpec(size=[320, 240], std=[255, 255, 255], dtype=np.float16)
    assert spec == ImageSpec(size=(320, 240), std=255, dtype="float16")
    assert hash(spec) == hash(ImageSpec(size=(320, 240), std=(255.0,) * 3, dtype="float16"))
    assert pickle.loads(pickle.dumps(spec)) == spec
    assert spec.std == (255.0, 255.0, 255.0)
    assert spec.size == (320, 240)
    with pytest.raises(AttributeError):
        spec.fit = "crop"


@pytest.mark.parametrize(
    ("call", "error", "said"),
    [
        (lambda: ImageSpec().apply(FRAME), ArgumentError, r"the spec has no size"),
        (
            lambda: ImageSpec(size=(4, 4)).apply(np.zeros((4, 4, 3), np.uint8)),
            ArgumentError,
            r"got a ndarray, wanted a Frame|got a uint8",
        ),
        (lambda: ImageSpec(size=(4, 4)).apply(3), ArgumentError, r"got a int, wanted a Frame"),
        (lambda: ImageSpec(size=(4, 4)).apply([]), ArgumentError, r"got no frames"),
        (lambda: ImageSpec(size=(4, 4)).apply([FRAME, None]), ArgumentError, r"got a NoneType"),
        (
            lambda: ImageSpec(size=(4, 4)).apply([FRAME, Frame(np.zeros((4, 4, 3), np.uint8), "RGB")]),
            ArgumentError,
            r"frames of BGR and RGB, of 8 and 8 bits, wanted one format",
        ),
        (
            lambda: ImageSpec(size=(4, 4), filter="area").apply(FRAME.quad([(1, 0), (8, 2), (7, 8), (0, 6)])),
            ArgumentError,
            r"'area' is for axis-aligned regions",
        ),
        (
            lambda: ImageSpec(size=(4, 4)).apply(FRAME, out=np.zeros((1, 3, 4, 5), np.float32)),
            LayoutError,
            r"shape \(1, 3, 4, 5\).*\(1, 3, 4, 4\)",
        ),
        (lambda: ImageSpec(size=(4, 4)).apply(FRAME, out=np.zeros((1, 3, 4, 4))), DTypeError, r"float32"),
        (
            lambda: ImageSpec(size=(4, 4)).apply(FRAME, out=np.zeros((1, 3, 4, 8), np.float32)[..., ::2]),
            LayoutError,
            r"C-contiguous",
        ),
    ],
)
def test_apply_refuses_what_does_not_fit(call, error, said):
    with pytest.raises(error, match=said):
        call()


def test_out_is_filled_and_returned():
    spec = ImageSpec(size=(5, 4))
    out = np.full((3, 3, 4, 5), -1, np.float32)
    assert spec.apply([FRAME, FRAME.roi(0, 0, 3, 3)], out=out) is out
    assert (out[:2] == 0).all()
    assert (out[2] == -1).all(), "slots beyond the frames are left alone"


def test_readonly_out_is_refused():
    out = np.zeros((1, 3, 4, 4), np.float32)
    out.flags.writeable = False
    with pytest.raises((ArgumentError, BufferError)):
        ImageSpec(size=(4, 4)).apply(FRAME, out=out)


def test_multiple_gives_the_smallest_size_that_holds_the_picture():
    spec = ImageSpec(size=(64, 64), fit="letterbox", multiple=16)
    assert spec.apply(Frame(np.zeros((720, 1280, 3), np.uint8), "BGR")).shape == (1, 3, 48, 64)
    assert spec.apply(Frame(np.zeros((1280, 720, 3), np.uint8), "BGR")).shape == (1, 3, 64, 48)
    assert spec.apply(Frame(np.zeros((64, 64, 3), np.uint8), "BGR")).shape == (1, 3, 64, 64)
