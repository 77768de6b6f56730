"""TOML with line numbers in, TOML out. `tomllib` reads the values; it does not say where they stand."""

from __future__ import annotations

import json
import math
import re
import sys
from bisect import bisect_right
from collections.abc import Mapping
from typing import Any, TypeAlias

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["Key", "dumps", "loads"]

Key: TypeAlias = tuple["str | int", ...]  # ("task", 0, "image", "size")

_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_BASIC = re.compile(r'"((?:[^"\\\n]|\\.)*)"')
_LITERAL = re.compile(r"'([^'\n]*)'")
_MULTILINE = re.compile(r'"""(?:[^"\\]|\\.|"{1,2}(?!"))*"{3,5}|\'\'\'(?:[^\']|\'{1,2}(?!\'))*\'{3,5}', re.DOTALL)
_PLAIN = re.compile(r"[^,\]}\n#]*")


def loads(text: str) -> tuple[dict[str, Any], dict[Key, int]]:
    """Read TOML.

    Parameters
    ----------
    text : str

    Returns
    -------
    values : dict
        As `tomllib` gives them.
    lines : dict of key path to int
        The line, from 1, of every key, table and element of an array.

    Raises
    ------
    ValueError
        Its message says line and column, where they are known.
    """
    try:
        values = tomllib.loads(text)
        return values, _Positions(text).lines
    except RecursionError:
        raise ValueError("its tables or arrays are nested too deeply") from None


class _Positions:
    """Walks a text that `tomllib` has accepted, so it only has to tell its parts apart, not to check them."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.lines: dict[Key, int] = {}
        self._breaks = [found.start() for found in re.finditer("\n", text)]
        self._arrays: dict[Key, int] = {}  # arrays of tables: how many elements so far
        self._document()

    def _document(self) -> None:
        table: Key = ()
        while self._skip_blank() < len(self.text):
            if self._next("[["):
                table = self._header("]]")
            elif self._next("["):
                table = self._header("]")
            else:
                self._pair(table)

    def _skip_blank(self) -> int:
        self.at = self._match(_BLANK).end()
        return self.at

    def _next(self, token: str) -> bool:
        if not self.text.startswith(token, self.at):
            return False
        self.at += len(token)
        return True

    def _match(self, pattern: re.Pattern[str]) -> re.Match[str]:
        found = pattern.match(self.text, self.at)
        assert found is not None, f"position {self.at}: tomllib accepted what this scanner does not know"
        return found

    def _mark(self, path: Key, at: int | None = None) -> None:
        self.lines.setdefault(path, bisect_right(self._breaks, (self.at if at is None else at) - 1) + 1)

    def _header(self, end: str) -> Key:
        start, parts = self.at, self._key()
        path: Key = ()
        for index, part in enumerate(parts):
            path = (*path, part)
            self._mark(path, start)
            if end == "]]" and index == len(parts) - 1:
                self._arrays[path] = self._arrays.get(path, 0) + 1
            if path in self._arrays:  # a later header means the last element so far
                path = (*path, self._arrays[path] - 1)
                self._mark(path, start)
        self._skip_blank()
        self._next(end)
        return path

    def _key(self) -> list[str]:
        parts = []
        while True:
            self._skip_blank()
            if self.text[self.at] == '"':
                found = self._match(_BASIC)
                parts.append(str(tomllib.loads("k=" + found[0])["k"]))
            elif self.text[self.at] == "'":
                found = self._match(_LITERAL)
                parts.append(found[1])
            else:
                found = self._match(_BARE_KEY)
                parts.append(found[0])
            self.at = found.end()
            self._skip_blank()
            if not self._next("."):
                return parts

    def _pair(self, table: Key) -> None:
        start, path = self.at, table
        for part in self._key():
            path = (*path, part)
            self._mark(path, start)
        self._next("=")
        self._value(path)

    def _value(self, path: Key) -> None:
        self._skip_blank()
        if self._next("["):
            index = 0
            while self._skip_blank() < len(self.text) and not self._next("]"):
                self._mark((*path, index))
                self._value((*path, index))
                self._skip_blank()
                self._next(",")
                index += 1
        elif self._next("{"):
            while self._skip_blank() < len(self.text) and not self._next("}"):
                self._pair(path)
                self._skip_blank()
                self._next(",")
        else:
            strings = (_MULTILINE, _BASIC, _LITERAL) if self.text[self.at] in "\"'" else (_PLAIN,)
            found = next(found for found in (pattern.match(self.text, self.at) for pattern in strings) if found)
            self.at = found.end()


def dumps(tables: Mapping[str, Any]) -> str:
    """Write TOML: lists of tables at the top as ``[[name]]``, tables at the top as ``[name]``, deeper ones inline.

    Parameters
    ----------
    tables : dict
        Of tables and lists of tables, with str, bool, int, float, lists and dicts in them.

    Returns
    -------
    str
    """
    blocks = []
    for name, content in tables.items():
        for one in content if isinstance(content, list) else [content]:
            head = f"[[{_key(name)}]]" if isinstance(content, list) else f"[{_key(name)}]"
            blocks.append("\n".join([head, *(f"{_key(key)} = {_inline(value)}" for key, value in one.items())]))
    return "\n\n".join(blocks) + "\n"


def _key(name: str) -> str:
    return name if _BARE_KEY.fullmatch(name) else _inline(name)


def _inline(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):  # JSON's escapes are TOML's, but for DEL
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, float) and not math.isfinite(value):
        return "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, Mapping):
        return (
            "{ " + ", ".join(f"{_key(key)} = {_inline(item)}" for key, item in value.items()) + " }" if value else "{}"
        )
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_inline(item) for item in value) + "]"
    raise TypeError(f"TOML has no form for {value!r}, a {type(value).__name__}")
