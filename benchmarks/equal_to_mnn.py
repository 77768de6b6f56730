"""Compare mnnlite's outputs with MNN's own Python package, bit for bit, and with the original network if it lies beside.

    python benchmarks/equal_to_mnn.py MODEL.mnn [MODEL.mnn ...] [--threads 1] [--precision high] [--shape x=1,3,48,320]

Each model gets three random inputs. MNN runs it in its default modes with a session of its own; mnnlite runs it alone,
then again in one shared arena with all the others (created in the given order, runs interleaved). An `.onnx` or `.tflite`
of the same name beside the model is run by ONNX Runtime or LiteRT.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import MNN
import numpy as np

import mnnlite


def random_inputs(model: mnnlite.Model, rng: np.random.Generator) -> dict[str, np.ndarray]:
    return {
        name: rng.random(info.shape, np.float32)
        if info.dtype == "float32"
        else rng.integers(0, 255, info.shape).astype(info.dtype)
        for name, info in model.inputs.items()
    }


def run_mnn(
    path: Path, inputs: list[dict[str, np.ndarray]], shapes: dict, threads: int, precision: str
) -> list[dict[str, np.ndarray]]:
    interpreter = MNN.Interpreter(str(path))
    session = interpreter.createSession({"numThread": threads, "precision": precision, "backend": "CPU"})
    tensors = interpreter.getSessionInputAll(session)
    for name, shape in shapes.items():
        interpreter.resizeTensor(tensors[name], shape)
    if shapes:
        interpreter.resizeSession(session)
    results = []
    for values in inputs:
        for name, array in values.items():
            tensor = tensors[name]
            kind = tensor.getDimensionType()
            host = MNN.Tensor(array.shape, tensor.getDataType(), array, kind)
            tensor.copyFrom(host)
        if interpreter.runSession(session) != 0:
            raise RuntimeError(f"{path}: MNN's Python package cannot run it")
        out = {}
        for name, tensor in interpreter.getSessionOutputAll(session).items():
            kind = tensor.getDimensionType()
            dtype = {"float": np.float32, "int": np.int32}.get(
                str(tensor.getDataType()).split(".")[-1].split("_")[-1].lower(), np.float32
            )
            if tensor.getDataType() == MNN.Halide_Type_Int:
                dtype = np.int32
            elif tensor.getDataType() == MNN.Halide_Type_Uint8:
                dtype = np.uint8
            host = MNN.Tensor(tensor.getShape(), tensor.getDataType(), np.zeros(tensor.getShape(), dtype), kind)
            tensor.copyToHostTensor(host)
            out[name] = np.array(host.getData(), dtype).reshape(tensor.getShape())
        results.append(out)
    return results


def run_original(path: Path, inputs: list[dict[str, np.ndarray]]) -> list[dict[str, np.ndarray]] | None:
    onnx, tflite = path.with_suffix(".onnx"), path.with_suffix(".tflite")
    if onnx.exists():
        import onnxruntime

        session = onnxruntime.InferenceSession(str(onnx), providers=["CPUExecutionProvider"])
        names = [output.name for output in session.get_outputs()]
        return [dict(zip(names, session.run(None, values), strict=True)) for values in inputs]
    if tflite.exists():
        from ai_edge_litert.interpreter import Interpreter

        interpreter = Interpreter(str(tflite))
        interpreter.allocate_tensors()
        results = []
        for values in inputs:
            for detail in interpreter.get_input_details():
                interpreter.set_tensor(detail["index"], values[detail["name"]])
            interpreter.invoke()
            results.append({d["name"]: interpreter.get_tensor(d["index"]) for d in interpreter.get_output_details()})
        return results
    return None


def largest_difference(a: dict[str, np.ndarray], b: dict[str, np.ndarray]) -> dict[str, float]:
    return {
        name: float(np.abs(a[name].astype(np.float64) - b[name].reshape(a[name].shape).astype(np.float64)).max())
        for name in a
        if name in b and a[name].size == b[name].size
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", type=Path)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--precision", default="high")
    parser.add_argument("--shape", action="append", default=[], metavar="[STEM:]INPUT=D,D,...")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    asked = []
    for text in args.shape:
        target, dims = text.split("=")
        stem, _, name = target.rpartition(":")
        asked.append((stem, name, tuple(int(d) for d in dims.split(","))))

    rng = np.random.default_rng(7)
    arena = mnnlite.Arena(threads=args.threads, precision=args.precision)
    rows, shared, failed = [], [], 0
    for path in args.models:
        shapes = {
            name: dims for stem, name, dims in asked if stem in ("", f"{path.parent.name}/{path.stem}", path.stem)
        }
        try:
            model = mnnlite.Model(path, threads=args.threads, precision=args.precision, shapes=shapes)
        except mnnlite.MnnliteError as error:
            rows.append({"model": path.name, "error": f"{type(error).__name__}: {error}"})
            continue
        inputs = [random_inputs(model, rng) for _ in range(3)]
        ours = [model.run(values) for values in inputs]
        theirs = run_mnn(path, inputs, shapes, args.threads, args.precision)
        equal = all(
            set(a) == set(b) and all(np.array_equal(a[n], b[n], equal_nan=True) for n in a)
            for a, b in zip(ours, theirs, strict=True)
        )
        subset_equal = all(
            np.array_equal(model.run(values, outputs=[name])[name], whole[name], equal_nan=True)
            for values, whole in zip(inputs, ours, strict=True)
            for name in whole
        )
        model.close()
        original = run_original(path, inputs)
        row = {"model": path.name, "equal_to_mnn": equal, "one_output_by_call_equal": subset_equal}
        if original:
            differences = [largest_difference(a, b) for a, b in zip(ours, original, strict=True)]
            row["difference_to_original"] = {name: max(d[name] for d in differences) for name in differences[0]}
        rows.append(row)
        shared.append((row, mnnlite.Model(path, arena=arena, shapes=shapes), inputs, ours))
    for i in range(3):
        for row, model, inputs, ours in shared:
            got = model.run(inputs[i])
            row["equal_in_shared_arena"] = row.get("equal_in_shared_arena", True) and all(
                np.array_equal(got[n], ours[i][n], equal_nan=True) for n in got
            )
    for row in rows:
        failed += not all(
            row.get(key, True) for key in ("equal_to_mnn", "one_output_by_call_equal", "equal_in_shared_arena")
        )
    if args.json:
        print(json.dumps({"models": rows, "failed": failed}))
    else:
        for row in rows:
            print(row)
        print(f"{len(shared)} models compared, {failed} differ")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
