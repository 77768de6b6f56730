"""From an .onnx or .tflite file to an .mnn file: checked, rewritten where the converter errs, converted, tried.

``onnx_source`` and ``tflite_source`` look through a file, ``rewrites`` changes ONNX graphs, ``worker`` is the child process in
which that and the engine's converter run, ``attempt`` loads and runs what it wrote, ``store`` keeps what was converted on the fly.
"""

from __future__ import annotations

from mnnlite.conversion.converter import FRAMEWORKS, SECONDS, Converted, converted_in, move
from mnnlite.conversion.store import is_foreign, keep, key_of, ready, ready_spec

__all__ = [
    "FRAMEWORKS",
    "SECONDS",
    "Converted",
    "converted_in",
    "is_foreign",
    "keep",
    "key_of",
    "move",
    "ready",
    "ready_spec",
]
