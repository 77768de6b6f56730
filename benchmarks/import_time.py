"""What `import mnnlite` costs beside `import MNN`, LiteRT's and ONNX Runtime's: wall time of child processes, interleaved.

    python benchmarks/import_time.py [--rounds 21] [--environments FOLDER] [--json]

Each round starts Python with nothing and with each module, in turn, each engine's in its own environment; a bare start of
the same environment is taken off.
"""

from __future__ import annotations

import os
import re
import subprocess
import time

import environments
import machine

# Module: the contender in whose environment it is imported.
MODULES = {
    "mnnlite": "mnnlite",
    "MNN": "MNN",
    "ai_edge_litert.interpreter": "LiteRT",
    "onnxruntime": "ONNX Runtime",
    "numpy": "mnnlite",
}


def start(python: str, module: str) -> float:
    """Milliseconds from start to end of a child that imports `module`."""
    begin = time.perf_counter()
    subprocess.run([python, "-c", f"import {module}" if module else ""], check=True, stdout=subprocess.DEVNULL)
    return (time.perf_counter() - begin) * 1e3


def heaviest(python: str, module: str, count: int = 5) -> list[tuple[str, float]]:
    """Modules of an import by their own time in milliseconds, from -X importtime."""
    command = [python, "-X", "importtime", "-c", f"import {module}"]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stderr
    rows = re.findall(r"import time:\s+(\d+) \|\s+\d+ \|\s+(\S+)", text)
    return sorted(((name, int(own) / 1e3) for own, name in rows), key=lambda row: -row[1])[:count]


def main() -> None:
    parser = machine.parser(__doc__)
    parser.add_argument("--rounds", type=int, default=21)
    environments.add_option(parser)
    args = parser.parse_args()
    pythons = {module: environments.python_of(owner, args.environments) for module, owner in MODULES.items()}
    os.environ.pop("PYTHONPATH", None)
    os.chdir("/")  # not beside a folder that is called mnnlite
    starts = [
        *((python, "") for python in dict.fromkeys(pythons.values())),
        *((pythons[each], each) for each in pythons),
    ]
    for python, module in starts:
        start(python, module)  # once for the page cache
    times: dict[tuple[str, str], list[float]] = {each: [] for each in starts}
    for _ in range(args.rounds):
        for each in starts:
            times[each].append(start(*each))
    median = {each: machine.median(values) for each, values in times.items()}
    cost = {module: median[python, module] - median[python, ""] for module, python in pythons.items()}
    own = {module: heaviest(pythons[module], module) for module in ("mnnlite", "MNN")}
    bare = median[pythons["mnnlite"], ""]
    ratio = cost["mnnlite"] / cost["MNN"]
    result = {"unit": "ms", "rounds": args.rounds, "bare": bare, "cost": cost, "ratio_to_MNN": ratio, "own_time": own}
    lines = [f"{module:>26}: {cost[module]:7.1f} ms more than a bare start" for module in cost]
    lines += [f"mnnlite over MNN: {ratio:.2f}"]
    for module, rows in own.items():
        lines.append(f"{module}, own time: " + ", ".join(f"{name} {ms:.1f}" for name, ms in rows))
    machine.report("import_time", result, lines, args.json)


if __name__ == "__main__":
    main()
