"""How well a camera's gyroscope and accelerometer tell when its video began, over simulated drives and in GoPro's own files.

    python benchmarks/map_clock.py [--drives 100] [--files FOLDER] [--json]

The video is said to begin 2 s earlier than it does. "found" is the part of drives in which the motion tells, "z" the errors by
their deviations (1 is right). FOLDER has raw GPMF, whose own receiver knows the start.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from mnnlite.errors import SourceError
from mnnlite.mapping import Track, logs
from mnnlite.mapping.clocks import Start
from mnnlite.mapping.logs import gpmf
from mnnlite.mapping.motion import Motion
from mnnlite.mapping.simulator import HARD, START, Options, noisy_motion, simulate

LATE, SAID = 1.37, -2.0
CASES = {
    "bends": (Options(gyro=False), True),
    "bends, accelerometer alone": (Options(gyro=False), False),
    "straight": (Options(gyro=False, straight=True), True),
    "straight, hard receiver": (Options(gyro=False, straight=True, gnss=HARD), True),
    "straight, positions alone": (Options(gyro=False, course=False, straight=True), True),
}


def error_of(track: Track, motion: Motion, start: float) -> tuple[float, float]:
    """By how many seconds the start is off, and its deviation; NaN if it is not found."""
    track.synchronise(Start(start + SAID, 1.5), None, None, motion)
    if track.video_start_sigma >= 1.5 or track.video_start is None:
        return np.nan, np.nan
    return track.video_start - start, track.video_start_sigma


def simulated(name: str, drives: int) -> dict[str, Any]:
    options, gyro = CASES[name]
    rows = []
    for seed in range(drives):
        made = simulate(seed, options)
        motion = noisy_motion(np.random.default_rng(seed), made, LATE)
        if not gyro:
            motion.gyro = motion.gyro[:0]
        rows.append(error_of(Track(made.log), motion, START + LATE))
    off, sigma = np.array(rows)[np.isfinite(np.array(rows)[:, 0])].T
    return {
        "case": name, "drives": drives, "found": round(len(off) / drives, 2), "off_90_s": round(float(np.quantile(np.abs(off), 0.9)), 3),
        "sigma_s": round(float(np.median(sigma)), 3), "z": round(float(np.sqrt(np.mean((off / sigma) ** 2))), 2),
    }  # fmt: skip


def recorded(path: Path) -> dict[str, Any]:
    """A camera's receiver and IMU beside each other: both are on the video's clock."""
    content = path.read_bytes()
    try:
        log = logs.read(path)
    except SourceError as error:
        return {"case": path.name, "not_looked_at": str(error)}
    motion = gpmf.motion_of(
        [(part, index * gpmf.PAYLOAD, gpmf.PAYLOAD) for index, part in enumerate(gpmf.payloads_of(content))]
    )
    if motion is None or log.video_start is None:
        return {"case": path.name, "not_looked_at": "no motion in it"}
    start = log.video_start
    log.gyro = log.accelerometer = np.empty((0, 4))  # the track is to know nothing of it
    off, sigma = error_of(Track(log), motion, start)
    return {
        "case": path.name,
        "seconds": round(float(log.utc[-1] - log.utc[0]), 1),
        "off_s": round(off, 3),
        "sigma_s": round(sigma, 3),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--drives", type=int, default=100)
    parser.add_argument("--files", type=Path, metavar="FOLDER")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    found = [simulated(name, args.drives) for name in CASES]
    if args.files is not None:
        found += [recorded(path) for path in sorted(args.files.glob("*.raw"))]
    for figures in found:
        print(
            json.dumps(figures) if args.json else ", ".join(f"{key} {value}" for key, value in figures.items()),
            flush=True,
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
