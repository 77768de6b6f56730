"""Calibration files: ROS ``camera_info`` (YAML) and OpenCV ``FileStorage`` (YAML, XML, JSON), read without either."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mnnlite.errors import ArgumentError, SourceError

if TYPE_CHECKING:
    import os
    from xml.etree.ElementTree import Element

__all__ = ["read", "yaml"]

LARGEST = 1 << 20  # bytes: a calibration is a page of numbers
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")


def read(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read a calibration file.

    Returns
    -------
    dict
        Nested; matrices as ``{"rows", "cols", "data"}``.

    Raises
    ------
    SourceError
        It cannot be read.
    ArgumentError
        It is none of these formats.
    """
    try:
        with open(path, "rb") as file:
            content = file.read(LARGEST + 1)
    except OSError as error:
        raise SourceError(f"cannot read the camera file {path}: {error.strerror}") from None
    if len(content) > LARGEST:
        raise ArgumentError(f"{path} has more than {LARGEST} bytes; a calibration file is a page of numbers")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ArgumentError(f"{path} is not a camera file: not UTF-8 at byte {error.start}") from None
    start = text.lstrip()
    try:
        if start.startswith("<"):
            return _xml(text)
        values = json.loads(text) if start.startswith("{") else yaml(text)
    except (ValueError, RecursionError) as error:
        raise ArgumentError(
            f"{path} is not a camera file: {error}; wanted ROS camera_info YAML or OpenCV's YAML, XML or JSON"
        ) from None
    if not isinstance(values, dict):
        raise ArgumentError(f"{Path(path)} is not a camera file: it holds no names")
    return values


def _xml(text: str) -> dict[str, Any]:
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise ValueError("a document type is not part of the format")
    import xml.etree.ElementTree as ET  # only here: most files are YAML

    try:
        root = ET.fromstring(text)
    except ET.ParseError as error:
        raise ValueError(str(error)) from None

    def value(node: Element) -> Any:
        if len(node):
            return {child.tag: value(child) for child in node}
        words = (node.text or "").split()
        numbers = [_scalar(word) for word in words]
        return numbers[0] if len(numbers) == 1 else numbers if numbers else ""

    values = {child.tag: value(child) for child in root}
    for each in values.values():  # a matrix of one number is still one
        if isinstance(each, dict) and "data" in each and not isinstance(each["data"], list):
            each["data"] = [each["data"]]
    return values


def yaml(text: str) -> dict[str, Any]:
    """Read the part of YAML that calibration files are written in.

    Block maps and lists by indentation, flow lists and maps over any number of lines, plain and quoted scalars, comments.
    Tags are skipped; anchors, aliases and block scalars are refused.

    Raises
    ------
    ValueError
        Anything else, with the line.
    """
    lines = []
    pending, begun = "", 0
    for number, raw in enumerate(text.splitlines(), 1):
        line = _without_comment(raw).rstrip()
        if number == 1 and line.startswith("%YAML"):
            continue
        if not line.strip() or line.strip() in ("---", "..."):
            continue
        if pending:
            pending += " " + line.strip()
        else:
            pending, begun = line, number
        if _open_brackets(pending) <= 0:
            lines.append((begun, pending.expandtabs()))
            pending = ""
    if pending:
        raise ValueError(f"line {begun}: a bracket is not closed")
    value, rest = _block(lines, 0, 0)
    if rest != len(lines):
        raise ValueError(f"line {lines[rest][0]}: indented less than what it belongs to")
    if not isinstance(value, dict):
        raise ValueError("there are no names in it")
    return value


def _without_comment(line: str) -> str:
    quote = ""
    for index, sign in enumerate(line):
        if quote:
            quote = "" if sign == quote else quote
        elif sign in "\"'":
            quote = sign
        elif sign == "#" and (index == 0 or line[index - 1] in " \t"):
            return line[:index]
    return line


def _open_brackets(text: str) -> int:
    bare = re.sub(r'"[^"]*"|\'[^\']*\'', "", text)
    return sum(bare.count(sign) for sign in "[{") - sum(bare.count(sign) for sign in "]}")


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _block(lines: list[tuple[int, str]], at: int, depth: int) -> tuple[Any, int]:
    if depth > 20:
        raise ValueError("nested too deeply")
    if at >= len(lines):
        return {}, at
    indent = _indent(lines[at][1])
    if lines[at][1].lstrip().startswith("- ") or lines[at][1].strip() == "-":
        items: list[Any] = []
        while at < len(lines) and _indent(lines[at][1]) == indent and lines[at][1].lstrip().startswith("-"):
            items.append(_flow(lines[at][1].lstrip()[1:].strip(), lines[at][0]))
            at += 1
        return items, at
    values: dict[str, Any] = {}
    while at < len(lines) and _indent(lines[at][1]) == indent:
        number, line = lines[at]
        found = re.match(r"""\s*("[^"]*"|'[^']*'|[^:\s\[\]{}]+)\s*:(\s+(.*))?$""", line)
        if found is None:
            raise ValueError(f"line {number}: wanted 'name: value', got {line.strip()[:40]!r}")
        name, content = found[1].strip("\"'"), (found[3] or "").strip()
        content = re.sub(r"^!\S*\s*", "", content)
        at += 1
        if content:
            values[name] = _flow(content, number)
        elif at < len(lines) and (
            _indent(lines[at][1]) > indent
            or (_indent(lines[at][1]) == indent and lines[at][1].lstrip().startswith("- "))
        ):
            values[name], at = _block(lines, at, depth + 1)
        else:
            values[name] = ""
    return values, at


def _flow(text: str, line: int) -> Any:
    if text[:1] in "&*|>":
        raise ValueError(f"line {line}: {text[:20]!r} is not part of a calibration file")
    if not text.startswith(("[", "{")):
        return _scalar(text)
    if not text.endswith("]" if text.startswith("[") else "}"):
        raise ValueError(f"line {line}: something after a closing bracket")
    parts = _parts(text[1:-1])
    if text.startswith("["):
        return [_flow(part, line) for part in parts]
    pairs = [part.partition(":") for part in parts]
    return {name.strip().strip("\"'"): _flow(value.strip(), line) for name, _, value in pairs}


def _parts(text: str) -> list[str]:
    parts, depth, last = [], 0, 0
    for index, sign in enumerate(text):
        depth += (sign in "[{") - (sign in "]}")
        if sign == "," and depth == 0:
            parts.append(text[last:index].strip())
            last = index + 1
    tail = text[last:].strip()
    return [*parts, tail] if tail else parts


def _scalar(text: str) -> Any:
    if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'":
        return text[1:-1]
    if text.lower() in (".nan", "nan"):
        return float("nan")
    if _NUMBER.fullmatch(text):
        return float(text) if any(sign in text for sign in ".eE") else int(text)
    return text
