"""What every supported engine must do with the same wheel: load, branch, share an arena, resize, run.

A plain program on purpose (`python smoke.py`): it runs in environments that hold nothing but mnnlite, NumPy and MNN,
and under emulation. tests/smoke/test_smoke.py runs it in the suite.
"""

from __future__ import annotations

import gc
import platform
import re
import sys
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

import numpy as np

import mnnlite
from helpers import models
from mnnlite import _core


def instruction_sets_are_those_of_the_cpu() -> None:
    """By the system's list of them: a wheel's own question depends on the libraries that it was linked with."""
    if platform.machine() != "x86_64":
        return
    flags = set(re.search(r"^flags\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)[1].split())
    wanted = ["baseline"]
    wanted += ["sse41"] if "sse4_1" in flags else []
    wanted += ["avx2"] if {"avx2", "f16c"} <= flags else []
    assert _core.cpu_isas() == wanted, (_core.cpu_isas(), wanted)


def every_network(precision: str = "normal") -> None:
    for name in models.RUNNABLE:
        with mnnlite.Model(models.path(name), shapes=models.shapes(name), precision=precision) as model:
            tolerance = models.TOLERANCE_HALF if model.arena.computes_in_half else models.TOLERANCE
            models.assert_as_expected(name, model.run(models.inputs(name)), tolerance)


def every_network_in_low_precision() -> None:
    every_network("low")


def branch_by_path() -> None:
    with mnnlite.Model(models.path("branches"), outputs=["mask"]) as model:
        assert list(model.outputs) == ["mask"]
        models.assert_as_expected("branches", model.run(models.inputs("branches")))


def branch_by_call() -> None:
    with mnnlite.Model(models.path("branches")) as model:
        model.run(models.inputs("branches"))
        out = model.run(outputs=["score"])
        assert list(out) == ["score"]
        models.assert_as_expected("branches", out)


def shared_arena() -> None:
    names = ["tiny", "branches", "big", "classes"]  # small to large and back
    with mnnlite.Arena() as arena:
        loaded = {name: mnnlite.Model(models.path(name), arena=arena) for name in names}
        for name, model in loaded.items():
            for key, value in models.inputs(name).items():
                model.input(key)[...] = value
        for _ in range(3):  # inputs are not filled again
            for name in (*names, *reversed(names)):
                models.assert_as_expected(name, loaded[name].run())
        loaded.pop("big").close()
        arena.shrink()
        for name, model in loaded.items():
            models.assert_as_expected(name, model.run())


def resize() -> None:
    with mnnlite.Model(models.path("resizable"), shapes={"image": (1, 3, 8, 8)}, resizable=True) as model:
        model.run()
        model.resize(models.shapes("resizable"))
        models.assert_as_expected("resizable", model.run(models.inputs("resizable")))


def from_bytes() -> None:
    with mnnlite.Model(models.path("branches").read_bytes()) as model:
        models.assert_as_expected("branches", model.run(models.inputs("branches"), borrow=True))


def two_threads() -> None:
    with mnnlite.Model(models.path("big"), threads=2) as model:
        models.assert_as_expected("big", model.run(models.inputs("big")))


def refused() -> None:
    for name in ("content", "unrunnable"):
        try:
            mnnlite.Model(models.path(name))
        except mnnlite.UnsupportedModelError:
            continue
        raise AssertionError(f"{name} was not refused")


def borrowed_views_outlive_the_model() -> None:
    model = mnnlite.Model(models.path("tiny"))
    view = model.run(models.inputs("tiny"), borrow=True)["minus"]
    model.close()
    del model
    gc.collect()
    np.testing.assert_array_equal(view, -models.inputs("tiny")["x"])


CHECKS: list[Callable[[], None]] = [
    instruction_sets_are_those_of_the_cpu,
    every_network,
    every_network_in_low_precision,
    branch_by_path,
    branch_by_call,
    shared_arena,
    resize,
    from_bytes,
    two_threads,
    refused,
    borrowed_views_outlive_the_model,
]


def main() -> None:
    print(f"mnnlite {mnnlite.__version__} on MNN {_core.engine_version()}, {_core.active_isa()}", flush=True)
    for check in CHECKS:
        check()
        print(f"  {check.__name__}: fine", flush=True)


if __name__ == "__main__":
    main()
