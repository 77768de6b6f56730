"""What running the pack's networks together saves, measured in fresh processes."""

from __future__ import annotations

import statistics
import time
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from mnnlite import pipeline
from mnnlite.frame import Frame
from mnnlite.meter import run_in_child
from mnnlite.model import Arena, Model
from mnnlite.proc import process, trim
from mnnlite.task import Task

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

__all__ = ["Branches", "branches", "memory"]

ROUNDS = 15


class Branches(NamedTuple):
    """Median milliseconds of a network as a whole and with one branch of it."""

    whole_ms: float
    branch_ms: float


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
    return int(run_in_child("mnnlite.road.costs", "hold", request, "the memory of the pack", None)["bytes"])


def branches(model: Path, outputs: Sequence[str]) -> Branches:
    """Time a network as a whole and with only the operators that some outputs need, in turn, in a child process.

    Parameters
    ----------
    model : Path
    outputs : sequence of str
        Of one branch.
    """
    request = {"model": str(model), "outputs": list(outputs)}
    return Branches(**run_in_child("mnnlite.road.costs", "time_branches", request, "branches", None))


def hold(request: dict[str, Any]) -> dict[str, Any]:
    """In the child: load everything, run it once, and read the memory."""
    spec = pipeline.load(request["file"])
    frame = Frame(np.full((360, 640, 3), 120, np.uint8), "RGB")
    np.zeros(1)
    trim()
    before = process()
    arena = Arena() if request["together"] else None
    tasks = [Task(each, arena=arena) for each in spec.tasks.values()]
    for task in tasks:
        task(frame)  # also those that look at crops: a frame is one
    trim()
    return {"bytes": process().anonymous - before.anonymous}


def time_branches(request: dict[str, Any]) -> dict[str, Any]:
    """In the child: both in turn."""
    times: dict[str, list[float]] = {"whole": [], "branch": []}
    with Model(request["model"]) as model:
        for name, info in model.inputs.items():
            model.input(name)[...] = 0.5 if info.dtype.startswith("float") else 100
        for _ in range(ROUNDS):
            for kind, outputs in (("whole", None), ("branch", request["outputs"])):
                start = time.perf_counter()
                model.run(outputs=outputs, borrow=True)
                times[kind].append(1000 * (time.perf_counter() - start))
    return {"whole_ms": statistics.median(times["whole"]), "branch_ms": statistics.median(times["branch"])}
