"""What a TFLite file says of itself: its tensors, the metadata of the TFLite task library, and a zip behind the file.

Sources: tensorflow/compiler/mlir/lite/schema/schema.fbs; tflite-support metadata_schema.fbs (field numbers).
"""

from __future__ import annotations

import contextlib
import json
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mnnlite.descriptions.flat import Table, root
from mnnlite.descriptions.pages import Pages
from mnnlite.errors import ModelFormatError, ModelNotFoundError
from mnnlite.specs import TensorInfo

if TYPE_CHECKING:
    import os

__all__ = ["read"]

_MOST = 1 << 20
_DTYPES = {0: "float32", 1: "float16", 2: "int32", 3: "uint8", 4: "int64", 9: "int8"}
_LABELS = (2, 3)  # AssociatedFileType: TENSOR_AXIS_LABELS, TENSOR_VALUE_LABELS
_COLORS = {1: "RGB", 2: "GRAY"}


def read(path: str | os.PathLike[str]) -> tuple[dict[str, Any], list[TensorInfo], list[TensorInfo]]:
    """Read a TFLite file.

    Parameters
    ----------
    path : path

    Returns
    -------
    said : dict
        The ``metadata.json`` of a zip behind the file, as the YOLO families' exporter writes; and under ``"tflite"`` what
        the task library's metadata says: ``mean``, ``std``, ``color``, ``labels``, ``threshold``.
    inputs, outputs : list of TensorInfo

    Raises
    ------
    ModelNotFoundError, ModelFormatError
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            data = Pages(file)
            if len(data) < 8 or data[4:8] != b"TFL3":
                raise ModelFormatError("its first bytes are others")
            members = _members(path)
            said = _exporter(members)
            return _read(root(data), members, said)
    except ModelFormatError as error:
        raise ModelFormatError(f"{path} is not a TFLite model, or a damaged one ({error})") from None
    except ValueError:
        raise ModelFormatError(f"the model file {path} is empty") from None
    except OSError as error:
        raise ModelNotFoundError(f"cannot open the model file {path}: {error.strerror}") from None


def _members(path: Path) -> dict[str, bytes]:
    """Small files of a zip that lies behind the model."""
    found: dict[str, bytes] = {}
    with (
        contextlib.suppress(zipfile.BadZipFile, OSError, RuntimeError, NotImplementedError),
        zipfile.ZipFile(path) as archive,
    ):
        for info in archive.infolist()[:64]:
            if info.file_size <= _MOST:
                found[info.filename] = archive.read(info)
    return found


def _exporter(members: dict[str, bytes]) -> dict[str, Any]:
    for name, content in members.items():
        if name.endswith(".json"):
            with contextlib.suppress(ValueError):
                value = json.loads(content)
                if isinstance(value, dict):
                    return value
    return {}


def _read(
    model: Table, members: dict[str, bytes], said: dict[str, Any]
) -> tuple[dict[str, Any], list[TensorInfo], list[TensorInfo]]:
    graph = next(model.tables(2), None)
    if graph is None:
        raise ModelFormatError("it has no graph")
    tensors = [_tensor(each) for each in graph.tables(0)]
    inputs, outputs = ([tensors[index] for index in graph.wholes(axis) if 0 <= index < len(tensors)] for axis in (1, 2))
    for entry in model.tables(6):
        if entry.text(0) == "TFLITE_METADATA":
            buffers = list(model.tables(4))
            index = entry.whole(1, "<I")
            content = buffers[index].data(0) if index < len(buffers) else b""
            found = _task_library(root(content), members) if content else {}
            if found:
                said = {**said, "tflite": found}
    return said, inputs, outputs


def _tensor(table: Table) -> TensorInfo:
    shape = table.wholes(7) or table.wholes(0)  # shape_signature has -1 for open axes
    return TensorInfo(
        table.text(3), tuple(shape), _DTYPES.get(table.whole(1, "<b"), "other"), "NHWC" if len(shape) == 4 else "plain"
    )


def _task_library(metadata: Table, members: dict[str, bytes]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for graph in metadata.tables(3):
        for tensor in graph.tables(2):
            content = tensor.table(3)
            properties = content.table(1) if content is not None and content.whole(0, "<B") == 2 else None
            if properties is not None and properties.whole(0, "<b") in _COLORS:
                found["color"] = _COLORS[properties.whole(0, "<b")]
            for unit in tensor.tables(4):
                options = unit.table(1)
                if options is not None and unit.whole(0, "<B") == 1:
                    found |= {"mean": list(options.floats(0)), "std": list(options.floats(1))}
        for tensor in graph.tables(3):
            for file in tensor.tables(6):
                if file.whole(2, "<b") in _LABELS and file.text(0) in members and "labels" not in found:
                    found["labels"] = members[file.text(0)].decode("utf-8", "replace").splitlines()
        break
    return found
