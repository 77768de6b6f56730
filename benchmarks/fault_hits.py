"""Does `observe.compare` name the operator that a fault sits in? Runs the list that benchmarks/faults.py drew.

python benchmarks/fault_hits.py --list benchmarks/faults.json MODEL.onnx ...
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import faults
import onnx

from mnnlite import observe
from mnnlite.convert import convert


def compare(model: onnx.ModelProto, reference: Path, shapes: dict[str, list[int]]) -> observe.Comparison:
    """Convert `model`, as if it were to be deployed, and compare it with the network it should be."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "deployed.onnx"
        onnx.save(model, source)
        deployed = convert(source, source.with_suffix(".mnn"), compare=False)
        return observe.compare(deployed, reference, shapes=shapes)


def judged(fault: dict[str, Any], found: observe.Deviation | None) -> bool:
    """Whether the operator found is the one with the fault: by its own name, or by that of what it was fused into."""
    if found is None or not found.born_here:
        return False
    return found.op in (fault["node"], fault["carrier"]) or fault["node"] in (found.tensor, *found.detail.covers)


def main() -> int:
    """Print a line a fault and a model; exit 1 below 19 of 20 or where an untouched network is accused."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="+", type=Path)
    parser.add_argument("--list", type=Path, required=True)
    args = parser.parse_args()
    paths = {path.stem: path for path in args.models}
    listed = json.loads(args.list.read_text())["faults"]
    hits = accused = 0
    shapes = {each["model"]: each["shapes"] for each in listed}
    print("| model | fault | in | output change | found | deviation | right |")
    print("| --- | --- | --- | ---: | --- | ---: | --- |")
    for stem, given in shapes.items():
        found = compare(onnx.load(paths[stem]), paths[stem], given)
        accused += not found.equal
        first = found.first_deviation
        said = f"{first.op} ({first.type})" if first else "outputs" if not found.equal else "nothing"
        print(f"| {stem} | untouched | | | {said} | | {'yes' if found.equal else 'NO'} |")
    for fault in listed:
        model = faults.apply(onnx.load(paths[fault["model"]]), fault)
        assert model is not None
        first = compare(model, paths[fault["model"]], fault["shapes"]).first_deviation
        right = judged(fault, first)
        hits += right
        said = f"{first.op} ({first.type}, {first.case})" if first else "nothing"
        much = f"{first.relative:.1e}" if first else ""
        print(
            f"| {fault['model']} | {fault['kind']} ({fault['group']}) | {fault['node']} ({fault['type']}) | "
            f"{fault['output_change']:.1e} | {said} | {much} | {'yes' if right else 'NO'} |",
            flush=True,
        )
    print(f"\n{hits} of {len(listed)} faults found; {accused} of {len(shapes)} untouched networks accused")
    return int(hits < 19 or accused > 0)


if __name__ == "__main__":
    raise SystemExit(main())
