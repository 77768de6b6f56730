"""What a model costs and where it goes wrong: memory, times, the first operator that deviates."""

from __future__ import annotations

from mnnlite.memory_report import MemoryReport, ModelMemory, memory_report
from mnnlite.observe.compared_case import CaseResult, Deviation, OperatorDifference
from mnnlite.observe.comparison import Comparison, compare
from mnnlite.observe.decoded import Agreement, DecodedComparison, compare_decoded
from mnnlite.observe.dumps import DumpedModel, dump
from mnnlite.observe.inputs import InputFinding, check_preprocessing, compare_inputs, picture_inputs
from mnnlite.observe.memory import curve, predict
from mnnlite.observe.memory_curve import Curve, Stage
from mnnlite.observe.metrics import Difference, difference
from mnnlite.observe.peaks import FeatureMap, Peaks, WorkingSet, peaks
from mnnlite.observe.pipelines import PipelinePrediction
from mnnlite.observe.planned import Plan, PlannedOperator, plan
from mnnlite.observe.plots import check_picture, plot_curves, plot_fronts, plot_peaks, plot_trace
from mnnlite.observe.prediction import Prediction
from mnnlite.observe.report import write_report
from mnnlite.observe.timing import OperatorTime, Profile, StageTime, TypeTime, profile, profile_runtime
from mnnlite.observe.tracing import Operator, OperatorTensor, TracedRun, trace_run
from mnnlite.perfetto import TraceWriter
from mnnlite.proc import Process, process

__all__ = [
    "ModelMemory",
    "Agreement",
    "CaseResult",
    "Comparison",
    "Curve",
    "DecodedComparison",
    "Deviation",
    "DumpedModel",
    "Difference",
    "FeatureMap",
    "InputFinding",
    "MemoryReport",
    "Operator",
    "OperatorDifference",
    "OperatorTensor",
    "OperatorTime",
    "Peaks",
    "PipelinePrediction",
    "Plan",
    "PlannedOperator",
    "Prediction",
    "Process",
    "Profile",
    "Stage",
    "StageTime",
    "TraceWriter",
    "TracedRun",
    "TypeTime",
    "WorkingSet",
    "check_picture",
    "check_preprocessing",
    "compare",
    "compare_decoded",
    "compare_inputs",
    "curve",
    "difference",
    "dump",
    "memory_report",
    "peaks",
    "picture_inputs",
    "plan",
    "plot_curves",
    "plot_fronts",
    "plot_peaks",
    "plot_trace",
    "predict",
    "process",
    "profile",
    "profile_runtime",
    "trace_run",
    "write_report",
]
