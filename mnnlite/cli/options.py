"""Options that several commands share: how a model is loaded."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from mnnlite import _core
from mnnlite.errors import ArgumentError, MnnliteError
from mnnlite.integrity import open_model
from mnnlite.trial import SECONDS, trial_options, try_model

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["DEFAULTS", "add_model_options", "add_trial_option", "model_options", "read_inputs", "shapes_of", "try_file"]

# Options of arenas that have a flag, and what it is good for; their words are the engine room's.
_FLAGS = {
    "backend": "the engine's backend, cpu by default",
    "precision": "low: computes in half floats where the CPU has them",
    "memory_mode": "low: weights of 8 bits stay 8 bits in memory",
    "winograd": "small, none: 3x3 convolutions take less memory and more time",
    "tuning": "of a GPU: how long kernels are tried while the network is loaded; heavy takes minutes",
    "gpu_memory": "of OpenCL: what tensors are on the GPU",
}
DEFAULTS = {"shapes": {}, **{name: _core.ArenaOptions.words(name)[0] for name in _FLAGS}, "threads": 1, "trial": False}


def add_model_options(parser: argparse.ArgumentParser, trial: bool = True) -> None:
    """Add them to a command's parser; `trial`: it loads the model itself."""
    parser.add_argument(
        "--shape",
        action="append",
        default=[],
        metavar="INPUT=1x3x224x224",
        help="shape of an input; needed if the file leaves it open; can be repeated",
    )
    for name, text in _FLAGS.items():
        words = _core.ArenaOptions.words(name)
        parser.add_argument(f"--{name.replace('_', '-')}", choices=words, default=words[0], help=text)
    parser.add_argument("--threads", type=int, default=1, metavar="N", help="threads of the engine, 1 by default")
    if trial:
        add_trial_option(parser)


def add_trial_option(parser: argparse.ArgumentParser) -> None:
    """Add it to a command's parser: models that a command looks into come from anywhere."""
    parser.add_argument(
        "--no-trial",
        dest="trial",
        action="store_false",
        help="load the model without trying it in a child process first",
    )


def model_options(args: argparse.Namespace) -> dict[str, Any]:
    """Give what was said as arguments of `Model`."""
    return {
        "shapes": shapes_of(args.shape),
        **{name: getattr(args, name) for name in _FLAGS},
        "threads": args.threads,
        "trial": getattr(args, "trial", False),
    }


def try_file(path: str | os.PathLike[str], shapes: Mapping[str, Any], options: Mapping[str, Any]) -> None:
    """Load and run an .mnn file in a child process: raises if the engine does not survive it, and nothing else."""
    model, weights = open_model(path)
    arena = {name: value for name, value in {**DEFAULTS, **options}.items() if name not in ("shapes", "trial")}
    try:
        try_model(model, weights, trial_options(None, shapes, (), False, arena), SECONDS, os.fspath(path))
    except MnnliteError as error:
        if error.op == "trial":
            raise


def shapes_of(words: list[str]) -> dict[str, tuple[int, ...]]:
    """Read ``INPUT=1x3x224x224`` words."""
    return dict(_shape(word) for word in words)


def _shape(text: str) -> tuple[str, tuple[int, ...]]:
    name, _, dims = text.rpartition("=")
    try:
        return name, tuple(int(extent) for extent in dims.split("x"))
    except ValueError:
        raise ArgumentError(f"--shape is {text!r}; wanted INPUT=1x3x224x224") from None


def read_inputs(path: Path) -> dict[str, NDArray[Any]]:
    """Read arrays by name from an ``.npz`` file."""
    import zipfile

    import numpy as np

    try:
        with open(path, "rb") as file, np.load(file) as archive:  # NumPy leaves a damaged one open
            if isinstance(archive, np.lib.npyio.NpzFile):
                return dict(archive)
    except OSError as error:
        raise ArgumentError(f"cannot read {path}: {error.strerror or error}") from None
    except (ValueError, EOFError, AttributeError, TypeError, zipfile.BadZipFile):
        pass
    raise ArgumentError(f"{path} is not an .npz file of arrays by name; numpy.savez(path, name=array) writes one")
