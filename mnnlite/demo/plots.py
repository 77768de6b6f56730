"""Figures of a drive as a picture, with matplotlib (extra ``plot``)."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from mnnlite.errors import MissingExtraError, OutputError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

__all__ = ["check", "plot"]


def check() -> None:
    """See whether there is matplotlib, without the memory that importing it takes.

    Raises
    ------
    MissingExtraError
        It is not installed.
    """
    if find_spec("matplotlib") is None:
        raise MissingExtraError('plots need matplotlib; install it with: pip install "mnnlite[plot]"')


def plot(
    frame_ms: Sequence[float], task_ms: Mapping[str, Sequence[float]], summary: Mapping[str, Any], path: Path
) -> None:
    """Draw the time of each frame, and the memory of the networks together and apart.

    Parameters
    ----------
    frame_ms : sequence of float
        Milliseconds of each frame.
    task_ms : dict of str to sequence of float
        Of each task, in the frames in which it ran.
    summary : dict
        ``networks_together_mib``, ``networks_apart_mib``.
    path : Path
        A PNG file.

    Raises
    ------
    MissingExtraError, OutputError
    """
    check()
    from matplotlib.figure import Figure  # needs no display

    figure = Figure(figsize=(9, 3.6), layout="constrained")
    times, memory = figure.subplots(1, 2, width_ratios=[3, 1])
    times.plot(frame_ms, color="0.2", linewidth=1.5, label="frame")
    times.axhline(40, color="C3", linestyle="--", linewidth=1, label="25 frames a second")
    for name, spent in task_ms.items():
        times.axhline(
            sorted(spent)[len(spent) // 2],
            linewidth=1,
            alpha=0.7,
            label=f"{name}, median",
            color=f"C{len(times.lines)}",
        )
    times.set_ylim(0)
    times.set_xlabel("frame")
    times.set_ylabel("ms")
    times.legend(fontsize=8)
    bars = memory.bar(
        ["one runtime\neach", "one for\nall"],
        [summary["networks_apart_mib"], summary["networks_together_mib"]],
        color=["0.6", "C0"],
    )
    memory.bar_label(bars, fmt="%.1f")
    memory.margins(y=0.12)
    memory.set_ylabel("anonymous memory, MiB")
    try:
        figure.savefig(path, dpi=110)
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror}") from None
