"""Threads that misuse one another's objects, and processes that end while others work: errors of ours, never a crash."""

from __future__ import annotations

import random
import threading
import time

import numpy as np
import pytest

import mnnlite
from helpers import models
from helpers.child import run_python


def together(*functions, seconds=1.0):
    """Call each again and again in a thread of its own; only errors of ours may come."""
    end = time.monotonic() + seconds
    foreign = []

    def again(function):
        while time.monotonic() < end and not foreign:
            try:
                function()
            except mnnlite.MnnliteError:
                pass
            except BaseException as error:
                foreign.append(error)

    threads = [threading.Thread(target=again, args=(function,)) for function in functions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not foreign


def test_close_against_run():
    made = []

    def cycle():
        model = mnnlite.Model(models.path("tiny"))
        made.append(model)
        time.sleep(random.random() * 0.003)
        model.close()

    def run():
        if made:
            made[-1].run(borrow=True)
            made[-1].run()

    together(cycle, run, run)


def test_resize_against_run_input_and_properties():
    name = "resizable"
    model = mnnlite.Model(models.path(name), shapes=models.shapes(name), resizable=True)
    (key, shape), *_ = models.shapes(name).items()
    shapes = [shape, (*shape[:2], *(2 * side for side in shape[2:]))]
    arrays = [np.ones(each, np.float32) for each in shapes]

    def resize():
        for each in shapes:
            model.resize({key: each})

    def run():
        for each in arrays:
            out = model.run({key: each})
            assert all(value.size for value in out.values())

    def write():
        view = model.input(key)
        view[...] = 1
        assert float(view.reshape(-1)[-1]) == 1

    def look():
        assert model.inputs[key].shape in shapes
        model.memory(), model.facts(), model.operators(), repr(model)

    together(resize, run, write, look)


def test_a_task_follows_a_resize_or_refuses():
    name = "resizable"
    model = mnnlite.Model(models.path(name), shapes=models.shapes(name), resizable=True)
    (key, shape), *_ = models.shapes(name).items()
    task = mnnlite.Task(model, image={key: mnnlite.ImageSpec()} if len(shape) == 4 and shape[1] == 3 else None)
    task.native  # noqa: B018
    for scale in (2, 1):
        model.resize({key: (*shape[:2], *(scale * side for side in shape[2:]))})
        frame = mnnlite.Frame(np.zeros((20, 20, 3), np.uint8), "BGR") if task._takes_frames else None
        assert all(np.isfinite(value).all() for value in task(frame).values())


def test_an_arena_closes_against_loads():
    arenas = [mnnlite.Arena()]

    def cycle():
        arenas.append(mnnlite.Arena())
        time.sleep(0.002)
        arenas.pop(0).close()

    def load():
        model = mnnlite.Model(models.path("tiny"), arena=arenas[0])
        model.run()
        model.close()

    together(cycle, load, load, lambda: arenas[0].shrink())


def test_a_model_loaded_into_an_arena_that_is_being_closed():
    arena = mnnlite.Arena()
    stages = []

    def close(stage):
        if not stages:
            arena._native = None  # what close does on another thread at this moment
        stages.append(stage)

    with pytest.raises(mnnlite.ClosedError, match="the arena was closed"):
        mnnlite.Model(models.path("tiny"), arena=arena, _on_stage=close)


def test_two_calls_of_a_task():
    task = mnnlite.Task(mnnlite.TaskSpec(models.path("tiny"), None, "raw"))

    def call():
        task(None)

    together(call, call, task.reset_state, lambda: task.timing, seconds=0.5)


@pytest.mark.parametrize("work", ["task(frame)", "model.run()", "mnnlite.Model(path).run()", "next(stream, None)"])
def test_daemon_threads_at_the_end_of_the_process(work):
    child = run_python(
        f"""
        import sys, threading, time
        import numpy as np
        import mnnlite
        path = sys.argv[1]
        model = mnnlite.Model(path)
        frame = mnnlite.Frame(np.zeros((16, 16, 3), np.uint8), "BGR")
        task = mnnlite.Task(mnnlite.TaskSpec(path, image=mnnlite.ImageSpec(size=(16, 16))))
        runtime = mnnlite.Runtime()
        runtime.add("a", mnnlite.TaskSpec(path, image=mnnlite.ImageSpec(size=(16, 16))))
        stream = runtime.stream(frame for _ in range(10**9))
        def again():
            while True:
                try:
                    {work}
                except mnnlite.MnnliteError:
                    pass
        for _ in range(3):
            threading.Thread(target=again, daemon=True).start()
        time.sleep(0.2)
        print("END")
        """,
        str(models.path("classes")),
        timeout=300,
    )
    assert child.stdout == "END\n"
