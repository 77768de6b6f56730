"""Pipeline files: the tasks of a stream as TOML, in and out.

::

    [[task]]
    name = "objects"
    model = "fastestdet.mnn"                     # relative to the file's folder
    image = { size = [352, 352], color = "BGR", std = [255, 255, 255] }
    decoder = { family = "fastestdet", score = 0.5, classes = "coco.names" }

    [[task]]
    name = "road"
    model = "twinlitenet.mnn"
    image = { size = [640, 360], std = [255, 255, 255] }

    [task.decoder.drivable]                      # several decoders of one inference: a table each, with a `family`
    family = "segmentation"
    tensors = ["da"]                             # the outputs it reads; not needed if it is named like its output

    [task.decoder.ll]
    family = "segmentation"

The keys of ``[[task]]`` are the fields of `TaskSpec` and the arguments of `Runtime.add` (``every``, ``after``,
``deadline_ms`` and so on). The keys of ``[runtime]`` are the arguments of `Runtime`, those of ``image`` are the fields of
`ImageSpec`, and those of a decoder are the options of its family. A network with several images takes a table of tables:
``image = { left = { ... }, ... }``. ``mnnlite new`` writes a pipeline for networks that say how they are used.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, dataclass, field, fields
from graphlib import CycleError, TopologicalSorter
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mnnlite import _toml, decoders
from mnnlite.errors import (
    ArgumentError,
    DecoderABIError,
    DecoderError,
    MnnliteError,
    PipelineError,
)
from mnnlite.files import atomic_write, read_text
from mnnlite.runtime import Runtime
from mnnlite.runtime.budget import parse
from mnnlite.runtime.loaded_task import needs_of
from mnnlite.runtime.schedule import Schedule
from mnnlite.specs import ImageSpec, TaskSpec
from mnnlite.suggest import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable

    from mnnlite.decoders import Decoder

__all__ = ["Pipeline", "dumps", "load", "save"]

_RUNTIME = tuple(signature(Runtime).parameters)
_NETWORKS = (".mnn", ".onnx", ".tflite")
_PATHS = ("model", "external")  # the fields of TaskSpec that name files


@dataclass(frozen=True)
class Pipeline:
    """The tasks of a stream, by name and in order.

    Parameters
    ----------
    tasks : dict of str to TaskSpec
    runtime : dict
        The arguments of `Runtime`.
    schedules : dict of str to Schedule
        When each task runs and on what, as `Runtime.add` takes it. Tasks without a schedule run on every whole frame.
    map, camera : dict
        The tables ``[map]``, which says what becomes an element of a map, and ``[camera]``, which says how the camera is
        mounted. `mnnlite.mapping` checks them.
    """

    tasks: Mapping[str, TaskSpec]
    runtime: Mapping[str, Any] = field(default_factory=dict)
    schedules: Mapping[str, Schedule] = field(default_factory=dict)
    map: Mapping[str, Any] = field(default_factory=dict)
    camera: Mapping[str, Any] = field(default_factory=dict)
    # Of a loaded file: where an error of `open` comes from.
    _nodes: Mapping[str, _Node] = field(default_factory=dict, repr=False, compare=False)

    def open(self, *, _on_task: Callable[[str], object] | None = None) -> Runtime:
        """Make a Runtime and load all tasks into it.

        Returns
        -------
        Runtime
            The runtime. Close it, or use it in a ``with`` block.

        Raises
        ------
        PipelineError
            The runtime cannot have these settings here, such as more lanes than cores.
        MnnliteError
            A task could not be loaded; the error names it.
        """
        try:
            runtime = Runtime(**self.runtime)
        except ArgumentError as error:
            if "runtime" in self._nodes:
                raise self._nodes["runtime"].blame(error) from None
            raise
        try:
            tasks, schedules = self._tuned()
            order = self.order()
            for names in [order] if _on_task is None else [[name] for name in order]:  # one at a time, to be looked at
                chosen = {name: schedules[name] for name in names if name in schedules}
                runtime.add_all({name: tasks[name] for name in names}, chosen)
                if _on_task is not None:
                    _on_task(names[0])
        except BaseException:
            runtime.close()
            raise
        return runtime

    def _tuned(self) -> tuple[Mapping[str, TaskSpec], Mapping[str, Schedule]]:
        """With ``tune="auto"`` the tasks as they are best together, by what was measured of each network."""
        if self.runtime.get("tune") is None:
            return self.tasks, self.schedules
        memory = self.runtime.get("memory")
        counts = {key: int(self.runtime.get(key, 1)) for key in ("lanes", "threads")}
        tasks = {name: self.tasks[name] for name in self.order()}
        from mnnlite.runtime.tuned import placed, tuned  # not for those who do not tune

        found, lanes = tuned(tasks, self.schedules, memory=None if memory is None else parse(memory), **counts)
        return found, placed(self.schedules, lanes, self.runtime)

    def blame(self, table: str, error: MnnliteError) -> PipelineError:
        """An error about ``[map]`` or ``[camera]`` as a `PipelineError`, with file and line if they are known."""
        return self._nodes[table].error(str(error)) if table in self._nodes else PipelineError(str(error), key=table)

    def order(self) -> list[str]:
        """The names of the tasks; a task comes after those that it reads from."""
        needs = {name: needs_of(spec, self.schedules.get(name, Schedule())) for name, spec in self.tasks.items()}
        return list(TopologicalSorter(needs).static_order())


def load(path: str | os.PathLike[str], *, code: bool = True) -> Pipeline:
    """Read a pipeline file.

    Parameters
    ----------
    path : path
        A TOML file; paths in it are relative to its folder.
    code : bool
        Whether a decoder may be code of the file's author: a decoder ``package.module:attribute`` is imported, which runs the
        module. Pass False for a file that you do not trust.

    Returns
    -------
    Pipeline
        All of it has been checked, as far as that is possible without loading a model. The files that it names exist.

    Raises
    ------
    PipelineError
        The file does not exist or is not TOML, a key is unknown, a value has the wrong type or cannot be used, or a file that
        it names is missing. The error has ``file``, ``line`` and ``key``.
    """
    try:
        file = os.fsdecode(path)
    except TypeError:
        raise ArgumentError(f"the pipeline is a {type(path).__name__}; wanted the path of a TOML file") from None
    if os.path.splitext(file)[1].lower() in _NETWORKS:
        raise PipelineError(
            f"it is a network, not a pipeline: mnnlite new {file} -o pipeline.toml writes one, Task({file!r}) needs none",
            file=file,
        )
    try:
        text = read_text(path)
    except OSError as error:
        raise PipelineError(f"cannot read the pipeline: {error.strerror}", file=file) from None
    except UnicodeDecodeError as error:
        raise PipelineError(f"not UTF-8 at byte {error.start}", file=file) from None
    try:
        values, lines = _toml.loads(text)
    except ValueError as error:
        found = re.search(r" \(at line (\d+), column (\d+)\)", str(error))
        line = int(found[1]) if found else text.count("\n") + 1
        raise PipelineError(f"not TOML: {error}", file=file, line=line) from None
    return _pipeline(_Node(file, lines, (), "", values, code))


class _Node:
    """A value of the file, with its file, line and key."""

    def __init__(
        self, file: str, lines: Mapping[_toml.Key, int], path: _toml.Key, key: str, value: Any, code: bool
    ) -> None:
        self.code = code
        self.file, self.lines, self.path, self.key, self.value = file, lines, path, key, value

    @property
    def folder(self) -> Path:
        return Path(self.file).absolute().parent

    def error(self, message: str) -> PipelineError:
        return PipelineError(message, file=self.file, line=self.lines.get(self.path), key=self.key or None)

    def below(self, part: str | int, key: str | None = None) -> _Node:
        shown = f"[{part}]" if isinstance(part, int) else f".{part}" if self.key else part
        return _Node(self.file, self.lines, (*self.path, part), key or self.key + shown, self.value[part], self.code)

    def table(self, known: Iterable[str] | None = None) -> dict[str, _Node]:
        """The entries of the table; with `known`, other keys are refused."""
        if not isinstance(self.value, dict):
            raise self.error(f"wanted a table, got {_described(self.value)}")
        nodes = {key: self.below(key) for key in self.value}
        if known is not None:
            names = sorted(known)
            for key, node in nodes.items():
                if key not in names:
                    raise node.error(did_you_mean(key, names, _choice(names), before="unknown key; "))
        return nodes

    def text(self) -> str:
        if not isinstance(self.value, str):
            raise self.error(f"wanted a text, got {_described(self.value)}")
        return self.value

    def file_path(self) -> str:
        path = self.folder / self.text()
        if not path.is_file():
            raise self.error(f"there is no file {str(path)!r}; paths are relative to the pipeline's folder")
        return str(path)

    def blame(self, error: MnnliteError) -> PipelineError:
        """The error of a spec as one of the file, at the key that it names."""
        found = re.match(r"(?:\w+\.)?(\w+)(?:\[(\d+)\])?(: | is |=)", str(error))
        if found is None or not isinstance(self.value, dict) or found[1] not in self.value:
            return self.error(str(error))
        node = self.below(found[1])
        if found[2] is not None and isinstance(node.value, list) and int(found[2]) < len(node.value):
            node = node.below(int(found[2]))
        return node.error(str(error)[found.end() :] if found[3] == ": " else str(error))


def _described(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "a table" if isinstance(value, dict) else "a list" if isinstance(value, list) else repr(value)


def _choice(names: list[str]) -> str:
    return f"unknown key; known are {', '.join(names)}"


def _pipeline(root: _Node) -> Pipeline:
    top = root.table(("task", "runtime", "map", "camera"))
    runtime = top["runtime"].table(_RUNTIME) if "runtime" in top else {}
    if "task" not in top:
        raise root.error("no [[task]] in the file; a pipeline has at least one")
    entries = top["task"].value
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise top["task"].error("wanted [[task]], one for each task")
    tasks: dict[str, TaskSpec] = {}
    schedules: dict[str, Schedule] = {}
    nodes: dict[str, _Node] = {}
    for index in range(len(entries)):
        node = top["task"].below(index)
        name = _name(node, tasks)
        nodes[name] = _Node(node.file, node.lines, node.path, f"task.{name}", node.value, node.code)
        tasks[name], schedules[name] = _task(nodes[name])
    _check_needs(tasks, schedules, nodes)
    others: dict[str, _Node] = {name: top[name] for name in ("runtime", "map", "camera") if name in top}
    pipeline = Pipeline(
        tasks,
        {key: node.value for key, node in runtime.items()},
        schedules,
        others["map"].value if others.get("map") is not None and others["map"].table() else {},
        others["camera"].value if others.get("camera") is not None and others["camera"].table() else {},
        others,
    )
    try:
        pipeline.order()
    except CycleError as error:
        raise root.error(f"tasks wait for one another in a circle: {' -> '.join(error.args[1])}") from None
    return pipeline


def _check_needs(tasks: Mapping[str, TaskSpec], schedules: Mapping[str, Schedule], nodes: Mapping[str, _Node]) -> None:
    for name, spec in tasks.items():
        for needed in needs_of(spec, schedules[name]):
            if needed not in tasks:
                key = next((option for option, task in schedules[name].needs.items() if task == needed), "feed")
                hint = did_you_mean(needed, tasks, before="; ")
                raise nodes[name].below(key).error(f"there is no task {needed!r}{hint}")


def _name(node: _Node, taken: Mapping[str, Any]) -> str:
    if "name" not in node.value:
        raise node.error("the task has no name")
    name = node.below("name")
    if not name.text() or "." in name.text():
        raise name.error(f"wanted a name without a dot, got {name.value!r}")
    if name.text() in taken:
        raise name.error(f"there is another task {name.value!r}; names are unique")
    return name.text()


def _task(node: _Node) -> tuple[TaskSpec, Schedule]:
    of_spec, of_schedule = ([entry.name for entry in fields(each)] for each in (TaskSpec, Schedule))
    nodes = node.table(["name", *of_spec, *of_schedule])
    if "model" not in nodes:
        raise node.error("the task has no model")
    options: dict[str, Any] = {}
    for key in of_spec:
        if key not in nodes:
            continue
        if key == "image":
            options[key] = _image(nodes[key])
        elif key == "decoder":
            options[key] = _decoder(nodes[key])
        elif key in _PATHS:
            options[key] = nodes[key].file_path()
        else:
            options[key] = nodes[key].value
    try:
        return TaskSpec(**options), Schedule(**{key: nodes[key].value for key in of_schedule if key in nodes})
    except ArgumentError as error:
        raise node.blame(error) from None


def _image(node: _Node) -> ImageSpec | dict[str, ImageSpec]:
    nodes = node.table()
    if nodes and all(isinstance(each.value, dict) for each in nodes.values()):
        return {name: _image_spec(each) for name, each in nodes.items()}
    return _image_spec(node)


def _image_spec(node: _Node) -> ImageSpec:
    node.table(entry.name for entry in fields(ImageSpec))
    try:
        return ImageSpec(**node.value)
    except ArgumentError as error:
        raise node.blame(error) from None


def _decoder(node: _Node) -> Decoder | str | dict[str, Decoder]:
    if node.value == "raw":
        return "raw"
    if isinstance(node.value, str) or "family" in node.table():
        return _decoder_spec(node)
    nodes = node.table()
    if not nodes or not all(isinstance(each.value, dict) for each in nodes.values()):
        raise node.error("wanted a table with a family, or a table of such tables, one for each decoder")
    return {name: _decoder_spec(each) for name, each in nodes.items()}


def _decoder_spec(node: _Node) -> Decoder:
    families = decoders.families()
    if isinstance(node.value, dict) and "family" not in node.value:
        raise node.error(f"the decoder has no family; there are {', '.join(sorted(families))}")
    family = node if isinstance(node.value, str) else node.below("family")
    if ":" in family.text():
        return _outside(node, family)
    if family.text() not in families:
        hint = did_you_mean(family.value, sorted(families), f"there are {', '.join(sorted(families))}")
        raise family.error(f"no decoder family is called {family.value!r}; {hint}")
    if family is not node:
        node.table(["family", *(option.name for option in decoders.options_of(family.value))])
    try:
        return decoders.from_dict(node.value, base=node.folder)
    except ArgumentError as error:
        raise node.blame(error) from None


def _outside(node: _Node, family: _Node) -> Decoder:
    """A decoder from outside; an error about an option gets the option's line."""
    if not node.code:
        raise family.error(f"{family.value!r} is code to be imported and run, which code=False, or --no-code, forbids")
    try:
        return decoders.from_dict(node.value, base=node.folder)
    except (DecoderABIError, ArgumentError) as error:
        raise family.error(str(error)) from None
    except DecoderError as error:
        raise node.blame(error) from None


def dumps(pipeline: Pipeline, base: str | os.PathLike[str] | None = None) -> str:
    """Write a pipeline as TOML, without the keys that have their default value.

    Parameters
    ----------
    pipeline : Pipeline
    base : path, optional
        The folder that paths are written relative to. Without it they are absolute.

    Returns
    -------
    str
        The TOML; `load` reads an equal pipeline from it.

    Raises
    ------
    ArgumentError
        A model is not a file.
    """
    folder = None if base is None else Path(base).absolute()
    tables: dict[str, Any] = {"runtime": dict(pipeline.runtime)} if pipeline.runtime else {}
    tables["task"] = [
        {**_task_table(name, spec, folder), **_schedule_table(pipeline.schedules.get(name, Schedule()))}
        for name, spec in pipeline.tasks.items()
    ]
    tables |= {name: dict(table) for name, table in (("camera", pipeline.camera), ("map", pipeline.map)) if table}
    return _toml.dumps(tables)


def save(pipeline: Pipeline, path: str | os.PathLike[str]) -> None:
    """Write a pipeline file, with paths relative to its folder.

    Parameters
    ----------
    pipeline : Pipeline
    path : path

    Raises
    ------
    OutputError
        The file cannot be written.
    """
    target = Path(path)
    text = dumps(pipeline, target.parent)
    with atomic_write(target) as made:
        made.write_text(text, encoding="utf-8")


def _task_table(name: str, spec: TaskSpec, base: Path | None) -> dict[str, Any]:
    table: dict[str, Any] = {"name": name}
    for entry in fields(TaskSpec):
        value = getattr(spec, entry.name)
        if entry.name == "image":
            value = _each(value, _image_table)
        elif entry.name == "decoder":
            value = _each(value, lambda decoder: _decoder_table(decoder, base))
        elif entry.name in _PATHS and value is not None:
            value = _path_text(value, base, f"task {name!r}: {entry.name}")
        if value != (entry.default if entry.default_factory is MISSING else entry.default_factory()):
            table[entry.name] = value
    return table


def _schedule_table(schedule: Schedule) -> dict[str, Any]:
    return {
        entry.name: getattr(schedule, entry.name)
        for entry in fields(schedule)
        if getattr(schedule, entry.name) != entry.default
    }


def _each(value: Any, write: Any) -> Any:
    """Apply `write` to one spec, or to each of a dict of them."""
    if value is None or isinstance(value, str):
        return value
    return {name: write(each) for name, each in value.items()} if isinstance(value, Mapping) else write(value)


def _image_table(spec: ImageSpec) -> dict[str, Any]:
    usual = ImageSpec(color=spec.color)  # per-channel defaults depend on it
    table = {entry.name: getattr(spec, entry.name) for entry in fields(spec)}
    return {
        key: value
        for key, value in table.items()
        if key == "color" or (value is not None and value != getattr(usual, key))
    }


def _decoder_table(value: Any, base: Path | None) -> dict[str, Any]:
    decoder = decoders.as_decoder(value)
    table = decoder.to_dict()
    # A decoder from outside describes no options; `classes` is mnnlite's.
    paths = {option.name for option in decoders.options_of(type(decoder)) if option.type == "path"} | {"classes"}
    for name in paths & table.keys():
        if isinstance(table[name], str):
            table[name] = _path_text(table[name], base, name)
    return table


def _path_text(value: Any, base: Path | None, what: str) -> str:
    if not isinstance(value, (str, os.PathLike)):
        raise ArgumentError(f"{what} is a {type(value).__name__}; only files can be written to a pipeline file")
    absolute = os.path.abspath(os.fspath(value))
    return absolute if base is None else os.path.relpath(absolute, base)
