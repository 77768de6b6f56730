"""Twice as much work as there is time for, of mixed importance, on a simulated clock."""

from __future__ import annotations

import random
from dataclasses import dataclass

from helpers.simulation import MS, Outcome, run
from mnnlite.runtime.schedule import Schedule
from mnnlite.runtime.scheduler import Scheduler


@dataclass(frozen=True)
class Work:
    """A task, what it takes and what is wanted of it; milliseconds."""

    name: str
    ms: float
    priority: int
    deadline_ms: int
    optional: bool
    every: int = 1


TASKS = (
    Work("minor 1", 9.0, 1, 100, True),
    Work("minor 2", 14.0, 1, 100, True),
    Work("signs", 10.0, 5, 66, True),
    Work("cars", 11.0, 10, 33, False),
    Work("minor 3", 6.0, 1, 100, True, 2),
    Work("lanes", 8.0, 8, 50, False),
    Work("minor 4", 10.0, 2, 100, True),
)


@dataclass(frozen=True)
class Judged:
    """A simulated stream and how much of it was of use: results in time by priority, a second."""

    outcome: Outcome
    useful: float

    def late(self, work: Work) -> float:
        """Part of a task's results that came after its deadline."""
        return self.outcome.late(work.name, work.deadline_ms * MS)


def simulate(policy: type[Scheduler], seed: int, important_first: bool = False, frames: int = 3000) -> Judged:
    """Frames come at twice the rate that can be sustained; for a third of them the device throttles by a tenth.

    In what order tasks are added is nobody's policy, and all that FIFO goes by: it is random, or the luckiest one.
    """
    rng = random.Random(seed)
    scheduler = policy()
    tasks = sorted(TASKS, key=lambda work: -work.priority) if important_first else rng.sample(TASKS, len(TASKS))
    for work in tasks:
        scheduler.add(work.name, Schedule(work.every, None, work.priority, work.deadline_ms, work.optional))
    table = {work.name: work.ms for work in TASKS}
    period = int(sum(work.ms / work.every for work in TASKS) / 2 * MS)

    def cost(name: str, number: int) -> int:
        slow = 1.1 if frames // 3 <= number < 2 * frames // 3 else 1.0
        return int(table[name] * slow * rng.lognormvariate(0, 0.08) * MS)

    outcome = run(scheduler, cost, period_ns=period, frames=frames)
    in_time = sum(
        work.priority * sum(end - taken <= work.deadline_ms * MS for taken, end in outcome.results[work.name])
        for work in TASKS
    )
    return Judged(outcome, in_time / (frames * period / 1e9))
