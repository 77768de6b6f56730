"""Allocations that mnnlite._core asks for, counted at malloc and operator new in a child process."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from helpers.child import run_python

HOOK = Path(__file__).with_name("malloc_hook.cpp")

COUNT = """
import ctypes, os, re, signal
_hook = ctypes.CDLL(None)
_hook.malloc_hook_count.restype = ctypes.c_long
_hook.malloc_hook_last.restype = ctypes.c_size_t

def _range(word):
    spans = [re.match(r"(\\w+)-(\\w+) \\S*x\\S* .*" + word, line) for line in open("/proc/self/maps")]
    spans = [(int(found[1], 16), int(found[2], 16)) for found in spans if found]
    assert spans, word
    return spans[0][0], spans[-1][1]

_spans = []

def _watch():
    if not _spans:
        _spans.extend(map(ctypes.c_size_t, (*_range(r"/mnnlite/_core\\."), *_range(r"/libstdc\\+\\+"))))
    _hook.malloc_hook_watch(*_spans)

def fail_each(call):
    "Let each allocation of _core in `call` fail once in turn, each in a fork: [(what came of it, who asked)], one a point."
    points = []
    while True:
        reader, writer = os.pipe()
        pid = os.fork()
        if pid == 0:
            signal.alarm(20)
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
            _watch()
            _hook.malloc_hook_report(writer)
            _hook.malloc_hook_fail(ctypes.c_long(len(points) + 1))
            try:
                call()
                end = "fine"
            except BaseException as error:
                end = type(error).__name__
            os._exit(os.write(writer, end.encode()) == 0)
        os.close(writer)
        with os.fdopen(reader, "rb") as file:
            said = file.read()
        _, status = os.waitpid(pid, 0)
        if said == b"fine":  # there are no more
            return points
        end = said[8:].decode() if not os.WIFSIGNALED(status) else signal.Signals(os.WTERMSIG(status)).name
        points.append((end, int.from_bytes(said[:8], "little")))

def allocations(call, runs):
    "Allocations of _core in `runs` calls, after as many that do not count."
    for _ in range(runs):
        call()
    _watch()
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
