"""Pictures of what was measured, with matplotlib (extra ``plot``)."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mnnlite.errors import ArgumentError
from mnnlite.extras import need
from mnnlite.files import atomic_write
from mnnlite.perfetto import TraceWriter
from mnnlite.proc import MIB

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mnnlite.observe.memory_curve import Curve
    from mnnlite.observe.peaks import Peaks
    from mnnlite.observe.pipelines import PipelinePrediction
    from mnnlite.observe.prediction import Prediction

__all__ = ["check_picture", "plot_curves", "plot_fronts", "plot_peaks", "plot_trace"]

_FORMATS = (".png", ".svg", ".pdf")


def plot_curves(
    curves: Mapping[str, tuple[Curve, Prediction | PipelinePrediction | None]],
    path: str | os.PathLike[str],
    title: str = "",
) -> Path:
    """Draw anonymous memory over the stages of models' lives.

    Parameters
    ----------
    curves : dict of str to (Curve, Prediction or None)
        Curves and predictions by name. Predicted peaks are dashed lines.
    path : path
        A ``.png``, ``.svg`` or ``.pdf`` file.
    title : str

    Returns
    -------
    Path

    Raises
    ------
    MissingExtraError
        matplotlib is not installed.
    ArgumentError, OutputError
    """
    target = check_picture(path)
    figure, axes = _figure()
    names: list[str] = []
    moment: str | None = "peak within a stage"
    for number, (name, (curve, prediction)) in enumerate(curves.items()):
        color = f"C{number % 10}"
        names = max(names, [stage.name for stage in curve.stages], key=len)
        levels = [stage.anonymous_mib for stage in curve.stages]
        axes.plot(range(len(levels)), levels, "o-", color=color, label=name)
        before = [0.0, *levels]
        for index, stage in enumerate(curve.stages):
            if stage.peak_mib > max(before[index], stage.anonymous_mib) + 0.05:  # a moment that no stage ends with
                axes.plot(index - 0.5, stage.peak_mib, "^", color=color, alpha=0.6, label=moment)
                moment = None  # one line of the legend is enough
        if len(curves) == 1:
            for index, level in enumerate(levels):
                axes.annotate(
                    f"{level:.1f}", (index, level), (0, 7), textcoords="offset points", ha="center", fontsize=8
                )
        if prediction is not None:
            text = f"predicted peak {prediction.peak_mib:.1f} MiB" if len(curves) == 1 else None
            axes.axhline(prediction.peak_mib, color=color, linestyle="--", linewidth=1, label=text)
    axes.set_ylabel("anonymous memory over the start, MiB")
    axes.set_ylim(0, 1.12 * max(1e-3, *(max(curve.peak_mib, p.peak_mib if p else 0) for curve, p in curves.values())))
    axes.grid(alpha=0.3)
    axes.set_xticks(range(len(names)), names, rotation=35, ha="right", rotation_mode="anchor")
    axes.set_title(title)
    axes.legend()
    with atomic_write(target) as made:
        figure.savefig(made, dpi=120)
    return target


def plot_trace(trace: TraceWriter | str | os.PathLike[str], path: str | os.PathLike[str], frames: int = 8) -> Path:
    """Draw the lanes of a runtime over time.

    Parameters
    ----------
    trace : TraceWriter, or path
        The result of ``Runtime.trace``: ``trace.writer()``, or the file that it wrote.
    path : path
        A ``.png``, ``.svg`` or ``.pdf`` file.
    frames : int
        How many frames to draw, from the middle of the trace.

    Returns
    -------
    Path

    Raises
    ------
    MissingExtraError
        matplotlib is not installed.
    ArgumentError
        The path has another suffix, or the trace is not one or has no frame.
    OutputError
    """
    target = check_picture(path)
    events = _events(trace)
    tracks = {event["tid"]: event["args"]["name"] for event in events if event["name"] == "thread_name"}
    lanes = [number for number, name in tracks.items() if name.startswith("lane ")]
    taken = [event for event in events if event["ph"] == "b"]
    done = {event["id"]: event["ts"] for event in events if event["ph"] == "e"}
    if not taken:
        raise ArgumentError("the trace has no frame to draw")
    first = max(0, (len(taken) - frames) // 2)
    shown = taken[first : first + frames]
    start, stop = min(event["ts"] for event in shown), max(done[event["id"]] for event in shown)
    spans = [event for event in events if event["ph"] == "X" and event["tid"] in lanes]
    spans = [event for event in spans if event["ts"] < stop and event["ts"] + event["dur"] > start]
    names = sorted({event["name"] for event in spans if event["cat"] == "task"})
    figure, axes = _figure(1.6 + 0.75 * (len(lanes) + 1))
    colours = {name: f"C{index % 10}" if len(names) <= 10 else _twenty(index) for index, name in enumerate(names)}
    rows = {number: index for index, number in enumerate(lanes)}
    shade = {"preprocess": 0.35, "infer": 0.0, "decode": 0.6}  # of white over the task's colour
    for event in spans:
        box = [((event["ts"] - start) / 1e3, event["dur"] / 1e3)]
        row = rows[event["tid"]]
        if event["cat"] == "task":
            axes.broken_barh(
                box, (row - 0.36, 0.72), facecolors=colours[event["name"]], edgecolors="black", linewidth=0.4
            )
        elif event["cat"] == "stage" and shade.get(event["name"]):
            axes.broken_barh(box, (row - 0.36, 0.72), facecolors="white", alpha=shade[event["name"]])
        elif event["cat"] == "change":
            axes.broken_barh(box, (row - 0.45, 0.9), facecolors="none", edgecolors="red", hatch="//")
    for index, event in enumerate(shown):
        height = -1 - 0.16 * (index % 3 - 1)
        begin, end = ((at - start) / 1e3 for at in (event["ts"], done[event["id"]]))
        axes.plot([begin, end], [height, height], "|-", color="0.25", linewidth=1.2, markersize=6)
        axes.annotate(str(event["id"]), (begin, height), (2, 2), textcoords="offset points", fontsize=7)
    drops = [(event["ts"] - start) / 1e3 for event in events if event["ph"] == "i" and event["name"] == "frame dropped"]
    drops = [at for at in drops if 0 <= at <= (stop - start) / 1e3]
    if drops:
        axes.plot(drops, [-1.45] * len(drops), "rx", markersize=5, label="frame dropped")
    axes.set_yticks([-1, *rows.values()], ["frames", *(tracks[number] for number in lanes)])
    axes.set_ylim(len(lanes) - 0.4, -1.6)
    axes.set_xlim(0, (stop - start) / 1e3)
    axes.set_xlabel("milliseconds; preprocessing and decoding are lighter than inference")
    axes.grid(axis="x", alpha=0.3)
    for name in names:
        axes.broken_barh([], (0, 0), facecolors=colours[name], label=name)
    figure.legend(
        *axes.get_legend_handles_labels(), loc="outside lower center", ncols=min(7, len(names) + 1), fontsize=8
    )
    with atomic_write(target) as made:
        figure.savefig(made, dpi=120)
    return target


def plot_peaks(found: Peaks, path: str | os.PathLike[str], title: str = "") -> Path:
    """Draw how much memory each operator needs for feature maps, in order of execution.

    Parameters
    ----------
    found : Peaks
    path : path
        A ``.png``, ``.svg`` or ``.pdf`` file.
    title : str

    Returns
    -------
    Path

    Raises
    ------
    MissingExtraError
        matplotlib is not installed.
    ArgumentError, OutputError
    """
    target = check_picture(path)
    figure, axes = _figure()
    mib = [each.bytes / MIB for each in found.operators]
    axes.fill_between(range(len(mib)), mib, step="mid", color="C0", alpha=0.35)
    axes.step(range(len(mib)), mib, where="mid", color="C0", linewidth=1)
    if found.buffer is not None:
        axes.axhline(found.buffer / MIB, color="C1", linestyle="--", linewidth=1, label="the engine's buffer")
    peak, left = found.peak, found.peak.index < len(mib) / 2
    axes.annotate(
        f"{peak.name[:60]} ({peak.type})\n{peak.bytes / MIB:.1f} MiB",
        (peak.index, peak.bytes / MIB),
        (12 if left else -12, -4),
        textcoords="offset points",
        ha="left" if left else "right",
        va="top",
        fontsize=8,
    )
    axes.set_xlabel("operators, in order of execution")
    axes.set_ylabel("feature maps alive, MiB")
    axes.set_xlim(-0.5, len(mib) - 0.5)
    axes.set_ylim(0, 1.12 * max(1e-3, *mib, (found.buffer or 0) / MIB))
    axes.grid(alpha=0.3)
    axes.set_title(title)
    axes.legend()
    with atomic_write(target) as made:
        figure.savefig(made, dpi=120)
    return target


def plot_fronts(
    tasks: Mapping[str, Sequence[tuple[float, float, str, bool, bool]]], path: str | os.PathLike[str], title: str = ""
) -> Path:
    """Draw the alternatives of networks, their fronts, and what was chosen.

    Parameters
    ----------
    tasks : dict of str to sequence of (float, float, str, bool, bool)
        Milliseconds, MiB and the words of each alternative, whether it was to choose from, and whether it was chosen.
    path : path
        A ``.png``, ``.svg`` or ``.pdf`` file.
    title : str

    Returns
    -------
    Path

    Raises
    ------
    MissingExtraError
        matplotlib is not installed.
    ArgumentError, OutputError
    """
    target = check_picture(path)
    figure, axes = _figure()
    for number, (name, points) in enumerate(tasks.items()):
        color = _twenty(number) if len(tasks) > 10 else f"C{number}"
        kept = sorted(point for point in points if point[3])
        axes.plot([point[0] for point in kept], [point[1] for point in kept], "-", color=color, linewidth=1, label=name)
        for ms, mib, words, candidate, chosen in points:
            axes.plot([ms], [mib], "o", color=color, alpha=1 if candidate else 0.25, markersize=9 if chosen else 4)
            if candidate:
                axes.annotate(words, (ms, mib), (5, 3), textcoords="offset points", fontsize=7)
    axes.set_xscale("log")
    axes.set_yscale("log")
    for axis in (axes.xaxis, axes.yaxis):  # 6, not 6 x 10^0
        axis.set_major_formatter("{x:g}")
        axis.set_minor_formatter(lambda value, _: f"{value:g}" if f"{value:.0e}"[0] in "25" else "")
    axes.set_xlabel("ms a frame; large points are chosen, pale ones are no gain or agree too little")
    axes.set_ylabel("MiB while it runs alone")
    axes.grid(alpha=0.3, which="both")
    axes.set_title(title)
    axes.legend(fontsize=8)
    with atomic_write(target) as made:
        figure.savefig(made, dpi=120)
    return target


def check_picture(path: str | os.PathLike[str]) -> Path:
    """Refuse a path whose suffix is no format of pictures.

    Raises
    ------
    ArgumentError
    """
    target = Path(path)
    if target.suffix.lower() not in _FORMATS:
        raise ArgumentError(f"the picture {target} ends in {target.suffix!r}; wanted {', '.join(_FORMATS)}")
    return target


def _events(trace: TraceWriter | str | os.PathLike[str]) -> list[dict[str, Any]]:
    if isinstance(trace, TraceWriter):
        found: list[dict[str, Any]] = trace.to_dict()["traceEvents"]
        return found
    try:
        found = json.loads(Path(trace).read_text(encoding="utf-8"))["traceEvents"]
    except OSError as error:
        raise ArgumentError(f"cannot read {os.fspath(trace)}: {error.strerror}") from None
    except (ValueError, KeyError, TypeError):
        raise ArgumentError(f"{os.fspath(trace)} is not a trace in the form of JSON objects") from None
    return found


def _twenty(index: int) -> Any:
    from matplotlib import colormaps

    return colormaps["tab20"](index % 20)


def _figure(height: float = 5) -> tuple[Any, Any]:
    need("pictures need matplotlib", "plot", "matplotlib.backends.backend_agg", "matplotlib.figure")
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, height), layout="constrained")
    FigureCanvasAgg(figure)  # no window system, no global state
    return figure, figure.add_subplot()
