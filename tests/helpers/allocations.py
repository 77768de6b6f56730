"""Allocations that mnnlite._core asks for, counted at malloc and operator new in a child process."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from helpers.child import run_python

HOOK = Path(__file__).with_name("malloc_hook.cpp")

COUNT = """
import ctypes, re
_hook = ctypes.CDLL(None)
_hook.malloc_hook_count.restype = ctypes.c_long
_hook.malloc_hook_last.restype = ctypes.c_size_t

def _range(word):
    spans = [re.match(r"(\\w+)-(\\w+) \\S*x\\S* .*" + word, line) for line in open("/proc/self/maps")]
    spans = [(int(found[1], 16), int(found[2], 16)) for found in spans if found]
    assert spans, word
    return spans[0][0], spans[-1][1]

def allocations(call, runs):
    "Allocations of _core in `runs` calls, after as many that do not count."
    for _ in range(runs):
        call()
    _hook.malloc_hook_watch(*map(ctypes.c_size_t, (*_range(r"/mnnlite/_core\\."), *_range(r"/libstdc\\+\\+"))))
    for _ in range(runs):
        call()
    if _hook.malloc_hook_count():
        print("last caller: _core's code +", hex(_hook.malloc_hook_last()))
    return _hook.malloc_hook_count()
"""


def compile_hook(folder: Path) -> Path | None:
    """Give the library to preload, or None where there is no compiler."""
    compiler = shutil.which("c++")
    if compiler is None:
        return None
    target = folder / "malloc_hook.so"
    subprocess.run(
        [compiler, "-std=c++17", "-O1", "-g", "-shared", "-fPIC", "-fvisibility=hidden", str(HOOK), "-o", str(target)],
        check=True,
    )
    return target


def run_counting(hook: Path, code: str, *args: str) -> subprocess.CompletedProcess[str]:
    """Run code that may call `allocations(call, runs)`."""
    return run_python(COUNT + code, *args, env={"LD_PRELOAD": str(hook)})


if __name__ == "__main__":
    print(compile_hook(Path(sys.argv[1])))
