"""mnnlite's own description: a `TaskSpec` as JSON under the key ``mnnlite`` of an .mnn file's ``bizCode``."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import MISSING, fields
from typing import Any

from mnnlite import decoders
from mnnlite.decoders import Decoder
from mnnlite.decoders.options import names_from
from mnnlite.errors import ArgumentError
from mnnlite.specs import ImageSpec, TaskSpec

__all__ = ["KEY", "PARTS", "VERSION", "task_spec", "to_dict"]

KEY = "mnnlite"
VERSION = 1
# Of the machine that runs it, or of other files: not of the network.
_LEFT_OUT = ("model", "threads", "external", "feed", "sha256", "weights_sha256", "trial")
PARTS = tuple(entry.name for entry in fields(TaskSpec) if entry.name not in _LEFT_OUT)


def to_dict(spec: TaskSpec) -> dict[str, Any]:
    """A task as plain data, without the model's path; names of classes in it, not beside it.

    Raises
    ------
    ArgumentError
        A decoder from outside: a file must not say what code is run.
    """
    result: dict[str, Any] = {"version": VERSION}
    for entry in fields(TaskSpec):
        value = getattr(spec, entry.name)
        usual = entry.default if entry.default_factory is MISSING else entry.default_factory()
        if entry.name in _LEFT_OUT or value == usual:
            continue
        if entry.name == "image":
            value = _each(value, ImageSpec, _image)
        elif entry.name == "decoder":
            value = _each(value, (Decoder, str), _decoder)
        result[entry.name] = value
    return result


def _each(value: Any, one: Any, write: Any) -> Any:
    return write(value) if isinstance(value, one) else {name: write(each) for name, each in value.items()}


def _image(spec: ImageSpec) -> dict[str, Any]:
    usual = ImageSpec(color=spec.color)
    return {
        "color": spec.color,
        **{
            entry.name: getattr(spec, entry.name)
            for entry in fields(spec)
            if getattr(spec, entry.name) != getattr(usual, entry.name)
        },
    }


def _decoder(spec: Decoder | str) -> Any:
    if isinstance(spec, str):
        return spec
    table = spec.to_dict()
    if spec.family not in decoders.families():
        raise ArgumentError(
            f"decoder {spec.title!r} comes from outside; a model file only holds built-in ones: say it in a pipeline file"
        )
    for option in decoders.options_of(spec.family):
        if option.type == "path" and isinstance(table.get(option.name), str):
            table[option.name] = list(names_from(table[option.name], option.name))
    return table


def task_spec(path: Any, said: Any) -> TaskSpec:
    """The task that a file says.

    Parameters
    ----------
    path : path or bytes
        What becomes the task's model.
    said : object
        What stands under the key; nothing of it is believed.

    Raises
    ------
    ArgumentError
        It cannot be used: says what, and what to do.
    """
    where = f"the description {KEY!r} in {path if isinstance(path, (str, os.PathLike)) else 'the model'}"
    if not isinstance(said, Mapping) or not isinstance(said.get("version"), int):
        raise ArgumentError(f"{where} has no version; write it anew with mnnlite convert")
    if said["version"] > VERSION:
        raise ArgumentError(
            f"{where} is of version {said['version']}, this mnnlite reads up to {VERSION}; update mnnlite"
        )
    known = set(PARTS)
    options = {name: value for name, value in said.items() if name != "version"}
    for name in options:
        if name not in known:
            raise ArgumentError(f"{where}: unknown part {name!r}")
    try:
        if "image" in options:
            options["image"] = _one_or_more(options["image"], "color", lambda table: ImageSpec(**table))
        if "decoder" in options:
            options["decoder"] = _one_or_more(options["decoder"], "family", _from_dict)
        return TaskSpec(path, **options)
    except (ArgumentError, TypeError) as error:
        raise ArgumentError(f"{where}: {error}") from None


def _one_or_more(value: Any, key: str, make: Any) -> Any:
    if isinstance(value, str) or (isinstance(value, Mapping) and key in value):
        return make(value)
    if not isinstance(value, Mapping) or not all(isinstance(each, Mapping) for each in value.values()):
        raise ArgumentError(f"wanted a table with {key!r}, got {value!r:.60}")
    return {name: make(each) for name, each in value.items()}


def _from_dict(table: Mapping[str, Any] | str) -> Decoder | str:
    if isinstance(table, str):
        table = {"family": table}
    family = table.get("family")
    if family not in decoders.families():
        raise ArgumentError(
            f"decoder: there is no built-in family {family!r}; there are {', '.join(decoders.families())}"
        )
    for option in decoders.options_of(str(family)):
        if option.type == "path" and isinstance(table.get(option.name), str):  # a model names no files of this machine
            raise ArgumentError(f"{option.name}: wanted a list of names, got a path")
    return "raw" if family == "raw" and len(table) == 1 else decoders.from_dict(table)
