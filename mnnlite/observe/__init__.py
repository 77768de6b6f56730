"""What a model costs and where it goes wrong: memory, times, the first operator that deviates."""

from __future__ import annotations

from mnnlite.observe.accounts import Account, Ledger, ledger
from mnnlite.observe.comparison import CaseResult, Comparison, Deviation, OperatorDifference, compare
from mnnlite.observe.dumps import dump
from mnnlite.observe.inputs import InputFinding, compare_inputs
from mnnlite.observe.life import Curve, Stage, curve
from mnnlite.observe.measures import Difference, difference
from mnnlite.observe.perfetto import TraceWriter
from mnnlite.observe.plots import plot_curves
from mnnlite.observe.prediction import Prediction, predict
from mnnlite.observe.report import write_report
from mnnlite.observe.timing import OperatorTime, Profile, StageTime, TypeTime, profile
from mnnlite.observe.tracing import Operator, OperatorTensor, TracedRun, trace_run
from mnnlite.proc import Process, process

__all__ = [
    "Account",
    "CaseResult",
    "Comparison",
    "Curve",
    "Deviation",
    "Difference",
    "InputFinding",
    "Ledger",
    "Operator",
    "OperatorDifference",
    "OperatorTensor",
    "OperatorTime",
    "Prediction",
    "Process",
    "Profile",
    "Stage",
    "StageTime",
    "TraceWriter",
    "TracedRun",
    "TypeTime",
    "compare",
    "compare_inputs",
    "curve",
    "difference",
    "dump",
    "ledger",
    "plot_curves",
    "predict",
    "process",
    "profile",
    "trace_run",
    "write_report",
]
