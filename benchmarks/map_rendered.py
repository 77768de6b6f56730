"""Maps of rendered drives: the road pack's networks on painted roads with bends, changing speed, a lens and a camera that
looks a little elsewhere than is said; what they find is kept, and paired with many receivers.

    python benchmarks/map_rendered.py --keep FOLDER [--drives 20] [--seconds 60] [--tracks 20] [--json]

What FOLDER has already is not rendered again, nor solved again; remove figures.jsonl there to solve anew. `--boxes` prints how far the networks' boxes are off instead: what the
simulator's noise is fitted to. `--alone` prints whether the tracks are as good as they say, before any map: a receiver's slow error
is one draw a minute, so few receivers say little of ellipses.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
from map_truth import INSIDE, KNOWN, compare, made, pooled, print_figures

from mnnlite import pipeline
from mnnlite.demo import pack
from mnnlite.demo.drives import Drive, Seen
from mnnlite.demo.metrics import overlaps
from mnnlite.mapping import MapRules, Track, measurements
from mnnlite.mapping.drive import solve_drive
from mnnlite.mapping.recording import Recorder
from mnnlite.mapping.simulator import HARD, PLANE, START, TICK, Options, noisy_log

FPS = 6.25  # what a small board does
FIRST = 7_000_000  # seeds from here on: the networks learned from others
RULES = MapRules.of(
    {
        "element": [
            {"task": "objects", "labels": ["sign"], "size": 0.79, "size_sigma": 0.12, "aspect": 1.0, "label": "signs", "text": "texts", "reject": ["other"]},
            {"task": "objects", "labels": ["board"], "size": 0.8, "size_sigma": 0.16, "text": "texts"},
            {"task": "objects", "labels": ["speed camera"], "size": 0.74, "size_sigma": 0.2},
            {"task": "objects", "labels": ["cone"], "ground": True},
            {"task": "objects", "labels": ["vehicle"], "shape": "occluder"},
            {"task": "scene.lanes", "shape": "line", "kind": "lane"},
            {"task": "scene.drivable", "shape": "area", "kind": "road"},
        ]
    }
)  # fmt: skip
RECEIVERS = {
    "gyroscope": Options(),
    "speed and course": Options(gyro=False),
    "hard receiver": Options(gnss=HARD),
    "clock 0.4 s off, to be found": Options(clock=0.4),
}


def recorded(folder: Path, seed: int, seconds: float) -> tuple[Path, list[list[Seen]]]:
    """The file of measurements of a drive, and what was to be seen; made if they are not there."""
    measured, seen = folder / f"{seed}.jsonl", folder / f"{seed}.seen.json"
    drive = Drive(seed, seconds, FPS)
    if not seen.exists():
        truths: list[list[Seen]] = []
        with measured.open("w") as file:
            recorder = Recorder(lambda line: print(json.dumps(line), file=file), RULES, {"seed": seed})

            def frames() -> Any:
                from mnnlite.frame import Frame

                for index, time_s in enumerate(drive.time.tolist()):
                    image, there = drive.frame(index)
                    truths.append(there)
                    yield Frame(image, "RGB", meta={"frame": index, "time_ms": time_s * 1000})

            with pipeline.load(pack.pipeline_file()).open() as runtime:
                for result in runtime.stream(frames()):
                    recorder.add(result)
        seen.write_text(json.dumps([[[*each] for each in map(_plain, frame)] for frame in truths]))
    return measured, [[Seen(a, b, tuple(c), d) for a, b, c, d in frame] for frame in json.loads(seen.read_text())]


def _plain(each: Seen) -> tuple[Any, ...]:
    return each.id, each.kind, each.box, each.clear


def one(folder: Path, seed: int, seconds: float, receiver: int, options: Options) -> dict[str, Any]:
    """Figures of a drive with one of many tracks."""
    drive = Drive(seed, seconds, FPS)
    measured, seen = recorded(folder, seed, seconds)
    given = measurements.read(measured)
    antenna = np.column_stack([np.interp(given.time, drive.moments, drive.antenna[:, axis]) for axis in range(3)])
    mapped = {label for rule in RULES.elements if rule.shape == "point" for label in rule.labels}
    standing = [place for place, thing in enumerate(drive.things) if thing.kind in mapped]
    things = [drive.things[place] for place in standing]
    index = {drive.ids[place]: row for row, place in enumerate(standing)}
    close = [0] * len(things)
    for frame, there in enumerate(seen):
        for each in there:
            if each.id in index and each.clear:
                row = index[each.id]
                close[row] += bool(np.linalg.norm(things[row].place[:2] - antenna[frame, :2]) < KNOWN)
    rng = np.random.default_rng((seed, receiver))
    velocity = np.gradient(drive.antenna[:, :2], TICK, axis=0)
    track = Track(noisy_log(rng, options, drive.moments, drive.antenna, velocity, drive.turn))
    track.video_start, track.video_start_sigma = START + options.clock, 0.6 if options.clock else 0.02
    solved = solve_drive(given, drive.camera, track)
    figures = compare(solved, track, things, close, START + given.time, antenna, track.video_start, options.clock)
    off = solved.calibration
    return {**figures, "pitch": off.pitch[0] - drive.off[0], "yaw": off.yaw[0] - drive.off[1], "height": off.height[0]}


def alone(seed: int, seconds: float, receiver: int, options: Options) -> dict[str, Any]:
    """Of a track without any map: how often its 90 % ellipses hold the antenna."""
    drive = Drive(seed, seconds, FPS)
    rng = np.random.default_rng((seed, receiver))
    velocity = np.gradient(drive.antenna[:, :2], TICK, axis=0)
    track = Track(noisy_log(rng, options, drive.moments, drive.antenna, velocity, drive.turn))
    at = slice(100, -100, 50)  # seconds
    states = track.states(START + drive.moments[at])
    degrees = track.plane.to_degrees(states.place[:, :2])
    off = PLANE.to_plane(degrees[:, 0], degrees[:, 1]) - drive.antenna[at, :2]
    covariance = states.covariance[:, :2, :2]
    squared = np.einsum("ni,nij,nj->n", off, np.linalg.inv(covariance), off)
    variance = np.trace(covariance, axis1=1, axis2=2).mean() / 2
    return {
        "inside": float((squared < INSIDE).mean()),
        "square": float((off**2).mean()),
        "variance": float(variance),
    }


def boxes(folder: Path, seed: int, seconds: float) -> dict[str, list[list[float]]]:
    """For each thing that was followed its boxes' edges against the truth: kind -> list of series [frame, height, 4 offs]."""
    measured, seen = recorded(folder, seed, seconds)
    given = measurements.read(measured)
    series: dict[tuple[str, int], list[list[float]]] = defaultdict(list)
    for frame, there in enumerate(seen):
        low, high = np.searchsorted(given.owner, (frame, frame + 1))
        for row in range(low, high):
            kind = given.texts[row][0]
            same = [each for each in there if each.kind == kind and each.clear]
            if not same:
                continue
            ratio = overlaps(given.box[row], np.array([each.box for each in same]))
            best = int(np.argmax(ratio))
            if ratio[best] > 0.4:
                wanted = np.array(same[best].box)
                series[kind, same[best].id].append([frame, wanted[3] - wanted[1], *(given.box[row] - wanted)])
    return {f"{kind} {number}": rows for (kind, number), rows in series.items()}


def fitted(series: dict[str, list[list[float]]]) -> dict[str, Any]:
    """Parameters of the simulator's noise of boxes, by kind."""
    found: dict[str, Any] = {}
    for kind in sorted({name.rsplit(" ", 1)[0] for name in series}):
        mine = [np.array(rows) for name, rows in series.items() if name.rsplit(" ", 1)[0] == kind and len(rows) >= 8]
        if len(mine) < 5:
            continue
        height = np.concatenate([rows[:, 1] for rows in mine])
        # What stays as long as a thing is in view, as a part of its height; and what is left.
        lasting = [np.median(rows[:, 2:] / rows[:, 1:2], axis=0) for rows in mine]
        rest = [rows[:, 2:] - part * rows[:, 1:2] for rows, part in zip(mine, lasting, strict=True)]
        off = 1.4826 * np.abs(np.concatenate(rest))
        bins = np.quantile(height, np.linspace(0, 1, 7))
        middle, spread = [], []
        for low, high in itertools.pairwise(bins):
            inside = (height >= low) & (height < high)
            if inside.sum() > 20:
                middle.append(float(np.median(height[inside])))
                spread.append(float(np.median(off[inside])))
        part, pixels = np.polyfit(middle, spread, 1) if len(middle) > 2 else (np.nan, np.nan)
        pairs = [(a[1:] * a[:-1])[np.diff(rows[:, 0]) == 1].sum() for a, rows in zip(rest, mine, strict=True)]
        squares = [(a[1:] ** 2)[np.diff(rows[:, 0]) == 1].sum() for a, rows in zip(rest, mine, strict=True)]
        found[kind] = {
            "things": len(mine),
            "boxes": len(height),
            "pixels": round(float(pixels), 2),
            "part": round(float(part), 4),
            "spread_px_by_height": [[round(a), round(b, 2)] for a, b in zip(middle, spread, strict=True)],
            "alike": round(float(sum(pairs) / max(sum(squares), 1e-9)), 2),
            "lasting": np.round(1.4826 * np.median(np.abs(lasting - np.median(lasting, axis=0)), axis=0), 3).tolist(),
            "bias": np.round(np.median(lasting, axis=0), 3).tolist(),
        }
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--keep", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--drives", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--tracks", type=int, default=20)
    parser.add_argument("--case", action="append", choices=list(RECEIVERS))
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--boxes", action="store_true")
    parser.add_argument("--alone", action="store_true", help="of the receivers' tracks alone, without any map")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    args.keep.mkdir(parents=True, exist_ok=True)
    seeds = range(FIRST, FIRST + args.drives)
    if args.boxes:
        series: dict[str, list[list[float]]] = {}
        for seed in seeds:
            series |= {f"{name}{seed}": rows for name, rows in boxes(args.keep, seed, args.seconds).items()}
        for kind, figures in fitted(series).items():
            print(json.dumps({"kind": kind, **figures}) if args.json else f"{kind}: {figures}", flush=True)
        return 0
    if args.alone:
        for name in args.case or RECEIVERS:
            jobs = {
                f"{name}, {seed}, {number}": (seed, args.seconds, number, RECEIVERS[name])
                for number in range(args.tracks)
                for seed in seeds
            }
            rows = made(alone, jobs, args.processes, None)
            inside = np.array([row["inside"] for row in rows])
            figures = {
                "case": name,
                "tracks": len(rows),
                "inside_90": round(float(inside.mean()), 3),
                "give_or_take": round(float(inside.std() / np.sqrt(len(rows))), 3),
                "off_m": round(float(np.sqrt(np.mean([row["square"] for row in rows]))), 3),
                "sigma_m": round(float(np.sqrt(np.mean([row["variance"] for row in rows]))), 3),
            }
            print(json.dumps(figures) if args.json else f"{name}: {figures}", flush=True)
        return 0
    for seed in seeds:
        recorded(args.keep, seed, args.seconds)
    for name in args.case or RECEIVERS:
        jobs = {
            f"{name}, {seed}, {args.seconds:g} s, track {number}": (
                args.keep,
                seed,
                args.seconds,
                number,
                RECEIVERS[name],
            )
            for number in range(args.tracks)
            for seed in seeds
        }
        rows = made(one, jobs, args.processes, args.keep / "figures.jsonl")
        figures = {"case": name, "rendered": len(seeds), **pooled(rows)}
        for key, unit in (("pitch", "deg"), ("yaw", "deg"), ("height", "m")):
            figures[f"{key}_90_{unit}"] = round(float(np.quantile(np.abs([row[key] for row in rows]), 0.9)), 3)
        print(json.dumps(figures), flush=True) if args.json else print_figures(name, figures)
    return 0


if __name__ == "__main__":
    sys.exit(main())
