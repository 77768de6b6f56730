"""Where the networks of the pack are, and how their pipeline's results become what an `Observer` takes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mnnlite import results
from mnnlite.errors import ModelNotFoundError
from mnnlite.mapping.observer import Found

if TYPE_CHECKING:
    from mnnlite.runtime import FrameResult

__all__ = ["BRANCHES", "FOLDER", "SCENE", "facts", "found_in", "pipeline_file"]

FOLDER = Path(__file__).parent / "assets"
OBJECTS, SCENE, SIGNS, TEXTS = "objects", "scene", "signs", "texts"  # tasks of the pipeline
LANES, AREA, SURFACE = "lanes", "drivable", "surface"  # results of the task `SCENE`
BRANCHES = {"lines and area": (LANES, AREA), "surface": (SURFACE,)}  # outputs of its two branches


def pipeline_file() -> Path:
    """The pipeline of the pack.

    Raises
    ------
    ModelNotFoundError
        This installation has no pack.
    """
    file = FOLDER / "pipeline.toml"
    if not file.is_file():
        raise ModelNotFoundError(f"the road pack is not in this installation: there is no {file}; install mnnlite anew")
    return file


def facts() -> dict[str, dict[str, Any]]:
    """What was recorded when the files were made.

    Returns
    -------
    dict
        ``scenes``: version, and how many were measured; ``files``: by name sha256, size and training; ``scores``: by name
        what the shipped file, MNN with floats, PyTorch and the baseline reach.
    """
    content: dict[str, dict[str, Any]] = json.loads((FOLDER / "pack.json").read_text(encoding="utf-8"))
    return content


def found_in(result: FrameResult) -> Found:
    """What the networks found in a frame; nothing where a task was left out."""
    objects = result.get(OBJECTS)
    scene = result.get(SCENE) or {}
    surfaces = scene.get(SURFACE)
    return Found(
        results.Detections.from_arrays([], []) if objects is None else objects,
        {row.item: (row.label, row.score) for row in result.get(SIGNS) or ()},
        {row.item: (row.text, row.score) for row in result.get(TEXTS) or ()},
        scene.get(LANES) or results.Polylines.from_points([]),
        scene.get(AREA) or results.Polygons.from_points([]),
        (surfaces[0].label, surfaces[0].score) if surfaces else None,
    )
