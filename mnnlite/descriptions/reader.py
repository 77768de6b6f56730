"""From a path to a description."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mnnlite.descriptions import mnnfile, own, yolo
from mnnlite.descriptions.description import Description, Network
from mnnlite.model import Model

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mnnlite.specs import TaskSpec

__all__ = ["SelfDescription", "describe", "embed"]


class SelfDescription:
    """What an .mnn file says before it is loaded: enough to load it in its shapes, and to read it once it is.

    Parameters
    ----------
    path : path

    Raises
    ------
    ModelNotFoundError, ModelFormatError
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = os.fspath(path)
        self.said = mnnfile.read(path)

    def task_spec(self) -> TaskSpec | None:
        """The task, if mnnlite wrote it into the file; None otherwise.

        Raises
        ------
        ArgumentError
            It cannot be used.
        """
        return own.task_spec(self.path, self.said[own.KEY]) if own.KEY in self.said else None

    def image_sizes(self) -> list[tuple[str, int, int, int, int, str]]:
        """Sizes of inputs that the file leaves open, as `Model` takes them."""
        size = yolo.size_of(self.said) if yolo.said_by_yolo(self.said) else None
        return [] if size is None else [("", *size, "")]

    def read(self, model: Model) -> Description:
        """The description of the loaded network.

        Raises
        ------
        ArgumentError
            What the file says contradicts its tensors.
        """
        network = Network(self.path, tuple(model.inputs.values()), tuple(model.outputs.values()))
        spec = self.task_spec()
        if spec is not None:
            where = f"mnnlite's description in {Path(self.path).name}"
            parts = [part for part in own.PARTS if part in self.said[own.KEY]]
            return Description(self.path, spec, dict.fromkeys(parts, where))
        if yolo.said_by_yolo(self.said):
            return Description.of(network, [yolo.yolo(network, self.said, "the exporter's description")])
        return Description.of(network, [])


def describe(path: str | os.PathLike[str], *, shapes: Mapping[str, Sequence[int]] | None = None) -> Description:
    """Say how a network is used, with nothing but its file.

    Parameters
    ----------
    path : path
        An ``.mnn`` file.
    shapes : dict of str to tuple of int, optional
        Shapes of inputs that the file leaves open and does not describe.

    Returns
    -------
    Description
        Its ``task_spec`` can be given to `Task` and `Runtime.add`. Where the file does not say enough, there is none, but
        the readings that fit and a question.

    Raises
    ------
    ModelNotFoundError, ModelFormatError, UnsupportedModelError
    ArgumentError
        What the file says contradicts its tensors; or an input has an open shape that nobody says.

    Notes
    -----
    Loads the network once, to see its tensors, and closes it. Nothing is executed, and no code that a file names.
    """
    said = SelfDescription(path)
    with Model(said.path, shapes=shapes, _images=() if shapes else said.image_sizes()) as model:
        return said.read(model)


def embed(path: str | os.PathLike[str], spec: TaskSpec, said: Mapping[str, Any] | None = None) -> None:
    """Write a task into an .mnn file, so that the file is all a board needs.

    Parameters
    ----------
    path : path
        An ``.mnn`` file; it is replaced when the new one is whole. What its exporter said stays.
    spec : TaskSpec
        How it is used; the model in it does not matter.
    said : dict, optional
        What an exporter said of the network elsewhere, as in the file it was converted from.

    Raises
    ------
    ArgumentError
        A decoder from outside, which a file must not name; or the file has no room for a description.
    ModelNotFoundError, ModelFormatError, OutputError
    """
    known = mnnfile.read(path)
    mnnfile.write(path, {**known, **(said or {}), own.KEY: own.to_dict(spec)})
