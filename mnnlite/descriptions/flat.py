"""Flatbuffers, read field by field: what model files of MNN and TFLite are made of. Every offset is checked.

Source: the wire format of https://flatbuffers.dev/internals. Only what a file says of itself is read this way, so that a
board need not load a network, nor hold its weights, to know its input's size.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

from mnnlite.errors import ModelFormatError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mnnlite.descriptions.pages import Pages

__all__ = ["Table", "root"]

_MOST = 1 << 20  # entries of a vector, bytes of a text: more is damage


def _unpacked(form: str, part: bytes | memoryview) -> tuple[Any, ...]:
    try:
        return struct.unpack(form, part)
    except struct.error:
        raise ModelFormatError("damaged: the file became shorter while it was read") from None


class Table:
    """A table of a flatbuffer; fields by their number in the schema, from 0."""

    def __init__(self, data: bytes | memoryview | Pages, at: int) -> None:
        self._data, self._at = data, at
        self._vtable = at - self._number("<i", at)
        self._fields = max(0, (self._number("<H", self._vtable) - 4) // 2)

    def _number(self, form: str, at: int) -> int:
        if not 0 <= at <= len(self._data) - struct.calcsize(form):
            raise ModelFormatError(f"damaged: an offset leads to byte {at} of {len(self._data)}")
        return int(_unpacked(form, self._data[at : at + struct.calcsize(form)])[0])

    def offset(self, field: int) -> int:
        """Where a field is in the file; 0 if it is not there."""
        offset = self._number("<H", self._vtable + 4 + 2 * field) if field < self._fields else 0
        return self._at + offset if offset else 0

    def _target(self, at: int) -> int:
        return at + self._number("<I", at)

    def _vector(self, field: int, size: int) -> tuple[int, int]:
        at = self.offset(field)
        if not at:
            return 0, 0
        begin = self._target(at)
        count = self._number("<I", begin)
        if count > _MOST or begin + 4 + count * size > len(self._data):
            raise ModelFormatError(f"damaged: {count} entries at byte {begin} of {len(self._data)}")
        return begin + 4, count

    def extent(self, field: int) -> int:
        """How many bytes a vector of bytes has, as long as they may be; 0 if it is not there."""
        at = self.offset(field)
        if not at:
            return 0
        begin = self._target(at)
        count = self._number("<I", begin)
        if begin + 4 + count > len(self._data):
            raise ModelFormatError(f"damaged: {count} bytes at byte {begin} of {len(self._data)}")
        return count

    def data(self, field: int) -> bytes:
        """A vector of bytes, or the bytes of a text; b"" if it is not there."""
        begin, count = self._vector(field, 1)
        return bytes(self._data[begin : begin + count])

    def text(self, field: int) -> str:
        """A text; "" if it is not there."""
        return self.data(field).decode("utf-8", "replace")

    def whole(self, field: int, form: str = "<i", default: int = 0) -> int:
        """A number."""
        at = self.offset(field)
        return self._number(form, at) if at else default

    def floats(self, field: int) -> tuple[float, ...]:
        """A vector of floats."""
        begin, count = self._vector(field, 4)
        return _unpacked(f"<{count}f", self._data[begin : begin + 4 * count])

    def wholes(self, field: int) -> tuple[int, ...]:
        """A vector of 32-bit whole numbers."""
        begin, count = self._vector(field, 4)
        return _unpacked(f"<{count}i", self._data[begin : begin + 4 * count])

    def table(self, field: int) -> Table | None:
        """Another table."""
        at = self.offset(field)
        return Table(self._data, self._target(at)) if at else None

    def tables(self, field: int) -> Iterator[Table]:
        """A vector of tables."""
        begin, count = self._vector(field, 4)
        for index in range(count):
            yield Table(self._data, self._target(begin + 4 * index))


def root(data: bytes | memoryview | Pages) -> Table:
    """The table that a file begins with.

    Raises
    ------
    ModelFormatError
        There is none.
    """
    if len(data) < 8:
        raise ModelFormatError(f"damaged: {len(data)} bytes are no model")
    return Table(data, int(_unpacked("<I", data[:4])[0]))
