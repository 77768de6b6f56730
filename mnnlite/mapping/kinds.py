"""The tables of a pipeline that say what is an element of a map, ``[map]``, and how the camera is mounted, ``[camera]``.

::

    [camera]
    height = 1.4                                  # or --mount; keys are the fields of `Mounting`
    pitch = -2.0

    [[map.element]]
    task = "objects"                              # the task with the results; "scene.lanes" if it has several
    labels = ["sign", "board"]                    # its classes; all classes without it
    size = 0.79                                   # usual height in metres: gives the distance of a box
    label = "signs"                               # a task on crops of it that says which one it is
    text = "texts"                                # and one that reads it
    reject = ["other"]                            # what `label` says of boxes that only look like one

    [[map.element]]
    task = "objects"
    labels = ["cone"]
    ground = true                                 # the lower edge of its box is on the road

    [[map.element]]
    task = "objects"
    labels = ["vehicle"]
    shape = "occluder"                            # hides what is behind it, and is no element itself

    [[map.element]]
    task = "scene.lanes"
    shape = "line"
    kind = "lane"

    [map.privacy]
    blur = ["faces"]                              # tasks whose boxes are blurred in crops
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from mnnlite.errors import ArgumentError
from mnnlite.suggest import did_you_mean

if TYPE_CHECKING:
    from mnnlite.pipeline import Pipeline

__all__ = ["ElementRule", "MapRules"]

SHAPES = ("point", "line", "area", "occluder")


@dataclass(frozen=True)
class ElementRule:
    """Which results become elements of the map, and what their places follow from.

    Parameters
    ----------
    task : str
        Name of the task, or ``"task.output"`` if it has several decoders.
    labels : tuple of str
        Classes of the task's results; empty for all.
    kind : str
        The ``kind`` of the elements; empty for the name of the class.
    shape : {"point", "line", "area", "occluder"}
    size : float
        Usual height of the object in the box, in metres; 0 if it is not known.
    size_sigma : float
        Standard deviation of the logarithm of `size`: 0.2 is about 20 per cent.
    ground : bool
        Whether the middle of the box's lower edge is on the road: of what stands upright, not of marks that lie on it.
    aspect : float
        Width by height of the object, seen from the front: gives the direction it faces. 0 for an object without a front.
    label, text : str
        Tasks on crops of the boxes: the class of their results names the element, their text is what stands on it.
    reject : tuple of str
        Labels of that task which say that a thing is no element after all.
    score : float
        Least score of a box.
    near, far : float
        Least and largest distance at which the task should find the object, in metres.
    """

    task: str
    labels: tuple[str, ...] = ()
    kind: str = ""
    shape: str = "point"
    size: float = 0.0
    size_sigma: float = 0.15
    ground: bool = False
    aspect: float = 0.0
    label: str = ""
    text: str = ""
    reject: tuple[str, ...] = ()
    score: float = 0.0
    near: float = 4.0
    far: float = 55.0

    def __post_init__(self) -> None:
        if not isinstance(self.task, str) or not self.task:
            raise ArgumentError("task: wanted the name of a task")
        object.__setattr__(self, "labels", _texts(self.labels))
        object.__setattr__(self, "reject", _texts(self.reject))
        if not all(isinstance(each, str) for each in (*self.labels, *self.reject, self.kind, self.label, self.text)):
            raise ArgumentError("labels, reject: wanted texts")
        if self.reject and not self.label:
            raise ArgumentError("reject: there is no label, the task whose labels these are")
        if self.shape not in SHAPES:
            raise ArgumentError(f"shape: {self.shape!r}; wanted {', '.join(SHAPES)}")
        for name in ("size", "size_sigma", "aspect", "score", "near", "far"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < 10_000:
                raise ArgumentError(f"{name}: {value!r}; wanted a number from 0")
        if not self.near < self.far:
            raise ArgumentError(f"near: {self.near} is not below far, {self.far}")
        if self.shape == "line" and not self.kind:
            object.__setattr__(self, "kind", "line")
        if self.shape == "area" and not self.kind:
            object.__setattr__(self, "kind", "area")


@dataclass(frozen=True)
class MapRules:
    """The whole ``[map]`` table.

    Parameters
    ----------
    elements : tuple of ElementRule
        A result belongs to the first rule that fits it.
    blur : tuple of str
        Tasks whose boxes are blurred in crops.
    """

    elements: tuple[ElementRule, ...]
    blur: tuple[str, ...] = ()

    @classmethod
    def of(cls, table: Mapping[str, Any], tasks: Sequence[str] | None = None) -> MapRules:
        """Read the table; with `tasks`, each task that it names must be one of these.

        Raises
        ------
        ArgumentError
            A key or a task is unknown, or there is no element.
        """
        _known("map", table, ("element", "privacy"))
        entries = table.get("element", [])
        if not isinstance(entries, Sequence) or not entries:
            raise ArgumentError("map: there is no [[map.element]], so nothing would be an element")
        rules = []
        for index, entry in enumerate(entries):
            where = f"map.element[{index}]"
            if not isinstance(entry, Mapping):
                raise ArgumentError(f"{where}: wanted a table")
            _known(where, entry, [each.name for each in fields(ElementRule)])
            try:
                rule = ElementRule(**entry)
            except (ArgumentError, TypeError) as error:
                raise ArgumentError(f"{where}: {error}") from None
            for name in (rule.task, rule.label, rule.text):
                _is_task(where, name.split(".")[0], tasks)
            rules.append(rule)
        privacy = table.get("privacy", {})
        _known("map.privacy", privacy, ("blur",))
        blur = _texts(privacy.get("blur", ()))
        for name in blur:
            _is_task("map.privacy", name.split(".")[0], tasks)
        return cls(tuple(rules), blur)

    @classmethod
    def of_pipeline(cls, pipeline: Pipeline) -> MapRules:
        """Read the table of a pipeline; errors name the file and the line.

        Raises
        ------
        PipelineError
        """
        try:
            rules = cls.of(pipeline.map, list(pipeline.tasks))
            for index, rule in enumerate(rules.elements):
                names = _names_of(pipeline, rule.task)
                for label in rule.labels if names else ():
                    if label not in names:
                        hint = did_you_mean(label, names, before="; ")
                        raise ArgumentError(f"map.element[{index}]: task {rule.task!r} knows no label {label!r}{hint}")
            return rules
        except ArgumentError as error:
            raise pipeline.blame("map", error) from None

    def to_table(self) -> dict[str, Any]:
        """The table that `of` reads these rules from."""
        plain = ElementRule("task")
        entries = []
        for rule in self.elements:
            entry: dict[str, Any] = {"task": rule.task}
            for each in fields(rule):
                value = getattr(rule, each.name)
                if each.name != "task" and value != getattr(plain, each.name):
                    entry[each.name] = list(value) if isinstance(value, tuple) else value
            entries.append(entry)
        table: dict[str, Any] = {"element": entries}
        if self.blur:
            table["privacy"] = {"blur": list(self.blur)}
        return table


def _texts(value: Any) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)


def _known(where: str, table: Any, names: Sequence[str]) -> None:
    if not isinstance(table, Mapping):
        raise ArgumentError(f"{where}: wanted a table, got {table!r}")
    for key in table:
        if key not in names:
            hint = did_you_mean(str(key), names, f"known are {', '.join(names)}")
            raise ArgumentError(f"{where}: unknown key {key!r}; {hint}")


def _is_task(where: str, name: str, tasks: Sequence[str] | None) -> None:
    if name and tasks is not None and name not in tasks:
        raise ArgumentError(f"{where}: nothing gives it: there is no task {name!r}; there are {', '.join(tasks)}")


def _names_of(pipeline: Pipeline, task: str) -> tuple[str, ...]:
    """The names of a result's classes, where its decoder has any."""
    name, _, output = task.partition(".")
    decoder = pipeline.tasks[name].decoder
    if output and isinstance(decoder, Mapping) and "family" not in decoder:
        decoder = decoder.get(output)
    return tuple(getattr(decoder, "names", ()))
