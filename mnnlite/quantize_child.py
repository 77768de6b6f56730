"""What runs in the child processes of quantising: the engine's tools, and the judging of what they made."""

from __future__ import annotations

import itertools
import json
import resource
import statistics
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mnnlite import observe, pipeline, video
from mnnlite.arena import Arena
from mnnlite.errors import ArgumentError, MnnliteError, UnsupportedModelError
from mnnlite.specs import ImageSpec
from mnnlite.task import Task

if TYPE_CHECKING:
    from mnnlite.frame import Frame
    from mnnlite.specs import TaskSpec

__all__ = ["run_quantiser"]

_RUNS = 9


def run_quantiser(request: dict[str, Any]) -> None:
    """In the child: make a form of a network, or judge it, and print the answer as one line."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        Path("task.toml").write_text(request["task"], encoding="utf-8")
        ((_, task),) = pipeline.load("task.toml").tasks.items()
        answer = (_make if request["step"] == "make" else _judge)(request, task)
    except MnnliteError as error:
        answer = {"error": str(error)}
    print("\n" + json.dumps(answer))


def _pictures(request: dict[str, Any], held_out: bool) -> list[Frame]:
    """Every other picture calibrates; the rest is held out."""
    frames = list(itertools.islice(video.open_source(request["pictures"]), request["most"]))
    if len(frames) < 2:
        raise ArgumentError(
            f"{request['pictures']} has {len(frames)} pictures; wanted at least 2, one of them held out"
        )
    return frames[int(held_out) :: 2]


def _make(request: dict[str, Any], task: TaskSpec) -> dict[str, Any]:
    import _tools

    if request["form"].startswith("weights"):
        files = ["--modelFile", request["source"], "--MNNModel", request["made"]]
        bits = request["form"].removeprefix("weights")
        _tools.mnnconvert(["mnnconvert", "-f", "MNN", *files, "--bizCode", "mnnlite", "--weightQuantBits", bits])
        return {}
    _tools.mnnquant(["mnnquant", request["source"], "whole.mnn", str(_calibration(request, task))])
    if not Path("whole.mnn").exists():
        raise UnsupportedModelError("the engine's quantiser wrote nothing")
    # It leaves the description out, and the slot that one is written to.
    files = ["--modelFile", "whole.mnn", "--MNNModel", request["made"]]
    _tools.mnnconvert(["mnnconvert", "-f", "MNN", *files, "--bizCode", "mnnlite"])
    return {}


def _calibration(request: dict[str, Any], task: TaskSpec) -> Path:
    """What the network is fed for each picture, as the quantiser reads it: numbers in text, a folder each."""
    samples = Path("calibration").absolute()
    image = task.image
    if not isinstance(image, ImageSpec):
        if image is None or len(image) != 1:
            raise ArgumentError("only networks with one picture as their input can be quantised yet")
        image = next(iter(image.values()))
    frames = _pictures(request, held_out=False)
    for number, frame in enumerate(frames):
        folder = samples / f"{number:05}"
        folder.mkdir(parents=True)
        inputs = observe.picture_inputs(request["source"], image, frame, task.shapes)
        shapes = [{"name": name, "shape": list(value.shape)} for name, value in inputs.items()]
        (folder / "input.json").write_text(json.dumps({"inputs": shapes}))
        for name, value in inputs.items():
            if "/" in name:
                raise ArgumentError(f"input {name!r} has a slash in its name, which the quantiser cannot read yet")
            np.savetxt(folder / f"{name}.txt", value.reshape(1, -1), fmt="%.8g")
    config = {
        "path": f"{samples}/",
        "input_type": "sequence",
        "used_sample_num": len(frames),
        "batch_size": 1,
        "feature_quantize_method": request["method"],
        "weight_quantize_method": "MAX_ABS",
    }
    target = Path("quantise.json").absolute()
    target.write_text(json.dumps(config))
    return target


def _judge(request: dict[str, Any], task: TaskSpec) -> dict[str, Any]:
    frames = _pictures(request, held_out=True)
    options: dict[str, Any] = {"memory_mode": "low"} if request["form"].startswith("weights") else {}
    found = observe.compare_decoded(request["made"], request["source"], task, frames, options=options)
    least = min(found.decoders, key=lambda each: each.agreement)
    with Arena(**options) as arena, Task(replace(task, model=request["made"], threads=None), arena=arena) as one:
        one(frames[0])
        spent = []
        for _ in range(_RUNS):
            began = time.perf_counter()
            one.model.run(borrow=True)
            spent.append(time.perf_counter() - began)
        memory = one.model.memory()
    return {
        "agreement": least.agreement,
        "worst": least.worst,
        "iou": least.iou,
        "score_difference": least.score_difference,
        "memory_bytes": int(memory["static"] + memory["dynamic"]),
        "ms": statistics.median(spent) * 1e3,
        "pictures": len(frames),
    }
