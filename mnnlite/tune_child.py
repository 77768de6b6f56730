"""What runs in the child process of tuning: one network in all its alternatives, in turns."""

from __future__ import annotations

import itertools
import json
import statistics
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mnnlite import pipeline, video
from mnnlite.arena import Arena
from mnnlite.children import end_with
from mnnlite.errors import MnnliteError
from mnnlite.frame import Frame
from mnnlite.observe.decoded import compare_results
from mnnlite.task import Task

if TYPE_CHECKING:
    from collections.abc import Callable

    from mnnlite.specs import TaskSpec

__all__ = ["run_tune"]

_DRIFT = 0.04  # of the reference's time, from one half of the rounds to the other, that is no noise
_ATTEMPTS = 3
_SLOW_S = 1.0  # a round that takes longer: there are few
_FEW = 7
_SIZE = (480, 640)


def run_tune(request: dict[str, Any]) -> None:
    """In the child: load, run in turns, compare; print the answer as one line."""
    end_with(request["parent"])
    try:
        ((_, task),) = pipeline.load(request["task"]).tasks.items()
        answer = _measured(request, replace(task, feed={}))
    except MnnliteError as error:
        answer = {"error": str(error)}
    print("\n" + json.dumps(answer))


def _measured(request: dict[str, Any], spec: TaskSpec) -> dict[str, Any]:
    frames = _frames(request)
    with Arena(threads=spec.threads or request["threads"]) as arena:
        tasks = [Task(replace(spec, threads=None, **words), arena=arena) for words in request["candidates"]]
        agreements = [_agreement(task, tasks[0], frames) for task in tasks]
        works = [_work(task, frames[0]) for task in tasks]
        for work in works:
            work()
        attempt, stable, times = 0, False, np.empty((0, 0))
        while not stable and attempt < _ATTEMPTS:
            attempt += 1
            before = throttled()
            times = _turns(works, request["rounds"])
            half = len(times) // 2
            early, late = (float(np.median(part[:, 0])) for part in (times[:half], times[half:]))
            stable = abs(late / early - 1) <= _DRIFT and throttled() == before
    ratios = times / times[:, :1]
    return {
        "stable": stable,
        "attempts": attempt,
        "rows": [
            {
                "ms": float(np.median(times[:, 0]) * np.median(ratios[:, i])) * 1e3,
                "noise": 2 * _half_width(ratios[:, i]) / len(ratios) ** 0.5,
                "spread": _half_width(times[:, i]) / float(np.median(times[:, i])),
                "agreement": agreements[i],
            }
            for i in range(len(tasks))
        ],
    }


def _frames(request: dict[str, Any]) -> list[Frame]:
    if request["pictures"] is not None:
        return list(itertools.islice(video.open_source(request["pictures"]), request["most"]))
    return [Frame(_scene(seed), "BGR") for seed in range(3)]


def _scene(seed: int) -> Any:
    """Soft blobs with some noise: pictures, as far as networks are concerned that have seen none such."""
    draw = np.random.default_rng(seed)
    coarse = draw.integers(0, 256, (*(side // 40 for side in _SIZE), 3)).astype(np.float32)
    picture = np.kron(coarse, np.ones((40, 40, 1), np.float32))
    return np.clip(picture + draw.normal(0, 6, picture.shape), 0, 255).astype(np.uint8)


def _agreement(task: Task[Any], reference: Task[Any], frames: list[Frame]) -> float:
    """With what the reference finds: least of the decoders; of a network without pictures, of its outputs."""
    if task is reference:
        return 1.0
    if task.spec.image is not None:
        found = compare_results((task(frame), reference(frame)) for frame in frames)
        return min((each.agreement for each in found), default=1.0)
    worst = 1.0
    for seed in range(3):
        draw = np.random.default_rng(seed)
        outputs = []
        inputs = {name: draw.random(each.shape) for name, each in reference.model.inputs.items()}
        for one in (task, reference):
            for name, values in inputs.items():
                view = one.model.input(name)
                view[...] = values.astype(view.dtype)
            outputs.append(one.model.run())
        worst = min(worst, *(each.agreement for each in compare_results([(outputs[0], outputs[1])])))
    return worst


def _work(task: Task[Any], frame: Frame) -> Callable[[], object]:
    if task.spec.image is None:
        return lambda: task.model.run(borrow=True)
    return lambda: task(frame)


def _turns(works: list[Callable[[], object]], rounds: int) -> Any:
    """Seconds of each in each round, every round in another order."""
    rows: list[list[float]] = []
    begin = time.perf_counter()
    while len(rows) < rounds:
        row = [0.0] * len(works)
        for step in range(len(works)):
            which = (step + len(rows)) % len(works)
            start = time.perf_counter()
            works[which]()
            row[which] = time.perf_counter() - start
        rows.append(row)
        if len(rows) >= _FEW and time.perf_counter() - begin > _SLOW_S * rounds:
            break
    return np.array(rows)


def _half_width(values: Any) -> float:
    """Of the middle half."""
    low, _, high = statistics.quantiles(values, n=4)
    return float(high - low) / 2


def throttled() -> list[str]:
    """What the kernel reports of cores that were slowed down: counts of thermal events (x86), states of cooling (others)."""
    found = []
    for pattern in (
        "/sys/devices/system/cpu/cpu*/thermal_throttle/core_throttle_count",
        "/sys/class/thermal/cooling_device*/cur_state",
    ):
        first, *rest = Path(pattern).parts
        for path in sorted(Path(first).glob("/".join(rest))):
            with suppress(OSError):
                found.append(f"{path} {path.read_text().strip()}")
    return found
