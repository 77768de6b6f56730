"""Dumps: files with every tensor of a run, which are made on a device and compared elsewhere.

A dump is an ``.npz`` archive with the entries ``CASE/inputs/NAME``, ``CASE/outputs/NAME``, ``CASE/tensors/NUMBER``, and ``meta``,
a JSON text with the operators in order. An archive without ``meta`` is read too: it has one entry per tensor in order of
execution, and the inputs as ``inputs/NAME``. A framework's hook can write it with ``numpy.savez``.
"""

from __future__ import annotations

import json
import os
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mnnlite.errors import ArgumentError, ModelFormatError, ModelNotFoundError
from mnnlite.files import atomic_write
from mnnlite.observe.cases import make_cases
from mnnlite.observe.recording import MnnModel, Recording, TensorRecord
from mnnlite.observe.tracing import trace_run

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from mnnlite.model import Model
    from mnnlite.observe.tracing import TracedRun

__all__ = ["DumpedModel", "dump"]

_AT_ONCE = 64 << 20  # bytes of values held in memory while a dump is written


def dump(
    model: Model,
    path: str | os.PathLike[str],
    *,
    input: float | Mapping[str, NDArray[Any]] | None = None,
    seed: int = 0,
) -> Path:
    """Write the outputs of every operator.

    Parameters
    ----------
    model : Model
    path : path
        An ``.npz`` file; it appears whole or not at all.
    input : float or dict of str to ndarray, optional
        As for `compare`, with the same inputs: constant, random, and the given one.
    seed : int
        Seed of the random input.

    Returns
    -------
    Path

    Raises
    ------
    ArgumentError, OutputError
    EngineError, OutOfMemoryError, BusyError, ClosedError

    Notes
    -----
    It runs the model several times if its values together take more than 64 MiB.
    """
    import numpy as np

    target = Path(path)
    if target.suffix != ".npz":
        raise ArgumentError(f"the dump {target} ends in {target.suffix!r}; wanted .npz")
    meta: dict[str, Any] = {"format": 1, "cases": {}}
    with atomic_write(target) as made, zipfile.ZipFile(made, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:

        def put(name: str, value: NDArray[Any]) -> None:
            with archive.open(f"{name}.npy", "w", force_zip64=True) as entry:
                np.lib.format.write_array(entry, np.ascontiguousarray(value))

        for case, inputs in make_cases(MnnModel(model, "").input_shapes(), input, seed).items():
            for name, value in inputs.items():
                put(f"{case}/inputs/{name}", value)
            listed: list[dict[str, Any]] = []
            plan = trace_run(model, inputs)
            for chosen in _chunks(plan):
                for op in trace_run(model, values=chosen).operators:
                    for number, out in enumerate(op.outputs):
                        if out.values is None:
                            continue
                        name = op.name if number == 0 else f"{op.name}:{number}"
                        put(f"{case}/tensors/{len(listed)}", out.values)
                        listed.append({"name": name, "type": op.type, "backend": op.backend})
            for name, value in plan.outputs.items():
                put(f"{case}/outputs/{name}", value)
            meta["cases"][case] = listed
        archive.writestr("meta.json", json.dumps(meta))
    return target


def _chunks(run: TracedRun) -> list[list[int]]:
    """Operators whose outputs together take little memory."""
    chunks: list[list[int]] = [[]]
    held = 0
    for op in run.operators:
        size = sum(4 * _elements(out.shape) for out in op.outputs)
        if held + size > _AT_ONCE and chunks[-1]:
            chunks.append([])
            held = 0
        chunks[-1].append(op.index)
        held += size
    return chunks


def _elements(shape: tuple[int, ...] | None) -> int:
    count = 1
    for extent in shape or ():
        count *= extent
    return count


class DumpedModel:
    """A dump as one side of a comparison.

    Parameters
    ----------
    path : path

    Raises
    ------
    ModelNotFoundError, ModelFormatError
    """

    fallback = ""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        import numpy as np

        self.name = os.fspath(path)
        if not Path(path).is_file():
            raise ModelNotFoundError(f"there is no dump {self.name}")
        try:
            with open(path, "rb") as file, np.load(file) as archive:  # NumPy leaves a damaged one open
                self._values = {name: archive[name] for name in archive.files if name != "meta.json"}
            with zipfile.ZipFile(path) as plain:
                meta = json.loads(plain.read("meta.json")) if "meta.json" in plain.namelist() else None
            self._lists = _lists(meta, self._values)
        except (OSError, ValueError, KeyError, TypeError, AttributeError, EOFError, zipfile.BadZipFile) as error:
            raise ModelFormatError(f"{self.name} is not a dump, or a damaged one: {error}") from None
        self._from_engine = meta is not None

    def cases(self) -> list[str]:
        """The inputs that were dumped."""
        return list(self._lists)

    def inputs(self, case: str) -> dict[str, NDArray[Any]]:
        """Inputs of a case."""
        return self._group(case, "inputs")

    def input_shapes(self) -> dict[str, tuple[tuple[int, ...], str]]:
        """Of the first case."""
        first = self.inputs(next(iter(self._lists)))
        return {name: (value.shape, str(value.dtype)) for name, value in first.items()}

    def record(self, case: str, inputs: Mapping[str, NDArray[Any]]) -> Recording:
        """Give what was dumped for `case`."""
        tensors = tuple(
            TensorRecord(each["name"], each["type"], each["backend"], self._values[each["key"]])
            for each in self._lists[case]
        )
        outputs = self._group(case, "outputs")
        if not outputs and not self._from_engine:  # a hook's last tensor is what the network gives
            outputs = {tensors[-1].name: tensors[-1].value}
        return Recording(self.inputs(case), outputs, tensors, self._from_engine)

    def _group(self, case: str, kind: str) -> dict[str, NDArray[Any]]:
        prefixes = (f"{case}/{kind}/", *((f"{kind}/",) if not self._from_engine else ()))
        return {
            key[len(prefix) :]: value
            for prefix in prefixes
            for key, value in self._values.items()
            if key.startswith(prefix)
        }


def _lists(meta: Any, values: Mapping[str, NDArray[Any]]) -> dict[str, list[dict[str, str]]]:
    """By case the tensors in order: name, type, backend, key of the archive."""
    if meta is None:
        plain = [name for name in values if not name.startswith(("inputs/", "outputs/"))]
        if not plain:
            raise ValueError("it holds no tensors")
        return {"input": [{"name": name, "type": "", "backend": "", "key": name} for name in plain]}
    if meta["format"] != 1:
        raise ValueError(f"format {meta['format']}, this version reads 1")
    lists = {
        case: [{**each, "key": f"{case}/tensors/{number}"} for number, each in enumerate(listed)]
        for case, listed in meta["cases"].items()
    }
    for case, listed in lists.items():
        for each in listed:
            if each["key"] not in values:
                raise ValueError(f"tensor {each['name']!r} of case {case!r} is missing")
    return lists
