"""Segmentation networks that end in scores as large as the picture, whole and cut off before that: feature maps, time, classes.

    python benchmarks/tails.py PICTURE ... [--mnn FILE] [--tflite FILE ...] [--rounds 15] [--json]

--mnn: a DeepLab whose outputs are `classes` and the small `logits`, such as deeplab_cityscapes.mnn: the network up to its classes, and
up to its scores, of which Segmentation makes the classes. Both are tasks of one thread and take turns on the same frames; a ratio is the
median over the rounds. --tflite: quantised files as Coral publishes them, which `mnnlite convert --slim` cuts; the classes are
compared with those of the whole network in floats, which LiteRT runs.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import cv2
import machine
import numpy as np

import mnnlite
from mnnlite import decoders

LARGE = {"upsample": (513, 513), "upsample_by": "align_corners", "background": -1}


def frames(paths: list[Path]) -> list[mnnlite.Frame]:
    return [mnnlite.Frame(cv2.imread(str(path)), "BGR") for path in paths]


def classes_of(found: Any) -> Any:
    return found.class_map()


def in_turns(path: Path, pictures: list[Path], rounds: int) -> dict[str, Any]:
    """Whole and cut, in tasks of their own."""
    image = mnnlite.ImageSpec(size=(513, 513), mean=128, std=128)
    specs = {
        "whole": mnnlite.TaskSpec(str(path), image, decoders.Segmentation(background=-1), outputs=("classes",)),
        "cut": mnnlite.TaskSpec(str(path), image, decoders.Segmentation(**LARGE), outputs=("logits",)),
    }
    seconds: dict[str, list[float]] = {name: [] for name in specs}
    with mnnlite.Task(specs["whole"]) as whole, mnnlite.Task(specs["cut"]) as cut:
        tasks = {"whole": whole, "cut": cut}
        equal = []
        for frame in frames(pictures):
            one, other = (classes_of(task(frame)) for task in tasks.values())
            equal.append(float((one == other).mean()))
        for index in range(rounds):
            frame = frames(pictures)[index % len(pictures)]
            for name in sorted(tasks, reverse=bool(index % 2)):
                begin = time.perf_counter()
                tasks[name](frame)
                seconds[name].append(time.perf_counter() - begin)
        dynamic = {name: task.model.memory()["dynamic"] / 2**20 for name, task in tasks.items()}
    return {
        "network": path.name,
        "feature_maps_mib": dynamic,
        "ms": {name: statistics.median(each) * 1e3 for name, each in seconds.items()},
        "time_ratio": statistics.median(b / a for a, b in zip(seconds["whole"], seconds["cut"], strict=True)),
        "equal": equal,
    }


def beside_litert(path: Path, pictures: list[Path], folder: Path) -> dict[str, Any]:
    """Of a TFLite file, which the converter alone refuses."""
    from ai_edge_litert.interpreter import Interpreter

    from mnnlite.conversion import tflite_floats
    from mnnlite.convert import convert

    made = convert(path, folder / f"{path.stem}.mnn", slim=["tails"])
    home, source_path = Path.cwd(), str(path.resolve())
    said: dict[str, Any] = {"notes": [], "described": {}}
    os.chdir(folder)
    try:
        tflite_floats.prepare({"source": source_path, "slim": []}, said, None)
    finally:
        os.chdir(home)
    whole = Interpreter(said["reference"], num_threads=1)
    whole.allocate_tensors()
    (source,), (target,) = whole.get_input_details(), whole.get_output_details()
    image = mnnlite.ImageSpec(size=(513, 513), mean=128, std=128)
    (scores,) = mnnlite.Model(made.path).outputs
    equal = []
    with mnnlite.Task(mnnlite.TaskSpec(str(made.path), image, decoders.Segmentation(**LARGE))) as task:
        for frame in frames(pictures):
            whole.set_tensor(source["index"], np.ascontiguousarray(image.apply(frame).transpose(0, 2, 3, 1)))
            whole.invoke()
            equal.append(float((whole.get_tensor(target["index"])[0] == classes_of(task(frame))).mean()))
        dynamic = task.model.memory()["dynamic"] / 2**20
    return {"network": path.name, "feature_maps_mib": {"cut": dynamic}, "output": scores, "equal": equal,
            "verdict": made.verdict.text}  # fmt: skip


def main() -> int:
    parser = machine.parser(__doc__)
    parser.add_argument("pictures", nargs="+", type=Path, metavar="PICTURE")
    parser.add_argument("--mnn", type=Path, metavar="FILE")
    parser.add_argument("--tflite", type=Path, nargs="*", default=[], metavar="FILE")
    parser.add_argument("--rounds", type=int, default=15)
    args = parser.parse_args()
    rows, lines = [], []
    if args.mnn:
        row = in_turns(args.mnn, args.pictures, args.rounds)
        rows.append(row)
        maps, ms = row["feature_maps_mib"], row["ms"]
        lines += [
            f"{row['network']}: feature maps {maps['whole']:.1f} MiB -> {maps['cut']:.1f}",
            f"  {ms['whole']:.1f} ms -> {ms['cut']:.1f}, {row['time_ratio']:.3f} of the time, decoder included",
        ]
        lines.append(f"  classes equal on {min(row['equal']):.4%} of pixels at least, {len(row['equal'])} pictures")
    with tempfile.TemporaryDirectory() as folder:
        for path in args.tflite:
            row = beside_litert(path, args.pictures, Path(folder))
            rows.append(row)
            lines += [
                f"{row['network']}: feature maps {row['feature_maps_mib']['cut']:.1f} MiB; {row['verdict']}",
                f"  classes equal to the whole network's on LiteRT on {min(row['equal']):.4%} of pixels at least, "
                f"{len(row['equal'])} pictures",
            ]
    machine.report("tails", {"networks": rows}, lines, args.json)
    return 0 if all(min(row["equal"]) >= 0.9999 for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
