"""Schedulers to compare mnnlite's with: they leave nothing out."""

from __future__ import annotations

from mnnlite.runtime.frame_plan import FramePlan
from mnnlite.runtime.scheduler import Scheduler
from mnnlite.runtime.shedding import Window, with_needed
from mnnlite.runtime.task_state import TaskState

__all__ = ["Fifo", "RateMonotonic"]


class Fifo(Scheduler):
    """In the order of adding."""

    def _rank(self, state: TaskState, position: int) -> tuple[float, ...]:
        return (position,)

    def _fit(self, due: list[TaskState], window: Window, plan: FramePlan) -> tuple[list[TaskState], list[int | None]]:
        due = with_needed(due, plan)
        return due, [None] * len(due)

    def is_stale(self, now_ns: int, frame_ns: int) -> bool:
        return False


class RateMonotonic(Fifo):
    """Those that are due more often first (Liu and Layland, J. ACM 20(1), 1973)."""

    def _rank(self, state: TaskState, position: int) -> tuple[float, ...]:
        schedule = state.schedule
        period_ns = 1e9 / schedule.rate_hz if schedule.rate_hz else schedule.every * (self.period_ns or 1e9 / 30)
        return (period_ns, position)
