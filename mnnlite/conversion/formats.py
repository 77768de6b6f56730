"""Which files are networks of other formats, and how long their conversion may take."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["ENGINES", "FRAMEWORKS", "SECONDS", "is_foreign"]

FRAMEWORKS = {".onnx": "ONNX", ".tflite": "TFLITE"}
# Who computes what a converted network has to equal: how it is called, and packages; the last one's version is its own.
ENGINES = {"ONNX": ("ONNX Runtime", ("onnx", "onnxruntime")), "TFLITE": ("LiteRT", ("ai_edge_litert",))}
SECONDS = 600.0  # that the converter may take


def is_foreign(path: object) -> bool:
    """Whether this is the path of a network that has to be converted first."""
    return isinstance(path, (str, os.PathLike)) and Path(os.fspath(path)).suffix.lower() in FRAMEWORKS
