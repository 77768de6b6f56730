"""Tasks with ``preempts="auto"``: whether what else their lane does would make them late, and so whether they preempt."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING

from mnnlite.errors import MnnliteError, about_task

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mnnlite.runtime.lane import Lane
    from mnnlite.runtime.loaded_task import LoadedTask
    from mnnlite.runtime.registry import TaskRegistry
    from mnnlite.runtime.residency import ModelResidency

__all__ = ["Urgency"]


class Urgency:
    """Loads automatic tasks anew where they are to preempt, and where they no longer need to. Under the lock of changes.

    Parameters
    ----------
    registry : TaskRegistry
    residency : ModelResidency
    lanes : list of Lane
    """

    def __init__(self, registry: TaskRegistry, residency: ModelResidency, lanes: Sequence[Lane]) -> None:
        self._registry, self._residency, self._lanes = registry, residency, lanes

    def reconsider(self) -> None:
        """After a change of what there is and where."""
        for lane in self._lanes:
            tasks = [each for each in self._registry.snapshot().values() if each.lane is lane and not each.absence]
            automatic = [each for each in tasks if each.is_automatic]
            if automatic:
                self._measure(lane, [each for each in tasks if not each.cost_ns])
            for each in automatic:
                if self._is_urgent(each, tasks) != each.schedule.preempts:
                    self._change(each)

    def release(self, tasks: Iterable[LoadedTask]) -> None:
        """Others will take something from these, so they do not preempt."""
        for each in tasks:
            if each.is_automatic and each.schedule.preempts:
                self._change(each)

    def _measure(self, lane: Lane, tasks: Sequence[LoadedTask]) -> None:
        def measure() -> None:
            for each in tasks:
                each.measure()

        if tasks:
            lane.call(measure, self._registry.stood_still)

    def _is_urgent(self, task: LoadedTask, lane: Sequence[LoadedTask]) -> bool:
        """Its deadline is nearer than the end of what is less important, which the lane may have begun just before."""
        deadline_ns = task.schedule.deadline_ns
        is_needed = any(task.name in each.needs for each in self._registry.snapshot().values())
        if task.is_on_gpu:  # which ends what it was given
            return False
        if deadline_ns is None or task.needs or task.spec.state or is_needed:
            return False
        work = [
            self._cost(each)
            for each in lane
            if each.schedule.priority < task.schedule.priority and not each.schedule.preempts
        ]
        return bool(work) and sum(work) + self._cost(task) > deadline_ns

    def _cost(self, task: LoadedTask) -> int:
        return self._registry.scheduler.latency.mean(task.name) or task.cost_ns

    def _change(self, task: LoadedTask) -> None:
        schedule = replace(task.schedule, preempts=not task.schedule.preempts)
        try:
            made = self._residency.load(task.name, task.spec, schedule, task.lane)
        except MnnliteError as error:
            what = "preempt" if schedule.preempts else "wait for its lane"
            self._registry.say(logging.WARNING, about_task(task.name, f"goes on as it is and does not {what}", error))
            return
        if self._registry.reschedule(task, made):
            self._registry.close_soon(task).result()
