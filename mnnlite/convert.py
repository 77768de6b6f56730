"""Converts ONNX and TFLite files into MNN's format: checks them first, tries the result, and compares it with its source.

`mnnlite.conversion` does all but the comparison, also for networks that are converted on the fly.
"""

from __future__ import annotations

import importlib.util
import os
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mnnlite import cache, children, descriptions
from mnnlite.conversion import SECONDS, Converted, converted_in, key_of, move
from mnnlite.conversion import keep as keep_converted
from mnnlite.conversion.attempt import example
from mnnlite.conversion.formats import ENGINES, FRAMEWORKS
from mnnlite.conversion.rewrites import SLIM
from mnnlite.descriptions import mnnfile
from mnnlite.errors import ArgumentError, ConversionError
from mnnlite.files import refuse_address
from mnnlite.trial import crashed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["Conversion", "Verdict", "convert", "ready_compared"]

_CHILD = children.calling("mnnlite.convert_child", "run_comparison")


@dataclass(frozen=True)
class Verdict:
    """Whether a converted network computes what its source does.

    Parameters
    ----------
    compared : bool
        Whether the network was compared with its source.
    equal : bool
        Whether the comparison found them equal.
    text : str
        One line that says what was found, or why nothing was compared.
    reference : str
        The engine that ran the source, such as ``"ONNX Runtime 1.20"``.
    inputs : tuple of str
        Names of the inputs that both ran on.
    worst : float, optional
        The largest difference of an output over its largest value.
    worst_output : str
    operator, type : str
        The first operator that deviates, by its own name and type.
    loss : float, optional
        As `worst`, for half floats or weights of few bits: what they cost in accuracy.
    warnings : tuple of str
    """

    compared: bool
    equal: bool
    text: str
    reference: str = ""
    inputs: tuple[str, ...] = ()
    worst: float | None = None
    worst_output: str = ""
    operator: str = ""
    type: str = ""
    loss: float | None = None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Conversion(os.PathLike[str]):
    """What `convert` made. It can be used as a path.

    Parameters
    ----------
    path : Path
        The .mnn file.
    weights : Path, optional
        The file with its weights, with ``external=True``.
    verdict : Verdict
    notes : tuple of str
        What mnnlite rewrote, and what the converter complained about.
    """

    path: Path
    weights: Path | None
    verdict: Verdict
    notes: tuple[str, ...]

    def __fspath__(self) -> str:
        return os.fspath(self.path)

    def __str__(self) -> str:
        return str(self.path)


def convert(
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
    *,
    fp16: bool = False,
    weight_bits: int | None = None,
    external: bool = False,
    shapes: Mapping[str, Sequence[int]] | None = None,
    compare: bool = True,
    pictures: str | os.PathLike[str] | None = None,
    slim: bool | Sequence[str] = False,
    keep: bool = False,
    seconds: float = SECONDS,
) -> Conversion:
    """Convert a network. The new file also holds what the source says of its use, and the task that follows from it.

    Parameters
    ----------
    source : path
        A ``.onnx`` or ``.tflite`` file.
    target : path
        The ``.mnn`` file to write; an older one is replaced when the new one is whole.
    fp16 : bool
        Store weights as half floats: half the file, the same memory. Shape constants become half floats too, so the size of
        a resized tensor can change by a pixel.
    weight_bits : int, 2 to 8, optional
        Quantise weights to so many bits. With 8 bits the file is a quarter as large. They take less memory only with
        ``memory_mode="low"``.
    external : bool
        Keep the weights in a second file, ``target + ".weight"``. That halves the peak of loading.
    shapes : dict of str to tuple of int, optional
        Shapes of inputs that the file leaves open, to try and compare the network with. By default the usual ones are tried.
    compare : bool
        Compare the result with the source, if ONNX Runtime or LiteRT is installed. With `fp16` or `weight_bits` the plain
        conversion is compared, and their loss of accuracy is measured.
    pictures : path, optional
        A file, folder or video of pictures to compare on as well, beside a constant and random inputs. The network's own
        description says how they become inputs; without one they are RGB from 0 to 1.
    slim : bool or sequence of str
        Lower the peak of feature maps by rewrites: ``"slopes"`` (PRelu as the engine's own operator instead of seven) and
        ``"attention"`` (self-attention in blocks of query rows, where it holds the peak), which compute the same numbers; ``"expansions"``
        (inverted residuals in blocks of channels, where they hold the peak), which differs by rounding; these three are for ONNX
        networks; ``"tails"`` (a network that makes its scores as large as the picture and then a class of each pixel is cut off
        before that, where it holds the peak: its output becomes the scores, of which `Segmentation` makes the same classes); or
        all of them. The notes say what was rewritten, or why nothing was.
    keep : bool
        Write the file even if it deviates.
    seconds : float
        The most seconds that each step may take.

    Returns
    -------
    Conversion
        With the verdict.

    Raises
    ------
    ConversionError
        The converted network computes something else; ``details`` has the verdict. Without `keep` nothing was written.
    ModelNotFoundError, ModelFormatError
        There is no such source, it is damaged, or the converter wrote a damaged file, as it does when the disk is full.
    UnsupportedModelError
        The converter refused the file, crashed on it, or wrote nothing (the message ends with its output), or the engine
        cannot run what it wrote.
    MissingExtraError
        The network has to be rewritten first, and the package for that is not installed.
    EngineNotFoundError
        The installed engine has no converter.
    ArgumentError, OutputError
        An argument cannot be used, or the target cannot be written.

    Notes
    -----
    It starts child processes and takes a few seconds. It writes the target whole or not at all.
    """
    refuse_address(source)
    source, target = Path(source), Path(target)
    _check(target, weight_bits, external, seconds)
    chosen = _chosen(slim)
    options = ["--fp16"] if fp16 else []
    options += ["--weightQuantBits", str(weight_bits)] if weight_bits is not None else []
    smaller = bool(options)
    options += ["--saveExternalData"] if external else []
    with converted_in(
        target.parent, source, options=options, external=external, shapes=shapes, slim=chosen, seconds=seconds
    ) as made:
        verdict = _not_compared(source, made, compare)
        if verdict is None and smaller:
            with converted_in(target.parent, source, shapes=shapes, slim=chosen, seconds=seconds) as plain:
                verdict = _compared(source, plain, made, pictures, seconds)
        elif verdict is None:
            verdict = _compared(source, made, None, pictures, seconds)
        _write_down(made, verdict)
        wrong = verdict.compared and not verdict.equal
        if keep or not wrong:
            move(made, target)
        weights = None if made.weights is None else target.with_name(target.name + ".weight")
        notes = tuple(made.notes)
    if wrong:
        kept = (
            f"{target} was written all the same"
            if keep
            else "nothing was written (keep=True, --keep: write it all the same)"
        )
        raise ConversionError(
            f"{source}: {verdict.text}; {kept}", op="convert", details={"verdict": asdict(verdict), "notes": notes}
        )
    return Conversion(target, weights, verdict, notes)


def ready_compared(
    source: str | os.PathLike[str], shapes: Mapping[str, Sequence[int]] | None = None, seconds: float = SECONDS
) -> tuple[Path, Verdict]:
    """Convert a network into the cache, where `Task` and the commands find it, and compare it with its source, once.

    Parameters
    ----------
    source, shapes, seconds
        As for `convert`.

    Returns
    -------
    Path
        The .mnn file.
    Verdict

    Raises
    ------
    ConversionError
        It deviates, and was not kept.
    MnnliteError
        As for `convert`.
    """
    source = Path(source)
    key = key_of(source)
    kept = cache.load_file("converted", key)
    said = {} if kept is None else mnnfile.read(kept).get("conversion", {})
    if kept is not None and said.get("compared"):
        return kept, Verdict(True, True, f"equal: compared with {said.get('reference')}", worst=said.get("worst"))
    with tempfile.TemporaryDirectory(prefix="mnnlite-") as folder:
        made = convert(source, Path(folder) / "converted.mnn", shapes=shapes, seconds=seconds)
        return keep_converted(key, made.path), made.verdict


def _chosen(slim: bool | Sequence[str]) -> tuple[str, ...]:
    chosen = tuple(SLIM) if slim is True else tuple(slim or ())
    for name in chosen:
        if name not in SLIM:
            raise ArgumentError(f"slim is {name!r}; it must be True or some of {', '.join(map(repr, SLIM))}")
    return chosen


def _check(target: Path, weight_bits: int | None, external: bool, seconds: float) -> None:
    if target.suffix != ".mnn":
        raise ArgumentError(f"the output {target} ends in {target.suffix!r}; wanted .mnn")
    if not target.parent.is_dir():
        raise ArgumentError(f"there is no folder {target.parent} to write {target.name} to; make it first")
    if target.is_dir():
        raise ArgumentError(f"the output {target} is a folder; give a file name")
    if weight_bits is not None and not (isinstance(weight_bits, int) and 2 <= weight_bits <= 8):
        raise ArgumentError(f"weight_bits is {weight_bits!r}; wanted a whole number from 2 to 8")
    if not 0 < seconds < 1e6:
        raise ArgumentError(f"seconds is {seconds!r}; wanted a positive number")
    stray = target.with_name(target.name + ".weight")
    if not external and stray.exists():  # the engine would read it as this model's weights
        raise ArgumentError(f"{stray} lies beside the output and would be read as its weights; remove it first")


def _not_compared(source: Path, made: Converted, compare: bool) -> Verdict | None:
    engine, packages = ENGINES[FRAMEWORKS[source.suffix.lower()]]
    if not compare:
        return Verdict(False, False, "not compared: nobody asked")
    missing = [package for package in packages if importlib.util.find_spec(package) is None]
    if missing:
        return Verdict(
            False, False, f'not compared: {engine} is not installed; install it with: pip install "mnnlite[compare]"'
        )
    if made.shapes is None:
        return Verdict(
            False, False, f"not compared, nor tried: shapes of inputs are open; say them, such as {example(source)}"
        )
    return None


def _compared(
    source: Path, made: Converted, smaller: Converted | None, pictures: str | os.PathLike[str] | None, seconds: float
) -> Verdict:
    """Compare in a child process: the engine may die of a network, and so may the other one."""
    request = {
        "made": str(made.path.resolve()),
        "smaller": None if smaller is None else str(smaller.path.resolve()),
        "reference": str(made.reference.resolve()),
        "shapes": made.shapes,
        "pictures": None if pictures is None else os.path.abspath(pictures),
    }
    try:
        ended = children.ask(_CHILD, request, seconds=seconds)
    except TimeoutError:
        return Verdict(
            True, False, f"the comparison did not end within {seconds:g} s (--seconds: more; --no-compare: none)"
        )
    if ended.code < 0:
        return Verdict(True, False, f"the comparison died: {crashed(str(source), -ended.code, 'compare')}")
    if ended.answer is None:
        return Verdict(True, False, f"the comparison ended without an answer; it said: {ended.said}")
    facts: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in ended.answer.items()
    }
    return Verdict(**facts)


def _write_down(made: Converted, verdict: Verdict) -> None:
    said: dict[str, Any] = {"compared": verdict.compared}
    if verdict.compared:
        said |= {"equal": verdict.equal, "reference": verdict.reference, "worst": verdict.worst}
        said |= {"output": verdict.worst_output, "inputs": list(verdict.inputs)}
        said |= {} if verdict.equal else {"operator": verdict.operator, "type": verdict.type}
        said |= {} if verdict.loss is None else {"loss": verdict.loss}
    if made.notes:
        said["notes"] = made.notes
    descriptions.embed(made.path, None, {"conversion": said})
