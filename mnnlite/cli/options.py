"""Options that several commands share: how a model is loaded."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from mnnlite.errors import ArgumentError, MnnliteError
from mnnlite.integrity import open_model
from mnnlite.trial import SECONDS, trial_options, try_model

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["DEFAULTS", "add_model_options", "add_trial_option", "model_options", "read_inputs", "shapes_of", "try_file"]

DEFAULTS = {
    "shapes": {},
    "backend": "cpu",
    "precision": "normal",
    "memory_mode": "normal",
    "winograd": "large",
    "threads": 1,
    "trial": False,
}
_LEVELS = ("normal", "high", "low")


def add_model_options(parser: argparse.ArgumentParser, trial: bool = True) -> None:
    """Add them to a command's parser; `trial`: it loads the model itself."""
    parser.add_argument(
        "--shape",
        action="append",
        default=[],
        metavar="INPUT=1x3x224x224",
        help="shape of an input; needed where the file leaves it open, can be repeated",
    )
    parser.add_argument("--backend", choices=("cpu", "opencl", "opengl", "vulkan"), default="cpu")
    parser.add_argument(
        "--precision", choices=_LEVELS, default="normal", help="low: half floats where the CPU has them"
    )
    parser.add_argument("--memory-mode", choices=_LEVELS, default="normal", help="low: 8-bit weights stay as they are")
    parser.add_argument(
        "--winograd", choices=("large", "small", "none"), default="large", help="small, none: less memory, more time"
    )
    parser.add_argument("--threads", type=int, default=1, metavar="N")
    if trial:
        add_trial_option(parser)


def add_trial_option(parser: argparse.ArgumentParser) -> None:
    """Add it to a command's parser: models that a command looks into come from anywhere."""
    parser.add_argument(
        "--no-trial",
        dest="trial",
        action="store_false",
        help="load the model here at once, not in a child process first",
    )


def model_options(args: argparse.Namespace) -> dict[str, Any]:
    """Give what was said as arguments of `Model`."""
    return {
        "shapes": shapes_of(args.shape),
        "backend": args.backend,
        "precision": args.precision,
        "memory_mode": args.memory_mode,
        "winograd": args.winograd,
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
        with np.load(path) as archive:
            if isinstance(archive, np.lib.npyio.NpzFile):
                return dict(archive)
    except OSError as error:
        raise ArgumentError(f"cannot read {path}: {error.strerror or error}") from None
    except (ValueError, EOFError, AttributeError, zipfile.BadZipFile):
        pass
    raise ArgumentError(f"{path} is not an .npz file of arrays by name; numpy.savez(path, name=array) writes one")
