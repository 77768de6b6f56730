"""`Runtime.trace`: a recording of the lanes, written for a trace viewer."""

from __future__ import annotations

import os
from typing import IO, TYPE_CHECKING

from mnnlite.errors import ArgumentError, OutputError
from mnnlite.files import check_folder
from mnnlite.runtime.recorder import Recorder

if TYPE_CHECKING:
    from pathlib import Path

    from typing_extensions import Self

    from mnnlite.perfetto import TraceWriter
    from mnnlite.runtime.registry import TaskRegistry

__all__ = ["Trace"]


class Trace:
    """A recording of a runtime's lanes, from its making to `close`; `Runtime.trace` makes it.

    Usable in a ``with`` block. Only numbers and names are kept, of the last `max_frames` frames.

    Parameters
    ----------
    registry : TaskRegistry
    target : path, or file open for text, optional
        What `close` writes.
    max_frames : int
    """

    def __init__(
        self, registry: TaskRegistry, target: str | os.PathLike[str] | IO[str] | None, max_frames: int
    ) -> None:
        if isinstance(max_frames, bool) or not isinstance(max_frames, int) or max_frames < 1:
            raise ArgumentError(f"max_frames is {max_frames!r}; wanted a whole number from 1")
        if target is not None and not hasattr(target, "write"):
            check_folder(target)
        self._registry, self._target = registry, target
        self._recorder = Recorder(max_frames, len(registry.lane_counters))
        self._is_closed = False
        registry.record(self._recorder)

    def writer(self) -> TraceWriter:
        """Give the events so far, for more to be added.

        Returns
        -------
        TraceWriter
            Tracks ``lane 0`` and on: a span for each frame, in it one for each task, in it its stages one after the
            other (of a task with several batches, the sums). ``frames``: from when a frame was taken to its last
            result; they overlap. ``source``: frames that were dropped.
        """
        with self._registry.lock:
            recorded = self._recorder.copy()
        return recorded.writer()

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write what was recorded so far; whole or not at all.

        Raises
        ------
        OutputError
        """
        return self.writer().save(path)

    def close(self) -> None:
        """Stop, and write to what was given at the start. Closing twice is fine.

        Raises
        ------
        OutputError
        """
        with self._registry.lock:
            if self._is_closed:
                return
            self._is_closed = True
            self._registry.end_recording()
        if self._target is None:
            return
        if isinstance(self._target, (str, os.PathLike)):
            self.save(self._target)
            return
        try:
            self.writer().write(self._target)
        except OSError as error:
            raise OutputError(f"cannot write the trace: {error.strerror}") from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
