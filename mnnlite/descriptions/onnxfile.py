"""What an .onnx file says of itself: ``metadata_props``, and the tensors of its graph.

Source: onnx.proto3 (field numbers) and the wire format of protocol buffers. Weights are stepped over, never read: the file
is mapped, and `onnx` is not needed on a board.
"""

from __future__ import annotations

import ast
import mmap
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mnnlite.errors import ModelFormatError, ModelNotFoundError
from mnnlite.specs import TensorInfo

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator

__all__ = ["read"]

_MOST = 1 << 20  # bytes of a text: more is none of ours
_DTYPES = {1: "float32", 2: "uint8", 3: "int8", 6: "int32", 7: "int64", 10: "float16"}


class _Message:
    """A message: its fields in order, (number, value), where a nested message is a range of bytes."""

    def __init__(self, data: mmap.mmap | bytes, begin: int, end: int) -> None:
        self.data, self.begin, self.end = data, begin, end

    def _varint(self, at: int) -> tuple[int, int]:
        value = 0
        for shift in range(0, 70, 7):
            if at >= self.end:
                break
            byte = self.data[at]
            at += 1
            value |= (byte & 127) << shift
            if byte < 128:
                return value, at
        raise ModelFormatError(f"damaged at byte {at}")

    def fields(self) -> Iterator[tuple[int, int | _Message]]:
        at = self.begin
        while at < self.end:
            key, at = self._varint(at)
            kind = key & 7
            if kind == 0:
                value, at = self._varint(at)
                yield key >> 3, value
                continue
            size = {1: 8, 5: 4}.get(kind, -1)
            if kind == 2:
                size, at = self._varint(at)
            if size < 0 or at + size > self.end:
                raise ModelFormatError(f"damaged at byte {at}")
            if kind == 2:
                yield key >> 3, _Message(self.data, at, at + size)
            at += size

    def each(self, number: int) -> Iterator[_Message]:
        return (value for found, value in self.fields() if found == number and isinstance(value, _Message))

    def text(self, number: int) -> str:
        for value in self.each(number):
            return value.bytes().decode("utf-8", "replace")
        return ""

    def bytes(self) -> bytes:
        if self.end - self.begin > _MOST:
            raise ModelFormatError(f"damaged: a text of {self.end - self.begin} bytes")
        return bytes(self.data[self.begin : self.end])

    def whole(self, number: int, default: int = 0) -> int:
        return next((value for found, value in self.fields() if found == number and isinstance(value, int)), default)


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
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return _read(_Message(data, 0, len(data)))
    except ModelFormatError as error:
        raise ModelFormatError(f"{path} is not an ONNX model, or a damaged one ({error})") from None
    except ValueError:
        raise ModelFormatError(f"the model file {path} is empty") from None
    except OSError as error:
        raise ModelNotFoundError(f"cannot open the model file {path}: {error.strerror}") from None


def _read(model: _Message) -> tuple[dict[str, Any], list[TensorInfo], list[TensorInfo], dict[str, str]]:
    said = {entry.text(1): _literal(entry.text(2)) for entry in model.each(14)}
    for graph in model.each(7):
        weights, inputs, outputs, makers = set(), [], [], {}
        for number, value in graph.fields():
            if not isinstance(value, _Message):
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


def _tensor(info: _Message) -> TensorInfo:
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
