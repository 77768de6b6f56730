"""Every allocation of _core fails once in turn: the right error, nothing lost, nothing left. tests/cpp/test_out_of_memory.cpp
does the same with a fake engine."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from helpers import models
from helpers.allocations import compile_hook, run_counting

pytestmark = [
    pytest.mark.not_emulated("a library cannot be preloaded into the emulator's guest alone"),
    pytest.mark.slow,
]

CALLS = {
    "a model's life": """
def call():
    with mnnlite.Model(path, resizable=True) as model:
        model.run()
        model.run(outputs=list(model.outputs)[:1], borrow=True)
        model.operators()
        model.resize({"image": (1, 3, 48, 48)})
        model.run()
""",
    "a task on a frame": """
frame = mnnlite.Frame(np.zeros((40, 50, 3), np.uint8), "BGR")
def call():
    with mnnlite.Task(path, image=mnnlite.ImageSpec(size=(32, 32)), decoder="raw") as task:
        task(frame)
""",
    "a cascade, once in a runtime's lanes": """
frame = mnnlite.Frame(np.full((40, 50, 3), 200, np.uint8), "BGR")
image = mnnlite.ImageSpec(size=(32, 32))
def call():
    with mnnlite.Runtime(lanes=1) as runtime:
        runtime.add("first", mnnlite.TaskSpec(path, image=image))
        runtime.add("second", mnnlite.TaskSpec(path, image=image, outputs=["heatmap"]))
        result = runtime.process(frame)
        for error in result.errors.values():
            raise error
        result["first"], result["second"]
""",
    "weights in a file": """
import os
def call():
    with mnnlite.Model(path, weights="mapped", weights_dir=os.getcwd()) as model:
        model.run()
""",
    "a refused model": """
broken = open(path, "rb").read()[:5000]
def call():
    try:
        mnnlite.Model(broken)
    except mnnlite.ModelFormatError:
        pass
""",
}


@pytest.mark.parametrize("what", CALLS)
def test_each_allocation__fails_once(what: str, tmp_path: Path) -> None:
    hook = compile_hook(tmp_path)
    if hook is None:
        pytest.skip("no C++ compiler")
    code = f"""
import json, mnnlite, numpy as np
path = {str(models.path("branches"))!r}
{CALLS[what]}
call()
call()
print("points", json.dumps(fail_each(call)))
"""
    said = run_counting(hook, code).stdout
    points = json.loads(said[said.index("points") + 7 :])
    ends = Counter(end for end, _ in points)
    print(f"{what}: {len(points)} points, {dict(ends)}")
    assert len(points) > 5
    assert set(ends) <= {
        "OutOfMemoryError",
        "fine",
    }  # fine: it went on without, or the refusal it was on the way to came first
    assert ends["fine"] < len(points) / 4


def test_each_allocation__fails_and_the_rest_goes_on(tmp_path: Path) -> None:
    """In one process, one after the other: what is loaded beside it still gives the same, and memory stays flat."""
    hook = compile_hook(tmp_path)
    if hook is None:
        pytest.skip("no C++ compiler")
    code = f"""
import json, mnnlite, numpy as np
from mnnlite.proc import process
path = {str(models.path("branches"))!r}
{CALLS["a model's life"]}
beside = mnnlite.Model(path)
beside.input("image")[...] = 0.46875
wanted = {{name: value.copy() for name, value in beside.run().items()}}
call()
growth = []
for _ in range(3):
    before = process().anonymous
    number, failed = 0, 0
    while True:
        number += 1
        _watch()
        _hook.malloc_hook_fail(ctypes.c_long(number))
        try:
            call()
        except mnnlite.OutOfMemoryError:
            pass
        _hook.malloc_hook_fail(ctypes.c_long(0))
        if _hook.malloc_hook_count() < number:  # none failed: there are no more. Some calls go on without what failed.
            break
        failed += 1
        if number % 20 == 0:
            found = beside.run()
            assert all(np.array_equal(found[name], wanted[name]) for name in wanted), number
    growth.append(process().anonymous - before)
print("failed", failed, "grew", json.dumps(growth))
"""
    said = run_counting(hook, code).stdout
    assert int(said.split()[said.split().index("failed") + 1]) > 200
    assert json.loads(said[said.index("grew") + 5 :])[-1] < 256 * 1024, said
