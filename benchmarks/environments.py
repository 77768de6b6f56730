"""An environment for each contender, and contenders as child processes that answer in turns.

    python benchmarks/environments.py FOLDER        create them all

Each has its engine, NumPy, OpenCV and psutil, in the versions of tools/constraints.txt, and nothing else. So import, memory
and cold start are what a user of that engine alone sees: an engine also imports what it finds (LiteRT and ONNX Runtime look
for more packages than they need), and each .pth file of a package costs every start of Python. Scripts take the folder by
--environments; without it their children run in the script's own environment.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil

CHECKOUT = Path(__file__).parent.parent
COMMON = ("numpy", "opencv-python-headless", "psutil")
ENGINES = {"mnnlite": "MNN", "MNN": "MNN", "LiteRT": "ai-edge-litert", "ONNX Runtime": "onnxruntime"}


def add_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--environments", type=Path, metavar="FOLDER", help="of environments.py: one for each contender"
    )


def engine_of(contender: str) -> str:
    """'mnnlite mapped, 2 lanes' is of mnnlite."""
    return max((name for name in ENGINES if contender.startswith(name)), key=len)


def python_of(contender: str, folder: Path | None) -> str:
    """Give the interpreter that runs a contender."""
    return sys.executable if folder is None else str(_place(folder, engine_of(contender)) / "bin" / "python")


def _place(folder: Path, engine: str) -> Path:
    return folder.absolute() / engine.lower().replace(" ", "-")


def create(folder: Path) -> None:
    """Create what is not there yet; mnnlite's wheel is installed anew if it is another one."""
    (wheel,) = (CHECKOUT / "build" / "wheel").glob("*.whl")
    pins = CHECKOUT / "tools" / "constraints.txt"
    for engine, package in ENGINES.items():
        place = _place(folder, engine)
        wanted = [package, *COMMON]
        made_of = [*wanted, pins.read_text()]
        if engine == "mnnlite":
            wanted.append(str(wheel))
            made_of.append(str(wheel.stat().st_mtime_ns))
        stamp = place / "made-of.json"
        if stamp.exists() and json.loads(stamp.read_text()) == made_of:
            continue
        print(f"environment of {engine}", flush=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(place)], check=True)
        command = [str(place / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", "-qq", "install"]
        subprocess.run([*command, "-c", str(pins), *wanted], check=True)
        stamp.write_text(json.dumps(made_of))


def versions(folder: Path) -> dict[str, dict[str, str]]:
    """Give all that is installed in each environment."""
    found = {}
    for engine in ENGINES:
        command = [python_of(engine, folder), "-m", "pip", "--disable-pip-version-check", "list", "--format=json"]
        listed = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        named = {each["name"].lower().replace("_", "-"): each["version"] for each in listed}
        found[engine] = {name: version for name, version in named.items() if name not in ("pip", "setuptools")}
    return found


class Child:
    """A contender in a process of its own: a line of its input is a request, a line of JSON its answer."""

    def __init__(self, contender: str, command: Sequence[str]) -> None:
        self.contender = contender
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.first = self._answer()

    def ask(self, *words: object) -> dict[str, Any]:
        assert self._process.stdin is not None
        self._process.stdin.write(" ".join(map(str, words)) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def cpu_s(self) -> float:
        """Seconds of processor time used so far."""
        times = psutil.Process(self._process.pid).cpu_times()
        return times.user + times.system

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        for line in self._process.stdout:  # what the engine prints comes before
            if line.startswith("{"):
                found: dict[str, Any] = json.loads(line)
                return found
        raise SystemExit(f"{self.contender}: ended with {self._process.wait()}")

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


def answer(found: dict[str, Any]) -> None:
    """Answer, in the child; the engine may have left a line unfinished."""
    print("\n" + json.dumps(found), flush=True)


if __name__ == "__main__":
    create(Path(sys.argv[1]))
