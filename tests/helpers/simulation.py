"""A stream on a simulated clock: a scheduler, lanes that take as long as they are told, a source that does not wait."""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field

from mnnlite.runtime.frame_plan import FramePlan
from mnnlite.runtime.scheduler import Scheduler

MS = 1_000_000


@dataclass
class Outcome:
    """What became of a stream; results are (frame time, end) in nanoseconds."""

    frames: int = 0
    dropped: int = 0
    results: dict[str, list[tuple[int, int]]] = field(default_factory=lambda: defaultdict(list))
    skipped: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    plans: list[FramePlan] = field(default_factory=list)

    def late(self, name: str, deadline_ns: int) -> float:
        ends = self.results[name]
        return sum(end - taken > deadline_ns for taken, end in ends) / max(1, len(ends))


def run(
    scheduler: Scheduler,
    cost_ns: Callable[[str, int], int],
    *,
    period_ns: int,
    frames: int,
    dropping: bool = True,
) -> Outcome:
    """Frames come every `period_ns`. Where the source does not wait, the newest frame alone waits for a free lane, and
    a frame enters when a lane is idle and at most lanes + 1 are on their way."""
    lanes = scheduler.lanes
    outcome = Outcome()
    queues: list[list[tuple[int, int, list]]] = [[] for _ in range(lanes)]
    busy = [False] * lanes
    open_frames: dict[int, int] = {}
    waiting: list[tuple[int, int]] = []
    events: list[tuple[int, int, int]] = [(0, 1, 0)]  # time, kind (0: a lane ends, 1: a frame), which

    def begin(lane: int, now: int) -> None:
        """The lane runs its next frame to the end; what it does is known at once."""
        number, taken, slots = queues[lane][0]
        busy[lane] = True
        at, took = now, {}
        for slot in slots:
            if slot.not_after_ns is not None and at > slot.not_after_ns:
                scheduler.shed(slot.name)
                outcome.skipped[slot.name] += 1
                continue
            took[slot.name] = cost_ns(slot.name, number)
            at += took[slot.name]
            outcome.results[slot.name].append((taken, at))
        ends[lane] = took
        heapq.heappush(events, (at, 0, lane))

    ends: list[dict[str, int]] = [{} for _ in range(lanes)]

    def admit(now: int) -> None:
        while waiting and len(open_frames) <= lanes and (not dropping or not all(busy)):
            number, taken = waiting.pop(0)
            if dropping and scheduler.is_stale(now, taken):
                outcome.dropped += 1
                continue
            plan = scheduler.plan(now, taken, dropping)
            outcome.plans.append(plan)
            for name in plan.skipped:
                outcome.skipped[name] += 1
            open_frames[number] = sum(bool(slots) for slots in plan.lanes)
            if open_frames[number] == 0:
                del open_frames[number]
            for lane, slots in enumerate(plan.lanes):
                if slots:
                    queues[lane].append((number, taken, slots))
                    if not busy[lane]:
                        begin(lane, now)

    while events:
        now, kind, which = heapq.heappop(events)
        if kind == 1:
            outcome.frames += 1
            scheduler.offered(now)
            if dropping and waiting:
                waiting.pop()
                outcome.dropped += 1
            waiting.append((which, now))
            if which + 1 < frames:
                heapq.heappush(events, (now + period_ns, 1, which + 1))
        else:
            number = queues[which].pop(0)[0]
            busy[which] = False
            scheduler.ended(which, now, ends[which])
            open_frames[number] -= 1
            if open_frames[number] == 0:
                del open_frames[number]
            if queues[which]:
                begin(which, now)
        admit(now)
    return outcome
