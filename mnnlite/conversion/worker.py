"""What runs in the converter's child process: a file is rewritten where that is needed, and handed to the engine's converter."""

from __future__ import annotations

import json
import os
import resource
from pathlib import Path
from typing import Any

from mnnlite.errors import MnnliteError, ModelFormatError

__all__ = ["prepare", "run_worker"]

_LARGE = 1 << 30  # bytes: protocol buffers end at two gigabytes


def run_worker(request: dict[str, Any]) -> None:
    """In the child: write ``said.json`` with what was done, then convert.

    Parameters
    ----------
    request : dict
        ``source``, ``framework``, ``rewrite`` (whether the file has to be looked at), ``first`` (only so many operators),
        ``options`` of the converter. The current folder is what files are written to.
    """
    import _tools

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    said = prepare(request)
    Path("said.json").write_text(json.dumps(said))
    if "error" in said:
        return
    files = ["--modelFile", said["source"], "--MNNModel", "converted.mnn"]
    _tools.mnnconvert(["mnnconvert", "-f", request["framework"], *files, "--bizCode", "mnnlite", *request["options"]])


def prepare(request: dict[str, Any]) -> dict[str, Any]:
    """Rewrite a file for the converter.

    Returns
    -------
    dict
        ``source``: what to convert; ``reference``: what it has to equal; ``notes``; ``described``: what the description of the new file is
        to say; or ``error`` and ``text``.
    """
    said: dict[str, Any] = {"source": request["source"], "reference": request["source"], "notes": []}
    said["described"] = {}
    first = request.get("first")
    try:
        if request["framework"] == "ONNX" and (request["rewrite"] or request["slim"] or first is not None):
            _prepare_onnx(request, said, first)
        elif request["framework"] == "TFLITE" and (request["rewrite"] or request["slim"] or first is not None):
            from mnnlite.conversion import tflite_floats

            tflite_floats.prepare(request, said, first)
    except MnnliteError as error:
        said |= {"error": type(error).__name__, "text": str(error)}
    return said


def _prepare_onnx(request: dict[str, Any], said: dict[str, Any], first: int | None) -> None:
    import onnx

    from mnnlite.conversion import rewrites

    try:
        model = onnx.load(request["source"])
    except Exception as error:  # protobuf's errors have no common base
        raise ModelFormatError(f"onnx cannot read it: {' '.join(str(error).split())[:200]}", op="convert") from None
    changed = rewrites.meaning(model, said["described"])
    shapes = request.get("shapes")
    cut = rewrites.slim(model, [name for name in request["slim"] if name == "tails"], said["described"], shapes)
    if changed or cut:
        said["reference"] = _saved(onnx, model, "reference.onnx")
    if request["slim"]:
        slimmer = cut + rewrites.slim(model, [name for name in request["slim"] if name != "tails"], None, shapes)
        changed += slimmer or [rewrites.nothing(request["slim"])]
    changed += rewrites.for_the_converter(model)
    if first is not None:
        said["operator"] = _cut(onnx, model, first)
    if changed or first is not None:
        said["source"] = _saved(onnx, model, "rewritten.onnx")
        said["notes"] = changed


def _saved(onnx: Any, model: Any, name: str) -> str:
    onnx.save(model, name, save_as_external_data=model.ByteSize() > _LARGE, location=f"{name}.data")
    return os.path.abspath(name)


def _cut(onnx: Any, model: Any, first: int) -> list[Any]:
    """Leave the first operators alone, whose results become outputs; say what the last is called, and how many there are."""
    nodes = list(model.graph.node)
    kept = nodes[:first]
    read = {name for node in kept for name in node.input}
    made = [name for node in kept for name in node.output if name]
    ends = [name for name in made if name not in read]
    known = {value.name: value for value in model.graph.output}
    del model.graph.node[:]
    model.graph.node.extend(kept)
    del model.graph.output[:]
    model.graph.output.extend(known.get(name) or onnx.helper.make_tensor_value_info(name, 1, None) for name in ends)
    last = kept[-1]
    return [last.name or (last.output[0] if last.output else ""), last.op_type, len(nodes)]
