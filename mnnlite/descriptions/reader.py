"""From a path to a description."""

from __future__ import annotations

import os
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mnnlite import _core
from mnnlite.decoders import Segmentation
from mnnlite.descriptions import beside, cut, mnnfile, onnxfile, own, tails, texts, tflitefile, yolo
from mnnlite.descriptions.description import Description, Network, Reading
from mnnlite.descriptions.fits import NOT_SAID, fits, reading
from mnnlite.descriptions.published import Published, published
from mnnlite.errors import ArgumentError
from mnnlite.model import Model

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mnnlite.descriptions.fit import Fit
    from mnnlite.specs import TaskSpec

__all__ = ["SelfDescription", "carry", "describe", "embed", "network_of", "read_file", "size_of"]

_OTHER_FILES = {".onnx": "an ONNX", ".tflite": "a TFLite"}


class SelfDescription:
    """What an .mnn file says before it is loaded: enough to load it in its shapes, and to read it once it is.

    Parameters
    ----------
    path : path
    source : path, optional
        What it was converted from, where users know that and not `path`.

    Raises
    ------
    ModelNotFoundError, ModelFormatError
    """

    def __init__(self, path: str | os.PathLike[str], source: str | os.PathLike[str] | None = None) -> None:
        self.path = os.fspath(path)
        self.called = self.path if source is None else os.fspath(source)
        self.said = {**beside.read(self.path), **mnnfile.read(path)}

    def task_spec(self) -> TaskSpec | None:
        """The task, if mnnlite wrote it into the file; None otherwise.

        Raises
        ------
        ArgumentError
            It cannot be used.
        """
        return own.task_spec(self.called, self.said[own.KEY]) if own.KEY in self.said else None

    def image_sizes(self) -> list[_core.ImageHint]:
        """Sizes of inputs that the file leaves open, as `Model` takes them."""
        size = size_of(self.said)
        if size is None:
            return []
        width, height, channels, batch = size
        return [_core.ImageHint(width=width, height=height, channels=channels, batch=batch)]

    def read(self, model: Model) -> Description:
        """The description of the loaded network.

        Raises
        ------
        ArgumentError
            What the file says contradicts its tensors.
        """
        spec = self.task_spec()
        if spec is not None:
            name = Path(self.called).name
            where = f"mnnlite's description in {name}" if self.called == self.path else f"what {name} says of itself"
            parts = [part for part in own.PARTS if part in self.said[own.KEY]]
            return Description(self.called, spec, dict.fromkeys(parts, where))
        return _read(network_of(self.called, model), self.said)


def size_of(said: Mapping[str, Any]) -> tuple[int, int, int, int] | None:
    """Width, height, channels and batch of the picture that a file asks for, where its exporter says so, or is known."""
    if yolo.said_by_yolo(said):
        return yolo.size_of(said)
    return texts.size_of(said) if texts.said_by_text_exporter(said) else None


def network_of(path: str, model: Model) -> Network:
    """A loaded network's tensors."""
    outputs = tuple(model.outputs.values())
    names = {info.name for info in outputs}
    makers = {name: kind for name, kind, _ in model.operators() if name in names}
    return Network(path, tuple(model.inputs.values()), outputs, makers)


def _read(network: Network, said: Mapping[str, Any]) -> Description:
    if yolo.said_by_yolo(said):
        found = [yolo.yolo(network, said, "the exporter's description")]
        return Description.of(network, tails.upsampling(network, found, said.get(tails.KEY)))
    if texts.said_by_text_exporter(said):
        return Description.of(network, [texts.recognition(network, said, "the exporter's description")])
    known = published(said, network.path)
    fitting = list(cut.fits(network, said.get(cut.KEY), known.names)) or fits(network, known.names)
    if isinstance(said.get(tails.KEY), dict):  # it says itself that these are scores
        fitting = [fit for fit in fitting if isinstance(fit.decoder, (Segmentation, dict))] or fitting
    return _by_tensors(network, known, fitting, said.get(tails.KEY))


def _by_tensors(network: Network, known: Published, found: list[Fit], upsampled: Any = None) -> Description:
    if known.families:
        found = [fit for fit in found if isinstance(fit.decoder, known.families)]
        if not found:
            raise ArgumentError(
                f"{network.path}: {known.meant_by}, but no such decoder fits {network.listed()}; say what holds with image= "
                "and decoder=, in Python or in a pipeline file"
            )
    readings = tails.upsampling(network, [_reading(network, fit, known) for fit in found], upsampled)
    if len(readings) != 1:
        return Description.of(network, readings)
    missing = [part for part, why in readings[0].sources.items() if why == NOT_SAID]
    question = ""
    if missing:
        question = (
            f"its outputs are read by {readings[0].title}, but nothing says {', '.join(missing)}: what its trainer fed; say it "
            "with image=ImageSpec(...) and decoder=..., in Python or in a pipeline file"
        )
    return Description.of(network, readings, question)


def _reading(network: Network, fit: Fit, known: Published) -> Reading:
    options = {
        name: value
        for name, value in known.options.items()
        if not isinstance(fit.decoder, dict) and name in {entry.name for entry in fields(fit.decoder)}
    }
    if options and not isinstance(fit.decoder, dict):
        fit = replace(fit, decoder=replace(fit.decoder, **options))
    found = reading(network, fit, known.image, known.where)
    sources = dict(found.sources)
    if known.names and getattr(fit.decoder, "classes", None):
        sources["decoder.classes"] = known.names_from
    if known.meant_by:
        sources["decoder"] = f"{known.meant_by}; {sources['decoder']}"
    return Reading(found.task_spec, sources)


def read_file(path: str | os.PathLike[str]) -> tuple[dict[str, Any], Network]:
    """What an .onnx or .tflite file and the files beside it say, and its tensors.

    Raises
    ------
    ModelNotFoundError, ModelFormatError
    """
    makers: dict[str, str] = {}
    if Path(path).suffix.lower() == ".onnx":
        said, inputs, outputs, makers = onnxfile.read(path)
    else:
        said, inputs, outputs = tflitefile.read(path)
        if yolo.said_by_yolo(said):
            said = {**said, "boxes": "relative"}  # as its exporter writes them into TFLite files
    network = Network(os.fspath(path), tuple(inputs), tuple(outputs), makers)
    return {**beside.read(network.path), **said}, network


def describe(
    path: str | os.PathLike[str],
    *,
    shapes: Mapping[str, Sequence[int]] | None = None,
    source: str | os.PathLike[str] | None = None,
) -> Description:
    """Say how a network is used, with nothing but its file.

    Parameters
    ----------
    path : path
        An ``.mnn``, ``.onnx`` or ``.tflite`` file. For the latter two, the description says how to use the converted network.
    shapes : dict of str to tuple of int, optional
        Shapes of inputs that an .mnn file leaves open and does not describe.
    source : path, optional
        The file that an .mnn file was converted from. The description names that file.

    Returns
    -------
    Description
        `Task` and `Runtime.add` take its ``task_spec``. If the file does not say enough, there is none, but the readings
        that fit and a question.

    Raises
    ------
    ModelNotFoundError, ModelFormatError, UnsupportedModelError
    ArgumentError
        What the file says contradicts its tensors, or an input has an open shape that is not given.

    Notes
    -----
    It reads what the exporter wrote in ``bizCode``, ``metadata_props`` or a zip behind the file, the TFLite task library's
    metadata, and ``config.json`` and ``preprocessor_config.json`` beside the file. It loads an .mnn once, to see its tensors,
    and closes it. It runs neither the network nor code that a file names.
    """
    if Path(path).suffix.lower() in _OTHER_FILES:
        said, network = read_file(path)
        return _read(network, said)
    found = SelfDescription(path, source)
    with Model(found.path, shapes=shapes, _images=() if shapes else found.image_sizes()) as model:
        return found.read(model)


def embed(path: str | os.PathLike[str], spec: TaskSpec | None, said: Mapping[str, Any] | None = None) -> None:
    """Write a task into an .mnn file, so that a board needs only this file.

    Parameters
    ----------
    path : path
        An ``.mnn`` file. It is replaced when the new one is whole, and keeps what its exporter wrote.
    spec : TaskSpec, optional
        How the network is used; its ``model`` does not matter. None: only `said` is written.
    said : dict, optional
        What an exporter said about the network elsewhere, as in the file that it was converted from.

    Raises
    ------
    ArgumentError
        The decoder is one from outside, which a file must not name, or the file has no room for a description.
    ModelNotFoundError, ModelFormatError, OutputError
    """
    mine = {} if spec is None else {own.KEY: own.to_dict(spec)}
    mnnfile.write(path, {**mnnfile.read(path), **(said or {}), **mine})


def carry(source: str | os.PathLike[str], target: str | os.PathLike[str]) -> Description | None:
    """Take what a file says of itself into the .mnn that was converted from it, with the task that follows.

    Parameters
    ----------
    source : path
        An ``.onnx`` or ``.tflite`` file.
    target : path
        The ``.mnn`` file; it is rewritten in place.

    Returns
    -------
    Description or None
        What the converted file now says; None where it cannot be told, as with open shapes that nobody says. A question,
        or words that contradict the tensors, are no error here: the converted network is whole.
    """
    said, _ = read_file(source)
    if said:
        embed(target, None, said)
    try:
        found = describe(target)
    except ArgumentError:
        return None
    if found.task_spec is not None and not any(why == NOT_SAID for why in found.sources.values()):
        embed(target, found.task_spec)
    return found
