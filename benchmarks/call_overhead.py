"""What `run(borrow=True)` costs over the same loop in C++, and what it allocates.

    python benchmarks/call_overhead.py [--runs 3000] [--rounds 7] [--json]

benchmarks/native_loop.cpp is compiled against the engine that mnnlite uses. Python and C++ take turns, each in a process
of its own; compared are medians of single runs, of networks below 100 microseconds. Allocations are counted at malloc
and operator new by who asked for them (tests/helpers/malloc_hook.cpp).
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import machine

from mnnlite import _core

HERE = Path(__file__).parent
TESTS = HERE.parent / "tests"
NETWORKS = ["tiny", "state", "branches"]

LOOP = """
import sys, time
import mnnlite
model = mnnlite.Model(sys.argv[1])
for name in model.inputs:
    model.input(name)[...] = 0.46875
for _ in range(200):
    model.run(borrow=True)
times = []
clock = time.perf_counter_ns
for _ in range(int(sys.argv[2])):
    begin = clock()
    model.run(borrow=True)
    times.append(clock() - begin)
print("\\n".join(map(str, times)))
"""

NATIVE = """
import ctypes, os, sys
ctypes.CDLL(sys.argv[4], mode=ctypes.RTLD_GLOBAL | os.RTLD_NOW)
times = (ctypes.c_longlong * int(sys.argv[2]))()
if ctypes.CDLL(sys.argv[3]).native_loop(sys.argv[1].encode(), len(times), times):
    raise SystemExit("the engine refused")
print("\\n".join(map(str, times)))
"""

ALLOCATIONS = """
import sys, mnnlite
model = mnnlite.Model(sys.argv[1])
print("allocations", allocations(lambda: model.run(borrow=True), 200))
"""


def compile_loop(folder: Path) -> Path:
    compiler = shutil.which("c++")
    if compiler is None:
        raise SystemExit("no C++ compiler")
    target = folder / "native_loop.so"
    command = [compiler, "-O2", "-std=c++17", "-shared", "-fPIC", f"-D_GLIBCXX_USE_CXX11_ABI={_core.string_abi()}"]
    command += ["-I", str(HERE.parent / "third_party" / "mnn" / "include"), str(HERE / "native_loop.cpp")]
    subprocess.run([*command, "-o", str(target)], check=True)
    return target


def microseconds(code: str, *arguments: object) -> list[float]:
    text = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)], check=True, capture_output=True, text=True, cwd="/"
    ).stdout
    return [int(line) / 1e3 for line in text.splitlines() if line.isdigit()]


def main() -> None:
    parser = machine.parser(__doc__)
    parser.add_argument("--runs", type=int, default=3000)
    parser.add_argument("--rounds", type=int, default=7)
    args = parser.parse_args()
    sys.path.insert(0, str(TESTS))
    from helpers.allocations import compile_hook, run_counting

    rows: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as folder:
        native = compile_loop(Path(folder))
        hook = compile_hook(Path(folder))
        assert hook is not None
        for name in NETWORKS:
            path = str(TESTS / "data" / f"{name}.mnn")
            ours: list[float] = []
            theirs: list[float] = []
            for _ in range(args.rounds):
                theirs.append(machine.median(microseconds(NATIVE, path, args.runs, native, _core.engine_path())))
                ours.append(machine.median(microseconds(LOOP, path, args.runs)))
            counted = run_counting(hook, ALLOCATIONS, path).stdout
            rows[name] = {
                "cpp": machine.median(theirs),
                "mnnlite": machine.median(ours),
                "overhead": machine.median([a - b for a, b in zip(ours, theirs, strict=True)]),
                "allocations_in_200_runs": int(counted.split("allocations")[1].split()[0]),
            }
    lines = [f"{'network':>10}{'C++ us':>10}{'mnnlite us':>12}{'more us':>10}{'allocations in 200 runs':>26}"]
    for name, row in rows.items():
        lines.append(
            f"{name:>10}{row['cpp']:10.1f}{row['mnnlite']:12.1f}{row['overhead']:10.1f}{row['allocations_in_200_runs']:26}"
        )
    result = {"unit": "us", "runs": args.runs, "rounds": args.rounds, "networks": rows}
    machine.report("call_overhead", result, lines, args.json)


if __name__ == "__main__":
    main()
