"""Frame to tensor: equal to the definition to the last bit, and the definition close to OpenCV."""

from __future__ import annotations

import threading
import time

import cv2
import numpy as np
import pytest

import mnnlite
from helpers.child import run_python
from helpers.image_cases import PACKED, YUV, make, region_of
from mnnlite import Frame, ImageSpec, _core
from mnnlite.reference import image as reference

SIZES = (1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 97)
FORMATS = (*PACKED, *YUV)


def same(spec, frame, image):
    """Equal to the definition to the last bit, on every instruction set that this CPU has."""
    wanted = reference.convert(spec, image, region_of(frame))
    try:
        for isa in _core.cpu_isas():
            _core.force_isa(isa)
            assert _core.active_isa() == isa
            got = spec.apply(frame)
            assert got.shape == wanted.shape
            assert got.dtype == wanted.dtype
            np.testing.assert_array_equal(got, wanted, err_msg=f"{isa} {spec} {frame!r}")
    finally:
        _core.force_isa(None)


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("filter", ["bilinear", "nearest", "area"])
def test_sizes_and_strides(format, filter):
    rng = np.random.default_rng(1)
    for index, size in enumerate(SIZES):
        other = SIZES[(index * 5 + 3) % len(SIZES)]
        frame, image = make(rng, format, size, other, gap=index % 5, offset=index % 4)
        for target in (size, SIZES[(index * 7 + 1) % len(SIZES)]):
            color = ("RGB", "BGR", "GRAY")[(index + target) % 3]
            same(ImageSpec(size=(target, other), filter=filter, color=color, mean=(3.5,), std=58.0), frame, image)


@pytest.mark.parametrize("format", ["BGR", "RGBA", "NV12", "I420", "UYVY"])
def test_real_sizes(format):
    rng = np.random.default_rng(15)
    for (width, height), target in (((1280, 720), (320, 320)), ((1920, 1080), (416, 224)), ((640, 360), (640, 640))):
        frame, image = make(rng, format, width, height, gap=64)
        same(ImageSpec(size=target, fit="letterbox", std=255.0, pad=114), frame, image)
        same(ImageSpec(size=(96, 96), mean=127.5, std=127.5), frame.roi(100.5, 50.25, 61.5, 90), image)


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("dtype", ["float32", "uint8"])
def test_every_scale(format, dtype):
    """Kernels load one, two or four outputs' samples at once, as the scale allows; regions end where the frame does."""
    rng = np.random.default_rng(16)
    frame, image = make(rng, format, 202, 9, gap=1, offset=3)
    for target in (8, 9, 13, 15, 17, 25, 33, 39, 47, 61, 66, 81, 100, 128, 187, 202, 250, 411):
        spec = ImageSpec(
            size=(target, 4), dtype=dtype, std=255.0 if target % 3 else 1.0, mean=3.0 if target % 2 else 0.0
        )
        for part in (frame, frame.roi(101.3, 0, 100.7, 9), frame.roi(186, 0, 16, 9)):
            same(spec, part, image)
    mirrored = frame.quad([(190, 1), (30, 1), (30, 8), (190, 8)])
    for target in (20, 80, 300):
        same(ImageSpec(size=(target, 4), dtype=dtype, std=2.0), mirrored, image)


@pytest.mark.parametrize("format", PACKED)
@pytest.mark.parametrize("filter", ["bilinear", "nearest", "area"])
def test_16_bit(format, filter):
    rng = np.random.default_rng(2)
    for size in (1, 3, 8, 33):
        frame, image = make(rng, format, size, 40 - size, dtype=np.uint16, gap=size % 3)
        for color in ("RGB", "BGRA", "GRAY"):
            same(ImageSpec(size=(17, 9), filter=filter, color=color, std=255.0, pad=200), frame, image)


@pytest.mark.parametrize("bits", [10, 11, 12, 13, 14, 15, 16])
@pytest.mark.parametrize("dtype", ["float32", "float16", "uint8", "int8"])
def test_bits(bits, dtype):
    rng = np.random.default_rng(bits)
    for index, format in enumerate(PACKED):
        frame, image = make(rng, format, 31 + index, 23, dtype=np.uint16, gap=index, bits=bits)
        for part in (frame, frame.roi(3.3, -2, 20, 30), frame.quad([(5, 5), (25, 8), (22, 20), (3, 18)])):
            for options in ({}, {"mean": (10.0,), "std": 58.5}, {"std": 255.0, "scale": 0.011, "zero_point": -3}):
                for color in ("RGBA", "GRAY"):
                    spec = ImageSpec(size=(17, 9), fit="letterbox", color=color, dtype=dtype, pad=114, **options)
                    same(spec, part, image)


@pytest.mark.parametrize("format", PACKED)
@pytest.mark.parametrize("filter", ["bilinear", "nearest", "area"])
def test_the_same_picture_with_8_and_with_16_bits(format, filter):
    """v / 257: equal where pixels are taken as they are, within the roundings of the two scales where they are mixed."""
    rng = np.random.default_rng(11)
    frame, image = make(rng, format, 64, 48)
    deep = Frame(image.planes[0].astype(np.uint16) * 257, format)
    for size in ((64, 48), (23, 31)):
        # (Grey and mixed values of 8 bits keep 7 fraction bits on the way, of 16 bits whole steps of 1/257.)
        spec = ImageSpec(size=size, filter=filter, color="RGBA", mean=(123.675, 116.28, 103.53, 0), std=58.395)
        exact = filter == "nearest" or size == (64, 48)
        np.testing.assert_allclose(spec.apply(deep), spec.apply(frame), rtol=0, atol=1e-6 if exact else 2.5e-4)
    whole = ImageSpec(size=(64, 48), color="RGB", dtype="uint8")
    np.testing.assert_array_equal(whole.apply(deep), whole.apply(frame))


@pytest.mark.parametrize("bits", [10, 12, 14, 16])
def test_the_largest_value_of_the_bits_is_255(bits):
    top = (1 << bits) - 1
    array = np.array([[0, top // 3, top]], np.uint16)
    frame = Frame(array, "GRAY", bits=bits)
    assert frame.bits == bits
    got = ImageSpec(size=(3, 1), color="RGBA").apply(frame)[0, :, 0]
    np.testing.assert_allclose(got[0], [0, top // 3 * 255 / top, 255], rtol=1e-6)
    np.testing.assert_allclose(got[3], 255, rtol=1e-6)
    padded = ImageSpec(size=(3, 3), color="GRAY", fit="letterbox", pad=114).apply(frame)[0, 0]
    np.testing.assert_allclose(padded[0], 114, atol=0.2 if bits == 10 else 0.02)


def test_frames_of_other_bits_are_other_plans():
    array = np.full((4, 4), 1023, np.uint16)
    spec = ImageSpec(size=(4, 4), color="GRAY")
    ten, sixteen = Frame(array, "GRAY", bits=10), Frame(array, "GRAY")
    np.testing.assert_allclose([spec.apply(ten).max(), spec.apply(sixteen).max()], [255, 1023 / 257], rtol=1e-6)
    with pytest.raises(mnnlite.ArgumentError, match="GRAY and GRAY, of 10 and 16 bits"):
        spec.apply([ten, sixteen])


@pytest.mark.parametrize("dtype", ["float32", "float16", "uint8", "int8"])
@pytest.mark.parametrize("layout", ["NCHW", "NHWC", "NC4HW4", "NC8HW8"])
@pytest.mark.parametrize("color", ["RGB", "BGR", "RGBA", "BGRA", "GRAY"])
def test_outputs(dtype, layout, color):
    rng = np.random.default_rng(3)
    for format in ("BGR", "RGBA", "GRAY", "NV12"):
        frame, image = make(rng, format, 37, 23)
        for options in ({}, {"mean": 127.0, "std": 1.5}, {"std": 255.0, "scale": 0.011, "zero_point": -3}):
            same(ImageSpec(size=(19, 33), dtype=dtype, layout=layout, color=color, **options), frame, image)


@pytest.mark.parametrize("fit", ["stretch", "letterbox", "crop"])
@pytest.mark.parametrize("format", ["BGR", "GRAY", "NV12", "YUYV"])
def test_regions(fit, format):
    rng = np.random.default_rng(4)
    frame, image = make(rng, format, 61, 47, gap=3, matrix="bt709", range="full")
    parts = [
        frame.roi(10, 11, 20, 30),
        frame.roi(0.25, 3.75, 33.3, 18.2),
        frame.roi(-10, -7.5, 40, 40),
        frame.roi(50, 40, 40.5, 30),
        frame.roi(500, 500, 5, 5),
        frame.roi(-100, -100, 300, 300),
        frame.roi(30, 30, 0.01, 0.01),
        frame.quad([(50, 10), (10, 10), (10, 30), (50, 30)]),  # mirrored
    ]
    for part in parts:
        for filter in ("bilinear", "nearest", "area"):
            for anchor in ("center", "top_left", "bottom"):
                same(ImageSpec(size=(24, 17), fit=fit, filter=filter, anchor=anchor, pad=(10, 20.5, 114)), part, image)


@pytest.mark.parametrize("format", FORMATS)
def test_quadrilaterals(format):
    rng = np.random.default_rng(5)
    frame, image = make(rng, format, 61, 47, gap=1)
    quads = [
        [(10, 5), (40, 9), (38, 33), (8, 29)],  # a parallelogram: affine
        [(10, 5), (50, 1), (42, 40), (3, 30)],
        [(-10, -5), (80, 1), (42, 60), (3, 30)],
        [(40, 5), (40, 40), (5, 40), (5, 5)],  # a quarter turn
    ]
    for points in quads:
        for filter in ("bilinear", "nearest"):
            for fit in ("stretch", "letterbox", "crop"):
                same(ImageSpec(size=(33, 18), fit=fit, filter=filter, pad=77), frame.quad(points), image)


def test_a_batch_is_its_frames():
    rng = np.random.default_rng(6)
    frame, _ = make(rng, "BGR", 64, 48)
    other, _ = make(rng, "BGR", 33, 21)
    spec = ImageSpec(size=(16, 16), fit="letterbox", std=255.0)
    frames = [frame, frame.roi(3, 4, 20, 20), other, frame.quad([(10, 5), (50, 1), (42, 40), (3, 30)])]
    np.testing.assert_array_equal(spec.apply(frames), np.concatenate([spec.apply(item) for item in frames]))


def test_a_region_at_whole_pixels_is_the_cut_out_array():
    array = np.random.default_rng(7).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    spec = ImageSpec(size=(96, 96))
    part, cut = Frame(array, "RGB").roi(10, 5, 21, 17), Frame(array[5:22, 10:31], "RGB")
    np.testing.assert_array_equal(spec.apply(part), spec.apply(cut))


def test_an_axis_aligned_quad_is_a_roi():
    frame, _ = make(np.random.default_rng(8), "BGR", 64, 48)
    spec = ImageSpec(size=(20, 30))
    np.testing.assert_array_equal(
        spec.apply(frame.quad([(10, 5), (31, 5), (31, 22), (10, 22)])), spec.apply(frame.roi(10, 5, 21, 17))
    )


def test_the_definition_of_normalisation():
    array = np.random.default_rng(9).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    mean, std = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
    got = ImageSpec(size=(30, 20), color="RGB", mean=mean, std=std).apply(Frame(array, "BGR"))
    wanted = ((array[..., ::-1] - np.array(mean)) / np.array(std)).transpose(2, 0, 1)[None]
    np.testing.assert_allclose(got, wanted, atol=1e-6, rtol=1e-6)
    plain = ImageSpec(size=(30, 20), color="BGR").apply(Frame(array, "BGR"))
    np.testing.assert_array_equal(plain[0].transpose(1, 2, 0), array)


def test_float_output_keeps_the_fraction():
    array = np.array([[0, 255]], np.uint8)
    got = ImageSpec(size=(4, 1), color="GRAY").apply(Frame(array, "GRAY"))
    np.testing.assert_array_equal(got.ravel(), [0, 63.75, 191.25, 255])


def test_letterbox_borders_are_whole_pixels():
    frame = Frame(np.full((360, 640, 3), 200, np.uint8), "BGR")
    got = ImageSpec(size=(64, 64), fit="letterbox", pad=114).apply(frame)[0, 0]
    assert (got[:14] == 114).all()
    assert (got[14:50] == 200).all()
    assert (got[50:] == 114).all()
    top_left = ImageSpec(size=(64, 64), fit="letterbox", pad=114, anchor="top_left").apply(frame)[0, 0]
    assert (top_left[:36] == 200).all()
    assert (top_left[36:] == 114).all()
    bottom = ImageSpec(size=(64, 64), fit="letterbox", pad=114, anchor="bottom").apply(frame)[0, 0]
    assert (bottom[:28] == 114).all()
    assert (bottom[28:] == 200).all()


@pytest.mark.parametrize(("anchor", "left", "top"), [("center", 20, 10), ("top_left", 0, 0), ("bottom", 20, 20)])
def test_a_crop_keeps_the_part_its_anchor_says(anchor, left, top):
    """Of what is over in one direction nothing is over in the other, so each is seen with a frame of its own."""
    image = np.arange(40 * 80, dtype=np.uint16).reshape(40, 80)
    wide = ImageSpec(size=(40, 40), fit="crop", anchor=anchor, color="GRAY").apply(Frame(image, "GRAY"))[0, 0]
    np.testing.assert_array_equal(np.rint(wide * 257), image[:, left : left + 40])
    flat = ImageSpec(size=(80, 20), fit="crop", anchor=anchor, color="GRAY").apply(Frame(image, "GRAY"))[0, 0]
    np.testing.assert_array_equal(np.rint(flat * 257), image[top : top + 20])


@pytest.mark.parametrize("size", [(50, 40), (131, 97), (200, 300), (224, 224), (33, 150)])
def test_bilinear_is_within_one_level_of_opencv(size):
    array = np.random.default_rng(10).integers(0, 256, (97, 131, 3), dtype=np.uint8)
    got = ImageSpec(size=size, color="BGR", dtype="uint8", layout="NHWC").apply(Frame(array, "BGR"))[0]
    assert np.abs(got.astype(int) - cv2.resize(array, size)).max() <= 1
    part = ImageSpec(size=size, color="BGR", dtype="uint8", layout="NHWC").apply(
        Frame(array, "BGR").roi(20, 30, 60, 50)
    )[0]
    assert np.abs(part.astype(int) - cv2.resize(array[30:80, 20:80], size)).max() <= 1
    real = ImageSpec(size=size, color="BGR").apply(Frame(array, "BGR"))[0].transpose(1, 2, 0)
    assert np.abs(real - cv2.resize(array.astype(np.float32), size)).max() < 0.3


@pytest.mark.parametrize("size", [(50, 40), (131, 97), (32, 24), (7, 5), (1, 1)])
def test_area_is_close_to_opencv(size):
    array = np.random.default_rng(11).integers(0, 256, (97, 131, 3), dtype=np.uint8)
    got = ImageSpec(size=size, color="BGR", dtype="uint8", layout="NHWC", filter="area").apply(Frame(array, "BGR"))[0]
    assert np.abs(got.astype(int) - cv2.resize(array, size, interpolation=cv2.INTER_AREA)).max() <= 1


def test_nearest_is_opencv_s_exact_nearest():
    array = np.random.default_rng(12).integers(0, 256, (97, 131, 3), dtype=np.uint8)
    for size in ((50, 40), (131, 97), (200, 300), (64, 64)):
        got = ImageSpec(size=size, color="BGR", dtype="uint8", layout="NHWC", filter="nearest").apply(
            Frame(array, "BGR")
        )[0]
        np.testing.assert_array_equal(got, cv2.resize(array, size, interpolation=cv2.INTER_NEAREST_EXACT))


def test_quads_are_close_to_opencv():
    y, x = np.mgrid[0:120, 0:160]
    array = np.stack([127 + 100 * np.sin(x / 9), 127 + 100 * np.cos(y / 7), (x + y) / 2], -1).astype(np.uint8)
    points = np.array([(30, 20), (130, 10), (140, 100), (20, 90)], np.float32)
    target = np.array([(0, 0), (80, 0), (80, 60), (0, 60)], np.float32)
    # OpenCV puts a pixel's centre at whole numbers, so both sides move by half a pixel.
    warp = cv2.getPerspectiveTransform(points - 0.5, target - 0.5)
    wanted = cv2.warpPerspective(array, warp, (80, 60), flags=cv2.INTER_LINEAR)
    got = ImageSpec(size=(80, 60), color="BGR", dtype="uint8", layout="NHWC").apply(Frame(array, "BGR").quad(points))[0]
    assert np.abs(got.astype(int) - wanted).max() <= 3


@pytest.mark.parametrize("format", YUV)
def test_yuv_is_within_two_levels_of_opencv(format):
    rng = np.random.default_rng(13)
    frame, image = make(rng, format, 64, 48)
    # OpenCV cuts off what is blacker than black before the matrix, here it counts: keep to legal luma.
    np.maximum(image.planes[0], 16, out=image.planes[0])
    if len(image.planes) == 1:
        wanted = cv2.cvtColor(image.planes[0].copy(), getattr(cv2, f"COLOR_YUV2RGB_{format}"))
    else:
        stacked = np.concatenate([plane.reshape(-1, 64) for plane in image.planes])
        wanted = cv2.cvtColor(stacked, getattr(cv2, f"COLOR_YUV2RGB_{format}"))
    spec = ImageSpec(size=(64, 48), dtype="uint8", layout="NHWC", filter="nearest")  # chroma repeated, as OpenCV does
    got = spec.apply(frame)[0]
    assert np.abs(got.astype(int) - wanted).max() <= 2


def test_yuv_matrices_are_the_published_ones():
    # ITU-R BT.709-6 table 3 and BT.601-7 2.5, inverted: R = Y + 1.5748 Cr and so on, full range.
    for name, wanted in {
        "bt709": [[1, 0, 1.5748], [1, -0.1873, -0.4681], [1, 1.8556, 0]],
        "bt601": [[1, 0, 1.402], [1, -0.3441, -0.7141], [1, 1.772, 0]],
    }.items():
        matrix, offset = reference.yuv_matrix(name, "full")
        np.testing.assert_allclose(matrix / 8192, wanted, atol=1.5e-4)
        assert offset.tolist() == [0, 128, 128]
        limited, offset = reference.yuv_matrix(name, "limited")
        np.testing.assert_allclose(limited / 8192, np.array(wanted) * [255 / 219, 255 / 224, 255 / 224], atol=2e-4)
        assert offset.tolist() == [16, 128, 128]


def test_colours_of_yuv_bars():
    # Y, Cb, Cr of 100 % bars in limited BT.601, and what they are in RGB.
    bars = {
        (235, 128, 128): (255, 255, 255),
        (16, 128, 128): (0, 0, 0),
        (81, 90, 240): (255, 0, 0),
        (145, 54, 34): (0, 255, 0),
        (41, 240, 110): (0, 0, 255),
    }
    for (y, u, v), rgb in bars.items():
        frame = Frame.nv12(np.full((4, 4), y, np.uint8), np.full((2, 2, 2), (u, v), np.uint8))
        got = ImageSpec(size=(4, 4)).apply(frame)[0, :, 1, 1]
        np.testing.assert_allclose(got, rgb, atol=1.6)


def test_a_forced_instruction_set_that_is_not_there_is_refused():
    from mnnlite import ArgumentError

    with pytest.raises(ArgumentError, match=r"got 'mmx', wanted one of baseline"):
        _core.force_isa("mmx")


def test_plans_may_be_used_by_many_threads():
    rng = np.random.default_rng(14)
    frames = [make(rng, "BGR", 64 + i, 48)[0] for i in range(4)]
    spec = ImageSpec(size=(40, 40), fit="letterbox")
    wanted = [spec.apply(frame) for frame in frames]
    wrong = []

    def work(index):
        wrong.append(sum(not np.array_equal(spec.apply(frames[index]), wanted[index]) for _ in range(50)))

    threads = [threading.Thread(target=work, args=(index,)) for index in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == [0, 0, 0, 0]


@pytest.mark.parametrize("name", _core.cpu_isas())
def test_the_environment_forces_an_instruction_set(name):
    code = "import mnnlite; print(mnnlite._core.active_isa())"
    assert run_python(code, env={"MNNLITE_FORCE_ISA": name}).stdout.strip() == name


@pytest.mark.parametrize("name", ["doesnotexist", "avx2,sse41", "neon" if "neon" not in _core.cpu_isas() else "avx2"])
@pytest.mark.parametrize(
    "use",
    [
        "mnnlite.ImageSpec(size=(2, 2)).apply(mnnlite.Frame(np.zeros((2, 2, 3), np.uint8), 'BGR'))",
        "mnnlite.decoders.Classification().decode({'y': np.zeros((1, 3), np.float32)}, (2, 2))",
    ],
    ids=["image", "decode"],
)
def test_an_instruction_set_that_cannot_be_forced_is_refused(name, use):
    code = f"import numpy as np, mnnlite\ntry:\n    {use}\nexcept mnnlite.ArgumentError as error:\n    print(error)\n"
    said = run_python(code, env={"MNNLITE_FORCE_ISA": name}).stdout
    assert "instruction set" in said
    assert name in said


def test_the_gil_is_released_once():
    """While one thread converts, another one runs Python all the time."""
    frame = Frame(np.zeros((2160, 3840, 3), np.uint8), "BGR")
    spec = ImageSpec(size=(1024, 1024), filter="area")
    out = spec.apply(frame)
    ticks = []
    stop = threading.Event()

    def tick():
        while not stop.is_set():
            ticks.append(None)
            time.sleep(0.0005)

    thread = threading.Thread(target=tick)
    thread.start()
    spec.apply(frame, out=out)  # several milliseconds
    stop.set()
    thread.join()
    assert len(ticks) >= 2
