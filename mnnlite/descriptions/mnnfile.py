"""The text that an .mnn file carries for whoever uses it: the field ``bizCode``."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mnnlite.descriptions.flat import root
from mnnlite.descriptions.pages import Pages
from mnnlite.errors import ArgumentError, ModelFormatError, ModelNotFoundError
from mnnlite.files import atomic_write

if TYPE_CHECKING:
    import os

__all__ = ["read", "write"]

_BIZ_CODE = 0  # the field's number in MNN's schema, schema/default/MNN.fbs: table Net


def read(source: str | os.PathLike[str] | bytes | bytearray | memoryview) -> dict[str, Any]:
    """Read what an .mnn file says of itself. Touches a few pages of the file, not its weights.

    Parameters
    ----------
    source : path or bytes

    Returns
    -------
    dict
        The JSON object in ``bizCode``; empty if there is none, as in files whose converter was told some other text.

    Raises
    ------
    ModelNotFoundError, ModelFormatError
    """
    if isinstance(source, (bytes, bytearray, memoryview)):
        return _parsed(root(memoryview(source)).text(_BIZ_CODE))
    path = Path(source)
    try:
        with path.open("rb") as file:
            data = Pages(file)
            return _parsed(root(data).text(_BIZ_CODE))
    except ModelFormatError as error:
        raise ModelFormatError(f"{path} is not an MNN model, or a damaged one ({error})") from None
    except ValueError:  # of no bytes
        raise ModelFormatError(f"the model file {path} is empty") from None
    except OSError as error:
        raise ModelNotFoundError(f"cannot open the model file {path}: {error.strerror}") from None


def _parsed(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def write(path: str | os.PathLike[str], said: dict[str, Any]) -> None:
    """Give an .mnn file another ``bizCode``: the text is put at its end, and the field made to lead there.

    Parameters
    ----------
    path : path
        An .mnn file; it is replaced when the new one is whole.
    said : dict
        What is put there as JSON.

    Raises
    ------
    ArgumentError
        The file has no such field: its converter was told no ``--bizCode``.
    ModelNotFoundError, ModelFormatError, OutputError
    """
    path = Path(path)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ModelNotFoundError(f"cannot open the model file {path}: {error.strerror}") from None
    offset = root(content).offset(_BIZ_CODE)
    if not offset:
        raise ArgumentError(f"{path} has no room for a description: convert it anew with mnnlite convert")
    text = json.dumps(said, ensure_ascii=False, separators=(",", ":")).encode()
    at = len(content) + -len(content) % 4
    with atomic_write(path) as made, made.open("wb") as file:
        file.write(content[:offset] + struct.pack("<I", at - offset) + content[offset + 4 :])
        file.write(bytes(at - len(content)) + struct.pack("<I", len(text)) + text + bytes(4 - len(text) % 4))
