"""What running one branch of a network saves: all outputs, one branch chosen at loading, one branch chosen by call.

    python benchmarks/branches.py [--rounds 15] [--threads 1] [--json]

The network is mediapipe's pose_landmark_full; the branch is its heat map unless --output names another. The three take
turns; results must be equal bit for bit.
"""

from __future__ import annotations

import time
from pathlib import Path

import fetch
import machine
import numpy as np

import mnnlite


def main() -> None:
    parser = machine.parser(__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--output", help="the branch; default: the map with the most channels")
    args = parser.parse_args()
    path = args.model or fetch.mnn("pose_landmark_full")
    whole = mnnlite.Model(path, threads=args.threads)
    sizes = {name: int(np.prod(info.shape)) for name, info in whole.outputs.items()}
    branch = args.output or heat_map(whole)
    by_path = mnnlite.Model(path, threads=args.threads, outputs=[branch])
    generator = np.random.default_rng(1)
    for name, info in whole.inputs.items():
        value = generator.random(info.shape, np.float32)
        whole.input(name)[...] = value
        by_path.input(name)[...] = value
    ways = {
        "all outputs": lambda: whole.run(borrow=True),
        "branch by path": lambda: by_path.run(borrow=True),
        "branch by call": lambda: whole.run(outputs=[branch], borrow=True),
    }
    results = {way: np.array(run()[branch]) for way, run in ways.items()}
    equal = all(np.array_equal(value, results["all outputs"]) for value in results.values())
    times: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(args.rounds):
        for way, run in ways.items():
            begin = time.perf_counter()
            run()
            times[way].append((time.perf_counter() - begin) * 1e3)
    medians = {way: machine.median(values) for way, values in times.items()}
    memory = {"whole": whole.memory(), "branch": by_path.memory()}
    lines = [f"{path.name}, {args.threads} thread(s), branch {branch!r} of {list(sizes)}; ms, median (middle half)"]
    for way, values in times.items():
        part = medians[way] / medians["all outputs"]
        lines.append(f"{way:>16}: {machine.spread(values)}, {part:.0%} of all")
    lines.append(f"operators: {len(whole.operators())} of all outputs, {len(by_path.operators())} of the branch")
    lines.append(f"results equal: {equal}")
    result = {
        "unit": "ms",
        "branch": branch,
        "median": medians,
        "operators": {"whole": len(whole.operators()), "branch": len(by_path.operators())},
        "memory_bytes": memory,
        "equal": equal,
    }
    machine.report("branches", result, lines, args.json)
    if not equal:
        raise SystemExit(1)


def heat_map(model: mnnlite.Model) -> str:
    """Give the output with the most channels among those that are maps: 39 key points of pose_landmark_full."""
    maps = {
        name: info.shape for name, info in model.outputs.items() if len(info.shape) == 4 and min(info.shape[1:3]) > 1
    }
    if not maps:
        raise SystemExit("no output is a map; say --output")
    return max(maps, key=lambda name: min(maps[name][1], maps[name][3]))


if __name__ == "__main__":
    main()
