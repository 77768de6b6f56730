"""Many tasks on a stream: what runs when, in which lane, and in how much memory."""

from __future__ import annotations

from mnnlite.lazy import lazily
from mnnlite.runtime.result import FrameResult
from mnnlite.runtime.runtime import Runtime
from mnnlite.runtime.schedule import Schedule
from mnnlite.runtime.stream import Stream

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mnnlite.runtime.memory import RuntimeMemory
    from mnnlite.runtime.stats import RuntimeStats

__all__ = ["FrameResult", "Runtime", "RuntimeMemory", "RuntimeStats", "Schedule", "Stream"]

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazily(
        __name__, {"RuntimeMemory": "mnnlite.runtime.memory", "RuntimeStats": "mnnlite.runtime.stats"}
    )
