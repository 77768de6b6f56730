"""Files that appear whole or not at all."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from mnnlite.errors import OutputError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["check_folder", "atomic_write"]


def check_folder(path: str | os.PathLike[str]) -> None:
    """Refuse a path that could not be written at the end of long work.

    Raises
    ------
    OutputError
    """
    folder = Path(path).parent
    if not folder.is_dir():
        raise OutputError(f"cannot write {os.fspath(path)}: there is no folder {folder}")
    if Path(path).is_dir():
        raise OutputError(f"cannot write {os.fspath(path)}: it is a folder")
    if not os.access(folder, os.W_OK):
        raise OutputError(f"cannot write {os.fspath(path)}: no right to write in {folder}")


@contextlib.contextmanager
def atomic_write(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a path of the same suffix to write to; at the end it takes the place of `path`.

    Raises
    ------
    OutputError
        The file cannot be written. What was there before is still there.
    """
    target = Path(path)
    try:
        with tempfile.TemporaryDirectory(prefix=".mnnlite-", dir=target.parent) as folder:
            made = Path(folder) / target.name
            yield made
            os.replace(made, target)
    except OSError as error:
        if isinstance(error, OutputError):
            raise
        raise OutputError(f"cannot write {target}: {error.strerror or error}") from None
