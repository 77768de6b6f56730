"""The pictures of one file: all that are good, in order, and then an error where there should have been more."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mnnlite.errors import SourceError
from mnnlite.video import pyav
from mnnlite.video.ending import is_cut_off

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import ModuleType

__all__ = ["length_of", "pictures_of"]


def length_of(av: ModuleType, file: Path) -> tuple[int | None, float | None]:
    """How many frames a video says it has, and how many a second.

    Raises
    ------
    SourceError
        It cannot be opened.
    """
    with _open(av, file) as container:
        stream = container.streams.video[0]
        rate = stream.average_rate
        if stream.frames or not (container.duration and rate):
            return stream.frames or None, float(rate) if rate else None
        return round(container.duration / 1e6 * rate), float(rate)  # Matroska says how long it is only


def _open(av: ModuleType, file: Path) -> Any:
    try:
        # A colon in a name is no protocol, and a percent sign no pattern.
        container = av.open(f"file:{file}", options={"pattern_type": "none"} if pyav.is_picture(file) else {})
    except (OSError, ValueError, av.error.FFmpegError) as error:
        raise SourceError(f"cannot read {file}: {pyav.reason(error)}") from None
    if container.format.name == "tty":  # FFmpeg draws texts as a terminal would
        container.close()
        raise SourceError(f"cannot read {file}: it is a text, no pictures")
    if not container.streams.video:
        container.close()
        raise SourceError(f"cannot read {file}: there are no pictures in it")
    if container.streams.video[0].codec_context is None:
        container.close()
        raise SourceError(f"cannot read {file}: FFmpeg has no decoder for its pictures, or it is damaged")
    return container


class _Broken(Exception):
    """FFmpeg marked a packet or picture as corrupt."""


def pictures_of(av: ModuleType, file: Path) -> Iterator[tuple[Any, float | None]]:
    """Pictures of one file and their times in milliseconds.

    Raises
    ------
    SourceError
        At the first damage, or where a file ends before its container says so; after all that came before it.
    """
    with _open(av, file) as container:
        stream = container.streams.video[0]
        # Without this FFmpeg makes up what it cannot read, and says nothing.
        stream.codec_context.options = {"err_detect": "explode"}
        start = stream.start_time or 0
        count, last = 0, None

        has_times = not pyav.is_picture(file)

        def timed(picture: Any) -> float | None:
            if not has_times or picture.pts is None:
                return None
            return float((picture.pts - start) * stream.time_base * 1000)

        packet = None
        change = _ChangeOfSize(stream.codec_context)
        try:
            for packet, is_last in _packets(container, stream):
                if packet.is_corrupt or (is_last and is_cut_off(file)):
                    raise _Broken
                for picture in (*change.before(packet), *packet.decode()):
                    if picture.is_corrupt:
                        raise _Broken
                    last = timed(picture)
                    yield picture, last
                    count += 1
        except (OSError, ValueError, EOFError, av.error.FFmpegError, _Broken) as error:
            for picture in _still_good(av, stream, packet):
                yield picture, timed(picture)
                count += 1
            if isinstance(error, (OSError, ValueError, EOFError)) and not isinstance(error, av.error.FFmpegError):
                raise  # not FFmpeg's, so nothing of the file
            raise _ended(file, count, None if isinstance(error, _Broken) else error) from None
        if is_cut_off(file):
            raise _ended(file, count, None)
        if count == 0:
            raise SourceError(f"cannot read {file}: there are no pictures in it")
        # A stream whose length was not known when it was written: only its header says how long it should be.
        if "matroska" in container.format.name and container.duration and len(container.streams) == 1:
            missing = container.duration / 1e6 - (last or 0.0) / 1000
            if missing > 1:
                raise SourceError(f"{file} is cut off after frame {count - 1}: {missing:.1f} s are missing")


def _packets(container: Any, stream: Any) -> Iterator[tuple[Any, bool]]:
    """Packets, and whether one is the last of a transport stream: how long its data should be, nothing there says.

    FFmpeg shows the half of a picture without a word if the cut falls where its decoder looks for nothing more.
    """
    is_transport_stream = container.format.name == "mpegts"
    held = None
    for packet in container.demux(stream):
        if not is_transport_stream:
            yield packet, False
            continue
        if held is not None:
            yield held, packet.size == 0  # what empties the decoder comes after the last
        held = packet
    if held is not None:
        yield held, False


def _ended(file: Path, count: int, error: BaseException | None) -> SourceError:
    """What is said of a file that ended too early, after `count` frames."""
    cut = is_cut_off(file)
    if count == 0:
        why = "it is cut off before its first frame" if cut else pyav.reason(error) if error else "it is damaged"
        return SourceError(f"cannot read {file}: {why}")
    what = "cut off" if cut else "damaged"
    return SourceError(f"{file} is {what} after frame {count - 1}; the frames before it are good")


def _still_good(av: ModuleType, stream: Any, broken: Any) -> Iterator[Any]:
    """Pictures that wait in the decoder, to be shown before the broken packet's."""
    try:
        waiting = stream.codec_context.decode(None)
    except (OSError, ValueError, av.error.FFmpegError):
        return
    for picture in waiting:
        shown_before = picture.pts is not None and broken is not None and broken.pts is not None
        if not picture.is_corrupt and shown_before and picture.pts < broken.pts:
            yield picture


class _ChangeOfSize:
    """Saves the picture that FFmpeg's decoder of MPEG-1 and MPEG-2 forgets when pictures become larger or smaller."""

    _HEADER = b"\0\0\1\xb3"  # ISO/IEC 13818-2, 6.2.2.1: 12 bits of width, 12 of height

    def __init__(self, decoder: Any) -> None:
        self._decoder = decoder if decoder.name in ("mpeg1video", "mpeg2video") else None
        self._size = b""

    def before(self, packet: Any) -> list[Any]:
        """Pictures that have to be taken out of the decoder before this packet goes in."""
        if self._decoder is None or not packet.size:
            return []
        data = bytes(packet)
        at = data.find(self._HEADER)
        if at < 0:
            return []
        size, before = data[at + 4 : at + 7], self._size
        self._size = size
        if before in (b"", size):
            return []
        pictures: list[Any] = self._decoder.decode(None)
        self._decoder.flush_buffers()
        return pictures
