"""``mnnlite dump``: every operator's outputs in a file, to be compared elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mnnlite import observe
from mnnlite.cli.options import add_model_options, model_options, read_inputs
from mnnlite.model import Model

if TYPE_CHECKING:
    import argparse

    from mnnlite.cli.output import Output


def add(parser: argparse.ArgumentParser) -> None:
    """Say what the command is and takes."""
    parser.description = (
        "Run a model on a constant input (0.46875), a random input and an input of your own, and write the outputs "
        "of every operator. Dump on a device, and compare the file elsewhere with mnnlite compare."
    )
    parser.add_argument("model", metavar="MODEL", type=Path, help="an .mnn file")
    parser.add_argument("-o", "--output", metavar="FILE.npz", type=Path, required=True, help="the file to write")
    parser.add_argument("--input", metavar="FILE.npz", type=Path, help="inputs by name")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="seed of the random input")
    add_model_options(parser)
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")
    parser.set_defaults(command=_run)


def _run(args: argparse.Namespace, output: Output) -> int:
    given = read_inputs(args.input) if args.input else None
    with Model(args.model, **model_options(args)) as model:
        target = observe.dump(model, args.output, input=given, seed=args.seed)
        count = len(model.operators())
    size = target.stat().st_size
    if args.json:
        output.json({"model": str(args.model), "output": str(target), "bytes": size, "operators": count})
    else:
        output.text(f"wrote {target}: {count} operators, {size / 2**20:.2f} MiB")
    return 0
