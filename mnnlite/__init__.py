"""Many small vision networks on a camera stream, on MNN, with the least memory and time around the engine."""

from __future__ import annotations

from mnnlite import _engine, _starting
from mnnlite.errors import (
    ArgumentError,
    BackendUnavailableError,
    BusyError,
    ClosedError,
    ConversionError,
    DecoderABIError,
    DecoderError,
    DTypeError,
    EngineError,
    EngineNotFoundError,
    EngineVersionError,
    LayoutError,
    MemoryBudgetError,
    MissingExtraError,
    MnnliteError,
    ModelError,
    ModelFormatError,
    ModelNotFoundError,
    OutOfMemoryError,
    OutputError,
    PipelineError,
    SourceError,
    StateError,
    TensorNotFoundError,
    UnsupportedModelError,
)
from mnnlite.lazy import lazily

_starting.guard()  # before what takes time
_engine.load()  # before anything that imports _core

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mnnlite import decoders, descriptions, draw, mapping, observe, pipeline, results, video
    from mnnlite.arena import Arena
    from mnnlite.decoders import get_include
    from mnnlite.descriptions import describe
    from mnnlite.engine_options import EngineOptions
    from mnnlite.frame import Frame
    from mnnlite.model import Model
    from mnnlite.runtime import FrameResult, Runtime
    from mnnlite.specs import ImageSpec, TaskSpec, TensorInfo
    from mnnlite.task import Task

    __version__: str

_MODULES = ("decoders", "descriptions", "draw", "mapping", "observe", "pipeline", "results", "video")
# Found when first asked for: what is not used is not imported, and NumPy is most of what an import would cost.
_HOMES = {
    "__version__": "mnnlite._core",
    "Arena": "mnnlite.arena",
    "EngineOptions": "mnnlite.engine_options",
    "Frame": "mnnlite.frame",
    "FrameResult": "mnnlite.runtime",
    "ImageSpec": "mnnlite.specs",
    "Model": "mnnlite.model",
    "Runtime": "mnnlite.runtime",
    "Task": "mnnlite.task",
    "TaskSpec": "mnnlite.specs",
    "TensorInfo": "mnnlite.specs",
    "describe": "mnnlite.descriptions",
    "get_include": "mnnlite.decoders",
    **{name: f"mnnlite.{name}" for name in _MODULES},
}

__all__ = [
    "Arena",
    "ArgumentError",
    "BackendUnavailableError",
    "BusyError",
    "ClosedError",
    "ConversionError",
    "DTypeError",
    "DecoderABIError",
    "DecoderError",
    "EngineError",
    "EngineNotFoundError",
    "EngineOptions",
    "EngineVersionError",
    "Frame",
    "FrameResult",
    "ImageSpec",
    "LayoutError",
    "MemoryBudgetError",
    "MissingExtraError",
    "MnnliteError",
    "Model",
    "ModelError",
    "ModelFormatError",
    "ModelNotFoundError",
    "OutOfMemoryError",
    "OutputError",
    "PipelineError",
    "SourceError",
    "Runtime",
    "StateError",
    "Task",
    "TaskSpec",
    "TensorInfo",
    "TensorNotFoundError",
    "UnsupportedModelError",
    "__version__",
    "decoders",
    "describe",
    "descriptions",
    "draw",
    "get_include",
    "mapping",
    "observe",
    "pipeline",
    "results",
    "video",
]

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazily(__name__, _HOMES)
