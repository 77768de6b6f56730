"""Two networks that should compute the same: the first operator where they part, and whether it parts there by itself."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mnnlite.errors import ArgumentError
from mnnlite.model import Model
from mnnlite.observe.cases import make_cases
from mnnlite.observe.dumps import DumpedModel
from mnnlite.observe.matching import Match, base_name, match
from mnnlite.observe.metrics import Difference, difference
from mnnlite.observe.recording import ComparedModel, MnnModel, Recording
from mnnlite.observe.references import OnnxModel, TfliteModel
from mnnlite.observe.sources import source_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from mnnlite.observe.inputs import InputFinding

__all__ = ["CaseResult", "Comparison", "Deviation", "OperatorDifference", "compare"]

TOLERANCE = 2e-3  # of a tensor's largest value: twice what float32 kernels of different engines were seen to differ by
_OUTPUTS = 5  # times that for outputs, where the differences of all operators have added up


@dataclass(frozen=True)
class OperatorDifference:
    """A matched tensor.

    Parameters
    ----------
    op, type, backend : str
        The operator that computed it in the network under test. A copy that the engine made for the next operator has
        the name of what it stands for in the reference.
    tensor : str
        The reference's tensor; where operators were fused, the last of them.
    covers : tuple of str
        The reference's tensors that were fused into the operator.
    matched_by : {"name", "place", "value"}
    shape, reference_shape : tuple of int
    difference : Difference
        With everything before it as it was computed.
    own : Difference, optional
        With everything before it fed from the reference: what this operator alone adds. None where nothing could be
        fed.
    """

    op: str
    type: str
    backend: str
    tensor: str
    covers: tuple[str, ...]
    matched_by: str
    shape: tuple[int, ...]
    reference_shape: tuple[int, ...]
    difference: Difference
    own: Difference | None


@dataclass(frozen=True)
class Deviation:
    """The first operator beyond tolerance.

    Parameters
    ----------
    op, type, backend, tensor
        As in `OperatorDifference`.
    max_abs, relative, cosine : float
        As in `Difference`; of the operator alone where it could be fed.
    born_here : bool
        It deviates although its inputs are the reference's; False where the difference only grew over many operators.
    case : str
        The input that shows it.
    detail : OperatorDifference
    source : str
        Where the engine implements this type on this backend; empty if unknown.
    unmatched_before : tuple of str
        Operators between the last good tensor and this one that have no partner: it may be one of them.
    """

    op: str
    type: str
    backend: str
    tensor: str
    max_abs: float
    relative: float
    cosine: float
    born_here: bool
    case: str
    detail: OperatorDifference
    source: str
    unmatched_before: tuple[str, ...]


@dataclass(frozen=True)
class CaseResult:
    """One input's operators in order of execution, outputs, and the names of tensors without a partner."""

    name: str
    operators: tuple[OperatorDifference, ...]
    outputs: Mapping[str, Difference]
    unmatched: tuple[str, ...]
    deviation: Deviation | None


@dataclass(frozen=True)
class Comparison:
    """What `compare` found.

    Parameters
    ----------
    a, b : str
        Names of the network under test and of the reference.
    cases : tuple of CaseResult
    tolerance : float
    input : InputFinding, optional
        The input tensors themselves, where a picture was given.
    """

    a: str
    b: str
    cases: tuple[CaseResult, ...]
    tolerance: float
    input: InputFinding | None = None

    @property
    def first_deviation(self) -> Deviation | None:
        """The first operator that deviates by itself, over all inputs; else the first that inherited too much."""
        found = [case.deviation for case in self.cases if case.deviation is not None]
        order = {each.op: place for case in reversed(self.cases) for place, each in enumerate(case.operators)}
        return min(found, key=lambda each: (not each.born_here, order[each.op]), default=None)

    @property
    def input_equal(self) -> bool:
        """Whether both were fed the same."""
        return self.input is None or self.input.equal

    @property
    def outputs(self) -> dict[str, Difference]:
        """The worst difference of each output over all inputs."""
        worst: dict[str, Difference] = {}
        for case in self.cases:
            for name, found in case.outputs.items():
                if name not in worst or not found.relative <= worst[name].relative:
                    worst[name] = found
        return worst

    def output_ok(self, found: Difference) -> bool:
        """Whether an output is within tolerance: five times an operator's."""
        return found.relative <= _OUTPUTS * self.tolerance

    @property
    def equal(self) -> bool:
        """Nothing was found, and at least one output could be compared."""
        outputs = self.outputs.values()
        return self.input_equal and self.first_deviation is None and bool(outputs) and all(map(self.output_ok, outputs))

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON; numbers that are not finite become None."""
        first = self.first_deviation
        outputs = {name: {**asdict(found), "ok": self.output_ok(found)} for name, found in self.outputs.items()}
        plain: dict[str, Any] = _finite(
            {
                "a": self.a,
                "b": self.b,
                "tolerance": self.tolerance,
                "equal": self.equal,
                "input_equal": self.input_equal,
                "input": asdict(self.input) if self.input else None,
                "first_deviation": asdict(first) if first else None,
                "outputs": outputs,
                "matched": max((len(case.operators) for case in self.cases), default=0),
                "unmatched": max((len(case.unmatched) for case in self.cases), default=0),
                "cases": [
                    {
                        "name": case.name,
                        "operators": [asdict(each) for each in case.operators],
                        "unmatched": list(case.unmatched),
                    }
                    for case in self.cases
                ],
            }
        )
        return plain


def compare(
    a: Any,
    reference: Any,
    *,
    input: float | Mapping[str, NDArray[Any]] | None = None,
    input_finding: InputFinding | None = None,
    tolerance: float = TOLERANCE,
    seed: int = 0,
    shapes: Mapping[str, Sequence[int]] | None = None,
    options: Mapping[str, Any] | None = None,
    reference_options: Mapping[str, Any] | None = None,
) -> Comparison:
    """Find the first operator where two networks part.

    Parameters
    ----------
    a, reference : path or Model
        The network under test and what it should equal: any two of an ``.mnn``, ``.onnx`` or ``.tflite`` file, a dump
        (``.npz``, see `dump`), or a loaded `Model`.
    input : float or dict of str to ndarray, optional
        A number takes the place of 0.46875 in the constant input; arrays, by names of `a`'s inputs, are a third input
        after the constant and the random one. With a dump on one side its inputs are used.
    input_finding : InputFinding, optional
        What `compare_inputs` said, to be part of the result.
    tolerance : float
        Largest difference of a tensor over its largest value.
    seed : int
        Of the random input.
    shapes : dict of str to tuple of int, optional
        Of inputs whose file leaves axes open.
    options, reference_options : dict, optional
        ``precision``, ``backend``, ``threads`` and so on, for an ``.mnn`` file.

    Returns
    -------
    Comparison

    Raises
    ------
    ArgumentError, ModelError, EngineError, TensorNotFoundError
        A side cannot be loaded or run, or their inputs are not the same.
    MissingExtraError
        A library is missing that the extra ``compare`` brings.

    Notes
    -----
    Where one side is an engine in this process it runs twice on each input: as it is, and with every matched tensor
    replaced by the other side's, so that each operator is fed the same as its counterpart and shows what it adds by
    itself. All tensors of both runs are in memory together.
    """
    if not tolerance > 0:
        raise ArgumentError(f"tolerance is {tolerance!r}; wanted a number above 0")
    with _opened(a, shapes, options) as tested, _opened(reference, shapes, reference_options) as wanted:
        cases = tuple(
            _compare_case(case, tested, wanted, values, tolerance)
            for case, values in _cases(tested, wanted, input, seed).items()
        )
        return Comparison(tested.name, wanted.name, cases, tolerance, input_finding)


@contextlib.contextmanager
def _opened(
    what: Any, shapes: Mapping[str, Sequence[int]] | None, options: Mapping[str, Any] | None
) -> Iterator[ComparedModel]:
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
        yield TfliteModel(name)
    elif suffix == ".npz":
        yield DumpedModel(name)
    else:
        raise ArgumentError(f"{name} ends in {suffix!r}; wanted .mnn, .onnx, .tflite or a dump .npz")


def _cases(
    tested: ComparedModel, wanted: ComparedModel, given: float | Mapping[str, NDArray[Any]] | None, seed: int
) -> dict[str, dict[str, NDArray[Any]]]:
    dumps = [side for side in (tested, wanted) if isinstance(side, DumpedModel)]
    if not dumps:
        return make_cases(tested.input_shapes(), given, seed)
    shared = [case for case in dumps[0].cases() if all(case in each.cases() for each in dumps)]
    if not shared:
        raise ArgumentError(f"the dumps share no input: {dumps[0].cases()} and {dumps[1].cases()}")
    cases = {case: dumps[0].inputs(case) for case in shared}
    if isinstance(given, Mapping):
        cases = {case: {**inputs, **given} for case, inputs in cases.items()}
    return cases


def _paired(inputs: Mapping[str, NDArray[Any]], side: ComparedModel) -> dict[str, NDArray[Any]]:
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
        made[name] = np.ascontiguousarray(value.reshape(shape), dtype)
    return made


def _compare_case(
    case: str, tested: ComparedModel, wanted: ComparedModel, values: Mapping[str, NDArray[Any]], tolerance: float
) -> CaseResult:
    found = tested.record(case, _paired(values, tested))
    reference = wanted.record(case, _paired(values, wanted))
    # Feeding operators needs an engine in this process. If only the reference is one, its operators are fed with the
    # tested side's tensors: what differs then is the same.
    swapped = not isinstance(tested, MnnModel) and (
        isinstance(wanted, MnnModel) or (reference.is_engine and not found.is_engine)
    )
    live, other = (reference, found) if swapped else (found, reference)
    side = wanted if swapped else tested
    matches, unmatched = match(live, other)
    own = _own(side, live, matches, swapped) if isinstance(side, MnnModel) else {}
    operators = []
    for each in matches:
        theirs = each.wanted(each.reference.value)
        mine = each.tensor.value
        pair = (theirs, mine) if swapped else (mine, theirs)
        operator = each.reference if swapped else each.tensor
        operators.append(
            OperatorDifference(
                op=base_name(operator.name) if each.by == "name" else each.reference.name,
                type=operator.type or each.tensor.type,
                backend=operator.backend,
                tensor=each.tensor.name if swapped else each.reference.name,
                covers=each.covers,
                matched_by=each.by,
                shape=pair[0].shape,
                reference_shape=(each.tensor if swapped else each.reference).value.shape,
                difference=difference(*pair),
                own=own.get(id(each)),
            )
        )
    outputs = _outputs(found, reference)
    deviation = _first(case, operators, matches, live, outputs, tolerance)
    return CaseResult(case, tuple(operators), outputs, tuple(each.name for each in unmatched), deviation)


def _own(side: MnnModel, live: Recording, matches: Sequence[Match], swapped: bool) -> dict[int, Difference]:
    """What each operator adds by itself: run again with every matched tensor replaced once it was copied."""
    import numpy as np

    replace = {
        each.tensor.place: np.ascontiguousarray(each.wanted(each.reference.value), np.float32)
        for each in matches
        if each.tensor.place is not None and each.tensor.value.dtype.kind == "f"
    }
    fed = side.record("", {}, replace)
    values = {tensor.place: tensor.value for tensor in fed.tensors}
    result = {}
    for each in matches:
        theirs, mine = each.wanted(each.reference.value), values[each.tensor.place]
        result[id(each)] = difference(theirs, mine) if swapped else difference(mine, theirs)
    return result


def _outputs(found: Recording, reference: Recording) -> dict[str, Difference]:
    names = {name: name for name in found.outputs if name in reference.outputs}
    if not names and len(found.outputs) == len(reference.outputs) == 1:
        names = dict(zip(found.outputs, reference.outputs, strict=True))
    result = {}
    for name, other in names.items():
        mine, theirs = found.outputs[name], reference.outputs[other]
        if mine.size == theirs.size:
            result[name] = difference(mine, theirs.reshape(mine.shape))
    return result


def _first(
    case: str,
    operators: Sequence[OperatorDifference],
    matches: Sequence[Match],
    live: Recording,
    outputs: Mapping[str, Difference],
    tolerance: float,
) -> Deviation | None:
    inherited = None
    for place, each in enumerate(operators):
        if each.difference.relative <= tolerance:
            continue
        # Everything matched before it is fine or was cleared as inherited, so without a fed run it is born here too.
        born = each.own is None or each.own.relative > tolerance
        if born or inherited is None:
            shown = each.own if born and each.own is not None else each.difference
            deviation = Deviation(
                op=each.op,
                type=each.type,
                backend=each.backend,
                tensor=each.tensor,
                max_abs=shown.max_abs,
                relative=shown.relative,
                cosine=shown.cosine,
                born_here=born,
                case=case,
                detail=each,
                source=source_of(each.type, each.backend),
                unmatched_before=_between(matches, place, live),
            )
            if born:
                return deviation
            inherited = deviation
    # Small differences that add up are no fault while the outputs are fine.
    if all(found.relative <= _OUTPUTS * tolerance for found in outputs.values()):
        return None
    return inherited


def _between(matches: Sequence[Match], place: int, live: Recording) -> tuple[str, ...]:
    """Operators without a partner that lead from matched tensors to this one."""
    producers = {tensor.tensor_id: tensor for tensor in live.tensors if tensor.tensor_id >= 0}
    matched = {id(each.tensor) for each in matches}
    seen: dict[str, None] = {}
    waiting = list(matches[place].tensor.source_ids)
    visited = set(waiting)
    while waiting:
        tensor = producers.get(waiting.pop())
        if tensor is None or id(tensor) in matched:
            continue
        if tensor.type != "Raster":  # a copy adds nothing of its own
            seen[tensor.name] = None
        waiting += [each for each in tensor.source_ids if each not in visited]
        visited.update(tensor.source_ids)
    return tuple(seen)


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if value - value == 0 else None
    if isinstance(value, Mapping):
        return {key: _finite(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(each) for each in value]
    return value
