"""What a model costs and where it goes wrong: memory, times, the first operator that deviates."""

from __future__ import annotations

from mnnlite.observe.life import Curve, Stage, curve
from mnnlite.observe.prediction import Prediction, predict
from mnnlite.observe.proc import Process, process
from mnnlite.observe.tracing import Operator, OperatorTensor, TracedRun, trace_run

__all__ = [
    "Curve",
    "Operator",
    "OperatorTensor",
    "Prediction",
    "Process",
    "Stage",
    "TracedRun",
    "curve",
    "predict",
    "process",
    "trace_run",
]
