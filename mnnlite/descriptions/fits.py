"""What tensors show: the decoders that fit them, with what the publishers of such networks feed.

A rule gives every reading that the shapes leave. Where a family's picture is not the same everywhere, the parts that nobody
says are listed as not known.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mnnlite import decoders
from mnnlite.descriptions.description import Network, Reading, dims
from mnnlite.specs import ImageSpec, TaskSpec, TensorInfo

if TYPE_CHECKING:
    from mnnlite.decoders import Decoder

__all__ = ["NOT_SAID", "Fit", "fits", "image_input", "reading"]

# What their publishers feed; sources in the rules.
_YOLO = {"fit": "letterbox", "color": "RGB", "std": 255.0, "pad": 114.0}
NOT_SAID = "not said"  # the source of a part that nobody says
_PARTS = ("color", "mean", "std")


@dataclass(frozen=True)
class Fit:
    """A decoder that fits the outputs.

    Parameters
    ----------
    decoder : decoder spec, or dict of output to decoder spec
    why : str
        What shows it.
    image : dict, optional
        What the family's publishers feed, as options of `ImageSpec`; None: it differs from network to network.
    publisher : str
        Whose convention that is.
    """

    decoder: Decoder | dict[str, Decoder]
    why: str
    image: dict[str, Any] | None = None
    publisher: str = ""


def image_input(network: Network) -> tuple[TensorInfo, int, int, str] | None:
    """The input that takes the picture: (tensor, width, height, layout "" or "NHWC" where the tensor says otherwise)."""
    for info in network.inputs:
        shape = info.shape
        if len(shape) != 4:
            continue
        last = shape[3] in (1, 3, 4) and (info.layout == "NHWC" or shape[1] not in (1, 3, 4))
        height, width = shape[1:3] if last else shape[2:4]
        if last or shape[1] in (1, 3, 4):
            return info, width, height, "NHWC" if last and info.layout != "NHWC" else ""
    return None


def reading(network: Network, fit: Fit, known: dict[str, Any], where: dict[str, str]) -> Reading:
    """A task of a fit; `known` is what is said of the picture, `where` its sources."""
    found = image_input(network)
    sources: dict[str, str] = {}
    image: Any = None
    if found is not None:
        info, width, height, layout = found
        options: dict[str, Any] = {"size": (width, height)} if width > 0 and height > 0 else {}
        sources |= {"image.size": "the input's shape"} if options else {}
        if layout:
            options["layout"] = layout
            sources["image.layout"] = f"the input is {dims(info.shape)}"
        channels = 1 if 1 in (info.shape[1], info.shape[3]) else 3
        usual = dict(fit.image or ({"color": "GRAY"} if channels == 1 else {}))
        options |= usual
        sources |= {f"image.{part}": f"usual for {fit.publisher}" for part in usual if fit.image is not None}
        options |= known
        sources |= {f"image.{part}": where.get(part, "") for part in known}
        missing = [
            part
            for part in _PARTS
            if fit.image is None and part not in known and not (part == "color" and channels == 1)
        ]
        sources |= {f"image.{part}": NOT_SAID for part in missing}
        image = ImageSpec(**options)
        if len(network.inputs) > 1:
            image = {info.name: image}
    sources["decoder"] = fit.why
    batch = found[0].shape[0] if found is not None else 1
    state = _state(network)
    outputs = None
    spec = TaskSpec(network.path, image, fit.decoder, outputs=outputs, batch=max(1, min(batch, 1024)), state=state)
    if state:
        sources["state"] = "outputs of the same shape and a like name as inputs"
    return Reading(spec, sources)


def _state(network: Network) -> dict[str, str]:
    """Inputs that an output of the same shape and name but for in and out feeds: ``lstm_h_in`` and ``lstm_h_out``."""
    outputs = {info.name: info.shape for info in network.outputs}
    found = {}
    for info in network.inputs:
        for old, new in (("_in", "_out"), ("in_", "out_"), ("input", "output")):
            name = info.name.replace(old, new)
            if name != info.name and outputs.get(name) == info.shape:
                found[info.name] = name
                break
    return found


def fits(network: Network, names: tuple[str, ...] = ()) -> list[Fit]:
    """Every decoder that fits a network's outputs; rules that know a head by more than one mark come first and alone.

    Parameters
    ----------
    network : Network
    names : tuple of str
        Names of the classes, where somebody says them: their number excludes readings.
    """
    state = set(_state(network).values())
    outputs = [info for info in network.outputs if info.name not in state]
    network = Network(network.path, network.inputs, tuple(outputs), network.makers)
    for rule in _ALONE:
        found = list(rule(network, names))
        if found:
            return found
    return [fit for rule in _RULES for fit in rule(network, names)]


def _cells(network: Network, *strides: int) -> int:
    found = image_input(network)
    if found is None or min(found[1:3]) < 1:
        return -1
    return sum((found[1] // stride) * (found[2] // stride) for stride in strides)


def _shapes(network: Network) -> str:
    return ", ".join(f"{info.name} {dims(info.shape)}" for info in network.outputs)


_YOLO_CELLS = ((8, 16, 32), (8, 16, 32, 64), (16, 32))


def _yolo(network: Network, names: tuple[str, ...]) -> Iterator[Fit]:
    """One output of a row for each cell of the usual strides. Source: ultralytics nn/modules/head.py, yolov5 models/yolo.py."""
    if len(network.outputs) != 1 or len(network.outputs[0].shape) != 3:
        return
    _, first, last = network.outputs[0].shape
    for cells in (_cells(network, *strides) for strides in _YOLO_CELLS):
        if cells < 1:
            continue
        for rows, numbers, channels in ((last, first, "first"), (first, last, "last")):
            if rows == cells:
                side = {} if numbers < rows else {"channels": channels}
                yield from _planes(network, numbers, len(names), {**side, "classes": names or None})
        if first == 3 * cells and last > 5 and (not names or last == 5 + len(names)):
            why = f"{_shapes(network)}: 3 anchors for each of {cells} cells, {last - 5} classes"
            yield Fit(decoders.Yolo("v5", classes=names or None), why, _YOLO, "YOLOv5")
        if first == cells and last > 5 and (not names or last == 5 + len(names)):
            why = f"{_shapes(network)}: a row for each of {cells} cells, {last - 5} classes"
            picture = {"fit": "letterbox", "anchor": "top_left", "color": "BGR", "pad": 114.0}
            yield Fit(decoders.Yolo("yolox", classes=names or None), why, picture, "YOLOX")


def _planes(network: Network, numbers: int, count: int, options: dict[str, Any]) -> Iterator[Fit]:
    where = f"{_shapes(network)}: {numbers} numbers for each cell"
    if numbers > 4 and (not count or numbers == 4 + count):
        yield Fit(decoders.Yolo("v8", **options), f"{where}, 4 + {numbers - 4} classes", _YOLO, "YOLOv8 and later")
    classes = count or 1
    left = numbers - 4 - classes
    for values in (3, 2):
        if left >= 4 * values and left % values == 0 and left // values <= 133:
            decoder = decoders.Yolo("v8", points=left // values, point_values=values, **options)
            yield Fit(
                decoder, f"{where}, 4 + {classes} + {left // values} points of {values}", _YOLO, "YOLOv8 and later"
            )
    if numbers > 5 and (not count or numbers == 5 + count):
        decoder = decoders.Yolo("v8", rotated=True, **options)
        yield Fit(decoder, f"{where}, 4 + {numbers - 5} classes + an angle", _YOLO, "YOLOv8 and later")


def _end2end(network: Network, names: tuple[str, ...]) -> Iterator[Fit]:
    """Rows that a network chose itself: x1 y1 x2 y2 score class."""
    if len(network.outputs) != 1:
        return
    shape = network.outputs[0].shape
    if len(shape) in (2, 3) and shape[-1] == 6 and 1 < shape[-2] <= 1000 and shape[-2] != _cells(network, 8, 16, 32):
        why = f"{_shapes(network)}: rows of 6 numbers"
        yield Fit(decoders.Yolo("end2end", classes=names or None), why, _YOLO, "YOLOv10 and later")


def _yolo_grids(network: Network, names: tuple[str, ...]) -> Iterator[Fit]:
    """Raw grids with 3 anchors a cell at strides 8, 16, 32. Source: Redmon and Farhadi 2018; yolov5 models/yolo.py."""
    found = image_input(network)
    if len(network.outputs) != 3 or found is None:
        return
    numbers = set()
    for info in network.outputs:
        shape = info.shape
        if len(shape) == 4 and shape[1] % 3 == 0:
            numbers.add((shape[1] // 3, found[1] // max(shape[3], 1)))
        elif len(shape) == 5 and shape[1] == 3:
            numbers.add((shape[4], found[1] // max(shape[3], 1)))
    counts = {count for count, _ in numbers}
    if len(counts) == 1 and {stride for _, stride in numbers} == {8, 16, 32} and min(counts) > 5:
        count = min(counts)
        if names and count != 5 + len(names):
            return
        for version in ("v5", "v3"):
            why = f"{_shapes(network)}: grids of 3 x {count} numbers at strides 8, 16, 32"
            yield Fit(decoders.Yolo(version, classes=names or None), why, _YOLO, "YOLOv5")


def _mediapipe_face(network: Network, _: tuple[str, ...]) -> Iterator[Fit]:
    """Source: mediapipe/modules/face_detection/face_detection_short_range.pbtxt."""
    found = image_input(network)
    if found is not None and found[1:3] == (128, 128) and sorted(_three(network)) == [(896, 1), (896, 16)]:
        picture = {"fit": "letterbox", "color": "RGB", "mean": 127.5, "std": 127.5}
        yield Fit(decoders.Ssd.mediapipe_face(), f"{_shapes(network)}: 896 anchors", picture, "MediaPipe")


def _three(network: Network) -> list[tuple[int, int]]:
    """Shapes of outputs without the batch, if all are of two axes."""
    shapes = [info.shape[1:] if len(info.shape) == 3 else info.shape for info in network.outputs]
    return [(shape[0], shape[1]) for shape in shapes] if all(len(shape) == 2 for shape in shapes) else []


def _ssd(network: Network, names: tuple[str, ...]) -> Iterator[Fit]:
    """Scores and boxes of the same anchors: whether boxes are placed, and how, no shape says."""
    shapes = _three(network)
    if len(shapes) != 2 or shapes[0][0] != shapes[1][0] or 4 not in (shapes[0][1], shapes[1][1]):
        return
    for boxes in ("corners", "centers"):
        yield Fit(decoders.Ssd(boxes=boxes, classes=names or None), f"{_shapes(network)}: scores and boxes")


def _nanodet(network: Network, names: tuple[str, ...]) -> Iterator[Fit]:
    """Source: github.com/RangiLyu/nanodet, config/nanodet-plus-m_320.yml."""
    if len(network.outputs) != 1 or len(network.outputs[0].shape) != 3:
        return
    _, rows, numbers = network.outputs[0].shape
    for strides in ((8, 16, 32, 64), (8, 16, 32)):
        if rows == _cells(network, *strides) and numbers > 32 and (not names or numbers == 32 + len(names)):
            decoder = decoders.NanoDet(strides=tuple(map(float, strides)), classes=names or None)
            picture = {"color": "BGR", "mean": (103.53, 116.28, 123.675), "std": (57.375, 57.12, 58.395)}
            yield Fit(decoder, f"{_shapes(network)}: {numbers - 32} classes + 4 x 8 for each cell", picture, "NanoDet")


def _centerface(network: Network, _: tuple[str, ...]) -> Iterator[Fit]:
    """Source: github.com/Star-Clouds/CenterFace, prj-python/centerface.py."""
    found = image_input(network)
    shapes = [info.shape for info in network.outputs]
    if found is None or len(shapes) != 4 or any(len(shape) != 4 for shape in shapes):
        return
    if (
        [shape[1] for shape in shapes] == [1, 2, 2, 10]
        and len({shape[2:] for shape in shapes}) == 1
        and shapes[0][3] * 4 == found[1]
    ):
        yield Fit(
            decoders.CenterFace(),
            f"{_shapes(network)}: heat map, size, offset, landmarks",
            {"color": "RGB"},
            "CenterFace",
        )


def _fastestdet(network: Network, names: tuple[str, ...]) -> Iterator[Fit]:
    """Source: github.com/dog-qiuqiu/FastestDet, example/onnx-runtime/runtime.py."""
    found = image_input(network)
    if len(network.outputs) != 1 or found is None or len(network.outputs[0].shape) != 4:
        return
    _, numbers, rows, columns = network.outputs[0].shape
    if (columns * 16, rows * 16) == found[1:3] and numbers > 5 and (not names or numbers == 5 + len(names)):
        decoder = decoders.FastestDet(classes=names or None)
        yield Fit(
            decoder,
            f"{_shapes(network)}: 5 + {numbers - 5} numbers at stride 16",
            {"color": "BGR", "std": 255.0},
            "FastestDet",
        )


def _yolofastestv2(network: Network, names: tuple[str, ...]) -> Iterator[Fit]:
    """Source: github.com/dog-qiuqiu/Yolo-FastestV2, sample/ncnn."""
    found = image_input(network)
    shapes = [info.shape for info in network.outputs]
    if found is None or len(shapes) != 2 or any(len(shape) != 4 for shape in shapes):
        return
    sides = sorted(shape[1:] for shape in shapes)
    width, height = found[1:3]
    if (
        sides == sorted([(height // 16, width // 16, sides[0][2]), (height // 32, width // 32, sides[0][2])])
        and sides[0][2] > 15
    ):
        decoder = decoders.YoloFastestV2(classes=names or None)
        yield Fit(
            decoder,
            f"{_shapes(network)}: 3 x 5 + {sides[0][2] - 15} numbers",
            {"color": "BGR", "std": 255.0},
            "Yolo-FastestV2",
        )


def _vectors(network: Network, names: tuple[str, ...]) -> Iterator[Fit]:
    """(N, C): class scores, an embedding, key points."""
    info = network.outputs[0]
    shape = [extent for axis, extent in enumerate(info.shape) if axis < 2 or extent != 1]
    if len(network.outputs) != 1 or len(shape) != 2 or shape[1] < 2:
        return
    count = shape[1]
    if names and len(names) != count:
        return
    if network.makers.get(info.name) == "Softmax":
        yield Fit(
            decoders.Classification(activation="none", classes=names or None), f"{_shapes(network)}, made by Softmax"
        )
        return
    yield Fit(decoders.Classification(classes=names or None), f"{_shapes(network)}: scores of {count} classes")
    if names:
        return
    yield Fit(decoders.Embedding(), f"{_shapes(network)}: a vector")
    for values in (2, 3):
        if count % values == 0 and count >= 4 * values:
            decoder = decoders.Keypoints(mode="regressed", values=values)
            yield Fit(decoder, f"{_shapes(network)}: {count // values} points of {values}")


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
    if len(shape) != 4:
        return
    channels, sides = (shape[1], shape[2:]) if info.layout != "NHWC" else (shape[3], shape[1:3])
    if any(
        side < 1 or full < side or full // side > 16 for side, full in zip(sides, (found[2], found[1]), strict=True)
    ):
        return
    if channels == 1:
        yield Fit(decoders.Segmentation(mode="binary", classes=names or None), f"{where}: a probability a pixel")
        if sides == (found[2], found[1]) and not names:
            yield Fit(decoders.DbText(), f"{where}: a probability of text a pixel")
    elif not names or len(names) == channels:
        yield Fit(decoders.Segmentation(classes=names or None), f"{where}: scores of {channels} classes a pixel")
        if not names and channels >= 5 and sides == (found[2] // 4, found[1] // 4):
            yield Fit(decoders.Keypoints(), f"{where}: {channels} heat maps at stride 4")


Rule = Callable[[Network, tuple[str, ...]], Iterator[Fit]]
# Heads known by several marks at once, so that nothing else has them.
_ALONE: tuple[Rule, ...] = (_mediapipe_face, _centerface, _yolo_grids, _end2end, _yolofastestv2)
_RULES: tuple[Rule, ...] = (_yolo, _nanodet, _ssd, _fastestdet, _vectors, _maps)
