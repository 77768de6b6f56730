"""Finds the time at which a video began, by the clock of a track."""

from __future__ import annotations

import datetime as dt
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from mnnlite.errors import SourceError
from mnnlite.mapping.logs import gpmf
from mnnlite.mapping.logs.log import utc_of

if TYPE_CHECKING:
    import os

    from mnnlite.mapping.motion import Motion

__all__ = ["OWN", "Start", "begun", "check_covers", "motion_of", "start_of", "text"]

GIVEN, OWN, CONTAINER, UNKNOWN = 0.02, 0.05, 1.5, 3.0  # seconds: how well a start is known, by what says it
GOPRO = (".mp4", ".mov", ".360")  # files that may have GPMF
ZONE = 900  # seconds: time zones differ by whole quarters of an hour
NEAR_ZONE = 120  # how far from such a difference a clock may be off beside it


@dataclass
class Start:
    """UTC of a video's first frame, seconds since 1970, its deviation, and notes about what was assumed."""

    start: float
    sigma: float
    notes: list[str] = field(default_factory=list)


def text(utc: float) -> str:
    """A time as a text."""
    if not math.isfinite(utc) or abs(utc) > 2.5e11:
        return str(utc)
    return (dt.datetime(1970, 1, 1) + dt.timedelta(seconds=utc)).strftime("%Y-%m-%d %H:%M:%S UTC")  # noqa: DTZ001


def begun(video: str | os.PathLike[str]) -> tuple[Start | None, float | None]:
    """The time at which a video says that it began, or None; and its length in seconds, if that is known.

    Raises
    ------
    SourceError
        The video cannot be read.
    """
    created, seconds = _container(Path(video))
    if Path(video).suffix.lower() in GOPRO:
        metadata = gpmf.read_video(str(video), Path(video), needed=False)
        if metadata is not None and metadata.video_start is not None:
            return Start(metadata.video_start, OWN), seconds
    return (None if created is None else Start(created, CONTAINER)), seconds


def motion_of(video: str | os.PathLike[str]) -> Motion | None:
    """What a gyroscope and an accelerometer on the video's clock measured, if it has any.

    Raises
    ------
    SourceError
        The video cannot be read.
    """
    if Path(video).suffix.lower() not in GOPRO:
        return None
    return gpmf.motion_of_video(str(video), Path(video))


def start_of(
    known: Start | None, seconds: float | None, first: float, last: float, name: str, offset: float | None
) -> Start:
    """Find the time of a video's first frame.

    Parameters
    ----------
    known : Start or None
        What the video says, as `begun` returns it.
    seconds : float or None
        Length of the video.
    first, last : float
        UTC of the first and last position of the track.
    name : str
        Name of the track.
    offset : float or None
        As for `Track.load`.

    Raises
    ------
    SourceError
        The track does not cover the time of the video.
    """
    start = Start(first, UNKNOWN) if known is None else Start(known.start, known.sigma)
    if offset is not None:
        start = Start(start.start + offset, GIVEN)
    elif known is None:
        start.notes.append("the video does not say when it was begun: taken to begin with the track, give or take 3 s")
    check_covers(start.start, seconds, first, last, name)
    return start


def check_covers(start: float, seconds: float | None, first: float, last: float, name: str) -> None:
    """Refuse a track that does not cover the time of the video.

    Raises
    ------
    SourceError
    """
    end = start + (seconds or 0.0)
    if first - CONTAINER * 2 <= end and start <= last + CONTAINER * 2:
        return
    said = f"the video is from {text(start)} to {text(end)}, the track {name} from {text(first)} to {text(last)}"
    away = (first + last) / 2 - (start + end) / 2
    zones = round(away / ZONE)
    if 0 < abs(zones) <= 14 * 3600 / ZONE and abs(away - zones * ZONE) < NEAR_ZONE + max(last - first, end - start):
        hours = zones * ZONE / 3600
        raise SourceError(
            f"{said}: {hours:+g} h apart, so one of them may be in local time; if so give --offset {zones * ZONE}"
        )
    raise SourceError(f"{said}: they do not belong together; if a clock was wrong give --offset SECONDS")


def _container(path: Path) -> tuple[float | None, float | None]:
    """The time at which a video's container says that it began, and its length in seconds."""
    from mnnlite.video import pyav

    av = pyav.load()
    try:
        with av.open(f"file:{path}") as container:
            created = container.metadata.get("creation_time") or next(
                (
                    stream.metadata["creation_time"]
                    for stream in container.streams
                    if "creation_time" in stream.metadata
                ),
                "",
            )
            seconds = container.duration / 1e6 if container.duration else None
    except (OSError, ValueError) as error:
        raise SourceError(f"cannot read {path}: {pyav.reason(error)}") from None
    try:
        utc = utc_of(created)
    except ValueError:
        return None, seconds
    return (utc if utc > 0 else None), seconds  # 1904 or 1970: the clock was never set
