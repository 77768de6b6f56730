"""``mnnlite peaks``: which operators hold the peak of a network's feature maps, and which tensors."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mnnlite import observe
from mnnlite.cli.networks import network_file
from mnnlite.cli.options import add_model_options, model_options
from mnnlite.cli.output import Output, columns, mib_or_unknown, short
from mnnlite.errors import ArgumentError
from mnnlite.files import check_folder
from mnnlite.model import Model
from mnnlite.proc import MIB

if TYPE_CHECKING:
    import argparse

_NAME = 48  # letters of an operator's name


def add(parser: argparse.ArgumentParser) -> None:
    """Say what the command is and takes."""
    parser.description = (
        "List the operators that need most memory for feature maps at once, in the engine's order of "
        "execution, and the tensors that are alive at the peak. The network runs only in the trial, in a child process. "
        "mnnlite convert --slim rewrites some operators that hold the peak."
    )
    parser.add_argument("model", metavar="MODEL", type=Path, help="an .mnn, .onnx or .tflite file")
    parser.add_argument("--top", metavar="N", type=int, default=8, help="list N operators, 8 by default")
    add_model_options(parser)
    parser.add_argument("--plot", metavar="FILE", type=Path, help="draw all operators as .png, .svg or .pdf")
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output: all operators")
    parser.set_defaults(command=_run)


def _run(args: argparse.Namespace, output: Output) -> int:
    if args.top < 1:
        raise ArgumentError(f"--top is {args.top}; wanted at least 1")
    if args.plot:
        observe.check_picture(args.plot)
        check_folder(args.plot)
    options = model_options(args)
    with Model(network_file(args.model, options["shapes"]), **options) as model:
        found = observe.peaks(model)
    if args.plot:
        observe.plot_peaks(found, args.plot, f"Feature maps of {args.model.name}")
    if args.json:
        output.json({"model": str(args.model), **found.to_dict()})
    else:
        output.text(*_lines(str(args.model), found, args.top))
    return 0


def _lines(name: str, found: observe.Peaks, top: int) -> list[str]:
    peak = found.peak
    half = sum(each.bytes > peak.bytes / 2 for each in found.operators)
    rows = [
        (
            str(each.index),
            short(each.name, _NAME),
            each.type,
            f"{each.bytes / MIB:.2f}",
            f"{each.bytes / max(1, peak.bytes):.0%}",
        )
        for each in found.largest(top)
    ]
    tensors = [
        (
            short(each.writer, _NAME),
            "x".join(map(str, each.shape or ())),
            f"{each.bytes / MIB:.2f}",
            short(each.reader, _NAME),
        )
        for each in peak.tensors[:top]
    ]
    left = len(peak.tensors) - len(tensors)
    return [
        f"{name}: {peak.bytes / MIB:.2f} MiB of feature maps at the peak (a buffer of {mib_or_unknown(found.buffer)}); "
        f"{half} of {len(found.operators)} operators need more than half of that",
        *columns([("#", "operator", "type", "MiB", "of the peak"), *rows], right=(0, 3, 4)),
        f"alive at {short(peak.name, _NAME)} ({peak.type})",
        *columns([("written by", "shape", "MiB", "last read by"), *tensors], right=(2,)),
        *([f"and {left} smaller one{'' if left == 1 else 's'}"] if left > 0 else []),
    ]
