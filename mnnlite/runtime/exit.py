"""The end of the process: runtimes that are still open are closed before the interpreter goes."""

from __future__ import annotations

import atexit
import weakref
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol

from mnnlite.runtime.lane import join_stopped

if TYPE_CHECKING:

    class _Closable(Protocol):
        def close(self) -> None: ...


__all__ = ["open_runtimes"]

open_runtimes: weakref.WeakSet[_Closable] = weakref.WeakSet()


@atexit.register
def _close_all() -> None:
    """Lanes must not come back to the interpreter afterwards."""
    for runtime in list(open_runtimes):
        with suppress(Exception):  # the others are still to be closed
            runtime.close()
    join_stopped()
