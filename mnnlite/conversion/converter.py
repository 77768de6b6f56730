"""The converter that comes with MNN's package: in a child process, on a file that was checked and rewritten before.

It crashes on some files, ends well without writing anything on others, and says "Success" when the disk was full. So it runs in
a child process, into a folder of its own, and what it wrote is loaded and run in another before it gets its name.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mnnlite import descriptions, errors
from mnnlite.children import interpreter
from mnnlite.conversion import rewrites
from mnnlite.conversion.attempt import try_converted
from mnnlite.conversion.formats import FRAMEWORKS, SECONDS
from mnnlite.conversion.nearest import repair
from mnnlite.conversion.onnx_source import check_onnx
from mnnlite.conversion.tflite_source import check_tflite
from mnnlite.errors import (
    ArgumentError,
    EngineNotFoundError,
    MissingExtraError,
    MnnliteError,
    ModelNotFoundError,
    OutputError,
    UnsupportedModelError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

__all__ = ["Converted", "converted_in", "look_through", "move"]

_SEARCH = 60.0  # seconds to find out on which operator it crashes

_CHILD = """
import json, sys
request, sys.path[:] = json.loads(sys.stdin.read())
from mnnlite.conversion.worker import run_worker
run_worker(request)
"""
_CHATTER = re.compile(
    r"^(.* has empty input, the index is \d+$|The device supports|FuseLayerNorm as |Start to |\[[\d:]+\] :\d+: ONNX Model |inputTensors|outputTensors|Converted Success|"
    r"\[[\d:]+\] :\d+: (Start|ONNX|TFLITE|Converted)|The Convert Model|MNN Converter|$)"
)


@dataclass
class Converted:
    """A converted network in a folder that will be gone.

    Parameters
    ----------
    path : Path
    weights : Path, optional
        The file with its weights, where they are kept apart.
    reference : Path
        What it has to equal: the source, or what became of it.
    shapes : dict of str to tuple of int, optional
        With which it was tried; None: not at all, for its shapes are open and nobody says them.
    notes : list of str
        What was rewritten, and what the converter complained about.
    described : dict
        What its description is to say of it besides what the source says.
    """

    path: Path
    weights: Path | None
    reference: Path
    shapes: dict[str, tuple[int, ...]] | None = None
    notes: list[str] = field(default_factory=list)
    described: dict[str, Any] = field(default_factory=dict)


@contextmanager
def converted_in(
    folder: Path,
    source: Path,
    *,
    options: Sequence[str] = (),
    external: bool = False,
    shapes: Mapping[str, Sequence[int]] | None = None,
    slim: Sequence[str] = (),
    seconds: float = SECONDS,
) -> Iterator[Converted]:
    """Check, rewrite, convert and try a network. The new file is there inside the block, in a folder inside `folder`.

    Raises
    ------
    ModelNotFoundError, ModelFormatError
        There is no such file; it is damaged, or what the converter wrote is.
    UnsupportedModelError
        It cannot be converted, or the engine cannot run it.
    MissingExtraError
        It has to be rewritten, and the package for that is not there.
    EngineNotFoundError
        The installed engine has no converter.
    OutputError
        The folder cannot be written to.
    """
    rewrite = look_through(source, slim)
    try:
        with tempfile.TemporaryDirectory(prefix=".mnnlite-", dir=folder) as temporary:
            made = _convert(source, Path(temporary), rewrite, list(slim), shapes, list(options), seconds)
            if external:
                made.weights = made.path.with_name(made.path.name + ".weight")
                made.weights = made.weights if made.weights.exists() else None
            made.shapes = try_converted(made.path, source, shapes, seconds)
            if made.described:
                descriptions.embed(made.path, None, made.described)
            descriptions.carry(source, made.path)
            if made.notes:
                descriptions.embed(made.path, None, {"conversion": {"notes": made.notes}})
            yield made
    except OSError as error:
        if isinstance(error, MnnliteError):
            raise
        raise OutputError(f"cannot write to {folder}: {error.strerror or error}") from None


def move(made: Converted, target: Path) -> None:
    """Give a converted network its name."""
    if made.weights is not None:
        os.replace(made.weights, target.with_name(target.name + ".weight"))
    os.replace(made.path, target)


def look_through(source: Path, slim: Sequence[str] = ()) -> bool:
    """Look through a file; whether it has to be rewritten. With `slim` it will be in any case."""
    if not source.is_file():
        raise ModelNotFoundError(f"there is no model file {source}")
    framework = FRAMEWORKS.get(source.suffix.lower())
    if framework is None and slim and source.suffix.lower() == ".mnn":
        raise ArgumentError(
            f"{source} cannot be made slim: networks are rewritten before they are converted; give the .onnx or .tflite file that it "
            "was converted from"
        )
    if framework is None:
        raise ArgumentError(f"{source} ends in {source.suffix!r}; wanted {' or '.join(FRAMEWORKS)}")
    if importlib.util.find_spec("_tools") is None:
        raise EngineNotFoundError('the converter is not installed; install it with: pip install "MNN>=3.0.0,<4"')
    if slim and framework != "ONNX" and "tails" not in slim:
        raise ArgumentError(
            f"{source} cannot be made slim by {', '.join(slim)}: of a TFLite file only tails are cut; give the .onnx file, or "
            "choose tails"
        )
    if framework == "ONNX":
        found = check_onnx(source)
        kinds = rewrites.suspects(found)
        need: tuple[str, ...] = ("onnx",)
        rare = found.ones or any(kind in found.operators for kind in rewrites.indices.KINDS)
        if not kinds and rare and importlib.util.find_spec("onnx") is not None:
            return True  # mostly nothing is wrong with it: without the package it is converted as it is
        if slim and importlib.util.find_spec("onnx") is None:
            raise MissingExtraError(
                'to make a network slim needs onnx; install it with: pip install "mnnlite[compare]"'
            )
    else:
        facts = check_tflite(source)
        kinds = [word for word in ("quantised", "nearest") if getattr(facts, word)]
        need = ("ai_edge_litert", "flatbuffers") if facts.quantised or slim else ()
        if slim and any(importlib.util.find_spec(package) is None for package in need):
            raise MissingExtraError(
                f'to make a TFLite network slim needs {" and ".join(need)}; install them with: pip install "mnnlite[compare]"'
            )
    for package in need if kinds else ():
        if importlib.util.find_spec(package) is None:
            raise MissingExtraError(
                f"{source} has {', '.join(kinds)}, which the converter gets wrong: to rewrite that before needs {package}; install "
                'it with: pip install "mnnlite[compare]"',
                op="convert",
            )
    return bool(kinds)


def _convert(
    source: Path,
    folder: Path,
    rewrite: bool,
    slim: list[str],
    shapes: Mapping[str, Sequence[int]] | None,
    options: list[str],
    seconds: float,
) -> Converted:
    request = {
        "source": _readable(source.resolve(), folder),
        "framework": FRAMEWORKS[source.suffix.lower()],
        "rewrite": rewrite,
        "slim": slim,
        "shapes": None if shapes is None else {name: list(shape) for name, shape in shapes.items()},
        "options": options,
    }
    until = time.monotonic() + seconds
    code, words, said = _child(request, folder, seconds)
    if code is None:
        raise UnsupportedModelError(f"the converter did not end on {source} within {seconds:g} s", op="convert")
    if "error" in said:
        kind = getattr(errors, said["error"], MnnliteError)
        raise kind(f"{source}: {said['text']}", op="convert")
    made = folder / "converted.mnn"
    if code == 0 and made.exists() and made.stat().st_size:
        repaired = repair(made) if request["framework"] == "TFLITE" else 0
        told = [f"{repaired} nearest upsampling: their rule for coordinates is TFLite's again"] if repaired else []
        notes = [*said["notes"], *told, *(f"the converter said: {line}" for line in words)]
        reference = Path(said["reference"]) if said["notes"] else source
        return Converted(made, None, reference, None, notes, said["described"])
    spoken = f"; it said: {' | '.join(words[-4:])[:400]}" if words else ""
    if code < 0:
        where = _crashes_on(request, folder, min(until, time.monotonic() + _SEARCH))
        raise UnsupportedModelError(
            f"the converter crashed on {source} ({_signal_name(-code)}){where}{spoken}; another opset, a fixed size, or the network "
            "before it was quantised usually help",
            op="convert",
        )
    advice = (
        "; with slim (--slim) the network is cut off before it makes classes of scores"
        if _ends_so(request, words)
        else ""
    )
    raise UnsupportedModelError(f"the converter cannot convert {source}{spoken}{advice}", op="convert")


def _ends_so(request: dict[str, Any], words: list[str]) -> bool:
    return request["framework"] == "TFLITE" and not request["slim"] and any("ARG_MAX" in line for line in words)


def _child(request: dict[str, Any], folder: Path, seconds: float) -> tuple[int | None, list[str], dict[str, Any]]:
    """Its exit code (None: it took too long), what it said, and what was done to the file."""
    noted = folder / "said.json"
    noted.unlink(missing_ok=True)
    process = subprocess.Popen(
        [interpreter(), "-c", _CHILD],
        cwd=folder,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    with process:
        try:
            out, _ = process.communicate(json.dumps([request, sys.path]).encode(), timeout=max(seconds, 0.1))
        except BaseException as error:  # Ctrl-C too: nothing is left running
            process.kill()
            process.communicate()
            if not isinstance(error, subprocess.TimeoutExpired):
                raise
            return None, [], {}
    words = [line.strip() for line in out.decode(errors="replace").splitlines() if not _CHATTER.match(line.strip())]
    try:
        said = json.loads(noted.read_text())
    except (OSError, ValueError):
        said = {"notes": [], "reference": request["source"], "described": {}}
    return process.returncode, words, said


def _crashes_on(request: dict[str, Any], folder: Path, until: float) -> str:
    """Find the operator by halving: with the first so many it crashes, with one less it does not."""
    if request["framework"] == "ONNX" and importlib.util.find_spec("onnx") is None:
        return ""
    good, bad, found = 0, None, None
    at = 1 << 30  # all of them
    while time.monotonic() < until:
        code, _, said = _child({**request, "first": at}, folder, until - time.monotonic())
        if code is None or "operator" not in said:
            return ""
        if code < 0:
            bad, found = min(at, said["operator"][2]), said["operator"]
        elif bad is None:
            return ""  # the whole, cut nowhere, does not crash
        else:
            good = at
        if bad - good == 1:
            name, kind, count = found or ("", "", 0)
            return f" on operator {name} ({kind}), {bad} of {count}"
        at = (good + bad) // 2
    return "" if bad is None or found is None else f" between operators {good} and {bad} of {found[2]}"


def _readable(source: Path, folder: Path) -> str:
    """The path for the converter, which knows UTF-8 alone: a link in `folder` where it is none."""
    path = os.fspath(source)
    if path == path.encode("utf-8", "replace").decode():
        return path
    link = folder / f"source{source.suffix}"
    link.symlink_to(source)
    return os.fspath(link)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
