"""What a model costs and where it goes wrong: memory, times, the first operator that deviates."""

from __future__ import annotations

from mnnlite.observe.tracing import Operator, OperatorTensor, TracedRun, trace_run

__all__ = ["Operator", "OperatorTensor", "TracedRun", "trace_run"]
