"""Conversions of real networks: the verdict on each, on the same with a fault, and time and peak beside the plain converter's.

python benchmarks/conversions.py [--no-faults] NETWORK.onnx|.tflite ...

A network that is converted right and called deviating is a false alarm; an .onnx whose copy has one weight tensor scaled by 1.1,
converted and held against the untouched file, and called equal, is a false pass. Exit code 1 if there is one. What the engine
cannot run is refused, which is neither.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

import mnnlite
from mnnlite import observe
from mnnlite.conversion import converted_in
from mnnlite.convert import convert

MEASURED = """
import os, resource, subprocess, sys, time
began = time.perf_counter()
code = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode
print(code, time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024)
"""
PLAIN = "import _tools, sys; _tools.mnnconvert(['mnnconvert', *sys.argv[1:]])"


def measured(*command: object) -> tuple[float, float]:
    """Seconds and MiB of the largest process of a command."""
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, *map(str, command)], capture_output=True, text=True, check=True
    )
    _, seconds, peak = done.stdout.split()
    return float(seconds), float(peak)


def faulty(source: Path, folder: Path) -> Path | None:
    """A copy with the middle one of its large weights scaled."""
    model = onnx.load(source)
    weights = [each for each in model.graph.initializer if each.data_type == 1 and len(each.dims) >= 2]
    weights = [
        each for each in weights if np.prod(each.dims) > 100 and float(np.abs(numpy_helper.to_array(each)).max()) > 0
    ]
    if not weights:
        return None
    chosen = weights[len(weights) // 2]
    chosen.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(chosen) * np.float32(1.1), chosen.name))
    target = folder / "faulty.onnx"
    onnx.save(model, target)
    return target


def passes(source: Path, folder: Path) -> str:
    """Whether the copy with a fault is called equal to its original."""
    copy = faulty(source, folder) if source.suffix == ".onnx" else None
    if copy is None:
        return ""
    try:
        with converted_in(folder, copy) as made:
            if made.shapes is None:
                return "not tried"
            return (
                "FALSE PASS" if observe.compare(made.path, source, shapes=made.shapes, signed=True).equal else "found"
            )
    except mnnlite.MnnliteError as error:
        return f"refused: {error}"[:60]


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("networks", nargs="+", type=Path)
    parser.add_argument("--no-faults", action="store_true")
    args = parser.parse_args()
    print("| network | verdict | worst | with a fault | plain s | plain MiB | without comparing s | MiB | in all s |")
    print("| --- | --- | ---: | --- | ---: | ---: | ---: | ---: | ---: |")
    alarms = false = 0
    for source in args.networks:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            began = time.perf_counter()
            worst = ""
            try:
                verdict = convert(source, folder / "made.mnn").verdict
                said = "equal" if verdict.equal else verdict.text
                worst = "" if verdict.worst is None else f"{verdict.worst:.1e}"
            except mnnlite.ConversionError as error:
                said, alarms = f"DEVIATES {error.details['verdict']['text']}", alarms + 1
            except mnnlite.MnnliteError as error:
                said = f"refused: {error}".replace(str(source), source.name)
            whole = time.perf_counter() - began
            fault = "" if args.no_faults else passes(source, folder)
            false += fault == "FALSE PASS"
            kind = "ONNX" if source.suffix == ".onnx" else "TFLITE"
            files = ("--modelFile", source.resolve(), "--MNNModel", folder / "plain.mnn", "--bizCode", "x")
            plain = measured(sys.executable, "-c", PLAIN, "-f", kind, *files)
            ours = measured(sys.executable, "-m", "mnnlite", "convert", source, "-o", folder / "b.mnn", "--no-compare")
        title = "/".join(source.parts[-2:])
        said = " ".join(said.split())[:110]
        print(
            f"| {title} | {said} | {worst} | {fault} | {plain[0]:.1f} | {plain[1]:.0f} | {ours[0]:.1f} | {ours[1]:.0f} | "
            f"{whole:.1f} |",
            flush=True,
        )
    print(f"\n{len(args.networks)} networks; {alarms} called deviating, {false} false passes")
    return int(alarms > 0 or false > 0)


if __name__ == "__main__":
    raise SystemExit(main())
