"""Pictures of what was measured, with matplotlib (extra ``plot``)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from mnnlite.errors import ArgumentError, MissingExtraError
from mnnlite.observe.files import whole

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

    from mnnlite.observe.life import Curve
    from mnnlite.observe.prediction import Prediction

__all__ = ["plot_curves"]

_FORMATS = (".png", ".svg", ".pdf")


def plot_curves(
    curves: Mapping[str, tuple[Curve, Prediction | None]], path: str | os.PathLike[str], title: str = ""
) -> Path:
    """Draw anonymous memory over the stages of models' lives.

    Parameters
    ----------
    curves : dict of str to (Curve, Prediction or None)
        By name. Predicted peaks are dashed lines.
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
    target = Path(path)
    if target.suffix.lower() not in _FORMATS:
        raise ArgumentError(f"the picture {target} ends in {target.suffix!r}; wanted {', '.join(_FORMATS)}")
    figure, axes = _figure()
    for number, (name, (curve, prediction)) in enumerate(curves.items()):
        color = f"C{number % 10}"
        names = [stage.name for stage in curve.stages]
        levels = [stage.anonymous_mib for stage in curve.stages]
        axes.plot(names, levels, "o-", color=color, label=name)
        before = [0.0, *levels]
        for place, stage in enumerate(curve.stages):
            if stage.peak_mib > max(before[place], stage.anonymous_mib) + 0.05:  # a moment that no stage ends with
                label = "peak within a stage" if number == 0 else None
                axes.plot(place - 0.5, stage.peak_mib, "^", color=color, alpha=0.6, label=label)
        if len(curves) == 1:
            for place, level in enumerate(levels):
                axes.annotate(
                    f"{level:.1f}", (place, level), (0, 7), textcoords="offset points", ha="center", fontsize=8
                )
        if prediction is not None:
            text = f"predicted peak {prediction.peak_mib:.1f} MiB" if len(curves) == 1 else None
            axes.axhline(prediction.peak_mib, color=color, linestyle="--", linewidth=1, label=text)
    axes.set_ylabel("anonymous memory over the start, MiB")
    axes.set_ylim(0, 1.12 * max(1e-3, *(max(curve.peak_mib, p.peak_mib if p else 0) for curve, p in curves.values())))
    axes.grid(alpha=0.3)
    axes.tick_params(axis="x", rotation=25)
    axes.set_title(title)
    axes.legend()
    figure.tight_layout()
    with whole(target) as made:
        figure.savefig(made, dpi=120)
    return target


def _figure() -> tuple[Any, Any]:
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingExtraError('pictures need matplotlib; install it with: pip install "mnnlite[plot]"') from None
    figure = Figure(figsize=(9, 5))
    FigureCanvasAgg(figure)  # no window system, no global state
    return figure, figure.add_subplot()
