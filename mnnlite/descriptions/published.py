"""What publishers say of a network's picture and classes, in forms that leave the head to its tensors.

Hugging Face's ``preprocessor_config.json`` and ``config.json``, the metadata of the TFLite task library, Luxonis' NN archive.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mnnlite import decoders
from mnnlite.errors import ArgumentError

if TYPE_CHECKING:
    from mnnlite.decoders import Decoder

__all__ = ["Published", "published"]

_MOST = 100_000


@dataclass
class Published:
    """Options of `ImageSpec` with their sources, names of classes, and which decoders are meant."""

    image: dict[str, Any] = field(default_factory=dict)
    where: dict[str, str] = field(default_factory=dict)
    names: tuple[str, ...] = ()
    names_from: str = ""
    families: tuple[type[Decoder], ...] = ()
    meant_by: str = ""
    options: dict[str, Any] = field(default_factory=dict)  # of the decoder

    def put(self, where: str, **options: Any) -> None:
        """Set options of the image spec."""
        self.image |= options
        self.where |= dict.fromkeys(options, where)


def published(said: Mapping[str, Any], path: str) -> Published:
    """Collect what is said.

    Raises
    ------
    ArgumentError
        It is not of the form that its publisher writes.
    """
    result = Published()
    for key, read in _READERS.items():
        if isinstance(said.get(key), Mapping):
            try:
                read(said[key], result)
            except (TypeError, ValueError, KeyError, ZeroDivisionError, ArgumentError) as error:
                raise ArgumentError(
                    f"{path}: {_NAMES[key]} cannot be used ({type(error).__name__}: {error}); say what holds with image= and "
                    "decoder=, in Python or in a pipeline file"
                ) from None
    return result


def _numbers(value: Any) -> tuple[float, ...]:
    numbers = tuple(float(number) for number in (value if isinstance(value, (list, tuple)) else [value]))
    if len(numbers) not in (1, 3):
        raise ValueError(f"{len(numbers)} numbers for 3 channels")
    return numbers


def _tflite(said: Mapping[str, Any], result: Published) -> None:
    where = "the TFLite metadata"
    if said.get("mean"):
        result.put(where, mean=_numbers(said["mean"]), std=_numbers(said["std"]))
    result.put(where, color=said.get("color", "RGB"))
    if said.get("labels"):
        result.names, result.names_from = tuple(map(str, said["labels"]))[:_MOST], f"{where}: labels"


# Of the end of an architecture's name: which decoders can be meant.
_ARCHITECTURES: dict[str, tuple[tuple[type[Decoder], ...], dict[str, Any]]] = {
    "ForImageClassification": ((decoders.Classification,), {}),
    "ForSemanticSegmentation": ((decoders.Segmentation,), {"background": -1}),
    "ForDepthEstimation": ((decoders.Maps,), {}),
    # Which activation: transformers post_process_object_detection of each.
    "DetrForObjectDetection": ((decoders.Detr,), {"activation": "softmax", "background": "last"}),
    "YolosForObjectDetection": ((decoders.Detr,), {"activation": "softmax", "background": "last"}),
    "ForObjectDetection": ((decoders.Detr,), {"activation": "sigmoid"}),
}


def _hugging_face(said: Mapping[str, Any], result: Published) -> None:
    where = "preprocessor_config.json"
    if "image_mean" in said or "do_rescale" in said or "size" in said:
        scale = float(said.get("rescale_factor", 1 / 255)) if said.get("do_rescale", True) else 1.0
        mean: tuple[float, ...] = (0.0,)
        std: tuple[float, ...] = (1.0,)
        if said.get("do_normalize", True) and "image_mean" in said:
            mean, std = _numbers(said["image_mean"]), _numbers(said["image_std"])
        # y = (p scale - mean) / std
        result.put(
            where,
            color="RGB",
            mean=tuple(round(number / scale, 4) for number in mean),
            std=tuple(round(number / scale, 4) for number in std),
        )
        _hugging_face_size(said, where, result)
    names = said.get("id2label")
    if isinstance(names, Mapping) and 0 < len(names) <= _MOST:
        by_id = {int(key): str(name) for key, name in names.items()}
        result.names = tuple(by_id[index] for index in range(len(by_id)))
        result.names_from = "config.json: id2label"
    for architecture in said.get("architectures") or ():
        for end, (families, options) in _ARCHITECTURES.items():
            if str(architecture).endswith(end):
                result.families, result.options = families, options
                result.meant_by = f"config.json: {architecture}"
                break


def _hugging_face_size(said: Mapping[str, Any], where: str, result: Published) -> None:
    size, crop = said.get("size"), said.get("crop_size")
    chosen = crop if said.get("do_center_crop") and crop else size
    if isinstance(chosen, int):
        chosen = {"height": chosen, "width": chosen}
    if isinstance(chosen, Mapping) and "height" in chosen:
        result.put(where, size=(int(chosen["width"]), int(chosen["height"])))
    elif isinstance(chosen, Mapping) and "shortest_edge" in chosen:
        result.put(where, size=(int(chosen["shortest_edge"]),) * 2)
    cropped = said.get("do_center_crop") or (isinstance(size, Mapping) and "shortest_edge" in size)
    result.put(where, fit="crop" if cropped else "stretch")


_PARSERS: dict[str, tuple[type[Decoder], ...]] = {
    "ClassificationParser": (decoders.Classification,),
    "SegmentationParser": (decoders.Segmentation,),
    "YOLO": (decoders.Yolo,),
    "SSD": (decoders.Ssd,),
    "KeypointParser": (decoders.Keypoints,),
    "ImageEmbeddingParser": (decoders.Embedding,),
    "EmbeddingsParser": (decoders.Embedding,),
}


def _archive(said: Mapping[str, Any], result: Published) -> None:
    where = "the NN archive's config.json"
    for tensor in said.get("inputs") or ():
        steps = tensor.get("preprocessing") or {}
        if tensor.get("input_type", "image") != "image":
            continue
        reverse = steps.get("reverse_channels")
        kind = str(steps.get("dai_type") or "")
        color = "BGR" if kind.startswith("BGR") or (not kind and reverse is False) else "RGB"
        if kind.startswith("GRAY"):
            color = "GRAY"
        result.put(where, color=color, mean=_numbers(steps.get("mean") or 0.0), std=_numbers(steps.get("scale") or 1.0))
        break
    heads = list(said.get("heads") or ())
    if len(heads) != 1:
        return
    parser, metadata = str(heads[0].get("parser")), heads[0].get("metadata") or {}
    if metadata.get("classes"):
        result.names, result.names_from = tuple(map(str, metadata["classes"]))[:_MOST], f"{where}: classes"
    result.families = _PARSERS.get(parser, ())
    result.meant_by = f"{where}: parser {parser}"
    if parser == "ClassificationParser" and metadata.get("is_softmax"):
        result.options = {"activation": "none"}
    elif parser in ("YOLO", "SSD"):
        for option, key in (("score", "conf_threshold"), ("iou", "iou_threshold"), ("max_detections", "max_det")):
            if metadata.get(key) is not None:
                result.options[option] = metadata[key]


_READERS: dict[str, Callable[[Mapping[str, Any], Published], None]] = {
    "tflite": _tflite,
    "huggingface": _hugging_face,
    "archive": _archive,
}
_NAMES = {
    "tflite": "its TFLite metadata",
    "huggingface": "its preprocessor_config.json or config.json",
    "archive": "its NN archive's config.json",
}
