"""What is counted for `Runtime.stats`, in a fixed amount of memory. What it returns is imported when it is first asked for."""

from __future__ import annotations

from collections import deque
from copy import copy
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mnnlite.runtime.stats import LaneStats, StageTimes, TaskStats

__all__ = ["STAGES", "LaneCounters", "TaskCounters", "percentiles"]

STAGES = ("preprocess", "infer", "decode")
_WINDOW = 256


def percentiles(values: Iterable[int]) -> tuple[int, int, int]:
    """The 50th, 90th and 99th, interpolated linearly as `numpy.percentile` does, and cut to whole numbers.

    That function imports `numpy.ma` when it is called first: up to 70 ms in which who asks `Runtime.stats` waits, and memory.
    """
    found = sorted(values)
    last = len(found) - 1

    def at(percent: int) -> int:
        index, rest = divmod(percent * last, 100)
        return found[index] + (found[min(index + 1, last)] - found[index]) * rest // 100

    return at(50), at(90), at(99)


class TaskCounters:
    """What is counted of one task."""

    def __init__(self) -> None:
        self.runs = self.late = self.failed = self.skipped = self.shed = self.crops = self.crops_left = 0
        self.reloads = self.preemptions = self.given_ns = 0
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

    def times(self) -> dict[str, StageTimes]:
        """For each stage and ``total``; empty if it never ran."""
        if not self._recent:
            return {}
        from mnnlite.runtime.stats import StageTimes

        columns = zip(*self._recent, strict=True)
        return {
            name: StageTimes(*percentiles(column), longest, total // self.runs)
            for name, column, longest, total in zip((*STAGES, "total"), columns, self._longest, self._sums, strict=True)
        }

    def stats(self, lane: int, quarantined: str | None, absent: str | None) -> TaskStats:
        """With what is known of the task beside the counts."""
        from mnnlite.runtime.stats import TaskStats

        return TaskStats(
            lane,
            self.runs,
            self.late,
            self.failed,
            self.skipped,
            self.shed,
            self.crops,
            self.crops_left,
            self.reloads,
            self.preemptions,
            self.given_ns,
            dict(self.loading),
            self.times(),
            quarantined,
            absent,
        )


class LaneCounters:
    """What is counted of one lane."""

    def __init__(self, since_ns: int) -> None:
        self.since_ns = since_ns
        self.busy_ns = self.frames = self.loads = self.stopped_ns = self.longest_stop_ns = 0
        self.preemptions = self.preempted_ns = 0

    def stopped(self, ns: int) -> None:
        """The lane stood still for one load or removal."""
        self.loads += 1
        self.stopped_ns += ns
        self.longest_stop_ns = max(self.longest_stop_ns, ns)

    def stats(self, now_ns: int) -> LaneStats:
        """As they are now."""
        from mnnlite.runtime.stats import LaneStats

        utilisation = min(1.0, self.busy_ns / max(1, now_ns - self.since_ns))
        return LaneStats(
            self.frames,
            self.busy_ns,
            utilisation,
            self.loads,
            self.stopped_ns,
            self.longest_stop_ns,
            self.preemptions,
            self.preempted_ns,
        )
