"""Many small vision networks on a camera stream, on MNN, with the least memory and time around the engine."""

from __future__ import annotations

from mnnlite import _engine

_engine.load()  # what follows imports _core, which needs the engine

from mnnlite import _core, decoders, results  # noqa: E402
from mnnlite.errors import (  # noqa: E402
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
from mnnlite.frame import Frame  # noqa: E402
from mnnlite.model import Arena, Model  # noqa: E402
from mnnlite.specs import ImageSpec, TaskSpec, TensorInfo  # noqa: E402
from mnnlite.task import Task  # noqa: E402

__version__: str = _core.__version__

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
    "StateError",
    "Task",
    "TaskSpec",
    "TensorInfo",
    "TensorNotFoundError",
    "UnsupportedModelError",
    "__version__",
    "decoders",
    "results",
]
