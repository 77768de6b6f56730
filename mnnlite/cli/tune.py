"""``mnnlite tune``: options of a pipeline's networks, by measurement on this device, and one choice for all together."""

from __future__ import annotations

import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mnnlite import cache, observe, pipeline
from mnnlite.alternatives.stored import ACCURACY, device
from mnnlite.cli.exit_codes import FINE
from mnnlite.cli.networks import is_pipeline, pipeline_of
from mnnlite.cli.output import columns
from mnnlite.cli.task_keys import in_folder, with_keys
from mnnlite.engine_options import SESSION_WORDS
from mnnlite.errors import ArgumentError, PipelineError
from mnnlite.files import atomic_write, check_targets
from mnnlite.proc import MIB
from mnnlite.tune import ROUNDS, Tuning, tune, tuned_pipeline, words_of

if TYPE_CHECKING:
    import argparse

    from mnnlite.alternatives.stored import Alternative
    from mnnlite.cli.output import Output
    from mnnlite.pipeline import Pipeline


def add(parser: argparse.ArgumentParser) -> None:
    """Say what the command is and takes."""
    parser.description = (
        "Measure the time and memory of each network of a pipeline with every option that the engine has for it, and "
        "whether its results agree with those of the usual options. Then choose for all tasks together: the least time within "
        "--memory, or the least memory within --frame-ms. The cache keeps the measurements."
    )
    parser.epilog = (
        'Runtime(tune="auto"), or tune = "auto" in [runtime], uses the cached measurements and measures nothing.'
    )
    parser.add_argument("pipeline", metavar="PIPELINE", help="a .toml file, or a network that says how it is used")
    bound = parser.add_mutually_exclusive_group()
    bound.add_argument(
        "--memory", metavar="48MiB", help="most anonymous memory of all tasks together; by default that of [runtime]"
    )
    bound.add_argument("--frame-ms", type=float, metavar="X", help="most milliseconds per frame of all tasks together")
    parser.add_argument(
        "--accuracy",
        type=float,
        default=ACCURACY,
        metavar="X",
        help=f"least agreement with the usual options, {ACCURACY:g} by default",
    )
    parser.add_argument("--pictures", metavar="PICTURES", help="a folder, a 'pattern*.jpg' or a video to compare on")
    parser.add_argument("--mapped", action="store_true", help="also try weights that lie in files")
    parser.add_argument("-o", "--output", metavar="FILE.toml", type=Path, help="write the pipeline with the choice")
    parser.add_argument("--plot", metavar="FILE", type=Path, help="draw fronts and choice as .png, .svg or .pdf")
    parser.add_argument(
        "--rounds", type=int, default=ROUNDS, metavar="N", help=f"runs of each alternative, {ROUNDS} by default"
    )
    parser.add_argument("--again", action="store_true", help="measure again what the cache holds")
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")
    parser.set_defaults(command=_run)


def _run(args: argparse.Namespace, output: Output) -> int:
    if args.plot:
        observe.check_picture(args.plot)
    if args.output is not None and args.output.suffix.lower() != ".toml":
        raise ArgumentError(f"the pipeline {args.output} ends in {args.output.suffix!r}; wanted .toml")
    check_targets((args.plot, args.output))
    text = Path(args.pipeline).read_bytes() if is_pipeline(args.pipeline) and Path(args.pipeline).is_file() else b""
    what, _ = pipeline_of(args.pipeline)
    found = tune(
        what,
        memory=args.memory,
        frame_ms=args.frame_ms,
        accuracy=args.accuracy,
        pictures=args.pictures,
        mapped=args.mapped,
        rounds=args.rounds,
        again=args.again,
        on_task=lambda name: print(f"mnnlite: measuring {name}", file=sys.stderr, flush=True),
    )
    if args.output is not None:
        _write(args.pipeline, text, args.output, what, found)
    if args.plot:
        observe.plot_fronts(_points(found), args.plot, f"Tuning of {Path(args.pipeline).name}")
    if args.json:
        output.json(_json(args, found))
        return FINE
    output.text(*_lines(found, args.accuracy))
    if args.output is not None:
        output.text(f"wrote {args.output}")
    return FINE


def _write(source: str, before: bytes, target: Path, what: Pipeline, found: Tuning) -> None:
    """The pipeline's own text with other words; comments stay. Of a network a pipeline is written."""
    if is_pipeline(source) and Path(source).read_bytes() != before:
        raise PipelineError(
            "it has changed while it was measured, so nothing is written; run the same again", file=source
        )
    if is_pipeline(source):
        words = words_of(what, found.choice)
        text = with_keys(
            before.decode("utf-8"),
            [words[name] for name in what.tasks],
            (*SESSION_WORDS, "lane"),
            "options",
            source,
        )
        if Path(source).parent.absolute() != target.parent.absolute():  # paths are relative to its folder
            text = in_folder(text, Path(source).parent, target.parent, source)
    else:
        text = pipeline.dumps(tuned_pipeline(what, found.choice), target.absolute().parent)
    with atomic_write(target) as made:
        made.write_bytes(text.encode())


def _words(each: Alternative) -> str:
    return ", ".join(f"{key} {word}" for key, word in each.options.unusual({}).items()) or "usual"


def _mib(each: Alternative) -> float:
    return each.cost.running / MIB


def _lines(found: Tuning, accuracy: float) -> list[str]:
    rows = []
    for name, front in found.fronts.items():
        for each in front.alternatives:
            chosen = found.choice.tasks[name].options == each.options
            now = found.before.tasks[name].options == each.options
            why = (
                "chosen"
                if chosen
                else f"agrees less than {accuracy:g}"
                if each.agreement < accuracy
                else ""
                if each in found.candidates[name]
                else "no gain"
            )
            rows.append(
                (
                    "" if each is not front.alternatives[0] else name,
                    _words(each),
                    f"{each.ms:.2f}",
                    f"{each.spread:.0%}",
                    f"{_mib(each):.2f}",
                    f"{each.cost.weights / MIB:.2f}",
                    f"{each.cost.dynamic / MIB:.2f}",
                    f"{each.agreement:.4f}",
                    ", ".join(filter(None, (why, "as it is" if now else ""))),
                )
            )
    head = ("task", "options", "ms", "±", "MiB", "weights", "feature maps", "agreement", "")
    before, after = found.before, found.choice
    lines = columns([head, *rows], right=(2, 3, 4, 5, 6, 7))
    lines.append(
        f"as it is {before.peak / MIB:.1f} MiB, {before.frame_ms:.1f} ms a frame; chosen {after.peak / MIB:.1f} MiB "
        f"({after.peak / before.peak:.2f} of it), {after.frame_ms:.1f} ms ({after.frame_ms / before.frame_ms:.2f})"
    )
    lines.append(f"loaded once to see: {found.expected / MIB:.1f} MiB at the most")
    lines.append(
        f"on {device()}; memory of a task is its own, as if it were alone, of the whole the most at any moment"
    )
    if found.not_stable:
        lines.append(
            f"not stable: {', '.join(found.not_stable)}: the clock drifted, or cores were throttled; measure --again on a quiet, "
            "cool device"
        )
    if not found.kept:
        where = cache.folder()
        lines.append(
            f"nothing is kept, because {'there is no cache' if where is None else f'the cache {where} cannot be written'}: "
            'tune = "auto" will not find it; write the choice with -o'
        )
    return lines


def _points(found: Tuning) -> dict[str, list[tuple[float, float, str, bool, bool]]]:
    return {
        name: [
            (
                each.ms,
                _mib(each),
                _words(each),
                each in found.candidates[name],
                each.options == found.choice.tasks[name].options,
            )
            for each in front.alternatives
        ]
        for name, front in found.fronts.items()
    }


def _json(args: argparse.Namespace, found: Tuning) -> dict[str, Any]:
    return {
        "pipeline": os.fspath(args.pipeline),
        "device": device(),
        "tasks": {
            name: {
                "chosen": found.choice.tasks[name].options.given(),
                "before": found.before.tasks[name].options.given(),
                "lane": found.choice.lanes[name],
                "stable": front.stable,
                "measured_now": name in found.measured,
                "alternatives": [
                    {**asdict(each), "cost": each.cost.to_dict(), "candidate": each in found.candidates[name]}
                    for each in front.alternatives
                ],
            }
            for name, front in found.fronts.items()
        },
        "before": {"frame_ms": found.before.frame_ms, "peak": found.before.peak},
        "chosen": {"frame_ms": found.choice.frame_ms, "peak": found.choice.peak, "expected": found.expected},
        "written": None if args.output is None else os.fspath(args.output),
    }
