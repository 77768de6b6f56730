"""``mnnlite lock``: hashes of a pipeline's networks into its file, comments kept."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mnnlite import pipeline
from mnnlite.cli.exit_codes import FINDING, FINE
from mnnlite.cli.output import Output, columns
from mnnlite.cli.task_keys import with_keys
from mnnlite.errors import PipelineError
from mnnlite.files import atomic_write
from mnnlite.integrity import file_hash, weights_beside

if TYPE_CHECKING:
    import argparse

_KEYS = ("sha256", "weights_sha256")


def add(parser: argparse.ArgumentParser) -> None:
    """Say what the command is and takes."""
    parser.description = (
        "Write the SHA-256 of each task's model, and of its file of weights, into a pipeline file. Opening the pipeline "
        "then fails if a model was exchanged or damaged. Comments and everything else stay as they are."
    )
    parser.epilog = "Exit code 1 with --check: the file is not locked, or a network has changed."
    parser.add_argument("pipeline", metavar="PIPELINE", type=Path, help="a .toml file")
    parser.add_argument("--check", action="store_true", help="write nothing; say what differs")
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")
    parser.set_defaults(command=_run)


def _run(args: argparse.Namespace, output: Output) -> int:
    spec = pipeline.load(args.pipeline)
    hashes = [_hashes(args.pipeline, name, task) for name, task in spec.tasks.items()]
    before = [{key: getattr(task, key) for key in _KEYS} for task in spec.tasks.values()]
    changes = [
        {key: "same" if was[key] == now.get(key) else "new" if was[key] is None else "changed" for key in _KEYS if key in now or was[key]}
        for was, now in zip(before, hashes, strict=True)
    ]  # fmt: skip
    differs = any(word != "same" for change in changes for word in change.values())
    if differs and not args.check:
        text = args.pipeline.read_bytes().decode("utf-8")
        with atomic_write(args.pipeline) as made:
            made.write_bytes(locked(text, hashes, os.fspath(args.pipeline)).encode())
    if args.json:
        tasks = {
            name: {key: {"value": now.get(key), "was": change[key]} for key in change}
            for name, now, change in zip(spec.tasks, hashes, changes, strict=True)
        }
        output.json({"pipeline": os.fspath(args.pipeline), "tasks": tasks, "written": differs and not args.check})
    else:
        rows = [
            (name, key, now.get(key) or "no file", change[key])
            for name, now, change in zip(spec.tasks, hashes, changes, strict=True)
            for key in change
        ]
        output.text(*columns([("task", "key", "SHA-256", ""), *rows]))
    return FINDING if args.check and differs else FINE


def _hashes(file: Path, name: str, task: Any) -> dict[str, str]:
    weights = task.external or weights_beside(task.model)
    paths = {"sha256": task.model, **({} if weights is None else {"weights_sha256": weights})}
    try:
        return {key: file_hash(path) for key, path in paths.items()}
    except OSError as error:
        raise PipelineError(
            f"task {name!r}: cannot read {error.filename}: {error.strerror}", file=os.fspath(file)
        ) from None


def locked(text: str, hashes: list[dict[str, str]], file: str = "") -> str:
    """Give a pipeline's text with these hashes, one dict a task, in place of those it had; see `with_keys`."""
    return with_keys(text, hashes, _KEYS, "hashes", file)
