"""Frames: what is accepted, what is refused and how, and that memory is shared and held."""

from __future__ import annotations

import gc
import sys
from array import array as byte_array

import av
import numpy as np
import pytest

import mnnlite
from mnnlite import ArgumentError, DTypeError, Frame, ImageSpec, LayoutError
from mnnlite.frame import _AV_FORMATS

SPEC = ImageSpec(size=(6, 4), color="BGR", filter="nearest")
PICTURE = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3)
EXPECTED = PICTURE.transpose(2, 0, 1)[None].astype(np.float32)


class OnlyInterface:
    """An object that shows its memory by ``__array_interface__`` alone."""

    def __init__(self, array):
        self._array = array

    @property
    def __array_interface__(self):
        return self._array.__array_interface__


class OnlyDlpack:
    def __init__(self, array):
        self._array = array

    def __dlpack__(self, **options):
        return self._array.__dlpack__(**options)

    def __dlpack_device__(self):
        return self._array.__dlpack_device__()


class InterfaceWithBytes:
    """As PIL shows a picture: the data is an object of bytes."""

    @property
    def __array_interface__(self):
        return {"shape": (4, 6, 3), "typestr": "|u1", "data": PICTURE.tobytes(), "version": 3}


@pytest.mark.parametrize(
    "wrap", [lambda a: a, memoryview, OnlyInterface, OnlyDlpack], ids=["numpy", "memoryview", "interface", "dlpack"]
)
@pytest.mark.parametrize("strided", [False, True])
def test_every_kind_of_array_is_accepted(wrap, strided):
    array = PICTURE.copy()
    if strided:
        wide = np.zeros((4, 11, 3), np.uint8)
        wide[:, 2:8] = PICTURE
        array = wide[:, 2:8]
    frame = Frame(wrap(array), "BGR")
    assert (frame.width, frame.height, frame.format) == (6, 4, "BGR")
    np.testing.assert_array_equal(SPEC.apply(frame), EXPECTED)


def test_interface_whose_data_is_bytes():
    np.testing.assert_array_equal(SPEC.apply(Frame(InterfaceWithBytes(), "BGR")), EXPECTED)


def test_readonly_memory_is_fine():
    array = PICTURE.copy()
    array.flags.writeable = False
    np.testing.assert_array_equal(SPEC.apply(Frame(array, "BGR")), EXPECTED)


def test_the_memory_is_shared_and_held():
    array = PICTURE.copy()
    frame = Frame(array, "BGR")
    array[0, 0] = 200
    assert SPEC.apply(frame)[0, 0, 0, 0] == 200
    before = sys.getrefcount(array)
    part = frame.roi(0, 0, 2, 2)
    del frame
    gc.collect()
    assert sys.getrefcount(array) == before, "the part holds the memory of the whole"
    del part
    gc.collect()
    assert sys.getrefcount(array) < before


def test_a_buffer_cannot_be_resized_under_a_frame():
    memory = bytearray(PICTURE.tobytes())
    frame = Frame(memoryview(memory).cast("B", (4, 6, 3)), "BGR")
    with pytest.raises(BufferError):
        memory.append(0)
    del frame


def test_timestamp_and_meta_stay_with_parts():
    meta = {"camera": 1}
    frame = Frame(PICTURE, "BGR", timestamp_ns=123, meta=meta)
    part = frame.roi(1, 1, 2, 2)
    assert (part.timestamp_ns, part.meta) == (123, meta)
    assert part.meta is meta
    assert (part.width, part.height) == (6, 4), "size is the whole frame's"
    assert part.region == (2, 2)
    assert "part of 2 x 2" in repr(part)
    assert Frame(PICTURE, "BGR").timestamp_ns is None


def gray(*shape, dtype=np.uint8):
    return np.zeros(shape, dtype)


@pytest.mark.parametrize(
    ("make", "error", "said"),
    [
        (lambda: Frame(PICTURE[::-1], "BGR"), LayoutError, r"axis 0 has a negative stride of -18"),
        (lambda: Frame(PICTURE[:, ::-1], "BGR"), LayoutError, r"axis 1 has a stride of -3"),
        (lambda: Frame(PICTURE[:, :, ::-1], "BGR"), LayoutError, r"axis 2 has a stride of -1"),
        (lambda: Frame(PICTURE[:, ::2], "BGR"), LayoutError, r"axis 1 has a stride of 6 bytes, wanted 3"),
        (lambda: Frame(PICTURE.transpose(1, 0, 2), "BGR"), LayoutError, r"axis 1"),
        (lambda: Frame(np.broadcast_to(PICTURE[:1], (4, 6, 3)), "BGR"), LayoutError, r"rows of plane 0 overlap"),
        (lambda: Frame(gray(0, 6, 3), "BGR"), ArgumentError, r"6 x 0 pixels, wanted 1 to"),
        (lambda: Frame(gray(4, 0, 3), "BGR"), ArgumentError, r"0 x 4 pixels"),
        (lambda: Frame(gray(4, 6), "BGR"), LayoutError, r"shape \(4, 6\), wanted \(height, width, 3\)"),
        (lambda: Frame(gray(4, 6, 4), "BGR"), LayoutError, r"shape \(4, 6, 4\), wanted \(4, 6, 3\)"),
        (lambda: Frame(gray(4, 6, 3), "BGRA"), LayoutError, r"wanted \(4, 6, 4\)"),
        (lambda: Frame(gray(4, 6, 3), "GRAY"), LayoutError, r"wanted \(4, 6\)"),
        (lambda: Frame(gray(1, 4, 6, 3), "BGR"), LayoutError, r"shape \(1, 4, 6, 3\)"),
        (lambda: Frame(gray(6), "GRAY"), LayoutError, r"shape \(6,\)"),
        (lambda: Frame(gray(4, 6, 3, dtype=np.float32), "BGR"), DTypeError, r'type "f", wanted uint8'),
        (lambda: Frame(gray(4, 6, 3, dtype=np.int8), "BGR"), DTypeError, r'type "b"'),
        (lambda: Frame(gray(4, 6, 3, dtype=">u2"), "BGR"), DTypeError, r'type ">H"'),
        (lambda: Frame(OnlyInterface(gray(4, 6, 3, dtype=np.float32)), "BGR"), DTypeError, r'type "<f4"'),
        (lambda: Frame(OnlyDlpack(gray(4, 6, 3, dtype=np.float32)), "BGR"), DTypeError, r"type code 2"),
        (lambda: Frame(PICTURE, "bgr"), ArgumentError, r"got 'bgr', wanted one of 'RGB', 'BGR'"),
        (lambda: Frame(PICTURE, "NV12"), ArgumentError, r"Frame.nv12"),
        (lambda: Frame(PICTURE, 3), ArgumentError, r"format: got 3"),
        (lambda: Frame([[1, 2], [3, 4]], "GRAY"), ArgumentError, r"is a list, wanted an array"),
        (lambda: Frame(PICTURE, "BGR", timestamp_ns=1.5), ArgumentError, r"timestamp_ns: got 1.5"),
        (lambda: Frame(PICTURE, "BGR", bits=10), ArgumentError, r"bits: got 10, wanted 8 for samples of uint8"),
        (lambda: Frame(gray(4, 6, dtype=np.uint16), "GRAY", bits=9), ArgumentError, r"bits: got 9, wanted 10 to 16"),
        (lambda: Frame(gray(4, 6, dtype=np.uint16), "GRAY", bits=17), ArgumentError, r"bits: got 17, wanted 10 to 16"),
        (lambda: Frame.nv12(gray(4, 6), gray(2, 4, 2)), LayoutError, r"uv has shape \(2, 4, 2\), wanted \(2, 3, 2\)"),
        (lambda: Frame.nv12(gray(4, 6), gray(3, 3, 2)), LayoutError, r"uv has shape"),
        (lambda: Frame.nv12(gray(4, 6), gray(2, 3, 2), matrix="bt2020"), ArgumentError, r"matrix: got 'bt2020'"),
        (lambda: Frame.nv12(gray(4, 6), gray(2, 3, 2), range="tv"), ArgumentError, r"range: got 'tv'"),
        (lambda: Frame.nv12(gray(4, 6, dtype=np.uint16), gray(2, 3, 2)), DTypeError, r"y is uint16"),
        (lambda: Frame.i420(gray(4, 6), gray(2, 3), gray(2, 2)), LayoutError, r"v has shape \(2, 2\), wanted \(2, 3\)"),
        (lambda: Frame.yuyv(gray(4, 5, 2)), LayoutError, r"odd width of 5"),
        (lambda: Frame(PICTURE, "BGR").roi(0, 0, 0, 2), ArgumentError, r"roi: got .*width=0"),
        (lambda: Frame(PICTURE, "BGR").roi(float("nan"), 0, 1, 2), ArgumentError, r"roi: got x=nan"),
        (lambda: Frame(PICTURE, "BGR").roi(0, 0, float("inf"), 2), ArgumentError, r"width=inf"),
        (lambda: Frame(PICTURE, "BGR").roi("a", 0, 1, 2), ArgumentError, r"wanted numbers"),
        (lambda: Frame(PICTURE, "BGR").quad([(0, 0), (1, 0), (1, 1)]), ArgumentError, r"shape \(3, 2\)"),
        (lambda: Frame(PICTURE, "BGR").quad([(0, 0), (2, 2), (2, 0), (0, 2)]), ArgumentError, r"convex"),
        (lambda: Frame(PICTURE, "BGR").quad([(0, 0), (1, 1), (2, 2), (3, 3)]), ArgumentError, r"convex"),
        (lambda: Frame(PICTURE, "BGR").quad([(0, 0), (np.nan, 0), (2, 2), (0, 3)]), ArgumentError, r"point 1"),
    ],
)
def test_what_cannot_be_used_is_refused_with_the_reason(make, error, said):
    with pytest.raises(error, match=said) as caught:
        make()
    assert "\n" not in str(caught.value)


def test_16_bit_memory_at_odd_addresses_is_refused():
    memory = np.zeros(4 * 6 * 2 + 1, np.uint8)
    with pytest.raises(LayoutError, match="odd addresses"):
        Frame(memory[1:].view(np.uint16).reshape(4, 6), "GRAY")


def test_a_one_row_frame_may_have_any_row_stride():
    assert Frame(PICTURE[::-1][:1], "BGR").height == 1


def test_other_array_types():
    assert Frame(memoryview(byte_array("B", bytes(24))).cast("B").cast("B", (4, 6)), "GRAY").width == 6
    with pytest.raises(LayoutError):
        Frame(bytes(24), "GRAY")


def test_frames_from_video():
    rng = np.random.default_rng(5)
    picture = rng.integers(0, 256, (34, 50, 3), dtype=np.uint8)
    source = av.VideoFrame.from_ndarray(picture, "rgb24")
    frame = Frame.from_av(source, timestamp_ns=7)
    assert (frame.width, frame.height, frame.format, frame.timestamp_ns) == (50, 34, "RGB", 7)
    spec = ImageSpec(size=(50, 34), dtype="uint8", layout="NHWC")
    np.testing.assert_array_equal(spec.apply(frame)[0], picture)
    for name in ("bgr24", "rgba", "bgra", "rgb48le"):
        applied = spec.apply(Frame.from_av(source.reformat(format=name)))[0].astype(int)
        np.testing.assert_allclose(applied, picture, atol=1 if name == "rgb48le" else 0)  # ffmpeg goes through 15 bits
    deep = av.VideoFrame.from_ndarray(np.arange(34 * 50, dtype=np.uint16).reshape(34, 50) % 1024, "gray10le")
    ten = ImageSpec(size=(50, 34), color="GRAY").apply(Frame.from_av(deep))[0, 0]
    np.testing.assert_allclose(ten.ravel(), np.arange(34 * 50) % 1024 * 255 / 1023, rtol=1e-6)


def av_formats_of_yuv() -> list[str]:
    formats = [av.VideoFormat(name) for name in _AV_FORMATS]
    return [format.name for format in formats if len(format.components) > 1 and not format.is_rgb]


@pytest.mark.parametrize("name", av_formats_of_yuv())
@pytest.mark.parametrize("space", ["ITU601", "ITU709"])
def test_video_frames_are_converted_as_ffmpeg_does(name, space):
    from av.video.reformatter import ColorRange, Colorspace

    y, x = np.mgrid[0:64, 0:96]
    picture = np.stack([x * 2 + 20, y * 3 + 30, 200 - x - y // 2], -1).astype(np.uint8)
    full = name == "yuvj420p"
    target = "yuv420p" if full else name
    yuv = av.VideoFrame.from_ndarray(picture, "rgb24").reformat(
        format=target,
        dst_colorspace=getattr(Colorspace, space),
        dst_color_range=ColorRange.JPEG if full else ColorRange.MPEG,
    )
    yuv.colorspace = getattr(Colorspace, space)
    yuv.color_range = ColorRange.JPEG if full else ColorRange.MPEG
    frame = Frame.from_av(yuv)
    assert frame._handle.matrix == ("bt709" if space == "ITU709" else "bt601")
    assert frame._handle.range == ("full" if full else "limited")
    got = ImageSpec(size=(96, 64), dtype="uint8", layout="NHWC").apply(frame)[0].astype(int)
    # The picture is smooth, so what chroma loses by subsampling is small inside; ffmpeg's siting differs by half a pixel.
    np.testing.assert_allclose(got[2:-2, 2:-2], picture[2:-2, 2:-2], atol=4)


def test_video_formats_that_are_not_known_are_refused():
    frame = av.VideoFrame(16, 16, "yuv444p")
    with pytest.raises(ArgumentError, match=r"'yuv444p', wanted one of .*reformat"):
        Frame.from_av(frame)
    frame = av.VideoFrame(16, 16, "nv12")
    frame.colorspace = 9
    with pytest.raises(ArgumentError, match=r"number 9 of ITU-T H\.273"):
        Frame.from_av(frame)


def test_the_extension_is_reached_by_one_name():
    assert mnnlite.Frame is Frame
