"""Many tasks on a stream: what runs when, in which lane, and in how much memory."""

from __future__ import annotations

from mnnlite.runtime.memory import RuntimeMemory
from mnnlite.runtime.result import FrameResult
from mnnlite.runtime.runtime import Runtime
from mnnlite.runtime.schedule import Schedule
from mnnlite.runtime.stats import RuntimeStats
from mnnlite.runtime.stream import Stream

__all__ = ["FrameResult", "Runtime", "RuntimeMemory", "RuntimeStats", "Schedule", "Stream"]
