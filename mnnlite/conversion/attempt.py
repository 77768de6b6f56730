"""A converted network is loaded and run in a child process before it gets its name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mnnlite.descriptions.description import dims
from mnnlite.descriptions.reader import read_file, size_of
from mnnlite.errors import ArgumentError, MnnliteError, ModelFormatError, UnsupportedModelError
from mnnlite.trial import ask, trial_options

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from mnnlite.specs import TensorInfo

__all__ = ["example", "try_converted"]

# Height and width of open axes: pictures, lines of text; at last 1.
_SIZES = ((320, 320), (224, 224), (48, 320), (32, 320), (640, 640), (1, 1))


def try_converted(
    made: Path, source: Path, shapes: Mapping[str, Sequence[int]] | None, seconds: float
) -> dict[str, tuple[int, ...]] | None:
    """Load and run what was converted.

    Parameters
    ----------
    made, source : Path
        The .mnn file, and the file that it was made of.
    shapes : dict, optional
        Of inputs that the file leaves open; where they are not given, the usual ones are tried.
    seconds : float
        How long each try may take.

    Returns
    -------
    dict or None
        The shapes with which it ran; None: with none of those tried, and none was given.

    Raises
    ------
    MnnliteError
        It does not run.
    """
    given = {name: tuple(dims) for name, dims in (shapes or {}).items()}
    said, network = read_file(source)
    inputs = network.inputs
    unknown = [name for name in given if name not in {info.name for info in inputs}]
    if unknown:
        raise ArgumentError(
            f"shapes: {source} has no input {unknown[0]!r}; it has {', '.join(repr(info.name) for info in inputs)}"
        )
    choices = _choices(inputs, given, said)
    failures: list[MnnliteError] = []
    for choice in choices:
        failure = _failure(made, source, choice, seconds)
        if failure is None:
            return choice
        failures.append(failure)
    if given or not _open(inputs, given):
        raise failures[-1]
    if all(isinstance(failure, UnsupportedModelError) for failure in failures):
        raise UnsupportedModelError(
            f"{failures[0]} (so it was with every size tried for its open axes; if it needs another, say it: {example(source)})",
            op="convert",
        )
    return None


def example(source: Path) -> str:
    """What to type for inputs that a file leaves open."""
    said, network = read_file(source)
    choice = _choices(network.inputs, {}, said)[0]
    return " ".join(f"--shape {name}={dims(shape)}" for name, shape in choice.items())


def _open(inputs: Sequence[TensorInfo], given: Mapping[str, tuple[int, ...]]) -> bool:
    return any(extent < 0 for info in inputs for extent in given.get(info.name, info.shape))


def _choices(
    inputs: Sequence[TensorInfo], given: dict[str, tuple[int, ...]], said: Mapping[str, Any]
) -> list[dict[str, tuple[int, ...]]]:
    """Shapes to try: as the file says, or, where it leaves axes open, one picture of its exporter's size, or the usual ones."""
    if not _open(inputs, given):
        return [given]
    described = size_of(said)
    choices = []
    for size in (*(() if described is None else ((described[1], described[0]),)), *_SIZES):
        choice = {info.name: _closed(info.shape, size) for info in inputs if -1 in info.shape} | given
        if choice not in choices:
            choices.append(choice)
    return choices


def _closed(shape: tuple[int, ...], size: tuple[int, int]) -> tuple[int, ...]:
    """A shape without open axes: one item; of two more axes the first is the height, any other a width."""
    extents = list(shape)
    if extents[0] < 0:
        extents[0] = 1
    axes = [axis for axis, extent in enumerate(extents) if extent < 0]
    for axis in axes:
        extents[axis] = size[0] if len(axes) == 2 and axis == axes[0] else size[1]
    return tuple(extents)


def _failure(made: Path, source: Path, shapes: Mapping[str, tuple[int, ...]], seconds: float) -> MnnliteError | None:
    """What another shape may help against."""
    options: dict[str, Any] = trial_options(None, shapes, (), False, {})
    what = f"what the converter made of {source}"
    try:
        ask({"model": str(made.resolve()), "options": options}, [], seconds, what)
    except ModelFormatError as error:
        if error.details.keys() & {"signal", "seconds"}:  # it crashed, or took too long: the file is whole
            raise
        raise ModelFormatError(
            f"the converter wrote a damaged file for {source}; is the disk full? ({error})", op="convert"
        ) from None
    except MnnliteError as error:
        return error
    return None
