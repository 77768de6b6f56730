"""How good a map is, over simulated drives whose truth is known: places, ellipses, precision and recall, calibration.

    python benchmarks/map_accuracy.py [--drives 100] [--keep FILE] [--json]

Each line is a receiver and what else the log has. "Near" are elements that were passed nearer than 20 m, with the track's
true error taken off; "inside" is the part of all elements whose 90 % ellipse holds the truth, track and all. In all of them the
antenna is 0.1 m from where the mounting says. With `--keep` what was done is kept, and not done again.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from map_truth import KNOWN, compare, made, pooled, print_figures

from mnnlite.mapping import Track
from mnnlite.mapping.drive import solve_drive
from mnnlite.mapping.simulator import HARD, START, Options, simulate

CASES = {
    "gyroscope": Options(),
    "speed and course": Options(gyro=False),
    "positions alone": Options(gyro=False, course=False),
    "gyroscope, 10 Hz": Options(rate=10),
    "gyroscope, 1 Hz": Options(rate=1),
    "hard receiver": Options(gnss=HARD),
    "clock 0.4 s off, to be found": Options(clock=0.4),
    "straight, clock 0.4 s off": Options(clock=0.4, straight=True),
    "slopes": Options(slopes=True),
    "pitch 1 degree off": Options(pitch=1.0),
    "pitch 1 degree off, slopes": Options(pitch=1.0, slopes=True),
    "yaw 1 degree off": Options(yaw=1.0),
}


def one(seed: int, options: Options) -> dict[str, Any]:
    """Figures of one drive."""
    true = simulate(seed, options)
    track = Track(true.log)
    track.video_start, track.video_start_sigma = true.video_start, 0.6 if options.clock else 0.02
    drive = solve_drive(true.given, true.camera, track)
    utc = START + true.given.time
    antenna = np.column_stack([np.interp(utc, true.utc, true.antenna[:, axis]) for axis in range(3)])
    things = [thing for thing in true.things if not thing.moves]
    # How often each was seen nearer than 40 metres.
    places = np.array([thing.place for thing in true.things])[np.maximum(true.owner, 0), :2]
    distance = np.linalg.norm(places - antenna[true.given.owner, :2], axis=1)
    counts = np.bincount(true.owner[(true.owner >= 0) & (distance < KNOWN)], minlength=len(true.things))
    close = [int(count) for count, thing in zip(counts, true.things, strict=True) if not thing.moves]
    figures = compare(drive, track, things, close, utc, antenna, true.video_start, options.clock)
    pitch = drive.calibration.pitch[0] - options.pitch
    height = 1.4 + drive.calibration.height[0]
    below = np.arctan(1.4 / 30)  # at 30 metres, as the ground plane alone would place it
    range_error = abs(height / np.tan(below - np.radians(pitch)) / 30 - 1) if below > np.radians(pitch) else 9.0
    return {
        **figures, "pitch": pitch, "yaw": drive.calibration.yaw[0] - options.yaw, "range": float(range_error),
        "height": drive.calibration.height[0] - options.height,
    }  # fmt: skip


def case(name: str, drives: int, processes: int, keep: Path | None) -> dict[str, Any]:
    jobs = {f"{name}, {seed}": (seed, CASES[name]) for seed in range(drives)}
    rows = made(one, jobs, processes, keep)
    column = {key: np.abs([row[key] for row in rows]) for key in ("pitch", "yaw", "range", "height")}
    return {
        "case": name,
        **pooled(rows),
        "pitch_90_deg": round(float(np.quantile(column["pitch"], 0.9)), 3),
        "yaw_90_deg": round(float(np.quantile(column["yaw"], 0.9)), 3),
        "height_90_m": round(float(np.quantile(column["height"], 0.9)), 3),
        "range_at_30m_90": round(float(np.quantile(column["range"], 0.9)), 4),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--drives", type=int, default=100)
    parser.add_argument("--case", action="append", choices=list(CASES))
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--keep", type=Path, metavar="FILE")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    for name in args.case or CASES:
        figures = case(name, args.drives, args.processes, args.keep)
        if args.json:
            print(json.dumps(figures), flush=True)
            continue
        print_figures(name, figures)
    return 0


if __name__ == "__main__":
    sys.exit(main())
