"""What `Runtime.memory` returns."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mnnlite.proc import Process

__all__ = ["BudgetState", "LaneMemory", "RuntimeMemory", "TaskMemory", "WeightFiles"]


@dataclass(frozen=True)
class TaskMemory:
    """What one task holds, in bytes. None is what is not known: of a GPU the engine counts neither weights nor feature maps.

    Parameters
    ----------
    lane : int
    shares : str, optional
        The task whose session this one shares: what the session holds is counted there.
    model_buffer : int
        The file's content; 0 once it was released.
    static : int
        Weights, operators and outputs: what lives as long as the session.
    dynamic, feature_maps : int
        What the network needs of its arena's one buffer for feature maps.
    inputs, outputs : int
        Tensors at the borders. Pictures that the lane's tasks share are no task's.
    mapped : int
        Of the weights, what lies in files.
    weights : int
        Weights and operators.
    feature_maps_charged : int
        The task's part of the arena's buffer, by need: the parts of an arena add up to it.
    feature_maps_owner : str
        The task whose need made that buffer as large as it is.
    scratch : int
        Image plans, decoders, room for results.
    total : int
        What the task is charged with, mapped weights included; of what is known.
    """

    lane: int
    shares: str | None
    model_buffer: int
    static: int | None
    dynamic: int | None
    inputs: int
    outputs: int
    mapped: int
    weights: int | None
    feature_maps: int | None
    feature_maps_charged: int | None
    feature_maps_owner: str
    scratch: int
    total: int


@dataclass(frozen=True)
class LaneMemory:
    """What the tasks of one lane hold together, in bytes. None: not known of all of them.

    Parameters
    ----------
    static : int
        Weights and outputs.
    dynamic : int
        The buffers for feature maps, each as large as the largest of its tasks needs.
    inputs : int
        One memory for all pictures, as large as the largest, and what cannot be shared.
    mapped : int
        Of `static`, what lies in files.
    """

    static: int | None
    dynamic: int | None
    inputs: int
    mapped: int


@dataclass(frozen=True)
class BudgetState:
    """How a memory budget stands, in bytes.

    Parameters
    ----------
    limit : int
    grown : int
        Anonymous memory of the process since the runtime was made.
    expected : int
        The same by the terms of the tasks.
    evicted : tuple of str
        Tasks that are not loaded.
    """

    limit: int
    grown: int
    expected: int
    evicted: tuple[str, ...]


@dataclass(frozen=True)
class WeightFiles:
    """Pages of the files of ``weights="mapped"``, in bytes.

    Parameters
    ----------
    resident : int
        In memory; the kernel may drop them.
    dirty : int
        Of these, not yet on the disk.
    """

    resident: int
    dirty: int


@dataclass(frozen=True)
class RuntimeMemory:
    """Memory of a runtime, in bytes.

    Parameters
    ----------
    tasks : dict of str to TaskMemory
        Those whose model is loaded.
    lanes : tuple of LaneMemory
    total : int
        Of all lanes, without what lies in files and what is not known.
    engine : int
        What MNN took when it was loaded: its fixed cost, in no budget.
    shared_inputs : int
        Pictures that tasks of a lane share.
    budget : BudgetState, optional
        With ``memory=``.
    weight_files : WeightFiles, optional
        With ``weights="mapped"``.
    categories : dict of str to int, optional
        The same as model buffer, feature maps, parameters, heap and stack. This and what follows is None where the kernel
        does not tell.
    process : Process, optional
        The process now.
    growth : int, optional
        Of its anonymous memory since the runtime was made.
    free : int, optional
        Of that, what malloc holds free.
    unexplained : int, optional
        Of the growth, what no category has.
    explained : float, optional
        The fraction of the growth that the categories cover.
    """

    tasks: dict[str, TaskMemory]
    lanes: tuple[LaneMemory, ...]
    total: int
    engine: int
    shared_inputs: int
    budget: BudgetState | None = None
    weight_files: WeightFiles | None = None
    categories: dict[str, int] | None = None
    process: Process | None = None
    growth: int | None = None
    free: int | None = None
    unexplained: int | None = None
    explained: float | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain data, without what is not known."""
        return {key: value for key, value in asdict(self).items() if value is not None}
