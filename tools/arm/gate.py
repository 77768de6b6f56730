"""Count the instructions of kernels, decoders and tasks on an emulated ARM CPU, and compare them with the baseline.

    python tools/arm/gate.py build/arm-gate/cpp [--renew] [--most 3] [--table]

What `make arm-gate` calls; the rules and the baseline are those of tools/counts.py, the key names the cross compiler. Unlike
there what libc does counts too, which depends neither on the machine nor on its load. --table: NEON beside the scalar code
of each image kernel, the one that gains least first: what is scalar, or made by the compiler, shows there.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import counts

CPU = "cortex-a72"
COMPILER = "aarch64-linux-gnu-g++"


def compiler() -> str:
    """Name, version and machine of the cross compiler, as the baseline names them."""
    words = [COMPILER, "-dumpfullversion", "-dumpversion"]
    return f"gcc {subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()} aarch64"


def plugin(folder: Path) -> Path:
    """Compile what counts."""
    target = folder / "count_instructions.so"
    source = Path(__file__).with_name("count_instructions.c")
    subprocess.run(["gcc", "-O2", "-Wall", "-Wextra", "-shared", "-fPIC", "-o", target, source], check=True)
    return target


def count(build: Path, qemu: Path, root: str) -> dict[str, int]:
    """Run the program under the emulator; instructions by case."""
    program = build / "tests" / "cpp" / "counted"
    command = [qemu / "qemu-aarch64", "-cpu", CPU, "-seed", "1", "-L", root, "-plugin", plugin(build), program]
    # `-E` and an empty environment: what the guest finds on its stack does not depend on who runs this.
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={}, cwd="/")
    if done.returncode:
        raise SystemExit(f"{program} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    at = {int(tag): int(so_far) for tag, so_far in re.findall(r"^mark (\d+) (\d+)$", done.stderr, re.M)}
    cases = re.findall(r"^case (\d+) (.+)$", done.stdout, re.M)
    return dict(sorted((name, at[int(tag) + 1] - at[int(tag)]) for tag, name in cases))


def table(found: dict[str, int]) -> None:
    """Print NEON beside scalar code."""
    rows = [
        (count / found[name.replace(" neon ", " baseline ")], name.removeprefix("image neon "), count)
        for name, count in found.items()
        if name.startswith("image neon ")
    ]
    for share, name, count in sorted(rows, reverse=True):
        print(f"{name:32} {count:9} instructions, {share:.2f} of the scalar code's")


def main() -> int:
    """Count, and compare or renew."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build", type=Path, help="the folder that the cross build was made in")
    parser.add_argument("--renew", action="store_true", help="write the baseline of this compiler")
    parser.add_argument("--most", type=float, default=3.0, help="per cent above the baseline that pass")
    parser.add_argument("--table", action="store_true", help="NEON beside scalar code, without a comparison")
    args = parser.parse_args()
    script = Path(__file__).with_name("counting.sh")
    qemu = Path(subprocess.run([script], check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()[-1])
    found = count(args.build.resolve(), qemu, os.environ["TARGET_ROOT"])
    if args.table:
        table(found)
        return 0
    return counts.check(found, compiler(), renew=args.renew, most=args.most)


if __name__ == "__main__":
    sys.exit(main())
