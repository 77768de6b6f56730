"""Finds where a network's feature maps peak: how much memory each operator needs at once, and for which tensors."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from mnnlite import _core
from mnnlite.observe.planned import held

if TYPE_CHECKING:
    from mnnlite.model import Model

__all__ = ["FeatureMap", "Peaks", "WorkingSet", "peaks"]


@dataclass(frozen=True)
class FeatureMap:
    """A tensor that is alive while an operator runs.

    Parameters
    ----------
    writer, reader : str
        Names of the operator that writes it and of the last one that reads it.
    shape : tuple of int or None
        None if the engine does not tell it.
    dtype : str
    bytes : int
        Its size in plain order with this dtype.
    """

    writer: str
    reader: str
    shape: tuple[int, ...] | None
    dtype: str
    bytes: int


@dataclass(frozen=True)
class WorkingSet:
    """What one operator needs at once.

    Parameters
    ----------
    index : int
        Position of the operator in the order of execution.
    name, type : str
        As in `Operator`.
    bytes : int
        Size of all feature maps: those that it reads and writes, and those that a later operator reads.
    tensors : tuple of FeatureMap
        These feature maps, the largest first. Inputs of the network are not among them: they have memory of their own.
    """

    index: int
    name: str
    type: str
    bytes: int
    tensors: tuple[FeatureMap, ...]


@dataclass(frozen=True)
class Peaks:
    """What `peaks` found.

    Parameters
    ----------
    operators : tuple of WorkingSet
        In order of execution.
    buffer : int
        Bytes of the engine's shared buffer for feature maps, ``dynamic`` of `Model.memory`. The engine works in place where
        it can and pads channels to groups, so it differs from the largest working set. None on a GPU: it is not known there.
    """

    operators: tuple[WorkingSet, ...]
    buffer: int | None

    @property
    def peak(self) -> WorkingSet:
        """The operator that needs most; the first of several."""
        return max(self.operators, key=lambda each: each.bytes)

    def largest(self, count: int) -> list[WorkingSet]:
        """The `count` operators that need most, in descending order."""
        return sorted(self.operators, key=lambda each: -each.bytes)[:count]

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return asdict(self)


def peaks(model: Model) -> Peaks:
    """List what each operator needs at once, in the engine's order. It runs nothing.

    Parameters
    ----------
    model : Model

    Returns
    -------
    Peaks

    Raises
    ------
    OutOfMemoryError, BusyError, ClosedError
    """
    operators, _, _ = _core.plan(model.native)
    writers: dict[int, tuple[str, tuple[int, ...] | None, str]] = {}
    readers: dict[int, str] = {}
    for name, *_, ins, outs in operators:
        for (number, shape, dtype, _), _ in outs:
            writers.setdefault(number, (name, shape, dtype))
            readers[number] = name
        for number, *_ in ins:
            readers[number] = name
    found = []
    for index, ((name, kind, *_), alive) in enumerate(zip(operators, held(operators), strict=True)):
        tensors = [
            FeatureMap(writers[number][0], readers[number], writers[number][1], writers[number][2], size)
            for number, size in sorted(alive.items(), key=lambda each: -each[1])
        ]
        found.append(WorkingSet(index, name, kind, sum(alive.values()), tuple(tensors)))
    return Peaks(tuple(found), model.memory()["dynamic"])
