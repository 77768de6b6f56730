"""Nearest upsampling of TFLite: the converter writes another rule for coordinates than TFLite has.

Sources: TFLite's resize_nearest_neighbor.h, where half pixel centers are ``floor((i + 0.5) * scale)``, which MNN calls
TensorflowHalfPixels; schema/default/CaffeOp.fbs and MNN.fbs of MNN for the numbers of fields.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mnnlite.descriptions.flat import root

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["repair"]

_OPERATORS, _KIND, _MAIN = 3, 1, 2  # fields of Net and of Op
_INTERP = 22  # of the union OpParameter
_TYPE, _RULE = 4, 10  # fields of Interp
_NEAREST = 1
_HALF_PIXELS, _TENSORFLOW_HALF_PIXELS = 2, 5


def repair(path: Path) -> int:
    """Correct an .mnn file that was made of a TFLite file, in place.

    Returns
    -------
    int
        How many operators were corrected.
    """
    content = bytearray(path.read_bytes())
    offsets = []
    for operator in root(bytes(content)).tables(_OPERATORS):
        interp = operator.table(_MAIN) if operator.whole(_KIND, "<B") == _INTERP else None
        if interp is None or interp.whole(_TYPE) != _NEAREST:
            continue
        offset = interp.offset(_RULE)
        if offset and content[offset] == _HALF_PIXELS:
            offsets.append(offset)
    for offset in offsets:
        content[offset] = _TENSORFLOW_HALF_PIXELS
    if offsets:
        path.write_bytes(content)
    return len(offsets)
