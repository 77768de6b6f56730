"""``--save``: frames with what was found drawn on them, as pictures of a folder or as a video."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mnnlite import video
from mnnlite.errors import OutputError

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import ExitStack
    from pathlib import Path

    from mnnlite.runtime import FrameResult

    Sink = Callable[[FrameResult], None]

__all__ = ["make_folder", "next_number", "saver"]

_FPS = 25.0  # where the source does not say


def saver(path: Path, rate: float | None, overwrite: bool, stack: ExitStack) -> Sink:
    """Who draws and writes: a video where `path` ends like one, a folder of pictures otherwise.

    Parameters
    ----------
    path : Path
    rate : float, optional
        Frames a second that will come.
    overwrite : bool
        Whether a video of that name may be written over.
    stack : ExitStack
        Ends the video.

    Raises
    ------
    OutputError
        There is such a video, or the folder cannot be made.
    MissingExtraError
        PyAV is not installed; a folder needs it too, for JPEG.
    """
    if path.suffix.lower() not in video.VIDEOS:
        return _into_folder(path)
    if path.is_file() and not overwrite:
        raise OutputError(f"cannot write {path}: it exists; take another name, or --overwrite")
    writer = stack.enter_context(video.VideoWriter(path, rate or _FPS))
    return lambda result: writer.add(result.draw())


def _into_folder(folder: Path) -> Sink:
    make_folder(folder)
    first = next_number(folder)
    return lambda result: video.write_picture(folder / f"{first + result.meta['frame']:06}.jpg", result.draw())


def make_folder(folder: Path) -> None:
    """Make a folder for pictures, if there is none.

    Raises
    ------
    OutputError
        It cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot make the folder {folder}: {error.strerror}") from None


def next_number(folder: Path) -> int:
    """One more than the greatest number of a picture that is there: a run goes on counting where another one ended."""
    numbers = [re.fullmatch(r"(\d{6,})\.(?:jpg|png)", path.name) for path in folder.iterdir()]
    return max((int(found[1]) + 1 for found in numbers if found), default=0)
