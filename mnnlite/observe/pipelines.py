"""What a pipeline will need and what it holds: many tasks in lanes, measured in a fresh process."""

from __future__ import annotations

import os
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mnnlite import memory_probe, pipeline, video
from mnnlite.arena import RUNTIME_OPTIONS, runtime_options
from mnnlite.frame import Frame
from mnnlite.observe.memory_curve import Curve, curve_of
from mnnlite.observe.prediction import HEAP_AND_STACK_MIB, Prediction, prediction_of
from mnnlite.proc import MIB, trim
from mnnlite.runtime.budget import Budget, held, most
from mnnlite.runtime.tuned import lanes_of

if TYPE_CHECKING:
    from mnnlite.pipeline import Pipeline

__all__ = ["PipelinePrediction", "peak_when_loaded", "pipeline_curve", "predict_pipeline"]

_SIZE = (720, 1280)  # of the frame that is made up where none is given


@dataclass(frozen=True)
class PipelinePrediction:
    """Anonymous memory that a pipeline will need, MiB (2**20 bytes) over what the process held before.

    Parameters
    ----------
    tasks : dict of str to Prediction
        Each as if it were alone.
    lanes : dict of str to int
        Where the tasks are thought to be: by multiply-adds, for nothing was timed yet.
    loading_mib : float
        The most at any moment of loading them one after the other. Several lanes without a budget load side by side, and hold
        more meanwhile: what the other lanes' networks need to be loaded.
    running_mib : float
        All of them at work: weights and outputs of each, and for each lane one buffer for feature maps and one for pictures,
        as large as its largest task needs.
    peak_mib : float
        The larger of the two.
    field_sum_mib : float
        The field's usual sum, as if nothing were shared: the upper estimate.
    """

    tasks: dict[str, Prediction]
    lanes: dict[str, int]
    loading_mib: float
    running_mib: float
    peak_mib: float
    field_sum_mib: float

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return asdict(self)


def predict_pipeline(source: str | os.PathLike[str] | Pipeline) -> PipelinePrediction:
    """Predict the peak of a pipeline; see `predict`."""
    spec = source if isinstance(source, pipeline.Pipeline) else pipeline.load(source)
    threads, count = int(spec.runtime.get("threads", 1)), int(spec.runtime.get("lanes", 1))
    said = {key: spec.runtime[key] for key in RUNTIME_OPTIONS if key in spec.runtime}
    budget = Budget(1, threads, count, runtime_options(**said))
    demand_of = {name: budget.demand_of(name, task, 0) for name, task in spec.tasks.items()}
    operations = {name: float(each.cost.multiply_adds) for name, each in demand_of.items()}
    dynamic = {name: float(each.cost.dynamic) for name, each in demand_of.items()}
    lanes = lanes_of(spec.tasks, spec.schedules, count, operations, dynamic)
    demands = [budget.demand_of(name, task, lanes[name]) for name, task in spec.tasks.items()]
    loading = max(most(demands[:number], each) for number, each in enumerate(demands))
    tasks = {each.name: prediction_of(each.cost) for each in demands}
    alone = sum(each.cost.upper_estimate for each in demands) / MIB + HEAP_AND_STACK_MIB
    return PipelinePrediction(tasks, lanes, loading / MIB, held(demands) / MIB, loading / MIB, alone)


def peak_when_loaded(source: Pipeline) -> int:
    """Load a pipeline in a child process, run no frame, and say the most bytes that it will hold; see `predict`.

    Raises MemoryBudgetError where its own budget refuses it. More exact than `predict_pipeline`, which adds up what each network holds alone: the engine puts some tensors of one network
    into what another one left over. Feature maps, outputs and their copies that travel appear with the first frames only, and are
    added by the engine's own count.
    """
    with tempfile.TemporaryDirectory(prefix="mnnlite-") as folder:
        path = Path(folder) / "pipeline.toml"
        path.write_text(pipeline.dumps(source), encoding="utf-8")
        request = {"source": str(path)}
        found = memory_probe.run_of(
            memory_probe.run_in_child("mnnlite.observe.pipelines", "load_of_pipeline", request, "the pipeline", None)
        )
    loading = max((each.peak or each.anonymous) for each in found.readings)
    running = found.readings[-1].anonymous + found.terms["feature_maps"] + 2 * found.terms["outputs"]
    return max(loading, running)


def load_of_pipeline(request: dict[str, Any]) -> dict[str, Any]:
    """In the child: a pipeline up to its first frame."""
    spec = pipeline.load(request["source"])
    measured = memory_probe.MemoryProbe()
    runtime = spec.open(_on_task=lambda name: measured.stage(f"load {name}"))
    runtime.plan()  # tasks are where they stay
    for lane in runtime._parts.lanes:  # what measuring them touched
        lane.call(lane.shrink)
    trim()
    measured.stage("loaded")
    memory = runtime.memory()
    maps, outputs = sum(each.dynamic or 0 for each in memory.lanes), sum(each.outputs for each in memory.tasks.values())
    runtime.close()
    return measured.result({"feature_maps": maps, "outputs": outputs})


def pipeline_curve(source: str | os.PathLike[str] | Pipeline, frames: str | os.PathLike[str] | None = None) -> Curve:
    """Measure a pipeline's memory from the first load to close; see `curve`.

    Parameters
    ----------
    source : path or Pipeline
    frames : path, optional
        A picture or video, of which the first two frames are used. Noise otherwise, in which cascades find little.

    Returns
    -------
    Curve
        Its stages: ``start``, ``load NAME`` for each task, ``run``, ``second run``, ``close``.
    """
    if isinstance(source, pipeline.Pipeline):
        with tempfile.TemporaryDirectory(prefix="mnnlite-") as folder:
            path = Path(folder) / "pipeline.toml"
            path.write_text(pipeline.dumps(source), encoding="utf-8")
            return pipeline_curve(path, frames)
    request = {"source": os.path.abspath(source), "frames": None if frames is None else os.path.abspath(frames)}
    pipeline.load(source)  # what is wrong with it is said here
    name = os.fspath(source)
    return curve_of(
        memory_probe.run_of(
            memory_probe.run_in_child("mnnlite.observe.pipelines", "life_of_pipeline", request, name, None)
        )
    )


def life_of_pipeline(request: dict[str, Any]) -> dict[str, Any]:
    """In the child: a pipeline from load to close."""
    import numpy as np

    spec = pipeline.load(request["source"])
    if request["frames"] is None:
        noise = np.random.default_rng(0).integers(0, 256, (*_SIZE, 3), np.uint8)
        frames = [Frame(noise, "BGR"), Frame(noise, "BGR")]
    else:
        frames = [frame for frame, _ in zip(video.open_source(request["frames"]), range(2), strict=False)]
    measured = memory_probe.MemoryProbe()
    runtime = spec.open(_on_task=lambda name: measured.stage(f"load {name}"))
    for stage, frame in zip(("run", "second run"), (frames[0], frames[-1]), strict=True):
        for error in runtime.process(frame).errors.values():
            raise error
        measured.stage(stage)
    runtime.close()
    measured.stage("close")
    return measured.result({})
