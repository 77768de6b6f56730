"""Twice as much work as there is time for: mnnlite's policy beside first in, first out, both dropping the oldest frames.

    python benchmarks/overload.py [--rounds 3] [--frames 150] [--seeds 5] [--json]

Simulated: seven tasks of mixed priority on a simulated clock, frames at twice the rate that can be sustained, a device that
throttles for a third of the time; the same streams for both, and for FIFO also the luckiest order of tasks. Real: networks
of mediapipe 0.10.14 in one lane, frames twice as often as they can be worked on; the policies take turns. `edf, preempting` is
the same as `edf` with `preempts` for the tasks that are not optional, which then have every frame.

`useful` is the sum of priorities of results that came before their deadline, a second. A result that is late is counted
apart from one that was skipped, and every frame and every task of it is accounted for: worked on or dropped, run or skipped
with a reason, failed; the script ends with an error if a single one is not.
"""

from __future__ import annotations

import itertools
import re
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import machine
import numpy as np
from frame_time import picture
from many_models import networks
from mediapipe_tasks import KINDS, spec_of

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

# Name, priority, deadline in periods of frames, optional. Half of the work of a frame is not.
WORK = (
    ("selfie_segmentation", 1, 4.0, True),
    ("palm_detection_lite", 1, 4.0, True),
    ("hand_landmark_full", 5, 2.5, True),
    ("palm_detection_full", 10, 1.3, False),
    ("selfie_segmentation_landscape", 1, 4.0, True),
    ("hand_landmark_lite", 8, 2.0, False),
    ("iris_landmark", 2, 4.0, True),
)
POLICIES = (
    "edf",
    "edf, preempting",
    "fifo",
    "fifo, important first",
)  # in what order tasks are added is all that FIFO goes by


def simulated(seeds: int) -> dict[str, Any]:
    from helpers.baselines import Fifo
    from helpers.overload import TASKS, simulate
    from mnnlite.runtime.scheduler import Scheduler

    ratios, late, fifo_late, longest = [], [], [], 0.0
    for seed in range(seeds):
        ours, fifo = simulate(Scheduler, seed), simulate(Fifo, seed)
        lucky = simulate(Fifo, seed, important_first=True)
        ratios.append(ours.useful / max(fifo.useful, lucky.useful))
        important = [work for work in TASKS if work.priority >= 8]
        late.append(max(ours.late(work) for work in important))
        fifo_late.append(max(fifo.late(work) for work in important))
        for work in TASKS:
            taken = [taken for taken, _ in ours.outcome.results[work.name]]
            longest = max(longest, *(b - a for a, b in itertools.pairwise(taken)))
        for plan in ours.outcome.plans:
            names = {slot.name for slots in plan.lanes for slot in slots} | set(plan.skipped)
            if names != {work.name for work in TASKS} or not all(plan.skipped.values()):
                raise SystemExit("a task of a planned frame is neither run nor skipped with a reason")
    return {
        "useful_over_fifo": min(ratios),
        "late_of_high_priority": max(late),
        "late_of_high_priority_fifo": max(fifo_late),
        "longest_wait_s": longest / 1e9,
    }


def camera(image: Any, period_ns: int, frames: int) -> Any:
    """Frames in time, as a camera gives them."""
    from mnnlite import Frame

    begin = time.monotonic_ns()
    for index in range(frames):
        wait = begin + (index + 1) * period_ns - time.monotonic_ns()
        if wait > 0:
            time.sleep(wait / 1e9)
        yield Frame(image, "BGR", timestamp_ns=time.monotonic_ns())


def open_runtime(policy: str, period_ns: float) -> Any:
    from helpers.baselines import Fifo
    from mnnlite import Runtime

    files = networks()
    policy, _, more = policy.partition(", ")
    runtime = Runtime()
    if policy == "fifo":
        runtime._registry.scheduler = Fifo()
    for name, priority, periods, optional in (
        sorted(WORK, key=lambda work: -work[1]) if policy == "fifo" and more else WORK
    ):
        spec = spec_of(KINDS[name], files[name][1])
        runtime.add(
            name,
            spec,
            priority=priority,
            optional=optional,
            deadline_ms=periods * period_ns / 1e6,
            preempts=policy == "edf" and bool(more) and not optional,
        )
    return runtime


def stream(policy: str, image: Any, period_ns: int, frames: int, warm: int = 10) -> dict[str, Any]:
    """One round, every frame and task of it accounted for."""
    from mnnlite import Frame

    with open_runtime(policy, period_ns) as runtime:
        for _ in range(warm):
            runtime.process(Frame(image, "BGR"))
        before = runtime.stats()
        begin = time.perf_counter()
        results = runtime.stream(camera(image, period_ns, frames), latest=True)
        runs: Counter[str] = Counter()
        late: Counter[str] = Counter()
        skipped: Counter[str] = Counter()
        reasons: Counter[str] = Counter()
        got = 0
        for result in results:
            got += result.part != "rest"  # of a frame that was counted
            for name, *_ in WORK:
                if name in result:
                    runs[name] += 1
                    late[name] += name in result.late
                elif result.skipped.get(name):
                    skipped[name] += 1
                    reasons[re.sub(r"[\d.]+", "#", result.skipped[name])] += 1
                elif result.part == "whole":
                    raise SystemExit(f"{name} is neither run nor skipped with a reason: {result!r}")
        took = time.perf_counter() - begin
        after = runtime.stats()
    if got + results.dropped != frames or after.dropped != results.dropped:
        raise SystemExit(f"{frames} frames were offered, {got} worked on, {results.dropped} dropped")
    for name, *_ in WORK:
        counted = {
            key: getattr(after.tasks[name], key) - getattr(before.tasks[name], key)
            for key in ("runs", "late", "skipped")
        }
        if counted != {"runs": runs[name], "late": late[name], "skipped": skipped[name]}:
            raise SystemExit(f"{name}: stats say {counted}, the results {runs[name]}, {late[name]}, {skipped[name]}")
    useful = sum(priority * (runs[name] - late[name]) for name, priority, *_ in WORK)
    return {
        "useful": useful / took,
        "worked_on": got,
        "dropped": results.dropped,
        "runs": dict(runs),
        "late": dict(late),
        "skipped": dict(skipped),
        "reasons": dict(reasons),
    }


def real(rounds: int, frames: int) -> dict[str, Any]:
    from mnnlite import Frame

    image = picture(None)
    with open_runtime("fifo", 1e9) as runtime:
        for _ in range(10):
            runtime.process(Frame(image, "BGR"))
        demand = int(np.median([runtime.process(Frame(image, "BGR")).elapsed_ns for _ in range(20)]))
    found: dict[str, list[dict[str, Any]]] = {policy: [] for policy in POLICIES}
    for _ in range(rounds):
        for policy, each in found.items():
            each.append(stream(policy, image, demand // 2, frames))
    ratios = []
    gains = []
    for ours, preempting, *others in zip(*found.values(), strict=True):
        best = max(other["useful"] for other in others)
        ratios.append(ours["useful"] / best if best else float("inf"))
        gains.append(preempting["useful"] / ours["useful"])
    return {
        "period_ms": demand / 2e6,
        "useful_over_fifo": machine.median(ratios),
        "preempting_over_edf": machine.median(gains),
        **found,
    }


def rows(found: dict[str, Any]) -> list[str]:
    lines = []
    for policy in POLICIES:
        rounds = found[policy]
        worked, dropped = (sum(each[key] for each in rounds) for key in ("worked_on", "dropped"))
        lines.append(f"  {policy}: {worked} frames worked on, {dropped} dropped")
        for name, priority, *_ in WORK:
            counts = [sum(each[key].get(name, 0) for each in rounds) for key in ("runs", "late", "skipped")]
            lines.append(
                f"    {name:30} priority {priority:2}: {counts[0]:5} runs, {counts[1]:5} late, {counts[2]:5} skipped"
            )
        reasons: Counter[str] = Counter()
        for each in rounds:
            reasons.update(each["reasons"])
        lines += [f"    {count:5} x {reason}" for reason, count in reasons.most_common()]
    return lines


def main() -> None:
    parser = machine.parser(__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="streams of each policy, in turns")
    parser.add_argument("--frames", type=int, default=150, help="frames a stream")
    parser.add_argument("--seeds", type=int, default=5, help="simulated streams")
    args = parser.parse_args()
    simulation = simulated(args.seeds)
    measured = real(args.rounds, args.frames)
    lines = [
        f"simulated: {simulation['useful_over_fifo']:.2f} times as useful as FIFO (the least of {args.seeds} seeds); of high "
        f"priority {simulation['late_of_high_priority']:.2%} late (FIFO {simulation['late_of_high_priority_fifo']:.0%}), the "
        f"longest wait of any task {simulation['longest_wait_s']:.2f} s",
        f"real: {measured['useful_over_fifo']:.2f} times as useful as FIFO, a frame every {measured['period_ms']:.1f} ms; where the "
        f"tasks that are not optional preempt, {measured['preempting_over_edf']:.2f} times as useful as that",
        *rows(measured),
    ]
    machine.report("overload", {"simulated": simulation, "real": measured}, lines, args.json)


if __name__ == "__main__":
    main()
