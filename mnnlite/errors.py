"""Every error that mnnlite raises. Each is also the built-in exception that fits, so ``except ValueError`` works too."""

from __future__ import annotations

from typing import Any

__all__ = [
    "MnnliteError",
    "ArgumentError",
    "DTypeError",
    "LayoutError",
    "ModelError",
    "ModelNotFoundError",
    "ModelFormatError",
    "TensorNotFoundError",
    "UnsupportedModelError",
    "ConversionError",
    "EngineError",
    "EngineNotFoundError",
    "EngineVersionError",
    "BackendUnavailableError",
    "OutOfMemoryError",
    "StateError",
    "ClosedError",
    "BusyError",
    "DecoderError",
    "DecoderABIError",
    "MemoryBudgetError",
    "PipelineError",
    "SourceError",
    "OutputError",
    "MissingExtraError",
]


class MnnliteError(Exception):
    """Base of all errors: one line that says what was wrong, what was got, what was wanted and what to do.

    Parameters
    ----------
    message : str
    op : str, optional
        The stage that failed, e.g. ``"create_session"``.
    details : dict, optional
        Facts for programs, e.g. ``{"engine_code": 3}``.
    """

    def __init__(self, message: str = "", *, op: str | None = None, details: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.op = op
        self.details: dict[str, Any] = details or {}


class ArgumentError(MnnliteError, ValueError):
    """An argument has a value that cannot be used."""


class DTypeError(ArgumentError):
    """An array has the wrong dtype; nothing is converted silently."""


class LayoutError(ArgumentError):
    """An array has the wrong shape, strides or order of axes."""


class ModelError(MnnliteError):
    """Something is wrong with a model."""


class ModelNotFoundError(ModelError, FileNotFoundError):
    """There is no such model file."""

    # FileNotFoundError.__str__ is OSError's; with one argument it prints that argument.


class ModelFormatError(ModelError, ValueError):
    """The bytes are not an MNN model, or the model is damaged."""


class TensorNotFoundError(ModelError, LookupError):
    """The model has no input or output of that name."""


class EngineError(MnnliteError, RuntimeError):
    """MNN returned an error; ``details["engine_code"]`` is its number."""


class UnsupportedModelError(EngineError):
    """A network that the engine cannot run: unknown operators, or shapes that depend on content."""


class ConversionError(ModelError):
    """A converted network computes something else than its source; ``details["verdict"]`` says where."""


class EngineNotFoundError(EngineError, ImportError):
    """MNN is not installed, or its library cannot be loaded."""


class EngineVersionError(EngineError, ImportError):
    """The installed MNN is too old, too new or laid out differently."""


class BackendUnavailableError(EngineError):
    """The engine was built without that backend; nothing falls back silently."""


class OutOfMemoryError(MnnliteError, MemoryError):
    """The engine or mnnlite got no memory. Other models continue to work."""


class StateError(MnnliteError, RuntimeError):
    """The object is not in a state that allows this."""


class ClosedError(StateError):
    """The object was closed."""


class BusyError(StateError):
    """The object is in use: by another thread, or by views that are still alive."""


class DecoderError(MnnliteError, RuntimeError):
    """A decoder failed or refused its tensors."""


class DecoderABIError(DecoderError):
    """A native decoder was built for another version of decoder.h."""


class MemoryBudgetError(MnnliteError, MemoryError):
    """Loading would exceed the memory budget."""


class PipelineError(MnnliteError, ValueError):
    """A pipeline file has an error; the message starts with file, line and key.

    Parameters
    ----------
    message : str
    file : str, optional
    line : int, optional
        Counts from 1.
    key : str, optional
        Dotted, e.g. ``"task.objects.image.size"``.
    """

    def __init__(
        self, message: str = "", *, file: str | None = None, line: int | None = None, key: str | None = None
    ) -> None:
        where = ":".join(str(part) for part in (file, line) if part is not None)
        super().__init__(": ".join(part for part in (where, key, message) if part))
        self.file = file
        self.line = line
        self.key = key


class SourceError(MnnliteError, OSError):
    """A video, picture or camera cannot be opened, or ends early."""


class OutputError(MnnliteError, OSError):
    """A file cannot be written; what was written before is whole."""


class MissingExtraError(MnnliteError, ImportError):
    """An optional library is not installed; the message names the extra that installs it."""


def about_task(name: str, what: str, error: object) -> str:
    """Say ``task 'a' WHAT: ERROR``, without the error's own ``task 'a'`` once more."""
    return f"task {name!r} {what}: {without_task(name, error)}"


def without_task(name: str, error: object) -> str:
    """Return what an error says, for a sentence that has begun with the task's name."""
    task, text = f"task {name!r}", str(error)
    if text.startswith(f"{task}: "):
        return text[len(task) + 2 :]
    return "it" + text[len(task) :] if text.startswith(f"{task} ") else text


def name_task(name: object, error: MnnliteError) -> None:
    """Let an error about one task of several begin with ``task 'a': ``, unless it names the task."""
    if f"task {name!r}" not in str(error):
        error.args = (f"task {name!r}: {error}", *error.args[1:])
