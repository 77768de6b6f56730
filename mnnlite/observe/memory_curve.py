"""Memory of a model over its life, stage by stage."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from mnnlite import memory_probe
from mnnlite.proc import MIB

__all__ = ["STAGES", "Curve", "Stage", "curve_of"]

STAGES = memory_probe.STAGES


@dataclass(frozen=True)
class Stage:
    """Memory after a stage, in MiB (2**20 bytes) over what the process held at the start.

    Parameters
    ----------
    name : str
        One of `STAGES`. For a pipeline: ``start``, ``load NAME`` for each task, ``run``, ``second run``, ``close``.
    anonymous_mib : float
        Memory that belongs to no file.
    rss_mib : float
        All resident memory, including the engine's code.
    peak_mib : float
        The most anonymous memory at any moment of the stage: loading holds more for a moment than it keeps.
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
        The stages in order. Their figures are growth since ``start``.
    peak_mib : float
        The most anonymous memory at any moment, in MiB more than at the start.
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


def curve_of(run: memory_probe.Run) -> Curve:
    """Make a curve of what a child measured."""
    stages = tuple(
        Stage(each.name, each.anonymous / MIB, each.rss / MIB, max(each.anonymous, each.peak or 0) / MIB)
        for each in run.readings
    )
    peak = max(stage.peak_mib for stage in stages)
    return Curve(stages, peak, run.start_anonymous / MIB, run.start_rss / MIB)
