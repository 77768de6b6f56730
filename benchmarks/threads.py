"""What other threads cost: two models beside each other, and one task beside a busy Python thread.

    python benchmarks/threads.py MODEL.mnn [--runs 200] [--json]

Parallel: two models of one thread each, run one after the other and then on two threads; the ratio of 2.0 is the best
that two cores allow. Busy: a call beside a thread that never lets go of the GIL by itself; a call that gives the GIL away
once waits at most one switch interval (5 ms by default) to get it back. Runs are interleaved.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import threading
import time
from pathlib import Path

import numpy as np

import mnnlite


def seconds(work) -> float:
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def parallel(path: Path, runs: int) -> dict[str, float]:
    models = [mnnlite.Model(path) for _ in range(2)]

    def loop(model: mnnlite.Model) -> None:
        for _ in range(runs):
            model.run(borrow=True)

    def both() -> None:
        threads = [threading.Thread(target=loop, args=(model,)) for model in models]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    ratios, serial, beside = [], [], []
    for _ in range(5):
        serial.append(seconds(lambda: [loop(model) for model in models]))
        beside.append(seconds(both))
        ratios.append(serial[-1] / beside[-1])
    return {"serial_s": min(serial), "two_threads_s": min(beside), "speed_up": statistics.median(ratios)}


def busy(path: Path, runs: int) -> dict[str, float]:
    task = mnnlite.Task(path, image=mnnlite.ImageSpec())
    frame = mnnlite.Frame(np.random.default_rng(0).integers(0, 256, (720, 1280, 3), np.uint8), "BGR")
    stop, turn = threading.Event(), threading.Event()

    def spin() -> None:
        while not stop.is_set():
            turn.wait()
            while turn.is_set() and not stop.is_set():
                pass

    thread = threading.Thread(target=spin, daemon=True)
    thread.start()
    times: dict[bool, list[float]] = {False: [], True: []}
    for i in range(2 * runs):
        beside = bool(i % 2)
        (turn.set if beside else turn.clear)()
        time.sleep(0)
        times[beside].append(seconds(lambda: task(frame, borrow=True)) * 1e3)
    stop.set()
    turn.set()
    thread.join()
    alone, crowded = statistics.median(times[False]), statistics.median(times[True])
    return {
        "alone_ms": alone,
        "beside_busy_thread_ms": crowded,
        "cost_ms": crowded - alone,
        "worst_cost_ms": float(np.percentile(times[True], 95)) - alone,
        "switch_interval_ms": sys.getswitchinterval() * 1e3,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, help="one image input")
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    result = {
        "model": args.model.name,
        "parallel": parallel(args.model, args.runs),
        "busy": busy(args.model, args.runs),
    }
    if args.json:
        print(json.dumps(result))
    else:
        for name in ("parallel", "busy"):
            print(name, "  ".join(f"{key} {value:.3f}" for key, value in result[name].items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
