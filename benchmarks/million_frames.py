"""A million frames of a small task: anonymous memory, open descriptors and threads stay what they were.

    python benchmarks/million_frames.py [--frames 1000000] [--json]

The first tenth is for warming up; from there on memory is read forty times. Flat is: no more than 512 KiB between the medians of
the first and the last quarter of the readings, and the same descriptors and threads at each of them.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from pathlib import Path

import numpy as np

import mnnlite
from mnnlite import proc

NETWORK = Path(__file__).resolve().parent.parent / "tests" / "data" / "classes.mnn"


def main() -> int:
    """Stream, read, judge, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=1_000_000)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    draw = np.random.default_rng(1)
    frames = [mnnlite.Frame(draw.integers(0, 256, (48, 64, 3), np.uint8), "BGR", meta=index) for index in range(16)]
    spec = mnnlite.TaskSpec(NETWORK, mnnlite.ImageSpec(size=(16, 16), std=255), "raw")
    readings: list[tuple[int, int, int]] = []  # anonymous bytes, descriptors, threads
    begin = time.monotonic()
    wrong = 0
    with mnnlite.Runtime() as runtime:
        runtime.add("a", spec)
        expected = [runtime.process(frame)["a"] for frame in frames]
        step = args.frames * 9 // 10 // 40 or 1
        for done, result in enumerate(runtime.stream(frames[index % 16] for index in range(args.frames)), 1):
            found = result["a"]
            wrong += any(not np.array_equal(found[name], value) for name, value in expected[result.meta].items())
            if done > args.frames // 10 and done % step == 0:
                now = proc.process()
                readings.append((now.anonymous, len(os.listdir("/proc/self/fd")), len(os.listdir("/proc/self/task"))))
    quarter = max(1, len(readings) // 4)
    growth = statistics.median(each[0] for each in readings[-quarter:]) - statistics.median(
        each[0] for each in readings[:quarter]
    )
    figures = {
        "frames": args.frames,
        "frames_per_second": round(args.frames / (time.monotonic() - begin)),
        "wrong": wrong,
        "anonymous_mib": round(readings[-1][0] / proc.MIB, 2),
        "growth_kib": round(growth / 1024),
        "descriptors": sorted({each[1] for each in readings}),
        "threads": sorted({each[2] for each in readings}),
    }
    is_flat = growth <= 512 * 1024 and len({each[1:] for each in readings}) == 1
    figures["flat"] = is_flat
    print(json.dumps(figures) if args.json else "\n".join(f"{name}: {value}" for name, value in figures.items()))
    return int(not is_flat or wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
