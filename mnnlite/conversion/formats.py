"""Which files are networks of other formats, and how long their conversion may take."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["FRAMEWORKS", "SECONDS", "is_foreign"]

FRAMEWORKS = {".onnx": "ONNX", ".tflite": "TFLITE"}
SECONDS = 600.0  # that the converter may take


def is_foreign(path: object) -> bool:
    """Whether this is the path of a network that has to be converted first."""
    return isinstance(path, (str, os.PathLike)) and Path(os.fspath(path)).suffix.lower() in FRAMEWORKS
