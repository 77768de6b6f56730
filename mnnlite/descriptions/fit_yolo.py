"""Rules for the YOLO families."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mnnlite import decoders
from mnnlite.descriptions.fit import YOLO, YOLO_CELLS, Fit, Rule, cells, image_input

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mnnlite.descriptions.description import Network
    from mnnlite.specs import TensorInfo

__all__ = ["ALONE", "RULES"]


def _prototypes(network: Network) -> tuple[TensorInfo, TensorInfo | None] | None:
    """Rows and, if there, prototypes of masks: a quarter of the input, up to 64 of them."""
    rows = [info for info in network.outputs if len(info.shape) == 3]
    maps = [info for info in network.outputs if len(info.shape) == 4]
    found = image_input(network)
    if len(rows) != 1 or len(maps) > 1 or len(rows) + len(maps) != len(network.outputs) or found is None:
        return None
    if maps and (maps[0].shape[2:] != (found[2] // 4, found[1] // 4) or maps[0].shape[1] > 64):
        return None
    return rows[0], maps[0] if maps else None


def _yolo(network: Network, names: tuple[str, ...]) -> Iterator[Fit]:
    """One output of a row for each cell of the usual strides. Source: ultralytics nn/modules/head.py, yolov5 models/yolo.py."""
    parts = _prototypes(network)
    if parts is None:
        return
    _, first, last = parts[0].shape
    masks = 0
    options: dict[str, Any] = {"classes": names or None}
    if parts[1] is not None:
        masks = parts[1].shape[1]
        options |= {"masks": True, "tensors": (parts[0].name, parts[1].name)}
    for count in (cells(network, *strides) for strides in YOLO_CELLS):
        if count < 1:
            continue
        for rows, numbers, channels in ((last, first, "first"), (first, last, "last")):
            if rows == count:
                side = {} if numbers < rows else {"channels": channels}
                yield from _planes(network, numbers, len(names), masks, {**side, **options})
        left = last - 5 - masks
        if first == 3 * count and left > 0 and (not names or left == len(names)):
            why = f"{network.listed()}: 3 anchors for each of {count} cells"
            yield Fit(decoders.Yolo("v5", **options), f"{why}, {left} classes", YOLO, "YOLOv5")
        if first == 3 * count and not masks:
            yield from _marks(network, last, len(names), options)
        if first == count and left > 0 and not masks and (not names or left == len(names)):
            why = f"{network.listed()}: a row for each of {count} cells, {left} classes"
            picture = {"fit": "letterbox", "anchor": "top_left", "color": "BGR", "pad": 114.0}
            yield Fit(decoders.Yolo("yolox", **options), why, picture, "YOLOX")
        if first == count and last > 64 and not masks and (not names or last == 64 + len(names)):
            why = f"{network.listed()}: 4 x 16 + {last - 64} classes for each cell"
            yield Fit(decoders.Yolo("split", **options), why, YOLO, "YOLOv8 and later")


def _marks(network: Network, numbers: int, count: int, options: dict[str, Any]) -> Iterator[Fit]:
    """Points between objectness and classes: five of a face, four of a plate. Sources: deepcam-cn/yolov5-face, models/yolo.py;
    szad670401/HyperLPR.
    """
    for points in (5, 4):
        classes = numbers - 5 - 2 * points
        if classes in ((count,) if count else (1, 2)):
            why = f"{network.listed()}: 3 anchors a cell, {points} points, {classes} classes"
            yield Fit(decoders.Yolo("v5", points=points, **options), why, YOLO, "YOLOv5-face")


def _planes(network: Network, numbers: int, count: int, masks: int, options: dict[str, Any]) -> Iterator[Fit]:
    where = f"{network.listed()}: {numbers} numbers for each cell"
    left = numbers - 4 - masks
    coefficients = f" + {masks} coefficients" if masks else ""
    if left > 0 and (not count or left == count):
        why = f"{where}, 4 + {left} classes{coefficients}"
        yield Fit(decoders.Yolo("v8", **options), why, YOLO, "YOLOv8 and later")
    if masks:
        return
    classes = count or 1
    left -= classes
    for values in (3, 2):
        if left >= 4 * values and left % values == 0 and left // values <= 133:
            decoder = decoders.Yolo("v8", points=left // values, point_values=values, **options)
            yield Fit(
                decoder, f"{where}, 4 + {classes} + {left // values} points of {values}", YOLO, "YOLOv8 and later"
            )
    if numbers > 5 and (not count or numbers == 5 + count):
        decoder = decoders.Yolo("v8", rotated=True, overlap="gaussian", nms="fast", **options)
        yield Fit(decoder, f"{where}, 4 + {numbers - 5} classes + an angle", YOLO, "YOLOv8 and later")


def _end2end(network: Network, names: tuple[str, ...]) -> Iterator[Fit]:
    """Rows that a network chose itself: x1 y1 x2 y2 score class, then an angle, points or coefficients."""
    parts = _prototypes(network)
    if parts is None:
        parts = (network.outputs[0], None) if len(network.outputs) == 1 and len(network.outputs[0].shape) == 2 else None
    if parts is None:
        return
    rows, more = parts[0].shape[-2], parts[0].shape[-1] - 6
    counts = {cells(network, *strides) for strides in YOLO_CELLS}
    if not 1 < rows <= 1000 or more < 0 or counts & {rows, more + 6}:
        return
    options: dict[str, Any] = {"classes": names or None}
    if parts[1] is not None:
        if more != parts[1].shape[1]:
            return
        options |= {"masks": True, "tensors": (parts[0].name, parts[1].name)}
    elif more == 1 and len(parts[0].shape) == 3:
        options |= {"rotated": True}
    elif more >= 15 and more % 3 == 0:
        options |= {"points": more // 3, "point_values": 3}
    elif more:
        return
    yield Fit(
        decoders.Yolo("end2end", **options),
        f"{network.listed()}: rows of 6 + {more} numbers",
        YOLO,
        "YOLOv10 and later",
    )


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
            why = f"{network.listed()}: grids of 3 x {count} numbers at strides 8, 16, 32"
            yield Fit(decoders.Yolo(version, classes=names or None), why, YOLO, "YOLOv5")


ALONE: tuple[Rule, ...] = (_yolo_grids, _end2end)
RULES: tuple[Rule, ...] = (_yolo,)
