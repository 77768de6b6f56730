"""Ctrl-C and SIGTERM: what was begun is ended, said and whole, and the exit code tells which it was."""

from __future__ import annotations

import contextlib
import signal
import threading
from typing import TYPE_CHECKING, Any, ClassVar, final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["Interrupts", "Terminated", "ending_well"]

_PATIENCE_S = 5.0  # for a camera that gives no frame, and then none to end with


class Terminated(KeyboardInterrupt):
    """SIGTERM, as `KeyboardInterrupt` is for SIGINT."""


@final
class Interrupts:
    """Handlers of SIGINT and SIGTERM for the length of a command.

    A signal raises `KeyboardInterrupt` or `Terminated` in the main thread; within `ending_well` the first one only asks for the
    end, so that no statement is left half done. A signal that was ignored when the process began stays so.
    """

    active: ClassVar[Interrupts | None] = None

    def __init__(self) -> None:
        self.received: int | None = None
        self._ask: Callable[[], object] | None = None
        self._closing = False
        self._before: dict[int, Any] = {}

    @property
    def exit_code(self) -> int | None:
        """128 and the signal's number, as shells count; None without a signal."""
        return None if self.received is None else 128 + self.received

    def __enter__(self) -> Interrupts:
        if threading.current_thread() is threading.main_thread():  # elsewhere none can be set
            for number in (signal.SIGINT, signal.SIGTERM):
                if signal.getsignal(number) not in (signal.SIG_IGN, None):
                    self._before[number] = signal.signal(number, self._handle)
            Interrupts.active = self
        return self

    def __exit__(self, *_: object) -> None:
        if Interrupts.active is self:
            Interrupts.active = None
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _handle(self, number: int, _: object) -> None:
        is_first = self.received is None
        self.received = self.received or number
        if is_first and self._closing:
            return
        if is_first and self._ask is not None:
            self._ask()
            self._before.setdefault(signal.SIGALRM, signal.signal(signal.SIGALRM, self._handle))
            signal.setitimer(signal.ITIMER_REAL, _PATIENCE_S)
            return
        raise Terminated if self.received == signal.SIGTERM else KeyboardInterrupt

    def close(self) -> None:
        """The work is done: the first signal from here on is only remembered."""
        self._closing = True
        if signal.SIGALRM in self._before:
            signal.setitimer(signal.ITIMER_REAL, 0)

    @contextlib.contextmanager
    def asking(self, ask: Callable[[], object]) -> Iterator[None]:
        """Within, the first signal calls `ask`, which must not block."""
        self._ask = ask
        try:
            yield
        finally:
            self._ask = None
            self.close()


@contextlib.contextmanager
def ending_well(ask: Callable[[], object]) -> Iterator[None]:
    """Within, the first signal of a command calls `ask` instead of raising; afterwards it is only remembered."""
    if Interrupts.active is None:
        yield
        return
    with Interrupts.active.asking(ask):
        yield
