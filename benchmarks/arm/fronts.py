"""Fronts of networks on an emulated ARM CPU, by instructions, beside this machine's, by time: options that are best differ.

    make arm ARGS="-k nothing"          once
    python benchmarks/arm/fronts.py NETWORK.mnn ... [--cpu cortex-a72] [--rounds 21] [--plot FOLDER] [--json FILE]

Each level of Winograd tiles is loaded by mnnlite in one process, here and in the guest: MiB are weights, outputs and feature maps as the
engine counts them there. In the guest a run lies between two marks; instructions are not time, but they are ARM's and the same every time.
Here the levels take turns, and a time is the median of its ratios to the usual level's. Pareto's front is that of `mnnlite tune`: what
is neither less work nor less memory than another is not on it.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import statistics
import sys
import time
from pathlib import Path
from typing import Any

GUEST = "--guest"
MARK = 0x5EED
LEVELS = ("large", "small", "none")
MIB = 1 << 20
NOISE = {"here": 0.01, "guest": 0.001}  # of a time; of a count


def loaded(path: str) -> dict[str, Any]:
    import mnnlite

    return {level: mnnlite.Model(path, winograd=level, threads=1) for level in LEVELS}


def held(model: Any) -> list[float]:
    found = model.memory()
    return [found["static"] / MIB, found["dynamic"] / MIB]


def guest(path: str) -> None:
    """Run each level twice, the second time between marks; print a line for each."""
    import mnnlite

    syscall = ctypes.CDLL(None).syscall
    for number, level in enumerate(LEVELS):
        with mnnlite.Model(path, winograd=level, threads=1) as model:
            model.run(borrow=True)
            syscall(MARK, 2 * number + 1)
            model.run(borrow=True)
            syscall(MARK, 2 * number + 2)
            print("\n" + json.dumps({"level": level, "mib": held(model), "mark": 2 * number + 1}), flush=True)


def here(path: str, rounds: int) -> dict[str, dict[str, Any]]:
    """Time the levels in turns."""
    models = loaded(path)
    ratios: dict[str, list[float]] = {level: [] for level in LEVELS}
    usual = []
    for turn in range(rounds + 2):
        seconds = {}
        for step in range(len(LEVELS)):
            level = LEVELS[(turn + step) % len(LEVELS)]
            begin = time.perf_counter()
            models[level].run(borrow=True)
            seconds[level] = time.perf_counter() - begin
        if turn >= 2:
            usual.append(seconds["large"])
            for level, value in seconds.items():
                ratios[level].append(value / seconds["large"])
    ms = statistics.median(usual) * 1e3
    return {level: {"work": ms * statistics.median(ratios[level]), "mib": held(models[level])} for level in LEVELS}


def on_front(rows: dict[str, dict[str, Any]], noise: float) -> list[str]:
    from mnnlite.alternatives import front

    order = list(rows)
    kept = front([rows[level]["work"] for level in order], [tuple(rows[level]["mib"]) for level in order], [noise] * 3)
    return [order[index] for index in kept]


def main() -> int:
    """Count, time, print both fronts."""
    sys.path.insert(0, str(Path(__file__).parent))
    from peers import CHECKOUT, Emulator

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", nargs="+", type=Path)
    parser.add_argument("--cpu", default="cortex-a72")
    parser.add_argument("--rounds", type=int, default=21)
    parser.add_argument("--folder", type=Path, default=CHECKOUT / "build" / "arm", help="what `make arm` leaves")
    parser.add_argument("--json", type=Path, metavar="FILE")
    args = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    emulator = Emulator(args.folder.resolve())
    path = f"{emulator.folder / 'wheel'}:{emulator.folder / 'site'}"
    results, differ = {}, 0
    for network in args.networks:
        code, said, marks = emulator.run(args.cpu, path, [str(Path(__file__).resolve()), GUEST, str(network.resolve())])
        if code:
            print(f"{network.name}: ends with {code}: {said}", file=sys.stderr)
            return 1
        told = [json.loads(line) for line in said.splitlines() if line.startswith("{")]
        counts = {
            each["level"]: {"work": (marks[each["mark"] + 1] - marks[each["mark"]]) / 1e6, "mib": each["mib"]}
            for each in told
        }
        times = here(str(network.resolve()), args.rounds)
        fronts = {"here": on_front(times, NOISE["here"]), "guest": on_front(counts, NOISE["guest"])}
        differ += set(fronts["here"]) != set(fronts["guest"])
        results[network.name] = {"here": times, args.cpu: counts, "fronts": fronts}
        print(f"{network.name}: front here {', '.join(fronts['here'])}; on {args.cpu} {', '.join(fronts['guest'])}")
        for level in LEVELS:
            one, other = times[level], counts[level]
            print(
                f"  {level:6} {one['work']:8.2f} ms {one['work'] / times['large']['work']:6.3f} {sum(one['mib']):7.2f} MiB"
                f"    {other['work']:9.2f} million instructions {other['work'] / counts['large']['work']:6.3f} {sum(other['mib']):7.2f} MiB",
                flush=True,
            )
    print(f"the fronts of {differ} of {len(results)} networks differ")
    if args.json:
        args.json.write_text(json.dumps(results, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    if sys.argv[1:2] == [GUEST]:
        guest(*sys.argv[2:])
    else:
        sys.exit(main())
