"""3x3 convolutions by Winograd's method, or without: less memory, the same results up to rounding."""

from __future__ import annotations

import json

import numpy as np
import pytest

import mnnlite
from mnnlite import _core, cost, pipeline
from mnnlite.demo import pack

NETWORK = pack.FOLDER / "road_objects.mnn"  # mostly 3x3 convolutions
PICTURE = np.random.default_rng(4).random((1, 3, 352, 640), dtype=np.float32)


def run(winograd: str) -> tuple[np.ndarray, int]:
    with mnnlite.Model(NETWORK, winograd=winograd) as model:
        return model.run({"image": PICTURE})["boxes"], model.memory()["static"]


def test_winograd__results_are_those_of_direct_convolution_and_weights_take_less() -> None:
    """The engine's own default is the largest, and what it gives is what no option gives."""
    direct, least = run("none")
    small, less = run("small")
    large, most = run("large")
    with mnnlite.Model(NETWORK) as model:
        assert np.array_equal(model.run({"image": PICTURE})["boxes"], large)
    scale = np.abs(direct).max(axis=2, keepdims=True)
    assert np.abs(small - direct).max() > 0
    for got in (small, large):
        assert (np.abs(got - direct) < 1e-3 * scale).all()
    # 64/9 and 16/9 of what can be computed so, once of the rest: the first convolutions, 1x1, those with strides.
    assert least < less < 0.75 * most
    assert most > 2 * least


def test_winograd__runtime_pipeline_and_prediction_use_it() -> None:
    spec = mnnlite.TaskSpec(NETWORK, image=mnnlite.ImageSpec(size=(640, 352), std=255))
    frame = mnnlite.Frame(np.full((360, 640, 3), 90, np.uint8), "RGB")
    with mnnlite.Task(mnnlite.Model(NETWORK, winograd="small"), image=spec.image) as task:
        alone = task(frame)["boxes"]
    tables = pipeline.Pipeline({"objects": spec}, runtime={"winograd": "small"})
    with tables.open() as runtime:
        assert np.array_equal(runtime.process(frame)["objects"]["boxes"], alone)
    images = [_core.ImageHint("", 640, 352, 3, 1)]
    assert cost.of(NETWORK, images=images, winograd="small").static < cost.of(NETWORK, images=images).static


def test_winograd__is_offered_where_memory_does_not_suffice() -> None:
    spec = mnnlite.TaskSpec(NETWORK, image=mnnlite.ImageSpec(size=(640, 352), std=255))
    images = [_core.ImageHint("", 640, 352, 3, 1)]
    more, less = cost.of(NETWORK, images=images).peak, cost.of(NETWORK, images=images, winograd="small").peak
    assert more - less > 3 << 20
    limit = (more + less) // 2
    offer = pytest.raises(mnnlite.MemoryBudgetError, match="winograd='small'")
    with mnnlite.Runtime(memory=limit) as runtime, offer:
        runtime.add("objects", spec)
    with mnnlite.Runtime(memory=limit, winograd="small") as runtime:
        runtime.add("objects", spec)


def test_winograd__on_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    from mnnlite.cli import main

    peaks = {}
    for word in ("large", "small"):
        assert main(["memory", str(NETWORK), "--winograd", word, "--json"]) == 0
        peaks[word] = json.loads(capsys.readouterr().out)["prediction"]["peak_mib"]
    assert peaks["small"] < peaks["large"] - 3
