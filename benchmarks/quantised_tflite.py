"""Quantised TFLite classifiers through `mnnlite convert`: does the float network that comes out choose what the whole numbers chose?

python benchmarks/quantised_tflite.py --pictures SOURCE [--pictures SOURCE ...] NETWORK.tflite ...

Conversion compares the new network with the dequantised file. Here the quantised file itself runs on LiteRT, on pictures: the same
best class, and how far scores are apart, of the largest. What remains is the noise of the whole numbers.
"""

from __future__ import annotations

import argparse
import itertools
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter

import mnnlite
from mnnlite import ImageSpec, video
from mnnlite.convert import convert

FRAMES = 8  # of a source


def quantised(interpreter: Interpreter, frame: mnnlite.Frame) -> tuple[np.ndarray, np.ndarray]:
    """What the file itself gives for a picture, and what a network of floats is fed to be asked the same."""
    (taken,), (given,) = interpreter.get_input_details(), interpreter.get_output_details()
    _, height, width, _ = taken["shape"]
    scale, zero = taken["quantization"]
    pixels = ImageSpec(size=(int(width), int(height)), color="RGB", layout="NHWC").apply(frame)
    whole = np.round(np.asarray(pixels).reshape(1, height, width, 3))
    shift = 0 if taken["dtype"] == np.uint8 else 128
    interpreter.set_tensor(taken["index"], (whole - shift).astype(taken["dtype"]))
    interpreter.invoke()
    step, origin = given["quantization"]
    scores = (interpreter.get_tensor(given["index"]).astype(np.float64) - origin) * step
    return scores.ravel(), ((whole - shift - zero) * scale).astype(np.float32)


def row(source: Path, frames: list[mnnlite.Frame], folder: Path) -> str:
    """A line of the table."""
    interpreter = Interpreter(str(source))
    interpreter.allocate_tensors()
    try:
        made = convert(source, folder / f"{source.stem}.mnn")
    except mnnlite.MnnliteError as error:
        return f"| {source.name} | {' '.join(str(error).split())[:160]} | | |"
    same, apart = 0, 0.0
    with mnnlite.Model(made) as model:
        ((name, info),) = model.inputs.items()
        for frame in frames:
            wanted, fed = quantised(interpreter, frame)
            value: Any = fed if tuple(info.shape) == fed.shape else fed.transpose(0, 3, 1, 2)
            (found,) = model.run({name: np.ascontiguousarray(value)}).values()
            same += int(found.ravel().argmax() == wanted.argmax())
            apart = max(apart, float(np.abs(found.ravel() - wanted).max() / np.abs(wanted).max()))
    return f"| {source.name} | {made.verdict.text.partition(':')[0]} | {same} of {len(frames)} | {apart:.3f} |"


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("networks", nargs="+", type=Path)
    parser.add_argument("--pictures", action="append", required=True, help="a picture, a folder, a video")
    args = parser.parse_args()
    frames = [frame for source in args.pictures for frame in itertools.islice(video.open_source(source), FRAMES)]
    print("| network | verdict | same best class | scores off by, at most |\n| --- | --- | ---: | ---: |")
    with tempfile.TemporaryDirectory() as folder:
        for source in args.networks:
            print(row(source, frames, Path(folder)), flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
