"""A quantised network against the one it was made of, by what both find on pictures."""

from __future__ import annotations

import numpy as np
import pytest

import mnnlite
from helpers import networks
from helpers.cli import mnnlite as command
from mnnlite import Frame, ImageSpec, TaskSpec, decoders, observe, results
from mnnlite.observe import decoded


def detections(boxes, labels, scores):
    return results.Detections.from_arrays(
        np.array(boxes, np.float32).reshape(-1, 4), np.array(scores, np.float32), np.array(labels, np.int32)
    )


def tallied(*pairs):
    tally = decoded._Tally()
    for number, (found, wanted) in enumerate(pairs):
        tally.add(number, found, wanted)
    return tally.result("x")


def test_boxes__by_hand():
    wanted = detections([[0, 0, 10, 10], [20, 0, 30, 10], [0, 20, 10, 30]], [0, 1, 2], [0.9, 0.8, 0.7])
    # The first is shifted by a tenth: 90 shared of 110. The second has another label. The third is gone, one is new.
    found = detections([[1, 0, 11, 10], [20, 0, 30, 10], [50, 50, 60, 60]], [0, 3, 2], [0.85, 0.8, 0.7])
    said = tallied((found, wanted))
    assert (said.found, said.wanted, said.matched, said.other_label) == (3, 3, 1, 1)
    assert said.agreement == pytest.approx(2 / 6)
    assert said.iou == pytest.approx(90 / 110)
    assert said.score_difference == pytest.approx(0.05, abs=1e-6)


def test_boxes__best_pairs_come_first_and_none_is_used_twice():
    wanted = detections([[0, 0, 10, 10]], [0], [0.9])
    found = detections([[2, 0, 12, 10], [0, 0, 10, 10]], [0, 0], [0.5, 0.9])
    said = tallied((found, wanted))
    assert said.matched == 1
    assert said.iou == 1
    assert said.agreement == pytest.approx(2 / 3)


def test_nothing_on_both_sides__is_agreement_and_the_worst_picture_is_named():
    nothing, one = detections([], [], []), detections([[0, 0, 9, 9]], [1], [0.9])
    assert tallied((nothing, nothing)).agreement == 1
    said = tallied((one, one), (nothing, one), (nothing, nothing))
    assert said.agreement == pytest.approx(2 / 3)
    assert (said.worst, said.worst_picture) == (0, 1)


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    return networks.convert(networks.class_map(tmp_path_factory.mktemp("decoded")))


MASKS = TaskSpec("x.mnn", ImageSpec(color="RGB"), decoders.Segmentation(classes=("red", "green", "blue")))


def pictures(count=4):
    rng = np.random.default_rng(0)
    return [Frame(rng.integers(0, 256, (30, 40, 3), np.uint8), "RGB") for _ in range(count)]


def test_masks__of_the_same_network_are_equal_and_of_swapped_colours_are_not(network):
    same = observe.compare_decoded(network, network, MASKS, pictures())
    (masks,) = same.decoders
    assert (same.pictures, masks.kind, masks.agreement, masks.iou) == (4, "Masks", 1.0, 1.0)
    assert same.agree
    with mnnlite.Task(mnnlite.TaskSpec(network, MASKS.image, MASKS.decoder)) as task:
        a, b = (
            task(Frame(frame, "RGB")) for frame in np.random.default_rng(1).integers(0, 256, (2, 30, 40, 3), np.uint8)
        )
    said = tallied((a, b))
    equal = float((a.class_map() == b.class_map()).mean())
    assert said.agreement == pytest.approx(equal)
    assert 0 < said.iou < said.agreement


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """A network and the same with 8-bit weights, and one that was damaged."""
    import onnx
    from onnx import numpy_helper

    from mnnlite.convert import convert

    folder = tmp_path_factory.mktemp("quantised")
    source = networks.two_branches(folder, size=32, width=16)
    whole = networks.convert(source)
    quantised = convert(source, folder / "q.mnn", weight_bits=8, compare=False)
    model = onnx.load(source)
    for each in model.graph.initializer:
        value = numpy_helper.to_array(each)
        if value.ndim == 4:
            each.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(value[:, ::-1]), each.name))
    onnx.save(model, folder / "bad.onnx")
    return whole, quantised, convert(folder / "bad.onnx", folder / "bad.mnn")


def test_raw_outputs__are_compared_by_direction(two):
    whole, quantised, damaged = two
    spec = TaskSpec("x.mnn", ImageSpec(std=255))
    fine = observe.compare_decoded(quantised, whole, spec, pictures())
    assert {each.kind for each in fine.decoders} == {"array"}
    assert fine.agree
    assert min(each.agreement for each in fine.decoders) < 1  # it is another network, after all
    assert not observe.compare_decoded(damaged, whole, spec, pictures(), least=0.999).agree


TOML = """
[[task]]
name = "one"
model = "net.mnn"
image = { size = [32, 32], std = 255 }
"""


@pytest.mark.slow  # converts and compares in child processes
def test_command__of_a_quantised_network(two, tmp_path):
    from mnnlite import video

    whole, quantised, _ = two
    (tmp_path / "net.mnn").write_bytes(whole.read_bytes())
    (tmp_path / "p.toml").write_text(TOML)
    (tmp_path / "pictures").mkdir()
    for number in range(3):
        pixels = np.random.default_rng(number).integers(0, 256, (30, 40, 3), np.uint8)
        video.write_picture(tmp_path / "pictures" / f"{number}.png", pixels)
    arguments = ("compare", quantised, "net.mnn", "--pictures", "pictures", "--pipeline", "p.toml")
    ran = command(*arguments, "--json", cwd=tmp_path)
    assert ran.code == 0, ran.err
    (found,) = ran.lines
    assert found["decoded"]["pictures"] == 3
    assert found["decoded"]["agree"] is True
    assert {"agreement", "worst", "found", "wanted", "matched", "iou"} <= found["decoded"]["decoders"][0].keys()
    assert "first_deviation" in found
    shown = command(*arguments, "--frames", 2, "--agreement", 1, cwd=tmp_path)
    assert shown.code == 1
    assert "on 2 pictures: TOO LITTLE, wanted 1" in shown.out
    for wrong, said in (
        (("--frames", 0), "--frames"),
        (("--agreement", 2), "agreement"),
        (("--task", "nobody"), "no task 'nobody'"),
    ):
        assert said in command(*arguments, *wrong, cwd=tmp_path).error()
    assert "--pipeline" in command("compare", quantised, "net.mnn", "--pictures", "pictures", cwd=tmp_path).error()
    (tmp_path / "none").mkdir()
    assert command("compare", quantised, "net.mnn", "--pictures", "none", "--pipeline", "p.toml", cwd=tmp_path).error()
