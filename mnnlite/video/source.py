"""The base of all sources of frames."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mnnlite.errors import SourceError
    from mnnlite.frame import Frame

__all__ = ["Source"]


class Source:
    """Frames in order; iterate over it.

    Each frame's ``meta`` is ``{"frame": index from 0, "time_ms": presentation time or None}``, with ``"file"`` if
    the source has several files. Frames of live sources have a ``timestamp_ns`` (`time.monotonic_ns` at arrival).

    Attributes
    ----------
    name : str
        A name to show.
    frames : int or None
        How many frames there are, if that is known.
    errors : list of SourceError
        For a source of several files: one error for each file of which frames are missing, added when the source meets it.
    rate : float or None
        Frames per second, if that is known.
    live : bool
        Whether frames come in real time; then they cannot be read again.
    """

    name: str = ""
    frames: int | None = None
    rate: float | None = None
    errors: Sequence[SourceError] = ()
    live: bool = False

    def stop(self) -> None:
        """End the frames, and wake a thread that waits for one if possible. Any thread may call it; it does not block."""

    def __iter__(self) -> Iterator[Frame]:
        """Yield frames. Each call starts from the beginning, except for live sources."""
        raise NotImplementedError
