"""``mnnlite convert``: an ONNX or TFLite file into MNN's format."""

from __future__ import annotations

import argparse
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
    from mnnlite.cli.output import Output


def add(parser: argparse.ArgumentParser) -> None:
    """Say what the command is and takes."""
    parser.description = (
        "Check a network, rewrite what the engine's converter gets wrong, convert it, and run the result in a child "
        "process. If ONNX Runtime or LiteRT is installed, compare the result with its source. The output file is written whole or "
        "not at all."
    )
    parser.epilog = (
        "Exit code 1 if the converted network computes something else. Without --keep nothing is then written."
    )
    parser.add_argument("source", metavar="MODEL", type=Path, help="a .onnx or .tflite file")
    parser.add_argument(
        "-o",
        "--output",
        metavar="Y.mnn",
        type=Path,
        help="the file to write; by default it lies beside MODEL and has its name",
    )
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
        help="shape for running and comparing an input that the file leaves open; can be repeated",
    )
    parser.add_argument(
        "--no-compare", dest="compare", action="store_false", help="do not compare the result with its source"
    )
    parser.add_argument("--pictures", metavar="SOURCE", help="also compare on a picture, a folder or a video")
    parser.add_argument(
        "--slim",
        nargs="?",
        type=_parts,
        const="slopes,attention,expansions,tails",
        default="",
        metavar="slopes,attention,expansions,tails",
        help="rewrite a network so that its feature maps peak lower; it finds the same. tails: it ends before it makes a class of each "
        "pixel, which the decoder does. Without a value: all",
    )
    parser.add_argument("--keep", action="store_true", help="write the file even if its outputs deviate")
    parser.add_argument(
        "--seconds", type=float, default=SECONDS, metavar="N", help=f"most seconds of each step, {SECONDS:g} by default"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")
    parser.set_defaults(command=_run)


def _parts(text: str) -> str:
    """What `--slim` is followed by, unless that is the network."""
    if Path(text).suffix:
        raise argparse.ArgumentTypeError(f"{text!r} is no part; write the network before --slim")
    return text


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
