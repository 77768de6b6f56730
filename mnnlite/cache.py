"""What takes long to find out and stays true, kept between runs: the one place where mnnlite writes such things.

The folder is ``$XDG_CACHE_HOME/mnnlite``, usually ``~/.cache/mnnlite``; ``MNNLITE_CACHE`` names another folder, or none if it is
empty. What was not used for longest goes first where there is more than ``MNNLITE_CACHE_MIB`` (64). ``mnnlite cache`` shows it.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from mnnlite.errors import ArgumentError, OutputError
from mnnlite.files import atomic_write

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "Entry",
    "clear",
    "entries",
    "folder",
    "limit",
    "load",
    "load_bytes",
    "load_file",
    "store",
    "store_bytes",
    "store_file",
]

_MIB = 1 << 20
_USUAL_MIB = 64
_FILES, _BYTES = ".mnn", ".bin"


class Entry(NamedTuple):
    """A file of the cache: what it is of, its bytes, and when it was last used (seconds since 1970)."""

    path: Path
    kind: str
    size: int
    used: float


def folder() -> Path | None:
    """Where things are kept; None where nothing is to be kept, or there is no home."""
    chosen = os.environ.get("MNNLITE_CACHE")
    if chosen is not None:
        return Path(chosen).expanduser() if chosen else None
    xdg = os.environ.get("XDG_CACHE_HOME", "")
    if os.path.isabs(xdg):  # others are to be ignored, says the specification
        return Path(xdg) / "mnnlite"
    try:
        return Path.home() / ".cache" / "mnnlite"
    except RuntimeError:
        return None


def limit() -> int:
    """The most bytes that are kept.

    Raises
    ------
    ArgumentError
        ``MNNLITE_CACHE_MIB`` is no number.
    """
    text = os.environ.get("MNNLITE_CACHE_MIB", str(_USUAL_MIB))
    if not text.isdigit():
        raise ArgumentError(f"MNNLITE_CACHE_MIB is {text!r}; wanted a number of MiB")
    return int(text) * _MIB


def _path(kind: str, key: str, suffix: str = ".json") -> Path | None:
    root = folder()
    if root is None:
        return None
    if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9.-]{0,60}", key):
        return root / kind / f"{key}{suffix}"
    import hashlib  # OpenSSL takes four megabytes: only where it is needed

    return root / kind / f"{hashlib.sha256(key.encode()).hexdigest()}{suffix}"


def load(kind: str, key: str) -> Any:
    """Give what was stored.

    Parameters
    ----------
    kind : str
        What it is, in a word.
    key : str
        All that it depends on.

    Returns
    -------
    object or None
        As JSON has it; None where there is nothing, or nothing that can be read.
    """
    path = _path(kind, key)
    if path is None:
        return None
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    with contextlib.suppress(OSError):
        os.utime(path)
    # Two keys never have one file, but a file may have been put there.
    return found.get("value") if isinstance(found, dict) and found.get("key") == key else None


def store(kind: str, key: str, value: Any) -> bool:
    """Keep a value, and let go of what was not used for longest where there is too much.

    Parameters
    ----------
    kind, key : str
        As for `load`.
    value : object
        That JSON has a form for.

    Returns
    -------
    bool
        Whether it was kept: a full disk, or a system that cannot be written to, is no error.
    """
    path, data = _path(kind, key), json.dumps({"key": key, "value": value}).encode()
    return path is not None and len(data) <= limit() and _put(path, lambda made: made.write_bytes(data))


def load_bytes(kind: str, key: str) -> bytes | None:
    """Give bytes that were stored, or None: nothing is there, or it is not what was stored under this key."""
    import hashlib

    path = _path(kind, key, _BYTES)
    if path is None:
        return None
    try:
        found = path.read_bytes()
    except OSError:
        return None
    head = hashlib.sha256().digest_size
    if found[:head] != _seal(key, found[head:]):
        return None
    with contextlib.suppress(OSError):
        os.utime(path)
    return found[head:]


def store_bytes(kind: str, key: str, value: bytes) -> bool:
    """As `store`, for bytes: with their hash and that of the key, so that whatever else may be there is not believed."""
    path, data = _path(kind, key, _BYTES), _seal(key, value) + value
    return path is not None and len(data) <= limit() and _put(path, lambda made: made.write_bytes(data))


def _seal(key: str, value: bytes) -> bytes:
    import hashlib

    return hashlib.sha256(hashlib.sha256(key.encode()).digest() + value).digest()


def load_file(kind: str, key: str) -> Path | None:
    """Give the model file that was stored, if there is one. It is read as any file is: nothing in it is believed."""
    path = _path(kind, key, _FILES)
    if path is None or not path.is_file():
        return None
    with contextlib.suppress(OSError):
        os.utime(path)
    return path


def store_file(kind: str, key: str, source: Path) -> Path | None:
    """Keep a copy of a model file.

    Returns
    -------
    Path or None
        Where it is; None where it was not kept, as by `store`.
    """
    import shutil  # a quarter of a megabyte, for those who keep files

    path = _path(kind, key, _FILES)
    try:
        if path is None or source.stat().st_size > limit():
            return None
    except OSError:
        return None
    return path if _put(path, lambda made: shutil.copyfile(source, made)) else None


def _put(path: Path, write: Callable[[Path], object]) -> bool:
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with atomic_write(path) as made:
            write(made)
    except (OSError, OutputError):
        return False
    _fit(keep=path)
    return True


def entries() -> list[Entry]:
    """All that is kept, what was used last first."""
    root, found = folder(), []
    for path in root.glob("*/[!.]*") if root is not None else ():
        if path.suffix not in (".json", _FILES, _BYTES):
            continue
        with contextlib.suppress(OSError):  # another process let go of it
            facts = path.stat()
            found.append(Entry(path, path.parent.name, facts.st_size, facts.st_mtime))
    return sorted(found, key=lambda entry: -entry.used)


def _fit(keep: Path) -> None:
    room = limit()
    for entry in sorted(entries(), key=lambda each: each.path != keep):
        room -= entry.size
        if room < 0:
            with contextlib.suppress(OSError):
                entry.path.unlink()


def clear() -> int:
    """Let go of everything.

    Returns
    -------
    int
        How many things there were.

    Raises
    ------
    OutputError
        Some of it cannot be removed.
    """
    found = entries()
    try:
        for entry in found:
            entry.path.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(f"cannot remove {error.filename}: {error.strerror}") from None
    return len(found)
