"""What every source of frames is."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mnnlite.errors import SourceError
    from mnnlite.frame import Frame

__all__ = ["Source"]


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
    errors : list of SourceError
        Of a source of several files: what was wrong with those of which frames are missing, known when they were met.
    rate : float or None
        Frames a second, where that is known.
    live : bool
        Whether frames come as time passes; then they cannot be had again.
    """

    name: str = ""
    frames: int | None = None
    rate: float | None = None
    errors: Sequence[SourceError] = ()
    live: bool = False

    def stop(self) -> None:
        """Give no further frames, and wake a thread that waits for one, where that can be. Any thread; does not block."""

    def __iter__(self) -> Iterator[Frame]:
        """Yield frames; each call starts anew, but for live sources."""
        raise NotImplementedError
