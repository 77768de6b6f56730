"""Families by name, and specs made of names, dicts, objects and functions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import MISSING, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mnnlite import _core
from mnnlite.decoders import anchor_free, base, dense, detection, faces, heads, ssd, texts, yolo
from mnnlite.decoders.base import Decoder
from mnnlite.decoders.external import load
from mnnlite.decoders.function import Function
from mnnlite.decoders.options import Option, unknown
from mnnlite.decoders.plugin import Plugin
from mnnlite.errors import ArgumentError

if TYPE_CHECKING:
    from types import ModuleType

# The modules that families are defined in.
_HOMES = (anchor_free, base, dense, detection, faces, heads, ssd, texts, yolo)


def _defined(home: ModuleType) -> Iterator[type[Decoder]]:
    for each in vars(home).values():
        if isinstance(each, type) and issubclass(each, Decoder) and each.__module__ == home.__name__:
            yield each


_NAMED = {each.family: each for home in _HOMES for each in _defined(home)}
# In the order of the native registry, which has every built-in family once.
_FAMILIES = {name: _NAMED[name] for name in _core.decoder_families()}


def families() -> dict[str, type[Decoder]]:
    """Every family by its name, which is the class's name in lower case."""
    return dict(_FAMILIES)


def options_of(family: str | type[Decoder]) -> list[Option]:
    """The options of a family, as checks, ``mnnlite inspect --decoders`` and the documentation use them."""
    spec = _FAMILIES[family] if isinstance(family, str) else family
    return [
        Option(
            entry.name,
            entry.metadata["type"],
            None if entry.default is MISSING else entry.default,
            entry.metadata["doc"],
            entry.metadata["low"],
            entry.metadata["high"],
            entry.metadata["choices"],
        )
        for entry in fields(spec)
    ]


def from_dict(options: Mapping[str, Any] | str, base: Path | str | None = None) -> Decoder:
    """Make a decoder spec from a family's name and options, as pipeline files hold them.

    Parameters
    ----------
    options : dict with "family", or the name of a family
        A family with a colon is ``"package.module:attribute"``. It names an object with ``__mnnlite_decoder__`` (see
        `Plugin`) or a function (see `Function`), which gets the options.
    base : path, optional
        The folder that relative paths (``classes``) start from.

    Returns
    -------
    Decoder

    Raises
    ------
    ArgumentError
        The family or an option is unknown (the error names the closest known one), or a value cannot be used.
    DecoderABIError, DecoderError
        A plug-in does not fit, or refuses its options.
    """
    entries = {"family": options} if isinstance(options, str) else dict(options)
    family = entries.pop("family", None)
    if isinstance(family, str) and ":" in family:
        common = {key: entries.pop(key) for key in ("classes", "tensors") if key in entries}
        if base is not None and isinstance(common.get("classes"), str):
            common["classes"] = str(Path(base) / common["classes"])
        kind = Plugin if hasattr(load(family), "__mnnlite_decoder__") else Function
        return kind(family, entries, **common)
    if not isinstance(family, str):
        raise ArgumentError(f"decoder: wanted a family's name, got {family!r}; there are {', '.join(_FAMILIES)}")
    if family not in _FAMILIES:
        raise unknown("decoder family", family, _FAMILIES)
    spec = _FAMILIES[family]
    known = {entry.name: entry for entry in fields(spec)}
    for key, value in entries.items():
        if key not in known:
            raise unknown(f"{family} option", str(key), known)
        if base is not None and known[key].metadata["type"] == "path" and isinstance(value, str):
            entries[key] = str(Path(base) / value)
    return spec(**entries)


def as_decoder(value: Any, base: Path | str | None = None) -> Decoder:
    """Make a decoder spec from a name, a dict, a native decoder or a function.

    Parameters
    ----------
    value : Decoder, str, dict, object with ``__mnnlite_decoder__``, or callable
        A spec; a family's name, or the ``"package.module:attribute"`` of a plug-in or function; a dict of either with options
        (see `from_dict`); a native decoder (see `Plugin`); or a Python function (see `Function`).
    base : path, optional
        The folder that relative paths start from.

    Raises
    ------
    ArgumentError, DecoderABIError, DecoderError
        The value is none of these, or cannot be used.
    """
    if isinstance(value, Decoder):
        return value
    if isinstance(value, (str, Mapping)):
        return from_dict(value, base)
    if hasattr(value, "__mnnlite_decoder__"):
        return Plugin(value)
    if callable(value):
        return Function(value)
    raise ArgumentError(
        f"decoder: got a {type(value).__name__}, wanted a decoder, a family's name, an object with __mnnlite_decoder__ "
        "or a function"
    )
