"""A lock under which the tasks of a runtime change, one change at a time."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from mnnlite.errors import StateError

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["ChangeLock"]


class ChangeLock:
    """One change at a time, in a ``with`` block. A thread that holds it and asks for it again gets `StateError`.

    Only changes wait for each other: neither frames nor questions take this lock.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._owner: int | None = None

    def __enter__(self) -> Self:
        me = threading.get_ident()
        if self._owner == me:
            raise StateError(
                "called while a task is being added, removed or replaced by the same thread; call it afterwards"
            )
        self._lock.acquire()
        self._owner = me
        return self

    def __exit__(self, *_: object) -> None:
        self._owner = None
        self._lock.release()
