"""A trial: a model is loaded and run in a child process first, so that what the engine dies of is an error here.

Verified files can still meet faults of the engine. The child gets the bytes that were verified, in memory, and the open
file with the weights; it runs the network on a constant and on a random input. What passed is remembered in this process.
"""

from __future__ import annotations

import json
import os
import signal
from typing import TYPE_CHECKING, Any

from mnnlite import children, errors
from mnnlite.errors import ArgumentError, MnnliteError, ModelFormatError, OutOfMemoryError, StateError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mnnlite import _core

__all__ = ["SECONDS", "ask", "crashed", "seconds_of", "trial_options", "try_model"]

SECONDS = 60.0  # that a trial may take by default: a large network on a slow board

_CHILD = children.calling("mnnlite.trial_child", "run_trial")
_passed: set[str] = set()


def seconds_of(trial: object) -> float | None:
    """How long a trial may take; None: no trial is wanted.

    Raises
    ------
    ArgumentError
        It is neither a truth value nor a positive number.
    """
    if isinstance(trial, bool) or trial is None:
        return SECONDS if trial else None
    if isinstance(trial, (int, float)) and 0 < trial < 1e6:
        return float(trial)
    raise ArgumentError(f"trial is {trial!r}; it must be True, False, or how many seconds it may take")


def trial_options(
    outputs: Sequence[str] | None,
    shapes: Mapping[str, Sequence[int]] | None,
    images: Sequence[_core.ImageHint],
    resizable: bool,
    arena: Mapping[str, Any],
) -> dict[str, Any]:
    """How a model is going to be loaded, as plain data."""
    return {
        "outputs": list(outputs or ()),
        "shapes": {name: list(dims) for name, dims in (shapes or {}).items()},
        "images": [image.to_dict() for image in images],
        "resizable": bool(resizable),
        "arena": dict(arena),
    }


def try_model(
    model: _core.ModelFile | bytes | bytearray | memoryview,
    weights: _core.WeightsFile | None,
    options: Mapping[str, Any],
    seconds: float,
    what: str,
) -> None:
    """Load and run a model in a child process.

    Parameters
    ----------
    model, weights
        As `mnnlite.integrity.open_model` gives them.
    options : dict
        Of the load, as plain data; as `trial_options` gives.
    seconds : float
        How long it may take.
    what : str
        How errors call the model.

    Raises
    ------
    ModelFormatError
        The engine crashed on it, or did not end in time.
    MnnliteError
        What loading or running it raised in the child.
    """
    words = json.dumps(dict(options), sort_keys=True)
    facts = None if weights is None else os.fstat(weights.descriptor)
    weights_identity = "" if facts is None else f"{facts.st_dev} {facts.st_ino} {facts.st_size} {facts.st_mtime_ns}"
    import hashlib

    key = f"{hashlib.sha256(model).hexdigest()} {weights_identity} {words}"
    if key in _passed:
        return
    copy = os.memfd_create("mnnlite-trial", os.MFD_CLOEXEC)
    try:
        view, at = memoryview(model), 0
        while at < len(view):
            at += os.write(copy, view[at : at + (1 << 24)])
        view.release()
        request: dict[str, Any] = {"model": f"/proc/self/fd/{copy}", "options": dict(options)}
        descriptors = [copy]
        if weights is not None:
            request["external"] = f"/proc/self/fd/{weights.descriptor}"
            descriptors.append(weights.descriptor)
        ask(request, descriptors, seconds, what)
    finally:
        os.close(copy)
    _passed.add(key)


def ask(request: dict[str, Any], descriptors: list[int], seconds: float, what: str) -> None:
    """Load and run in a child process what a request says: ``model``, a path, ``external``, and ``options``.

    Raises
    ------
    MnnliteError
        As of `try_model`.
    """
    try:
        ended = children.ask(_CHILD, request, seconds=seconds, descriptors=descriptors)
    except TimeoutError:
        raise ModelFormatError(
            f"{what} did not load and run within {seconds:g} s when it was tried in a child process; trial= takes more seconds",
            op="trial",
            details={"seconds": seconds},
        ) from None
    except OSError as error:
        raise StateError(f"there is no child process to try {what} in: {error}", op="trial") from None
    if ended.code < 0:
        raise crashed(what, -ended.code, "trial")
    answer = ended.answer
    if answer is None:
        raise StateError(
            f"the child process that tries {what} ended with {ended.code} and no answer; it said: {ended.said}",
            op="trial",
        )
    if "error" in answer:
        kind = getattr(errors, answer["error"], MnnliteError)
        raise kind(answer["text"].replace(request["model"], what), op=answer["op"], details=answer["details"])


def crashed(what: str, number: int, op: str) -> MnnliteError:
    """The error for a model that a child process was killed over."""
    try:
        name = signal.Signals(number).name
    except ValueError:
        name = f"signal {number}"
    if number == signal.SIGKILL:
        return OutOfMemoryError(f"the child process that loaded {what} was killed ({name}): out of memory?", op=op)
    return ModelFormatError(
        f"the engine crashed on {what} ({name}) in a child process: the file is damaged, or the engine has a fault; "
        "do not load it here",
        op=op,
        details={"signal": name},
    )
