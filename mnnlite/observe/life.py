"""Memory of a model over its life, measured stage by stage in a fresh process."""

from __future__ import annotations

import ctypes
import json
import os
import re
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mnnlite import errors
from mnnlite.errors import ArgumentError, EngineError, MnnliteError
from mnnlite.model import Model
from mnnlite.observe.proc import MIB, process

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Final

__all__ = ["STAGES", "Curve", "Stage", "curve", "measure_in_child"]

STAGES: Final = ("start", "load", "session", "release model buffer", "input", "run", "second run", "close")
_OF_LOADING = {"deserialize": "load", "create_session": "session", "release_model_buffer": "release model buffer"}

# The value that separates an error of the input from one of an operator: exact in every float format in use.
_INPUT = 0.46875


@dataclass(frozen=True)
class Stage:
    """Memory after a stage, in MiB (2**20 bytes) over what the process held at the start.

    Parameters
    ----------
    name : str
        One of `STAGES`.
    anonymous_mib : float
        What belongs to no file.
    rss_mib : float
        Everything resident, the engine's code included.
    peak_mib : float
        The most anonymous memory at any moment of the stage: loading holds for a moment what it then gives back.
    """

    name: str
    anonymous_mib: float
    rss_mib: float
    peak_mib: float


@dataclass(frozen=True)
class Curve:
    """Memory of a model over its life.

    Parameters
    ----------
    stages : tuple of Stage
        In the order of `STAGES`. All but the absolute figures below are growth since ``start``.
    peak_mib : float
        The most anonymous memory at any moment, MiB over the start.
    start_anonymous_mib, start_rss_mib : float
        What the process held at the start: Python, NumPy, the engine's library.
    """

    stages: tuple[Stage, ...]
    peak_mib: float
    start_anonymous_mib: float
    start_rss_mib: float

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return asdict(self)


def curve(
    source: str | os.PathLike[str],
    *,
    outputs: Sequence[str] | None = None,
    shapes: Mapping[str, Sequence[int]] | None = None,
    external: str | os.PathLike[str] | None = None,
    **arena_options: Any,
) -> Curve:
    """Measure a model's memory from load to close.

    Parameters
    ----------
    source : path
        An ``.mnn`` file.
    outputs, shapes, external, **arena_options
        As for `Model`.

    Returns
    -------
    Curve
        No stage hides a warm-up: the model is loaded once and run twice in a process that did nothing before.

    Raises
    ------
    ModelNotFoundError, ModelFormatError, UnsupportedModelError, ArgumentError, TensorNotFoundError
        What loading it raises.
    EngineError
        The child process ended without an answer: the file crashes the engine.

    Notes
    -----
    Starts a Python process. Inputs are filled with 0.46875. Memory is read from ``smaps_rollup`` between stages; the
    peak within a stage is the kernel's high-water mark of resident memory less file-backed memory, whose pages are
    all touched before the start so that they do not grow.
    """
    answer = measure_in_child(source, True, outputs=outputs, shapes=shapes, external=external, **arena_options)
    answer.pop("terms")
    return Curve(tuple(Stage(**stage) for stage in answer.pop("stages")), **answer)


def measure_in_child(
    source: str | os.PathLike[str],
    run: bool,
    *,
    outputs: Sequence[str] | None = None,
    shapes: Mapping[str, Sequence[int]] | None = None,
    external: str | os.PathLike[str] | None = None,
    **arena_options: Any,
) -> dict[str, Any]:
    """Stages as in `Curve`, and the model's own terms in bytes; without `run` up to ``input``."""
    request = {
        "source": os.path.abspath(source),
        "run": run,
        "options": {
            "outputs": None if outputs is None else list(outputs),
            "shapes": None if shapes is None else {name: list(dims) for name, dims in shapes.items()},
            "external": None if external is None else os.path.abspath(external),
            **arena_options,
        },
        "path": sys.path,
    }
    code = "import json, sys; request = json.load(sys.stdin); sys.path[:] = request['path']\n"
    code += "from mnnlite.observe.life import _child; _child(request)"
    try:
        words = json.dumps(request)
    except TypeError as error:
        raise ArgumentError(f"options: {error}; wanted numbers, words and sequences of them") from None
    done = subprocess.run([sys.executable, "-c", code], input=words, capture_output=True, text=True, check=False)
    try:
        answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    except (IndexError, ValueError):
        said = (done.stderr.strip().splitlines() or ["nothing"])[-1]
        raise EngineError(
            f"the process that measures {os.fspath(source)} ended with {done.returncode} and no answer; it said: {said}"
        ) from None
    if "error" in answer:
        raise getattr(errors, answer["error"], MnnliteError)(answer["text"])
    return answer


class _Meter:
    """Reads memory between stages, relative to its own start."""

    def __init__(self) -> None:
        _touch_mapped_files()
        self._readings: list[tuple[str, int, int, int]] = []
        self.stage("start")

    def stage(self, name: str) -> None:
        now = process()
        marked = _high_water()
        # While a file is being read it is mapped too, which is not anonymous memory: see `load` below.
        peak = now.anonymous if marked is None or name == "load" else max(now.anonymous, marked - now.file_backed)
        self._readings.append((name, now.anonymous, now.rss, peak))
        _reset_high_water()

    def result(self) -> dict[str, Any]:
        _, anonymous, rss, _ = self._readings[0]
        stages = [
            Stage(name, (a - anonymous) / MIB, (r - rss) / MIB, (max(p, a) - anonymous) / MIB)
            for name, a, r, p in self._readings
        ]
        stages[0] = Stage("start", 0.0, 0.0, 0.0)
        return {
            "stages": [asdict(stage) for stage in stages],
            "peak_mib": max(stage.peak_mib for stage in stages),
            "start_anonymous_mib": anonymous / MIB,
            "start_rss_mib": rss / MIB,
        }


def _child(request: dict[str, Any]) -> None:
    answer: dict[str, Any]
    try:
        answer = _measure(request["source"], request["options"], request["run"])
    except MnnliteError as error:
        answer = {"error": type(error).__name__, "text": str(error)}
    print("\n" + json.dumps(answer))


def _measure(source: str, options: dict[str, Any], run: bool) -> dict[str, Any]:
    import numpy as np  # before the start

    np.zeros(1)
    meter = _Meter()
    model = Model(source, **options, _on_stage=lambda stage: meter.stage(_OF_LOADING[stage]))
    for name, info in model.inputs.items():
        model.input(name)[...] = _INPUT if info.dtype.startswith("float") else 0
    meter.stage("input")
    terms = {**model.memory(), "file": model.facts()["file_bytes"]}
    if run:
        for name in ("run", "second run"):
            model.run(borrow=True)
            meter.stage(name)
        model.close()
        meter.stage("close")
    return {**meter.result(), "terms": terms}


def _status(field: str) -> int | None:
    found = re.search(rf"^{field}:\s+(\d+) kB", Path("/proc/self/status").read_text(), re.MULTILINE)
    return int(found[1]) * 1024 if found else None


def _high_water() -> int | None:
    return _status("VmHWM") if _Reset.possible else None


class _Reset:
    possible = True


def _reset_high_water() -> None:
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:  # a sandbox: then only what is there after each stage is known
        _Reset.possible = False


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
