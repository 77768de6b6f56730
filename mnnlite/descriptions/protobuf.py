"""The wire format of protocol buffers, as far as ONNX files need it.

Source: https://protobuf.dev/programming-guides/encoding. Contents are stepped over, not read: the file is read a page at a time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mnnlite.errors import ModelFormatError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mnnlite.descriptions.pages import Pages

__all__ = ["Message"]

_MOST = 1 << 20  # bytes of a text: more is none of ours


class Message:
    """A message: its fields in order, (number, value), where a nested message is a range of bytes."""

    def __init__(self, data: Pages | bytes, begin: int, end: int) -> None:
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

    def fields(self) -> Iterator[tuple[int, int | Message]]:
        """The fields in order, by their numbers."""
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
                yield key >> 3, Message(self.data, at, at + size)
            at += size

    def wholes(self, number: int) -> Iterator[int]:
        """A repeated whole number, packed or not, as 64 bits with a sign."""
        for found, value in self.fields():
            if found != number:
                continue
            if isinstance(value, int):
                yield value - (value >> 63 << 64)
                continue
            at = value.begin
            while at < value.end:
                each, at = value._varint(at)
                yield each - (each >> 63 << 64)

    def each(self, number: int) -> Iterator[Message]:
        """The nested messages of a number."""
        return (value for found, value in self.fields() if found == number and isinstance(value, Message))

    def text(self, number: int) -> str:
        """The first text of a number; "" if there is none."""
        for value in self.each(number):
            return value.bytes().decode("utf-8", "replace")
        return ""

    def bytes(self) -> bytes:
        """What is in it."""
        if self.end - self.begin > _MOST:
            raise ModelFormatError(f"damaged: a text of {self.end - self.begin} bytes")
        return bytes(self.data[self.begin : self.end])

    def whole(self, number: int, default: int = 0) -> int:
        """The first whole number of a number."""
        return next((value for found, value in self.fields() if found == number and isinstance(value, int)), default)
