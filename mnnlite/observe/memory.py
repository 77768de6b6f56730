"""Measures the memory of a model or a pipeline from load to close, and predicts its peak, in fresh processes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from mnnlite import cost, memory_probe
from mnnlite.errors import ArgumentError
from mnnlite.observe.memory_curve import Curve, curve_of
from mnnlite.observe.pipelines import PipelinePrediction, pipeline_curve, predict_pipeline
from mnnlite.observe.prediction import Prediction, prediction_of
from mnnlite.pipeline import Pipeline

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence

__all__ = ["curve", "is_pipeline_file", "predict"]


def curve(
    source: str | os.PathLike[str] | Pipeline,
    *,
    frames: str | os.PathLike[str] | None = None,
    outputs: Sequence[str] | None = None,
    shapes: Mapping[str, Sequence[int]] | None = None,
    external: str | os.PathLike[str] | None = None,
    **arena_options: Any,
) -> Curve:
    """Measure memory from load to close.

    Parameters
    ----------
    source : path or Pipeline
        An ``.mnn`` file, a pipeline, or its ``.toml`` file.
    frames : path, optional
        For a pipeline: a picture or video, of which the first two frames are used. The default is noise, in which cascades
        find little.
    outputs, shapes, external, **arena_options
        For a model: as for `Model`.

    Returns
    -------
    Curve
        The stages. None hides a warm-up: the process loads all once, runs it twice, and has done nothing before.

    Raises
    ------
    MnnliteError
        Loading raised this.
    EngineError
        The child process ended without an answer, because the file crashes the engine.

    Notes
    -----
    It starts a Python process, and fills a model's inputs with 0.46875. The kernel tells the memory between stages. The peak
    within a stage is the kernel's high-water mark of resident memory less file-backed memory. All file-backed pages are
    touched before the start, so that they do not grow.
    """
    given = {"outputs": outputs, "shapes": shapes, "external": external, **arena_options}
    if isinstance(source, Pipeline) or is_pipeline_file(source):
        _refuse(source, given)
        return pipeline_curve(source, frames)
    _refuse(source, {"frames": frames})
    return curve_of(
        memory_probe.measure(source, memory_probe.model_options(outputs, shapes, external, arena_options), run=True)
    )


def predict(
    source: str | os.PathLike[str] | Pipeline,
    *,
    outputs: Sequence[str] | None = None,
    shapes: Mapping[str, Sequence[int]] | None = None,
    external: str | os.PathLike[str] | None = None,
    **arena_options: Any,
) -> Prediction | PipelinePrediction:
    """Predict the peak of anonymous memory.

    Parameters
    ----------
    source : path or Pipeline
        An ``.mnn`` file, a pipeline, or its ``.toml`` file.
    outputs, shapes, external, **arena_options
        For a model: as for `Model`.

    Returns
    -------
    Prediction or PipelinePrediction
        The prediction; both types have ``peak_mib`` and ``field_sum_mib``.

    Raises
    ------
    MnnliteError
        Loading raised this.

    Notes
    -----
    It uses `mnnlite.cost`: a child process loads each model and fills its inputs, but never runs it.
    """
    given = {"outputs": outputs, "shapes": shapes, "external": external, **arena_options}
    if isinstance(source, Pipeline) or is_pipeline_file(source):
        _refuse(source, given)
        return predict_pipeline(source)
    return prediction_of(cost.of(source, outputs=outputs, shapes=shapes, external=external, **arena_options))


def is_pipeline_file(source: str | os.PathLike[str]) -> bool:
    """Whether a path is that of a pipeline."""
    return Path(source).suffix.lower() == ".toml"


def _refuse(source: object, options: Mapping[str, Any]) -> None:
    given = [name for name, value in options.items() if value]
    if given:
        kind = "a model" if "frames" in given else "a pipeline, which says it itself"
        raise ArgumentError(f"{', '.join(given)}: not for {kind} ({source})")
