"""Networks as arguments of commands: what is a model, what is a pipeline, and what is neither."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from mnnlite import conversion, descriptions, pipeline
from mnnlite.errors import ArgumentError
from mnnlite.files import refuse_address
from mnnlite.model import check_kind
from mnnlite.pipeline import Pipeline

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mnnlite.descriptions import Description

__all__ = ["check_network", "is_pipeline", "network_file", "pipeline_of"]


def is_pipeline(path: Path | str) -> bool:
    """Whether an argument is a pipeline file, by its name."""
    return Path(path).suffix.lower() == ".toml"


def check_network(path: Path | str) -> None:
    """Refuse what no .mnn file can be, by its name.

    Raises
    ------
    ArgumentError, ModelError
        A pipeline, or an address.
    """
    if is_pipeline(path):
        raise ArgumentError(f"{path} is a pipeline; wanted an .mnn file")
    refuse_address(path)
    if not conversion.is_foreign(path):
        check_kind(str(path))


def network_file(path: Path | str, shapes: Mapping[str, tuple[int, ...]] | None = None) -> str:
    """The .mnn file of an argument: an .onnx or .tflite file is converted into the cache, once.

    Raises
    ------
    ArgumentError, ModelError
        As `check_network`; or it cannot be converted.
    """
    check_network(path)
    return str(conversion.ready(path, shapes))


def pipeline_of(
    path: Path | str, shapes: Mapping[str, tuple[int, ...]] | None = None, code: bool = True
) -> tuple[Pipeline, Description | None]:
    """A pipeline: that of a file, or of one network, as it describes itself.

    Parameters
    ----------
    path : path
        A .toml file, or a network: .mnn, .onnx or .tflite.
    shapes : dict of str to tuple of int, optional
        Of a network: shapes of inputs, as ``--shape`` says them.
    code : bool
        As in `mnnlite.pipeline.load`.

    Raises
    ------
    PipelineError, ModelError, ArgumentError
        It cannot be used; or the network does not say enough.
    """
    if is_pipeline(path):
        if shapes:
            raise ArgumentError(f"--shape is for a network; {path} is a pipeline: say shapes = {{ ... }} in its task")
        return pipeline.load(path, code=code), None
    found = descriptions.describe(network_file(path, shapes), shapes=shapes, source=path)
    name = re.sub(r"[^A-Za-z0-9_-]+", "_", Path(path).stem) or "task"
    if found.task_spec is None:
        raise ArgumentError(f"{path}: {found.question} (mnnlite new {path} -o {name}.toml writes one to go on from)")
    return Pipeline({name: found.task_spec}), found
