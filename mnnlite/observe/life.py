"""Memory of a model over its life, stage by stage."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from mnnlite import meter
from mnnlite.proc import MIB

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence

__all__ = ["STAGES", "Curve", "Stage", "curve"]

STAGES = meter.STAGES


@dataclass(frozen=True)
class Stage:
    """Memory after a stage, in MiB (2**20 bytes) over what the process held at the start.

    Parameters
    ----------
    name : str
        One of `STAGES`.
    anonymous_mib : float
        What belongs to no file.
    rss_mib : float
        Everything resident, the engine's code included.
    peak_mib : float
        The most anonymous memory at any moment of the stage: loading holds for a moment what it then gives back.
    """

    name: str
    anonymous_mib: float
    rss_mib: float
    peak_mib: float


@dataclass(frozen=True)
class Curve:
    """Memory of a model over its life.

    Parameters
    ----------
    stages : tuple of Stage
        In the order of `STAGES`. All but the absolute figures below are growth since ``start``.
    peak_mib : float
        The most anonymous memory at any moment, MiB over the start.
    start_anonymous_mib, start_rss_mib : float
        What the process held at the start: Python, NumPy, the engine's library.
    """

    stages: tuple[Stage, ...]
    peak_mib: float
    start_anonymous_mib: float
    start_rss_mib: float

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return asdict(self)


def curve(
    source: str | os.PathLike[str],
    *,
    outputs: Sequence[str] | None = None,
    shapes: Mapping[str, Sequence[int]] | None = None,
    external: str | os.PathLike[str] | None = None,
    **arena_options: Any,
) -> Curve:
    """Measure a model's memory from load to close.

    Parameters
    ----------
    source : path
        An ``.mnn`` file.
    outputs, shapes, external, **arena_options
        As for `Model`.

    Returns
    -------
    Curve
        No stage hides a warm-up: the model is loaded once and run twice in a process that did nothing before.

    Raises
    ------
    ModelNotFoundError, ModelFormatError, UnsupportedModelError, ArgumentError, TensorNotFoundError
        What loading it raises.
    EngineError
        The child process ended without an answer: the file crashes the engine.

    Notes
    -----
    Starts a Python process. Inputs are filled with 0.46875. Memory is read from ``smaps_rollup`` between stages; the
    peak within a stage is the kernel's high-water mark of resident memory less file-backed memory, whose pages are
    all touched before the start so that they do not grow.
    """
    return curve_of(meter.measure(source, meter.model_options(outputs, shapes, external, arena_options), run=True))


def curve_of(run: meter.Run) -> Curve:
    """Make a curve of what a child measured."""
    stages = tuple(
        Stage(each.name, each.anonymous / MIB, each.rss / MIB, max(each.anonymous, each.peak or 0) / MIB)
        for each in run.readings
    )
    peak = max(stage.peak_mib for stage in stages)
    return Curve(stages, peak, run.start_anonymous / MIB, run.start_rss / MIB)
