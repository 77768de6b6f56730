"""How a network is used, part by part, and where each part comes from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mnnlite.errors import ArgumentError
from mnnlite.specs import ImageSpec, TaskSpec, TensorInfo

if TYPE_CHECKING:
    from typing_extensions import Self

    from mnnlite.decoders import Decoder

__all__ = ["Description", "Network", "Reading", "dims"]


def dims(shape: Sequence[int]) -> str:
    """``1x3x640x640``; an open axis is a question mark."""
    return "x".join("?" if extent < 0 else str(extent) for extent in shape) or "scalar"


@dataclass(frozen=True)
class Network:
    """A file's name and its tensors, from which readings are made.

    Parameters
    ----------
    path : str
        The name of the file in messages.
    inputs, outputs : tuple of TensorInfo
        -1 is an open axis.
    makers : dict of str to str
        By output: the operator that makes it, such as ``"Softmax"``, if it is known.
    """

    path: str
    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]
    makers: Mapping[str, str] = field(default_factory=dict)

    def listed(self) -> str:
        """The outputs as messages show them."""
        return ", ".join(f"{info.name} {dims(info.shape)}" for info in self.outputs)


@dataclass(frozen=True)
class Reading:
    """One way to use a network.

    Parameters
    ----------
    task_spec : TaskSpec
    sources : dict of str to str
        By part (``image.size``, ``decoder``): where it comes from.
    """

    task_spec: TaskSpec
    sources: Mapping[str, str] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """The reading in a few words."""
        decoders = self.task_spec.decoder
        several = decoders if isinstance(decoders, Mapping) else {"": decoders}
        return " and ".join(dict.fromkeys(_title(each) for each in several.values()))


def _title(decoder: Decoder | str) -> str:
    if isinstance(decoder, str):
        return decoder
    table = decoder.to_dict()
    said = [
        f"{key}={value!r}"
        for key, value in table.items()
        if key not in ("family", "classes", "keys", "tensors", "anchors", "score", "iou", "top_k")
    ]
    return f"{type(decoder).__name__}({', '.join(said)})"


@dataclass(frozen=True)
class Description:
    """How a network is used: what its file says, and what its tensors show.

    Parameters
    ----------
    path : str
    task_spec : TaskSpec or None
        None if the file does not say enough. Then `candidates` are the readings that fit, and `question` says what is
        missing.
    sources : dict of str to str
        By part of `task_spec` (``image.size``, ``image.color``, ``decoder``, ``decoder.classes`` and so on): where it comes
        from, which is what the file says, what its tensors show, or the convention of its exporter.
    candidates : tuple of Reading
        All readings, if there is more than one.
    question : str
        What somebody who knows the network has to say; "" if nothing is missing.
    """

    path: str
    task_spec: TaskSpec | None = None
    sources: Mapping[str, str] = field(default_factory=dict)
    candidates: tuple[Reading, ...] = ()
    question: str = ""

    @classmethod
    def of(cls, network: Network, readings: Sequence[Reading], question: str = "") -> Self:
        """A description of one reading, or a question."""
        if len(readings) == 1 and not question:
            return cls(network.path, readings[0].task_spec, readings[0].sources)
        if not question and not readings:
            question = (
                f"it does not say how it is used, and no decoder is known for {network.listed()}; give it "
                "image=ImageSpec(...) and decoder=..., in Python or in a pipeline file"
            )
        elif not question:
            question = (
                f"{network.listed()} can be read as {' or as '.join(reading.title for reading in readings)}; "
                "say which with decoder= (and image=), in Python or in a pipeline file"
            )
        return cls(network.path, None, {}, tuple(readings), question)

    def one(self) -> TaskSpec:
        """The task, for callers that cannot continue without one.

        Raises
        ------
        ArgumentError
            There is a question, which is the message of the error.
        """
        if self.task_spec is None:
            raise ArgumentError(f"{self.path}: {self.question}")
        return self.task_spec

    @property
    def title(self) -> str:
        """The reading in a few words; "" if there is a question."""
        return "" if self.task_spec is None else Reading(self.task_spec).title

    def lines(self) -> list[str]:
        """One line per part with its value and its source; or the question and the candidates."""
        if self.task_spec is None:
            found = [f"{self.path}: {self.question}"]
            for number, reading in enumerate(self.candidates, 1):
                found += [
                    f"  {number}. {reading.title}",
                    *(f"     {part}: {why}" for part, why in reading.sources.items()),
                ]
            return found
        return [f"{part}: {_value(self.task_spec, part)} ({why})" for part, why in self.sources.items()]


def _value(spec: TaskSpec, part: str) -> str:
    """What a part is, in a line."""
    head, _, name = part.partition(".")
    if head == "image":
        image = next(iter(spec.image.values())) if isinstance(spec.image, Mapping) else spec.image
        return str(getattr(image, name, "")) if isinstance(image, ImageSpec) else "none"
    if head == "decoder":
        decoder = next(iter(spec.decoder.values())) if isinstance(spec.decoder, Mapping) else spec.decoder
        value = getattr(decoder, name, None) if name else None
        if isinstance(value, tuple) and len(value) > 4:
            return f"{', '.join(map(str, value[:3]))} ... ({len(value)})"
        return str(value) if name else Reading(spec).title
    return str(getattr(spec, head, ""))
