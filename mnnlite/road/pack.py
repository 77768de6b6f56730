"""Where the networks of the road pack are, and what is known of each file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

__all__ = ["FOLDER", "PIPELINE", "facts"]

FOLDER = Path(__file__).resolve().parent.parent / "assets" / "road"
PIPELINE = FOLDER / "pipeline.toml"


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
