"""The two sides of a comparison: files and models opened, and the inputs that both are fed."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mnnlite.errors import ArgumentError
from mnnlite.model import Model
from mnnlite.observe.cases import make_cases
from mnnlite.observe.dumps import DumpedModel
from mnnlite.observe.recording import ComparedModel, MnnModel
from mnnlite.observe.references import OnnxModel, TfliteModel

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["cases_for", "opened", "paired"]


@contextlib.contextmanager
def opened(
    what: Any, shapes: Mapping[str, Sequence[int]] | None, options: Mapping[str, Any] | None
) -> Iterator[ComparedModel]:
    """A side, from what was given for it."""
    if isinstance(what, Model):
        yield MnnModel(what, repr(what))
        return
    if not isinstance(what, (str, os.PathLike)):
        raise ArgumentError(f"got a {type(what).__name__}, wanted a path or a mnnlite.Model")
    name = os.fspath(what)
    suffix = Path(name).suffix.lower()
    if options and suffix != ".mnn":
        raise ArgumentError(f"{', '.join(options)}: only an .mnn file takes options, not {name}")
    if suffix == ".mnn":
        with Model(name, shapes=shapes, **(options or {})) as model:
            yield MnnModel(model, name)
    elif suffix == ".onnx":
        yield OnnxModel(name, {key: tuple(dims) for key, dims in (shapes or {}).items()})
    elif suffix == ".tflite":
        yield TfliteModel(name, {key: tuple(dims) for key, dims in (shapes or {}).items()})
    elif suffix == ".npz":
        yield DumpedModel(name)
    else:
        raise ArgumentError(f"{name} ends in {suffix!r}; wanted .mnn, .onnx, .tflite or a dump .npz")


def cases_for(
    tested: ComparedModel,
    wanted: ComparedModel,
    given: float | Mapping[str, NDArray[Any]] | None,
    seed: int,
    signed: bool,
    more: Mapping[str, Mapping[str, NDArray[Any]]],
) -> dict[str, dict[str, NDArray[Any]]]:
    """Inputs by case: those of a dump, if one side is one."""
    dumps = [side for side in (tested, wanted) if isinstance(side, DumpedModel)]
    if not dumps:
        return make_cases(tested.input_shapes(), given, seed, signed, more)
    shared = [case for case in dumps[0].cases() if all(case in each.cases() for each in dumps)]
    if not shared:
        raise ArgumentError(f"the dumps share no input: {dumps[0].cases()} and {dumps[1].cases()}")
    cases = {case: dumps[0].inputs(case) for case in shared}
    if isinstance(given, Mapping):
        cases = {case: {**inputs, **given} for case, inputs in cases.items()}
    return cases


def paired(inputs: Mapping[str, NDArray[Any]], side: ComparedModel) -> dict[str, NDArray[Any]]:
    """The same values under the side's names and in its order of axes."""
    import numpy as np

    shapes = side.input_shapes()
    if isinstance(side, DumpedModel):
        return dict(inputs)
    pairs = {name: name for name in shapes if name in inputs}
    if len(pairs) < len(shapes) and len(shapes) == len(inputs) == 1:
        pairs = dict(zip(shapes, inputs, strict=True))
    if len(pairs) != len(shapes):
        raise ArgumentError(
            f"{side.name} takes the inputs {', '.join(map(repr, shapes))}; there are values for "
            f"{', '.join(map(repr, inputs)) or 'none'}"
        )
    made = {}
    for name, (shape, dtype) in shapes.items():
        value = inputs[pairs[name]]
        if value.shape != shape and len(shape) == value.ndim == 4:
            for perm in ((0, 3, 1, 2), (0, 2, 3, 1)):
                if tuple(value.shape[axis] for axis in perm) == shape:
                    value = value.transpose(perm)
                    break
        if value.shape != shape and any(extent != 1 for extent in shape) and value.size != int(np.prod(shape)):
            raise ArgumentError(f"{side.name}: input {name!r} has shape {shape}, the values have {value.shape}")
        made[name] = np.ascontiguousarray(value, dtype).reshape(shape)  # which alone leaves a scalar one
    return made
