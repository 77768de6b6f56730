"""An ONNX network converted as it is, and with ``slim=True``: feature maps, time, and whether the outputs are equal.

    python benchmarks/slim.py NETWORK.onnx ... [--shape INPUT=1x3x736x1280] [--rounds 15] [--json]
    python benchmarks/slim.py --fetched     CenterFace at 720p and PP-OCRv4's detection at 960, out of packages of PyPI

Both are loaded with one thread and take turns. A ratio is the median over the rounds of the slim one's time over the other's.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import fetch
import machine
import numpy as np

import mnnlite
from mnnlite.convert import convert

OCR = fetch.Wheel(
    "rapidocr-onnxruntime==1.4.4", "any", "3.11", "971d7d5f223a7a808662229df1ef69893809d8457d834e6373d3854bc1782cbf"
)
Shapes = dict[str, tuple[int, ...]]


def fetched() -> list[tuple[Path, Shapes]]:
    """Networks whose peak at a camera's size is asked for."""
    return [
        (fetch.original("centerface"), {"input.1": (1, 3, 736, 1280)}),
        (fetch.member_of(OCR, "rapidocr_onnxruntime/models/ch_PP-OCRv4_det_infer.onnx"), {"x": (1, 3, 960, 960)}),
    ]


def compared(source: Path, shapes: Shapes, folder: Path, rounds: int) -> dict[str, Any]:
    """Convert, load, run in turns."""
    paths = {name: folder / f"{source.stem}-{name}.mnn" for name in ("plain", "slim")}
    made = {
        name: convert(source, path, slim=name == "slim", shapes=shapes or None, compare=False)
        for name, path in paths.items()
    }
    with (
        mnnlite.Model(paths["plain"], shapes=shapes or None) as plain,
        mnnlite.Model(paths["slim"], shapes=shapes or None) as slim,
    ):
        peaks = {name: mnnlite.observe.peaks(model).peak for name, model in (("plain", plain), ("slim", slim))}
        draw = np.random.default_rng(1)
        inputs = {name: draw.random(each.shape, np.float32) for name, each in plain.inputs.items()}
        seconds: dict[str, list[float]] = {"plain": [], "slim": []}
        outputs = {}
        for _ in range(rounds):
            for name, model in (("plain", plain), ("slim", slim)):
                begin = time.perf_counter()
                outputs[name] = model.run(inputs)
                seconds[name].append(time.perf_counter() - begin)
        dynamic = {name: model.memory()["dynamic"] / 2**20 for name, model in (("plain", plain), ("slim", slim))}
    worst = max(
        float(np.abs(outputs["slim"][name] - value).max() / max(1e-6, np.abs(value).max()))
        for name, value in outputs["plain"].items()
        if name in outputs["slim"]
    )
    return {
        "network": source.name,
        "feature_maps_mib": dynamic,
        "ms": {name: statistics.median(each) * 1e3 for name, each in seconds.items()},
        "time_ratio": statistics.median(b / a for a, b in zip(seconds["plain"], seconds["slim"], strict=True)),
        "largest_difference": worst,
        "peaks": {
            name: f"{each.bytes / 2**20:.1f} MiB at {each.name} ({each.type}): "
            + ", ".join("x".join(map(str, tensor.shape or ())) for tensor in each.tensors[:3])
            for name, each in peaks.items()
        },
        "notes": [note for note in made["slim"].notes if not note.startswith("the converter said")],
    }


def main() -> int:
    """Convert, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", nargs="*", type=Path)
    parser.add_argument("--shape", action="append", default=[], metavar="INPUT=1x3x736x1280")
    parser.add_argument("--fetched", action="store_true", help="networks out of packages of PyPI")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        said = dict(each.rsplit("=", 1) for each in args.shape)
        shapes = {name: tuple(int(side) for side in text.split("x")) for name, text in said.items()}
        todo = [(source, shapes) for source in args.networks] + (fetched() if args.fetched else [])
        rows = [compared(source, sizes, Path(folder), args.rounds) for source, sizes in todo]
    lines = []
    for row in rows:
        maps, ms = row["feature_maps_mib"], row["ms"]
        lines += [
            f"{row['network']}: feature maps {maps['plain']:.1f} MiB -> {maps['slim']:.1f}",
            f"  {ms['plain']:.1f} ms -> {ms['slim']:.1f}, {row['time_ratio']:.2f} of the time",
            f"  largest difference {row['largest_difference']:.2g} of an output's largest value",
            f"  the peak: {row['peaks']['plain']}",
            f"  now: {row['peaks']['slim']}",
            *(f"  {note}" for note in row["notes"]),
        ]
    machine.report("slim", {"networks": rows}, lines, args.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
