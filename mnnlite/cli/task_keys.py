"""Keys of a pipeline's tasks put into its text: comments and everything else stay as they are."""

from __future__ import annotations

import itertools
import os
import re
from typing import TYPE_CHECKING, Any

from mnnlite import _toml
from mnnlite.errors import PipelineError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

__all__ = ["in_folder", "with_keys"]

_SAID = re.compile(r"""^([^=#]*=\s*)("[^"]*"|'[^']*'|\d+)""")


def _written(value: str | int) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value)


def with_keys(
    text: str, values: Sequence[Mapping[str, str | int]], keys: Sequence[str], what: str, file: str = ""
) -> str:
    """Give a pipeline's text with other values of some keys.

    A new line goes below the task's ``model``, a new value where the old one was. Proven by reading the result: nothing but these
    keys has changed.

    Parameters
    ----------
    text : str
    values : sequence of dict
        Of each task; a key that is not in it is taken away.
    keys : sequence of str
        The keys that are replaced.
    what : str
        How the error calls them.
    file : str
        Likewise.

    Raises
    ------
    PipelineError
        The tasks are not written in a way that lines can be put into, such as an inline table.
    """
    mark = "\ufeff" if text.startswith("\ufeff") else ""  # a byte order mark stays, too
    text = text.removeprefix(mark)
    table, line_of = _toml.loads(text)
    end = "\r\n" if "\r\n" in text else "\n"
    lines = text.split("\n")
    removed = set()
    for index, key in itertools.product(range(len(values)), keys):
        if ("task", index, key) not in line_of:
            continue
        line = line_of["task", index, key] - 1
        if key in values[index]:  # what stands behind the value stays
            lines[line] = _SAID.sub(rf"\g<1>{_written(values[index][key])}", lines[line])
        else:
            removed.add(line)
    for index in range(len(values)):
        model = line_of["task", index, "model"] - 1
        indent = re.match(r"\s*", lines[model])[0]  # type: ignore[index]
        given = [key for key in values[index] if ("task", index, key) not in line_of]
        new = "".join(f"{end}{indent}{key} = {_written(values[index][key])}" for key in given)
        lines[model] = lines[model].rstrip("\r") + new + ("\r" if end == "\r\n" else "")
    made = "\n".join(line for number, line in enumerate(lines) if number not in removed)
    for task, now in zip(table["task"], values, strict=True):
        for key in keys:
            task.pop(key, None)
        task.update(now)
    try:
        same = _toml.loads(made)[0] == table
    except ValueError:
        same = False
    if not same:
        raise PipelineError(
            f"its tasks are not written one key a line, as [[task]] tables are, so {what} cannot be put in; write them so",
            file=file or None,
        )
    return mark + made


def in_folder(text: str, source: Path, target: Path, file: str = "") -> str:
    """Give a pipeline's text for another folder: paths of its tasks' files are relative to that one.

    What is a path: a text of a task, below which there is a file from `source`, as `mnnlite.pipeline` reads ``model``, ``external`` and
    the files that decoders name.

    Raises
    ------
    PipelineError
        A path stands in a line that no other text can be put into.
    """
    table, line_of = _toml.loads(text.removeprefix("\ufeff"))
    lines = text.split("\n")
    wanted: dict[int, list[tuple[str, str]]] = {}
    for path, value in _texts(("task",), table["task"]):
        key = path[-1] if isinstance(path[-1], str) else ""
        if key in _PATHS and not os.path.isabs(value) and (source / value).is_file():
            moved = os.path.relpath((source / value).absolute(), target.absolute())
            wanted.setdefault(line_of[path] - 1, []).append((value, moved))
            _put(table, path, moved)
    for number, pairs in wanted.items():
        for old, new in pairs:
            for written in (f'"{old}"', f"'{old}'"):
                lines[number] = lines[number].replace(written, _written(new), 1)
    made = "\n".join(lines)
    try:
        same = _toml.loads(made.removeprefix("\ufeff"))[0] == table
    except ValueError:
        same = False
    if not same:
        raise PipelineError(
            "its paths cannot be written anew for another folder; give an output file beside it", file=file or None
        )
    return made


_PATHS = ("model", "external", "classes", "keys")  # of files


def _texts(path: _toml.Key, value: Any) -> list[tuple[_toml.Key, str]]:
    """All texts of a table, with where they are."""
    if isinstance(value, str):
        return [(path, value)]
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [found for key, each in inner for found in _texts((*path, key), each)]


def _put(table: Any, path: _toml.Key, value: str) -> None:
    for key in path[:-1]:
        table = table[key]
    table[path[-1]] = value
