"""A run that is warm allocates nothing in _core; NumPy's arrays are NumPy's."""

from __future__ import annotations

from pathlib import Path

import pytest

from helpers import models
from helpers.allocations import compile_hook, run_counting

pytestmark = pytest.mark.not_emulated("a library cannot be preloaded into the emulator's guest alone")


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


TASK = """
import mnnlite, numpy as np
frame = mnnlite.Frame(np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8), "BGR")
spec = mnnlite.ImageSpec(size=(32, 32), std=(255, 255, 255))
"""

DECODERS = {
    "one": 'mnnlite.decoders.Classification(tensors="score")',
    "several": '{"score": mnnlite.decoders.Classification(), "a": mnnlite.decoders.Embedding(tensors="score")}',
    "raw": '"raw"',
}


@pytest.mark.parametrize("decoder", DECODERS)
def test_task__with_out_allocates_nothing_in_the_extension(hook: Path, decoder: str) -> None:
    run_counting(
        hook,
        TASK
        + f"""
task = mnnlite.Task({str(models.path("branches"))!r}, image=spec, decoder={DECODERS[decoder]})
found = [task(frame)]
def call():
    found[0] = task(frame, out=found[0])
count = allocations(call, 50)
assert count == 0, count
""",
    )


def test_decode__with_out_allocates_nothing_in_the_extension(hook: Path) -> None:
    run_counting(
        hook,
        """
import mnnlite, numpy as np
from mnnlite import decoders
rng = np.random.default_rng(0)
for spec, shape in (
    (decoders.Yolo(score=0.5), (1, 9, 300)),
    (decoders.Segmentation(size="frame"), (1, 4, 20, 30)),
    (decoders.Segmentation(output="polygons"), (1, 4, 20, 30)),
    (decoders.Lanes(min_pixels=1, min_length=0), (1, 2, 20, 30)),
    (decoders.Ctc(), (1, 20, 30)),
    (decoders.Keypoints(), (1, 5, 20, 30)),
):
    head = {"an output whose name is longer than a short string": rng.random(shape, np.float32)}
    kept = spec.decode(head, (64, 48))
    count = allocations(lambda: spec.decode(head, (64, 48), out=kept), 50)
    assert count == 0, (spec, count)
""",
    )


def test_hook__sees_what_loading_allocates(hook: Path) -> None:
    run_counting(hook, MODEL + f"assert allocations(lambda: mnnlite.Model({str(models.path('tiny'))!r}), 2) > 10")
