"""Many tasks on a stream: what runs when, in which lane, and in how much memory."""

from __future__ import annotations

from mnnlite.runtime.result import FrameResult
from mnnlite.runtime.runner import Runtime
from mnnlite.runtime.stream import Stream

__all__ = ["FrameResult", "Runtime", "Stream"]
