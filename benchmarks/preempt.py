"""An urgent task beside a long network, in one lane: first in, first out, earliest deadline first, and preemption.

    python benchmarks/preempt.py [--long NET.mnn] [--urgent NET.mnn] [--rounds 3] [--frames 250] [--rate 25] [--every 5] [--json]

A camera gives frames in time; the urgent task is due on each one, the long network on every fifth. The three take turns.
`start` is from the frame's time to the begin of the urgent task in the lane, where it ran, `result` to when its result is in the hands of
whoever asked for it; `late` is the share of offered frames whose urgent result came after the deadline (--deadline, of the
frame's period if not said) or not at all. `longest operator` is the most that an urgent task can have to wait: the median
of its runs, as `Runtime.plan` reckons it, and their 99th percentile, which a 99th percentile of starts contains; `long` is
the long network's own time, without what it gave away. Without paths both networks are made: --layers equal convolutions of
about 10 ms each, and three small ones.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import machine
import numpy as np

from mnnlite import Frame, ImageSpec, Runtime, TaskSpec, _core

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

POLICIES = ("fifo", "edf", "preempt")


def made(folder: Path, layers: int, size: int) -> tuple[Path, Path]:
    from helpers import networks

    long = networks.convert(networks.deep(folder, layers=layers, size=size, width=32))
    return long, networks.convert(networks.two_branches(folder, size=96, width=24))


def camera(image: np.ndarray, period_ns: int, frames: int) -> Iterator[Frame]:
    begin = time.monotonic_ns()
    for index in range(frames):
        wait = begin + (index + 1) * period_ns - time.monotonic_ns()
        if wait > 0:
            time.sleep(wait / 1e9)
        yield Frame(image, "BGR", timestamp_ns=time.monotonic_ns())


def open_runtime(policy: str, long: TaskSpec, urgent: TaskSpec, args: argparse.Namespace) -> Runtime:
    from helpers.baselines import Fifo

    runtime = Runtime()
    if policy == "fifo":
        runtime._registry.scheduler = Fifo()
    runtime.add("long", long, every=args.every)
    runtime.add("urgent", urgent, priority=10, deadline_ms=args.deadline, preempts=policy == "preempt")
    return runtime


def stream(policy: str, runtime: Runtime, image: np.ndarray, args: argparse.Namespace) -> dict[str, Any]:
    """One round; milliseconds."""
    before = runtime.stats()
    came: list[float] = []
    with runtime.trace() as trace:
        for result in runtime.stream(camera(image, round(1e9 / args.rate), args.frames), latest=True):
            if "urgent" in result:
                came.append((time.monotonic_ns() - result.taken_ns) / 1e6)
        events = trace.writer().to_dict()["traceEvents"]
    after = runtime.stats()
    taken = {event["id"]: event["ts"] for event in reversed(events) if event["ph"] == "b"}
    runs = [event for event in events if event["ph"] == "X" and event["cat"] == "task"]
    starts = [(run["ts"] - taken[run["args"]["frame"]]) / 1e3 for run in runs if run["name"] == "urgent"]
    long = [run["dur"] / 1e3 - run["args"].get("gave_ms", 0) for run in runs if run["name"] == "long"]
    in_time = sum(each <= args.deadline for each in came)
    return {
        "start": starts,
        "result": came,
        "late": args.frames - in_time,
        "long": long,
        "urgent": [run["dur"] / 1e3 for run in runs if run["name"] == "urgent"],
        "preemptions": after.lanes[0].preemptions - before.lanes[0].preemptions,
    }


def percentile(values: list[float], percent: float) -> float:
    return float(np.percentile(values, percent))


def operators(runtime: Runtime) -> list[list[int]]:
    """Of nine runs the nanoseconds from each place where the long network gives way to the next."""
    return runtime.on_lane("long", lambda task: [_core.run_interrupted(task.model.native)[0] for _ in range(9)])


def measure(long: TaskSpec, urgent: TaskSpec, args: argparse.Namespace) -> dict[str, Any]:
    image = np.random.default_rng(0).integers(0, 256, (360, 640, 3), np.uint8)
    found: dict[str, list[dict[str, Any]]] = {policy: [] for policy in POLICIES}
    gaps: list[list[int]] = []
    runtimes = {policy: open_runtime(policy, long, urgent, args) for policy in POLICIES}
    for runtime in runtimes.values():
        for _ in range(args.every * 2):
            runtime.process(Frame(image, "BGR"))
    for _ in range(args.rounds):
        for policy, rounds in found.items():
            rounds.append(stream(policy, runtimes[policy], image, args))
        gaps += operators(runtimes["preempt"])
    for runtime in runtimes.values():
        runtime.close()
    places = list(zip(*gaps, strict=True))
    result: dict[str, Any] = {
        "longest_operator_ms": max(map(statistics.median, places)) / 1e6,
        "longest_operator_p99_ms": max(percentile(list(each), 99) for each in places) / 1e6,
    }
    for policy, rounds in found.items():
        joined = {key: [each for one in rounds for each in one[key]] for key in ("start", "result", "long", "urgent")}
        result[policy] = {
            "start_p50_ms": percentile(joined["start"], 50),
            "start_p99_ms": percentile(joined["start"], 99),
            "result_p99_ms": percentile(joined["result"], 99),
            "late": sum(one["late"] for one in rounds) / (args.frames * args.rounds),
            "long_ms": statistics.median(joined["long"]),
            "long_runs": len(joined["long"]),
            "urgent_ms": statistics.median(joined["urgent"]),
            "preemptions": sum(one["preemptions"] for one in rounds),
        }
    ours = result["preempt"]
    result["start_over_longest"] = ours["start_p99_ms"] / result["longest_operator_ms"]
    result["start_over_longest_p99"] = ours["start_p99_ms"] / result["longest_operator_p99_ms"]
    result["result_bound_ms"] = 1.1 * result["longest_operator_ms"] + 1.3 * result["edf"]["urgent_ms"]
    result["long_over_edf"] = ours["long_ms"] / result["edf"]["long_ms"]
    return result


def main() -> None:
    parser = machine.parser(__doc__)
    parser.add_argument("--long", type=Path, help="a network with one picture")
    parser.add_argument("--urgent", type=Path, help="a network with one picture")
    parser.add_argument("--layers", type=int, default=12, help="of the long network that is made")
    parser.add_argument("--size", type=int, default=288, help="of its picture")
    parser.add_argument("--rounds", type=int, default=3, help="streams of each policy, in turns")
    parser.add_argument("--frames", type=int, default=250, help="frames a stream")
    parser.add_argument("--rate", type=float, default=25.0, help="frames a second")
    parser.add_argument("--every", type=int, default=5, help="the long network runs on each n-th frame")
    parser.add_argument("--deadline", type=float, help="of the urgent task, in milliseconds")
    args = parser.parse_args()
    args.deadline = args.deadline or 1e3 / args.rate
    with tempfile.TemporaryDirectory() as folder:
        paths = (args.long, args.urgent)
        if None in paths:
            paths = tuple(
                given or path for given, path in zip(paths, made(Path(folder), args.layers, args.size), strict=True)
            )
        long, urgent = (TaskSpec(path, image=ImageSpec(std=255)) for path in paths)
        result = measure(long, urgent, args)
    lines = [
        f"a frame every {1e3 / args.rate:.0f} ms, the long network on each {args.every}th; milliseconds",
        f"{'':10}{'start p50':>10}{'p99':>8}{'result p99':>12}{'late':>9}{'long':>9}{'its runs':>10}{'preemptions':>13}",
    ]
    for policy in POLICIES:
        each = result[policy]
        lines.append(
            f"{policy:10}{each['start_p50_ms']:10.2f}{each['start_p99_ms']:8.2f}{each['result_p99_ms']:12.2f}"
            f"{each['late']:9.2%}{each['long_ms']:9.1f}{each['long_runs']:10}{each['preemptions']:13}"
        )
    lines += [
        f"longest operator {result['longest_operator_ms']:.2f} (median of its runs; p99 {result['longest_operator_p99_ms']:.2f}): start p99 is {result['start_over_longest']:.2f} of it "
        f"({result['start_over_longest_p99']:.2f} of its p99)",
        f"result p99 {result['preempt']['result_p99_ms']:.2f}, of at most {result['result_bound_ms']:.2f} (1.1 of the longest operator and "
        f"1.3 of the urgent task's own {result['edf']['urgent_ms']:.2f})",
        f"the long network's own time: {result['long_over_edf']:.3f} of that without preemption",
    ]
    machine.report("preempt", result, lines, args.json)


if __name__ == "__main__":
    main()
