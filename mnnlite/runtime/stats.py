"""What `Runtime.stats` returns."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

__all__ = ["HungRun", "LaneStats", "RuntimeStats", "StageTimes", "TaskStats"]


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
