"""One run of a model, operator by operator: times, shapes, backends and, on request, every operator's values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mnnlite import _core
from mnnlite.errors import ArgumentError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray

    from mnnlite.model import Model
    from mnnlite.perfetto import TraceWriter

__all__ = ["Operator", "OperatorTensor", "TracedRun", "trace_run"]


@dataclass(frozen=True)
class OperatorTensor:
    """A tensor that an operator reads or writes.

    Parameters
    ----------
    id : int
        A number that is the same for the same tensor of the engine within a run.
    shape : tuple of int, or None
        None for a rank or a type that cannot be read.
    dtype, layout : str
        As in `mnnlite.TensorInfo`.
    values : ndarray, optional
        The values in plain order (never packed, never half floats). Only outputs have them, and only on request.
    """

    id: int
    shape: tuple[int, ...] | None
    dtype: str
    layout: str
    values: NDArray[Any] | None = None


@dataclass(frozen=True)
class Operator:
    """An operator of the engine as it was executed; fused operators are one.

    Parameters
    ----------
    index : int
        Position in the order of execution.
    name, type : str
        The engine's name and type. The name is that of the tensor that the operator computes, as in the source network if
        the converter kept it. Names of operators that the engine added to move data end in ``_raster_N``.
    backend : str
        ``"cpu"``, ``"cpu-ext"`` (the CPU's faster instructions: AVX2, or half floats), or a GPU's name. An operator that
        the faster one lacks falls back to ``"cpu"``.
    mflops : float
        Multiply-adds in millions, as the engine counts them.
    start_ns, stop_ns : int
        Start and end, by the clock of ``time.monotonic_ns``.
    inputs, outputs : tuple of OperatorTensor
    """

    index: int
    name: str
    type: str
    backend: str
    mflops: float
    start_ns: int
    stop_ns: int
    inputs: tuple[OperatorTensor, ...]
    outputs: tuple[OperatorTensor, ...]

    @property
    def ms(self) -> float:
        """Milliseconds of execution."""
        return (self.stop_ns - self.start_ns) / 1e6


@dataclass(frozen=True)
class TracedRun:
    """What `trace_run` returns.

    Parameters
    ----------
    operators : tuple of Operator
        In order of execution.
    outputs : dict of str to ndarray
        The network's outputs, as ``Model.run`` gives them.
    start_ns, stop_ns : int
        Start and end of the whole run, including callbacks.
    unfitting : int
        How many values of `replace` fitted no tensor.
    backend : str
        The session's; operators on another one are those that it lacks.
    is_timed : bool
        Times of operators are times of their work. Not on Vulkan, where each has none.
    """

    operators: tuple[Operator, ...]
    outputs: dict[str, NDArray[Any]]
    start_ns: int
    stop_ns: int
    unfitting: int
    backend: str = "cpu"
    is_timed: bool = True

    def add_to(self, writer: TraceWriter, track: str, name: str) -> None:
        """Add to a trace: one span for the run, one inside for every operator."""
        writer.span(track, name, self.start_ns, self.stop_ns, category="run")
        for op in self.operators:
            shapes = ["x".join(map(str, out.shape or ())) for out in op.outputs]
            facts = {"type": op.type, "backend": op.backend, "mflops": op.mflops, "outputs": shapes}
            writer.span(track, op.name, op.start_ns, op.stop_ns, facts, category="operator")


def trace_run(
    model: Model,
    inputs: Mapping[str, NDArray[Any]] | None = None,
    *,
    values: bool | Iterable[int] = False,
    replace: Mapping[tuple[int, int], NDArray[Any]] | None = None,
) -> TracedRun:
    """Run a model with a callback around every operator.

    Parameters
    ----------
    model : Model
    inputs : dict of str to ndarray, optional
        As for ``Model.run``.
    values : bool or iterable of int
        Copy the outputs of every operator, or of those with these indices. It takes as much memory as all of them.
    replace : dict of (int, int) to ndarray, optional
        By index of an operator and of its output: values that replace what it computed, after that was copied. Operators
        that read the tensor get these values. They are float32 in plain order, as many as the tensor has elements.

    Returns
    -------
    TracedRun

    Raises
    ------
    ArgumentError, TensorNotFoundError, LayoutError, DTypeError
        The inputs do not fit. Nothing has run.
    EngineError, OutOfMemoryError, BusyError, ClosedError

    Notes
    -----
    The GIL is released during the run. A traced run is slower than a plain one by the callbacks and copies; a plain one
    pays nothing for the possibility.
    """
    for name, value in (inputs or {}).items():
        view = model.input(name)
        if view.shape != value.shape:
            raise ArgumentError(f"input {name!r} has shape {value.shape}, the tensor has {view.shape}")
        view[...] = value
    wanted = values if isinstance(values, bool) else list(values)
    found = _core.trace(model.native, wanted, dict(replace or {}))
    operators = tuple(
        Operator(
            index,
            name,
            type_,
            backend,
            mflops,
            start,
            stop,
            tuple(_tensor(tensor) for tensor in ins),
            tuple(_tensor(tensor, copied) for tensor, copied in outs),
        )
        for index, (name, type_, mflops, start, stop, backend, ins, outs) in enumerate(found["operators"])
    )
    return TracedRun(
        operators,
        found["outputs"],
        found["start_ns"],
        found["stop_ns"],
        found["unfitting"],
        found["backend"],
        found["timed"],
    )


def _tensor(found: tuple[int, tuple[int, ...] | None, str, str], values: NDArray[Any] | None = None) -> OperatorTensor:
    number, shape, dtype, layout = found
    return OperatorTensor(number, shape, dtype, layout, values)
