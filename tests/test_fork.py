"""A process that forks: what of the parent is used says so, what is loaded anew runs or is refused, and nothing hangs."""

from __future__ import annotations

import os

import pytest

from helpers import models
from helpers.child import run_python

# argv: the parent's state, the engine's threads in parent and child, how the child is made, the model. The child loads a model of
# its own, uses what it has of the parent's, and ends as any program does.
PROGRAM = """
import multiprocessing, os, sys, threading, time
import numpy as np
import mnnlite

STATE, THREADS, METHOD, MODEL = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4]
held = []

def child():
    said = []
    for each in held:
        try:
            each()
            said.append("the parent's object worked")
        except mnnlite.StateError as error:
            assert "fork" in str(error), error
    try:
        with mnnlite.Model(MODEL, threads=THREADS) as model:
            model.run()
        said.append("runs")
    except mnnlite.StateError as error:
        assert "fork" in str(error), error
        said.append("raises")
    print(STATE, THREADS, METHOD, *said, flush=True)

def spec():
    return mnnlite.TaskSpec(MODEL, image=mnnlite.ImageSpec(size=(16, 16)))

def frames():
    while True:
        yield mnnlite.Frame(np.zeros((16, 16, 3), np.uint8), "BGR")

def prepare():
    if STATE == "model":
        model = mnnlite.Model(MODEL, threads=THREADS)
        model.run()
        held.append(model.run)
    elif STATE != "import":
        runtime = mnnlite.Runtime(threads=THREADS, force=True)
        runtime.add("a", spec())
        held.append(lambda: runtime.process(next(frames())))
        if STATE == "streaming":
            stream = runtime.stream(frames())
            next(stream)
            held.append(lambda: next(stream))
            threading.Thread(target=lambda: [None for _ in stream], daemon=True).start()
        if STATE == "adding":
            def add():
                while True:
                    runtime.add("b", spec())
                    runtime.remove("b")
            threading.Thread(target=add, daemon=True).start()

if __name__ == "__main__":
    prepare()
    context = multiprocessing.get_context(METHOD)
    for _ in range(3 if METHOD == "fork" else 1):
        time.sleep(0.01)
        process = context.Process(target=child)
        process.start()
        process.join(300)
        if process.is_alive():
            process.kill()
            sys.exit("the child hangs")
        if process.exitcode:
            sys.exit(f"the child ended with {process.exitcode}")
    if STATE in ("streaming", "adding"):
        sys.stdout.flush()
        os._exit(0)  # this is about the child
"""
STATES = ("import", "model", "idle", "streaming", "adding")


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("method", ["fork", pytest.param("spawn", marks=pytest.mark.slow)])
def test_a_child_runs_or_raises(state, threads, method, tmp_path):
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    said = run_python(
        "import runpy, sys; sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name='__main__')",
        *(str(program), state, str(threads), method, str(models.path("classes"))),
    ).stdout.splitlines()
    assert len(said) == (3 if method == "fork" else 1)
    for line in said:
        assert "worked" not in line
        assert line.endswith(("runs", "raises"))
    # What is refused has a reason: the parent's threads, or another thread's work in the engine.
    may_raise = method == "fork" and ((threads > 1 and state != "import") or state == "adding")
    assert may_raise or all(line.endswith("runs") for line in said)


def test_an_import_starts_no_threads():
    run_python(
        """
        import os
        before = len(os.listdir("/proc/self/task"))  # an emulator has one of its own
        import mnnlite, mnnlite.model
        assert len(os.listdir("/proc/self/task")) == before
        """,
        env={"OPENBLAS_NUM_THREADS": "1"},  # NumPy's own
    )


def test_a_child_within_a_with_block_ends(tmp_path):
    run_python(
        """
        import os, sys, threading, time, mnnlite
        path = sys.argv[1]
        with mnnlite.Runtime() as runtime:
            def add():
                while True:
                    runtime.add("a", mnnlite.TaskSpec(path))
                    runtime.remove("a")
            threading.Thread(target=add, daemon=True).start()
            for _ in range(3):
                time.sleep(0.01)
                pid = os.fork()
                if pid == 0:
                    sys.exit(5)
                assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 5
            os._exit(0)
        """,
        os.fspath(models.path("classes")),
        timeout=300,
    )
