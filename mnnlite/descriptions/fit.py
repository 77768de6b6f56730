"""What rules share: a decoder that fits, and what they ask of a network."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mnnlite.descriptions.description import Network

if TYPE_CHECKING:
    from mnnlite.decoders import Decoder
    from mnnlite.specs import TensorInfo

__all__ = ["YOLO", "YOLO_CELLS", "Fit", "Rule", "cells", "image_input", "pairs"]

# What the YOLO families' publishers feed.
YOLO = {"fit": "letterbox", "color": "RGB", "std": 255.0, "pad": 114.0}
YOLO_CELLS = ((8, 16, 32), (8, 16, 32, 64), (16, 32))  # strides of their grids


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


def cells(network: Network, *strides: int) -> int:
    """Cells of the grids at these strides over the input; -1 where its size is open."""
    found = image_input(network)
    if found is None or min(found[1:3]) < 1:
        return -1
    return sum((found[1] // stride) * (found[2] // stride) for stride in strides)


def pairs(network: Network) -> list[tuple[int, int]]:
    """Shapes of outputs without the batch, if all are of two axes."""
    shapes = [info.shape[1:] if len(info.shape) == 3 else info.shape for info in network.outputs]
    return [(shape[0], shape[1]) for shape in shapes] if all(len(shape) == 2 for shape in shapes) else []


Rule = Callable[[Network, tuple[str, ...]], Iterator[Fit]]
