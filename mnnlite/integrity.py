"""What a model is loaded from: each file opened once, and its SHA-256 compared with the one that was written down.

The bytes that were hashed are the bytes that are verified and loaded; the file with the weights is opened by the engine
through the descriptor that was hashed.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from mnnlite import _core
from mnnlite.errors import ArgumentError, ModelFormatError
from mnnlite.specs import checked_hash

if TYPE_CHECKING:
    from typing import TypeAlias

    Source: TypeAlias = "str | os.PathLike[str] | bytes | bytearray | memoryview"
    Path: TypeAlias = "str | os.PathLike[str]"

__all__ = ["file_hash", "open_model", "weights_beside"]

_PART = 1 << 20


def open_model(
    source: Source, external: Path | None = None, sha256: str | None = None, weights_sha256: str | None = None
) -> tuple[_core.ModelFile | bytes | bytearray | memoryview, _core.WeightsFile | None]:
    """Open a model's files and compare their hashes.

    Parameters
    ----------
    source : path or bytes-like
        The model.
    external : path, optional
        The file with its weights; by default ``source + ".weight"`` if there is one.
    sha256, weights_sha256 : str, optional
        64 hexadecimal digits of both.

    Returns
    -------
    tuple
        What `_core.Model` takes.

    Raises
    ------
    ModelNotFoundError, ModelFormatError
        No such file; or its hash is another one.
    ArgumentError
        A hash is not one; one is given for weights and there is no file with them.
    """
    wanted, wanted_weights = checked_hash(sha256, "sha256"), checked_hash(weights_sha256, "weights_sha256")
    if isinstance(source, (bytes, bytearray, memoryview)):
        model: _core.ModelFile | bytes | bytearray | memoryview = source
    else:
        model = _core.ModelFile(os.fspath(source))
        if external is None:
            external = weights_beside(source)
    if wanted is not None:
        import hashlib  # OpenSSL takes four megabytes: only where it is needed

        _compare(hashlib.sha256(model).hexdigest(), wanted, "the model", source)
    weights = None if external is None else _core.WeightsFile(os.fspath(external))
    if wanted_weights is not None:
        if weights is None or external is None:
            raise ArgumentError("weights_sha256 is given, and the model has no file with weights; leave it out")
        _compare(_descriptor_hash(weights.descriptor), wanted_weights, "the file with the weights", external)
    return model, weights


def weights_beside(source: Path) -> str | None:
    """Where the converter puts the weights of a model that does not hold them, if there is such a file."""
    beside = f"{os.fspath(source)}.weight"
    return beside if os.path.isfile(beside) else None


def file_hash(path: Path) -> str:
    """SHA-256 of a file's content.

    Raises
    ------
    OSError
        It cannot be read.
    """
    with open(path, "rb") as file:
        return _descriptor_hash(file.fileno())


def _descriptor_hash(descriptor: int) -> str:
    import hashlib

    digest, offset = hashlib.sha256(), 0
    while part := os.pread(descriptor, _PART, offset):
        digest.update(part)
        offset += len(part)
    return digest.hexdigest()


def _compare(got: str, wanted: str, what: str, source: Source) -> None:
    if got != wanted:
        where = "" if isinstance(source, (bytes, bytearray, memoryview)) else f" {os.fspath(source)}"
        raise ModelFormatError(
            f"{what}{where} is not the one that was written down: its SHA-256 is {got}, wanted was {wanted}", op="load"
        )
