"""What runs in the child process that compares a converted network with its source."""

from __future__ import annotations

import itertools
import json
import resource
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mnnlite import descriptions, observe, video
from mnnlite.conversion.formats import ENGINES, FRAMEWORKS
from mnnlite.errors import ArgumentError, MnnliteError
from mnnlite.observe.compared_case import OUTPUTS
from mnnlite.specs import ImageSpec

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mnnlite.observe import Comparison

__all__ = ["run_comparison"]

_MOST = 4  # pictures
_SIGNED = "signed"  # random numbers around zero, a few of them large: where activations bend


def run_comparison(request: dict[str, Any]) -> None:
    """In the child: compare, and print the parts of a `mnnlite.convert.Verdict` as one line."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        answer = judge(request)
    except MnnliteError as error:
        answer = {"compared": error.op == "compare", "equal": False, "text": f"not compared: {error}"}
    print("\n" + json.dumps(answer))


def judge(request: dict[str, Any]) -> dict[str, Any]:
    """The parts of a verdict."""
    shapes = {name: tuple(dims) for name, dims in (request["shapes"] or {}).items()} or None
    made, reference = request["made"], request["reference"]
    more = _pictures(request["pictures"], made, shapes) if request["pictures"] else {}
    found = observe.compare(made, reference, shapes=shapes, signed=True, more=more)
    answer = verdict(found, reference)
    if request["smaller"]:
        loss = observe.compare(request["smaller"], reference, shapes=shapes, more=more).worst_outputs
        answer["loss"] = _number(max(loss.values(), default=0.0))
        answer["text"] += f"; smaller weights move outputs by up to {answer['loss']:.2g} of their largest value"
    return answer


def verdict(found: Comparison, reference: str) -> dict[str, Any]:
    """What a comparison says, in the parts of a verdict."""
    engine, packages = ENGINES[FRAMEWORKS[Path(reference).suffix.lower()]]
    if found.fallbacks:
        engine, packages = "ONNX's own definition", packages[:1]
    answer: dict[str, Any] = {"compared": True, "equal": found.equal, "inputs": [case.name for case in found.cases]}
    answer["reference"] = f"{engine} {_version(packages[-1])}".strip()
    answer["warnings"] = list(found.warnings)
    by_output = {name: value if value == value else np.inf for name, value in found.worst_outputs.items()}
    name = max(by_output, key=lambda each: (not found.outputs_ok[each], by_output[each]), default="")
    worst = by_output.get(name)
    if worst is not None:
        answer |= {"worst": _number(worst), "worst_output": name}
    where = f"with {engine} on {len(found.cases)} inputs"
    if found.equal:
        answer["text"] = f"equal: compared {where}, outputs differ by up to {worst or 0:.2g} of their largest value"
        if worst is not None and worst > OUTPUTS * found.tolerance:
            answer["text"] += ", as those of the source do when its input moves by a hundred-thousandth"
        return answer
    first = found.first_deviation
    if first is not None:
        answer |= {"operator": first.op, "type": first.type}
        answer["text"] = (
            f"DEVIATES: compared {where}, operator {first.op} ({first.type}) is off by {first.relative:.2g} of its largest value"
            + ("" if first.born_here else ", grown over the operators before it")
            + (f" or one before it: {', '.join(first.unmatched_before[:4])}" if first.unmatched_before else "")
        )
    elif worst is None:
        answer["text"] = f"DEVIATES: compared {where}, no output could be found again: their names and sizes differ"
    else:
        answer["text"] = (
            f"DEVIATES: compared {where}, output {name} is off by {found.outputs[name].relative:.2g} of its largest value"
        )
    return answer


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _pictures(source: str, made: str, shapes: dict[str, tuple[int, ...]] | None) -> dict[str, dict[str, NDArray[Any]]]:
    """Pictures as inputs of the network, by its own description."""
    spec = descriptions.describe(made, shapes=shapes).task_spec
    image = ImageSpec(color="RGB", std=(255, 255, 255)) if spec is None else spec.image
    if isinstance(image, dict) and len(image) == 1:
        image = next(iter(image.values()))
    if not isinstance(image, ImageSpec):
        raise ArgumentError(
            "pictures: the network takes no picture, or several; compare it with mnnlite compare --input"
        )
    frames = itertools.islice(video.open_source(source), _MOST)
    return {
        f"picture {number}": observe.picture_inputs(made, image, frame, shapes)
        for number, frame in enumerate(frames, 1)
    }
