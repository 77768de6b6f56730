"""Traces for ui.perfetto.dev and chrome://tracing: the Trace Event Format's JSON, complete and instant events."""

from __future__ import annotations

import json
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from mnnlite.files import atomic_write

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping


__all__ = ["TraceWriter"]


class TraceWriter:
    """Collects events and writes them as one JSON file.

    Times are nanoseconds of ``time.monotonic_ns``; in the file they are microseconds, as the format wants them.

    Parameters
    ----------
    process : str
        What the viewer calls the process.
    """

    def __init__(self, process: str = "mnnlite") -> None:
        self._events: list[dict[str, Any]] = [_named("process_name", 0, process)]
        self._tracks: dict[str, int] = {}

    def track(self, name: str) -> int:
        """Number of a row of the viewer, made where it is new: rows stand in the order of their making."""
        if name not in self._tracks:
            self._tracks[name] = len(self._tracks) + 1
            self._events.append(_named("thread_name", self._tracks[name], name))
        return self._tracks[name]

    def span(
        self,
        track: str,
        name: str,
        start_ns: int,
        stop_ns: int,
        args: Mapping[str, Any] | None = None,
        category: str = "",
    ) -> None:
        """Add something that took time. Spans of a track nest by time.

        Parameters
        ----------
        track : str
            A lane; one row of the viewer.
        name : str
        start_ns, stop_ns : int
        args : dict, optional
            Shown when the span is selected.
        category : str
            For the viewer's filter, e.g. ``"operator"``.
        """
        event = {"ph": "X", "name": name, "cat": category or "stage", "pid": 1, "tid": self.track(track)}
        event |= {"ts": start_ns / 1e3, "dur": max(0, stop_ns - start_ns) / 1e3, "args": dict(args or {})}
        self._events.append(event)

    def async_span(
        self, track: str, name: str, number: int, start_ns: int, stop_ns: int, args: Mapping[str, Any] | None = None
    ) -> None:
        """Add something that took time and overlaps others of its kind, e.g. a frame under way; `number` tells it from them."""
        common = {"name": name, "cat": track, "id": number, "pid": 1, "tid": 0}
        self._events.append({"ph": "b", **common, "ts": start_ns / 1e3, "args": dict(args or {})})
        self._events.append({"ph": "e", **common, "ts": max(start_ns, stop_ns) / 1e3})

    def mark(self, track: str, name: str, at_ns: int, args: Mapping[str, Any] | None = None) -> None:
        """Add a moment, e.g. a dropped frame."""
        event = {"ph": "i", "s": "t", "name": name, "cat": "mark", "pid": 1, "tid": self.track(track)}
        self._events.append(event | {"ts": at_ns / 1e3, "args": dict(args or {})})

    def to_dict(self) -> dict[str, Any]:
        """Give the file's content."""
        return {"traceEvents": self._events, "displayTimeUnit": "ms"}

    def write(self, file: IO[str]) -> None:
        """Write to a file that is open for text."""
        json.dump(self.to_dict(), file)

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the file, whole or not at all.

        Raises
        ------
        OutputError
        """
        target = Path(path)
        with atomic_write(target) as made:
            made.write_text(json.dumps(self.to_dict()), encoding="utf-8")
        return target


def _named(kind: str, track: int, name: str) -> dict[str, Any]:
    return {"ph": "M", "name": kind, "pid": 1, "tid": track, "args": {"name": name}}
