"""Checkpoints into the files that ship: ONNX, MNN, quantised weights; measured in all three forms.

python export.py MODELS ASSETS [--scenes 500]
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from cards import write_cards
from networks import NETWORKS
from torch import Tensor, nn
from torch.nn import functional as F

from mnnlite import Frame, TaskSpec, pipeline
from mnnlite.convert import convert
from mnnlite.demo import metrics
from mnnlite.demo.scenes import VERSION
from mnnlite.task import Task

SHAPES = {
    "road_objects": (1, 3, 352, 640),
    "road_scene": (1, 3, 176, 512),
    "sign_class": (1, 3, 40, 40),
    "sign_text": (1, 1, 32, 96),
}
OUTPUTS = {
    "road_objects": ["boxes"],
    "road_scene": ["drivable", "lanes", "surface"],
    "sign_class": ["classes"],
    "sign_text": ["symbols"],
}
BATCHED = ("sign_class", "sign_text")
TASKS = {"objects": "road_objects", "scene": "road_scene", "signs": "sign_class", "texts": "sign_text"}
# Bits of stored weights; with 8 the texts lose most of a point, and they are small.
BITS = {"road_objects": 8, "road_scene": 8, "sign_class": 8, "sign_text": 16}


def network(models: Path, name: str) -> nn.Module:
    """The weights of a checkpoint."""
    net = NETWORKS[name]()
    saved = torch.load(models / f"{name}.pt", weights_only=True)["net"]
    net.load_state_dict({key.removeprefix("module."): value for key, value in saved.items() if key != "n_averaged"})
    if name == "road_objects":
        net.backbone.stem[0] = Unshuffled(net.backbone.stem[0])
    return net.eval()


class Unshuffled(nn.Module):
    """A 3 x 3 convolution with stride 2 as one of 2 x 2 without, on blocks of 2 x 2 pixels: the same numbers.

    The engine pads 3 channels of the whole picture to 8, or 12 of a quarter of it to 16: half the memory, where a network
    of large pictures needs the most.
    """

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        out, channels = conv.weight.shape[:2]
        self.conv = nn.Conv2d(4 * channels, out, 2, bias=False)
        weight = torch.zeros(out, channels, 2, 2, 2, 2)  # row and column in a block, block above or not, left or not
        place = ((1, 0), (0, 1), (1, 1))  # of each tap of three: in its block, and in which block
        for y, (in_y, block_y) in enumerate(place):
            for x, (in_x, block_x) in enumerate(place):
                weight[:, :, in_y, in_x, block_y, block_x] = conv.weight.data[:, :, y, x]
        self.conv.weight.data = weight.reshape(out, 4 * channels, 2, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(F.pad(F.pixel_unshuffle(x, 2), (1, 0, 1, 0)))


def to_onnx(net: nn.Module, name: str, target: Path) -> None:
    torch.onnx.export(
        net,
        (torch.zeros(SHAPES[name]),),
        str(target),
        input_names=["image"],
        output_names=OUTPUTS[name],
        opset_version=13,
        dynamo=False,
        dynamic_axes={key: {0: "n"} for key in ("image", *OUTPUTS[name])} if name in BATCHED else None,
    )


def in_torch(net: nn.Module, spec: TaskSpec, outputs: list[str]) -> Callable[[Frame], Any]:
    """What a Task does, with PyTorch in the place of the engine."""
    image = replace(spec.image, dtype="float32", layout="NCHW")
    decoders = spec.decoder if isinstance(spec.decoder, dict) else {"": spec.decoder}

    def run(frame: Frame) -> Any:
        with torch.no_grad():
            made = net(torch.from_numpy(image.apply(frame)))
        arrays = dict(
            zip(outputs, [each.numpy() for each in (made if isinstance(made, tuple) else (made,))], strict=True)
        )
        found = {
            key: each.decode({key: arrays[key]} if key else arrays, (frame.width, frame.height), image)
            for key, each in decoders.items()
        }
        return found.get("", found)

    return run


def hashed(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", type=Path, help="where train.py wrote to")
    parser.add_argument("assets", type=Path, help="the folder with pipeline.toml, which gets the files")
    parser.add_argument("--scenes", type=int, default=500)
    args = parser.parse_args()
    torch.set_num_threads(1)
    nets = {name: network(args.models, name) for name in NETWORKS}
    with tempfile.TemporaryDirectory() as folder:
        plain = Path(folder)
        for name, net in nets.items():
            to_onnx(net, name, plain / f"{name}.onnx")
            convert(plain / f"{name}.onnx", plain / f"{name}.mnn")
            stored = {"fp16": True} if BITS[name] == 16 else {"weight_bits": BITS[name]}
            convert(plain / f"{name}.onnx", args.assets / f"{name}.mnn", **stored)
        for file in args.assets.glob("*.t*"):  # the pipeline and its lists of classes
            shutil.copy(file, plain)
        shipped = metrics.specs_of(args.assets / "pipeline.toml")
        whole = metrics.specs_of(plain / "pipeline.toml")
        forms = {
            "pytorch": {task: in_torch(nets[name], whole[task], OUTPUTS[name]) for task, name in TASKS.items()},
            "mnn": {task: Task(spec) for task, spec in whole.items()},
            "shipped": {task: Task(spec) for task, spec in shipped.items()},
        }
        settings = pipeline.load(args.assets / "pipeline.toml").schedules
        paddings = {name: settings[name].padding for name in ("signs", "texts")}
        prior = [truth for _, truth in metrics.fresh_scenes(100, metrics.PRIOR_SEED)]
        scenes = list(metrics.fresh_scenes(args.scenes))
        scores = {form: metrics.measure(tasks, scenes, paddings, prior) for form, tasks in forms.items()}
        sizes = {name: (plain / f"{name}.mnn").stat().st_size for name in NETWORKS}
    rows = {}
    for key, score in scores["shipped"].items():
        rows[key.strip()] = {
            **{form: round(scores[form][key].value, 4) for form in scores},
            "baseline": round(score.baseline, 4),
            "of": score.of,
        }
        print(
            f"{key:<30}",
            "  ".join(f"{form} {scores[form][key].value:.4f}" for form in scores),
            f"  baseline {score.baseline:.4f}",
        )
    facts = {}
    for name in NETWORKS:
        file, record = args.assets / f"{name}.mnn", json.loads((args.models / f"{name}.json").read_text())
        facts[file.name] = {
            "sha256": hashed(file),
            "bytes": file.stat().st_size,
            "bytes_float": sizes[name],
            "weight_bits": BITS[name],
            **{
                key: record[key]
                for key in (
                    "parameters",
                    "seed",
                    "steps",
                    "batch",
                    "processes",
                    "samples",
                    "minutes",
                    "cpu_minutes",
                    "torch",
                )
            },
        }
    out = {
        "scenes": {"version": VERSION, "tested": args.scenes, "first_seed": metrics.TEST_SEED},
        "files": facts,
        "scores": rows,
    }
    (args.assets / "pack.json").write_text(json.dumps(out, indent=1) + "\n")
    write_cards(args.assets, out)


if __name__ == "__main__":
    main()
