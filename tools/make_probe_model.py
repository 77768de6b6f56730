"""Write the tiny model that the loader probes an engine with, as a C++ initialiser.

Two outputs from one input (a branch to ask for and a branch to leave out), a few hundred bytes. Needs `onnx` and the
oldest supported MNN, whose files every later engine reads: pip install onnx MNN==3.0.0
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import onnx
from onnx import TensorProto, helper

TARGET = Path(__file__).parent.parent / "csrc" / "engine" / "probe_model.inc"
CONVERT = "import _tools, sys; _tools.mnnconvert(['mnnconvert'] + sys.argv[1:])"


def main() -> None:
    """Export, convert in a child process, and write the bytes."""
    value = lambda name: helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 3])  # noqa: E731
    graph = helper.make_graph(
        [helper.make_node("Neg", ["x"], ["minus"]), helper.make_node("Abs", ["x"], ["size"])],
        "probe",
        [value("x")],
        [value("minus"), value("size")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "probe.onnx"), Path(folder, "probe.mnn")
        onnx.save(model, source)
        subprocess.run(
            [
                sys.executable,
                "-c",
                CONVERT,
                "-f",
                "ONNX",
                "--modelFile",
                str(source),
                "--MNNModel",
                str(target),
                "--bizCode",
                "probe",
            ],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        data = target.read_bytes()
    rows = [", ".join(f"0x{byte:02x}" for byte in data[i : i + 20]) for i in range(0, len(data), 20)]
    TARGET.write_text(
        "// Written by tools/make_probe_model.py: input x (1, 3), outputs minus = -x and size = |x|.\n"
        + ",\n".join(rows)
        + "\n"
    )
    print(f"{TARGET}: {len(data)} bytes")


if __name__ == "__main__":
    main()
