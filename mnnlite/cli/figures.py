"""Figures at the end of a run: frame rate, percentiles a stage, memory."""

from __future__ import annotations

import resource
import sys
import time
from array import array

import numpy as np

from mnnlite.cli.output import columns
from mnnlite.errors import StateError
from mnnlite.observe.proc import MIB, process

__all__ = ["Figures", "memory_mib"]

_KEPT = 1 << 16  # the last so many times of a stage: a run may last for days


class Figures:
    """Collects times; memory does not grow with the number of frames."""

    def __init__(self) -> None:
        self.frames = 0
        self._started = time.perf_counter()
        self._times: dict[tuple[str, str], array[int]] = {}

    def add(self, times: dict[str, dict[str, int]]) -> None:
        """Take a frame's nanoseconds by task and stage."""
        place = self.frames % _KEPT
        for task, stages in times.items():
            for stage, spent in stages.items():
                kept = self._times.setdefault((task, stage), array("q"))
                if place < len(kept):
                    kept[place] = spent
                else:
                    kept.append(spent)
        self.frames += 1

    def percentiles(self) -> list[tuple[str, str, float, float]]:
        """Task, stage, and its median and 90th percentile in milliseconds."""
        return [
            (task, stage, float(np.percentile(kept, 50)) / 1e6, float(np.percentile(kept, 90)) / 1e6)
            for (task, stage), kept in self._times.items()
        ]

    def show(self) -> None:
        """Write the summary to standard error."""
        spent = time.perf_counter() - self._started
        rate = f", {self.frames / spent:.1f} frames/s" if spent > 0 and self.frames else ""
        lines = [f"{self.frames} frames in {spent:.1f} s{rate}"]
        if self.frames:
            rows = [(task, stage, f"{p50:.2f}", f"{p90:.2f}") for task, stage, p50, p90 in self.percentiles()]
            lines += columns([("task", "stage", "p50 ms", "p90 ms"), *rows], right=(2, 3))
        memory = memory_mib()
        if memory:
            lines.append("memory: " + ", ".join(f"{size:.1f} MiB {what}" for what, size in memory.items()))
        print("\n".join(lines), file=sys.stderr)


def memory_mib() -> dict[str, float]:
    """What the process takes, by the kernel's count; empty where the kernel does not say."""
    try:
        now = process()
    except StateError:
        return {}
    return {
        "resident": now.rss / MIB,
        "resident at most": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "anonymous": now.anonymous / MIB,
    }
