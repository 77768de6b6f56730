"""What the exporter of the YOLO families says: JSON in an .mnn's ``bizCode``, ``metadata_props`` in an .onnx, a zip behind a
TFLite file.

Sources: ultralytics/engine/exporter.py (which keys), ultralytics/data/augment.py (LetterBox, classify_transforms),
ultralytics/cfg/default.yaml (conf, iou, max_det). Only facts are taken from there, no code.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mnnlite import decoders
from mnnlite.descriptions.description import Network, Reading, dims
from mnnlite.errors import ArgumentError
from mnnlite.specs import MAX_SIDE, ImageSpec, TaskSpec

if TYPE_CHECKING:
    from mnnlite.decoders import Decoder
    from mnnlite.specs import Color, TensorInfo

__all__ = ["said_by_yolo", "size_of", "yolo"]

_MOST_NAMES = 100_000
_USUAL = {"score": 0.25, "iou": 0.7, "max_detections": 300, "top_k": 30000}  # its own predict()


def said_by_yolo(said: Mapping[str, Any]) -> bool:
    """Whether a description is of this exporter."""
    return "names" in said and ("task" in said or "stride" in said)


def yolo(network: Network, said: Mapping[str, Any], where: str) -> Reading:
    """Read the exporter's description.

    Parameters
    ----------
    network : Network
    said : dict
    where : str
        Where it was found, for sources and messages.

    Raises
    ------
    ArgumentError
        It contradicts the tensors, or is of a task that no decoder is known for.
    """
    names = _names(network, said, where)
    task = str(said.get("task", "detect"))
    size = _size(network, said, where)
    sources = {"image.size": f"{where}: imgsz" if "imgsz" in said else "the input's shape"}
    usual = "the exporter's own predict()"
    channels = said.get("channels", 3)
    if channels not in (1, 3):
        raise ArgumentError(f"{network.path}: {where} says channels {channels!r:.40}; wanted 3 or 1")
    color: Color = "RGB" if channels == 3 else "GRAY"
    if task == "classify":
        image = ImageSpec(size=size, fit="crop", color=color, std=255.0)
    else:
        image = ImageSpec(size=size, fit="letterbox", color=color, std=255.0, pad=114.0)
    sources |= dict.fromkeys(("image.color", "image.std", "image.fit"), usual)
    sources["decoder"] = f"{where}: task {task!r}" if "task" in said else f"{where}: names and stride, as YOLOv5 has it"
    decoder = _decoder(network, said, where, task, names)
    sources["decoder.classes"] = f"{where}: names"
    if isinstance(decoder, decoders.Yolo):
        sources["decoder.version"] = network.listed()
        suppression = ("score", "iou", "top_k", *(("overlap", "nms") if decoder.rotated else ()))
        sources |= dict.fromkeys((f"decoder.{name}" for name in suppression), usual)
    image_of: Any = image if len(network.inputs) == 1 else {network.inputs[0].name: image}
    return Reading(TaskSpec(network.path, image_of, decoder, batch=_batch(network)), sources)


def _batch(network: Network) -> int:
    """Frames of one call: as many as the file is fixed to."""
    return max(1, min(network.inputs[0].shape[0], 1024))


def size_of(said: Mapping[str, Any]) -> tuple[int, int, int, int] | None:
    """Width, height, channels and batch, for inputs that the file leaves open."""
    size, channels, batch = said.get("imgsz"), said.get("channels", 3), said.get("batch", 1)
    size = [size, size] if isinstance(size, int) else size
    numbers = [*size, channels, batch] if isinstance(size, (list, tuple)) and len(size) == 2 else []
    if not numbers or not all(isinstance(number, int) and 0 < number <= MAX_SIDE for number in numbers):
        return None
    return numbers[1], numbers[0], numbers[2], numbers[3]


def _names(network: Network, said: Mapping[str, Any], where: str) -> tuple[str, ...]:
    given = said["names"]
    if isinstance(given, Mapping) and len(given) <= _MOST_NAMES:
        try:
            by_id = {int(key): str(value) for key, value in given.items()}
        except (TypeError, ValueError):
            by_id = {}
        given = [by_id.get(index) for index in range(len(given))]
    if not isinstance(given, (list, tuple)) or not 0 < len(given) <= _MOST_NAMES or None in given:
        raise ArgumentError(f"{network.path}: {where} has names that are not numbered from 0: {said['names']!r:.60}")
    return tuple(str(name) for name in given)


def _size(network: Network, said: Mapping[str, Any], where: str) -> tuple[int, int]:
    """(width, height): of the input, where the file has fixed it."""
    shape = network.inputs[0].shape
    if len(shape) != 4:
        raise ArgumentError(
            f"{network.path}: {where} is of a network of pictures, but input {network.inputs[0].name} is {dims(shape)}"
        )
    height, width = shape[1:3] if shape[3] in (1, 3) and shape[1] not in (1, 3) else shape[2:4]
    size = said.get("imgsz", [height, width])
    size = [size, size] if isinstance(size, int) else list(size) if isinstance(size, (list, tuple)) else [0]
    if len(size) != 2 or not all(isinstance(side, int) and side > 0 for side in size):
        raise ArgumentError(f"{network.path}: {where} says imgsz {said.get('imgsz')!r:.40}; wanted [height, width]")
    if (height > 0 and height != size[0]) or (width > 0 and width != size[1]):
        raise ArgumentError(
            f"{network.path}: {where} says imgsz {size}, but input {network.inputs[0].name} is {dims(shape)}; one of them is "
            "wrong: export it anew, or say --shape if the input's shape was given by you"
        )
    return size[1], size[0]


def _decoder(network: Network, said: Mapping[str, Any], where: str, task: str, names: tuple[str, ...]) -> Decoder:
    if task == "classify":
        _expect(network, where, network.outputs[0], len(names), 1, f"{len(names)} names")
        return decoders.Classification(activation="none", classes=names)
    if task == "semantic":
        return decoders.Segmentation(classes=names, background=-1)
    if task == "depth":
        return decoders.Maps()
    if task not in ("detect", "segment", "pose", "obb"):
        raise ArgumentError(f"{network.path}: {where} says task {task!r:.40}; there is no decoder for it")
    options: dict[str, Any] = {**_USUAL, "classes": names}
    output, prototypes = _outputs(network, where, task)
    extra, what = 0, ""
    if task == "segment" and prototypes is not None:
        extra = prototypes.shape[1]
        what = f"{extra} coefficients of masks"
        options |= {"masks": True, "tensors": (output.name, prototypes.name)}
    elif task == "pose":
        points, values = _points(network, said, where)
        extra, what = points * values, f"{points} points of {values}"
        options |= {"points": points, "point_values": values}
    elif task == "obb":  # which its trainer suppresses by how much the boxes' Gaussians share
        extra, what = 1, "an angle"
        options |= {"rotated": True, "overlap": "gaussian", "nms": "fast"}
    if said.get("boxes") == "relative":
        if task == "obb" or (task == "pose" and (said.get("end2end") or _flag(said, "nms"))):
            # Some of its numbers are relative and others are not.
            raise ArgumentError(
                f"{network.path}: {where} is of a TFLite file for task {task!r}, whose units differ within a row; convert the "
                "network's ONNX export instead"
            )
        options["units"] = "relative"
        if task == "pose":
            options["point_units"] = "pixels"
    if said.get("end2end") or _flag(said, "nms"):
        _expect(
            network, where, output, 6 + extra, -1, f"rows that the network chose itself{', ' if what else ''}{what}"
        )
        return decoders.Yolo("end2end", **options)
    counts = f"{len(names)} names{', ' if what else ''}{what}"
    if (
        len(output.shape) == 3
        and output.shape[2] == 5 + len(names) + extra
        and 4 + len(names) + extra not in output.shape[1:]
    ):
        return decoders.Yolo("v5", **options)
    _expect(network, where, output, 4 + len(names) + extra, 1, f"4 numbers of a box, {counts}")
    if len(output.shape) == 3 and output.shape[1] > output.shape[2]:  # more numbers a box than boxes
        options["channels"] = "first"
    return decoders.Yolo("v8", **options)


def _outputs(network: Network, where: str, task: str) -> tuple[TensorInfo, TensorInfo | None]:
    """The rows, and for masks the prototypes."""
    rows = [info for info in network.outputs if len(info.shape) == 3]
    maps = [info for info in network.outputs if len(info.shape) == 4]
    wanted = (1, 1) if task == "segment" else (1, 0)
    if (len(rows), len(maps)) != wanted:
        raise ArgumentError(
            f"{network.path}: {where} says task {task!r}, but its outputs are {network.listed()}; say what holds with image= "
            "and decoder=, in Python or in a pipeline file"
        )
    return rows[0], maps[0] if maps else None


def _flag(said: Mapping[str, Any], name: str) -> bool:
    args = said.get("args")
    return isinstance(args, Mapping) and args.get(name) is True


def _points(network: Network, said: Mapping[str, Any], where: str) -> tuple[int, int]:
    shape = said.get("kpt_shape")
    if (
        not isinstance(shape, (list, tuple))
        or len(shape) != 2
        or shape[1] not in (2, 3)
        or not isinstance(shape[0], int)
    ):
        raise ArgumentError(f"{network.path}: {where} says kpt_shape {shape!r:.40}; wanted [points, 2 or 3]")
    return shape[0], shape[1]


def _expect(network: Network, where: str, output: TensorInfo, count: int, axis: int, why: str) -> None:
    shape = output.shape
    fits = len(shape) >= 2 and (shape[axis] in (count, -1) or (len(shape) == 3 and shape[-axis] == count and axis == 1))
    if not fits:
        raise ArgumentError(
            f"{network.path}: {where} says {why}, so {count} numbers, but output {output.name} is {dims(shape)}; say what "
            "holds with image= and decoder=, in Python or in a pipeline file"
        )
