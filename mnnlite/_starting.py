"""Signals that come while the program ``mnnlite`` is still importing: its command's own handlers come with the command.

Without this an early Ctrl-C would be a traceback through whatever was being imported, and exit code 1. Only where this process is
the program; a library sets no handlers.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys

__all__ = ["guard"]

_SAID = {signal.SIGINT: b"mnnlite: interrupted\n", signal.SIGTERM: b"mnnlite: terminated\n"}


def guard() -> None:
    """End quietly, with one line and 128 and the signal's number, until `mnnlite.cli.signals.Interrupts` takes over."""
    if not _is_program():
        return
    usual = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}
    for number, handler in usual.items():
        if signal.getsignal(number) is handler:  # else it is ignored, as in the background of a shell
            with contextlib.suppress(ValueError):  # not the main thread
                signal.signal(number, _end)


def _is_program() -> bool:
    """Whether ``python -m mnnlite`` or the script of that name is being run."""
    if not sys.argv:
        return False
    if sys.argv[0] == "-m":  # as it is while the package is being found
        words = sys.orig_argv
        return "-m" in words[:-1] and words[words.index("-m") + 1] in ("mnnlite", "mnnlite.__main__")
    return os.path.basename(sys.argv[0]) == "mnnlite"


def _end(number: int, _: object) -> None:
    with contextlib.suppress(OSError):
        os.write(2, _SAID[signal.Signals(number)])
    os._exit(128 + number)
