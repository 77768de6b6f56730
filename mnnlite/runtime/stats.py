"""What `Runtime.stats` returns, and what is counted for it in a fixed amount of memory."""

from __future__ import annotations

from collections import deque
from copy import copy
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["HungRun", "LaneCounters", "LaneStats", "RuntimeStats", "StageTimes", "TaskCounters", "TaskStats"]

STAGES = ("preprocess", "infer", "decode")
_WINDOW = 256


@dataclass(frozen=True)
class StageTimes:
    """How long a stage of a task takes, in nanoseconds.

    Parameters
    ----------
    p50, p90, p99 : int
        Percentiles of the last 256 runs.
    max, mean : int
        Of all runs.
    """

    p50: int
    p90: int
    p99: int
    max: int
    mean: int


@dataclass(frozen=True)
class TaskStats:
    """Counts and times of one task.

    Parameters
    ----------
    lane : int
    runs : int
    late : int
        Results after their deadline.
    failed : int
        Frames on which the task failed, or could not be loaded again.
    skipped : int
        Frames on which it was due and did not run.
    shed : int
        Frames for which it was planned, and then left out because there was no time.
    crops, crops_left : int
        Of a cascade: the boxes that it ran on, and the boxes beyond ``max_crops`` that it left out.
    reloads : int
        How often it was loaded again after an eviction.
    preemptions : int
        How often its network was interrupted by tasks that preempt.
    given_ns : int
        How long those tasks took. `stages` do not contain it.
    loading : dict of str to int
        Nanoseconds of each stage of loading.
    stages : dict of str to StageTimes
        ``preprocess``, ``infer``, ``decode`` and ``total``; empty if it never ran.
    quarantined : str, optional
        Why the task does not run until it is replaced.
    absent : str, optional
        Why its model is not loaded.
    """

    lane: int
    runs: int
    late: int
    failed: int
    skipped: int
    shed: int
    crops: int
    crops_left: int
    reloads: int
    preemptions: int
    given_ns: int
    loading: dict[str, int]
    stages: dict[str, StageTimes]
    quarantined: str | None
    absent: str | None


@dataclass(frozen=True)
class LaneStats:
    """Counts and times of one lane.

    Parameters
    ----------
    frames : int
        Frames on which one of its tasks was due.
    busy_ns : int
        How long it worked on frames.
    utilisation : float
        The fraction of the time since the runtime was made in which it worked on frames.
    loads : int
        How often it stopped to load or close a task, or for `Runtime.on_lane`.
    stopped_ns, longest_stop_ns : int
        How long it stopped, in total and at most.
    preemptions : int
        How often tasks that preempt interrupted a frame.
    preempted_ns : int
        How long these interruptions took, with the switches there and back.
    """

    frames: int
    busy_ns: int
    utilisation: float
    loads: int
    stopped_ns: int
    longest_stop_ns: int
    preemptions: int = 0
    preempted_ns: int = 0


@dataclass(frozen=True)
class ReplanStats:
    """One decision to move tasks to other lanes.

    Parameters
    ----------
    moved : int
        How many groups of tasks moved.
    longest_ns, expected_ns : int
        The time a frame takes the longest lane: before the move, and as expected after it.
    """

    moved: int
    longest_ns: int
    expected_ns: int


@dataclass(frozen=True)
class HungRun:
    """A run that took longer than the watchdog allows.

    Parameters
    ----------
    task : str
    seconds : float
        When it was last looked at.
    """

    task: str
    seconds: float


@dataclass(frozen=True)
class RuntimeStats:
    """Counts and times of a runtime since it was made.

    Parameters
    ----------
    frames : int
        Worked on.
    dropped : int
        For fresher ones.
    tasks : dict of str to TaskStats
    lanes : tuple of LaneStats
    replans : tuple of ReplanStats
    hung : tuple of HungRun
    """

    frames: int
    dropped: int
    tasks: dict[str, TaskStats]
    lanes: tuple[LaneStats, ...]
    replans: tuple[ReplanStats, ...] = ()
    hung: tuple[HungRun, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)


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
        columns = zip(*self._recent, strict=True)
        return {
            name: StageTimes(*percentiles(column), longest, total // self.runs)
            for name, column, longest, total in zip((*STAGES, "total"), columns, self._longest, self._sums, strict=True)
        }

    def stats(self, lane: int, quarantined: str | None, absent: str | None) -> TaskStats:
        """With what is known of the task beside the counts."""
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
