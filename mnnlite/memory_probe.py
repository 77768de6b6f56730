"""What a model holds at each stage of its life, measured in a fresh process: the source of every figure about memory.

`mnnlite.cost` (what the budget counts with) and `mnnlite.observe` (curve and prediction) read the same measurement.
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mnnlite import _core, children, errors
from mnnlite.errors import ArgumentError, EngineError, MnnliteError
from mnnlite.model import Model
from mnnlite.proc import high_water, process, reset_high_water, trim
from mnnlite.trial import crashed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Final

__all__ = ["LOADING", "STAGES", "MemoryProbe", "Reading", "Run", "measure", "model_options", "run_in_child", "run_of"]

LOADING: Final = ("load", "session", "release model buffer")
STAGES: Final = ("start", *LOADING, "input", "run", "second run", "close")
_STAGE_OF: Final = {"deserialize": "load", "create_session": "session", "release_model_buffer": "release model buffer"}

# The value that separates an error of the input from one of an operator: exact in every float format in use.
_INPUT = 0.46875
_TIMEOUT_S = 120  # of a child that runs nothing
_CHILD = children.calling("mnnlite.memory_probe", "answer")


@dataclass(frozen=True)
class Reading:
    """Memory after a stage, bytes over what the process held at the start.

    Parameters
    ----------
    name : str
    anonymous, rss : int
        As in `mnnlite.proc.Process`.
    peak : int, optional
        The most anonymous memory at any moment of the stage; None where the kernel does not say.
    """

    name: str
    anonymous: int
    rss: int
    peak: int | None


@dataclass(frozen=True)
class Run:
    """What a child measured.

    Parameters
    ----------
    readings : tuple of Reading
    start_anonymous, start_rss : int
        Bytes that the process held at the start.
    terms : dict of str to int
        Bytes by the engine's own count, as the child had them.
    """

    readings: tuple[Reading, ...]
    start_anonymous: int
    start_rss: int
    terms: dict[str, int]

    def __getitem__(self, stage: str) -> Reading:
        """Give the reading of a stage."""
        return next(each for each in self.readings if each.name == stage)


class MemoryProbe:
    """Reads memory between stages, relative to its own start."""

    def __init__(self) -> None:
        gc.collect()
        # What the imports left free would take in what the first stages ask for: growth that is not seen.
        trim()
        _touch_mapped_files()
        process()  # what reading itself needs the first time
        self._readings = [Reading("start", 0, 0, 0)]
        self._counts_peaks = reset_high_water()
        self._start = process()

    def stage(self, name: str) -> None:
        """Read: a stage ends here."""
        now, marked = process(), high_water() if self._counts_peaks else None
        peak = None
        if marked is not None:
            # While a file is loaded it is there twice: as it was read and verified, and the engine's copy.
            peak = max(now.anonymous, marked - now.file_backed)
            peak -= self._start.anonymous
        growth = (now.anonymous - self._start.anonymous, now.rss - self._start.rss)
        self._readings.append(Reading(name, *growth, peak))
        self._counts_peaks = self._counts_peaks and reset_high_water()

    def result(self, terms: dict[str, int]) -> dict[str, Any]:
        """Plain data, of which the parent makes a `Run`."""
        return {
            "readings": [asdict(each) for each in self._readings],
            "start_anonymous": self._start.anonymous,
            "start_rss": self._start.rss,
            "terms": terms,
        }


def model_options(
    outputs: Sequence[str] | None,
    shapes: Mapping[str, Sequence[int]] | None,
    external: str | os.PathLike[str] | None,
    arena_options: Mapping[str, Any],
    **more: Any,
) -> dict[str, Any]:
    """Arguments of `Model` as plain data."""
    return {
        "outputs": None if outputs is None else list(outputs),
        "shapes": None
        if shapes is None
        else {str(name): [int(side) for side in dims] for name, dims in shapes.items()},
        "external": None if external is None else os.path.abspath(os.fspath(external)),
        **more,
        **arena_options,
    }


def measure(source: str | os.PathLike[str], options: Mapping[str, Any], run: bool) -> Run:
    """Measure a model's life in a child process.

    Parameters
    ----------
    source : path
        An ``.mnn`` file.
    options : dict
        As `model_options` gives.
    run : bool
        All of `STAGES`; otherwise up to ``input``, and nothing is executed.

    Returns
    -------
    Run
        Its terms: ``file`` (the file's content), ``model_buffer`` (what of it is kept), ``static``, ``dynamic``, ``inputs``,
        ``outputs`` as `Model.memory`, ``multiply_adds``, and ``staging`` (plain memory for inputs that the network wants packed, once a
        caller has asked for it).

    Raises
    ------
    MnnliteError
        What loading it raises.
    ModelFormatError
        The engine crashed on the file in the child.
    EngineError
        The child ended without an answer.
    """
    request = {"source": os.path.abspath(source), "options": dict(options), "run": run}
    return run_of(
        run_in_child("mnnlite.memory_probe", "life_of", request, os.fspath(source), None if run else _TIMEOUT_S)
    )


def run_in_child(module: str, function: str, request: Any, what: str, timeout_s: float | None) -> dict[str, Any]:
    """Call ``module.function(request)`` in a fresh Python process; give its answer, or raise what it raised."""
    try:
        ended = children.ask(_CHILD, [module, function, request], seconds=timeout_s)
    except TypeError as error:
        raise ArgumentError(f"options: {error}; wanted numbers, words and sequences of them") from None
    except TimeoutError:
        raise EngineError(f"loading {what} in a child process took more than {timeout_s} s", op="cost") from None
    if ended.code < 0:
        raise crashed(what, -ended.code, "cost")
    found = ended.answer
    if found is None:
        raise EngineError(
            f"the child process that measures {what} ended with {ended.code} and no answer; it said: {ended.said}",
            op="cost",
        )
    if "error" in found:
        kind = getattr(errors, found["error"], MnnliteError)
        raise kind(found["text"], op=found["op"], details=found["details"])
    return found


def run_of(answer: Mapping[str, Any]) -> Run:
    """Make a `Run` of what a child's `MemoryProbe.result` gave."""
    return Run(**{**answer, "readings": tuple(Reading(**each) for each in answer["readings"])})


def answer(request: Any) -> None:
    """In the child: call what `run_in_child` was asked for, and print what came of it as the last line."""
    module, function, asked = request
    try:
        found = getattr(import_module(module), function)(asked)
    except MnnliteError as error:
        found = {"error": type(error).__name__, "text": str(error), "op": error.op, "details": error.details}
    print("\n" + json.dumps(found, default=str))


def life_of(request: dict[str, Any]) -> dict[str, Any]:
    """In the child: one model from load to close."""
    import numpy as np  # before the start

    np.zeros(1)
    options = dict(request["options"])
    images = [_core.ImageHint(**image) for image in options.pop("images", ())]
    probe = MemoryProbe()
    model = Model(request["source"], **options, _images=images, _on_stage=lambda stage: probe.stage(_STAGE_OF[stage]))
    before = model.memory()["inputs"]
    for name, info in model.inputs.items():
        model.input(name)[...] = _INPUT if info.dtype.startswith("float") else 0
    probe.stage("input")
    terms = {**model.memory(), "file": int(model.facts()["file_bytes"]), "inputs": before}
    terms["multiply_adds"] = int(1e6 * model.mflops)
    terms["staging"] = model.memory()["inputs"] - before
    if request["run"]:
        for name in ("run", "second run"):
            model.run(borrow=True)
            probe.stage(name)
        model.close()
        probe.stage("close")
    return probe.result(terms)


def _touch_mapped_files() -> None:
    """Map every page of the libraries in use, so that running their code does not look like growth."""
    madvise = ctypes.CDLL(None, use_errno=True).madvise
    madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    populate_read = 22  # MADV_POPULATE_READ, asm-generic/mman-common.h; kernels before 5.14 refuse it, which is fine
    for line in Path("/proc/self/maps").read_text().splitlines():
        where, rights, *_, last = line.split()
        if last.startswith("/") and rights.startswith("r"):
            begin, end = (int(part, 16) for part in where.split("-"))
            madvise(begin, end - begin, populate_read)
