"""How good a map is, over simulated drives whose truth is known: places, ellipses, precision and recall, calibration.

    python benchmarks/map_accuracy.py [--drives 100] [--json]

Each line is a receiver and what else the log has. "Near" are elements that were passed nearer than 20 m, with the track's
true error taken off; "inside" is the part of all elements whose 90 % ellipse holds the truth, track and all.
"""

from __future__ import annotations

import argparse
import json
import sys
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import numpy as np

from mnnlite.mapping import Track
from mnnlite.mapping.drive import solve_drive
from mnnlite.mapping.simulator import HARD, PLANE, START, Options, simulate

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
NEAR, KNOWN = 20.0, 40.0  # metres


def one(seed: int, options: Options) -> dict[str, Any]:
    """Figures of one drive."""
    made = simulate(seed, options)
    track = Track(made.log)
    track.video_start, track.video_start_sigma = made.video_start, 0.6 if options.clock else 0.02
    drive = solve_drive(made.given, made.camera, track)
    antenna = np.column_stack(
        [np.interp(made.given.time + START, made.utc, made.antenna[:, axis]) for axis in range(3)]
    )
    utc = START + made.given.time
    shift = drive.calibration.clock[0]
    estimated = track.states(made.video_start + made.given.time + shift)
    degrees = track.plane.to_degrees(estimated.place[:, :2])
    error = PLANE.to_plane(degrees[:, 0], degrees[:, 1]) - antenna[:, :2]
    things = [thing for thing in made.things if not thing.moves]
    places = np.array([thing.place[:2] for thing in things])
    passed = np.linalg.norm(places[:, None] - antenna[None, :, :2], axis=2).min(axis=1)
    # How often it was to be seen at all, and nearer than 40 metres.
    index = {id(thing): number for number, thing in enumerate(made.things)}
    distance = np.linalg.norm(
        np.array([thing.place for thing in made.things])[np.maximum(made.owner, 0)][:, :2]
        - antenna[made.given.owner, :2],
        axis=1,
    )
    close = np.bincount(made.owner[(made.owner >= 0) & (distance < KNOWN)], minlength=len(made.things))
    near, absolute, squared, azimuth, used, false = [], [], [], [], set(), 0
    for element in drive.elements:
        place = PLANE.to_plane(element.degrees[:, 0], element.degrees[:, 1])[0]
        off = place - places
        kinds = np.array([thing.kind == element.kind for thing in things])
        high = np.abs(element.above_road - np.array([thing.above for thing in things]))
        moment = int(np.argmin(np.abs(utc - (element.last - shift - options.clock))))
        true = np.linalg.norm(off - error[moment], axis=1) + np.where(kinds, 0, 1e9) + high
        best = int(np.argmin(true))
        if true[best] > 4.0 or best in used:
            false += 1
            continue
        used.add(best)
        relative = float(np.linalg.norm(off[best] - error[moment]))
        if passed[best] < NEAR:
            near.append(relative)
        absolute.append(float(np.linalg.norm(off[best])))
        squared.append(float(off[best] @ np.linalg.solve(element.covariance, off[best])))
        if np.isfinite(element.azimuth):
            azimuth.append(abs(float((element.azimuth - things[best].azimuth + 180) % 360 - 180)))
    wanted = [number for number, thing in enumerate(things) if close[index[id(thing)]] >= 4]
    hits = sum(number in used for number in wanted)
    pitch = drive.calibration.pitch[0] - options.pitch
    height = 1.4 + drive.calibration.height[0]
    below = np.arctan(1.4 / 30)  # at 30 metres, as the ground plane alone would place it
    range_error = abs(height / np.tan(below - np.radians(pitch)) / 30 - 1) if below > np.radians(pitch) else 9.0
    return {
        "near": near, "absolute": absolute, "squared": squared, "azimuth": azimuth, "false": false, "found": len(used),
        "wanted": len(wanted), "hits": hits, "pitch": pitch, "yaw": drive.calibration.yaw[0] - options.yaw,
        "range": float(range_error), "clock": shift + options.clock, "clock_sigma": drive.calibration.clock[1],
        "blind": list(drive.calibration.unobservable),
    }  # fmt: skip


def case(name: str, drives: int, pool: ProcessPoolExecutor) -> dict[str, Any]:
    rows = list(pool.map(one, range(drives), [CASES[name]] * drives, chunksize=4))
    pooled = {
        key: np.array([value for row in rows for value in row[key]])
        for key in ("near", "absolute", "squared", "azimuth")
    }
    column = {
        key: np.array([row[key] for row in rows])
        for key in ("false", "found", "wanted", "hits", "pitch", "yaw", "range", "clock")
    }
    sure = np.array([row["clock_sigma"] < 0.05 for row in rows])
    return {
        "case": name,
        "drives": drives,
        "elements": len(pooled["absolute"]),
        "near_m": [round(float(np.quantile(pooled["near"], part)), 3) for part in (0.5, 0.9)],
        "absolute_m": [round(float(np.quantile(pooled["absolute"], part)), 2) for part in (0.5, 0.9)],
        "inside_90": round(float((pooled["squared"] < 4.605).mean()), 3),
        "precision": round(float(column["found"].sum() / (column["found"].sum() + column["false"].sum())), 3),
        "recall_40m": round(float(column["hits"].sum() / column["wanted"].sum()), 3),
        "azimuth_90_deg": round(float(np.quantile(pooled["azimuth"], 0.9)), 1),
        "pitch_90_deg": round(float(np.quantile(np.abs(column["pitch"]), 0.9)), 3),
        "yaw_90_deg": round(float(np.quantile(np.abs(column["yaw"]), 0.9)), 3),
        "range_at_30m_90": round(float(np.quantile(column["range"], 0.9)), 4),
        "clock_90_s": round(float(np.quantile(np.abs(column["clock"]), 0.9)), 3),
        "clock_sure": round(float(sure.mean()), 2),
        "clock_not_observable": round(float(np.mean(["clock" in row["blind"] for row in rows])), 2),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--drives", type=int, default=100)
    parser.add_argument("--case", action="append", choices=list(CASES))
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    with ProcessPoolExecutor(args.processes) as pool:
        for name in args.case or CASES:
            figures = case(name, args.drives, pool)
            if args.json:
                print(json.dumps(figures), flush=True)
                continue
            print(f"{name}: {figures['elements']} elements of {figures['drives']} drives", flush=True)
            for key, value in figures.items():
                if key not in ("case", "drives", "elements"):
                    print(f"  {key:22} {value}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
