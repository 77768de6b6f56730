"""What running the pack's networks together saves, measured in fresh processes."""

from __future__ import annotations

import statistics
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from mnnlite import pipeline
from mnnlite.arena import Arena
from mnnlite.frame import Frame
from mnnlite.memory_probe import run_in_child
from mnnlite.model import Model
from mnnlite.proc import process, trim
from mnnlite.task import Task

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

__all__ = ["branches", "memory"]

ROUNDS = 15


def memory(file: Path, together: bool) -> int:
    """Anonymous memory in bytes that all networks of a pipeline add to a process, each run once.

    Parameters
    ----------
    file : Path
        The pipeline file.
    together : bool
        In one arena, as the tasks of a lane are; otherwise in a runtime of its own each, as if the others were not there.

    Returns
    -------
    int
        Bytes by the kernel's count, of a child process.
    """
    request = {"file": str(file), "together": together}
    return int(run_in_child("mnnlite.demo.costs", "hold", request, "the memory of the pack", None)["bytes"])


def branches(model: Path, chosen: Mapping[str, Sequence[str]]) -> dict[str, float]:
    """Time a network as a whole and with only the operators that some outputs need, in turn, in a child process.

    Parameters
    ----------
    model : Path
    chosen : dict of str to sequence of str
        Outputs of each branch, by a name for it.

    Returns
    -------
    dict of str to float
        Median milliseconds of ``"whole"`` and of each branch.
    """
    request = {"model": str(model), "chosen": {name: list(outputs) for name, outputs in chosen.items()}}
    return run_in_child("mnnlite.demo.costs", "time_branches", request, "branches", None)


def hold(request: dict[str, Any]) -> dict[str, Any]:
    """In the child: load everything, run it once, and read the memory."""
    spec = pipeline.load(request["file"])
    frame = Frame(np.full((360, 640, 3), 120, np.uint8), "RGB")
    np.zeros(1)
    trim()
    before = process()
    tiles = spec.runtime.get("winograd", "large")
    shared = Arena(winograd=tiles) if request["together"] else None
    tasks = [Task(each, arena=shared or Arena(winograd=tiles)) for each in spec.tasks.values()]
    for task in tasks:
        task(frame)  # also those that look at crops: a frame is one
    trim()
    return {"bytes": process().anonymous - before.anonymous}


def time_branches(request: dict[str, Any]) -> dict[str, Any]:
    """In the child: both in turn."""
    chosen: dict[str, list[str] | None] = {"whole": None, **request["chosen"]}
    times: dict[str, list[float]] = {name: [] for name in chosen}
    with Model(request["model"]) as model:
        for name, info in model.inputs.items():
            model.input(name)[...] = 0.5 if info.dtype.startswith("float") else 100
        for _ in range(ROUNDS):
            for name, outputs in chosen.items():
                start = time.perf_counter()
                model.run(outputs=outputs, borrow=True)
                times[name].append(1000 * (time.perf_counter() - start))
    return {name: statistics.median(spent) for name, spent in times.items()}
