"""What an .onnx file says of itself: ``metadata_props``, and the tensors of its graph.

Source: onnx.proto3 (field numbers) and the wire format of protocol buffers. Weights are stepped over, never read: the file
is mapped, and `onnx` is not needed on a board.
"""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mnnlite.descriptions.pages import Pages
from mnnlite.descriptions.protobuf import Message
from mnnlite.errors import ModelFormatError, ModelNotFoundError
from mnnlite.specs import TensorInfo

if TYPE_CHECKING:
    import os

__all__ = ["read"]

_DTYPES = {1: "float32", 2: "uint8", 3: "int8", 6: "int32", 7: "int64", 10: "float16"}


def read(path: str | os.PathLike[str]) -> tuple[dict[str, Any], list[TensorInfo], list[TensorInfo], dict[str, str]]:
    """Read an .onnx file.

    Parameters
    ----------
    path : path

    Returns
    -------
    said : dict
        ``metadata_props``; texts that are Python literals, as some exporters write, as what they stand for.
    inputs, outputs : list of TensorInfo
        -1 is an open axis.
    makers : dict of str to str
        The operator that makes each output, such as ``"Softmax"``.

    Raises
    ------
    ModelNotFoundError, ModelFormatError
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            data = Pages(file)
            return _read(Message(data, 0, len(data)))
    except ModelFormatError as error:
        raise ModelFormatError(f"{path} is not an ONNX model, or a damaged one ({error})") from None
    except ValueError:
        raise ModelFormatError(f"the model file {path} is empty") from None
    except OSError as error:
        raise ModelNotFoundError(f"cannot open the model file {path}: {error.strerror}") from None


def _read(model: Message) -> tuple[dict[str, Any], list[TensorInfo], list[TensorInfo], dict[str, str]]:
    said = {entry.text(1): _literal(entry.text(2)) for entry in model.each(14)}
    for graph in model.each(7):
        weights, inputs, outputs, makers = set(), [], [], {}
        for number, value in graph.fields():
            if not isinstance(value, Message):
                continue
            if number == 5:
                weights.add(value.text(8))
            elif number == 11:
                inputs.append(_tensor(value))
            elif number == 12:
                outputs.append(_tensor(value))
            elif number == 1:
                kind = value.text(4)
                makers.update({made.bytes().decode("utf-8", "replace"): kind for made in value.each(2)})
        names = {output.name for output in outputs}
        makers = {name: kind for name, kind in makers.items() if name in names}
        return said, [each for each in inputs if each.name not in weights], outputs, makers
    raise ModelFormatError("it has no graph")


def _tensor(info: Message) -> TensorInfo:
    shape: list[int] = []
    dtype = ""
    for kind in info.each(2):
        for tensor in kind.each(1):
            dtype = _DTYPES.get(tensor.whole(1), "other")
            for dims in tensor.each(2):
                shape = [axis.whole(1, -1) for axis in dims.each(1)]
    shape = [extent if 0 < extent < 1 << 31 else -1 for extent in shape]
    return TensorInfo(info.text(1), tuple(shape), dtype, "NCHW" if len(shape) == 4 else "plain")


def _literal(text: str) -> Any:
    """What a text stands for, if it is a Python literal; nothing is run."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return text
