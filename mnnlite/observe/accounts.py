"""The memory ledger: what each loaded model holds, beside what the process has grown by."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from mnnlite.errors import ArgumentError
from mnnlite.model import Model
from mnnlite.proc import Process, process

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mnnlite.model import Arena

__all__ = ["Account", "Ledger", "ledger"]


@dataclass(frozen=True)
class Account:
    """What one model holds, in bytes.

    Parameters
    ----------
    model : str
    model_buffer : int
        The file's content; 0 once it was released.
    weights : int
        Weights, biases and operators.
    feature_maps : int
        What the model needs of its arena's shared buffer.
    feature_maps_share : int
        Its part of that buffer, which is as large as the largest need: by need, so that the parts of an arena's models
        add up to the buffer.
    feature_maps_owner : str
        The model whose need made the buffer as large as it is.
    inputs, outputs : int
        Tensors at the borders.
    """

    model: str
    model_buffer: int
    weights: int
    feature_maps: int
    feature_maps_share: int
    feature_maps_owner: str
    inputs: int
    outputs: int

    @property
    def total(self) -> int:
        """What the model is charged with."""
        return self.model_buffer + self.weights + self.feature_maps_share + self.inputs + self.outputs


@dataclass(frozen=True)
class Ledger:
    """Accounts of models beside the process.

    Parameters
    ----------
    accounts : tuple of Account
    now, since : Process
        The process now, and when counting began.
    heap : int
        Bytes of malloc handed out since then beyond the accounts: the engine's own structures, Python's objects. -1
        where the C library does not say.
    """

    accounts: tuple[Account, ...]
    now: Process
    since: Process
    heap: int

    @property
    def growth(self) -> int:
        """Bytes by which anonymous memory grew."""
        return self.now.anonymous - self.since.anonymous

    @property
    def categories(self) -> dict[str, int]:
        """The same as the field's four sources of memory, in bytes."""
        return {
            "model buffer": sum(each.model_buffer for each in self.accounts),
            "feature maps": sum(each.feature_maps_share + each.inputs + each.outputs for each in self.accounts),
            "parameters": sum(each.weights for each in self.accounts),
            "heap and stack": max(0, self.heap),
        }

    @property
    def unexplained(self) -> int:
        """Bytes of growth that no category has.

        Negative where memory that is counted has no page yet, or fills pages that malloc held free at the start.
        """
        return self.growth - sum(self.categories.values())

    @property
    def explained(self) -> float:
        """The share of the growth that the categories cover, at most 1."""
        return min(1.0, 1 - self.unexplained / self.growth) if self.growth > 0 else 1.0

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "models": [{**asdict(each), "total": each.total} for each in self.accounts],
            "categories": self.categories,
            "process": asdict(self.now),
            "growth": self.growth,
            "unexplained": self.unexplained,
            "explained": self.explained,
        }


def ledger(models: Model | Mapping[str, Model], since: Process) -> Ledger:
    """Account for the memory of loaded models.

    Parameters
    ----------
    models : Model or dict of str to Model
        All models of the arenas concerned, or their buffers are charged to the ones given.
    since : Process
        `process` before the first of them was loaded.

    Returns
    -------
    Ledger
        Feature maps and outputs are counted as if each model had run: their pages appear with the first run.

    Raises
    ------
    ClosedError
        A model is closed.
    StateError
        Memory cannot be measured on this system.
    """
    named = {"model": models} if isinstance(models, Model) else dict(models)
    for name, model in named.items():
        if not isinstance(model, Model):
            raise ArgumentError(f"models[{name!r}] is a {type(model).__name__}, wanted a mnnlite.Model")
    terms = {name: model.memory() for name, model in named.items()}
    arenas: dict[Arena, list[str]] = {}
    for name, model in named.items():
        arenas.setdefault(model.arena, []).append(name)
    accounts = []
    for name, model in named.items():
        own, mates = terms[name], arenas[model.arena]
        owner = max(mates, key=lambda mate: terms[mate]["dynamic"])
        together = sum(terms[mate]["dynamic"] for mate in mates)
        share = terms[owner]["dynamic"] * own["dynamic"] // together if together else 0
        accounts.append(
            Account(
                model=name,
                model_buffer=own["model_buffer"],
                weights=own["static"] - own["outputs"],
                feature_maps=own["dynamic"],
                feature_maps_share=share,
                feature_maps_owner=owner,
                inputs=own["inputs"],
                outputs=own["outputs"],
            )
        )
    now = process()
    heap = -1
    if now.malloc_used >= 0:
        heap = max(0, now.malloc_used - since.malloc_used - sum(each.total for each in accounts))
    return Ledger(tuple(accounts), now, since, heap)
