"""Rules for numbers, texts, key points and maps."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from mnnlite import decoders
from mnnlite.descriptions.description import Network, dims
from mnnlite.descriptions.fit import Fit, Rule, image_input, pairs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mnnlite.specs import TensorInfo

__all__ = ["ALONE", "RULES"]


def _simcc(network: Network, _: tuple[str, ...]) -> Iterator[Fit]:
    """Source: mmpose, rtmpose_head.py and its configs: split ratio 2, ImageNet's mean and deviation."""
    found, shapes = image_input(network), pairs(network)
    if found is None or len(shapes) != 2 or shapes[0][0] != shapes[1][0]:
        return
    if {shape[1] for shape in shapes} == {2 * found[1], 2 * found[2]} and found[1] != found[2]:
        by_side = {info.shape[-1]: info.name for info in network.outputs}
        picture = {"color": "RGB", "mean": (123.675, 116.28, 103.53), "std": (58.395, 57.12, 57.375)}
        decoder = decoders.SimCC(tensors=(by_side[2 * found[1]], by_side[2 * found[2]]))
        yield Fit(decoder, f"{network.listed()}: two numbers a pixel of each side", picture, "RTMPose")


_DATA_SETS = {72: ("CULane", (0.42, 1.0), 0.6), 56: ("TuSimple", (160 / 720, 710 / 720), 0.8)}  # by how many rows


def _anchored_lanes(network: Network, _: tuple[str, ...]) -> Iterator[Fit]:
    """Source: cfzd/Ultra-Fast-Lane-Detection-v2, configs and utils/common.py: anchors; ImageNet's mean and deviation."""
    shapes = {info.name: info.shape for info in network.outputs}
    names = ("loc_row", "loc_col", "exist_row", "exist_col")
    if set(shapes) != set(names) or any(len(shape) != 4 for shape in shapes.values()):
        return
    known = _DATA_SETS.get(shapes["loc_row"][2])
    if known is None or shapes["exist_row"][1] != 2 or shapes["exist_col"][1] != 2:
        return
    data, anchors, ratio = known
    picture = {"color": "RGB", "mean": (123.675, 116.28, 103.53), "std": (58.395, 57.12, 57.375)}
    picture |= {"fit": "crop", "anchor": "bottom"}
    decoder = decoders.Lanes(head="anchors", row_anchors=anchors, crop_ratio=ratio, tensors=names)
    yield Fit(
        decoder,
        f"{network.listed()}: {shapes['loc_row'][2]} rows, as of {data}",
        picture,
        "Ultra-Fast-Lane-Detection v2",
    )


def _symbols(network: Network, _: tuple[str, ...]) -> Iterator[Fit]:
    """Text by CTC: a low picture, steps, symbols."""
    found = image_input(network)
    if found is None or len(network.outputs) != 1 or len(network.outputs[0].shape) != 3 or not 0 < found[2] <= 64:
        return
    steps, symbols = network.outputs[0].shape[1:]
    if symbols > 10 and found[1] // 16 <= steps <= found[1] // 2 and found[1] > found[2]:
        why = f"{network.listed()}: {steps} steps, {symbols} symbols"
        yield Fit(decoders.Ctc(), f"{why}; which symbols, keys= says")


def _vectors(network: Network, names: tuple[str, ...]) -> Iterator[Fit]:
    """(N, C): class scores, an embedding, key points."""
    info = network.outputs[0]
    shape = [extent for axis, extent in enumerate(info.shape) if axis < 2 or extent != 1]
    if len(network.outputs) != 1 or len(shape) != 2:
        return
    if shape[1] == 1:
        yield Fit(decoders.Regression(), f"{network.listed()}: a number")
        return
    count: int = shape[1]
    if names and len(names) != count:
        return
    if network.makers.get(info.name) == "Softmax":
        yield Fit(
            decoders.Classification(activation="none", classes=names or None), f"{network.listed()}, made by Softmax"
        )
        return
    yield Fit(decoders.Classification(classes=names or None), f"{network.listed()}: scores of {count} classes")
    if names:
        return
    yield Fit(decoders.Embedding(), f"{network.listed()}: a vector")
    for values in (2, 3):
        if count % values == 0 and count >= 4 * values:
            decoder = decoders.Keypoints(mode="regressed", values=values)
            yield Fit(decoder, f"{network.listed()}: {count // values} points of {values}")


def _maps(network: Network, names: tuple[str, ...]) -> Iterator[Fit]:
    """A map an output: classes, scores, one probability."""
    found = image_input(network)
    if found is None or not network.outputs:
        return
    choices = [list(_map(info, found, names)) for info in network.outputs]
    if len(choices) == 1:
        yield from choices[0]
    elif all(choices):
        for one in itertools.islice(itertools.product(*choices), 8):
            several = {info.name: fit.decoder for info, fit in zip(network.outputs, one, strict=True)}
            yield Fit(several, "; ".join(fit.why for fit in one))  # type: ignore[arg-type]


def _map(info: TensorInfo, found: tuple[TensorInfo, int, int, str], names: tuple[str, ...]) -> Iterator[Fit]:
    shape, where = info.shape, f"{info.name} {dims(info.shape)}"
    if info.dtype in ("int32", "uint8", "int64") and len(shape) in (3, 4):
        yield Fit(decoders.Segmentation(background=-1, classes=names or None), f"{where}: a class a pixel")
        return
    if len(shape) == 3 and shape[1:] == (found[2], found[1]) and not names:
        yield Fit(decoders.Maps(), f"{where}: a number a pixel")
    if len(shape) != 4:
        return
    channels, sides = (shape[1], shape[2:]) if info.layout != "NHWC" else (shape[3], shape[1:3])
    if channels == 3 and not names and sides[0] >= found[2] > 0 and sides[0] * found[1] == sides[1] * found[2]:
        yield Fit(decoders.Maps(output="picture"), f"{where}: a picture")
    if any(
        side < 1 or full < side or full // side > 16 for side, full in zip(sides, (found[2], found[1]), strict=True)
    ):
        return
    if channels == 1:
        names = ("", *names) if len(names) == 1 else names  # what is not that one class has no name
        yield Fit(decoders.Segmentation(mode="binary", classes=names or None), f"{where}: a probability a pixel")
        if not names:
            yield Fit(decoders.Maps(), f"{where}: a number a pixel")
        if sides == (found[2], found[1]) and not names:
            yield Fit(decoders.DbText(), f"{where}: a probability of text a pixel")
    elif not names or len(names) == channels:
        yield Fit(decoders.Segmentation(classes=names or None), f"{where}: scores of {channels} classes a pixel")
        if not names and channels >= 5 and sides == (found[2] // 4, found[1] // 4):
            yield Fit(decoders.Keypoints(), f"{where}: {channels} heat maps at stride 4")


def _offsets(network: Network, _: tuple[str, ...]) -> Iterator[Fit]:
    """Heat maps and two maps of offsets for each. Source: tensorflow/tfjs-models, posenet/src/mobilenet.ts."""
    found = image_input(network)
    shapes = [info.shape for info in network.outputs]
    if found is None or not 2 <= len(shapes) <= 4 or any(len(shape) != 4 for shape in shapes):
        return
    last = network.outputs[0].layout == "NHWC"
    channels = {info.name: info.shape[3 if last else 1] for info in network.outputs}
    if len({shape[1:3] if last else shape[2:] for shape in shapes}) != 1:
        return
    heat = min(channels, key=lambda name: channels[name])
    beside = [name for name, count in channels.items() if count == 2 * channels[heat]]
    if channels[heat] >= 5 and len(beside) == 1:
        picture = {"color": "RGB", "mean": 127.5, "std": 127.5}
        decoder = decoders.Keypoints(mode="offsets", order="yx", activation="sigmoid", tensors=(heat, beside[0]))
        yield Fit(decoder, f"{network.listed()}: {channels[heat]} heat maps and their offsets", picture, "PoseNet")


ALONE: tuple[Rule, ...] = (_simcc, _anchored_lanes, _offsets)
RULES: tuple[Rule, ...] = (_vectors, _symbols, _maps)
