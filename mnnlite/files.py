"""Files that appear whole or not at all, and texts as whatever editor wrote them."""

from __future__ import annotations

import contextlib
import errno
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from mnnlite.errors import ArgumentError, ModelNotFoundError, OutputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["atomic_write", "check_folder", "check_targets", "checked_path", "read_text", "refuse_address"]


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
    if not os.access(Path(path) if _is_device(Path(path)) else folder, os.W_OK):
        raise OutputError(
            f"cannot write {os.fspath(path)}: no right to write {'it' if _is_device(Path(path)) else f'in {folder}'}"
        )


def check_targets(
    targets: Iterable[str | os.PathLike[str] | None], sources: Iterable[str | os.PathLike[str] | None] = ()
) -> None:
    """Refuse files that could not be written at the end of long work, or would take the place of what is read or written beside.

    Raises
    ------
    OutputError
    """
    taken = {os.path.realpath(path): "it is what is read" for path in sources if path is not None}
    for target in targets:
        if target is None:
            continue
        check_folder(target)
        if _is_device(Path(target)):
            continue
        where = os.path.realpath(target)
        if where in taken:
            raise OutputError(f"cannot write {os.fspath(target)}: {taken[where]}; name another file")
        taken[where] = "two results would be written to it"


def _is_device(path: Path) -> bool:
    """A device or a pipe, which is written to and never replaced."""
    return path.exists() and not path.is_file() and not path.is_dir()


def checked_path(path: object, what: str) -> str:
    """Give a path as text, with surrogates where it is no UTF-8.

    Raises
    ------
    ArgumentError
        It is no path, or has a character that none has.
    """
    try:
        text = os.fsdecode(path)  # type: ignore[arg-type]
    except TypeError:
        raise ArgumentError(f"{what} is a {type(path).__name__}; wanted the path of a file") from None
    if not _is_possible(text):
        raise ArgumentError(f"{what} is {text!r:.80}, with a NUL character or half a surrogate pair; no path has one")
    return text


def refuse_address(path: object) -> None:
    """Refuse an address where a file is wanted, also as `Path` writes it, with one slash.

    Raises
    ------
    ModelNotFoundError
    """
    text = os.fspath(path) if isinstance(path, (str, os.PathLike)) else ""
    found = _ADDRESS.match(text) if isinstance(text, str) else None
    if found and not os.path.exists(text):
        address = f"{found[1]}://{text[found.end() :]}"
        raise ModelNotFoundError(f"{address} is an address; models are files of this machine: download it first")


_ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/{1,2}")  # a drive has one letter


def _is_possible(path: str) -> bool:
    """Whether the system can be asked for it: no NUL, and no half of a surrogate pair but those that stand for bytes."""
    try:
        return b"\0" not in os.fsencode(path)
    except UnicodeEncodeError:
        return False


def read_text(path: str | os.PathLike[str]) -> str:
    r"""Read a text file: UTF-8, with or without a byte order mark; lines end in LF or CR LF, and in nothing else.

    Parameters
    ----------
    path : path

    Returns
    -------
    str
        Lines end in ``\n``. Split it there: `str.splitlines` also ends a line at U+2028, U+0085 or U+001C, which may be a key.

    Raises
    ------
    OSError
        It cannot be read.
    UnicodeDecodeError
        It is not UTF-8.
    """
    if not _is_possible(os.fsdecode(path)):
        raise OSError(errno.EINVAL, "there is a NUL character or half a surrogate pair in the path")
    return Path(path).read_bytes().decode("utf-8-sig").replace("\r\n", "\n")


@contextlib.contextmanager
def atomic_write(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a path of the same suffix to write to; at the end it takes the place of `path`, or is written to it if it is a device.

    Raises
    ------
    OutputError
        The file cannot be written. What was there before is still there.
    """
    import tempfile  # half a megabyte, for those who write

    target = Path(path)
    device = _is_device(target)
    try:
        with tempfile.TemporaryDirectory(prefix=".mnnlite-", dir=None if device else target.parent) as folder:
            made = Path(folder) / target.name
            yield made
            if device:
                target.write_bytes(made.read_bytes())
            else:
                os.replace(made, target)
    except OSError as error:
        if isinstance(error, OutputError):
            raise
        raise OutputError(f"cannot write {target}: {error.strerror or error}") from None
