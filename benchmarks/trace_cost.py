"""What `Runtime.trace` costs: the same frames with and without it, in turn, in one process.

    python benchmarks/trace_cost.py PIPELINE PICTURE [--frames 200] [--rounds 15] [--json]

The ratio is of the times of whole rounds; its median says what tracing adds.
"""

from __future__ import annotations

import time

import machine

from mnnlite import Frame, MnnliteError, Runtime, pipeline, video


def spent_us(runtime: Runtime, frame: Frame, count: int) -> float:
    """Microseconds a frame."""
    begin = time.perf_counter()
    for _ in range(count):
        runtime.process(frame)
    return 1e6 * (time.perf_counter() - begin) / count


def main() -> int:
    """Measure and print."""
    parser = machine.parser(__doc__)
    parser.add_argument("pipeline")
    parser.add_argument("picture")
    parser.add_argument("--frames", type=int, default=200, help="in a round")
    parser.add_argument("--rounds", type=int, default=15)
    args = parser.parse_args()
    try:
        spec, frame = pipeline.load(args.pipeline), next(iter(video.open_source(args.picture)))
        runtime = spec.open()
    except MnnliteError as error:
        parser.error(str(error))
    off, on, events = [], [], 0
    with runtime:
        spent_us(runtime, frame, args.frames)
        for turn in range(args.rounds):
            for traced in (turn % 2 == 0, turn % 2 == 1):
                if traced:
                    with runtime.trace() as trace:
                        on.append(spent_us(runtime, frame, args.frames))
                    events = len(trace.writer().to_dict()["traceEvents"])
                else:
                    off.append(spent_us(runtime, frame, args.frames))
    ratio = machine.median(on) / machine.median(off)
    least = min(on) / min(off)
    pairs = machine.median([a / b for a, b in zip(on, off, strict=True)])
    result = {
        "off_us": machine.median(off),
        "on_us": machine.median(on),
        "ratio": ratio,
        "ratio_of_pairs": pairs,
        "ratio_of_minima": least,
    }
    lines = [
        f"{len(spec.tasks)} tasks, {events} events of {args.frames} frames",
        f"off {machine.spread(off)} us a frame, on {machine.spread(on)}",
        f"on / off: medians {ratio:.4f}, pairs {pairs:.4f}, minima {least:.4f}",
    ]
    machine.report("trace_cost", result, lines, args.json)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
