"""What a model will cost in memory, found before it is loaded here: by a child process that loads it and runs nothing."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mnnlite import errors
from mnnlite.errors import ArgumentError, EngineError, MnnliteError, ModelNotFoundError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["Cost", "forget", "of"]

_TIMEOUT_S = 120


@dataclass(frozen=True)
class Cost:
    """Memory terms of one model, in bytes.

    Parameters
    ----------
    model_buffer : int
        The file's content in the engine's hands; gone once the session exists, unless the model is resizable.
    static : int
        Weights, outputs and what else lives as long as the session, as the engine counts it.
    dynamic : int
        Feature maps. Models of one arena share one buffer as large as the largest of these. Touched by the first run,
        when the model buffer is already gone.
    inputs, outputs : int
        Tensors at the borders. Inputs are mnnlite's own memory, outputs a part of `static`.
    load_transient : int
        The most that loading holds at once beyond ``model_buffer + static + inputs``: weights in two forms. Measured.
    overhead : int
        What the loaded model holds of the heap beyond ``static + inputs``: operators, tensors, names. Measured.
    """

    model_buffer: int
    static: int
    dynamic: int
    inputs: int
    outputs: int
    load_transient: int
    overhead: int = 0

    @property
    def loading(self) -> int:
        """The most that is held while the model is loaded."""
        return self.model_buffer + self.static + self.inputs + self.load_transient

    @property
    def loaded(self) -> int:
        """What is held once the model is loaded and has not run."""
        return self.static + self.inputs + self.overhead

    @property
    def running(self) -> int:
        """What is held while the model runs alone in its arena."""
        return self.loaded + self.dynamic

    @property
    def peak(self) -> int:
        """The most that the model alone ever holds: loading or running, whichever is larger."""
        return max(self.loading, self.running)

    @property
    def upper_estimate(self) -> int:
        """Static + dynamic + model buffer: the field's usual sum. The three are never there together."""
        return self.model_buffer + self.static + self.dynamic

    def to_dict(self) -> dict[str, int]:
        """Terms and what is made of them by name, in bytes."""
        made = {name: getattr(self, name) for name in ("loading", "loaded", "running", "peak", "upper_estimate")}
        return {**asdict(self), **made}


_known: dict[str, Cost] = {}


def forget() -> None:
    """Empty the cache of this process."""
    _known.clear()


def of(
    source: str | os.PathLike[str],
    *,
    outputs: Sequence[str] | None = None,
    shapes: Mapping[str, Sequence[int]] | None = None,
    external: str | os.PathLike[str] | None = None,
    resizable: bool = False,
    images: Sequence[tuple[str, int, int, int, int, str]] = (),
    **arena_options: Any,
) -> Cost:
    """Find the memory that a model file will need, without loading it in this process.

    Parameters
    ----------
    source : path
        An ``.mnn`` file.
    outputs, shapes, external, resizable
        As for `Model`; another branch or another shape costs something else.
    images : sequence of (input or "", width, height, channels, batch, layout or "")
        Pictures that fill in the axes a file leaves open, as a `Task` derives them from its image specs.
    **arena_options
        ``backend``, ``precision``, ``memory_mode``, ``power``, ``threads`` as for `Arena`.

    Returns
    -------
    Cost
        Bytes. From the cache if a file of the same content was asked for with the same options.

    Raises
    ------
    ModelNotFoundError, ModelFormatError, UnsupportedModelError, ArgumentError, TensorNotFoundError
        What loading it would raise.
    EngineError
        The child process ended without an answer: the file crashes the engine.

    Notes
    -----
    Starts a Python process (a few hundred milliseconds). Threads: any.
    """
    path = Path(source)
    options = {
        "outputs": None if outputs is None else list(outputs),
        "shapes": None
        if shapes is None
        else {str(name): [int(side) for side in dims] for name, dims in shapes.items()},
        "external": None if external is None else os.path.abspath(os.fspath(external)),
        "resizable": bool(resizable),
        "images": [list(image) for image in images],
        **arena_options,
    }
    try:
        key = _digest(path) + json.dumps(options, sort_keys=True)
    except OSError as error:
        raise ModelNotFoundError(f"cannot read {os.fspath(path)!r}: {error.strerror}") from None
    except TypeError as error:
        raise ArgumentError(f"options: {error}; wanted numbers, words and sequences of them") from None
    found = _known.get(key)
    if found is None:
        found = _known[key] = _measure(path, options)
    return found


def _digest(path: Path) -> str:
    """Of the file and of external weights beside it."""
    digest = hashlib.sha256()
    for each in (path, Path(f"{path}.weight")):
        if each is path or each.is_file():
            with each.open("rb") as file:
                while block := file.read(1 << 20):
                    digest.update(block)
    return digest.hexdigest()


# Loads twice: the first time for what only a first time touches (the engine's code, its tables, the heap's first
# pages), the second time to measure. From bytes, so that the file's own mapped pages do not count.
_CHILD = """
import json, os, re, sys
request = json.loads(sys.stdin.read())
sys.path[:] = request["path"]
import mnnlite
options, result = request["options"], {}
options["_images"] = [tuple(image) for image in options.pop("images")]
weights = request["source"] + ".weight"
if options["external"] is None and os.path.isfile(weights):
    options["external"] = weights
data = open(request["source"], "rb").read()

def resident(field):
    return int(re.search(field + r":\\s+(\\d+)", open("/proc/self/status").read())[1]) * 1024

try:
    mnnlite.Model(data, **options).close()
    before = resident("RssAnon")
    total = resident("VmRSS")
    try:
        open("/proc/self/clear_refs", "w").write("5")  # the peak counts from here
        peak = True
    except OSError:
        peak = False
    model = mnnlite.Model(data, **options)
    after = resident("RssAnon")
    terms = model.memory()
    result = {"terms": terms, "file": model.facts()["file_bytes"], "loaded": after - before,
              "peak": resident("VmHWM") - total if peak else None}
except mnnlite.MnnliteError as error:
    result = {"error": type(error).__name__, "text": str(error), "op": error.op, "details": error.details}
print("\\n" + json.dumps(result))
"""


def _measure(path: Path, options: dict[str, Any]) -> Cost:
    request = {"source": str(path.absolute()), "options": options, "path": sys.path}
    try:
        child = subprocess.run(
            [sys.executable, "-c", _CHILD],
            input=json.dumps(request),
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise EngineError(f"loading {path} in a child process took more than {_TIMEOUT_S} s", op="cost") from None
    try:
        found = json.loads(child.stdout.splitlines()[-1])
    except (IndexError, ValueError):
        last = (child.stderr.strip().splitlines() or ["nothing"])[-1]
        raise EngineError(
            f"the child process that loads {path} ended with {child.returncode} and no answer; it said: {last}",
            op="cost",
        ) from None
    if "error" in found:
        kind = getattr(errors, found["error"], MnnliteError)
        raise kind(found["text"], op=found["op"], details=found["details"])
    terms = found["terms"]
    buffer = int(found["file"])
    known = terms["static"] + terms["inputs"]
    overhead = max(0, found["loaded"] - known - terms["model_buffer"])
    # Where the kernel does not measure peaks: the static part once more, which is more than was ever seen.
    peak = found["peak"] if found["peak"] is not None else buffer + 2 * terms["static"] + terms["inputs"]
    return Cost(
        model_buffer=buffer,
        static=terms["static"],
        dynamic=terms["dynamic"],
        inputs=terms["inputs"],
        outputs=terms["outputs"],
        load_transient=max(0, peak - known - buffer),
        overhead=overhead,
    )
