"""``mnnlite quantize``: the networks of a pipeline in whole numbers, judged by what they find."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from mnnlite import pipeline
from mnnlite.cli.exit_codes import FINDING, FINE
from mnnlite.cli.networks import pipeline_of
from mnnlite.cli.output import columns
from mnnlite.files import atomic_write
from mnnlite.quantize import CHOICES, LOSS, METHODS, SECONDS, choose, quantize

if TYPE_CHECKING:
    import argparse

    from mnnlite.cli.output import Output

MIB = 1 << 20


def add(parser: argparse.ArgumentParser) -> None:
    """Say what the command is and takes."""
    parser.description = (
        "Quantise the network of each task with the engine's own quantiser: to int8, calibrated on every other picture, "
        "and only its weights to 8 and to 4 bits. Compare what each result finds on the other pictures with what the float "
        "network finds. A network that loses too much is not written."
    )
    parser.epilog = (
        "Exit code 1 if the network that --choose asks for was refused for a task; the task then keeps its own."
    )
    parser.add_argument("pipeline", metavar="PIPELINE", help="a .toml file, or a network that says how it is used")
    parser.add_argument(
        "pictures", metavar="PICTURES", help="a folder, a 'pattern*.jpg' or a video, like what the networks will see"
    )
    parser.add_argument("-o", "--output", metavar="DIR", type=Path, required=True, help="the folder for the .mnn files")
    parser.add_argument(
        "--choose",
        choices=CHOICES,
        help="also write DIR/PIPELINE.toml with the networks of this form",
    )
    parser.add_argument(
        "--loss",
        type=float,
        default=LOSS,
        metavar="X",
        help=f"largest loss of agreement with the float network, {LOSS:g} by default",
    )
    parser.add_argument("--frames", type=int, default=64, metavar="N", help="take at most N pictures, 64 by default")
    parser.add_argument(
        "--method",
        choices=METHODS,
        help="method of the engine's quantiser; by default all are tried and the best is taken",
    )
    parser.add_argument(
        "--seconds", type=float, default=SECONDS, metavar="N", help=f"most seconds of each step, {SECONDS:g} by default"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")
    parser.set_defaults(command=_run)


def _run(args: argparse.Namespace, output: Output) -> int:
    what, _ = pipeline_of(args.pipeline)
    found = quantize(
        what,
        args.pictures,
        args.output,
        loss=args.loss,
        most=args.frames,
        method=args.method,
        seconds=args.seconds,
    )
    written = None
    if args.choose:
        written = args.output / f"{Path(args.pipeline).stem}.toml"
        with atomic_write(written) as made:
            made.write_text(pipeline.dumps(choose(what, found, args.choose), args.output.absolute()), encoding="utf-8")
    refused = [each for each in found if each.form == args.choose and each.path is None]
    if args.json:
        rows = [{**asdict(each), "path": None if each.path is None else str(each.path)} for each in found]
        output.json({"forms": rows, "pipeline": None if written is None else str(written)})
        return FINDING if refused else FINE
    head = ("task", "form", "agreement", "worst", "IoU", "score off by", "file MiB", "memory MiB", "ms", "")
    table = [
        (
            each.task,
            f"{each.form} {each.method}".rstrip(),
            f"{each.agreement:.4f}",
            f"{each.worst:.4f}",
            f"{each.iou:.4f}",
            f"{each.score_difference:.4f}",
            f"{each.file_bytes / MIB:.2f}",
            f"{each.memory_bytes / MIB:.1f}",
            f"{each.ms:.2f}",
            f"REFUSED: {each.refused}" if each.refused else str(each.path),
        )
        for each in found
    ]
    output.text(*columns([head, *table], right=(2, 3, 4, 5, 6, 7, 8)))
    output.text(
        f"on {max(each.pictures for each in found)} pictures that were held out; the float network is what is agreed with"
    )
    output.text(*([] if written is None else [f"wrote {written} with {args.choose}"]))
    for each in refused:
        output.text(f"task {each.task} keeps its network: {each.refused}")
    return FINDING if refused else FINE
