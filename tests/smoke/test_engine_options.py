"""Models of one arena that differ in how the engine computes them: each as if it were alone. On CPUs with half floats
``precision="low"`` computes in these, beside models that do not."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import mnnlite
from helpers import models
from mnnlite.engine_options import SESSION_WORDS

CHOICES = [
    dict(zip(("precision", "winograd", "memory_mode"), words, strict=True))
    for words in itertools.product(("normal", "low"), SESSION_WORDS["winograd"], ("normal", "low"))
]


@pytest.mark.parametrize("name", [name for name in models.RUNNABLE if name != "big"])  # minutes under emulation
def test_models_of_an_arena__have_options_of_their_own(name: str) -> None:
    path, shapes = models.path(name), models.shapes(name)
    inputs = models.inputs(name)
    wanted = []
    for options in CHOICES:
        with mnnlite.Model(path, shapes=shapes, **options) as model:
            wanted.append((model.run(inputs), model.outputs, model.facts()["computes_in_half"]))
    with mnnlite.Arena() as arena:
        made = [mnnlite.Model(path, shapes=shapes, arena=arena, **options) for options in CHOICES]
        for _ in range(2):
            for model, options, (right, outputs, half) in zip(made, CHOICES, wanted, strict=True):
                assert model.outputs == outputs
                assert (
                    model.facts()["computes_in_half"]
                    == half
                    == (options["precision"] == "low" and arena.native.has_half)
                )
                found = model.run(inputs)
                assert all(np.array_equal(found[key], value, equal_nan=True) for key, value in right.items()), options
