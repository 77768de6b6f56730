"""``mnnlite convert``: an ONNX or TFLite file into MNN's format."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mnnlite.convert import convert

if TYPE_CHECKING:
    import argparse

    from mnnlite.cli.output import Output


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to a parser."""
    parser = commands.add_parser(
        "convert",
        help="ONNX or TFLite into MNN's format",
        description="Convert a network. The output appears whole or not at all.",
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
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")
    parser.set_defaults(command=_run)


def _run(args: argparse.Namespace, output: Output) -> int:
    target: Path = args.output or args.source.with_suffix(".mnn")
    convert(args.source, target, fp16=args.fp16, weight_bits=args.weight_bits, external=args.external)
    weights = target.with_name(target.name + ".weight")
    written = [target, *([weights] if args.external and weights.exists() else [])]
    sizes = {str(path): path.stat().st_size for path in written}
    if args.json:
        output.json({"source": str(args.source), "output": str(target), "files": sizes})
    else:
        output.text(*(f"wrote {path} ({size / 2**20:.2f} MiB)" for path, size in sizes.items()))
    return 0
