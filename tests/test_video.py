"""Sources of frames: every kind, in order, with times; damage is said after the frames before it."""

from __future__ import annotations

import io
import itertools
import os
import struct
import sys
import threading
import zlib
from fractions import Fraction
from typing import TYPE_CHECKING

import av
import cv2
import numpy as np
import pytest

import mnnlite
from helpers.child import run_python
from helpers.image_cases import PACKED, PAIRS, YUV, make
from helpers.videos import gray_of, make_video, noisy_picture
from mnnlite import video

if TYPE_CHECKING:
    from pathlib import Path


def numbers(source: video.Source) -> list[int]:
    return [frame.meta["frame"] for frame in source]


def test_a_video_gives_frames_in_order_with_times(tmp_path: Path) -> None:
    source = video.open_source(make_video(tmp_path / "a.mp4", 12, rate=25))
    assert source.frames == 12
    frames = list(source)
    assert [frame.meta for frame in frames] == [{"frame": i, "time_ms": 40.0 * i} for i in range(12)]
    assert {(frame.width, frame.height, frame.format) for frame in frames} == {(64, 48, "I420")}
    assert all(frame.timestamp_ns is None for frame in frames)
    assert np.allclose([gray_of(frame) for frame in frames], [10 * i + 20 for i in range(12)], atol=4)


def test_a_video_can_be_read_again(tmp_path: Path) -> None:
    source = video.open_source(make_video(tmp_path / "a.mp4", 5))
    assert numbers(source) == numbers(source) == [0, 1, 2, 3, 4]


def test_matroska_says_its_frames_by_its_length(tmp_path: Path) -> None:
    assert video.open_source(make_video(tmp_path / "a.mkv", 50, noisy=True)).frames == 50


@pytest.mark.parametrize(
    ("pixels", "format"),
    [("rgb24", "RGB"), ("rgba", "RGBA"), ("gray", "GRAY"), ("rgb48be", "RGB"), ("pal8", "RGB"), ("monob", "RGB")],
)
def test_pictures_keep_what_they_are(tmp_path: Path, pixels: str, format: str) -> None:
    picture = noisy_picture(40, 30)
    path = tmp_path / "a.png"
    encoder = av.CodecContext.create("png", "w")
    encoder.width, encoder.height, encoder.pix_fmt = 40, 30, pixels
    encoder.time_base = Fraction(1)
    if pixels == "pal8":
        one = av.VideoFrame(40, 30, "pal8")
        for plane in one.planes:
            plane.update(bytes(plane.buffer_size))
    else:
        one = av.VideoFrame.from_ndarray(picture, "rgb24").reformat(format=pixels)
    path.write_bytes(b"".join(bytes(packet) for packet in [*encoder.encode(one), *encoder.encode(None)]))
    (frame,) = video.open_source(path)
    assert frame.meta == {"frame": 0, "time_ms": None}
    assert (frame.width, frame.height) == (40, 30)
    if pixels == "rgb24":
        np.testing.assert_array_equal(video.to_rgb(frame), picture)
    assert frame.format in (format, "RGBA" if pixels == "pal8" else format)


def test_a_written_png_reads_back_equal_and_a_jpeg_nearly(tmp_path: Path) -> None:
    picture = np.repeat(np.repeat(noisy_picture(20, 10), 8, 0), 8, 1)
    for name in ("a.png", "a.jpg"):
        video.write_picture(tmp_path / name, picture)
    (exact,), (near,) = (map(video.to_rgb, video.open_source(tmp_path / name)) for name in ("a.png", "a.jpg"))
    np.testing.assert_array_equal(exact, picture)
    assert np.abs(near.astype(int) - picture).mean() < 12  # chroma at half the size
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.jpg", "a.png"]


@pytest.mark.parametrize("size", [(1, 1), (3, 2), (33, 17), (640, 5)])
def test_png_is_what_another_library_reads(tmp_path: Path, size: tuple[int, int]) -> None:
    picture = noisy_picture(*size)
    video.write_picture(tmp_path / "a.png", picture)
    read = cv2.cvtColor(cv2.imread(str(tmp_path / "a.png")), cv2.COLOR_BGR2RGB)
    np.testing.assert_array_equal(read, picture)


def test_png_needs_no_further_package(tmp_path: Path) -> None:
    code = """
        import sys
        sys.modules["av"] = None
        import numpy as np
        import mnnlite
        picture = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
        mnnlite.video.write_picture(sys.argv[1] + "/a.png", picture[:, ::2])
        try:
            mnnlite.video.write_picture(sys.argv[1] + "/a.jpg", picture)
        except mnnlite.MissingExtraError as error:
            print(error)
    """
    assert "mnnlite[video]" in run_python(code, str(tmp_path)).stdout
    assert cv2.imread(str(tmp_path / "a.png")).shape == (2, 2, 3)


def test_a_written_video_reads_back(tmp_path: Path) -> None:
    pictures = [np.full((48, 64, 3), 20 + 40 * index, np.uint8) for index in range(5)]
    video.write_video(tmp_path / "a.mp4", iter(pictures), 25.0)
    read = [video.to_rgb(frame) for frame in video.open_source(tmp_path / "a.mp4")]
    assert [round(float(each.mean()), -1) for each in read] == [20, 60, 100, 140, 180]
    with pytest.raises(mnnlite.OutputError, match="cannot write"):
        video.write_video(tmp_path / "none" / "a.mp4", iter(pictures), 25.0)


def test_a_video_of_pictures_of_several_sizes(tmp_path: Path) -> None:
    with video.VideoWriter(tmp_path / "a.mkv", 10) as writer:
        for size in ((48, 64), (49, 65), (24, 32), (96, 128)):
            writer.add(np.full((*size, 3), 100, np.uint8))
    writer.close()
    frames = list(video.open_source(tmp_path / "a.mkv"))
    assert [(frame.width, frame.height, round(gray_of(frame), -1)) for frame in frames] == [(64, 48, 100)] * 4
    video.VideoWriter(tmp_path / "none.mp4", 10).close()
    assert not (tmp_path / "none.mp4").exists()


def test_a_picture_is_written_beside_links_that_somebody_laid(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    (tmp_path / "a.png.part").symlink_to(tmp_path / "mine")
    (tmp_path / "a.png").symlink_to(tmp_path / "mine")
    video.write_picture(tmp_path / "a.png", noisy_picture(8, 8))
    assert (tmp_path / "mine").read_text() == "mine"
    assert not (tmp_path / "a.png").is_symlink()


def test_a_picture_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(mnnlite.OutputError, match="No such file"):
        video.write_picture(tmp_path / "none" / "a.png", noisy_picture(4, 4))
    with pytest.raises(mnnlite.ArgumentError, match=r"\.gif"):
        video.write_picture(tmp_path / "a.gif", noisy_picture(4, 4))


def test_folders_and_patterns_are_sorted_and_name_their_files(tmp_path: Path) -> None:
    for name in ("b.png", "a.jpg", "c.PNG"):
        video.write_picture(tmp_path / name.lower(), noisy_picture(16, 8))
    (tmp_path / "c.png").rename(tmp_path / "c.PNG")
    (tmp_path / "notes.txt").write_text("no picture")
    source = video.open_source(tmp_path)
    assert source.frames == 3
    assert [(frame.meta["frame"], frame.meta["file"]) for frame in source] == [(0, "a.jpg"), (1, "b.png"), (2, "c.PNG")]
    assert [frame.meta["file"] for frame in video.open_source(f"{tmp_path}/*.[jp][pn]g")] == ["a.jpg", "b.png"]


def test_a_pattern_of_videos_counts_through(tmp_path: Path) -> None:
    for name in ("a.mp4", "b.mp4"):
        make_video(tmp_path / name, 3)
    assert [(frame.meta["frame"], frame.meta["file"], frame.meta["time_ms"]) for frame in video.open_source(tmp_path / "*.mp4")] == [
        (0, "a.mp4", 0.0), (1, "a.mp4", 40.0), (2, "a.mp4", 80.0), (3, "b.mp4", 0.0), (4, "b.mp4", 40.0), (5, "b.mp4", 80.0)
    ]  # fmt: skip


@pytest.mark.parametrize("turned", [0, 90, 180, 270])
def test_a_video_that_was_filmed_sideways_is_shown_upright(tmp_path: Path, turned: int) -> None:
    """`turned`: clockwise degrees that the file asks for, in the matrix of its track header."""
    path = make_video(tmp_path / "a.mp4", 3, noisy=True)
    plain = [video.to_rgb(frame) for frame in video.open_source(path)]
    cos, sin = {0: (1, 0), 90: (0, 1), 180: (-1, 0), 270: (0, -1)}[turned]
    matrix = b"".join(
        value.to_bytes(4, "big", signed=True)
        for value in (cos << 16, sin << 16, 0, -sin << 16, cos << 16, 0, 0, 0, 1 << 30)
    )
    data = bytearray(path.read_bytes())
    at = data.index(b"tkhd") + 44  # ISO 14496-12, 8.3.2, version 0
    data[at : at + 36] = matrix
    path.write_bytes(data)
    shown = [video.to_rgb(frame) for frame in video.open_source(path)]
    for upright, sideways in zip(shown, plain, strict=True):
        np.testing.assert_allclose(upright, np.rot90(sideways, -turned // 90), atol=1)


def test_a_named_pipe_is_read_once(tmp_path: Path) -> None:
    path, fifo = make_video(tmp_path / "a.mkv", 5), tmp_path / "pipe"
    os.mkfifo(fifo)
    writer = threading.Thread(target=lambda: fifo.write_bytes(path.read_bytes()))
    writer.start()
    source = video.open_source(fifo)
    assert source.frames is None
    assert numbers(source) == [0, 1, 2, 3, 4]
    writer.join()


@pytest.mark.parametrize("name", ["a:b.mp4", "100%03d.png", "[1].png", "-.png"])
def test_names_are_taken_literally(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if path.suffix == ".png":
        video.write_picture(path, noisy_picture(8, 8))
    else:
        make_video(path, 1)
    assert numbers(video.open_source(path)) == [0]


def test_what_is_not_there_or_nothing_to_see(tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_text("no video at all\n" * 100)
    (tmp_path / "labels.txt").write_text("speed limit\nroundabout\n" * 40)
    (tmp_path / "empty.png").touch()
    with av.open(str(tmp_path / "sound.mp4"), "w") as container:
        stream = container.add_stream("aac", rate=8000)
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        silence.sample_rate = 8000
        container.mux([*stream.encode(silence), *stream.encode(None)])
    (tmp_path / "folder").mkdir()
    for source, message in {
        "nope.mp4": "there is no",
        "*.avi": "no file matches",
        "folder": "no pictures in the folder",
        "text.mp4": "cannot read .*text.mp4: not a video",
        "empty.png": "cannot read .*empty.png",
        "sound.mp4": "there are no pictures in it",
        "labels.txt": "labels.txt: (it is a text, no pictures|not a video)",
    }.items():
        with pytest.raises(mnnlite.SourceError, match=message) as caught:
            list(video.open_source(tmp_path / source))
        assert "\n" not in str(caught.value)
        assert isinstance(caught.value, OSError)


@pytest.mark.parametrize(
    ("suffix", "damage"),
    [
        *itertools.product(["mp4", "avi", "mkv"], ["zeros", "noise", "cut"]),
        ("mjpeg.avi", "noise"),  # zeros within a JPEG are grey to older FFmpegs
        ("mjpeg.avi", "cut"),
    ],
)
def test_damage_in_the_middle_costs_only_what_follows(tmp_path: Path, suffix: str, damage: str) -> None:
    path = make_video(tmp_path / f"a.{suffix}", 100, noisy=True, codec="mjpeg" if "mjpeg" in suffix else "mpeg4")
    good = [video.to_rgb(frame) for frame in video.open_source(path)]
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    if damage == "zeros":
        data[middle : middle + 4000] = bytes(4000)
    elif damage == "noise":
        data[middle : middle + 4000] = np.random.default_rng(1).integers(0, 256, 4000, np.uint8).tobytes()
    else:
        del data[middle:]
    path.write_bytes(data)
    seen: list[np.ndarray] = []
    with pytest.raises(mnnlite.SourceError, match=r"after frame \d+") as caught:
        seen.extend(video.to_rgb(frame) for frame in video.open_source(path))
    assert f"after frame {len(seen) - 1}" in str(caught.value)
    assert 20 < len(seen) < 80
    for frame, before in zip(seen, good, strict=False):
        np.testing.assert_array_equal(frame, before)


def test_a_damaged_picture_in_a_folder_costs_itself_alone(tmp_path: Path) -> None:
    for name in ("a.png", "b.png", "c.png"):
        video.write_picture(tmp_path / name, noisy_picture(64, 64))
    (tmp_path / "b.png").write_bytes((tmp_path / "b.png").read_bytes()[:2000])
    (tmp_path / "._a.png").write_bytes(b"\0\5\x16\7 made by macOS")
    source = video.open_source(tmp_path)
    for _ in range(2):
        assert [(frame.meta["frame"], frame.meta["file"]) for frame in source] == [(0, "a.png"), (1, "c.png")]
        assert [type(error) for error in source.errors] == [mnnlite.SourceError] * 2
        assert [str(error).split(": ")[0] for error in source.errors] == [
            f"cannot read {tmp_path}/{name}" for name in ("._a.png", "b.png")
        ]
    for name in ("a.png", "c.png"):
        (tmp_path / name).write_text("")
    with pytest.raises(mnnlite.SourceError, match=r"none of the 4 files of .* can be read: cannot read"):
        list(video.open_source(tmp_path))


def test_several_files_come_in_natural_order(tmp_path: Path) -> None:
    for name in ("10/a.png", "2/a10.png", "2/a9.png", "2/a09.png", "2/b.png", "1/a.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        video.write_picture(tmp_path / name, noisy_picture(4, 4))
    found = [frame.meta["file"] for frame in video.open_source(tmp_path / "*" / "*.png")]
    assert found in (
        ["a.png", "a9.png", "a09.png", "a10.png", "b.png", "a.png"],
        ["a.png", "a09.png", "a9.png", "a10.png", "b.png", "a.png"],
    )


# Which sources there are: the name, the codec, with sound, options of the container.
CUT = [
    ("a.mp4", "libx264", False, {}),
    ("faststart.mp4", "libx264", False, {"movflags": "faststart"}),
    ("fragments.mp4", "libx264", False, {"movflags": "frag_keyframe+empty_moov"}),
    ("a.mov", "mpeg4", False, {}),
    ("a.mkv", "libx264", False, {}),
    ("sound.mkv", "libx264", True, {}),
    ("a.webm", "libvpx", False, {}),
    ("a.avi", "mpeg4", False, {}),
    ("mjpeg.avi", "mjpeg", False, {}),
    ("a.ts", "libx264", False, {}),
    ("sound.ts", "libx264", True, {}),
    ("a.mpg", "mpeg2video", False, {}),
]


@pytest.mark.parametrize(("name", "codec", "sound", "options"), CUT, ids=[each[0] for each in CUT])
def test_a_file_that_is_cut_off_ends_in_our_error(tmp_path: Path, name: str, codec: str, sound: bool, options) -> None:
    """At any length: the good frames, then `SourceError`, which says where it ended."""
    path = tmp_path / name
    try:
        write_moving(path, codec, sound, options)
    except av.error.EncoderNotFoundError:
        pytest.skip(f"this PyAV has no encoder {codec}")
    good = [video.to_rgb(frame) for frame in video.open_source(path)]
    assert len(good) == 40
    whole = path.read_bytes()
    cut = path.with_name("cut" + path.suffix)
    lengths = np.random.default_rng(5).integers(0, len(whole) - 8, 12)
    for length in (*map(int, lengths), 0, 1, 7, 188, len(whole) // 2):
        # The encoder's bytes vary from run to run. Cut between two packets a transport stream may be a whole one of fewer frames.
        length -= path.suffix == ".ts" and length > 188 and length % 188 == 0
        cut.write_bytes(whole[:length])
        seen: list[mnnlite.Frame] = []
        with pytest.raises(mnnlite.SourceError) as caught:
            seen.extend(video.open_source(cut))
        text = str(caught.value)
        assert "frame -1" not in text
        assert (f"after frame {len(seen) - 1};" in text) if seen else text.startswith(f"cannot read {cut}: ")
        # By their times: one that others are predicted from is stored before them, and shown without them.
        times = [round((frame.meta["time_ms"] or 0) / 40) for frame in seen]
        assert times == sorted(times)
        assert times[:-4] == list(range(len(times) - 4)) or len(times) < 4
        for time, frame in list(zip(times, seen, strict=True))[: None if path.suffix == ".ts" else -1]:
            np.testing.assert_array_equal(video.to_rgb(frame), good[time])


def write_moving(path: Path, codec: str, sound: bool, options: dict[str, str]) -> None:
    """Forty frames, each another noise of large squares."""
    with av.open(str(path), "w", options=options) as container:
        stream = container.add_stream(codec, rate=25)
        stream.width, stream.height = 160, 96
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        spoken = container.add_stream("aac", rate=44100) if sound else None
        for index in range(40):
            squares = noisy_picture(20, 12, index).repeat(8, 0).repeat(8, 1)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(squares, "rgb24")))
            if spoken is not None:
                silence = av.AudioFrame.from_ndarray(np.zeros((2, 1024), np.float32), "fltp", "stereo")
                silence.sample_rate, silence.pts = 44100, 1024 * index
                container.mux(spoken.encode(silence))
        container.mux(stream.encode(None))
        if spoken is not None:
            container.mux(spoken.encode(None))


@pytest.mark.parametrize(
    ("name", "codec"),
    [("a.ts", "libx264"), ("a.ts", "mpeg2video"), ("a.mkv", "mpeg4"), ("a.mpg", "mpeg1video"), ("a.avi", "mjpeg")],
)
def test_no_frame_is_lost_where_the_resolution_changes(tmp_path: Path, name: str, codec: str) -> None:
    sizes = [(160, 96), (320, 192), (160, 96)]
    pixels = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    with av.open(str(tmp_path / name), "w") as container:
        try:
            stream = container.add_stream(codec, rate=25)
        except av.error.EncoderNotFoundError:
            pytest.skip(f"this PyAV has no encoder {codec}")
        stream.width, stream.height, stream.pix_fmt = *sizes[0], pixels
        for part, size in enumerate(sizes):
            encoder = av.CodecContext.create(codec, "w")
            encoder.width, encoder.height, encoder.pix_fmt = *size, pixels
            encoder.time_base, encoder.framerate = Fraction(1, 25), 25
            for index in range(10):
                picture = av.VideoFrame.from_ndarray(np.full((*size[::-1], 3), 20 * index + 20, np.uint8), "rgb24")
                picture.pts, picture.time_base = 10 * part + index, Fraction(1, 25)
                for packet in encoder.encode(picture):
                    packet.stream = stream
                    container.mux(packet)
            for packet in encoder.encode(None):
                packet.stream = stream
                container.mux(packet)
    frames = list(video.open_source(tmp_path / name))
    assert [(frame.width, frame.height) for frame in frames] == [size for size in sizes for _ in range(10)]
    np.testing.assert_allclose([gray_of(frame) for frame in frames], 3 * [20 * i + 20 for i in range(10)], atol=6)


def with_orientation(data: bytes, suffix: str, orientation: int, order: str) -> bytes:
    """The file with EXIF data that say how it is to be shown."""
    exif = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(
        order + "IHHHIHHI", 8, 1, 0x0112, 3, 1, orientation, 0, 0
    )
    if suffix == ".png":
        chunk = b"eXIf" + exif
        chunk = struct.pack(">I", len(exif)) + chunk + struct.pack(">I", zlib.crc32(chunk))
        return data[:33] + chunk + data[33:]  # behind the signature and IHDR
    segment = b"Exif\0\0" + exif
    return data[:2] + b"\xff\xe1" + struct.pack(">H", 2 + len(segment)) + segment + data[2:]


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_a_picture_is_shown_as_its_exif_data_say(tmp_path: Path, suffix: str, orientation: int) -> None:
    """Where row 0 and column 0 of the stored picture are to be seen; CIPA DC-008, 4.6.4 A."""
    picture = np.zeros((96, 160, 3), np.uint8)
    picture[:48, :80, 0] = picture[:48, 80:, 1] = picture[48:, :80, 2] = 220
    video.write_picture(tmp_path / f"plain{suffix}", picture)
    stored = video.to_rgb(next(iter(video.open_source(tmp_path / f"plain{suffix}")))).astype(int)
    wanted = {
        1: stored,
        2: stored[:, ::-1],
        3: stored[::-1, ::-1],
        4: stored[::-1],
        5: stored.transpose(1, 0, 2),
        6: np.rot90(stored, -1),
        7: stored[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(stored, 1),
    }[orientation]
    data = (tmp_path / f"plain{suffix}").read_bytes()
    for order in "<>":
        (tmp_path / f"turned{suffix}").write_bytes(with_orientation(data, suffix, orientation, order))
        (frame,) = video.open_source(tmp_path / f"turned{suffix}")
        np.testing.assert_allclose(video.to_rgb(frame).astype(int), wanted, atol=1)


@pytest.mark.parametrize("seed", range(4))
def test_damaged_exif_data_turn_nothing_and_raise_nothing(tmp_path: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    video.write_picture(tmp_path / "a.jpg", noisy_picture(32, 16))
    data = with_orientation((tmp_path / "a.jpg").read_bytes(), ".jpg", 6, "<")
    for _ in range(50):
        damaged = bytearray(data)
        at = int(rng.integers(2, 44))
        damaged[at : at + int(rng.integers(1, 5))] = rng.integers(0, 256, int(rng.integers(0, 5)), np.uint8).tobytes()
        (tmp_path / "b.jpg").write_bytes(damaged)
        try:
            (frame,) = video.open_source(tmp_path / "b.jpg")
        except mnnlite.SourceError:
            continue
        assert (frame.width, frame.height) in ((32, 16), (16, 32))


class Pipe(io.RawIOBase):
    """Gives at most 1000 bytes at a time, as pipes do."""

    def __init__(self, data: bytes) -> None:
        self._data = io.BytesIO(data)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer) -> int:
        return self._data.readinto(memoryview(buffer)[:1000])


def standard_input(monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    class Stdin:
        buffer = Pipe(data)

    monkeypatch.setattr(sys, "stdin", Stdin)


@pytest.mark.parametrize("format", [*PACKED, *YUV])
def test_raw_frames_from_a_pipe(monkeypatch: pytest.MonkeyPatch, format: str) -> None:
    _, image = make(np.random.default_rng(0), format, 64, 48)
    size = sum(plane.size for plane in image.planes)
    standard_input(monkeypatch, b"".join(bytes([128 + i]) * size for i in range(3)))
    source = video.open_source("-", f"{format}:64x48")
    assert source.frames is None
    assert source.live
    frames = list(source)
    assert numbers(frames) == [0, 1, 2]
    assert {(frame.width, frame.height, frame.format) for frame in frames} == {(64, 48, format)}
    times = [frame.meta["time_ms"] for frame in frames]
    assert times[0] == 0.0
    assert times == sorted(times)
    assert all(frame.timestamp_ns > 0 for frame in frames)
    if format in PACKED:
        assert [round(gray_of(frame)) for frame in frames] == [128, 129, 130]


def test_raw_frames_of_odd_size(monkeypatch: pytest.MonkeyPatch) -> None:
    standard_input(monkeypatch, bytes(2 * (5 * 3 + 3 * 2 * 2)))
    assert [(frame.width, frame.height) for frame in video.open_source("-", "I420:5x3")] == [(5, 3)] * 2


@pytest.mark.parametrize("format", PAIRS)
def test_raw_frames_of_pairs_have_an_even_width(format: str) -> None:
    with pytest.raises(mnnlite.ArgumentError, match=f"^raw has a width of 5; {format} needs an even one$"):
        video.open_source("-", f"{format}:5x4")


def test_a_pipe_that_ends_before_the_first_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    standard_input(monkeypatch, b"")
    with pytest.raises(mnnlite.SourceError, match="standard input ended before the first frame"):
        list(video.open_source("-", "GRAY:64x32"))


def test_a_pipe_that_ends_within_a_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    standard_input(monkeypatch, bytes(3000))
    seen = []
    with pytest.raises(mnnlite.SourceError, match="within frame 1: 952 of 2048 bytes"):
        seen.extend(video.open_source("-", "GRAY:64x32"))
    assert len(seen) == 1


@pytest.mark.parametrize(
    "raw", ["", "NV12", "NV12:1920", "NV12:0x10", "P010:8x8", "YUYV:7x8", "RGB:-8x8", "RGB:99999x8"]
)
def test_a_raw_format_that_cannot_be_understood(raw: str) -> None:
    with pytest.raises(mnnlite.ArgumentError, match="raw"):
        video.open_source("-", raw)


def test_raw_and_standard_input_belong_together(tmp_path: Path) -> None:
    with pytest.raises(mnnlite.ArgumentError, match="FORMAT:WIDTHxHEIGHT"):
        video.open_source("-")
    with pytest.raises(mnnlite.ArgumentError, match="wanted '-'"):
        video.open_source(tmp_path, "NV12:8x8")


def test_without_pyav_the_error_names_the_extra(tmp_path: Path) -> None:
    make_video(tmp_path / "a.mp4", 1)
    code = """
        import sys
        sys.modules["av"] = None
        from mnnlite import MissingExtraError, video
        video.open_source("-", "NV12:8x8")
        try:
            video.open_source(sys.argv[1])
        except MissingExtraError as error:
            print(error)
    """
    assert 'pip install "mnnlite[video]"' in run_python(code, str(tmp_path / "a.mp4")).stdout
