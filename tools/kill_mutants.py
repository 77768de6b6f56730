"""Put known mistakes into the sources, one at a time, and show that a test (or the gate of instructions) finds each.

    make mutants

Python is changed in a copy of the installed package, C++ in a copy of the sources. The exit code is 1 if one survives,
or if a test fails without any change.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BUILD = ROOT / "build" / "mutants"


@dataclass(frozen=True)
class Mutant:
    """A mistake: `old` becomes `new` in `path`, and `test` must fail."""

    what: str
    path: str
    old: str
    new: str
    test: str


MUTANTS = [
    Mutant(
        "Task::make wants all outputs",
        "csrc/task/task.cpp",
        "OutputMask wanted = 0;",
        "OutputMask wanted = ~OutputMask{0};",
        "task",
    ),
    Mutant(
        "the fake engine forgets what was wanted", "csrc/engine/fake_session.cpp", "  wanted_ = wanted;\n", "", "task"
    ),
    Mutant(
        "a kernel is 5 % slower: every twentieth row is sampled twice",
        "csrc/image/axis_aligned.cpp",
        "    if (plan.fused) {\n",
        "    if (plan.fused && y % 20 == 10) sample_f32(now[0], space.taps[0], ahead, targets.scale, targets.bias, out);\n"
        "    if (plan.fused) {\n",
        "gate",
    ),
    Mutant(
        "the most recently used model leaves",
        "mnnlite/runtime/residency.py",
        "candidates.sort(key=lambda each: each.used)",
        "candidates.sort(key=lambda each: -each.used)",
        "test_runtime_parts.py",
    ),
    Mutant(
        "frames wait in a lane that is not idle",
        "mnnlite/runtime/stream.py",
        "grows_old = self._latest and self._in_flight and not dispatcher.any_idle()",
        "grows_old = False",
        "test_runtime_parts.py",
    ),
    Mutant(
        "a placement must be better by 95 %",
        "mnnlite/runtime/placement.py",
        "_GAIN = 0.1 ",
        "_GAIN = 0.95 ",
        "test_placement.py",
    ),
    Mutant(
        "all outputs run, whatever is decoded",
        "mnnlite/task.py",
        "            raw=raw,\n",
        "            raw=outputs,\n",
        "test_task.py",
    ),
]


def run(*command: str | Path, cwd: Path, **env: str) -> bool:
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, env={**os.environ, **env}, capture_output=True, text=True, check=False
    )
    if "-v" in sys.argv and done.returncode:
        print(done.stdout[-2000:], done.stderr[-2000:])
    return done.returncode == 0


def passes_in_python(tests: str) -> bool:
    suite = BUILD / "suite"
    return run(sys.executable, "-m", "pytest", "-q", "-x", f"tests/{tests}", cwd=suite, PYTHONPATH=str(BUILD / "site"))


def passes_in_cpp(test: str) -> bool:
    build, target = BUILD / "cpp", "counted" if test == "gate" else f"test_{test}"
    options = ["-DMNNLITE_PYTHON=OFF", "-DMNNLITE_TESTS=ON", "-DMNNLITE_COUNTED=ON", "-DCMAKE_BUILD_TYPE=Release"]
    run("cmake", "-S", BUILD / "tree", "-B", build, *options, "-DCMAKE_CXX_FLAGS_RELEASE=-O2 -DNDEBUG", cwd=BUILD)
    if not run("cmake", "--build", build, "--target", target, cwd=BUILD):
        sys.exit(f"{target} does not compile; -v shows why")
    program = build / "tests" / "cpp" / target
    gate = [sys.executable, BUILD / "tree" / "tools" / "counts.py"] if test == "gate" else []
    return run(*gate, program, cwd=BUILD)


def main() -> int:
    import mnnlite

    for name in ("site", "suite", "tree"):
        shutil.rmtree(BUILD / name, ignore_errors=True)
    shutil.copytree(Path(mnnlite.__file__).parent, BUILD / "site" / "mnnlite")
    shutil.copytree(ROOT / "tests", BUILD / "suite" / "tests")
    shutil.copy(ROOT / "pyproject.toml", BUILD / "suite")
    for name in ("csrc", "tests/cpp", "cmake", "tools"):
        shutil.copytree(ROOT / name, BUILD / "tree" / name)
    for name in ("CMakeLists.txt", "pyproject.toml"):
        shutil.copy(ROOT / name, BUILD / "tree" / name)

    survived = 0
    for test in dict.fromkeys(mutant.test for mutant in MUTANTS):
        passes = passes_in_python if test.endswith(".py") else passes_in_cpp
        if not passes(test):
            print(f"FAILS UNCHANGED  {test}")
            survived += 1
        for mutant in (each for each in MUTANTS if each.test == test):
            path = BUILD / ("tree" if mutant.path.startswith("csrc") else "site") / mutant.path
            before = path.read_text()
            if before.count(mutant.old) != 1:
                sys.exit(f"{mutant.path} has {before.count(mutant.old)} times {mutant.old!r}; mend this list")
            path.write_text(before.replace(mutant.old, mutant.new))
            alive = passes(test)
            path.write_text(before)
            survived += alive
            print(f"{'SURVIVES' if alive else 'killed  '}  {mutant.what} ({mutant.path}) by {test}", flush=True)
    return 1 if survived else 0


if __name__ == "__main__":
    sys.exit(main())
