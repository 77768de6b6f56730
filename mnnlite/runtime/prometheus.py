"""`Runtime.prometheus`: the counts and times in Prometheus' text format."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mnnlite.runtime.stats import RuntimeStats

__all__ = ["prometheus"]


def prometheus(stats: RuntimeStats) -> str:
    """Write what `Runtime.stats` gives in Prometheus' text format 0.0.4; seconds and bytes."""
    lines: list[str] = []

    def metric(name: str, kind: str, text: str, samples: list[tuple[str, float]]) -> None:
        lines.extend((f"# HELP mnnlite_{name} {text}", f"# TYPE mnnlite_{name} {kind}"))
        lines.extend(f"mnnlite_{name}{labels} {value:.9g}" for labels, value in samples)

    metric("frames_total", "counter", "Frames worked on.", [("", stats.frames)])
    metric("frames_dropped_total", "counter", "Frames dropped for fresher ones.", [("", stats.dropped)])
    tasks = {f'task="{_escaped(name)}"': task for name, task in stats.tasks.items()}
    for key, text in (
        ("runs", "Runs of a task."),
        ("late", "Results after their deadline."),
        ("failed", "Runs that failed."),
        ("skipped", "Frames on which a task was due and did not run."),
        ("shed", "Frames on which a task was left out for want of time."),
        ("preemptions", "Times that a task gave way to those that preempt."),
    ):
        samples = [(f"{{{label}}}", float(getattr(task, key))) for label, task in tasks.items()]
        metric(f"task_{key}_total", "counter", text, samples)
    samples = []
    for label, task in tasks.items():
        for stage, times in task.stages.items():
            of = f'{label},stage="{stage}"'
            quantiles = (("0.5", times.p50), ("0.9", times.p90), ("0.99", times.p99))
            samples += [(f'{{{of},quantile="{text}"}}', ns / 1e9) for text, ns in quantiles]
    metric("task_seconds", "gauge", "Time of a stage, percentiles of the last 256 runs.", samples)
    lanes = [(f'{{lane="{index}"}}', lane) for index, lane in enumerate(stats.lanes)]
    metric("lane_utilisation", "gauge", "Busy part of a lane's time.", [(at, lane.utilisation) for at, lane in lanes])
    metric("lane_loads_total", "counter", "Loads and removals.", [(at, lane.loads) for at, lane in lanes])
    stopped = [(at, lane.stopped_ns / 1e9) for at, lane in lanes]
    metric("lane_stopped_seconds_total", "counter", "Time that loads and removals took.", stopped)
    return "\n".join(lines) + "\n"


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
