"""Python code in a child process of its own: for what must not touch this one."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap

import pytest

# Under qemu's user mode emulation (make arm); what it does not emulate, such as RLIMIT_AS, cannot be tested there.
EMULATED = "QEMU_CPU" in os.environ

# Seconds after which a child is given up; emulation takes ten to twenty times as long.
LONGEST = 2000 if EMULATED else 300


def skip_if_emulated(reason: str) -> None:
    """For fixtures what the marker `not_emulated` is for tests; both are counted by tests/package/test_emulation.py."""
    if EMULATED:
        pytest.skip(f"not under emulation: {reason}")


# What ONNX Runtime says on standard error when it is imported on qemu's CPU "max", which no vendor makes.
_OF_ITS_CPU = re.compile(r"^onnxruntime cpuid_info warning: Unknown CPU vendor.*\n", re.MULTILINE)


def without_emulator(err: str) -> str:
    """Standard error of a child, without what another package says of the emulator's CPU."""
    return _OF_ITS_CPU.sub("", err) if EMULATED else err


def run_python(
    code: str, *args: str, env: dict[str, str] | None = None, check: bool = True, timeout: float = LONGEST
) -> subprocess.CompletedProcess[str]:
    """Run dedented `code`; a failure shows what the child wrote."""
    child = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), *args],
        capture_output=True,
        text=True,
        timeout=timeout,
        env={**os.environ, "PYTHONFAULTHANDLER": "1", **(env or {})},
        cwd="/",  # -c puts the current folder on the path: never one with a source folder in it
    )
    if check and child.returncode != 0:
        raise AssertionError(f"child ended with {child.returncode}\n{child.stdout}\n{child.stderr}")
    return child
