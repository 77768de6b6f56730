"""Count the instructions of kernels, decoders and tasks with callgrind, and compare them with the committed baseline.

    python tools/counts.py build/counted/tests/cpp/counted [--renew] [--most 3] [--times 10]

Counts do not depend on how busy the machine is: the instruction set is forced, addresses are not randomised, the
environment is empty, and only mnnlite's own functions count (what libc and the fake engine do is not ours). They do
depend on the compiler, by which the baseline is keyed. Exit code 1: something executes more than the baseline and
3 %, or is no longer counted; 2: there is no baseline for this compiler, and MNNLITE_GATE=required, as in CI, wants one.
tools/arm/gate.py has an emulated ARM CPU count, and compares by the same rules.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

BASELINE = Path(__file__).with_name("counts.json")
NOT_OURS = re.compile(r"mnnlite::(test::|Fake(Session|Arena)::)")


def compiler() -> str:
    """Name, version and machine, as the baseline names them."""

    def told(*args: str) -> str:
        return subprocess.run(["c++", *args], capture_output=True, text=True, check=True).stdout.strip()

    name = "clang" if "clang" in told("--version") else "gcc"
    return f"{name} {told('-dumpfullversion', '-dumpversion')} {platform.machine()}"


def own_instructions(dump: str, program: str) -> tuple[str, int] | None:
    """The mark of a dump and what mnnlite's functions executed themselves; None for the one at the end."""
    mark = re.search(r"^desc: Trigger: Client Request: (.+)$", dump, re.M)
    if mark is None:
        return None
    total, is_ours, in_program, is_call = 0, False, False, False
    for line in dump.splitlines():
        if line.startswith("ob="):
            in_program = line[3:] == program
        elif line.startswith("fn="):
            is_ours = in_program and "mnnlite::" in line and not NOT_OURS.search(line)
        elif line.startswith("calls="):
            is_call = True  # the next line is what the function called executed
        elif line and (line[0].isdigit() or line[0] in "+-*"):
            if is_ours and not is_call:
                total += int(line.split()[1])
            is_call = False
    return mark[1], total


def count(program: Path) -> dict[str, int]:
    """Run the program under callgrind; instructions by case."""
    for tool in ("valgrind", "setarch"):
        if shutil.which(tool) is None:
            sys.exit(f"{tool} is not installed; see tools/apt.txt")
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out"
        command = ["setarch", platform.machine(), "-R", "env", "-i", "valgrind", "--tool=callgrind", "--quiet"]
        command += ["--compress-strings=no", "--compress-pos=no", f"--callgrind-out-file={out}", str(program.resolve())]
        done = subprocess.run(command, capture_output=True, text=True, cwd=folder, check=False)
        if done.returncode:
            sys.exit(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
        found = [own_instructions(path.read_text(), str(program.resolve())) for path in Path(folder).glob("out.*")]
    return dict(sorted(each for each in found if each is not None))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", type=Path)
    parser.add_argument("--renew", action="store_true", help="write the baseline of this compiler")
    parser.add_argument("--most", type=float, default=3.0, help="per cent above the baseline that pass")
    parser.add_argument("--times", type=int, default=1, help="count so often; all must pass, and the load is shown")
    args = parser.parse_args()
    for _ in range(args.times):
        if args.times > 1:
            print(f"load {os.getloadavg()[0]:.1f}: ", end="", flush=True)
        if code := check(count(args.program), compiler(), renew=args.renew, most=args.most):
            return code
    return 0


def check(counts: dict[str, int], key: str, *, renew: bool, most: float) -> int:
    """Compare counts with the baseline of a compiler, or renew that."""
    every = json.loads(BASELINE.read_text()) if BASELINE.exists() else {}
    if renew:
        every[key] = counts
        BASELINE.write_text(json.dumps(every, indent=1, sort_keys=True) + "\n")
        print(f"{len(counts)} cases, {sum(counts.values())} instructions: baseline of {key}")
        return 0
    if key not in every:
        print(f"no baseline for {key}, there is one for {', '.join(every)}; make baseline, on a tree that is right")
        return 2 if os.environ.get("MNNLITE_GATE") == "required" else 0
    before = every[key]
    if gone := sorted(before.keys() - counts.keys()):
        print(f"no longer counted: {', '.join(gone)}; make baseline if that is meant")
        return 1
    if new := sorted(counts.keys() - before.keys()):
        print(f"new, and not in the baseline: {', '.join(new)}; make baseline")
    slower = {
        name: counts[name] / before[name] - 1 for name in before if counts[name] > before[name] * (1 + most / 100)
    }
    faster = sum(counts[name] < before[name] * 0.97 for name in before)
    for name, more in sorted(slower.items(), key=lambda item: -item[1]):
        print(f"{name}: {counts[name]} instructions, {more:+.1%} of {before[name]}")
    print(
        f"{len(counts)} cases, {sum(counts.values())} instructions ({sum(map(counts.__getitem__, before)) / sum(before.values()) - 1:+.2%}), "
        f"{len(slower)} above {most:g} %, {faster} below -3 %: {key}"
    )
    return 1 if slower else 0


if __name__ == "__main__":
    sys.exit(main())
