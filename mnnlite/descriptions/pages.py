"""The bytes of a file, read where they are asked for."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, overload

from mnnlite.errors import ModelFormatError

if TYPE_CHECKING:
    from typing import BinaryIO

__all__ = ["Pages"]

_PAGE = 1 << 16


class Pages:
    """An open file as a sequence of bytes, of which a page is held. Not a mapping: that ends the process where another one cuts
    the file meanwhile; here bytes are missing, which is damage like any other.

    Parameters
    ----------
    file : binary file
        Must stay open.

    Raises
    ------
    ValueError
        It is empty.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._descriptor = file.fileno()
        self._size = os.fstat(self._descriptor).st_size
        if self._size == 0:
            raise ValueError("the file is empty")
        self._at, self._page = 0, b""

    def __len__(self) -> int:
        return self._size

    @overload
    def __getitem__(self, index: int) -> int: ...
    @overload
    def __getitem__(self, index: slice) -> bytes: ...
    def __getitem__(self, index: int | slice) -> int | bytes:
        if isinstance(index, int):
            part = self._read(index, 1)
            if not part:
                raise ModelFormatError("damaged: the file became shorter while it was read")
            return part[0]
        begin, end, step = index.indices(self._size)
        return self._read(begin, max(0, end - begin))[::step]

    def _read(self, begin: int, count: int) -> bytes:
        if not self._at <= begin <= begin + count <= self._at + len(self._page):
            self._at = begin
            self._page = os.pread(self._descriptor, max(count, _PAGE), begin)
        return self._page[begin - self._at : begin - self._at + count]
