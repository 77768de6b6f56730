"""Counts and times of tasks and lanes, in a fixed amount of memory."""

from __future__ import annotations

from collections import deque
from copy import copy
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["LaneCounters", "TaskCounters", "prometheus"]

STAGES = ("preprocess", "infer", "decode")
_WINDOW = 256


class TaskCounters:
    """Of one task."""

    def __init__(self) -> None:
        self.runs = self.late = self.failed = self.skipped = self.shed = self.crops = self.crops_left = 0
        self.reloads = 0
        self.loading: dict[str, int] = {}
        # Of each run its stages and their sum: written once a run, read seldom.
        self._recent: deque[tuple[int, int, int, int]] = deque(maxlen=_WINDOW)
        self._longest = [0] * 4
        self._sums = [0] * 4

    def ran(self, preprocess: int, infer: int, decode: int) -> None:
        """Count a run; nanoseconds."""
        run = (preprocess, infer, decode, preprocess + infer + decode)
        self.runs += 1
        self._recent.append(run)
        sums, longest = self._sums, self._longest
        for index, ns in enumerate(run):
            sums[index] += ns
            if ns > longest[index]:
                longest[index] = ns

    def copy(self) -> TaskCounters:
        """As they are now: percentiles of the copy are reckoned without anybody waiting."""
        made = copy(self)
        made._recent, made._longest, made._sums = self._recent.copy(), list(self._longest), list(self._sums)
        return made

    def times(self) -> dict[str, dict[str, int]]:
        """For each stage and ``total``: p50, p90, p99, max, mean in nanoseconds; empty if it never ran."""
        names = (*STAGES, "total")
        if not self._recent:
            return {name: {} for name in names}
        percentiles = np.percentile(np.array(self._recent, np.int64), [50, 90, 99], axis=0)
        return {
            name: {
                "p50": int(percentiles[0][index]),
                "p90": int(percentiles[1][index]),
                "p99": int(percentiles[2][index]),
                "max": self._longest[index],
                "mean": self._sums[index] // self.runs,
            }
            for index, name in enumerate(names)
        }

    def summary(self) -> dict[str, Any]:
        """As `Runtime.stats` says."""
        return {
            "runs": self.runs,
            "late": self.late,
            "failed": self.failed,
            "skipped": self.skipped,
            "shed": self.shed,
            "crops": self.crops,
            "crops_left": self.crops_left,
            "reloads": self.reloads,
            "loading": dict(self.loading),
            "stages": self.times(),
        }


class LaneCounters:
    """Of one lane."""

    def __init__(self, since_ns: int) -> None:
        self.since_ns = since_ns
        self.busy_ns = self.frames = self.loads = self.stopped_ns = self.longest_stop_ns = 0

    def stopped(self, ns: int) -> None:
        """The lane stood still for one load or removal."""
        self.loads += 1
        self.stopped_ns += ns
        self.longest_stop_ns = max(self.longest_stop_ns, ns)

    def summary(self, now_ns: int) -> dict[str, Any]:
        """As `Runtime.stats` says."""
        return {
            "frames": self.frames,
            "busy_ns": self.busy_ns,
            "utilisation": min(1.0, self.busy_ns / max(1, now_ns - self.since_ns)),
            "loads": self.loads,
            "stopped_ns": self.stopped_ns,
            "longest_stop_ns": self.longest_stop_ns,
        }


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def prometheus(stats: Mapping[str, Any]) -> str:
    """Write what `Runtime.stats` gives in Prometheus' text format 0.0.4; seconds and bytes.

    Parameters
    ----------
    stats : dict

    Returns
    -------
    str
    """
    lines: list[str] = []

    def metric(name: str, kind: str, text: str, samples: list[tuple[str, float]]) -> None:
        lines.extend((f"# HELP mnnlite_{name} {text}", f"# TYPE mnnlite_{name} {kind}"))
        lines.extend(f"mnnlite_{name}{labels} {value:.9g}" for labels, value in samples)

    metric("frames_total", "counter", "Frames worked on.", [("", stats["frames"])])
    metric("frames_dropped_total", "counter", "Frames dropped for fresher ones.", [("", stats["dropped"])])
    tasks = {f'task="{_escaped(name)}"': task for name, task in stats["tasks"].items()}
    for key, text in (
        ("runs", "Runs of a task."),
        ("late", "Results after their deadline."),
        ("failed", "Runs that failed."),
        ("skipped", "Frames on which a task was due and did not run."),
        ("shed", "Frames on which a task was left out for want of time."),
    ):
        samples = [(f"{{{label}}}", float(task[key])) for label, task in tasks.items()]
        metric(f"task_{key}_total", "counter", text, samples)
    samples = []
    for label, task in tasks.items():
        for stage, times in task["stages"].items():
            if not times:
                continue
            of = f'{label},stage="{stage}"'
            quantiles = (("0.5", "p50"), ("0.9", "p90"), ("0.99", "p99"))
            samples += [(f'{{{of},quantile="{text}"}}', times[key] / 1e9) for text, key in quantiles]
    metric("task_seconds", "gauge", "Time of a stage, percentiles of the last 256 runs.", samples)
    lanes = [(f'{{lane="{index}"}}', lane) for index, lane in enumerate(stats["lanes"])]
    metric(
        "lane_utilisation", "gauge", "Busy part of a lane's time.", [(at, lane["utilisation"]) for at, lane in lanes]
    )
    metric("lane_loads_total", "counter", "Loads and removals.", [(at, lane["loads"]) for at, lane in lanes])
    stopped = [(at, lane["stopped_ns"] / 1e9) for at, lane in lanes]
    metric("lane_stopped_seconds_total", "counter", "Time that loads and removals took.", stopped)
    return "\n".join(lines) + "\n"
