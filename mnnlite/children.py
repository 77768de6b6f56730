"""The Python that child processes run: what measures, converts or may crash does so in a process of its own."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

from mnnlite.errors import StateError

__all__ = ["interpreter"]

_PYTHON = re.compile(r"(python|pypy)[0-9.]*[a-z]?(-[\w.-]+)?(\.exe)?", re.IGNORECASE)


def interpreter() -> str:
    """Find the Python that belongs to this process: the environment's own, with the same packages.

    Returns
    -------
    str
        ``sys.executable`` where that is a Python. Where it is an application that brought Python along (PyInstaller, uWSGI, a
        program that embeds it), or nothing, the interpreter of ``sys.prefix``; ``MNNLITE_PYTHON`` in the environment names
        another one.

    Raises
    ------
    StateError
        There is none.
    """
    named = os.environ.get("MNNLITE_PYTHON")
    if named:
        return named
    if sys.executable and not getattr(sys, "frozen", False) and _PYTHON.fullmatch(Path(sys.executable).name):
        return sys.executable
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    folders = (sys.prefix, sys.exec_prefix, sys.base_prefix)
    paths = [Path(folder, "bin", name) for folder in folders for name in (version, "python3", "python")]
    import sysconfig

    paths.append(Path(sysconfig.get_config_var("BINDIR") or os.devnull, version))
    for path in paths:
        if path.is_file() and os.access(path, os.X_OK):
            return os.fspath(path)
    raise StateError(
        f"this needs a child process, and {sys.executable or 'this process'!r} is an application without a Python of its own; "
        f"name one with the same packages in the environment variable MNNLITE_PYTHON, e.g. {version}"
    )
