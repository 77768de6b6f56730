"""What a map costs: pass 1 by frame and in memory, pass 2 for an hour's drive.

    python benchmarks/map_cost.py [--frames 100000] [--minutes 60] [--json]

Pass 1 is the line of a frame with six objects, two lines and an area, made and written; its memory is watched over all
frames. Pass 2 is smoothing, following and solving of a simulated drive at 12.5 frames and 5 positions a second, with the
lines of its lane in each frame; what its memory grows by is said too.
"""

from __future__ import annotations

import argparse
import json
import math
import resource
import sys
import tempfile
import time
import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np

from mnnlite import results
from mnnlite.cli.output import JsonLines
from mnnlite.frame import Frame
from mnnlite.mapping import MapRules, Track
from mnnlite.mapping.drive import solve_drive
from mnnlite.mapping.kinds import ElementRule
from mnnlite.mapping.measurements import Measurements, Outline
from mnnlite.mapping.recording import Recorder
from mnnlite.mapping.simulator import START, TICK, Options, Simulated, simulate
from mnnlite.proc import process
from mnnlite.runtime import FrameResult

RULES = MapRules.of(
    {
        "element": [
            {"task": "objects", "labels": ["sign"], "size": 0.79, "label": "signs"},
            {"task": "objects", "labels": ["cone"], "ground": True},
            {"task": "lanes", "shape": "line"},
            {"task": "area", "shape": "area"},
        ]
    }
)


def result_of(number: int, picture: np.ndarray, rng: np.random.Generator) -> FrameResult:
    result = FrameResult(number, Frame(picture, "GRAY", meta={"frame": number, "time_ms": number * 40.0}))
    boxes = np.sort(rng.uniform(0, 360, (6, 4)).astype(np.float32).reshape(6, 2, 2), axis=1).reshape(6, 4)
    points = [np.column_stack([np.linspace(0, 300, 20), np.linspace(200, 360, 20)]) for _ in range(3)]
    result._results["objects"] = results.Detections.from_arrays(boxes, [0.8] * 6, [0, 1] * 3, names=("sign", "cone"))
    result._results["lanes"] = results.Polylines.from_points(points[:2], [0.9] * 2, [0] * 2, names=("solid",))
    result._results["area"] = results.Polygons.from_points(points[2:], [0.9], [0], names=("road",))
    return result


def first(frames: int) -> dict[str, float]:
    rng = np.random.default_rng(0)
    picture = np.zeros((360, 640), np.uint8)
    made = [result_of(number, picture, rng) for number in range(64)]
    with tempfile.TemporaryDirectory() as folder:
        lines = JsonLines(Path(folder) / "measurements.jsonl")
        recorder = Recorder(lines.write, RULES, {})
        for each in made:
            recorder.add(each)
        spent = np.ones(frames)  # its pages are there before memory is looked at
        before = process().rss
        for number in range(frames):
            begun = time.perf_counter()
            recorder.add(made[number % 64])
            spent[number] = time.perf_counter() - begun
        after = process().rss
        size = (Path(folder) / "measurements.jsonl").stat().st_size
        lines.close()
        tracemalloc.start()
        lines = JsonLines(Path(folder) / "again.jsonl")
        recorder = Recorder(lines.write, RULES, {})
        for each in made:
            recorder.add(each)
        peak = tracemalloc.get_traced_memory()[1]
        lines.close()
    return {
        "frames": frames,
        "frame_ms_p50": round(1000 * float(np.median(spent)), 3),
        "grown_mib": round((after - before) / 2**20, 2),
        "own_peak_mib": round(peak / 2**20, 2),
        "bytes_a_frame": round(size / (frames + 64)),
    }


def with_lines(made: Simulated) -> Measurements:
    """The measurements with both lines of the lane in each frame, the left one in dashes."""
    given, camera = made.given, made.camera
    lane = len(given.rules.elements)
    rules = MapRules((*given.rules.elements, ElementRule("lanes", shape="line", kind="lane")))
    outlines = []
    for row, index in enumerate(np.searchsorted(made.utc, START + given.time).tolist()):
        ahead = made.antenna[index : index + round(4 / TICK) : 10, :2]
        turned = made.heading[index : index + round(4 / TICK) : 10]
        heading = turned[0]
        for aside, dash in ((-1.75, 4.0), (1.75, math.inf)):
            along = ahead + aside * np.column_stack([np.cos(turned), -np.sin(turned)]) - ahead[0]
            right = along @ (math.cos(heading), -math.sin(heading))
            forward = along @ (math.sin(heading), math.cos(heading))
            points = np.column_stack([right, forward, np.full(len(right), -camera.mounting.height)])
            pieces = np.floor(forward / dash) if math.isfinite(dash) else np.zeros(len(forward))
            for piece in np.unique(pieces[(forward > 4) & (forward < 35)]):
                mine = (pieces == piece) & (forward > 4)
                pixels = camera.pixels(points[mine] @ camera.mounting.turn.T)
                if mine.sum() >= 2 and np.isfinite(pixels).all():
                    outlines.append(Outline(row, lane, 0.9, "", pixels))
    return replace(given, rules=rules, outlines=outlines)


def second(minutes: float) -> dict[str, float]:
    made = simulate(0, Options(seconds=60 * minutes, gyro=False))
    given = with_lines(made)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    begun, cpu = time.perf_counter(), time.process_time()
    track = Track(made.log)
    track.video_start, track.video_start_sigma = made.video_start, 0.02
    smoothed = time.process_time()
    drive = solve_drive(given, made.camera, track)
    return {
        "minutes": minutes,
        "elements": len(drive.elements),
        "boxes": len(given.box),
        "outlines": len(given.outlines),
        "smooth_cpu_s": round(smoothed - cpu, 2),
        "solve_cpu_s": round(time.process_time() - smoothed, 2),
        "wall_s": round(time.perf_counter() - begun, 2),
        "peak_grown_mib": round((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024, 1),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--frames", type=int, default=100_000)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    for name, figures in (("pass 1", first(args.frames)), ("pass 2", second(args.minutes))):
        print(json.dumps({"pass": name, **figures}) if args.json else f"{name}: {figures}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
