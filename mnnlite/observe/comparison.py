"""Compares two networks that should compute the same: finds the first operator that deviates, and whether it does so by itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from mnnlite.errors import ArgumentError
from mnnlite.observe.compared_case import CaseResult, Deviation, OperatorDifference, compare_case
from mnnlite.observe.opening import cases_for, opened

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from mnnlite.observe.inputs import InputFinding
    from mnnlite.observe.metrics import Difference

__all__ = ["CaseResult", "Comparison", "Deviation", "OperatorDifference", "compare"]

TOLERANCE = 2e-3  # of a tensor's largest value: twice what float32 kernels of different engines were seen to differ by


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
        The comparison of the input tensors themselves, if there was a picture.
    fallbacks : tuple of str
        The sides that another engine than the usual one computed, and why.
    """

    a: str
    b: str
    cases: tuple[CaseResult, ...]
    tolerance: float
    input: InputFinding | None = None
    fallbacks: tuple[str, ...] = ()

    @property
    def first_deviation(self) -> Deviation | None:
        """The first operator that deviates by itself, over all inputs; otherwise the first whose inherited difference is too large."""
        found = [case.deviation for case in self.cases if case.deviation is not None]
        order = {each.op: index for case in reversed(self.cases) for index, each in enumerate(case.operators)}
        return min(found, key=lambda each: (not each.born_here, order[each.op]), default=None)

    @property
    def input_equal(self) -> bool:
        """Whether both networks got the same inputs."""
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

    @property
    def worst_outputs(self) -> dict[str, float]:
        """The largest difference of each output over its largest value, both over all inputs.

        The values of an output that is almost 0 on one input, such as scores for a plain picture, say nothing there.
        """
        worst = {}
        for name in self.outputs:
            found = [case.outputs[name] for case in self.cases if name in case.outputs]
            most, largest = (
                max(values) for values in zip(*((each.max_abs, each.largest) for each in found), strict=True)
            )
            worst[name] = most / largest if largest else found[0].relative
        return worst

    @property
    def outputs_ok(self) -> dict[str, bool]:
        """Whether each output is, on all inputs, within five times an operator's tolerance, or within what rounding explains."""
        return {name: all(case.outputs_ok.get(name, True) for case in self.cases) for name in self.outputs}

    @property
    def warnings(self) -> tuple[str, ...]:
        """Texts about what is no fault but should be known."""
        found = (f"with the {case.name} input {text}" for case in self.cases for text in case.warnings)
        return (*self.fallbacks, *found)

    @property
    def equal(self) -> bool:
        """Whether no deviation was found and at least one output could be compared."""
        fine = self.outputs_ok.values()
        return self.input_equal and self.first_deviation is None and bool(fine) and all(fine)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON; numbers that are not finite become None."""
        first = self.first_deviation
        fine = self.outputs_ok
        outputs = {name: {**asdict(found), "ok": fine[name]} for name, found in self.outputs.items()}
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
                "warnings": list(self.warnings),
                "cases": [
                    {
                        "name": case.name,
                        "operators": [asdict(each) for each in case.operators],
                        "unmatched": list(case.unmatched),
                        "unmatched_because": dict(case.unmatched_because),
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
    signed: bool = False,
    more: Mapping[str, Mapping[str, NDArray[Any]]] | None = None,
    shapes: Mapping[str, Sequence[int]] | None = None,
    options: Mapping[str, Any] | None = None,
    reference_options: Mapping[str, Any] | None = None,
) -> Comparison:
    """Find the first operator whose output deviates between two networks.

    Parameters
    ----------
    a, reference : path or Model
        The network under test and the network that it should equal. Each is an ``.mnn``, ``.onnx`` or ``.tflite`` file, a
        dump (``.npz``, see `dump`), or a loaded `Model`.
    input : float or dict of str to ndarray, optional
        A number replaces 0.46875 in the constant input. Arrays, by names of `a`'s inputs, are a third input after the
        constant and the random one. If one side is a dump, its inputs are used.
    input_finding : InputFinding, optional
        What `compare_inputs` returned, to be part of the result.
    tolerance : float
        Largest difference of a tensor, divided by its largest value.
    seed : int
        Seed of the random input.
    signed : bool
        Also compare on random numbers around zero.
    more : dict of str to dict of str to ndarray, optional
        Further inputs, like `input`, by name.
    shapes : dict of str to tuple of int, optional
        Shapes of inputs whose axes the file leaves open or declares otherwise.
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
        A library of the extra ``compare`` is not installed.

    Notes
    -----
    If one side is an engine in this process, it runs twice on each input: once as it is, and once with every matched tensor
    replaced by the other side's. In the second run each operator gets the same inputs as its counterpart, so it shows what
    it adds by itself. All tensors of both runs are in memory at the same time.
    """
    if not tolerance > 0:
        raise ArgumentError(f"tolerance is {tolerance!r}; wanted a number above 0")
    with opened(a, shapes, options) as tested, opened(reference, shapes, reference_options) as wanted:
        cases = tuple(
            compare_case(case, tested, wanted, values, tolerance)
            for case, values in cases_for(tested, wanted, input, seed, signed, more or {}).items()
        )
        fallbacks = tuple(dict.fromkeys(side.fallback for side in (tested, wanted) if side.fallback))
        return Comparison(tested.name, wanted.name, cases, tolerance, input_finding, fallbacks)


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if value - value == 0 else None
    if isinstance(value, Mapping):
        return {key: _finite(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(each) for each in value]
    return value
