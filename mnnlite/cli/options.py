"""Options that several commands share: how a model is loaded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mnnlite.errors import ArgumentError

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["DEFAULTS", "add_model_options", "model_options", "read_inputs", "shapes_of"]

DEFAULTS = {
    "shapes": {},
    "backend": "cpu",
    "precision": "normal",
    "memory_mode": "normal",
    "winograd": "large",
    "threads": 1,
}
_LEVELS = ("normal", "high", "low")


def add_model_options(parser: argparse.ArgumentParser) -> None:
    """Add them to a command's parser."""
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


def model_options(args: argparse.Namespace) -> dict[str, Any]:
    """Give what was said as arguments of `Model`."""
    return {
        "shapes": shapes_of(args.shape),
        "backend": args.backend,
        "precision": args.precision,
        "memory_mode": args.memory_mode,
        "winograd": args.winograd,
        "threads": args.threads,
    }


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
