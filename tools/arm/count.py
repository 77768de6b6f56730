"""Count the guest's instructions of one run of something, on an emulated ARM CPU: no marks in the guest, no clock.

usage: count.py [--cpu NAME] [--root DIR] [--env NAME=VALUE ...] PROGRAM [ARGUMENT ...]

The program takes the number of its repetitions as its last argument and is run with 2 and with 6 of them; what one costs is
a quarter of the difference, so starting, loading and warming up cancel out. Repeatable to 0.1 %: one thread, a fixed hash
seed, the emulator's own seed. The emulator is the one that tools/arm/counting.sh builds.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from pathlib import Path

FEW, MANY = 2, 6
_FIXED = {"PYTHONHASHSEED": "0", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "1"}


def executed(qemu: Path, cpu: str, root: str, environment: dict[str, str], command: list[str]) -> int:
    """Count the instructions of a whole program."""
    emulator = [str(qemu / "qemu-aarch64"), "-cpu", cpu, "-L", root, "-seed", "1"]
    for name, value in {**_FIXED, **environment}.items():
        emulator += ["-E", f"{name}={value}"]
    plugin = ["-plugin", f"{qemu / 'libinsn.so'},inline=on", "-d", "plugin"]
    done = subprocess.run([*emulator, *plugin, *command], capture_output=True, text=True, errors="replace", check=False)
    total = re.search(r"^total insns: (\d+)$", done.stderr, re.M)
    if done.returncode or total is None:
        said = (done.stdout + done.stderr).strip().splitlines()[-1:]
        raise SystemExit(f"{' '.join(command)} ended with {done.returncode}: {' '.join(said)}")
    return int(total[1])


def per_run(qemu: Path, cpu: str, root: str, environment: dict[str, str], command: list[str]) -> float:
    """Count the instructions of one repetition."""
    few, many = (executed(qemu, cpu, root, environment, [*command, str(runs)]) for runs in (FEW, MANY))
    return (many - few) / (MANY - FEW)


def main() -> None:
    """Print the count of one repetition."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--cpu", default="cortex-a72", help="as qemu names them (cortex-a53, cortex-a72, cortex-a76, max)"
    )
    parser.add_argument("--root", default="/", help="where the guest's libraries lie; needless for static programs")
    parser.add_argument("--env", action="append", default=[], metavar="NAME=VALUE", help="for the guest")
    parser.add_argument("command", nargs=argparse.REMAINDER)
    args = parser.parse_args()
    if not args.command:
        parser.error("a PROGRAM is wanted")
    script = Path(__file__).with_name("counting.sh")
    qemu = Path(subprocess.run([script], check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()[-1])
    environment = dict(each.split("=", 1) for each in args.env)
    print(f"{per_run(qemu, args.cpu, args.root, environment, args.command):.0f}")


if __name__ == "__main__":
    sys.exit(main())
