"""What a session became: its operators in order, where each runs, what it writes, and which outputs need it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mnnlite import _core

if TYPE_CHECKING:
    from mnnlite.model import Model

__all__ = ["Plan", "PlannedOperator", "held", "plan"]


@dataclass(frozen=True)
class PlannedOperator:
    """An operator of a session; fused operators are one.

    Parameters
    ----------
    name, type, backend : str
        As in `Operator`.
    mflops : float
        Multiply-adds in millions, as the engine counts them.
    inputs, outputs : tuple of (tuple of int or None, str)
        Shape and dtype of each tensor that it reads or writes; None for a shape that cannot be read.
    writes : int
        Bytes of its outputs, in plain order and as the dtype says.
    alive : int
        Bytes of all feature maps that are needed while it runs: those that it reads and writes, and those that a later
        operator reads. The largest of these sets the size of the engine's shared buffer, apart from alignment and padded
        channels.
    needed_by : tuple of str
        The network's outputs whose branches it is part of.
    """

    name: str
    type: str
    backend: str
    mflops: float
    inputs: tuple[tuple[tuple[int, ...] | None, str], ...]
    outputs: tuple[tuple[tuple[int, ...] | None, str], ...]
    writes: int
    alive: int
    needed_by: tuple[str, ...]


@dataclass(frozen=True)
class Plan:
    """What `plan` found.

    Parameters
    ----------
    operators : tuple of PlannedOperator
        In order of execution.
    backend : str
        The session's backend; an operator on another one fell back.
    memory : dict of str to int or None
        As `Model.memory`.
    """

    operators: tuple[PlannedOperator, ...]
    backend: str
    memory: dict[str, Any]

    @property
    def branches(self) -> dict[str, tuple[int, float]]:
        """By output: how many operators it needs, and their multiply-adds in millions."""
        found: dict[str, tuple[int, float]] = {}
        for op in self.operators:
            for name in op.needed_by:
                count, mflops = found.get(name, (0, 0.0))
                found[name] = (count + 1, mflops + op.mflops)
        return found

    @property
    def fell_back(self) -> tuple[PlannedOperator, ...]:
        """The operators for which the session's backend has no implementation."""
        return tuple(op for op in self.operators if op.backend != self.backend)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        branches = {name: {"operators": count, "mflops": mflops} for name, (count, mflops) in self.branches.items()}
        return {**asdict(self), "branches": branches}


def plan(model: Model) -> Plan:
    """List the operators of a session. It runs nothing.

    Parameters
    ----------
    model : Model

    Returns
    -------
    Plan

    Raises
    ------
    OutOfMemoryError, BusyError, ClosedError
    """
    operators, needed, main = _core.plan(model.native)
    users: list[list[str]] = [[] for _ in operators]
    for name, indices in needed.items():
        for index in indices:
            users[index].append(name)
    alive = [sum(each.values()) for each in held(operators)]
    listed = tuple(
        PlannedOperator(
            name=name,
            type=type_,
            backend=backend,
            mflops=mflops,
            inputs=tuple((shape, dtype) for _, shape, dtype, _ in ins),
            outputs=tuple((shape, dtype) for (_, shape, dtype, _), _ in outs),
            writes=sum(_bytes(tensor) for tensor, _ in outs),
            alive=alive[index],
            needed_by=tuple(users[index]),
        )
        for index, (name, type_, mflops, _, _, backend, ins, outs) in enumerate(operators)
    )
    return Plan(listed, main, model.memory())


def _bytes(tensor: tuple[int, tuple[int, ...] | None, str, str]) -> int:
    _, shape, dtype, _ = tensor
    return 0 if shape is None else int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize


def held(operators: list[Any]) -> list[dict[int, int]]:
    """Feature maps at each operator with their bytes: from the one that writes a tensor to the last that reads it."""
    last: dict[int, int] = {}
    for index, (*_, ins, outs) in enumerate(operators):
        for tensor in [*ins, *(out for out, _ in outs)]:
            last[tensor[0]] = index
    found: list[dict[int, int]] = []
    alive: dict[int, int] = {}
    for index, (*_, ins, outs) in enumerate(operators):
        for out, _ in outs:
            alive.setdefault(out[0], _bytes(out))
        found.append(dict(alive))
        for number in {tensor[0] for tensor in [*ins, *(out for out, _ in outs)]}:
            if last[number] == index:
                alive.pop(number, None)
    return found
