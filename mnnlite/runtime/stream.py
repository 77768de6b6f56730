"""`Runtime.stream`: a source read in a thread of its own, frames admitted as lanes have room, results in order."""

from __future__ import annotations

import threading
import time
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING

from mnnlite.errors import ArgumentError, StateError
from mnnlite.frame import Frame
from mnnlite.runtime.dispatcher import SLICE_NS
from mnnlite.runtime.flight import OfferedFrame

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Iterator

    from typing_extensions import Self

    from mnnlite.runtime.dispatcher import Dispatcher
    from mnnlite.runtime.flight import InFlightFrame
    from mnnlite.runtime.rebalancer import Rebalancer
    from mnnlite.runtime.registry import TaskRegistry
    from mnnlite.runtime.result import FrameResult

__all__ = ["Stream"]

_PATIENCE_S = 1.0


class _Reader:
    """Pulls frames from a source; one waits to be taken."""

    def __init__(self, dispatcher: Dispatcher, source: Iterable[Frame], latest: bool) -> None:
        self._dispatcher, self._latest = dispatcher, latest
        self._stop_source = getattr(source, "stop", None)
        self._changed = threading.Condition()
        self.waiting: OfferedFrame | None = None
        self._stopping = False
        self.ended = False
        self.dropped = 0
        self.error: BaseException | None = None
        self._thread = threading.Thread(target=self._read, args=(source,), name="mnnlite-source", daemon=True)
        try:
            self._thread.start()
        except RuntimeError as error:
            raise StateError(
                f"stream() needs a thread to read the source, and the system gives none: {error}"
            ) from None

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
            self._dispatcher.native.kick()

    def _put(self, frame: Frame) -> bool:
        now = time.monotonic_ns()
        if self._latest:
            self._dispatcher.offered(frame, now)
        with self._changed:
            is_dropped = self._latest and self.waiting is not None and not self.waiting.is_claimed
            while not self._latest and self.waiting is not None and not self._stopping:
                self._changed.wait()
            if self._stopping:
                return False
            self.waiting = OfferedFrame(frame, now)
        if is_dropped:
            self.drop()
        self._dispatcher.native.kick()
        return True

    def drop(self) -> None:
        self.dropped += 1
        self._dispatcher.drop()

    def claim(self, offered: OfferedFrame) -> bool:
        """A part of the frame will be worked on, whatever comes of the rest. False if a fresher one has taken its place."""
        with self._changed:
            offered.is_claimed = self.waiting is offered
            return offered.is_claimed

    def give_up(self, offered: OfferedFrame) -> None:
        """There was no such part."""
        with self._changed:
            offered.is_claimed, is_dropped = False, self.waiting is not offered
        if is_dropped:
            self.drop()

    def take(self, offered: OfferedFrame) -> bool:
        """False if a fresher one has taken its place."""
        with self._changed:
            if self.waiting is not offered:
                return False
            self.waiting = None
            self._changed.notify()
            return True

    def stop(self) -> None:
        """Do not wait: the source may be waiting for a camera."""
        with self._changed:
            self._stopping = True
            self.waiting = None
            self._changed.notify()
        if callable(self._stop_source):  # a `mnnlite.video.Source` wakes who waits for its next frame
            self._stop_source()

    def join(self) -> None:
        """Wait for the thread's end, but not for a source that cannot be woken."""
        if threading.current_thread() is not self._thread:
            self._thread.join(_PATIENCE_S)


class Stream:
    """Results of a source's frames, in order. Iterate with ``for`` or ``async for``, once."""

    def __init__(
        self,
        registry: TaskRegistry,
        dispatcher: Dispatcher,
        rebalancer: Rebalancer,
        source: Iterable[Frame],
        latest: bool,
        owner: object = None,
    ) -> None:
        if not hasattr(source, "__iter__"):
            raise ArgumentError(f"the source is a {type(source).__name__}; pass an iterable of mnnlite.Frame")
        self._registry, self._dispatcher = registry, dispatcher
        self._rebalancer, self._source, self._latest = rebalancer, source, latest
        self._owner = owner  # a runtime is not dropped while one of its streams is there
        self._reader: _Reader | None = None
        self._in_flight: deque[InFlightFrame] = deque()
        self._urgent: deque[InFlightFrame] = deque()  # with `latest`: parts that do not wait for those
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
            self._registry.check_process()
            raise StopIteration
        self._registry.check_may_wait("the next result of a stream")
        if not self._rebalancer.settled:
            self._rebalancer.settle()
        dispatcher = self._dispatcher
        if self._reader is None:
            self._reader = _Reader(dispatcher, self._source, self._latest)
        reader = self._reader
        while True:
            seen = dispatcher.native.wait(0, 0)
            ended = reader.ended  # before looking whether a frame waits: the last one may come in between
            self._admit(reader)
            if self._closed:
                raise StopIteration
            if (flight := self._first_done()) is not None:
                return dispatcher.finish(flight)
            if not self._in_flight and not self._urgent and ended and reader.waiting is None:
                self.close()
                if reader.error is not None:
                    raise reader.error
                raise StopIteration
            if dispatcher.native.wait(seen, SLICE_NS) == seen:
                dispatcher.watch()

    def _first_done(self) -> InFlightFrame | None:
        for flights in (self._urgent, self._in_flight) if self._latest else (self._in_flight,):
            try:  # another thread may close the stream meanwhile
                flight = flights.popleft()
            except IndexError:
                continue
            if flight.pending.done and (flight.urgent is None or flight.urgent.pending.done):
                return flight
            flights.appendleft(flight)
        return None

    def _admit(self, reader: _Reader) -> None:
        """Hand waiting frames to the lanes while there is room."""
        dispatcher = self._dispatcher
        while (offered := reader.waiting) is not None and not self._closed:
            # A frame that only waits in a lane's queue grows old; a fresher one may come before the lane is free.
            grows_old = self._latest and self._in_flight and not dispatcher.any_idle()
            if grows_old or not dispatcher.has_room(len(self._in_flight)):
                if self._latest:
                    self._admit_urgent(reader, offered)
                return
            if self._latest and dispatcher.is_stale(offered.frame, offered.taken_ns):
                self._admit_urgent(reader, offered)
                if reader.take(offered) and offered.index is None:
                    reader.drop()
                continue
            if not reader.take(offered):
                continue
            while (flight := dispatcher.try_admit(offered, self._latest)) is None:
                dispatcher.wait_for_room()  # another thread's frame took it
            if self._latest and flight.urgent is not None:
                self._urgent.append(flight.urgent)
                flight.urgent = None
            if not flight.is_nothing:
                (self._urgent if self._latest and flight.is_urgent else self._in_flight).append(flight)

    def _admit_urgent(self, reader: _Reader, offered: OfferedFrame) -> None:
        """The lanes have no room for a whole frame, but its tasks that preempt do not wait for that."""
        if offered.is_begun or not self._dispatcher.has_urgent_room(len(self._urgent)) or not reader.claim(offered):
            return
        flight = self._dispatcher.admit_urgent(offered)
        if flight is not None:
            self._urgent.append(flight)
        else:
            reader.give_up(offered)

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
        if self._registry.is_forked:
            return
        if self._reader is not None:
            self._reader.stop()
        with suppress(IndexError):  # another thread took the last one
            while self._in_flight or self._urgent:
                self._dispatcher.discard((self._urgent or self._in_flight).popleft())
        if self._reader is not None:
            self._reader.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        registry = getattr(self, "_registry", None)
        if registry is None or registry.is_forked:
            return
        if self._reader is not None:
            self._reader.stop()
        self._dispatcher.abandon([*self._in_flight, *self._urgent])
