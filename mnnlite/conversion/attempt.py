"""A converted network is loaded and run in a child process before it gets its name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mnnlite.descriptions.reader import read_file
from mnnlite.errors import ArgumentError, MnnliteError, ModelFormatError, UnsupportedModelError
from mnnlite.trial import ask, trial_options

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from mnnlite.specs import TensorInfo

__all__ = ["try_converted"]

_SIZES = (0, 320, 224, 48, 640)  # of open axes but the first: 0 is 1 for all


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
    inputs = read_file(source)[1].inputs
    unknown = [name for name in given if name not in {info.name for info in inputs}]
    if unknown:
        raise ArgumentError(
            f"shapes: {source} has no input {unknown[0]!r}; it has {', '.join(repr(info.name) for info in inputs)}"
        )
    last: MnnliteError | None = None
    for choice in _choices(inputs, given):
        last = _failure(made, source, choice, seconds)
        if last is None:
            return choice
    if last is not None and (given or not _open(inputs, given)):
        raise last
    return None


def _open(inputs: Sequence[TensorInfo], given: Mapping[str, tuple[int, ...]]) -> bool:
    return any(extent < 0 for info in inputs for extent in given.get(info.name, info.shape))


def _choices(inputs: Sequence[TensorInfo], given: dict[str, tuple[int, ...]]) -> list[dict[str, tuple[int, ...]]]:
    """Shapes to try: as the file says, or, where it leaves axes open, one picture of the usual sizes."""
    if not _open(inputs, given):
        return [given]
    choices = []
    for size in _SIZES:
        choice = dict(given)
        for info in inputs:
            if info.name not in given and -1 in info.shape:
                first = info.shape.index(-1) if info.shape[0] == -1 else -1
                choice[info.name] = tuple(
                    (1 if axis == first or not size else size) if extent < 0 else extent
                    for axis, extent in enumerate(info.shape)
                )
        if choice not in choices:
            choices.append(choice)
    return choices[1:] + choices[:1] if len(choices) > 1 else choices


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
    except UnsupportedModelError:
        raise
    except MnnliteError as error:
        return error
    return None
