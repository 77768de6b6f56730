"""Change the pure modules in every small way that mutmut knows, and list the changes that no test finds.

    make mutation-run [ARGS="mnnlite.runtime.placement.*"]

Each survivor has its reason in tools/mutants_explained.txt, or the exit code is 1: the function, the line before and after,
and after "::" why nobody can tell the difference. ARGS=list only lists what the last run found, ARGS=again tries its
survivors again, with the tests of today. What ended is kept in build/mutation.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "build" / "mutation"
EXPLAINED = Path(__file__).with_name("mutants_explained.txt")

MODULES = [
    "runtime/scheduler",
    "runtime/shedding",
    "runtime/placement",
    "runtime/latency",
    "runtime/task_state",
    "runtime/frame_plan",
    "mapping/triangulation",
    "mapping/tracker",
    "decoders/geometry",
    "demo/metrics",
    "observe/metrics",
]
TESTS = [
    "test_shedding.py",
    "test_scheduler.py",
    "test_placement.py",
    "test_mapping_tracker.py",
    "test_metrics.py",
    "test_decoder_geometry.py",
]
# The rest of it measures networks on painted scenes: minutes for each change.
PURE = {"demo/metrics": ("x_overlaps", "x_average_precision", "x_match", "x__accuracy", "x__known")}


def prepare() -> None:
    """Lay out what mutmut wants: the package, its tests, a configuration."""
    import mnnlite

    FOLDER.mkdir(parents=True, exist_ok=True)
    for name in ("mnnlite", "tests"):
        shutil.rmtree(FOLDER / name, ignore_errors=True)
    shutil.copytree(Path(mnnlite.__file__).parent, FOLDER / "mnnlite", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "tests" / "helpers", FOLDER / "tests" / "helpers")
    shutil.copytree(ROOT / "tests" / "data", FOLDER / "tests" / "data")
    for name in ["conftest.py", *TESTS]:
        shutil.copy(ROOT / "tests" / name, FOLDER / "tests")
    lines = ["[mutmut]", "source_paths=", "    mnnlite/", "only_mutate="]
    lines += [f"    mnnlite/{module}.py" for module in MODULES]
    lines += ["pytest_add_cli_args_test_selection=", "    tests/", "pytest_add_cli_args=", "    -m", "    not slow"]
    lines += ["    -k", "    not test_overload"]  # simulates minutes, for each mutant
    lines += ["also_copy=", "    tests/", "on_dependency_change=ignore"]
    (FOLDER / "setup.cfg").write_text("\n".join(lines) + "\n")
    (FOLDER / "pytest.ini").write_text(
        "[pytest]\npythonpath = tests\naddopts = --import-mode=importlib\nmarkers =\n  slow\n  not_emulated\n"
    )


def patterns() -> Iterator[str]:
    for module in MODULES:
        for function in PURE.get(module, ("",)):
            yield f"mnnlite.{module.replace('/', '.')}.{function}*"


def mutmut(*arguments: str) -> str:
    command = [str(Path(sys.executable).with_name("mutmut")), *arguments]
    return subprocess.run(command, cwd=FOLDER, stdout=subprocess.PIPE, text=True, check=False).stdout


def survivors() -> Iterator[tuple[str, str]]:
    """Which changes survived: their names, and what they change."""
    for line in mutmut("results").splitlines():
        name, _, end = line.strip().partition(": ")
        if end in ("survived", "no tests", "suspicious") and any(_is_like(name, each) for each in patterns()):
            changed = [
                each
                for each in mutmut("show", name).splitlines()
                if each[:1] in "+-" and each[:3] not in ("---", "+++")
            ]
            function = name.rpartition("__mutmut_")[0].removeprefix("mnnlite.")
            before, after = (" ".join(each[1:] for each in changed if each[0] == sign) for sign in "-+")
            if _STRICT.sub("", before) == _STRICT.sub("", after):
                continue  # that lengths differ is an error of ours, which no test makes
            yield name, " | ".join([function, *(each[0] + " " + each[1:].strip() for each in changed)])


_STRICT = re.compile(r",\s*(strict=\w+)?(?=\))")


def _is_like(name: str, pattern: str) -> bool:
    return name.startswith(pattern.rstrip("*"))


def main() -> int:
    wanted = sys.argv[1:] or list(patterns())
    if wanted == ["again"]:
        wanted = [name for name, _ in survivors()]
    if wanted != ["list"]:
        prepare()
        subprocess.run(
            [str(Path(sys.executable).with_name("mutmut")), "run", "--max-children", "1", *wanted],
            cwd=FOLDER,
            check=False,
        )
    explained = {}
    for line in EXPLAINED.read_text().splitlines() if EXPLAINED.exists() else ():
        if line and not line.startswith("#"):
            change, _, why = line.partition(" :: ")
            explained[change] = why
    unexplained = 0
    for name, change in survivors():
        if change not in explained:
            unexplained += 1
            print(f"{name}\n    {change}")
    print(f"{unexplained} survive without a reason, {len(explained)} have one")
    return 1 if unexplained else 0


if __name__ == "__main__":
    sys.exit(main())
