"""The Python that child processes run: what measures, converts or may crash does so in a process of its own."""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from mnnlite.errors import StateError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Ended", "ask", "calling", "end_with", "interpreter"]

_PYTHON = r"(python|pypy)[0-9.]*[a-z]?(-[\w.-]+)?(\.exe)?"


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
    if (
        sys.executable
        and not getattr(sys, "frozen", False)
        and re.fullmatch(_PYTHON, Path(sys.executable).name, re.IGNORECASE)
    ):
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


class Ended(NamedTuple):
    """How a child process ended.

    Parameters
    ----------
    code : int
        Its exit code; below 0 the signal that killed it.
    answer : dict, optional
        What it printed as its last line; None: nothing that can be read.
    said : str
        The last line of its standard error, for those who got no answer.
    """

    code: int
    answer: dict[str, Any] | None
    said: str


def calling(module: str, function: str) -> str:
    """Code for `ask` that calls a function with the request; it prints its answer, a JSON object, as the last line."""
    return (
        "import json, sys\n"
        "request, sys.path[:] = json.loads(sys.stdin.read())\n"
        f"from {module} import {function}\n"
        f"{function}(request)\n"
    )


def end_with(parent: int) -> None:
    """In a child that may take minutes: let the kernel end it when its parent ends, however that ends.

    Parameters
    ----------
    parent : int
        Its process id, which the parent said.
    """
    import ctypes
    import signal

    ctypes.CDLL(None).prctl(1, int(signal.SIGKILL), 0, 0, 0)  # PR_SET_PDEATHSIG, linux/prctl.h
    if os.getppid() != parent:  # it ended before that
        os._exit(1)


def ask(
    code: str,
    request: Any,
    *,
    seconds: float | None,
    cwd: str | os.PathLike[str] = "/",
    descriptors: Sequence[int] = (),
) -> Ended:
    """Run code in a Python process of its own, with the same packages, and wait for its answer.

    Parameters
    ----------
    code : str
        As `calling` gives.
    request : object
        What JSON can hold.
    seconds : float, optional
        How long it may take; it is killed then. None: as long as it wants.
    cwd : path
        Its current folder: never one with a source folder in it.
    descriptors : sequence of int
        Open files that it inherits.

    Raises
    ------
    TimeoutError
        It took longer.
    TypeError
        JSON cannot hold the request.
    OSError
        There is no process to be had.
    StateError
        There is no Python to run.
    """
    import subprocess  # half a megabyte, for those who have a child

    try:
        done = subprocess.run(
            [interpreter(), "-c", code],
            input=json.dumps([request, sys.path]),
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            cwd=cwd,
            timeout=seconds,
            pass_fds=descriptors,
        )
    except subprocess.TimeoutExpired:
        raise TimeoutError(f"the child process took more than {seconds} s") from None
    try:
        answer = json.loads(done.stdout.splitlines()[-1])
    except (IndexError, ValueError):
        answer = None
    said = (done.stderr.strip().splitlines() or ["nothing"])[-1]
    return Ended(done.returncode, answer if isinstance(answer, dict) else None, said)
