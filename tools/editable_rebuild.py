"""How long the import after an edit of one C++ file takes in the environment of `make editable`.

    make editable && .venv/bin/python tools/editable_rebuild.py [FILE.cpp ...]

Each file gets a declaration that was never compiled before at its end, so that no cache of the compiler helps; afterwards it is as
it was, and built as it was. Printed are seconds of the clock and of processors, and those of an import with nothing to do.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PYTHON = ROOT / "build" / "editable" / "bin" / "python"
USUAL = [
    "csrc/decode/heads/yolo.cpp",
    "csrc/decode/common/nms.cpp",
    "csrc/image/plan.cpp",
    "csrc/engine/arena.cpp",
    "csrc/task/lanes.cpp",
    "csrc/python/bind_lanes.cpp",
    "csrc/python/bind_engine.cpp",
]


def imported() -> tuple[float, float]:
    """Seconds of the clock and of processors that `import mnnlite` takes with what it builds."""
    before, begin = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    command = [str(PYTHON), "-c", "import mnnlite; mnnlite.__version__"]
    done = subprocess.run(command, cwd="/", stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode != 0:
        sys.exit(done.stdout)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return time.monotonic() - begin, spent


def main() -> int:
    if not PYTHON.exists():
        print("run make editable first", file=sys.stderr)
        return 2
    imported()
    print(f"{'edited':34}{'seconds':>9}{'of processors':>15}")
    print(f"{'nothing':34}{'{:9.2f}{:15.2f}'.format(*imported())}")
    for name in sys.argv[1:] or USUAL:
        path = ROOT / name
        whole = path.read_text()
        try:
            path.write_text(f"{whole}\nstatic_assert({time.time_ns()} > 0);\n")
            print(f"{name:34}{'{:9.2f}{:15.2f}'.format(*imported())}", flush=True)
        finally:
            path.write_text(whole)
            imported()
    return 0


if __name__ == "__main__":
    sys.exit(main())
