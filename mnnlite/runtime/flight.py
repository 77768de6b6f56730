"""Frames before and after their admission: plain data."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mnnlite.errors import ArgumentError
from mnnlite.frame import Frame

if TYPE_CHECKING:
    from mnnlite import _core
    from mnnlite.runtime.loaded_task import LoadedTask
    from mnnlite.runtime.result import FrameResult

__all__ = ["InFlightFrame", "OfferedFrame", "check_frame"]


def check_frame(frame: object) -> None:
    """Raise `ArgumentError` for what is no frame."""
    if not isinstance(frame, Frame):
        raise ArgumentError(f"got a {type(frame).__name__}, wanted a mnnlite.Frame: Frame(array, 'BGR')")


class OfferedFrame:
    """A frame that is to be admitted.

    Parameters
    ----------
    frame : Frame
    taken_ns : int
        When it came from its source.
    """

    __slots__ = ("frame", "index", "is_begun", "is_claimed", "taken_ns")

    def __init__(self, frame: Frame, taken_ns: int) -> None:
        self.frame, self.taken_ns = frame, taken_ns
        self.is_claimed = False  # whoever has it will plan the tasks that preempt: it is not dropped unseen
        self.is_begun = False  # these were planned
        self.index: int | None = None  # and ran: the number of their result


class InFlightFrame:
    """A frame on its way, or a part of it.

    Parameters
    ----------
    is_urgent : bool
        It is of the tasks that preempt.
    is_empty : bool
        None of its tasks was to run.
    """

    __slots__ = ("admitted_ns", "due", "frame_ns", "is_empty", "is_urgent", "pending", "result", "urgent")

    def __init__(
        self,
        admitted_ns: int,
        frame_ns: int,
        result: FrameResult,
        due: list[list[LoadedTask]],
        pending: _core.PendingFrame,
        is_urgent: bool,
        is_empty: bool,
    ) -> None:
        self.admitted_ns, self.frame_ns, self.result = admitted_ns, frame_ns, result
        self.due, self.pending, self.is_urgent, self.is_empty = due, pending, is_urgent, is_empty
        self.urgent: InFlightFrame | None = None  # the part that does not wait for this one

    @property
    def parts(self) -> list[InFlightFrame]:
        """The frame after the part that does not wait for it."""
        return [self] if self.urgent is None else [self.urgent, self]

    @property
    def is_nothing(self) -> bool:
        """The rest of a frame on which nothing else is due."""
        return self.is_empty and self.result.part == "rest"
