"""Does memory stay flat? Plays a video several times through a pipeline and prints the process's memory on the way.

    python benchmarks/steady_memory.py PIPELINE VIDEO [--times 10] [--save curve.json]

Exit 1 if the anonymous memory at the end is more than --allow MiB (1) over what it was after the first time through.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from contextlib import ExitStack
from pathlib import Path

from mnnlite import Task, pipeline, video
from mnnlite.cli.figures import memory_mib


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pipeline")
    parser.add_argument("video")
    parser.add_argument("--times", type=int, default=10)
    parser.add_argument("--allow", type=float, default=1.0, metavar="MiB")
    parser.add_argument("--save", type=Path, metavar="JSON")
    args = parser.parse_args()
    spec = pipeline.load(args.pipeline)
    source = video.open_source(args.video)
    curve = []
    with ExitStack() as stack:
        tasks = [stack.enter_context(Task(task)) for task in spec.tasks.values()]
        for time_through in range(args.times):
            started, frames, found = time.perf_counter(), 0, 0
            for frame in source:
                for task in tasks:
                    result = task(frame)
                    found += sum(map(len, result.values())) if isinstance(result, dict) else len(result)
                frames += 1
            seconds = time.perf_counter() - started
            curve.append(
                {"time": time_through + 1, "frames": frames, "found": found, "seconds": seconds, **memory_mib()}
            )
            print(
                f"time {time_through + 1:2}: {frames} frames, {found} results, {seconds:.1f} s; "
                + ", ".join(f"{size:.2f} MiB {what}" for what, size in memory_mib().items()),
                flush=True,
            )
    if args.save:
        args.save.write_text(json.dumps(curve, indent=1))
    grown = curve[-1]["anonymous"] - curve[0]["anonymous"]
    print(f"anonymous memory grew by {grown:.2f} MiB from the first time to the last")
    return int(grown > args.allow)


if __name__ == "__main__":
    sys.exit(main())
