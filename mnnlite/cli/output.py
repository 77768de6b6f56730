"""What commands write: standard output for results alone, and files of JSON lines that are whole at any moment."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from typing import IO, TYPE_CHECKING, Any, final

from mnnlite.errors import OutputError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

__all__ = ["JsonLines", "Output", "columns", "mib_or_unknown", "printable", "short", "to_json"]


def to_json(value: Any, indent: int | None = None) -> str:
    """Write JSON on one line, or indented; what JSON has no form for becomes text."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=indent is not None, default=str, indent=indent)
    if text.isprintable() or (indent is not None and printable(text) == text):
        return text
    # Names of files that are no UTF-8 have surrogates, which cannot be written; and JSON allows what moves a terminal.
    return json.dumps(value, allow_nan=indent is not None, default=str, indent=indent).replace("\x7f", "\\u007f")


def printable(text: str) -> str:
    """The same text with what is no sign, but a command to a terminal, written as an escape: names in files may hold any."""
    if text.isprintable():
        return text
    return "".join(
        each if each.isprintable() or each == "\n" else each.encode("unicode_escape").decode("ascii") for each in text
    )


@final
class Output:
    """Standard output for the command alone: whatever else prints there, as the engine does, goes to standard error."""

    def __init__(self) -> None:
        self._stream: IO[str] | None = sys.stdout  # None where the shell closed it
        self._number = -1

    def __enter__(self) -> Output:
        if sys.stdout is None:
            return self
        sys.stdout.flush()
        try:
            self._number = sys.stdout.fileno()
            standard_error = sys.stderr.fileno()
        except (OSError, ValueError):  # replaced by something without a descriptor, in a notebook or a test
            return self
        self._stream = os.fdopen(os.dup(self._number), "w", encoding="utf-8", errors="backslashreplace")
        os.dup2(standard_error, self._number)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._stream is None or self._stream is sys.stdout:
            return
        sys.stdout.flush()
        os.dup2(self._stream.fileno(), self._number)
        self._stream.close()

    @property
    def is_terminal(self) -> bool:
        """Whether a person is looking at it."""
        return self._stream is not None and self._stream.isatty()

    def text(self, *lines: str) -> None:
        """Write lines.

        Raises
        ------
        OutputError
            A full disk, for one. A reader that is gone is a `BrokenPipeError`.
        """
        if self._stream is None:
            raise OutputError("cannot write to standard output: it is closed")
        try:
            self._stream.write("".join(printable(line) + "\n" for line in lines))
            self._stream.flush()
        except OSError as error:
            self._discard()
            if isinstance(error, BrokenPipeError):
                raise
            raise OutputError(f"cannot write to standard output: {error.strerror}") from None

    def json(self, value: Any, indent: int | None = None) -> None:
        """Write a value as JSON."""
        self.text(to_json(value, indent))

    def _discard(self) -> None:
        """Send what the buffer still holds nowhere."""
        nowhere = os.open(os.devnull, os.O_WRONLY)
        if self._stream is not None:
            os.dup2(nowhere, self._stream.fileno())
        os.close(nowhere)


_INSTEAD = "--append goes on at its end, --overwrite begins it anew"


class JsonLines:
    """A file of one JSON object a line. Each line is in the file when `write` returns, and no part of a line ever stays."""

    def __init__(
        self, path: str | os.PathLike[str], append: bool = False, overwrite: bool = False, *, instead: str = _INSTEAD
    ) -> None:
        self._path = os.fspath(path)
        self._end = self._count = 0
        # A device or a pipe is what it is: nothing of it is lost by writing.
        is_special = os.path.exists(path) and not os.path.isfile(path)
        try:
            # Readable to see how it ends.
            mode = "wb" if overwrite or is_special else "a+b" if append else "xb"
            self._is_new = mode == "xb"
            self._file = open(path, mode, buffering=0)  # noqa: SIM115  closed by `close`
            if mode == "a+b":
                self._go_on()
        except FileExistsError:
            raise OutputError(f"cannot write {self._path}: it exists; {instead}") from None
        except OSError as error:
            raise OutputError(f"cannot write {self._path}: {error.strerror}") from None

    def _go_on(self) -> None:
        """Begin a line of its own, also behind one that was never ended."""
        self._end = self._file.seek(0, os.SEEK_END)
        if self._end:
            self._file.seek(-1, os.SEEK_END)
            if self._file.read(1) != b"\n":
                self._file.write(b"\n")
                self._end += 1

    def write(self, value: Any) -> None:
        """Append a line.

        Raises
        ------
        OutputError
            The disk is full, above all. The lines before are whole.
        """
        line = memoryview(to_json(value).encode() + b"\n")
        done = 0
        try:
            while done < len(line):
                done += self._file.write(line[done:])
        except OSError as error:
            self._cut()
            raise OutputError(
                f"cannot write {self._path}: {error.strerror}; the {self._count} lines written before are whole"
            ) from None
        self._end += len(line)
        self._count += 1

    def _cut(self) -> None:
        with contextlib.suppress(OSError):  # a pipe or a device
            self._file.truncate(self._end)

    def close(self) -> None:
        """Close the file. One that is new and has no line would only be in the way of the next attempt: it goes."""
        if self._is_new and not self._count and not self._file.closed:
            with contextlib.suppress(OSError):
                os.unlink(self._path)
        self._file.close()


def mib_or_unknown(size: int | None) -> str:
    """Bytes for people; None is what the engine does not count."""
    return "not known" if size is None else f"{size / 2**20:.2f} MiB"


def short(text: str, letters: int) -> str:
    """The text, or its beginning and end where it is longer: what tells names of operators apart is mostly at the end."""
    if len(text) <= letters:
        return text
    tail = (letters - 1) * 2 // 3
    return f"{text[: letters - 1 - tail]}…{text[-tail:]}"


def columns(rows: Sequence[Sequence[Any]], right: Sequence[int] = ()) -> list[str]:
    """Lines of a table; the columns in `right` are flush right."""
    cells = [[str(cell) for cell in row] for row in rows]
    widths = [max(len(cell) for cell in column) for column in zip(*cells, strict=True)]
    return [
        "  ".join(
            cell.rjust(width) if index in right else cell.ljust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in cells
    ]
