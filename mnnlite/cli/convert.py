"""``mnnlite convert``: an ONNX or TFLite file into MNN's format."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mnnlite.cli.exit_codes import FINDING, FINE
from mnnlite.cli.options import shapes_of
from mnnlite.cli.output import printable
from mnnlite.conversion import SECONDS
from mnnlite.errors import ConversionError

if TYPE_CHECKING:
    import argparse

    from mnnlite.cli.output import Output


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to a parser."""
    parser = commands.add_parser(
        "convert",
        help="ONNX or TFLite into MNN's format",
        description="Convert a network: it is checked and, where the engine's converter errs, rewritten before; run in a child "
        "process after; and compared with its source where ONNX Runtime or LiteRT is installed. The output appears whole or not "
        "at all.",
        epilog="Exit code 1 if the converted network computes something else; nothing is written then without --keep.",
    )
    parser.add_argument("source", metavar="MODEL", type=Path, help="a .onnx or .tflite file")
    parser.add_argument("-o", "--output", metavar="Y.mnn", type=Path, help="by default beside MODEL, with its name")
    parser.add_argument(
        "--fp16", action="store_true", help="store weights as half floats: half the file, the same memory"
    )
    parser.add_argument(
        "--weight-bits", type=int, metavar="N", help="quantise weights to 2 to 8 bits: a quarter of the file for 8"
    )
    parser.add_argument("--external", action="store_true", help="keep the weights in a second file, Y.mnn.weight")
    parser.add_argument(
        "--shape",
        action="append",
        default=[],
        metavar="INPUT=1x3x224x224",
        help="shape to try and compare with, of an input that the file leaves open; can be repeated",
    )
    parser.add_argument("--no-compare", dest="compare", action="store_false", help="do not compare it with its source")
    parser.add_argument("--pictures", metavar="SOURCE", help="compare on these too: a picture, a folder, a video")
    parser.add_argument(
        "--slim",
        nargs="?",
        const="slopes,attention",
        default="",
        metavar="slopes,attention",
        help="rewrite an ONNX network so that its feature maps peak lower, with the same numbers; without a value: both",
    )
    parser.add_argument("--keep", action="store_true", help="write the file even if it deviates")
    parser.add_argument(
        "--seconds", type=float, default=SECONDS, metavar="N", help=f"that each step may take; {SECONDS:g}"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")
    parser.set_defaults(command=_run)


def _run(args: argparse.Namespace, output: Output) -> int:
    from mnnlite.convert import convert  # only here: no other command converts

    target: Path = args.output or args.source.with_suffix(".mnn")
    try:
        made = convert(
            args.source,
            target,
            fp16=args.fp16,
            weight_bits=args.weight_bits,
            external=args.external,
            shapes=shapes_of(args.shape) or None,
            compare=args.compare,
            pictures=args.pictures,
            slim=[name.strip() for name in args.slim.split(",") if name.strip()],
            keep=args.keep,
            seconds=args.seconds,
        )
    except ConversionError as error:
        if args.json:
            output.json({"source": str(args.source), "output": None, "files": {}, **error.details})
        else:
            output.text(*_notes(error.details["notes"]))
            print(f"mnnlite: {printable(str(error))}", file=sys.stderr)
        return FINDING
    sizes = {str(path): path.stat().st_size for path in (made.path, made.weights) if path is not None}
    if args.json:
        facts: dict[str, Any] = {"verdict": asdict(made.verdict), "notes": list(made.notes)}
        output.json({"source": str(args.source), "output": str(target), "files": sizes, **facts})
        return FINE
    output.text(
        *_notes(made.notes),
        *(f"wrote {path} ({size / 2**20:.2f} MiB)" for path, size in sizes.items()),
        made.verdict.text,
        *(f"warning: {text}" for text in made.verdict.warnings),
    )
    return FINE


def _notes(notes: tuple[str, ...]) -> list[str]:
    return [f"note: {text}" for text in notes]
