"""Inputs as large as the picture needs: `ImageSpec.multiple` in tasks, alone, on lanes and on crops."""

from __future__ import annotations

import numpy as np
import pytest

import mnnlite
from helpers import networks
from helpers.pictures import noisy_frame
from mnnlite import ImageSpec, Model, Task, TaskSpec, decoders

SPEC = ImageSpec(size=(128, 32), fit="letterbox", multiple=8, anchor="top_left", std=255.0)
MASK = decoders.Segmentation(mode="binary", threshold=0.5)


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    """`image` (N, 3, H, W) -> `heat` of the same size, `points`."""
    return networks.convert(networks.two_branches(tmp_path_factory.mktemp("multiple"), dynamic=True))


def wanted(model, frame):
    """The definition: the spec's own array, and a network of that shape."""
    image = SPEC.apply(frame)
    model.resize({"image": image.shape})
    return model.run({"image": image})


SIZES = [(128, 32), (40, 32), (300, 32), (20, 60), (40, 32), (1000, 10), (7, 7)]


def test_the_input_takes_the_shape_of_each_picture(network):
    with (
        Model(network, shapes={"image": (1, 3, 32, 128)}, resizable=True) as model,
        Task(network, image=SPEC) as raw,
        Task(TaskSpec(network, SPEC, {"heat": MASK})) as task,
    ):
        shapes = set()
        for width, height in SIZES:
            frame = noisy_frame(0, width, height)
            outputs = wanted(model, frame)
            found = raw(frame)
            for name, value in outputs.items():
                np.testing.assert_array_equal(found[name], value)
            masks = task(frame)["heat"]
            expected = MASK.decode({"heat": outputs["heat"]}, (width, height), SPEC)
            assert masks.to_json() == expected.to_json()
            np.testing.assert_array_equal(masks.masks, expected.masks)
            shapes.add(found["heat"].shape[2:])
        assert len(shapes) > 4
        assert (32, 128) in shapes


def test_results_are_kept_while_the_shape_changes(network):
    with Task(TaskSpec(network, SPEC, MASK, outputs=["heat"])) as task:
        small, large = noisy_frame(0, 16, 16), noisy_frame(0, 128, 32)
        first = task(small)
        before = first.to_json(), first.masks.copy()
        task(large)
        assert first.to_json() == before[0]
        np.testing.assert_array_equal(first.masks, before[1])
        again = task(small, out=task(large))
        assert again.to_json() == before[0]


def test_in_a_runtime_and_on_crops(network):
    finder = TaskSpec(
        network, ImageSpec(size=(64, 48), std=255.0), MASK, outputs=["heat"], shapes={"image": (1, 3, 48, 64)}
    )
    reader = TaskSpec(network, SPEC, MASK, outputs=["heat"])
    with (
        mnnlite.Runtime(lanes=1) as runtime,
        Task(reader) as alone,
    ):
        runtime.add("finder", finder)
        runtime.add("reader", reader)
        runtime.add("same", reader)  # may share the session
        runtime.add("closer", reader, after="finder", max_crops=4)
        for seed, (width, height) in enumerate(SIZES):
            frame = noisy_frame(seed, width, height)
            result = runtime.process(frame)
            assert not result.errors
            expected = alone(frame)
            assert result["reader"].to_json() == result["same"].to_json() == expected.to_json()
            for index, found in enumerate(result["finder"]):
                x1, y1, x2, y2 = found.box
                if x2 - x1 < 1 or y2 - y1 < 1:
                    continue
                crop = alone(frame.roi(x1, y1, x2 - x1, y2 - y1))
                mine = result["closer"][result["closer"].items == index]
                np.testing.assert_array_equal(mine.scores, crop.scores)
                np.testing.assert_array_equal(mine.boxes_xyxy, crop.boxes_xyxy)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda path: Task(TaskSpec(path, SPEC, batch=2)), "batch=1"),
        (lambda path: Task(path, image=SPEC)(noisy_frame(0, 9, 9), borrow=True), "take copies"),
        (
            lambda path: Task(Model(path, shapes={"image": (1, 3, 32, 128)}), image=SPEC)(noisy_frame(0, 9, 9)),
            "load it with resizable=True",
        ),
    ],
)
def test_what_does_not_go_with_it_is_refused(network, make, said):
    with pytest.raises(mnnlite.MnnliteError, match=said):
        make(network)
