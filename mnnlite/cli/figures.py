"""Figures at the end of a run: frame rate, percentiles a stage, memory."""

from __future__ import annotations

import sys
import time
from array import array
from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from mnnlite.cli.exit_codes import FINDING, FINE
from mnnlite.cli.output import columns, printable
from mnnlite.errors import StateError
from mnnlite.proc import MIB, high_water, process

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mnnlite.errors import SourceError
    from mnnlite.runtime import FrameResult
    from mnnlite.video import Source

__all__ = ["Figures", "memory_mib"]

_NAMED = 5  # files that could not be read: more are counted
_KEPT = 1 << 16  # the last so many times of a stage: a run may last for days


class Figures:
    """Collects times; memory does not grow with the number of frames."""

    def __init__(self) -> None:
        self.frames = 0
        self._started = time.perf_counter()
        self._times: dict[tuple[str, str], array[int]] = {}
        self._runs: Counter[str] = Counter()
        self._errors: Counter[str] = Counter()
        self._late = 0
        self._source: list[str] = []

    def add(self, result: FrameResult) -> None:
        """Take a frame's times and what went wrong with it."""
        for task, stages in result.timing.items():
            if result.crops.get(task, (1, 1))[0] == 0:  # nothing to look at on this frame
                continue
            for stage, spent in stages.items():
                kept = self._times.setdefault((task, stage), array("q"))
                if len(kept) < _KEPT:
                    kept.append(spent)
                else:
                    kept[self._runs[task] % _KEPT] = spent
            self._runs[task] += 1
        for task, error in result.errors.items():
            said = f"task {task!r}" in str(error)
            self._errors[str(error) if said else f"task {task!r}: {error}"] += 1
        self._late += len(result.late)
        self.frames += result.part != "rest"  # of a frame that was counted

    def percentiles(self) -> list[tuple[str, str, float, float]]:
        """Task, stage, and its median and 90th percentile in milliseconds."""
        return [
            (task, stage, float(np.percentile(kept, 50)) / 1e6, float(np.percentile(kept, 90)) / 1e6)
            for (task, stage), kept in self._times.items()
        ]

    def source_ended(self, error: SourceError) -> None:
        """Keep what was wrong with the source; what it gave before counts."""
        self._source.append(str(error))

    def left_out(self, source: Source) -> None:
        """Keep which of a source's files could not be read, or not to their end."""
        self._source += [str(error) for error in source.errors[:_NAMED]]
        if len(source.errors) > _NAMED:
            self._source.append(f"and {len(source.errors) - _NAMED} more files")

    def report_failures(self) -> int:
        """Say what failed, and give the exit code: 1 if anything did."""
        for text in self._source:
            print(f"mnnlite: error: {printable(text)}", file=sys.stderr)
        for error, count in self._errors.items():
            print(f"mnnlite: on {count} of {self.frames} frames: {printable(str(error))}", file=sys.stderr)
        return FINDING if self._errors or self._source else FINE

    def show(self, dropped: int = 0, more: Sequence[str] = ()) -> None:
        """Write the summary to standard error, with more lines before its last."""
        spent = time.perf_counter() - self._started
        rate = f", {self.frames / spent:.1f} frames/s" if spent > 0 and self.frames else ""
        lines = [f"{self.frames} frame{'' if self.frames == 1 else 's'} in {spent:.1f} s{rate}"]
        if dropped or self._late:
            lines.append(f"{dropped} frames dropped, {self._late} results late")
        if self.frames:
            rows = [(task, stage, f"{p50:.2f}", f"{p90:.2f}") for task, stage, p50, p90 in self.percentiles()]
            lines += columns([("task", "stage", "p50 ms", "p90 ms"), *rows], right=(2, 3))
        lines += more
        memory = memory_mib()
        if memory:
            lines.append("memory: " + ", ".join(f"{size:.1f} MiB {what}" for what, size in memory.items()))
        print(printable("\n".join(lines)), file=sys.stderr)


def memory_mib() -> dict[str, float]:
    """What the process takes, by the kernel's count; empty where the kernel does not say."""
    try:
        now = process()
    except StateError:
        return {}
    most = high_water() or now.rss  # getrusage counts what the starting process held, too
    return {
        "resident": now.rss / MIB,
        "resident at most": max(now.rss, most) / MIB,
        "anonymous": now.anonymous / MIB,
    }
