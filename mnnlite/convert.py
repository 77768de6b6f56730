"""ONNX and TFLite files into MNN's format, by the converter that comes with MNN's package.

The converter crashes on some files, ends well without writing anything on others, and says "Success" when the disk was
full. So it runs in a child process, into a folder of its own, and its file is loaded once before it gets its name.
"""

from __future__ import annotations

import importlib.util
import os
import re
import signal
import subprocess
import tempfile
from pathlib import Path

from mnnlite import descriptions
from mnnlite.children import interpreter
from mnnlite.errors import (
    ArgumentError,
    EngineNotFoundError,
    MnnliteError,
    ModelFormatError,
    ModelNotFoundError,
    OutputError,
    UnsupportedModelError,
)
from mnnlite.trial import crashed

__all__ = ["convert"]

FRAMEWORKS = {".onnx": "ONNX", ".tflite": "TFLITE"}

# The console script `mnnconvert` tries to send usage data somewhere; its C module does not.
_CONVERT = "import _tools, sys; _tools.mnnconvert(['mnnconvert', *sys.argv[1:]])"
# A network that needs shapes, or one that this engine build cannot execute, is a whole file all the same.
_LOAD = """
import sys, mnnlite
try:
    mnnlite.Model(sys.argv[1]).close()
except mnnlite.ModelFormatError as error:
    sys.exit(str(error))
except mnnlite.MnnliteError:
    pass
"""
_CHATTER = re.compile(r"^(The device supports|Start to |\[[\d:]+\] :\d+: ONNX Model |inputTensors|outputTensors|$)")


def convert(
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
    *,
    fp16: bool = False,
    weight_bits: int | None = None,
    external: bool = False,
) -> Path:
    """Convert a network. What the file says of itself, and the task that follows from it, are in the new file too.

    Parameters
    ----------
    source : path
        A ``.onnx`` or ``.tflite`` file.
    target : path
        The ``.mnn`` file to write; an older one is replaced when the new one is whole.
    fp16 : bool
        Store weights as half floats: half the file, the same memory. Shape constants are halved too, so that the size
        of a resized tensor can change by a pixel.
    weight_bits : int, 2 to 8, optional
        Quantise weights to so many bits: a quarter of the file for 8; less memory only with ``memory_mode="low"``.
    external : bool
        Keep the weights in a second file, ``target + ".weight"``: half the peak of loading.

    Returns
    -------
    Path
        `target`.

    Raises
    ------
    ModelNotFoundError
        There is no such source.
    UnsupportedModelError
        The converter refused the file, crashed on it, or wrote nothing; its last words are in the message.
    ModelFormatError
        It wrote a damaged file, as it does when the disk is full.
    EngineNotFoundError
        The installed engine has no converter.
    ArgumentError, OutputError
        Anything else that was asked for in vain; the target cannot be written.

    Notes
    -----
    Takes a child process and a few seconds. The target appears whole or not at all.
    """
    source, target = Path(source), Path(target)
    _check(source, target, weight_bits, external)
    options = ["--fp16"] if fp16 else []
    options += ["--weightQuantBits", str(weight_bits)] if weight_bits is not None else []
    options += ["--saveExternalData"] if external else []
    try:
        with tempfile.TemporaryDirectory(prefix=".mnnlite-", dir=target.parent) as folder:
            made = Path(folder) / "converted.mnn"
            _run_converter(source, made, options)
            _check_whole(made, source)
            descriptions.carry(source, made)
            weights = made.with_name(made.name + ".weight")
            if external and weights.exists():
                os.replace(weights, target.with_name(target.name + ".weight"))
            os.replace(made, target)
    except OSError as error:
        if isinstance(error, MnnliteError):
            raise
        raise OutputError(f"cannot write {target}: {error.strerror or error}") from None
    return target


def _check(source: Path, target: Path, weight_bits: int | None, external: bool) -> None:
    if not source.is_file():
        raise ModelNotFoundError(f"there is no model file {source}")
    if source.suffix.lower() not in FRAMEWORKS:
        raise ArgumentError(f"{source} ends in {source.suffix!r}; wanted {' or '.join(FRAMEWORKS)}")
    if target.suffix != ".mnn":
        raise ArgumentError(f"the output {target} ends in {target.suffix!r}; wanted .mnn")
    if not target.parent.is_dir():
        raise ArgumentError(f"there is no folder {target.parent} to write {target.name} to; make it first")
    if target.is_dir():
        raise ArgumentError(f"the output {target} is a folder; give a file name")
    if weight_bits is not None and not (isinstance(weight_bits, int) and 2 <= weight_bits <= 8):
        raise ArgumentError(f"weight_bits is {weight_bits!r}; wanted a whole number from 2 to 8")
    stray = target.with_name(target.name + ".weight")
    if not external and stray.exists():  # the engine would read it as this model's weights
        raise ArgumentError(f"{stray} lies beside the output and would be read as its weights; remove it first")
    if importlib.util.find_spec("_tools") is None:
        raise EngineNotFoundError('the converter is not installed; install it with: pip install "MNN>=3.0.0,<4"')


def _run_converter(source: Path, made: Path, options: list[str]) -> None:
    files = ["--modelFile", _readable(source.resolve(), made.parent), "--MNNModel", made.name]
    command = ["-f", FRAMEWORKS[source.suffix.lower()], *files, "--bizCode", "mnnlite", *options]
    done = subprocess.run(
        [interpreter(), "-c", _CONVERT, *command],
        cwd=made.parent,  # python -c looks for modules in its folder first: it shall find none there
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    if done.returncode == 0 and made.exists() and made.stat().st_size:
        return
    said = [line.strip() for line in done.stdout.decode(errors="replace").splitlines() if not _CHATTER.match(line)]
    words = f"; it said: {' | '.join(said[-4:])[:400]}" if said else ""
    if done.returncode < 0:
        raise UnsupportedModelError(
            f"the converter crashed on {source} ({_signal_name(-done.returncode)}){words}", op="convert"
        )
    raise UnsupportedModelError(f"the converter cannot convert {source}{words}", op="convert")


def _readable(source: Path, folder: Path) -> str:
    """The path for the converter, which knows UTF-8 alone: a link in `folder` where it is none."""
    path = os.fspath(source)
    if path == path.encode("utf-8", "replace").decode():
        return path
    link = folder / f"source{source.suffix}"
    link.symlink_to(source)
    return link.name


def _check_whole(made: Path, source: Path) -> None:
    done = subprocess.run(
        [interpreter(), "-c", _LOAD, str(made.resolve())],
        cwd=made.parent,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        check=False,
    )
    if done.returncode == 0:
        return
    if done.returncode < 0:
        raise crashed(f"what the converter made of {source}", -done.returncode, "convert")
    said = done.stderr.decode(errors="replace").strip().splitlines()
    raise ModelFormatError(
        f"the converter wrote a damaged file for {source}; is the disk full? ({said[-1] if said else 'no message'})",
        op="convert",
    )


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
