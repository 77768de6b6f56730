"""Where frames come from: videos, pictures, folders, cameras and pipes; and pictures out again."""

from __future__ import annotations

import glob
import os
import re
import sys
import time
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TypeAlias

import numpy as np

from mnnlite.errors import ArgumentError, MissingExtraError, OutputError, SourceError
from mnnlite.frame import Frame
from mnnlite.specs import ImageSpec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import ModuleType

    from numpy.typing import NDArray

__all__ = ["Source", "open_source", "to_rgb", "write_picture"]

PICTURES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")

# Where a conversion keeps more than rgb24 would.
_CONVERTED = {"rgb48be": "rgb48le", "rgba64be": "rgba64le", "gray16be": "gray16le", "ya8": "rgba"}


class Source:
    """Frames in order, to be iterated over.

    Each frame's ``meta`` is ``{"frame": index from 0, "time_ms": presentation time or None}``, with ``"file"`` where
    the source has several. Frames of live sources have a ``timestamp_ns`` (`time.monotonic_ns` at arrival).

    Attributes
    ----------
    name : str
        For people.
    frames : int or None
        How many there are, where that is known.
    live : bool
        Whether frames come as time passes; then they cannot be had again.
    """

    name: str = ""
    frames: int | None = None
    live: bool = False

    def __iter__(self) -> Iterator[Frame]:
        """Yield frames; each call starts anew, but for live sources."""
        raise NotImplementedError


def open_source(source: str | os.PathLike[str], raw: str | None = None) -> Source:
    """Open a source of frames.

    Parameters
    ----------
    source : path or str
        A video, a picture, a folder of pictures, a glob pattern, a V4L2 device (``/dev/video0``), or ``"-"`` for raw
        frames from standard input.
    raw : str, optional
        With ``"-"``: what the frames are, as ``FORMAT:WIDTHxHEIGHT``, e.g. ``"NV12:1920x1080"``. Formats are those of
        `Frame`; YUV is BT.601 limited range; rows have no padding.

    Returns
    -------
    Source
        An iterable of `Frame`.

    Raises
    ------
    SourceError
        Nothing there, or nothing that can be read. Also while iterating, after the last good frame.
    MissingExtraError
        PyAV is not installed; raw frames do not need it.
    ArgumentError
        `raw` cannot be understood, or does not belong to this source.
    """
    text = os.fspath(source)
    if text == "-":
        if raw is None:
            raise ArgumentError("frames from standard input need raw='FORMAT:WIDTHxHEIGHT', e.g. 'NV12:1920x1080'")
        return _Raw(sys.stdin.buffer, *_raw_format(raw))
    if raw is not None:
        raise ArgumentError(f"raw={raw!r} is for frames from standard input; the source is {text!r}, wanted '-'")
    path = Path(text)
    if path.is_char_device():
        return _Device(path)
    if path.is_dir():
        files = sorted(entry for entry in path.iterdir() if entry.suffix.lower() in PICTURES and entry.is_file())
        if not files:
            raise SourceError(f"no pictures in the folder {text}; wanted files that end in {', '.join(PICTURES)}")
        return _Files(text, files)
    if path.exists():
        return _Files(text, [path])
    if glob.has_magic(text):
        files = sorted(Path(found) for found in glob.glob(text, recursive=True) if Path(found).is_file())
        if not files:
            raise SourceError(f"no file matches {text!r}")
        return _Files(text, files)
    raise SourceError(f"there is no {text!r}; wanted a video, picture, folder, pattern, device, or '-'")


def to_rgb(frame: Frame) -> NDArray[np.uint8]:
    """Make an RGB array of a frame, e.g. to draw results on.

    Parameters
    ----------
    frame : Frame

    Returns
    -------
    (H, W, 3) uint8
        An array of its own.
    """
    spec = ImageSpec(size=(frame.width, frame.height), color="RGB", dtype="uint8", layout="NHWC")
    array: NDArray[np.uint8] = spec.apply(frame)[0]
    return array


def write_picture(path: str | os.PathLike[str], rgb: NDArray[np.uint8]) -> None:
    """Write a PNG or JPEG file.

    Parameters
    ----------
    path : path
        Ends in ``.png`` or ``.jpg``.
    rgb : (H, W, 3) uint8

    Raises
    ------
    OutputError
        It cannot be written.
    ArgumentError
        Another ending.
    MissingExtraError
        PyAV is not installed.
    """
    av = _av()
    path = Path(path)
    codec, pixels = {".png": ("png", "rgb24"), ".jpg": ("mjpeg", "yuvj420p")}.get(path.suffix, ("", ""))
    if not codec:
        raise ArgumentError(f"{path} ends in {path.suffix!r}; wanted .png or .jpg")
    encoder = av.CodecContext.create(codec, "w")
    encoder.width, encoder.height, encoder.pix_fmt = rgb.shape[1], rgb.shape[0], pixels
    encoder.time_base = Fraction(1)
    if codec == "mjpeg":
        encoder.options = {"qmin": "2", "qmax": "2"}
    picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(rgb), format="rgb24").reformat(format=pixels)
    data = b"".join(bytes(packet) for packet in [*encoder.encode(picture), *encoder.encode(None)])
    part = path.with_name(path.name + ".part")
    try:
        part.write_bytes(data)
        os.replace(part, path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise OutputError(f"cannot write {path}: {error.strerror}") from None


def _av() -> ModuleType:
    try:
        import av
        import av.error
    except ImportError:
        raise MissingExtraError(
            'videos and pictures need PyAV; install it with: pip install "mnnlite[video]"'
        ) from None
    av.logging.set_level(av.logging.PANIC)  # what matters becomes an error; the rest is FFmpeg's chatter on stderr
    return av


class _Files(Source):
    """Videos and pictures, one after another; a picture is a video of one frame."""

    def __init__(self, name: str, files: list[Path]) -> None:
        self.name = name
        self._files = files
        self._av = _av()
        counts = [1 if _is_picture(file) else None for file in files]
        if len(files) == 1:  # of several, the broken ones are met in their turn
            with _open(self._av, files[0]) as container:
                counts[0] = counts[0] or container.streams.video[0].frames or _from_duration(container)
        known = [count for count in counts if count is not None]
        self.frames = sum(known) if len(known) == len(counts) else None

    def __iter__(self) -> Iterator[Frame]:
        index = 0
        for file in self._files:
            for picture, time_ms in _decode(self._av, file):
                meta: dict[str, Any] = {"frame": index, "time_ms": time_ms}
                if len(self._files) > 1:
                    meta["file"] = file.name
                yield _frame(picture, file, meta)
                index += 1


class _Device(Source):
    """A V4L2 camera. Damaged frames, which USB cameras give now and then, are left out."""

    live = True

    def __init__(self, path: Path) -> None:
        self.name = str(path)
        self._av = _av()

    def __iter__(self) -> Iterator[Frame]:
        try:
            container = self._av.open(self.name, format="v4l2")
        except (OSError, ValueError) as error:
            raise SourceError(f"cannot open the camera {self.name}: {_reason(error)}") from None
        with container:
            index, first = 0, None
            packets = container.demux(container.streams.video[0])
            while True:
                try:
                    pictures = next(packets).decode()
                except StopIteration:
                    return
                except self._av.error.InvalidDataError:
                    continue
                except self._av.error.FFmpegError as error:
                    raise SourceError(f"the camera {self.name} stopped after frame {index}: {_reason(error)}") from None
                for picture in pictures:
                    now = time.monotonic_ns()
                    first = now if first is None else first
                    meta = {"frame": index, "time_ms": (now - first) / 1e6}
                    yield _frame(picture, Path(self.name), meta, timestamp_ns=now)
                    index += 1


class _Raw(Source):
    """Frames without any container, e.g. from ``rpicam-vid --codec yuv420 -o -``."""

    live = True

    def __init__(self, stream: BinaryIO, format: str, width: int, height: int) -> None:
        self.name = "standard input"
        self._stream = stream
        self._format = format
        self._shapes = _PLANES[format](width, height)

    def __iter__(self) -> Iterator[Frame]:
        sizes = [int(np.prod(shape)) for shape in self._shapes]
        ends = np.cumsum(sizes)[:-1]
        index, first = 0, None
        while True:
            buffer = np.empty(sum(sizes), np.uint8)  # each frame has its own: results may be late
            got = self._read(buffer)
            if got == 0:
                return
            if got < len(buffer):
                raise SourceError(f"{self.name} ends within frame {index}: {got} of {len(buffer)} bytes")
            now = time.monotonic_ns()
            first = now if first is None else first
            parts = np.split(buffer, ends)
            planes = [part.reshape(shape) for part, shape in zip(parts, self._shapes, strict=True)]
            yield self._make(planes, now, {"frame": index, "time_ms": (now - first) / 1e6})
            index += 1

    def _make(self, planes: list[NDArray[np.uint8]], now: int, meta: dict[str, Any]) -> Frame:
        match self._format:
            case "NV12":
                return Frame.nv12(planes[0], planes[1], timestamp_ns=now, meta=meta)
            case "NV21":
                return Frame.nv21(planes[0], planes[1], timestamp_ns=now, meta=meta)
            case "I420":
                return Frame.i420(planes[0], planes[1], planes[2], timestamp_ns=now, meta=meta)
            case "YUYV":
                return Frame.yuyv(planes[0], timestamp_ns=now, meta=meta)
            case "UYVY":
                return Frame.uyvy(planes[0], timestamp_ns=now, meta=meta)
        return Frame(planes[0], self._format, timestamp_ns=now, meta=meta)

    def _read(self, buffer: NDArray[np.uint8]) -> int:
        view, got = buffer.data, 0
        while got < len(view):
            count = self._stream.readinto(view[got:])  # type: ignore[attr-defined]
            if not count:
                break
            got += count
        return got


Shapes: TypeAlias = "list[tuple[int, ...]]"


def _half(width: int, height: int) -> tuple[int, int]:
    return (height + 1) // 2, (width + 1) // 2


_PLANES: dict[str, Callable[[int, int], Shapes]] = {
    "NV12": lambda w, h: [(h, w), (*_half(w, h), 2)],
    "NV21": lambda w, h: [(h, w), (*_half(w, h), 2)],
    "I420": lambda w, h: [(h, w), _half(w, h), _half(w, h)],
    "YUYV": lambda w, h: [(h, w, 2)],
    "UYVY": lambda w, h: [(h, w, 2)],
    "RGB": lambda w, h: [(h, w, 3)],
    "BGR": lambda w, h: [(h, w, 3)],
    "RGBA": lambda w, h: [(h, w, 4)],
    "BGRA": lambda w, h: [(h, w, 4)],
    "GRAY": lambda w, h: [(h, w)],
}


def _raw_format(raw: str) -> tuple[str, int, int]:
    found = re.fullmatch(r"(\w+):(\d+)x(\d+)", raw)
    if found is None:
        raise ArgumentError(f"raw is {raw!r}; wanted FORMAT:WIDTHxHEIGHT, e.g. NV12:1920x1080")
    format, width, height = found[1].upper(), int(found[2]), int(found[3])
    if format not in _PLANES:
        raise ArgumentError(f"raw has the format {found[1]!r}; wanted one of {', '.join(_PLANES)}")
    if not (1 <= width <= 16384 and 1 <= height <= 16384):
        raise ArgumentError(f"raw has a size of {width}x{height}; wanted 1 to 16384 pixels a side")
    if format in ("YUYV", "UYVY") and width % 2:
        raise ArgumentError(f"raw has a width of {width}; {format} needs an even one")
    return format, width, height


def _is_picture(file: Path) -> bool:
    return file.suffix.lower() in PICTURES


def _open(av: ModuleType, file: Path) -> Any:
    try:
        container = av.open(f"file:{file}")  # the prefix keeps a colon in a name from being a protocol
    except (OSError, ValueError) as error:  # FFmpegError is one of these, by its code
        raise SourceError(f"cannot read {file}: {_reason(error)}") from None
    if not container.streams.video:
        container.close()
        raise SourceError(f"cannot read {file}: there are no pictures in it")
    return container


def _reason(error: BaseException) -> str:
    text = getattr(error, "strerror", None) or str(error)
    return "not a video or picture that FFmpeg knows, or a damaged one" if "Invalid data found" in text else text


def _from_duration(container: Any) -> int | None:
    """Matroska does not say how many frames it has."""
    rate = container.streams.video[0].average_rate
    return round(container.duration / 1e6 * rate) if container.duration and rate else None


def _decode(av: ModuleType, file: Path) -> Iterator[tuple[Any, float | None]]:
    """Pictures of one file and their times; raises `SourceError` at the first damage, after what came before it."""
    with _open(av, file) as container:
        stream = container.streams.video[0]
        # Without this FFmpeg makes up what it cannot read, and says nothing.
        stream.codec_context.options = {"err_detect": "explode"}
        start = stream.start_time or 0
        is_picture, count, last = _is_picture(file), 0, None

        def timed(picture: Any) -> float | None:
            if is_picture or picture.pts is None:
                return None
            return float((picture.pts - start) * stream.time_base * 1000)

        packets = container.demux(stream)
        packet = None
        try:
            for packet in packets:
                if packet.is_corrupt:
                    raise _Broken
                for picture in packet.decode():
                    if picture.is_corrupt:
                        raise _Broken
                    yield picture, timed(picture)
                    count, last = count + 1, timed(picture)
        except (OSError, ValueError, _Broken) as error:
            for picture in _still_good(stream, packet):
                yield picture, timed(picture)
                count += 1
            if isinstance(error, (OSError, ValueError)) and not isinstance(error, av.error.FFmpegError):
                raise
            raise SourceError(f"{file} is damaged after frame {count - 1}; the frames before it are good") from None
        if count == 0:
            raise SourceError(f"cannot read {file}: there are no pictures in it")
        # A Matroska file that was cut off just ends; its header still says how long it should be.
        if "matroska" in container.format.name and container.duration and len(container.streams) == 1:
            missing = container.duration / 1e6 - (last or 0.0) / 1000
            if missing > 1:
                raise SourceError(f"{file} is cut off after frame {count - 1}: {missing:.1f} s are missing")


class _Broken(Exception):
    """FFmpeg marked a packet or picture as corrupt."""


def _still_good(stream: Any, broken: Any) -> Iterator[Any]:
    """Pictures that wait in the decoder, to be shown before the broken packet's."""
    try:
        waiting = stream.codec_context.decode(None)
    except (OSError, ValueError):
        return
    for picture in waiting:
        shown_before = picture.pts is not None and broken is not None and broken.pts is not None
        if not picture.is_corrupt and shown_before and picture.pts < broken.pts:
            yield picture


def _frame(picture: Any, file: Path, meta: dict[str, Any], timestamp_ns: int | None = None) -> Frame:
    try:
        return Frame.from_av(picture, timestamp_ns=timestamp_ns, meta=meta)
    except ArgumentError:  # pixels or a colour matrix that frames do not have
        pass
    name = picture.format.name
    alpha = any(component.is_alpha for component in picture.format.components)
    try:
        converted = picture.reformat(format=_CONVERTED.get(name, "rgba" if alpha else "rgb24"))
    except (OSError, ValueError) as error:
        raise SourceError(f"{file}: cannot convert pixels of {name!r}: {_reason(error)}") from None
    return Frame.from_av(converted, timestamp_ns=timestamp_ns, meta=meta)
