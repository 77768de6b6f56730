"""``mnnlite new``: a pipeline file for networks, from what they say of themselves, with a comment on where each part is from."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mnnlite import decoders, descriptions, pipeline
from mnnlite.cli.exit_codes import FINDING, FINE
from mnnlite.cli.networks import check_network
from mnnlite.cli.options import shapes_of
from mnnlite.conversion import is_foreign
from mnnlite.decoders.options import names_from
from mnnlite.errors import ArgumentError, ConversionError
from mnnlite.files import atomic_write, check_targets
from mnnlite.pipeline import Pipeline
from mnnlite.specs import TaskSpec

if TYPE_CHECKING:
    import argparse

    from mnnlite.cli.output import Output
    from mnnlite.descriptions import Description, Reading

_FEW = 40  # names that stand in the pipeline itself; more go to a file beside it


def add(parser: argparse.ArgumentParser) -> None:
    """Say what the command is and takes."""
    parser.description = (
        "Write a commented pipeline file with a task for each network, from what its exporter left in the file or beside "
        "it, and from its tensors. If a network can be read in several ways, comments list them."
    )
    parser.epilog = "Exit code 1 if a task is incomplete; a TODO in the file marks what is missing."
    parser.add_argument("models", metavar="MODEL", nargs="+", type=Path, help=".mnn, .onnx or .tflite files")
    parser.add_argument(
        "-o", "--output", metavar="FILE.toml", type=Path, help="the file to write, standard output by default"
    )
    parser.add_argument("--force", action="store_true", help="replace FILE.toml if it is there")
    parser.add_argument(
        "--shape",
        action="append",
        default=[],
        metavar="INPUT=1x3x224x224",
        help="shape of an input that a file leaves open and does not describe; can be repeated",
    )
    parser.set_defaults(command=_run)


def _run(args: argparse.Namespace, output: Output) -> int:
    target: Path | None = args.output
    if target is not None:
        check_targets([target], args.models)
        if target.exists() and not args.force:
            raise ArgumentError(f"{target} is there already; --force replaces it, -o names another")
    shapes = shapes_of(args.shape)
    blocks: list[str] = []
    taken: set[str] = set()
    left = 0
    for path in args.models:
        check_network(path)
        name = _name(path, taken)
        taken.add(name)
        said: list[str] = []
        try:
            found, said = _described(path, shapes)
        except (
            ArgumentError,
            ConversionError,
        ) as error:  # it contradicts itself, or is open: the others are written all the same
            found = descriptions.Description(str(path), question=str(error).removeprefix(f"{path}: "))
        left += found.task_spec is None
        blocks.append("\n".join([*said, *_block(name, found, target)]))
    text = "\n\n".join(blocks) + "\n"
    if target is None:
        output.text(*text.splitlines())
        return FINDING if left else FINE
    with atomic_write(target) as made:
        made.write_text(text, encoding="utf-8")
    todo = f"; {left} of them with something left to say, marked with TODO" if left else ""
    output.text(f"wrote {target}: {len(blocks)} {'task' if len(blocks) == 1 else 'tasks'}{todo}")
    return FINDING if left else FINE


def _described(path: Path, shapes: dict[str, tuple[int, ...]]) -> tuple[Description, list[str]]:
    """What a network says; of another format it is converted and compared, and a comment says how that went."""
    from mnnlite.convert import ready_compared  # only here: most commands convert nothing

    if not is_foreign(path):
        return descriptions.describe(path, shapes=shapes), []
    file, verdict = ready_compared(path, shapes or None)
    found = descriptions.describe(file, shapes=shapes, source=path)
    spec = None if found.task_spec is None else replace(found.task_spec, model=str(path))
    candidates = tuple(replace(each, task_spec=replace(each.task_spec, model=str(path))) for each in found.candidates)
    return replace(found, task_spec=spec, candidates=candidates), [
        f"# converted when it is loaded, once; {verdict.text}"
    ]


def _name(path: Path, taken: set[str]) -> str:
    stem = re.sub(r"[^A-Za-z0-9_-]+", "_", path.stem) or "task"
    name, number = stem, 2
    while name in taken:
        name, number = f"{stem}_{number}", number + 1
    return name


def _block(name: str, found: Description, target: Path | None) -> list[str]:
    """The lines of a task, with its comments."""
    if found.task_spec is not None:
        return [
            *_comments(descriptions.Reading(found.task_spec, found.sources)),
            *_table(name, found.task_spec, target),
        ]
    lines = [f"# TODO: {found.question}"]
    if not found.candidates:
        spec = TaskSpec(found.path)
        return [
            *lines,
            *_table(name, spec, target),
            "# image = { ... }",
            "# decoder = { ... }  # mnnlite inspect --decoders",
        ]
    first, *others = found.candidates
    lines += [*_comments(first), *_table(name, first.task_spec, target)]
    for other in others:
        table = _table(name, other.task_spec, None)
        lines.append(f"# or: {other.sources.get('decoder', '')}")
        lines += [f"# {line}" for line in table if line.startswith("decoder")]
    return lines


def _comments(reading: Reading) -> list[str]:
    """Sources, the parts of one source in a line."""
    by_source: dict[str, list[str]] = {}
    for part, why in reading.sources.items():
        by_source.setdefault(why, []).append(part)
    unknown = by_source.pop(descriptions.NOT_SAID, [])
    lines = [f"# {', '.join(parts)}: {why}" for why, parts in by_source.items()]
    if unknown:
        lines.append(
            f"# TODO: nobody says {', '.join(unknown)}: what its trainer fed; what stands below is a beginning"
        )
    return lines


def _table(name: str, spec: TaskSpec, target: Path | None) -> list[str]:
    if target is not None:
        spec = replace(spec, decoder=_with_files(spec.decoder, name, target))
    base = None if target is None else target.absolute().parent
    return pipeline.dumps(Pipeline({name: spec}), base).strip().splitlines()


def _with_files(decoder: Any, name: str, target: Path) -> Any:
    """The decoder with its many names in a file beside the pipeline."""
    if isinstance(decoder, Mapping):
        return {key: _with_files(each, f"{name}.{key}", target) for key, each in decoder.items()}
    if isinstance(decoder, str):
        return decoder
    for option in decoders.options_of(type(decoder)):
        value = getattr(decoder, option.name)
        if option.type != "path" or not isinstance(value, tuple) or len(value) <= _FEW:
            continue
        path = target.absolute().parent / f"{target.stem}.{name}.{option.name}.txt"
        with atomic_write(path) as made:
            made.write_text("".join(f"{one}\n" for one in value), encoding="utf-8")
        if names_from(path, option.name) != value:  # a name that is no line
            path.unlink()
            continue
        decoder = replace(decoder, **{option.name: str(path)})
    return decoder
