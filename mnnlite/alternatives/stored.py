"""What was measured of a network's alternatives on this device, kept in the cache: written by `mnnlite.tune`, read by a runtime."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mnnlite import _core, cache, cost, decoders
from mnnlite.cost import Cost
from mnnlite.engine_options import SESSION_WORDS, EngineOptions
from mnnlite.errors import ArgumentError, ModelNotFoundError
from mnnlite.task import image_hints, ready_spec

if TYPE_CHECKING:
    from collections.abc import Callable

    from mnnlite.specs import TaskSpec

__all__ = ["ACCURACY", "Alternative", "Front", "device", "load", "of_task", "store"]

ACCURACY = 0.99  # agreement with the reference options that is enough
_KIND = "tune"
_MOST_MS = 3_600_000


@dataclass(frozen=True)
class Alternative:
    """A way to compute a network, as it was measured.

    Parameters
    ----------
    options : EngineOptions
        All words of a session; no threads.
    ms : float
        Of a frame: the whole task where it takes pictures, a run of the network otherwise. The reference's median times the
        median of the ratios to it, each of two runs one after the other.
    noise : float
        What the ratio is known to: half the width of the middle half of those ratios over the square root of their number, twice.
    spread : float
        Half the width of the middle half of its times, as a fraction of their median.
    agreement : float
        Of what is decoded with what the reference options find, 0 to 1; see `mnnlite.observe.Agreement`.
    cost : Cost
        Bytes.
    """

    options: EngineOptions
    ms: float
    noise: float
    spread: float
    agreement: float
    cost: Cost

    def spec(self, task: TaskSpec) -> TaskSpec:
        """The task, computed so."""
        return replace(task, **self.options.given())


@dataclass(frozen=True)
class Front:
    """The alternatives of a network that were measured, the reference first.

    Parameters
    ----------
    alternatives : tuple of Alternative
    stable : bool
        Whether the clock stood still; otherwise differences below some per cent say nothing.
    pictures : str
        On which agreement was measured.
    """

    alternatives: tuple[Alternative, ...]
    stable: bool
    pictures: str

    @property
    def reference(self) -> Alternative:
        """The engine's usual options."""
        return self.alternatives[0]


def device() -> str:
    """Name the machine in a line: what times depend on beside the engine."""
    found = ""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        text = ""
    for name in ("model name", "Model", "Hardware", "CPU part"):
        if match := re.search(rf"^{name}\s*:\s*(.+)$", text, re.MULTILINE):
            found = match[1].strip()
            break
    try:
        board = Path("/proc/device-tree/model").read_text(encoding="utf-8", errors="replace").strip("\0\n ")
    except OSError:
        board = ""
    return f"{board or found}, {os.cpu_count()} cores, {_core.active_isa()}"


def key_of(task: TaskSpec, threads: int) -> str:
    """All that the measurement of a task's network depends on.

    Raises
    ------
    ArgumentError
        The model is no file.
    ModelNotFoundError
        The file cannot be read.
    """
    spec = ready_spec(task)
    if not isinstance(spec.model, (str, os.PathLike)):
        raise ArgumentError(f"the model is {type(spec.model).__name__}; only files can be tuned")
    what = {
        "outputs": None if spec.outputs is None else list(spec.outputs),
        "shapes": {name: list(dims) for name, dims in (spec.shapes or {}).items()},
        "images": [image.to_dict() for image in image_hints(spec)],
        "pictures": _each(spec.image, asdict),
        "decoder": _each(spec.decoder, _decoder),
        "threads": spec.threads or threads,
    }
    words = json.dumps(what, sort_keys=True, default=str)
    try:
        content = [cost.digest(Path(path)) for path in (spec.model, spec.external) if path is not None]
    except OSError as error:
        raise ModelNotFoundError(f"cannot read {os.fspath(error.filename)!r}: {error.strerror}") from None
    return f"{_core.__version__} {_core.engine_version()} {device()} {' '.join(content)} {words}"


def _each(value: Any, write: Callable[[Any], Any]) -> Any:
    """Of one spec, or of each in a dict of them."""
    if isinstance(value, Mapping) and "family" not in value:
        return {name: write(each) for name, each in value.items()}
    return None if value is None else write(value)


def _decoder(value: Any) -> Any:
    """What agreement depends on: all but the names of classes. Of a function that is the function itself, which no file has."""
    try:
        table = decoders.as_decoder(value).to_dict()
    except ArgumentError:
        return repr(value)
    table.pop("classes", None)
    return table


def store(task: TaskSpec, threads: int, found: Front) -> bool:
    """Keep it; False where it cannot be kept."""
    return cache.store(_KIND, key_of(task, threads), asdict(found))


def load(task: TaskSpec, threads: int) -> Front | None:
    """What was measured of a task's network here, if anything was."""
    value = cache.load(_KIND, key_of(task, threads))
    try:
        rows = tuple(
            Alternative(
                options=EngineOptions(**row["options"]),
                cost=Cost(**row["cost"]),
                **{name: float(row[name]) for name in ("ms", "noise", "spread", "agreement")},
            )
            for row in value["alternatives"]
        )
        if not all(_is_possible(each) for each in rows):
            return None
        return Front(rows, bool(value["stable"]), str(value["pictures"])) if rows else None
    except (TypeError, KeyError, ValueError, OverflowError, ArgumentError):  # nothing, or not as this version writes it
        return None


def _is_possible(each: Alternative) -> bool:
    """A file of the cache may hold anything."""
    most = 2**50
    cost = each.cost
    return (
        0 < each.ms < _MOST_MS
        and all(0 <= value < _MOST_MS for value in (each.noise, each.spread))
        and 0 <= each.agreement <= 1
        and all(isinstance(value, int) and abs(value) < most for value in asdict(cost).values())
        and min(cost.static, cost.dynamic, cost.inputs, cost.outputs) >= 0  # what is measured may be below 0
    )


def of_task(found: Front, task: TaskSpec) -> tuple[Alternative, ...]:
    """The alternatives that leave open what the task says itself."""
    said = {name: word for name, word in task.engine.given().items() if name in SESSION_WORDS}
    return tuple(
        each for each in found.alternatives if all(getattr(each.options, name) == word for name, word in said.items())
    )
