"""The memory report: what each loaded model or task holds, beside what the process has grown by."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from mnnlite.errors import ArgumentError
from mnnlite.model import Model
from mnnlite.proc import Process, process
from mnnlite.task import Task

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mnnlite.arena import Arena

__all__ = ["ModelMemory", "MemoryReport", "models_memory", "memory_report"]


@dataclass(frozen=True)
class ModelMemory:
    """What one model holds, in bytes. None is what is not known: of a GPU the engine counts neither weights nor feature maps.

    Parameters
    ----------
    model : str
    model_buffer : int
        The file's content; 0 once it was released.
    weights : int
        Weights, biases and operators.
    mapped : int
        Of the weights, what lies in files instead of anonymous memory.
    feature_maps : int
        What the model needs of its arena's shared buffer.
    feature_maps_charged : int
        Its part of that buffer, which is as large as the largest need: by need, so that the parts of an arena's models
        add up to the buffer.
    feature_maps_owner : str
        The model whose need made the buffer as large as it is.
    inputs, outputs : int
        Tensors at the borders. Input memory that tasks of a lane share is no task's: see `MemoryReport.shared_inputs`.
    scratch : int
        Of a task: memory of image plans and decoders, and room for results.
    """

    model: str
    model_buffer: int
    weights: int | None
    mapped: int
    feature_maps: int | None
    feature_maps_charged: int | None
    feature_maps_owner: str
    inputs: int
    outputs: int
    scratch: int = 0

    @property
    def total(self) -> int:
        """What the model is charged with, mapped weights included; of what is known."""
        tensors = (self.feature_maps_charged or 0) + self.inputs + self.outputs
        return self.model_buffer + (self.weights or 0) + tensors + self.scratch


@dataclass(frozen=True)
class MemoryReport:
    """What loaded models hold, beside the process.

    Parameters
    ----------
    models : tuple of ModelMemory
    shared_inputs : int
        Bytes of input memory that tasks of a lane share: as large as the largest needs.
    now, since : Process
        The process now, and when counting began.
    heap : int
        Bytes of malloc handed out since then beyond what the models hold: the engine's own structures, Python's objects. -1
        where the C library does not say.
    free : int
        Bytes that malloc holds free and that have pages: of networks that went, and of loading.
    """

    models: tuple[ModelMemory, ...]
    shared_inputs: int
    now: Process
    since: Process
    heap: int
    free: int = 0

    @property
    def growth(self) -> int:
        """Bytes by which anonymous memory grew."""
        return self.now.anonymous - self.since.anonymous

    @property
    def categories(self) -> dict[str, int]:
        """The same as the field's four sources of memory, in bytes."""
        return {
            "model buffer": sum(each.model_buffer for each in self.models),
            "feature maps": self.shared_inputs
            + sum((each.feature_maps_charged or 0) + each.inputs + each.outputs for each in self.models),
            "parameters": sum((each.weights or 0) - each.mapped for each in self.models),
            "heap and stack": max(0, self.heap) + self.free + sum(each.scratch for each in self.models),
        }

    @property
    def unexplained(self) -> int:
        """Bytes of growth that no category has.

        Negative where memory that is counted has no page yet, or fills pages that malloc held free at the start.
        """
        return self.growth - sum(self.categories.values())

    @property
    def explained(self) -> float:
        """The fraction of the growth that the categories cover, at most 1."""
        return min(1.0, 1 - self.unexplained / self.growth) if self.growth > 0 else 1.0

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "models": [{**asdict(each), "total": each.total} for each in self.models],
            "shared_inputs": self.shared_inputs,
            "categories": self.categories,
            "process": asdict(self.now),
            "growth": self.growth,
            "free": self.free,
            "unexplained": self.unexplained,
            "explained": self.explained,
        }


def memory_report(
    models: Model | Task | Mapping[str, Model | Task], since: Process, shared_inputs: int = 0
) -> MemoryReport:
    """Account for the memory of loaded models.

    Parameters
    ----------
    models : Model, Task, or dict of str to one of them
        All of the arenas concerned, or their buffers are charged to the ones given.
    since : Process
        `mnnlite.proc.process` before the first of them was loaded.
    shared_inputs : int
        Bytes of input memory that several of them share and that none counts as its own.

    Returns
    -------
    MemoryReport
        Feature maps and outputs are counted as if each model had run: their pages appear with the first run.

    Raises
    ------
    ClosedError
        A model is closed.
    StateError
        Memory cannot be measured on this system.
    """
    named = {"model": models} if isinstance(models, (Model, Task)) else dict(models)
    found = models_memory(named)
    now = process()
    known = sum(each.total - each.mapped for each in found) + shared_inputs
    heap, free = -1, 0
    if now.malloc_used >= 0:
        heap = max(0, now.malloc_used - since.malloc_used - known)
        # What malloc holds free has pages or not; no more than is left over has.
        free = min(now.malloc_free, max(0, now.anonymous - since.anonymous - known - heap))
    return MemoryReport(found, shared_inputs, now, since, heap, free)


def models_memory(named: Mapping[str, Model | Task]) -> tuple[ModelMemory, ...]:
    """What each holds, without a look at the process."""
    for name, each in named.items():
        if not isinstance(each, (Model, Task)):
            raise ArgumentError(f"models[{name!r}] is a {type(each).__name__}, wanted a mnnlite.Model or Task")
    models = {name: each.model if isinstance(each, Task) else each for name, each in named.items()}
    terms = {name: model.memory() for name, model in models.items()}
    arenas: dict[Arena, list[str]] = {}
    first: dict[int, str] = {}  # tasks may share a model, which the first of them is charged with
    for name, model in models.items():
        if first.setdefault(id(model), name) == name:
            arenas.setdefault(model.arena, []).append(name)
        else:
            terms[name] = dict.fromkeys(terms[name], 0)
    found = []
    for name, model in models.items():
        own, mates, each = terms[name], arenas[model.arena], named[name]
        owner = max(mates, key=lambda mate: terms[mate]["dynamic"] or 0)
        together = sum(terms[mate]["dynamic"] or 0 for mate in mates)
        charged = terms[owner]["dynamic"] * own["dynamic"] // together if together else own["dynamic"]
        weights = None if own["static"] is None else own["static"] - own["outputs"]
        found.append(
            ModelMemory(
                model=name,
                model_buffer=own["model_buffer"],
                weights=weights,
                # Outputs begin in the file, but do not stay.
                mapped=own["mapped"] if weights is None else min(own["mapped"], weights),
                feature_maps=own["dynamic"],
                feature_maps_charged=charged,
                feature_maps_owner=owner,
                inputs=own["inputs"],
                outputs=own["outputs"],
                scratch=each.native.scratch_bytes if isinstance(each, Task) else 0,
            )
        )
    return tuple(found)
