"""An ONNX file before it is converted: whole, with all of its data, and what is in it. Needs no package but NumPy's dtypes.

Source: onnx.proto3 (field numbers, data types) and ONNX's ExternalData.md. Weights are stepped over, never read.
"""

from __future__ import annotations

import os
import stat
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from mnnlite.conversion.source import pages_of
from mnnlite.descriptions.protobuf import Message
from mnnlite.errors import ModelFormatError, UnsupportedModelError

__all__ = ["OnnxFacts", "check_onnx"]

# Bits of an element by TensorProto.DataType; 8 is text and has no fixed size.
_BITS = dict(
    [(kind, 8) for kind in (2, 3, 9, 17, 18, 19, 20)]
    + [(kind, 16) for kind in (4, 5, 10, 16)]
    + [(kind, 32) for kind in (1, 6, 12)]
    + [(kind, 64) for kind in (7, 11, 13, 14)]
    + [(15, 128), (21, 4), (22, 4), (23, 4)]
)
_EXTERNAL = 1  # TensorProto.DataLocation
_DEEP = 16  # graphs inside graphs: more is damage


@dataclass
class OnnxFacts:
    """What is in an ONNX file.

    Parameters
    ----------
    opset : int
        Of ONNX's own operators.
    operators : Counter of str
        Types of operators with how often each is there; ``domain:type`` for those of others.
    words : dict of str to set of str
        By type, the values of its attributes that are texts, as ``"mode=cubic"``; of Resize those that are numbers, too.
    files : tuple of str
        In which its weights are, besides itself; relative to its folder.
    functions : bool
        Some of its operators are written as functions of others.
    ones : bool
        It has constants of one element that have three axes.
    """

    opset: int = 0
    operators: Counter[str] = field(default_factory=Counter)
    words: dict[str, set[str]] = field(default_factory=dict)
    files: tuple[str, ...] = ()
    functions: bool = False
    ones: bool = False


def check_onnx(path: str | os.PathLike[str]) -> OnnxFacts:
    """Read through a file, and see that all its data is there.

    Parameters
    ----------
    path : path

    Returns
    -------
    OnnxFacts

    Raises
    ------
    ModelNotFoundError, ModelFormatError
        It is empty, cut, or no ONNX file; its weights are not as many as they have to be.
    UnsupportedModelError
        It names a file that is not there, is too short, is no regular file, or lies outside of its folder.
    """
    path = Path(path)
    with pages_of(path, "an ONNX") as data:
        return _Reader(path).read(Message(data, 0, len(data)))


class _Reader:
    def __init__(self, path: Path) -> None:
        self.path, self.facts = path, OnnxFacts()
        self.sizes: dict[str, int] = {}

    def read(self, model: Message) -> OnnxFacts:
        graphs = 0
        for number, value in model.fields():
            if not isinstance(value, Message):
                continue
            if number == 7:
                graphs += 1
                self._graph(value, 0)
            elif number == 8 and value.text(1) in ("", "ai.onnx"):
                self.facts.opset = max(self.facts.opset, value.whole(2))
            elif number == 25:
                self.facts.functions = True
                self._graph(value, 0, node=7)
        if graphs != 1:
            raise ModelFormatError("it has no graph" if graphs == 0 else f"it has {graphs} graphs")
        return self.facts

    def _graph(self, graph: Message, depth: int, node: int = 1) -> None:
        if depth > _DEEP:
            raise ModelFormatError(f"graphs inside graphs, more than {_DEEP} deep")
        for number, value in graph.fields():
            if not isinstance(value, Message):
                continue
            if number == node:
                self._node(value, depth)
            elif node == 1 and number == 5:
                self._tensor(value)

    def _node(self, node: Message, depth: int) -> None:
        domain, kind = node.text(7), node.text(4)
        kind = kind if domain in ("", "ai.onnx") else f"{domain}:{kind}"
        self.facts.operators[kind] += 1
        words = self.facts.words.setdefault(kind, set())
        for attribute in node.each(5):
            for number, value in attribute.fields():
                if not isinstance(value, Message):
                    if number == 3 and kind == "Resize":
                        words.add(f"{attribute.text(1)}={value}")
                    continue
                if number == 4 and value.end - value.begin <= 64:
                    words.add(f"{attribute.text(1)}={value.bytes().decode('utf-8', 'replace')}")
                elif number in (5, 10):
                    self._tensor(value)
                elif number in (6, 11):
                    self._graph(value, depth + 1)

    def _tensor(self, tensor: Message) -> None:
        name, bits = tensor.text(8), _BITS.get(tensor.whole(2))
        count = 1
        extents = list(tensor.wholes(1))
        self.facts.ones |= extents == [1, 1, 1]
        for extent in extents:
            if extent < 0 or count * max(extent, 1) > 1 << 40:
                raise ModelFormatError(f"tensor {name!r} has an axis of {extent}")
            count *= extent
        wanted = None if bits is None else (count * bits + 7) // 8
        if tensor.whole(14) == _EXTERNAL:
            self._external(name, tensor, wanted)
            return
        for raw in tensor.each(9):
            if wanted is not None and raw.end - raw.begin != wanted:
                raise ModelFormatError(f"tensor {name!r} has {raw.end - raw.begin} bytes, its shape needs {wanted}")

    def _external(self, name: str, tensor: Message, wanted: int | None) -> None:
        said = {entry.text(1): entry.text(2) for entry in tensor.each(13)}
        location = said.get("location", "")
        size = self._size(location, name)
        offset, length = (self._whole(said.get(key), key, name) for key in ("offset", "length"))
        begin = offset or 0
        if length is not None and wanted is not None and length != wanted:
            raise ModelFormatError(f"tensor {name!r} has {length} bytes in {location}, its shape needs {wanted}")
        end = begin + (length if length is not None else wanted or 0)
        if end > size:
            raise UnsupportedModelError(
                f"{self.path}: the file {location} with its weights is too short: it has {size} bytes, tensor {name!r} ends at "
                f"{end}; fetch it again, whole",
                op="convert",
            )

    @staticmethod
    def _whole(text: str | None, key: str, name: str) -> int | None:
        if not text:
            return None
        if not text.isascii() or not text.isdigit():
            raise ModelFormatError(f"tensor {name!r}: {key} is {text!r:.40}")
        return int(text)

    def _size(self, location: str, name: str) -> int:
        """Bytes of a file of weights, which lies in the folder of the model, or in that which a link to it leads to."""
        if location in self.sizes:
            return self.sizes[location]
        path = self.path.parent / location
        parts = Path(location).parts
        if not location or "\0" in location or os.path.isabs(location) or ".." in parts:
            raise UnsupportedModelError(
                f"{self.path}: tensor {name!r} is to be read from {location!r}, which is not inside the model's folder",
                op="convert",
            )
        try:
            facts = os.stat(path)
        except OSError as error:
            raise UnsupportedModelError(
                f"{self.path}: its weights are in {location}, which is not beside it ({error.strerror}); put both files in one "
                "folder",
                op="convert",
            ) from None
        if not stat.S_ISREG(facts.st_mode):
            raise UnsupportedModelError(
                f"{self.path}: its weights are to be read from {location}, which is no regular file", op="convert"
            )
        folders = {self.path.parent.resolve(), self.path.resolve().parent}
        if not any(path.resolve().is_relative_to(folder) for folder in folders):
            raise UnsupportedModelError(
                f"{self.path}: its weights are to be read from {location}, a link out of the model's folder",
                op="convert",
            )
        self.sizes[location] = facts.st_size
        self.facts.files = tuple(self.sizes)
        return facts.st_size
