"""One input on both networks: every tensor that has a partner, what each operator adds by itself, and the outputs."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mnnlite.observe.judging import MOVED, Noise, chooses, picked, rounding
from mnnlite.observe.matching import Match, base_name, match
from mnnlite.observe.metrics import Difference, difference
from mnnlite.observe.opening import paired
from mnnlite.observe.recording import ComparedModel, MnnModel, Recording
from mnnlite.observe.sources import source_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from mnnlite.observe.recording import TensorRecord

__all__ = ["OUTPUTS", "CaseResult", "Deviation", "OperatorDifference", "compare_case"]

OUTPUTS = 5  # times an operator's tolerance for outputs, where the differences of all operators have added up
_MOST = 0.05  # of an output's largest value, that small differences of operators may have grown to
_MANY = 8  # tensors beyond tolerance, none by itself, and a tenth of all: to be said


def _within(found: Difference, tolerance: float, allowed: float) -> bool:
    return found.relative <= tolerance or found.max_abs <= allowed


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
        The difference with all operators before it as they were computed.
    own : Difference, optional
        The difference with the reference's values as its inputs, which is what this operator alone adds. None if its inputs
        could not be replaced.
    allowed : float
        Absolute difference that rounding explains, or a change of the input in its last digits.
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
    allowed: float = 0.0

    def beyond(self, tolerance: float) -> bool:
        """Whether it deviates, with all operators before it as they were computed."""
        return not _within(self.difference, tolerance, self.allowed)

    def born(self, tolerance: float) -> bool:
        """Whether it deviates by itself. If its inputs could not be replaced, this is whether it deviates at all."""
        return not _within(self.difference if self.own is None else self.own, tolerance, self.allowed)


@dataclass(frozen=True)
class Deviation:
    """The first operator beyond tolerance.

    Parameters
    ----------
    op, type, backend, tensor
        As in `OperatorDifference`.
    max_abs, relative, cosine : float
        As in `Difference`, for the operator alone if its inputs could be replaced.
    born_here : bool
        Whether it deviates although its inputs are the reference's. False if the difference only grew over many operators.
    case : str
        The name of the input that shows it.
    detail : OperatorDifference
    source : str
        Where the engine implements this type on this backend; empty if unknown.
    unmatched_before : tuple of str
        Operators without a partner between the last good tensor and this one. The fault may be in one of them.
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
    """The operators in order of execution and the outputs, on one input.

    Parameters
    ----------
    name : str
    operators : tuple of OperatorDifference
    outputs : dict of str to Difference
        The differences of the outputs. If a network chooses (the best scores, the largest class), no operator deviates by
        itself and the outputs differ, then they are compared where both chose from the same values.
    unmatched : tuple of str
        Names of tensors without a partner.
    deviation : Deviation, optional
    outputs_ok : dict of str to bool
    unmatched_because : dict of str to int
        By reason: how many tensors have no partner.
    warnings : tuple of str
    """

    name: str
    operators: tuple[OperatorDifference, ...]
    outputs: Mapping[str, Difference]
    unmatched: tuple[str, ...]
    deviation: Deviation | None
    outputs_ok: Mapping[str, bool] = field(default_factory=dict)
    unmatched_because: Mapping[str, int] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


def compare_case(
    case: str, tested: ComparedModel, wanted: ComparedModel, values: Mapping[str, NDArray[Any]], tolerance: float
) -> CaseResult:
    """Run both on one input and compare."""
    found = tested.record(case, paired(values, tested))
    reference = wanted.record(case, paired(values, wanted))
    # Feeding operators needs an engine in this process. If only the reference is one, its operators are fed with the
    # tested side's tensors: what differs then is the same.
    swapped = not isinstance(tested, MnnModel) and (
        isinstance(wanted, MnnModel) or (reference.is_engine and not found.is_engine)
    )
    live, other = (reference, found) if swapped else (found, reference)
    side = wanted if swapped else tested
    matches, unmatched = match(live, other)
    own, fed = _own(side, live, other, matches, swapped) if isinstance(side, MnnModel) else ({}, None)
    noise = Noise(wanted, reference, paired(values, wanted))
    rounded = rounding(matches, live)
    operators = []
    for each in matches:
        theirs = each.wanted(each.reference.value)
        mine = each.tensor.value
        pair = (theirs, mine) if swapped else (mine, theirs)
        operator = each.reference if swapped else each.tensor
        apart, alone = _apart(each, other, pair, swapped), own.get(id(each))
        allowed = rounded[id(each)]
        # A run of the reference more is made for those alone that need it.
        if not (_within(apart, tolerance, allowed) and (alone is None or _within(alone, tolerance, allowed))):
            allowed = max(allowed, noise.tensor((each.tensor if swapped else each.reference).name))
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
                difference=apart,
                own=alone,
                allowed=allowed,
            )
        )
    outputs = _outputs(found.outputs, reference.outputs)
    far = [name for name, each in outputs.items() if each.relative > OUTPUTS * tolerance]
    if far and fed is not None and _only_chosen(operators, matches, other, tolerance):
        again = _outputs(other.outputs, fed.outputs) if swapped else _outputs(fed.outputs, other.outputs)
        outputs.update({name: again[name] for name in far if name in again})
    limits = {name: _output_limit(each, noise, name, tolerance, operators) for name, each in outputs.items()}
    fine = {name: _within(each, OUTPUTS * tolerance, limits[name]) for name, each in outputs.items()}
    deviation = _first(case, operators, matches, live, all(fine.values()), tolerance)
    return CaseResult(
        case,
        tuple(operators),
        outputs,
        tuple(each.name for each in unmatched),
        deviation,
        fine,
        Counter(_why_unmatched(each, other) for each in unmatched),
        _warnings(operators, deviation, tolerance),
    )


def _own(
    side: MnnModel, live: Recording, other: Recording, matches: Sequence[Match], swapped: bool
) -> tuple[dict[int, Difference], Recording]:
    """What each operator adds by itself: run again with every matched tensor replaced once it was copied."""
    import numpy as np

    replace = {
        each.tensor.place: np.ascontiguousarray(each.wanted(each.reference.value), np.float32)
        for each in matches
        if each.tensor.place is not None
        and (each.tensor.value.dtype.kind == "f" or each.tensor.value.dtype == np.int32)
    }
    fed = side.record("", {}, replace)
    values = {tensor.place: tensor.value for tensor in fed.tensors}
    result = {}
    for each in matches:
        theirs, mine = each.wanted(each.reference.value), values[each.tensor.place]
        result[id(each)] = _apart(each, other, (theirs, mine) if swapped else (mine, theirs), swapped)
    return result, fed


def _apart(each: Match, other: Recording, pair: tuple[NDArray[Any], NDArray[Any]], swapped: bool) -> Difference:
    """How far two tensors are apart; of indices, what they pick."""
    plain = difference(*pair)
    if plain.max_abs == 0 or not chooses(each.reference.type) or not each.reference.sources or each.perm is not None:
        return plain
    name = each.reference.sources[0]
    made = {tensor.name: tensor.value for tensor in other.tensors}
    mine, theirs = reversed(pair) if swapped else pair
    shaped = [value.reshape(each.reference.value.shape) for value in (mine, theirs)]
    values = picked(shaped[0], shaped[1], made.get(name, other.inputs.get(name)))
    return plain if values is None else difference(*(reversed(values) if swapped else values))


def _outputs(found: Mapping[str, NDArray[Any]], reference: Mapping[str, NDArray[Any]]) -> dict[str, Difference]:
    names = {name: name for name in found if name in reference}
    if not names and len(found) == len(reference) == 1:
        names = dict(zip(found, reference, strict=True))
    result = {}
    for name, other in names.items():
        mine, theirs = found[name], reference[other]
        if mine.size == theirs.size:
            result[name] = difference(mine, theirs.reshape(mine.shape))
    return result


def _output_limit(
    apart: Difference, noise: Noise, name: str, tolerance: float, operators: Sequence[OperatorDifference]
) -> float:
    """What may differ in an output besides its tolerance."""
    if apart.relative <= OUTPUTS * tolerance:
        return 0.0
    # The differences of all operators came in on the way, not that of the input alone: what they add by themselves grows as
    # a change of the input does.
    added = sum(each.own.relative for each in operators if each.own is not None and each.own.relative <= tolerance)
    grown = noise.output(name) / MOVED * added
    limit = max(2 * OUTPUTS * noise.output(name), min(grown, _MOST * apart.max_abs / apart.relative))
    return max([limit, *(OUTPUTS * each.allowed for each in operators if name in (each.tensor, each.op))])


def _only_chosen(
    operators: Sequence[OperatorDifference], matches: Sequence[Match], other: Recording, tolerance: float
) -> bool:
    """Whether the networks part where one chooses among values that are equal but for rounding."""
    if any(each.born(tolerance) for each in operators):
        return False
    chosen = {name for tensor in other.tensors if chooses(tensor.type) for name in tensor.siblings or (tensor.name,)}
    if not chosen:
        return False
    for tensor in other.tensors:  # in order of execution: all that depends on a choice
        if not chosen.isdisjoint(tensor.sources):
            chosen.update(tensor.siblings or (tensor.name,))
    return not any(
        each.difference.relative > OUTPUTS * tolerance and each.difference.max_abs > OUTPUTS * each.allowed
        for each, pair in zip(operators, matches, strict=True)
        if pair.reference.name not in chosen
    )


def _first(
    case: str,
    operators: Sequence[OperatorDifference],
    matches: Sequence[Match],
    live: Recording,
    fine: bool,
    tolerance: float,
) -> Deviation | None:
    inherited = None
    for index, each in enumerate(operators):
        if not each.beyond(tolerance):
            continue
        # Everything matched before it is fine or was cleared as inherited, so without a fed run it is born here too.
        born = each.born(tolerance)
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
                unmatched_before=_between(matches, index, live),
            )
            if born:
                return deviation
            inherited = deviation
    # Small differences that add up are no fault while the outputs are fine.
    return None if fine else inherited


def _warnings(
    operators: Sequence[OperatorDifference], deviation: Deviation | None, tolerance: float
) -> tuple[str, ...]:
    over = [each for each in operators if each.difference.relative > tolerance]
    if deviation is not None or len(over) < max(_MANY, len(operators) // 10):
        return ()
    worst = max(over, key=lambda each: each.difference.relative)
    return (
        f"{len(over)} of {len(operators)} tensors deviate by more than {tolerance:g}, and no operator by itself: rounding that "
        f"grows, by up to {worst.difference.relative:.2g} at {worst.op} ({worst.type})",
    )


def _why_unmatched(tensor: TensorRecord, other: Recording) -> str:
    if tensor.type == "Raster":
        return "copies that the engine makes for the operator after them"
    base = base_name(tensor.name)
    named = [each for each in other.tensors if each.name in (tensor.name, base)]
    if named and all(each.value.size != tensor.value.size for each in named):
        return "of another size than the tensor of their name"
    if named:
        return "steps of an operator that the converter split up"
    return "made by the converter, under names that the reference does not have"


def _between(matches: Sequence[Match], index: int, live: Recording) -> tuple[str, ...]:
    """Operators without a partner that lead from matched tensors to this one."""
    producers = {tensor.tensor_id: tensor for tensor in live.tensors if tensor.tensor_id >= 0}
    matched = {id(each.tensor) for each in matches}
    seen: dict[str, None] = {}
    waiting = list(matches[index].tensor.source_ids)
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
