"""What lies beside a network: ``config.json`` and ``preprocessor_config.json`` of Hugging Face, an NN archive's ``config.json``.

Sources: transformers image_processing_utils.py (do_rescale, rescale_factor, image_mean, image_std, size, crop_size);
luxonis-ml nn_archive config (model.inputs[].preprocessing, model.heads[]).
"""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

from mnnlite.files import read_text

__all__ = ["read"]

_MOST = 1 << 22


def read(path: str | Path) -> dict[str, Any]:
    """Read what lies beside a network, or, as exporters for ONNX do it, in the folder above.

    Returns
    -------
    dict
        ``"huggingface"``: the two files' objects in one; ``"archive"``: the NN archive's; empty if there is none.
    """
    folder = Path(path).absolute().parent
    for directory in (folder, folder.parent) if folder.name == "onnx" else (folder,):
        config, processor = (_json(directory / name) for name in ("config.json", "preprocessor_config.json"))
        if isinstance(config.get("model"), dict) and "heads" in config["model"]:
            return {"archive": config["model"]} if _is_of(config["model"], Path(path)) else {}
        if processor or "architectures" in config:
            return {"huggingface": {**config, **processor}}
    return {}


def _json(path: Path) -> dict[str, Any]:
    with contextlib.suppress(OSError, ValueError):
        if path.stat().st_size <= _MOST:
            value = json.loads(read_text(path))
            return value if isinstance(value, dict) else {}
    return {}


def _is_of(model: dict[str, Any], path: Path) -> bool:
    """Whether an archive's description is of this file: a folder may hold several networks."""
    metadata = model.get("metadata")
    named = metadata.get("path") if isinstance(metadata, dict) else None
    return not isinstance(named, str) or Path(named).stem == path.stem
