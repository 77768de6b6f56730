"""Keys of a pipeline's tasks put into its text: comments and everything else stay as they are."""

from __future__ import annotations

import itertools
import re
from typing import TYPE_CHECKING

from mnnlite import _toml
from mnnlite.errors import PipelineError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["with_keys"]

_SAID = re.compile(r"""^([^=#]*=\s*)("[^"]*"|'[^']*')""")


def with_keys(text: str, values: Sequence[Mapping[str, str]], keys: Sequence[str], what: str, file: str = "") -> str:
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
            lines[line] = _SAID.sub(rf'\g<1>"{values[index][key]}"', lines[line])
        else:
            removed.add(line)
    for index in range(len(values)):
        model = line_of["task", index, "model"] - 1
        indent = re.match(r"\s*", lines[model])[0]  # type: ignore[index]
        given = [key for key in values[index] if ("task", index, key) not in line_of]
        new = "".join(f'{end}{indent}{key} = "{values[index][key]}"' for key in given)
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
