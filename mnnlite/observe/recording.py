"""Every tensor that a network computed for one input, whoever computed it: the common form that `compare` works on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from mnnlite.observe.tracing import trace_run

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from mnnlite.model import Model

__all__ = ["MnnModel", "TensorRecord", "Recording", "ComparedModel"]


@dataclass(frozen=True)
class TensorRecord:
    """A tensor that an operator computed.

    Parameters
    ----------
    name : str
        Of the tensor, as its network calls it.
    type, backend : str
        Of the operator; empty where unknown.
    value : ndarray
    sources : tuple of str
        Names of the tensors that the operator read, where known.
    place : tuple of int, optional
        Operator's and output's index in an engine run, so that the value can be replaced there.
    tensor_id, source_ids : int, tuple of int
        The engine's tensors, in an engine run.
    siblings : tuple of str
        All outputs of the operator, where known.
    """

    name: str
    type: str
    backend: str
    value: NDArray[Any]
    sources: tuple[str, ...] = ()
    place: tuple[int, int] | None = None
    tensor_id: int = -1
    source_ids: tuple[int, ...] = ()
    siblings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Recording:
    """One run of a network: what went in, what came out, and every tensor between in order of execution."""

    inputs: Mapping[str, NDArray[Any]]
    outputs: Mapping[str, NDArray[Any]]
    tensors: tuple[TensorRecord, ...]
    is_engine: bool = False
    facts: Mapping[str, Any] = field(default_factory=dict)


class ComparedModel(Protocol):
    """One of the two that are compared."""

    name: str
    fallback: str  # why another engine computes than the usual one, and which; mostly empty

    def cases(self) -> list[str] | None:
        """Names of the inputs it has results for; None if it can run on any."""

    def input_shapes(self) -> dict[str, tuple[tuple[int, ...], str]]:
        """Shape and dtype of each input."""

    def record(self, case: str, inputs: Mapping[str, NDArray[Any]]) -> Recording:
        """Run on `inputs`, or give what was recorded for `case`."""


class MnnModel:
    """A model in this process.

    Parameters
    ----------
    model : Model
        Stays the caller's.
    name : str
    """

    fallback = ""

    def __init__(self, model: Model, name: str) -> None:
        self.model, self.name = model, name

    def cases(self) -> None:
        """Any."""

    def input_shapes(self) -> dict[str, tuple[tuple[int, ...], str]]:
        """As the model says."""
        return {name: (info.shape, info.dtype) for name, info in self.model.inputs.items()}

    def record(
        self,
        case: str,
        inputs: Mapping[str, NDArray[Any]],
        replace: Mapping[tuple[int, int], NDArray[Any]] | None = None,
    ) -> Recording:
        """Run with every operator's values copied; `replace` as for `trace_run`."""
        import numpy as np

        run = trace_run(self.model, inputs, values=True, replace=replace)
        tensors = []
        for op in run.operators:
            source_ids = tuple(tensor.id for tensor in op.inputs)
            for number, out in enumerate(op.outputs):
                if out.values is not None:
                    name = op.name if number == 0 else f"{op.name}:{number}"
                    place = (op.index, number)
                    tensors.append(TensorRecord(name, op.type, op.backend, out.values, (), place, out.id, source_ids))
        fed = {name: np.array(self.model.input(name)) for name in self.model.inputs}
        return Recording(fed, run.outputs, tuple(tensors), True, {"unfitting": run.unfitting})
