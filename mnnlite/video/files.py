"""Videos and pictures, one after another."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mnnlite.errors import SourceError
from mnnlite.video import pyav
from mnnlite.video.source import Source

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import ModuleType

    from mnnlite.frame import Frame

__all__ = ["PICTURES", "Files"]

PICTURES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")


class Files(Source):
    """Videos and pictures, one after another; a picture is a video of one frame."""

    def __init__(self, name: str, files: list[Path]) -> None:
        self.name = name
        self._files = files
        self._av = pyav.load()
        counts = [1 if _is_picture(file) else None for file in files]
        # Of several files, the broken ones are met in their turn; a pipe can be opened only once.
        if len(files) == 1 and files[0].is_file():
            with _open(self._av, files[0]) as container:
                counts[0] = counts[0] or container.streams.video[0].frames or _from_duration(container)
        known = [count for count in counts if count is not None]
        self.frames = sum(known) if len(known) == len(counts) else None

    def __iter__(self) -> Iterator[Frame]:
        index = 0
        for file in self._files:
            upright = pyav.Upright(self._av)
            for picture, time_ms in _decode(self._av, file):
                meta: dict[str, Any] = {"frame": index, "time_ms": time_ms}
                if len(self._files) > 1:
                    meta["file"] = file.name
                yield pyav.to_frame(upright(picture), file, meta)
                index += 1


def _is_picture(file: Path) -> bool:
    return file.suffix.lower() in PICTURES


def _open(av: ModuleType, file: Path) -> Any:
    try:
        # A colon in a name is no protocol, and a percent sign no pattern.
        container = av.open(f"file:{file}", options={"pattern_type": "none"} if _is_picture(file) else {})
    except (OSError, ValueError) as error:  # FFmpegError is one of these, by its code
        raise SourceError(f"cannot read {file}: {pyav.reason(error)}") from None
    if not container.streams.video:
        container.close()
        raise SourceError(f"cannot read {file}: there are no pictures in it")
    return container


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
