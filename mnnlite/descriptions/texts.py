"""What exporters of text recognition say: the symbols, one a line, under ``character`` in an .onnx.

Source: PaddleOCR tools/infer/predict_rec.py (resize_norm_img), RapidOCR's exports.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mnnlite import decoders
from mnnlite.descriptions.description import Network, Reading, dims
from mnnlite.errors import ArgumentError
from mnnlite.specs import ImageSpec, TaskSpec

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["recognition", "said_by_text_exporter", "size_of"]

_USUAL = (320, 48)  # width, height: rec_image_shape of PP-OCRv3 and later
_MOST = 1 << 17


def said_by_text_exporter(said: Mapping[str, Any]) -> bool:
    """Whether the symbols of a text recogniser are said."""
    return isinstance(said.get("character"), (str, list))


def size_of(said: Mapping[str, Any]) -> tuple[int, int, int, int]:
    """Width, height, channels and batch, for inputs that the file leaves open."""
    return (*_USUAL, 3, 1)


def recognition(network: Network, said: Mapping[str, Any], where: str) -> Reading:
    """Read the symbols.

    Raises
    ------
    ArgumentError
        Their number contradicts the output.
    """
    keys = said["character"]
    keys = tuple(keys.split("\n") if isinstance(keys, str) else map(str, keys))
    while keys and not keys[-1]:
        keys = keys[:-1]
    output = network.outputs[0]
    symbols = output.shape[-1]
    if not keys or len(keys) > _MOST or symbols not in (len(keys) + 1, len(keys) + 2, -1):
        raise ArgumentError(
            f"{network.path}: {where} says {len(keys)} symbols, but output {output.name} is {dims(output.shape)}; say what "
            "holds with decoder=, in Python or in a pipeline file"
        )
    shape = network.inputs[0].shape
    size = tuple(extent if extent > 0 else usual for extent, usual in zip((shape[3], shape[2]), _USUAL, strict=True))
    image = ImageSpec(
        size=(size[0], size[1]), fit="letterbox", anchor="top_left", color="BGR", mean=127.5, std=127.5, pad=127.5
    )
    usual = "usual for PaddleOCR"
    sources = {"image.size": "the input's shape" if min(shape) > 0 else usual}
    sources |= dict.fromkeys(("image.color", "image.mean", "image.std", "image.fit", "image.anchor"), usual)
    sources |= {"decoder": f"{where}: character", "decoder.keys": f"{where}: character"}
    sources["decoder.space"] = f"{output.name} {dims(output.shape)}: {symbols - len(keys)} more than the symbols"
    decoder = decoders.Ctc(keys=keys, space=symbols == len(keys) + 2)
    return Reading(TaskSpec(network.path, image, decoder), sources)
