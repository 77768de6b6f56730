"""From an .onnx or .tflite file to an .mnn file: checked, rewritten where the converter errs, converted, tried.

``onnx_source`` and ``tflite_source`` look through a file, ``rewrites`` changes ONNX graphs, ``worker`` is the child process in
which that and the engine's converter run, ``attempt`` loads and runs what it wrote, ``store`` keeps what was converted on the fly.
"""

from __future__ import annotations

from mnnlite.lazy import lazily

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mnnlite.conversion.converter import Converted, converted_in, move
    from mnnlite.conversion.formats import FRAMEWORKS, SECONDS, is_foreign
    from mnnlite.conversion.store import keep, key_of, ready, ready_spec

_HOMES = {
    "FRAMEWORKS": "mnnlite.conversion.formats",
    "SECONDS": "mnnlite.conversion.formats",
    "Converted": "mnnlite.conversion.converter",
    "converted_in": "mnnlite.conversion.converter",
    "is_foreign": "mnnlite.conversion.formats",
    "keep": "mnnlite.conversion.store",
    "key_of": "mnnlite.conversion.store",
    "move": "mnnlite.conversion.converter",
    "ready": "mnnlite.conversion.store",
    "ready_spec": "mnnlite.conversion.store",
}

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

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazily(__name__, _HOMES)
