"""ONNX's own node tests through `mnnlite convert`: is one of them converted to something else, without a word?

python benchmarks/onnx_nodes.py [--only PART] [--list] [--as-given]

Cases with float inputs and one output are taken, of opsets that ONNX Runtime knows. Inputs of whole numbers (axes, shapes, indices)
become constants, as exporters write them; --as-given leaves them inputs. Each case is checked, rewritten, converted, tried and
compared as `mnnlite.convert.convert` does, in a process of its own, forked from one that has the packages loaded. Then it is
run on the case's own input and held against the case's own output: `right`; `refused`, with an error; `exit 1`, the comparison
found it; or `SILENTLY WRONG`.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import sys
import tempfile
import time
import warnings
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

RIGHT, REFUSED, FOUND, WRONG, OTHER = "right", "refused", "exit 1", "SILENTLY WRONG", "not compared"
SECONDS = 20


def cases(only: str, as_given: bool) -> list[Any]:
    """Cases of float with one output; the newest opset's, each once."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from onnx.backend.test.case.node import collect_testcases

        found = collect_testcases(None)
    chosen = []
    for case in found:
        model = case.model
        if not any(part in case.name for part in only.split(",")) or len(model.graph.output) != 1 or not case.data_sets:
            continue
        inputs, outputs = case.data_sets[0]
        if not all(isinstance(each, np.ndarray) for each in (*inputs, *outputs)):
            continue
        if outputs[0].dtype != np.float32 or not any(each.dtype == np.float32 for each in inputs):
            continue
        if max((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), default=0) == 0:
            continue
        chosen.append(case)
    return chosen


def folded(case: Any, as_given: bool) -> tuple[onnx.ModelProto, dict[str, np.ndarray], np.ndarray]:
    """The model, with whole numbers as constants; its inputs and its output."""
    model = onnx.ModelProto()
    model.CopyFrom(case.model)
    inputs, outputs = case.data_sets[0]
    fed = {}
    kept = []
    for value, array in zip(model.graph.input, inputs, strict=False):
        if array.dtype == np.float32 or as_given:
            fed[value.name] = array
            kept.append(value)
        else:
            model.graph.initializer.append(numpy_helper.from_array(array, value.name))
    names = {value.name for value in kept}
    rest = [value for value in model.graph.input if value.name in names]
    del model.graph.input[:]
    model.graph.input.extend(rest)
    return model, fed, outputs[0]


def judged(model: onnx.ModelProto, fed: dict[str, np.ndarray], wanted: np.ndarray, folder: Path) -> tuple[str, str]:
    """What becomes of a case, in this process."""
    import _tools

    import mnnlite
    from mnnlite.conversion import converter, worker
    from mnnlite.convert_child import judge

    os.chdir(folder)
    source = folder / "case.onnx"
    onnx.save(model, source)
    try:
        rewrite = converter.look_through(source)
        said = worker.prepare({"source": str(source), "framework": "ONNX", "rewrite": rewrite, "slim": ()})
        if "error" in said:
            return REFUSED, said["text"]
        files = ["--modelFile", said["source"], "--MNNModel", "made.mnn"]
        _tools.mnnconvert(["mnnconvert", "-f", "ONNX", *files, "--bizCode", "mnnlite"])
        made = folder / "made.mnn"
        if not made.exists() or not made.stat().st_size:
            return REFUSED, "the converter wrote nothing"
        with mnnlite.Model(made) as opened:
            opened.run()
            for name in opened.inputs:
                opened.input(name)[...] = fed[name].reshape(opened.input(name).shape)
            (got,) = opened.run().values()
    except mnnlite.MnnliteError as error:
        return REFUSED, str(error)
    verdict = judge(
        {"made": str(made), "reference": said["reference"], "shapes": None, "pictures": None, "smaller": None}
    )
    right = got.size == wanted.size and np.allclose(got.ravel(), wanted.ravel(), rtol=1e-3, atol=1e-3, equal_nan=True)
    if not verdict["compared"]:
        return (RIGHT if right else OTHER), verdict["text"]
    if not verdict["equal"]:
        return FOUND, ("right; " if right else "") + verdict["text"]
    apart = (
        np.abs(got.ravel().astype(float) - wanted.ravel()).max(initial=0) if got.size == wanted.size else "other shape"
    )
    return (RIGHT, "") if right else (WRONG, f"off by {apart}; {verdict['text']}")


def forked(case: Any, as_given: bool) -> tuple[str, str]:
    """The same in a process of its own, which may die."""
    with tempfile.TemporaryDirectory() as folder:
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            with contextlib.suppress(BaseException):
                quiet = os.open(os.devnull, os.O_WRONLY)
                os.dup2(quiet, 1)
                os.dup2(quiet, 2)
                signal.alarm(SECONDS)
                try:
                    answer: tuple[str, str] = judged(*folded(case, as_given), Path(folder))
                except BaseException as error:
                    answer = (OTHER, f"{type(error).__name__}: {error}")
                os.write(writing, json.dumps(answer).encode()[:60000])
            os._exit(0)
        os.close(writing)
        said = b""
        while part := os.read(reading, 1 << 16):
            said += part
        os.close(reading)
        _, status = os.waitpid(child, 0)
    if said:
        return tuple(json.loads(said))  # type: ignore[return-value]
    return REFUSED, f"died of signal {os.WTERMSIG(status)}"


def main() -> int:
    """Print the table by operator; exit 1 where one is silently wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", metavar="PART,PART", help="of the case's name")
    parser.add_argument("--as-given", action="store_true", help="whole numbers stay inputs")
    parser.add_argument("--list", action="store_true", help="each case that is not right, too")
    args = parser.parse_args()
    import _tools  # noqa: F401  before the fork: loading takes longer than converting
    import onnxruntime  # noqa: F401

    import mnnlite.convert_child  # noqa: F401

    began = time.perf_counter()
    table: dict[str, Counter[str]] = defaultdict(Counter)
    for case in cases(args.only, args.as_given):
        kinds = [each.op_type for each in case.model.graph.node]
        found, why = forked(case, args.as_given)
        table[kinds[-1] if len(kinds) == 1 else case.name.split("_")[1]][found] += 1
        if found in (WRONG, OTHER) or (args.list and found != RIGHT):
            print(f"{found}: {case.name}: {' '.join(why.split())[:240]}", file=sys.stderr, flush=True)
    columns = (RIGHT, REFUSED, FOUND, OTHER, WRONG)
    print(f"| operator | {' | '.join(columns)} |\n| --- |{' ---: |' * len(columns)}")
    for kind in sorted(table):
        print(f"| {kind} | {' | '.join(str(table[kind][column] or '') for column in columns)} |")
    total = sum(table.values(), Counter())
    print(f"| all {sum(total.values())} | {' | '.join(str(total[column]) for column in columns)} |")
    print(f"\n{time.perf_counter() - began:.0f} s; {total[WRONG]} silently wrong")
    return int(total[WRONG] > 0)


if __name__ == "__main__":
    raise SystemExit(main())
