"""Families by name, and specs made of names, dicts, objects and functions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, fields
from importlib import import_module
from pathlib import Path
from typing import Any

from mnnlite import _core
from mnnlite.decoders.base import Decoder
from mnnlite.decoders.external import load
from mnnlite.decoders.function import Function
from mnnlite.decoders.options import Option, unknown
from mnnlite.decoders.plugin import Plugin
from mnnlite.errors import ArgumentError

# The module that each class is defined in: a device imports those that its pipeline uses.
HOMES = {
    "CenterFace": "detection",
    "Classification": "heads",
    "Ctc": "texts",
    "DbText": "texts",
    "Detr": "anchor_free",
    "Embedding": "heads",
    "FastestDet": "detection",
    "Keypoints": "heads",
    "Lanes": "lanes",
    "Maps": "maps",
    "Mtcnn": "faces",
    "NanoDet": "detection",
    "Raw": "base",
    "Regression": "regression",
    "RetinaFace": "faces",
    "RtmDet": "anchor_free",
    "Scrfd": "faces",
    "Segmentation": "dense",
    "SimCC": "simcc",
    "Ssd": "ssd",
    "Yolo": "yolo",
    "YoloFastestV2": "detection",
    "YuNet": "faces",
}
_CLASSES = {name.lower(): name for name in HOMES}
# In the order of the native registry, which has every built-in family once.
_NAMES = tuple(_core.decoder_families())


def _family(name: str) -> type[Decoder]:
    home = import_module(f"mnnlite.decoders.{HOMES[_CLASSES[name]]}")
    found: type[Decoder] = getattr(home, _CLASSES[name])
    return found


def families() -> dict[str, type[Decoder]]:
    """Every family by its name, which is the class's name in lower case."""
    return {name: _family(name) for name in _NAMES}


def options_of(family: str | type[Decoder]) -> list[Option]:
    """The options of a family, as checks, ``mnnlite inspect --decoders`` and the documentation use them."""
    spec = _family(family) if isinstance(family, str) else family
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
        raise ArgumentError(f"decoder: wanted a family's name, got {family!r}; there are {', '.join(_NAMES)}")
    if family not in _NAMES:
        raise unknown("decoder family", family, _NAMES)
    spec = _family(family)
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
