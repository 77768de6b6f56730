"""An ONNX network converted as it is, and with ``slim=True``: feature maps, time, and whether the outputs are equal.

    python benchmarks/slim.py NETWORK.onnx ... [--rounds 15] [--json]

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

import machine
import numpy as np

import mnnlite
from mnnlite.convert import convert


def compared(source: Path, folder: Path, rounds: int) -> dict[str, Any]:
    """Convert, load, run in turns."""
    paths = {name: folder / f"{source.stem}-{name}.mnn" for name in ("plain", "slim")}
    made = {name: convert(source, path, slim=name == "slim", compare=False) for name, path in paths.items()}
    with mnnlite.Model(paths["plain"]) as plain, mnnlite.Model(paths["slim"]) as slim:
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
    worst = max(float(np.abs(outputs["slim"][name] - value).max()) for name, value in outputs["plain"].items())
    return {
        "network": source.name,
        "feature_maps_mib": dynamic,
        "ms": {name: statistics.median(each) * 1e3 for name, each in seconds.items()},
        "time_ratio": statistics.median(b / a for a, b in zip(seconds["plain"], seconds["slim"], strict=True)),
        "largest_difference": worst,
        "notes": [note for note in made["slim"].notes if not note.startswith("the converter said")],
    }


def main() -> int:
    """Convert, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", nargs="+", type=Path)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rows = [compared(source, Path(folder), args.rounds) for source in args.networks]
    lines = []
    for row in rows:
        maps, ms = row["feature_maps_mib"], row["ms"]
        lines += [
            f"{row['network']}: feature maps {maps['plain']:.1f} MiB -> {maps['slim']:.1f}",
            f"  {ms['plain']:.1f} ms -> {ms['slim']:.1f}, {row['time_ratio']:.2f} of the time",
            f"  largest difference {row['largest_difference']:g}",
            *(f"  {note}" for note in row["notes"]),
        ]
    machine.report("slim", {"networks": rows}, lines, args.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
