"""What `import mnnlite` costs beside `import MNN`: wall time of child processes, interleaved.

    python benchmarks/import_time.py [--rounds 21] [--json]

Each round starts Python with nothing, with mnnlite, with MNN and with NumPy, in turn; a bare start is taken off.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time

import machine

MODULES = ["", "mnnlite", "MNN", "numpy"]


def start(module: str) -> float:
    """Milliseconds from start to end of a child that imports `module`."""
    begin = time.perf_counter()
    subprocess.run([sys.executable, "-c", f"import {module}" if module else ""], check=True, stdout=subprocess.DEVNULL)
    return (time.perf_counter() - begin) * 1e3


def heaviest(module: str, count: int = 5) -> list[tuple[str, float]]:
    """Modules of an import by their own time in milliseconds, from -X importtime."""
    command = [sys.executable, "-X", "importtime", "-c", f"import {module}"]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stderr
    rows = re.findall(r"import time:\s+(\d+) \|\s+\d+ \|\s+(\S+)", text)
    return sorted(((name, int(own) / 1e3) for own, name in rows), key=lambda row: -row[1])[:count]


def main() -> None:
    parser = machine.parser(__doc__)
    parser.add_argument("--rounds", type=int, default=21)
    args = parser.parse_args()
    os.environ.pop("PYTHONPATH", None)
    os.chdir("/")  # not beside a folder that is called mnnlite
    for module in MODULES:
        start(module)  # once for the page cache
    times: dict[str, list[float]] = {module: [] for module in MODULES}
    for _ in range(args.rounds):
        for module in MODULES:
            times[module].append(start(module))
    bare = machine.median(times[""])
    cost = {module: machine.median(times[module]) - bare for module in MODULES[1:]}
    own = {module: heaviest(module) for module in ("mnnlite", "MNN")}
    ratio = cost["mnnlite"] / cost["MNN"]
    result = {"unit": "ms", "rounds": args.rounds, "bare": bare, "cost": cost, "ratio_to_MNN": ratio, "own_time": own}
    lines = [f"{module:>8}: {cost[module]:7.1f} ms more than a bare start" for module in cost]
    lines += [f"mnnlite over MNN: {ratio:.2f}"]
    for module, rows in own.items():
        lines.append(f"{module}, own time: " + ", ".join(f"{name} {ms:.1f}" for name, ms in rows))
    machine.report("import_time", result, lines, args.json)


if __name__ == "__main__":
    main()
