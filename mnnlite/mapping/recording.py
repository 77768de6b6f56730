"""Pass 1 of a map, while the networks run: writes the line of each frame at once, and keeps nothing."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mnnlite.errors import MnnliteError
from mnnlite.mapping import clocks, measurements

if TYPE_CHECKING:
    from collections.abc import Callable

    from mnnlite.mapping.kinds import MapRules
    from mnnlite.pipeline import Pipeline
    from mnnlite.runtime import FrameResult

__all__ = ["Recorder", "facts_of"]

CHUNK = 1 << 20


class Recorder:
    """Writes measurements.

    Parameters
    ----------
    write : callable
        A function that writes a dict as a line.
    rules : MapRules
    facts : dict
        Further facts for the first line: see `facts_of`.
    live : bool
        Frames come from a camera as they are taken: each line also says when that was by the system's clock, which on a
        board with gpsd or NTP is that of the track.
    """

    def __init__(
        self, write: Callable[[dict[str, Any]], None], rules: MapRules, facts: dict[str, Any], live: bool = False
    ) -> None:
        self._write, self._rules, self._facts, self._live = write, rules, facts, live
        self.frames = 0

    def add(self, result: FrameResult) -> None:
        """Write a frame's line.

        Raises
        ------
        OutputError
            The disk is full. The lines before are whole.
        ArgumentError
            The frames have no times.
        """
        time_s = measurements.time_of(result)
        if not self.frames:
            self._write(measurements.header(self._rules, result.frame_size, **self._facts))
        utc = None
        if self._live and result.timestamp_ns is not None:
            utc = time.time() - (time.monotonic_ns() - result.timestamp_ns) / 1e9
        self._write(measurements.line_of(result, self._rules, time_s, utc))
        self.frames += 1


def facts_of(pipeline: Pipeline, pipeline_file: str, source: str) -> dict[str, Any]:
    """Hashes of the pipeline and of its models, and when the video says that it was begun.

    The source's name is not among them: names say where people live.
    """
    facts: dict[str, Any] = {
        "pipeline": _hash(Path(pipeline_file)),
        "models": {name: _hash(Path(str(spec.model))) for name, spec in pipeline.tasks.items()},
    }
    if Path(source).is_file():
        try:
            start, seconds = clocks.begun(source)
        except MnnliteError:  # pictures, and what cannot be read, which whoever reads it will say
            return facts
        if start is not None:
            facts["begun"] = [start.start, start.sigma]
        if seconds is not None:
            facts["seconds"] = seconds
    return facts


def _hash(path: Path) -> str | None:
    import hashlib

    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while chunk := file.read(CHUNK):
                digest.update(chunk)
    except OSError:
        return None
    return digest.hexdigest()[:20]
