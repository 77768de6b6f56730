"""Count the guest's instructions of one run of something, on an emulated ARM CPU: no marks in the guest, no clock.

A script is run with 2 and with 6 repetitions; what one costs is a quarter of the difference, so starting Python, loading
and warming up cancel out. Repeatable to 0.1 %: one thread, a fixed hash seed, the emulator's own seed.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

FEW, MANY = 2, 6
_FIXED = {"PYTHONHASHSEED": "0", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "1"}


def executed(qemu: Path, cpu: str, command: list[str], root: str, environment: dict[str, str]) -> int:
    """Count the instructions of a whole program."""
    guest = [word for key, value in {**_FIXED, **environment}.items() for word in ("-E", f"{key}={value}")]
    log = Path(f"/proc/self/fd/2")
    done = subprocess.run(
        [qemu / "qemu-aarch64", "-cpu", cpu, "-L", root, "-seed", "1", *guest, "-plugin", f"{qemu / 'libinsn.so'},inline=on", "-d", "plugin", *command],
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )  # fmt: skip
    totals = re.findall(r"(?:total insns|insns): (\d+)", done.stderr)
    if done.returncode or not totals:
        raise RuntimeError(f"{' '.join(map(str, command))} ended with {done.returncode}:\n{done.stdout}{done.stderr[-2000:]}")
    return int(totals[-1])


def per_run(qemu: Path, cpu: str, command: list[str], root: str, environment: dict[str, str]) -> float:
    """Count the instructions of one repetition of a command that takes their number as its last argument."""
    few, many = (executed(qemu, cpu, [*command, str(runs)], root, environment) for runs in (FEW, MANY))
    return (many - few) / (MANY - FEW)
