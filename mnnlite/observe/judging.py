"""What a difference between two networks may be: rounding, and what a change of the input in its last digits makes.

A difference relative to a tensor's largest value says nothing where that value is itself the small rest of large ones: the
normalised values of a constant, an edge filter on a plain picture, a score near zero behind a steep sigmoid. So each operator
may round its inputs, and each tensor may move as the reference's own does when the input moves by a hundred-thousandth.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mnnlite.observe.dumps import DumpedModel
from mnnlite.observe.recording import MnnModel

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from mnnlite.observe.matching import Match
    from mnnlite.observe.recording import ComparedModel, Recording

__all__ = ["MOVED", "Noise", "chooses", "picked", "rounding"]

_ROUNDING = 64 * 2.0**-23  # of an operator's largest input: single precision, over sums of some thousand terms
MOVED = 1e-5  # of the input's largest value; a step of an 8-bit picture is four hundred times that
# Operators that choose: a change too small to matter makes them give something else altogether.
_CHOICES = {
    *(
        "topk",
        "topkv2",
        "argmax",
        "argmin",
        "greater",
        "less",
        "greaterequal",
        "lessequal",
        "greaterorequal",
        "lessorequal",
    ),
    *(
        "equal",
        "notequal",
        "floor",
        "ceil",
        "round",
        "mod",
        "floormod",
        "floordiv",
        "sign",
        "nonzero",
        "nonmaxsuppression",
    ),
    *("quantize", "quantizelinear", "quant", "hardmax", "unique"),
}


def chooses(type_: str) -> bool:
    """Whether an operator of this type chooses."""
    return type_.lower().replace("_", "") in _CHOICES


def picked(
    found: NDArray[Any], reference: NDArray[Any], source: NDArray[Any] | None
) -> tuple[NDArray[Any], NDArray[Any]] | None:
    """What two tensors of indices pick from the values that they were chosen from; None where that cannot be told.

    Two values that are equal but for rounding may come in either order: then the indices differ, and nothing is wrong.
    """
    import numpy as np

    if source is None or source.ndim == 0 or reference.dtype.kind not in "iu" or found.size != reference.size:
        return None
    for axis in range(source.ndim - 1, -1, -1):
        kept = source.shape[:axis] + source.shape[axis + 1 :]
        if reference.shape == kept:
            shape = (*source.shape[:axis], 1, *source.shape[axis + 1 :])
        elif reference.ndim == source.ndim and reference.shape[:axis] + reference.shape[axis + 1 :] == kept:
            shape = reference.shape
        else:
            continue
        mine, theirs = (each.reshape(shape).astype(np.int64) for each in (found, reference))
        if (
            min(mine.min(initial=0), theirs.min(initial=0)) < 0
            or max(mine.max(initial=0), theirs.max(initial=0)) >= source.shape[axis]
        ):
            continue
        return np.take_along_axis(source, mine, axis), np.take_along_axis(source, theirs, axis)
    return None


def rounding(matches: list[Match], live: Recording) -> dict[int, float]:
    """By `id` of each match what its operator's rounding may make, in the tensor's unit."""
    import numpy as np

    made = {tensor.tensor_id: tensor for tensor in live.tensors if tensor.tensor_id >= 0}
    fed = max((_largest(value) for value in live.inputs.values()), default=0.0)
    result = {}
    for each in matches:
        inputs = [_largest(made[source].value) if source in made else fed for source in each.tensor.source_ids]
        result[id(each)] = float(_ROUNDING * max(inputs, default=0.0)) if each.tensor.value.dtype.kind == "f" else 0.0
    assert all(np.isfinite(value) for value in result.values())
    return result


def _largest(value: NDArray[Any]) -> float:
    import numpy as np

    if value.size == 0 or value.dtype.kind not in "fiu":
        return 0.0
    return float(np.nan_to_num(np.abs(value.astype(np.float64)), nan=0.0, posinf=0.0).max())


class Noise:
    """How far the reference's tensors move when its input moves a little: found out when it is asked for first.

    Parameters
    ----------
    side : ComparedModel
        The reference.
    recording : Recording
        Its run on `inputs`.
    inputs : dict of str to ndarray
    """

    def __init__(self, side: ComparedModel, recording: Recording, inputs: Mapping[str, NDArray[Any]]) -> None:
        self._side, self._recording, self._inputs = side, recording, inputs
        self._found: tuple[dict[str, float], dict[str, float]] | None = None

    def tensor(self, name: str) -> float:
        """Of an operator's tensor."""
        return self._measured()[0].get(name, 0.0)

    def output(self, name: str) -> float:
        """Of an output."""
        return self._measured()[1].get(name, 0.0)

    def _measured(self) -> tuple[dict[str, float], dict[str, float]]:
        if self._found is None:
            self._found = ({}, {})
            if not isinstance(self._side, DumpedModel):
                self._found = self._run()
        return self._found

    def _run(self) -> tuple[dict[str, float], dict[str, float]]:
        import numpy as np

        rng = np.random.default_rng(0)
        moved = {}
        for name, value in self._inputs.items():
            moved[name] = value
            if value.dtype.kind == "f":
                step = MOVED * _largest(value) * rng.uniform(-1, 1, value.shape)
                moved[name] = (value + step).astype(value.dtype)
        if isinstance(self._side, MnnModel):
            kept = {name: np.array(self._side.model.input(name)) for name in self._side.model.inputs}
        again = self._side.record("", moved)
        if isinstance(self._side, MnnModel):
            for name, value in kept.items():
                self._side.model.input(name)[...] = value
        before = {tensor.name: tensor.value for tensor in self._recording.tensors}
        tensors = {each.name: _apart(each.value, before[each.name]) for each in again.tensors if each.name in before}
        outputs = {
            name: _apart(value, self._recording.outputs[name])
            for name, value in again.outputs.items()
            if name in self._recording.outputs
        }
        return tensors, outputs


def _apart(a: NDArray[Any], b: NDArray[Any]) -> float:
    import numpy as np

    if a.shape != b.shape or a.dtype.kind != "f" or a.size == 0:
        return 0.0
    return float(np.nan_to_num(np.abs(a.astype(np.float64) - b.astype(np.float64)), nan=0.0, posinf=0.0).max())
