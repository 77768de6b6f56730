"""A TFLite file before it is converted: whole, and with indices that lead somewhere.

Source: tensorflow/compiler/mlir/lite/schema/schema.fbs (slots of fields).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mnnlite.conversion.source import pages_of
from mnnlite.descriptions.flat import Table, root
from mnnlite.errors import ModelFormatError

if TYPE_CHECKING:
    import os

__all__ = ["TfliteFacts", "check_tflite"]

_QUANTISED = (3, 7, 9, 17)  # TensorType: uint8, int16, int8, int4
_RESIZE_NEAREST = 97  # BuiltinOperator


@dataclass
class TfliteFacts:
    """What is in a TFLite file.

    Parameters
    ----------
    quantised : bool
        A tensor is of whole numbers with a scale.
    nearest : bool
        It has nearest upsampling.
    """

    quantised: bool = False
    nearest: bool = False


def check_tflite(path: str | os.PathLike[str]) -> TfliteFacts:
    """Read through a file.

    Parameters
    ----------
    path : path

    Returns
    -------
    TfliteFacts

    Raises
    ------
    ModelNotFoundError, ModelFormatError
        It is empty, cut, or no TFLite file; or an index in it leads nowhere.
    """
    path = Path(path)
    with pages_of(path, "a TFLite") as data:
        if len(data) < 8 or data[4:8] != b"TFL3":
            raise ModelFormatError("its first bytes are others")
        return _read(root(data), len(data))


def _read(model: Table, size: int) -> TfliteFacts:
    facts = TfliteFacts()
    codes = [max(each.whole(0, "<b"), each.whole(3)) for each in model.tables(1)]
    buffers = 0
    for buffer in model.tables(4):
        buffer.extent(0)  # inside the file
        begin, length = buffer.whole(1, "<Q"), buffer.whole(2, "<Q")  # of files above 2 GB
        if begin > 1 and begin + length > size:
            raise ModelFormatError(f"a buffer ends at byte {begin + length} of {size}")
        buffers += 1
    graphs = list(model.tables(2))
    if not graphs:
        raise ModelFormatError("it has no graph")
    for graph in graphs:
        tensors = list(graph.tables(0))
        for tensor in tensors:
            if tensor.whole(2, "<I") >= buffers:
                raise ModelFormatError(f"tensor {tensor.text(3)!r} is in buffer {tensor.whole(2, '<I')} of {buffers}")
            scale = tensor.table(4)
            facts.quantised |= tensor.whole(1, "<b") in _QUANTISED and scale is not None and bool(scale.floats(2))
        for operator in graph.tables(3):
            code = operator.whole(0, "<I")
            if code >= len(codes):
                raise ModelFormatError(f"an operator is of type {code} of {len(codes)}")
            facts.nearest |= codes[code] == _RESIZE_NEAREST
            for index in (*operator.wholes(1), *operator.wholes(2)):
                if not -1 <= index < len(tensors):
                    raise ModelFormatError(f"an operator has tensor {index} of {len(tensors)}")
        for index in (*graph.wholes(1), *graph.wholes(2)):
            if not 0 <= index < len(tensors):
                raise ModelFormatError(f"the graph has tensor {index} of {len(tensors)}")
    return facts
