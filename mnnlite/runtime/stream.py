"""`Runtime.stream`: a source read in a thread of its own, frames admitted as lanes have room, results in order."""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import TYPE_CHECKING

from mnnlite.errors import ArgumentError
from mnnlite.frame import Frame
from mnnlite.runtime.flights import SLICE_NS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Iterator

    from typing_extensions import Self

    from mnnlite.runtime.flights import Flight, Flights
    from mnnlite.runtime.result import FrameResult

__all__ = ["Stream"]


class _Reader:
    """Pulls frames from a source; one waits to be taken."""

    def __init__(self, flights: Flights, source: Iterable[Frame], latest: bool) -> None:
        self._flights, self._latest = flights, latest
        self._changed = threading.Condition()
        self._waiting: tuple[Frame, int] | None = None
        self._stopping = False
        self.ended = False
        self.dropped = 0
        self.error: BaseException | None = None
        self._thread = threading.Thread(target=self._read, args=(source,), name="mnnlite-source", daemon=True)
        self._thread.start()

    def _read(self, source: Iterable[Frame]) -> None:
        try:
            for frame in source:
                if not isinstance(frame, Frame):
                    raise ArgumentError(
                        f"the source gave a {type(frame).__name__}, wanted a mnnlite.Frame: Frame(array, 'BGR')"
                    )
                if not self._put(frame):
                    return
        except BaseException as error:
            self.error = error
        finally:
            self.ended = True
            self._flights.native.kick()

    def _put(self, frame: Frame) -> bool:
        now = time.monotonic_ns()
        with self._changed:
            if self._latest:
                self._flights.offered(frame, now)
                if self._waiting is not None:
                    self._drop()
            else:
                while self._waiting is not None and not self._stopping:
                    self._changed.wait()
            if self._stopping:
                return False
            self._waiting = (frame, now)
        self._flights.native.kick()
        return True

    def _drop(self) -> None:
        self.dropped += 1
        self._flights.drop()

    def has(self) -> bool:
        return self._waiting is not None

    def take(self) -> tuple[Frame, int] | None:
        with self._changed:
            taken, self._waiting = self._waiting, None
            self._changed.notify()
            return taken

    def stop(self) -> None:
        """Do not wait: the source may be waiting for a camera."""
        with self._changed:
            self._stopping = True
            self._waiting = None
            self._changed.notify()


class Stream:
    """Results of a source's frames, in order. Iterate with ``for`` or ``async for``, once."""

    def __init__(self, flights: Flights, begin: Callable[[], None], source: Iterable[Frame], latest: bool) -> None:
        if not hasattr(source, "__iter__"):
            raise ArgumentError(f"the source is a {type(source).__name__}; pass an iterable of mnnlite.Frame")
        self._flights, self._begin, self._source, self._latest = flights, begin, source, latest
        self._reader: _Reader | None = None
        self._under_way: deque[Flight] = deque()
        self._closed = False

    @property
    def dropped(self) -> int:
        """Frames of this stream that were dropped because fresher ones came."""
        return self._reader.dropped if self._reader is not None else 0

    def __iter__(self) -> Iterator[FrameResult]:
        return self

    def __next__(self) -> FrameResult:
        """Wait for the next result."""
        if self._closed:
            raise StopIteration
        flights = self._flights
        if self._reader is None:
            self._begin()
            self._reader = _Reader(flights, self._source, self._latest)
        reader = self._reader
        while True:
            seen = flights.native.wait(0, 0)
            ended = reader.ended  # before looking whether a frame waits: the last one may come in between
            self._admit(reader)
            if self._under_way and self._under_way[0].ticket.done:
                return flights.finish(self._under_way.popleft())
            if not self._under_way and ended and not reader.has():
                self.close()
                if reader.error is not None:
                    raise reader.error
                raise StopIteration
            if self._closed:
                raise StopIteration
            if flights.native.wait(seen, SLICE_NS) == seen:
                flights.watch()

    def _admit(self, reader: _Reader) -> None:
        """Hand waiting frames to the lanes while there is room."""
        flights = self._flights
        while reader.has():
            # A frame that only waits in a lane's queue grows old; a fresher one may come before the lane is free.
            if self._latest and self._under_way and not flights.any_idle():
                return
            if not flights.try_room():
                return
            taken = reader.take()
            if taken is None:
                flights.give_room()
                return
            frame, now = taken
            if self._latest and flights.is_stale(frame, now):
                flights.give_room()
                reader._drop()
                continue
            self._under_way.append(flights.admit(frame, now, self._latest))

    def __aiter__(self) -> AsyncIterator[FrameResult]:
        return self

    async def __anext__(self) -> FrameResult:
        """Wait for the next result in a thread of the event loop's executor."""
        import asyncio  # two megabytes, for those who await

        loop = asyncio.get_running_loop()
        result = await loop.run_in_executor(None, next, self, None)
        if result is None:
            raise StopAsyncIteration
        return result

    def close(self) -> None:
        """Read no further; frames on their way end, their results are dropped. Closing twice is fine."""
        if self._closed:
            return
        self._closed = True
        if self._reader is not None:
            self._reader.stop()
        while self._under_way:
            self._flights.finish(self._under_way.popleft())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        if getattr(self, "_reader", None) is not None and self._reader is not None:
            self._reader.stop()
        if getattr(self, "_under_way", None):
            self._flights.abandon(list(self._under_way))
