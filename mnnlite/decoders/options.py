"""Options of decoders: the fields of the specs describe them, and values are checked by that description."""

from __future__ import annotations

import math
import numbers
from collections.abc import Iterable, Mapping
from dataclasses import Field, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mnnlite.errors import ArgumentError
from mnnlite.files import read_text
from mnnlite.suggest import did_you_mean


class Option(NamedTuple):
    """What one option of a family means and which values it takes."""

    name: str
    type: str
    default: Any
    doc: str
    low: float | None
    high: float | None
    choices: tuple[str, ...]

    @property
    def range(self) -> str:
        """The range of its numbers as a text; "" if it has none."""
        return span(self.low, self.high)


_NO_LIMIT = 1e12  # bounds that only keep arithmetic finite are nothing to tell


def span(low: float | None, high: float | None) -> str:
    """Bounds as a text: ``0 to 1``, ``at least 4``; "" for no bounds."""
    least, most = (
        None if bound is None or abs(bound) >= _NO_LIMIT else f"{bound:.0f}" if bound == int(bound) else f"{bound:g}"
        for bound in (low, high)
    )
    if least is None:
        return "" if most is None else f"at most {most}"
    return f"at least {least}" if most is None else f"{least} to {most}"


def option(
    default: Any,
    type_: str,
    doc: str,
    *,
    low: float | None = None,
    high: float | None = None,
    choices: tuple[str, ...] = (),
    native: bool = True,
) -> Any:
    """Describe an option; `type_` is one of number, whole, flag, word, text, names, numbers, path."""
    return field(
        default=default,
        metadata={"type": type_, "doc": doc, "low": low, "high": high, "choices": choices, "native": native},
    )


def names_from(value: Any, where: str) -> tuple[str, ...]:
    """Read names from a sequence of texts, or from a text file with one name a line."""
    if isinstance(value, (str, Path)):
        try:
            lines = read_text(value).split("\n")
        except OSError as error:
            raise ArgumentError(
                f"{where}: cannot read names from {str(value)!r} ({error.strerror}); "
                "wanted a text file with one name a line, or a list of names"
            ) from None
        except UnicodeDecodeError:
            raise ArgumentError(f"{where}: {str(value)!r} is not a UTF-8 text file with one name a line") from None
        while lines and not lines[-1]:
            lines.pop()
        return tuple(lines)
    if not isinstance(value, Iterable):
        raise ArgumentError(f"{where}: got {value!r:.80}, wanted a list of names, or a text file with one name a line")
    return tuple(value)


def checked(where: str, value: Any, entry: Field[Any]) -> Any:
    """Return the value in its stored form, or raise ArgumentError."""
    meta = entry.metadata
    if value is None and entry.default is None:
        return None
    kind = meta["type"]
    if kind in ("number", "whole"):
        wanted = "a whole number" if kind == "whole" else "a number"
        if meta["low"] is not None or meta["high"] is not None:
            bounds = span(meta["low"], meta["high"])
            wanted += f" in [{bounds.replace(' to ', ', ')}]" if " to " in bounds else f" of {bounds}" if bounds else ""
        if isinstance(value, bool) or not isinstance(value, numbers.Real) or not math.isfinite(float(value)):
            raise ArgumentError(f"{where}: wanted {wanted}, got {value!r}")
        if kind == "whole" and not isinstance(value, numbers.Integral):
            raise ArgumentError(f"{where}: wanted {wanted}, got {value!r}")
        if (meta["low"] is not None and value < meta["low"]) or (meta["high"] is not None and value > meta["high"]):
            raise ArgumentError(f"{where}: wanted {wanted}, got {value!r}")
        return int(float(value)) if kind == "whole" else float(value)
    if kind == "flag":
        if not isinstance(value, (bool, np.bool_)):
            raise ArgumentError(f"{where}: wanted true or false, got {value!r}")
        return bool(value)
    if kind == "word":
        if value not in meta["choices"]:
            raise ArgumentError(f"{where}: wanted one of {', '.join(map(repr, meta['choices']))}, got {value!r}")
        return str(value)
    if kind == "function":
        if not callable(value):
            raise ArgumentError(f"{where}: wanted a function, got {value!r}")
        return value
    if kind == "text":
        if not isinstance(value, str):
            raise ArgumentError(f"{where}: wanted a text, got {value!r}")
        return value
    if kind == "path" and isinstance(value, (str, Path)):
        names_from(value, where)
        return str(value)
    if kind in ("names", "path"):
        wanted = "a list of texts" + (" or a path to a file with one a line" if kind == "path" else "")
        if kind == "names" and isinstance(value, str):
            value = (value,)
        if not isinstance(value, Iterable) or isinstance(value, (bytes, Mapping)):
            raise ArgumentError(f"{where}: wanted {wanted}, got {value!r}")
        names = tuple(value)
        for name in names:
            if not isinstance(name, str):
                raise ArgumentError(f"{where}: wanted {wanted}, got {name!r} in it")
        return names
    if kind == "numbers":
        if isinstance(value, (str, bytes)) or not isinstance(value, Iterable):
            raise ArgumentError(f"{where}: wanted a list of numbers, got {value!r}")
        entries = tuple(value)
        for number in entries:
            if isinstance(number, bool) or not isinstance(number, numbers.Real) or not math.isfinite(float(number)):
                raise ArgumentError(f"{where}: wanted a list of finite numbers, got {number!r} in it")
        return tuple(float(number) for number in entries)
    raise AssertionError(f"{where}: unknown kind of option {kind!r}")


def unknown(what: str, got: str, known: Iterable[str]) -> ArgumentError:
    """Return the error for a name that is not known, with the closest one that is."""
    known = sorted(known)
    hint = did_you_mean(got, known, f"there are {', '.join(known)}")
    return ArgumentError(f"{what} {got!r} is not known; {hint}")
