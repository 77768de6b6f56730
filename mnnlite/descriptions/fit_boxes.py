"""Rules for other families that find boxes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mnnlite import decoders
from mnnlite.descriptions.fit import YOLO, Fit, Rule, cells, image_input, pairs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mnnlite.descriptions.description import Network

__all__ = ["ALONE", "RULES"]


def _grids(network: Network, per_cell: int) -> dict[int, list[int]] | None:
    """By stride how many numbers each output has for an anchor; None if an output is of no grid at 8, 16 or 32."""
    found = image_input(network)
    if found is None or min(found[1:3]) < 32:
        return None
    grids: dict[int, list[int]] = {}
    for info in network.outputs:
        shape = info.shape if len(info.shape) != 2 else (1, *info.shape)
        for stride in (8, 16, 32):
            columns, rows = found[1] // stride, found[2] // stride
            if len(shape) == 3 and shape[1] == rows * columns * per_cell:
                grids.setdefault(stride, []).append(shape[2])
                break
            if len(shape) == 4 and shape[2:] == (rows, columns) and shape[1] % per_cell == 0:
                grids.setdefault(stride, []).append(shape[1] // per_cell)
                break
        else:
            return None
    return {stride: sorted(numbers) for stride, numbers in sorted(grids.items())}


def _faces(network: Network, _: tuple[str, ...]) -> Iterator[Fit]:
    """Sources: insightface model_zoo/scrfd.py; opencv face_detect.cpp; github.com/biubug6/Pytorch_Retinaface detect.py."""
    twice, once = _grids(network, 2), _grids(network, 1)
    numbers = list(twice.values()) if twice else []
    if len(numbers) == 3 and numbers[0] in ([1, 4], [1, 4, 10]) and numbers[1:] == numbers[:2]:
        picture = {"fit": "letterbox", "anchor": "top_left", "color": "RGB", "mean": 127.5, "std": 128.0}
        yield Fit(
            decoders.Scrfd(), f"{network.listed()}: scores, boxes and points at strides 8, 16, 32", picture, "SCRFD"
        )
    numbers = list(once.values()) if once else []
    if len(numbers) == 3 and numbers[0] == [1, 1, 4, 10] and numbers[1:] == numbers[:2]:
        picture = {"color": "BGR"}
        yield Fit(
            decoders.YuNet(), f"{network.listed()}: class, object, box, points at strides 8, 16, 32", picture, "YuNet"
        )
    shapes = pairs(network)
    if sorted(shape[1] for shape in shapes) == [2, 4, 10] and {shape[0] for shape in shapes} == {
        2 * cells(network, 8, 16, 32)
    }:
        picture = {"color": "BGR", "mean": (104.0, 117.0, 123.0)}
        activation = "none" if "Softmax" in network.makers.values() else None
        for chosen in ("none", "softmax") if activation is None else (activation,):
            decoder = decoders.RetinaFace(activation=chosen)
            yield Fit(decoder, f"{network.listed()}: boxes, scores, points of 2 priors a cell", picture, "RetinaFace")


def _strides(network: Network, names: tuple[str, ...]) -> Iterator[Fit]:
    """Classes and distances of each stride. Sources: mmdetection rtmdet_head.py; ultralytics nn/modules/head.py before its end."""
    grids = _grids(network, 1)
    numbers = list(grids.values()) if grids else []
    if len(numbers) != 3 or numbers[1:] != numbers[:2]:
        return
    one = list(numbers[0])
    if len(one) == 3 and one[0] == 1 and one[2] == 64 and one[1] % 3 == 0 and one[1] >= 15 and len(names) <= 1:
        decoder = decoders.Yolo("split", points=one[1] // 3, point_values=3, classes=names or None)
        yield Fit(
            decoder, f"{network.listed()}: a class and {one[1] // 3} points at strides 8, 16, 32", YOLO, "YOLOv8 poses"
        )
    if len(one) == 3 and one[0] == 1 and 64 in one:  # sums of scores, to look no further
        one = one[1:]
    if len(one) != 2 or (names and len(names) not in one):
        return
    where = f"{network.listed()}: {one[0]} and {one[1]} numbers at strides 8, 16, 32"
    if 32 in one and len(numbers) == 3:
        normal = {"color": "BGR", "mean": (103.53, 116.28, 123.675), "std": (57.375, 57.12, 58.395)}
        first = decoders.NanoDet(strides=(8.0, 16.0, 32.0), cell_offset=0.5, classes=names or None)
        yield Fit(first, where, normal, "the first NanoDet")
    if 64 in one:
        # What a convolution gives is no probability yet.
        scores = {info.name for info in network.outputs if 64 not in info.shape[1:]}
        logits = all(network.makers.get(name) == "Convolution" for name in scores)
        boxes = decoders.Yolo("split", activation="sigmoid" if logits else "usual", classes=names or None)
        yield Fit(boxes, where, YOLO, "YOLOv8 and later")
    elif 4 in one:
        picture = {"fit": "letterbox", "anchor": "top_left", "color": "BGR", "pad": 114.0}
        picture |= {"mean": (103.53, 116.28, 123.675), "std": (57.375, 57.12, 58.395)}
        yield Fit(decoders.RtmDet(classes=names or None), where, picture, "RTMDet")
        yield Fit(decoders.Yolo("split", bins=1, classes=names or None), where, YOLO, "YOLO with plain distances")


def _detr(network: Network, names: tuple[str, ...]) -> Iterator[Fit]:
    """Scores and boxes of queries, far fewer than cells. Source: transformers, post_process_object_detection of each model."""
    shapes = {info.name: info.shape for info in network.outputs}
    boxes = [name for name, shape in shapes.items() if len(shape) == 3 and shape[2] == 4]
    others = [name for name, shape in shapes.items() if name not in boxes]
    if (
        len(boxes) != 1
        or len(others) != 1
        or len(shapes[others[0]]) != 3
        or shapes[others[0]][1] != shapes[boxes[0]][1]
    ):
        return
    queries, count = shapes[boxes[0]][1], shapes[others[0]][2]
    if not 10 <= queries <= 1000 or "logit" not in others[0]:
        return
    tensors = (others[0], boxes[0])
    if not names or len(names) == count:
        decoder = decoders.Detr(classes=names or None, tensors=tensors)
        yield Fit(decoder, f"{network.listed()}: {queries} queries, {count} classes")
    if not names or len(names) == count - 1:
        decoder = decoders.Detr(activation="softmax", background="last", classes=names or None, tensors=tensors)
        yield Fit(decoder, f"{network.listed()}: {queries} queries, {count - 1} classes and none")


def _mediapipe_face(network: Network, _: tuple[str, ...]) -> Iterator[Fit]:
    """Source: mediapipe/modules/face_detection/face_detection_short_range.pbtxt."""
    found = image_input(network)
    if found is not None and found[1:3] == (128, 128) and sorted(pairs(network)) == [(896, 1), (896, 16)]:
        picture = {"fit": "letterbox", "color": "RGB", "mean": 127.5, "std": 127.5}
        yield Fit(decoders.Ssd.mediapipe_face(), f"{network.listed()}: 896 anchors", picture, "MediaPipe")


def _ssd(network: Network, names: tuple[str, ...]) -> Iterator[Fit]:
    """Scores and boxes of the same anchors: whether boxes are placed, and how, no shape says."""
    shapes = pairs(network)
    if len(shapes) != 2 or shapes[0][0] != shapes[1][0] or 4 not in (shapes[0][1], shapes[1][1]):
        return
    for boxes in ("corners", "centers"):
        yield Fit(decoders.Ssd(boxes=boxes, classes=names or None), f"{network.listed()}: scores and boxes")


def _nanodet(network: Network, names: tuple[str, ...]) -> Iterator[Fit]:
    """Source: github.com/RangiLyu/nanodet, config/nanodet-plus-m_320.yml."""
    if len(network.outputs) != 1 or len(network.outputs[0].shape) != 3:
        return
    _, rows, numbers = network.outputs[0].shape
    for strides in ((8, 16, 32, 64), (8, 16, 32)):
        if rows == cells(network, *strides) and numbers > 32 and (not names or numbers == 32 + len(names)):
            decoder = decoders.NanoDet(strides=tuple(map(float, strides)), classes=names or None)
            picture = {"color": "BGR", "mean": (103.53, 116.28, 123.675), "std": (57.375, 57.12, 58.395)}
            yield Fit(decoder, f"{network.listed()}: {numbers - 32} classes + 4 x 8 for each cell", picture, "NanoDet")


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
            f"{network.listed()}: heat map, size, offset, landmarks",
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
            f"{network.listed()}: 5 + {numbers - 5} numbers at stride 16",
            {"color": "BGR", "std": 255.0},
            "FastestDet",
        )


def _yolofastestv2(network: Network, names: tuple[str, ...]) -> Iterator[Fit]:
    """Source: github.com/dog-qiuqiu/Yolo-FastestV2, sample/ncnn."""
    found = image_input(network)
    shapes = [info.shape for info in network.outputs]
    if found is None or found[1] % 32 or found[2] % 32:  # of a side below 32 there is no second grid
        return
    picture = {"color": "BGR", "std": 255.0}
    rows = pairs(network)
    if len(rows) == 1 and rows[0][0] == cells(network, 16, 32) and rows[0][1] > 15 and len(shapes[0]) == 2:
        decoder = decoders.YoloFastestV2(classes=names or None)
        yield Fit(decoder, f"{network.listed()}: 3 x 5 + {rows[0][1] - 15} numbers", picture, "Yolo-FastestV2")
    if len(shapes) != 2 or any(len(shape) != 4 for shape in shapes):
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
            f"{network.listed()}: 3 x 5 + {sides[0][2] - 15} numbers",
            picture,
            "Yolo-FastestV2",
        )


def _mtcnn(network: Network, _: tuple[str, ...]) -> Iterator[Fit]:
    """Source: kpzhang93/MTCNN_face_detection_alignment, code/codes/MTCNNv1: (p - 127.5) / 128."""
    found = image_input(network)
    shapes = [info.shape for info in network.outputs]
    numbers = sorted(shape[1] for shape in shapes if len(shape) == 2)
    if (
        found is None
        or len(numbers) != len(shapes)
        or (found[1:3], numbers)
        not in (
            ((24, 24), [2, 4]),
            ((48, 48), [2, 4, 10]),
        )
    ):
        return
    picture = {"color": "RGB", "mean": 127.5, "std": 128.0}
    yield Fit(decoders.Mtcnn(), f"{network.listed()} of {found[1]}x{found[2]}", picture, "MTCNN")


ALONE: tuple[Rule, ...] = (_mtcnn, _mediapipe_face, _centerface, _faces, _strides, _detr, _yolofastestv2)
RULES: tuple[Rule, ...] = (_nanodet, _ssd, _fastestdet)
