"""Networks of other formats as arguments: converted and tried once, kept in the cache by what is in their files."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mnnlite import cache
from mnnlite.conversion.converter import converted_in
from mnnlite.conversion.formats import SECONDS, is_foreign
from mnnlite.conversion.onnx_source import check_onnx
from mnnlite.errors import ModelFormatError, ModelNotFoundError
from mnnlite.integrity import file_hash

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mnnlite.specs import TaskSpec

__all__ = ["key_of", "keep", "ready", "ready_spec"]

_KIND = "converted"
_here: dict[
    str, Path
] = {}  # where there is no cache, or a network is too large for it: for as long as this process lives


def ready(path: Any, shapes: Mapping[str, Sequence[int]] | None = None) -> Any:
    """The .mnn file of a network: what was given, or what was made of it.

    Parameters
    ----------
    path : path or other
        What is no path of an .onnx or .tflite file is given back.
    shapes : dict, optional
        With which it is tried, of inputs that the file leaves open.

    Returns
    -------
    path

    Raises
    ------
    MnnliteError
        It cannot be converted, or not be run; see `mnnlite.convert.convert`. It is not compared with its source here.
    """
    if not is_foreign(path):
        return path
    source = Path(path)
    key = key_of(source)
    found = cache.load_file(_KIND, key) or _here.get(key)
    if found is not None and found.exists():
        return str(found)
    folder = cache.folder()
    if folder is not None:
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError:
            folder = None
    with converted_in(folder or Path(tempfile.gettempdir()), source, shapes=shapes, seconds=SECONDS) as made:
        return str(keep(key, made.path))


def keep(key: str, made: Path) -> Path:
    """Keep a converted file under the key of its source; where it is then."""
    kept = cache.store_file(_KIND, key, made)
    if kept is None:
        folder = Path(tempfile.mkdtemp(prefix="mnnlite-"))
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        kept = _here[key] = folder / "converted.mnn"
        shutil.copyfile(made, kept)
    return kept


def ready_spec(spec: TaskSpec) -> TaskSpec:
    """The task with an .mnn file as its model.

    Raises
    ------
    ModelFormatError
        Its source is another file than the one whose SHA-256 the task has.
    MnnliteError
        As for `ready`.
    """
    if not is_foreign(spec.model):
        return spec
    source = os.fspath(spec.model)
    if spec.sha256 is not None:
        found = _hash(Path(source))
        if found != spec.sha256.lower():
            raise ModelFormatError(
                f"the model {source} is not the one that was written down: its SHA-256 is {found}, wanted was {spec.sha256}",
                op="load",
            )
    return replace(spec, model=ready(source, spec.shapes), sha256=None)


def key_of(source: Path) -> str:
    """What a converted file depends on: the files it is made of, and who makes it."""
    makers = " ".join(f"{package} {_version(package)}" for package in ("mnnlite", "MNN"))
    parts = [_hash(source)]
    if source.suffix.lower() == ".onnx":
        parts += [_hash(source.parent / name) for name in check_onnx(source).files]
    return f"{makers} {source.suffix.lower()} {' '.join(parts)}"


def _hash(path: Path) -> str:
    try:
        return file_hash(path)
    except OSError as error:
        raise ModelNotFoundError(f"cannot open the model file {path}: {error.strerror}", op="convert") from None


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "unknown"
