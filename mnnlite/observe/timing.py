"""Where the time of a model goes: stages with percentiles, operators by cost."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from mnnlite.errors import ArgumentError
from mnnlite.observe.tracing import Operator, TracedRun, trace_run
from mnnlite.task import Task

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from mnnlite.frame import Frame
    from mnnlite.model import Model
    from mnnlite.runtime import Runtime

__all__ = ["OperatorTime", "Profile", "StageTime", "TypeTime", "profile", "profile_runtime"]

# Stages that happen once and so have one time, not percentiles.
_LOADING = ("deserialize", "create_session", "release_model_buffer")


@dataclass(frozen=True)
class StageTime:
    """Milliseconds of a stage over its repetitions; loading has one."""

    name: str
    p50_ms: float
    p90_ms: float
    p99_ms: float
    runs: int


@dataclass(frozen=True)
class OperatorTime:
    """An operator's median time.

    Parameters
    ----------
    name, type, backend : str
        As in `Operator`.
    ms : float
        Median over the traced runs.
    fraction : float
        Fraction of the time of all operators, 0 to 1.
    mflops : float
        Multiply-adds in millions, as the engine counts them.
    gflops : float
        ``mflops / ms``: billions of multiply-adds per second.
    fell_back : str
        Why it ran on another backend than the session's; empty if it did not.
    """

    name: str
    type: str
    backend: str
    ms: float
    fraction: float
    mflops: float
    gflops: float
    fell_back: str


@dataclass(frozen=True)
class TypeTime:
    """All operators of a type together; fields as in `OperatorTime`."""

    type: str
    count: int
    ms: float
    fraction: float
    mflops: float
    gflops: float


@dataclass(frozen=True)
class Profile:
    """What `profile` found.

    Parameters
    ----------
    stages : tuple of StageTime
        The stages of loading, if they were measured, and ``preprocess``, ``infer``, ``decode``.
    operators : tuple of OperatorTime
        The operators in order of execution; none on Vulkan, where the end of an operator cannot be waited for. Their times come from separate runs with callbacks, so together they are a
        little more than ``infer``.
    types : tuple of TypeTime
        The types of operators, those that take the most time first.
    """

    stages: tuple[StageTime, ...]
    operators: tuple[OperatorTime, ...]
    types: tuple[TypeTime, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return asdict(self)


def profile(
    target: Model | Task,
    frames: Sequence[Frame] | None = None,
    *,
    inputs: Mapping[str, NDArray[Any]] | None = None,
    runs: int = 50,
    traced: int = 10,
) -> Profile:
    """Measure where the time goes.

    Parameters
    ----------
    target : Model or Task
    frames : sequence of Frame, optional
        For a task with an image spec; the runs take them in turn.
    inputs : dict of str to ndarray, optional
        For a model. Without them, the inputs keep their values.
    runs : int
        Repetitions for the stages. Two more come before them and are not counted.
    traced : int
        Repetitions for the operators.

    Returns
    -------
    Profile

    Raises
    ------
    ArgumentError
        A task needs frames and none were given, or a number is below 1.
    EngineError, OutOfMemoryError, BusyError, ClosedError
    """
    _check_numbers(runs, traced)
    model = target.model if isinstance(target, Task) else target
    times: dict[str, list[int]] = {}
    if isinstance(target, Task):
        pictures = list(frames or [])
        for turn in range(-2, runs):
            target(pictures[turn % len(pictures)] if pictures else None, borrow=not target.adapts)
            if turn >= 0:
                for name, spent in target.timing.items():
                    times.setdefault(name, []).append(spent)
    else:
        model.run(inputs, borrow=True)
        for turn in range(-1, runs):
            model.run(borrow=True)
            if turn >= 0:
                times.setdefault("infer", []).append(model.timing["infer"])
    traces = [trace_run(model) for _ in range(traced)]
    loading = {name: [model.timing[name]] for name in _LOADING if name in model.timing}
    return Profile(_stages({**loading, **times}), *_operators(traces))


def profile_runtime(
    runtime: Runtime, frames: Sequence[Frame], *, runs: int = 50, traced: int = 10
) -> dict[str, Profile]:
    """Measure where the time of a pipeline goes, with all of its tasks in the runtime.

    Parameters
    ----------
    runtime : Runtime
        The runtime, e.g. ``pipeline.open()``. The caller closes it.
    frames : sequence of Frame
        The frames; the runs take them in turn, one at a time.
    runs : int
        Number of frames. Two more come before them and are not counted.
    traced : int
        Repetitions for the operators, for each task alone on its lane.

    Returns
    -------
    dict of str to Profile
        The profiles by task. Stages count the frames on which the task ran; a cascade runs on those with crops.

    Raises
    ------
    ArgumentError
        There are no frames, or a number is below 1.
    MnnliteError
        A task failed on a frame, or its operators could not be traced.
    """
    _check_numbers(runs, traced)
    if not frames:
        raise ArgumentError("there are no frames; a pipeline is measured on frames")
    times: dict[str, dict[str, list[int]]] = {name: {} for name in runtime.tasks}
    for turn in range(-2, runs):
        result = runtime.process(frames[turn % len(frames)])
        for error in result.errors.values():
            raise error
        if turn < 0:
            continue
        for name, spent in result.timing.items():
            if result.crops.get(name, (1, 1))[0] > 0:
                for stage, ns in spent.items():
                    times[name].setdefault(stage, []).append(ns)
    loading = {name: task.loading for name, task in runtime.stats().tasks.items()}
    found = {}
    for name, stages in times.items():
        traces = runtime.on_lane(name, lambda task: [trace_run(task.model) for _ in range(traced)])
        once = {stage: [loading[name][stage]] for stage in _LOADING if stage in loading[name]}
        found[name] = Profile(_stages({**once, **stages}), *_operators(traces))
    return found


def _check_numbers(runs: int, traced: int) -> None:
    for name, number in (("runs", runs), ("traced", traced)):
        if not isinstance(number, int) or number < 1:
            raise ArgumentError(f"{name} is {number!r}; wanted a whole number from 1")


def _stages(times: Mapping[str, Sequence[int]]) -> tuple[StageTime, ...]:
    import numpy as np

    result = []
    for name, spent in times.items():
        p50, p90, p99 = (float(ms) for ms in np.percentile(spent, (50, 90, 99)) / 1e6)
        result.append(StageTime(name, p50, p90, p99, len(spent)))
    return tuple(result)


def _why(op: Operator, main: str) -> str:
    """What the engine lets know: a backend's factory gave nothing for this operator, and the backup was asked."""
    if op.backend == main:
        return ""
    kinds = "/".join(sorted({out.dtype or "another type" for out in op.outputs}))
    return f"{main} has no {op.type} for {kinds} with these parameters, so {op.backend} runs it"


def _rate(mflops: float, ms: float) -> float:
    return mflops / ms if ms > 0 else 0.0


def _operators(traces: Sequence[TracedRun]) -> tuple[tuple[OperatorTime, ...], tuple[TypeTime, ...]]:
    import numpy as np

    medians = np.median([[op.ms for op in trace.operators] for trace in traces], axis=0)
    total = float(medians.sum()) or 1.0
    listed = traces[0].operators
    if not traces[0].is_timed:  # a time that is not of the work is none
        return (), ()
    main = traces[0].backend
    operators = tuple(
        OperatorTime(
            name=op.name,
            type=op.type,
            backend=op.backend,
            ms=float(ms),
            fraction=float(ms) / total,
            mflops=op.mflops,
            gflops=_rate(op.mflops, float(ms)),
            fell_back=_why(op, main),
        )
        for op, ms in zip(listed, medians, strict=True)
    )
    types = []
    for kind in {op.type for op in operators}:
        of_kind = [op for op in operators if op.type == kind]
        ms, mflops = sum(op.ms for op in of_kind), sum(op.mflops for op in of_kind)
        types.append(TypeTime(kind, len(of_kind), ms, ms / total, mflops, _rate(mflops, ms)))
    return operators, tuple(sorted(types, key=lambda each: -each.ms))
