"""``mnnlite profile``: where the time of a model goes, stage by stage and operator by operator."""

from __future__ import annotations

import argparse
import itertools
from pathlib import Path
from typing import TYPE_CHECKING

from mnnlite import observe, pipeline, video
from mnnlite.cli.options import add_model_options, model_options
from mnnlite.cli.output import Output, columns
from mnnlite.errors import ArgumentError
from mnnlite.model import Model
from mnnlite.task import Task

if TYPE_CHECKING:
    from mnnlite.frame import Frame


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to a parser."""
    parser = commands.add_parser(
        "profile",
        help="times of stages and operators",
        description="Run a model, or each task of a pipeline on a source's frames, and show where the time goes.",
    )
    parser.add_argument("target", metavar="MODEL|PIPELINE", type=Path, help="an .mnn file, or a .toml file")
    parser.add_argument("source", metavar="SOURCE", nargs="?", help="for a pipeline: a video or pictures")
    parser.add_argument("--runs", type=_positive, metavar="N", default=50, help="repetitions, 50 by default")
    parser.add_argument("--operators", action="store_true", help="list every operator, not only the most expensive")
    parser.add_argument("--trace", metavar="FILE", type=Path, help="write one run for ui.perfetto.dev")
    add_model_options(parser)
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")
    parser.set_defaults(command=_run)


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is not a number of runs")
    return number


def _run(args: argparse.Namespace, output: Output) -> int:
    writer = observe.TraceWriter() if args.trace else None
    profiles = _pipeline(args, writer) if args.target.suffix.lower() == ".toml" else _model(args, writer)
    if writer is not None:
        writer.save(args.trace)
    if args.json:
        known = {name: found.to_dict() for name, found in profiles.items()}
        output.json(next(iter(known.values())) if args.target.suffix.lower() != ".toml" else {"tasks": known})
        return 0
    for number, (name, found) in enumerate(profiles.items()):
        output.text(*([""] if number else []), *_lines(name, found, args.operators))
    return 0


def _model(args: argparse.Namespace, writer: observe.TraceWriter | None) -> dict[str, observe.Profile]:
    if args.source is not None:
        raise ArgumentError(f"a source ({args.source}) is for a pipeline, which says how its frames become inputs")
    with Model(args.target, **model_options(args)) as model:
        found = observe.profile(model, runs=args.runs)
        if writer is not None:
            writer.run(args.target.name, "run", observe.trace_run(model))
    return {str(args.target): found}


def _pipeline(args: argparse.Namespace, writer: observe.TraceWriter | None) -> dict[str, observe.Profile]:
    spec = pipeline.load(args.target)
    frames: list[Frame] = []
    if any(task.image is not None for task in spec.tasks.values()):
        if args.source is None:
            raise ArgumentError("a pipeline whose tasks take pictures needs a source: a video or pictures")
        frames = list(itertools.islice(video.open_source(args.source), 32))
    found = {}
    for name, task_spec in spec.tasks.items():
        with Task(task_spec) as task:
            found[name] = observe.profile(task, frames if task_spec.image is not None else None, runs=args.runs)
            if writer is not None:
                writer.run(name, "run", observe.trace_run(task.model))
    return found


def _lines(name: str, found: observe.Profile, every: bool) -> list[str]:
    stages = [
        (stage.name, f"{stage.p50_ms:.3f}", f"{stage.p90_ms:.3f}", f"{stage.p99_ms:.3f}", str(stage.runs))
        for stage in found.stages
    ]
    types = [
        (each.type, str(each.count), f"{each.ms:.3f}", f"{each.share:.1%}", f"{each.mflops:.1f}", f"{each.gflops:.1f}")
        for each in found.types
    ]
    chosen = found.operators if every else sorted(found.operators, key=lambda op: -op.ms)[:15]
    operators = [
        (op.name, op.type, op.backend, f"{op.ms:.3f}", f"{op.share:.1%}", f"{op.mflops:.2f}", f"{op.gflops:.1f}")
        for op in chosen
    ]
    fallen = sorted({op.type for op in found.operators if op.fell_back})
    lines = [
        name,
        *columns([("stage", "p50 ms", "p90 ms", "p99 ms", "runs"), *stages], right=(1, 2, 3, 4)),
        "",
        *columns([("type", "count", "ms", "share", "MFLOP", "GFLOP/s"), *types], right=(1, 2, 3, 4, 5)),
        "",
        f"operators, {'in order of execution' if every else 'the most expensive of ' + str(len(found.operators))}",
        *columns([("name", "type", "backend", "ms", "share", "MFLOP", "GFLOP/s"), *operators], right=(3, 4, 5, 6)),
    ]
    if fallen:
        lines.append(
            f"fell back to another backend, which the session's own has no such operator for: {', '.join(fallen)}"
        )
    return lines
