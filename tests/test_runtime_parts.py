"""Parts of the runtime among stand-ins of the others: what no thread and no clock may decide."""

from __future__ import annotations

import threading
import time
from concurrent.futures import Future
from types import SimpleNamespace

import numpy as np
import pytest

from mnnlite import Frame
from mnnlite.runtime.loaded_task import Absence
from mnnlite.runtime.residency import ModelResidency
from mnnlite.runtime.stream import Stream


def task(name: str, used: int, **more):
    """As much of a loaded task as residency looks at."""
    values = {"needs": (), "in_flight": 0, "absence": None, "demand": SimpleNamespace(name=name)}
    return SimpleNamespace(name=name, used=used, schedule=SimpleNamespace(evictable=True), **{**values, **more})


LANE = SimpleNamespace(call_soon=lambda work, note: Future())


def residency(tasks, limit: int, monkeypatch):
    """A budget that has room for `limit` models of the same size."""
    closed: list[str] = []

    def close_soon(victim):
        closed.append(victim.name)
        done: Future[None] = Future()
        done.set_result(None)
        return done

    registry = SimpleNamespace(
        tasks={each.name: each for each in tasks},
        absent={each.name for each in tasks if each.absence},
        lock=threading.RLock(),
        close_soon=close_soon,
        stood_still=None,
    )
    monkeypatch.setattr("mnnlite.runtime.residency.most", lambda demands, new: len(demands) + 1)
    budget = SimpleNamespace(limit=limit, unknown=lambda demands: 0)
    return ModelResidency(registry, 1, budget), registry, closed


def test_the_least_recently_used_models_leave_and_no_more_than_needed(monkeypatch):
    there = [task("a", 7), task("b", 3), task("c", 9), task("d", 5)]
    absent = task("e", -1, absence=Absence("evicted"), lane=LANE)
    parts, registry, closed = residency([*there, absent], 3, monkeypatch)
    assert parts.bring_back(absent, set(), 0) == "loading"
    assert closed == ["b", "d"]  # of four models two leave: three are there with the new one
    assert registry.absent == {"b", "d", "e"}


def test_what_the_frame_needs_what_works_and_what_has_not_run_yet_stays(monkeypatch):
    there = [task("kept", 1), task("working", 2, in_flight=1), task("fresh", -1), task("free", 8)]
    pinned = task("pinned", 0)
    pinned.schedule.evictable = False
    absent = task("e", -1, absence=Absence("evicted"), lane=LANE)
    parts, _, closed = residency([*there, pinned, absent], 5, monkeypatch)
    assert parts.bring_back(absent, {"kept"}, 0) == "loading"
    assert closed == ["free"]
    parts, _, closed = residency([*there, pinned, absent], 4, monkeypatch)
    absent.absence = Absence("evicted")
    for each in there:
        each.absence = None
    assert "no room" in parts.bring_back(absent, {"kept"}, 0)
    assert not closed


class Dispatching:
    """Lanes that are done when the test says so."""

    def __init__(self) -> None:
        self.native = SimpleNamespace(wait=self.wait, kick=lambda: None)
        self.idle = False
        self.room = 3
        self.looks = 0  # how often the stream came by
        self.admitted: list[int] = []
        self.dropped = 0

    def wait(self, seen: int, slice_ns: int) -> int:
        self.looks += 1
        if slice_ns:
            time.sleep(0.001)
        return 0

    def offered(self, frame, now) -> None: ...

    def watch(self) -> None: ...

    def drop(self) -> None:
        self.dropped += 1

    def any_idle(self) -> bool:
        return self.idle

    def has_room(self, in_flight: int) -> bool:
        return in_flight < self.room

    def is_stale(self, frame, now) -> bool:
        return False

    def has_urgent_room(self, in_flight: int) -> bool:
        return False

    def try_admit(self, offered, latest):
        meta = offered.frame.meta
        self.admitted.append(meta)
        done = SimpleNamespace(done=len(self.admitted) > 1)
        return SimpleNamespace(meta=meta, pending=done, urgent=None, is_urgent=False, is_nothing=False)

    def finish(self, flight):
        return flight.meta

    def discard(self, flight) -> None: ...

    def abandon(self, flights) -> None: ...


@pytest.mark.parametrize("latest", [True, False])
def test_a_frame_that_would_only_wait_in_a_lane_makes_room_for_a_fresher_one(latest):
    dispatcher, more = Dispatching(), threading.Event()

    def source():
        yield Frame(np.zeros((2, 2, 3), np.uint8), "BGR", meta=0)
        while not dispatcher.admitted:
            time.sleep(0.001)
        for number in (1, 2, 3):
            yield Frame(np.zeros((2, 2, 3), np.uint8), "BGR", meta=number)
            looks = dispatcher.looks
            while latest and dispatcher.looks < looks + 4:  # it has seen the frame, and left it
                time.sleep(0.001)
        dispatcher.idle = True  # the lane is through with its frame only now
        more.wait(300)

    registry = SimpleNamespace(check_process=lambda: None, check_may_wait=lambda what: None, is_forked=False)
    stream = Stream(registry, dispatcher, SimpleNamespace(settled=True), source(), latest)
    reading = threading.Thread(target=lambda: next(stream, None), daemon=True)
    reading.start()
    limit = time.monotonic() + 300
    wanted = 2 if latest else 3  # without `latest` every frame is taken as soon as there is room
    while len(dispatcher.admitted) < wanted and time.monotonic() < limit:
        time.sleep(0.005)
    if latest:
        assert dispatcher.admitted == [0, 3]  # 1 and 2 grew old while the lane worked on 0
        assert dispatcher.dropped == stream.dropped == 2
    else:
        assert dispatcher.admitted == [0, 1, 2]
    more.set()
    stream.close()
