"""Conversions of real networks: the verdict on each, on the same with a fault, and time and peak beside the plain converter's.

python benchmarks/conversions.py [--no-faults] [--no-times] [--fetched mediapipe|further] [NETWORK.onnx|.tflite ...]

A network that is converted right and called deviating is a false alarm; a network whose copy has one weight tensor scaled by 1.1,
converted and held against the untouched file, and called equal, is a false pass. Exit code 1 if there is one. What the engine
cannot run is refused, which is neither. `--fetched` takes those of conversion_networks.py.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import conversion_networks
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
    target = folder / f"faulty{source.suffix}"
    return (_faulty_onnx if source.suffix == ".onnx" else _faulty_tflite)(source, target)


def _faulty_onnx(source: Path, target: Path) -> Path | None:
    model = onnx.load(source)
    tensors = [*model.graph.initializer]
    tensors += [each.t for node in model.graph.node if node.op_type == "Constant" for each in node.attribute]
    weights = [each for each in tensors if each.data_type == 1 and len(each.dims) >= 2]
    weights = [
        each for each in weights if np.prod(each.dims) > 100 and float(np.abs(numpy_helper.to_array(each)).max()) > 0
    ]
    if not weights:
        return None
    chosen = weights[len(weights) // 2]
    chosen.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(chosen) * np.float32(1.1), chosen.name))
    onnx.save(model, target)
    return target


def _faulty_tflite(source: Path, target: Path) -> Path | None:
    """In floats or half floats; quantised ones are compared with their own floats, which the copy's are not."""
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromPackedBuf(source.read_bytes(), 0)
    kinds = {0: np.float32, 1: np.float16}  # TensorType
    weights = []
    for tensor in model.subgraphs[0].tensors:
        data = model.buffers[tensor.buffer].data
        if tensor.type in kinds and data is not None and tensor.shape is not None and len(tensor.shape) >= 2:
            values = np.asarray(data, np.uint8).view(kinds[tensor.type])
            if values.size > 100 and float(np.abs(values.astype(np.float32)).max()) > 0:
                weights.append((tensor.buffer, values))
    if not weights:
        return None
    buffer, values = weights[len(weights) // 2]
    model.buffers[buffer].data = (values * values.dtype.type(1.1)).view(np.uint8)
    builder = flatbuffers.Builder(1 << 20)
    builder.Finish(model.Pack(builder), b"TFL3")
    target.write_bytes(bytes(builder.Output()))
    return target


def passes(source: Path, folder: Path) -> str:
    """Whether the copy with a fault is called equal to its original."""
    copy = faulty(source, folder)
    if copy is None:
        return "no weights"
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
    parser.add_argument("networks", nargs="*", type=Path)
    parser.add_argument("--fetched", choices=tuple(conversion_networks.SETS), action="append", default=[])
    parser.add_argument("--no-faults", action="store_true")
    parser.add_argument("--no-times", action="store_true", help="of the plain converter and of ours without comparing")
    args = parser.parse_args()
    networks = [*args.networks, *(path for which in args.fetched for path in conversion_networks.paths(which))]
    print("| network | verdict | worst | with a fault | plain s | plain MiB | without comparing s | MiB | in all s |")
    print("| --- | --- | ---: | --- | ---: | ---: | ---: | ---: | ---: |")
    alarms = false = compared = refused = 0
    for source in networks:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            began = time.perf_counter()
            worst = ""
            try:
                verdict = convert(source, folder / "made.mnn").verdict
                said, compared = "equal" if verdict.equal else verdict.text, compared + verdict.compared
                worst = "" if verdict.worst is None else f"{verdict.worst:.1e}"
            except mnnlite.ConversionError as error:
                said, alarms = f"DEVIATES {error.details['verdict']['text']}", alarms + 1
                compared += 1
            except mnnlite.MnnliteError as error:
                said, refused = f"refused: {error}".replace(str(source), source.name), refused + 1
            whole = time.perf_counter() - began
            fault = "" if args.no_faults or said.startswith("refused") else passes(source, folder)
            false += fault == "FALSE PASS"
            kind = "ONNX" if source.suffix == ".onnx" else "TFLITE"
            files = ("--modelFile", source.resolve(), "--MNNModel", folder / "plain.mnn", "--bizCode", "x")
            if args.no_times:
                plain = ours = (float("nan"), float("nan"))
            else:
                plain = measured(sys.executable, "-c", PLAIN, "-f", kind, *files)
                ours = measured(
                    sys.executable, "-m", "mnnlite", "convert", source, "-o", folder / "b.mnn", "--no-compare"
                )
        title = "/".join(source.parts[-2:])
        said = " ".join(said.split())[:110]
        print(
            f"| {title} | {said} | {worst} | {fault} | {plain[0]:.1f} | {plain[1]:.0f} | {ours[0]:.1f} | {ours[1]:.0f} | "
            f"{whole:.1f} |",
            flush=True,
        )
    print(
        f"\n{len(networks)} networks, {compared} of them compared, {refused} refused; {alarms} called deviating, {false} false passes"
    )
    return int(alarms > 0 or false > 0)


if __name__ == "__main__":
    raise SystemExit(main())
