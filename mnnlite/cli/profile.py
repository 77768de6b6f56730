"""``mnnlite profile``: where the time of a model goes, stage by stage and operator by operator."""

from __future__ import annotations

import argparse
import itertools
from collections import Counter
from pathlib import Path

import numpy as np

from mnnlite import observe, pipeline, video
from mnnlite.cli.options import add_model_options, model_options
from mnnlite.cli.output import Output, columns, short
from mnnlite.errors import ArgumentError
from mnnlite.files import check_targets
from mnnlite.frame import Frame
from mnnlite.model import Model

_PER_FRAME = ("preprocess", "infer", "decode")
_NAME = 48  # letters of an operator's name: a table is for eyes, --json has all of it
_FRAMES = 32  # of a source, held in memory and taken in turn


def add(parser: argparse.ArgumentParser) -> None:
    """Say what the command is and takes."""
    parser.description = "Run a model, or a pipeline on a source's frames, and show where the time goes."
    parser.add_argument("target", metavar="MODEL|PIPELINE", type=Path, help="an .mnn file, or a .toml file")
    parser.add_argument("source", metavar="SOURCE", nargs="?", help="for a pipeline: a video or pictures")
    parser.add_argument("--runs", type=_positive, metavar="N", default=50, help="number of runs, 50 by default")
    parser.add_argument("--operators", action="store_true", help="list every operator, not only the most expensive")
    parser.add_argument(
        "--trace",
        metavar="FILE",
        type=Path,
        help="write a trace for ui.perfetto.dev, with operators, and with lanes for a pipeline",
    )
    parser.add_argument(
        "--plot", metavar="FILE", type=Path, help="draw a pipeline's lanes over time as .png, .svg or .pdf"
    )
    add_model_options(parser)
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")
    parser.set_defaults(command=_run)


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is not a number of runs")
    return number


def _run(args: argparse.Namespace, output: Output) -> int:
    of_pipeline = args.target.suffix.lower() == ".toml"
    if args.plot and not of_pipeline:
        raise ArgumentError(f"--plot draws the lanes of a pipeline; {args.target} is a model")
    check_targets((args.trace, args.plot), [args.target])
    if args.plot:
        observe.check_picture(args.plot)
    writer, profiles = _pipeline(args) if of_pipeline else _model(args)
    if args.trace:
        writer.save(args.trace)
    if args.plot:
        observe.plot_trace(writer, args.plot)
    if args.json:
        known = {name: found.to_dict() for name, found in profiles.items()}
        output.json({"tasks": known} if of_pipeline else next(iter(known.values())))
        return 0
    if of_pipeline:
        output.text(*_summary(profiles), "")
    for number, (name, found) in enumerate(profiles.items()):
        output.text(*([""] if number else []), *_lines(name, found, args.operators))
    return 0


def _summary(profiles: dict[str, observe.Profile]) -> list[str]:
    """A line a task: where a frame's time goes."""
    medians = {name: {stage.name: stage.p50_ms for stage in found.stages} for name, found in profiles.items()}
    sums = {name: sum(times.get(stage, 0.0) for stage in _PER_FRAME) for name, times in medians.items()}
    whole = sum(sums.values())
    rows = []
    for name, times in sorted(medians.items(), key=lambda one: -sums[one[0]]):
        most = max(profiles[name].operators, key=lambda op: op.ms, default=None)
        rows.append(
            (
                name,
                *(f"{times[stage]:.3f}" if stage in times else "" for stage in _PER_FRAME),
                f"{sums[name]:.3f}",
                f"{sums[name] / whole:.0%}" if whole else "",
                f"{most.type} {short(most.name, 40)} {most.fraction:.0%}" if most else "",
            )
        )
    head = ("task", *(f"{stage} ms" for stage in _PER_FRAME), "sum ms", "fraction", "dearest operator")
    title = f"{len(profiles)} task{'' if len(profiles) == 1 else 's'}, {whole:.2f} ms of work a frame in the median (lanes work side by side)"
    return [title, *columns([head, *rows], right=(1, 2, 3, 4, 5))]


def _model(args: argparse.Namespace) -> tuple[observe.TraceWriter, dict[str, observe.Profile]]:
    if args.source is not None:
        raise ArgumentError(f"a source ({args.source}) is for a pipeline, which says how its frames become inputs")
    writer = observe.TraceWriter()
    with Model(args.target, **model_options(args)) as model:
        found = observe.profile(model, runs=args.runs)
        if args.trace:
            observe.trace_run(model).add_to(writer, args.target.name, "run")
    return writer, {str(args.target): found}


def _pipeline(args: argparse.Namespace) -> tuple[observe.TraceWriter, dict[str, observe.Profile]]:
    """All tasks as they run among the others, in lanes."""
    spec = pipeline.load(args.target)
    if args.source is not None:
        frames = list(itertools.islice(video.open_source(args.source), _FRAMES))
        if not frames:
            raise ArgumentError(f"{args.source} has no frames")
    elif any(task.image is not None for task in spec.tasks.values()):
        raise ArgumentError("a pipeline whose tasks take pictures needs a source: a video or pictures")
    else:
        frames = [Frame(np.zeros((16, 16, 3), np.uint8), "BGR")]
    with spec.open() as runtime, runtime.trace() as trace:
        profiles = observe.profile_runtime(runtime, frames, runs=args.runs)
        writer = trace.writer()
        for name in profiles if args.trace else ():
            run = runtime.on_lane(name, lambda task: observe.trace_run(task.model))
            run.add_to(writer, f"operators of {name}", name)
    return writer, profiles


def _lines(name: str, found: observe.Profile, every: bool) -> list[str]:
    stages = [
        (stage.name, f"{stage.p50_ms:.3f}", f"{stage.p90_ms:.3f}", f"{stage.p99_ms:.3f}", str(stage.runs))
        for stage in found.stages
    ]
    types = [
        (
            each.type,
            str(each.count),
            f"{each.ms:.3f}",
            f"{each.fraction:.1%}",
            f"{each.mflops:.1f}",
            f"{each.gflops:.1f}",
        )
        for each in found.types
    ]
    chosen = found.operators if every else sorted(found.operators, key=lambda op: -op.ms)[:15]
    operators = [
        (
            short(op.name, _NAME),
            op.type,
            op.backend,
            f"{op.ms:.3f}",
            f"{op.fraction:.1%}",
            f"{op.mflops:.2f}",
            f"{op.gflops:.1f}",
        )
        for op in chosen
    ]
    fallen = Counter(op.fell_back for op in found.operators if op.fell_back)
    lines = [
        name,
        *columns([("stage", "p50 ms", "p90 ms", "p99 ms", "runs"), *stages], right=(1, 2, 3, 4)),
        "",
        *columns([("type", "count", "ms", "fraction", "MFLOP", "GFLOP/s"), *types], right=(1, 2, 3, 4, 5)),
        "",
        f"operators, {'in order of execution' if every else 'the most expensive of ' + str(len(found.operators))}",
        *columns([("name", "type", "backend", "ms", "fraction", "MFLOP", "GFLOP/s"), *operators], right=(3, 4, 5, 6)),
    ]
    if not found.operators:
        lines = [*lines[:-4], "operators: no times, this backend tells when work was handed over and not when it ended"]
    lines += [f"fell back: {count} x {reason}" for reason, count in fallen.items()]
    return lines
