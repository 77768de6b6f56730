"""Many small vision networks on a camera stream, on MNN, with the least memory and time around the engine."""

from __future__ import annotations

from importlib import import_module

from mnnlite import _engine
from mnnlite.errors import (
    ArgumentError,
    BackendUnavailableError,
    BusyError,
    ClosedError,
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

_engine.load()  # before anything that imports _core

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mnnlite import decoders, descriptions, draw, mapping, observe, pipeline, results, video
    from mnnlite.arena import Arena
    from mnnlite.decoders import get_include
    from mnnlite.descriptions import describe
    from mnnlite.frame import Frame
    from mnnlite.model import Model
    from mnnlite.runtime import FrameResult, Runtime
    from mnnlite.specs import ImageSpec, TaskSpec, TensorInfo
    from mnnlite.task import Task

    __version__: str

# Found when first asked for: what is not used is not imported, and NumPy is most of what an import would cost.
_HOMES = {
    "Arena": "mnnlite.arena",
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
}
_MODULES = ("decoders", "descriptions", "draw", "mapping", "observe", "pipeline", "results", "video")

__all__ = [
    "Arena",
    "ArgumentError",
    "BackendUnavailableError",
    "BusyError",
    "ClosedError",
    "DTypeError",
    "DecoderABIError",
    "DecoderError",
    "EngineError",
    "EngineNotFoundError",
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


def __getattr__(name: str) -> object:
    if name == "__version__":
        from mnnlite._core import __version__

        return __version__
    if name in _HOMES:
        value = getattr(import_module(_HOMES[name]), name)
    elif name in _MODULES:
        value = import_module(f"mnnlite.{name}")
    else:
        raise AttributeError(f"module 'mnnlite' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(__all__))
