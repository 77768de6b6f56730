"""A run that is warm allocates nothing in _core; NumPy's arrays are NumPy's."""

from __future__ import annotations

from pathlib import Path

import pytest

from helpers import models
from helpers.allocations import compile_hook, run_counting
from helpers.child import EMULATED

pytestmark = pytest.mark.skipif(EMULATED, reason="a library cannot be preloaded into the emulator's guest alone")


@pytest.fixture(scope="module")
def hook(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = compile_hook(tmp_path_factory.mktemp("hook"))
    if found is None:
        pytest.skip("no C++ compiler")
    return found


MODEL = f"""
import mnnlite, numpy as np
model = mnnlite.Model({str(models.path("branches"))!r})
image = np.zeros((1, 3, 32, 32), np.float32)
"""


@pytest.mark.parametrize(
    "call",
    [
        "model.run(borrow=True)",
        "model.run()",
        "model.run({'image': image}, borrow=True)",
        "model.run(outputs=['score'], borrow=True)",
        "model.input('image')",
    ],
)
def test_run__allocates_nothing_in_the_extension(hook: Path, call: str) -> None:
    run_counting(hook, MODEL + f"found = allocations(lambda: {call}, 50)\nassert found == 0, found\n")


def test_hook__sees_what_loading_allocates(hook: Path) -> None:
    run_counting(hook, MODEL + f"assert allocations(lambda: mnnlite.Model({str(models.path('tiny'))!r}), 2) > 10")
