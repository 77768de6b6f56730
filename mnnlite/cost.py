"""Finds what a model will cost in memory before this process loads it. A child process loads it and runs nothing."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mnnlite import _core, cache, memory_probe
from mnnlite.engine_options import GPUS
from mnnlite.errors import ArgumentError, ModelNotFoundError
from mnnlite.files import checked_path, refuse_address

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["Cost", "digest", "forget", "of"]


@dataclass(frozen=True)
class Cost:
    """Memory terms of one model, in bytes.

    Parameters
    ----------
    model_buffer : int
        The engine's copy of the file's content. It is released once the session exists, unless the model is resizable.
    static : int
        Weights, outputs and all else that lives as long as the session, as the engine counts it.
    dynamic : int
        Feature maps. Models of one arena share one buffer as large as the largest of these. Their pages appear with the
        first run, when the model buffer is already gone.
    inputs, outputs : int
        Input and output tensors. Inputs are mnnlite's own memory. Outputs are a part of `static`; their pages appear with
        the first run.
    load_transient : int
        The most that loading holds at once beyond model buffer, weights and inputs: weights in two forms. It is measured,
        and below 0 where the engine counts as weights what it never writes.
    overhead : int
        What the loaded model holds beyond weights and inputs: operators, tensors, names, and the model buffer if it is kept.
        It is measured.
    staging : int
        Inputs in plain order, if the network wants packed ones and the caller writes them through `Model.input`. Pictures
        are packed directly.
    multiply_adds : int
        Multiply-adds of one run, as the engine counts them: the only field that is not in bytes.
    """

    model_buffer: int
    static: int
    dynamic: int
    inputs: int
    outputs: int
    load_transient: int
    overhead: int = 0
    staging: int = 0
    multiply_adds: int = 0

    @property
    def weights(self) -> int:
        """Static memory without the outputs."""
        return self.static - self.outputs

    @property
    def loading(self) -> int:
        """The most memory that loading holds."""
        return self.model_buffer + self.weights + self.inputs + self.load_transient

    @property
    def loaded(self) -> int:
        """The memory of the loaded model with filled inputs, before it runs."""
        return self.weights + self.inputs + self.overhead + self.staging

    @property
    def running(self) -> int:
        """The memory while the model runs alone in its arena."""
        return self.loaded + self.outputs + self.dynamic

    @property
    def peak(self) -> int:
        """The most memory that the model alone ever holds: the larger of loading and running."""
        return max(self.loading, self.running)

    @property
    def upper_estimate(self) -> int:
        """Static + dynamic + model buffer, the field's usual sum. The three are never in memory at the same time."""
        return self.model_buffer + self.static + self.dynamic

    def to_dict(self) -> dict[str, int]:
        """The terms and the sums by name, in bytes."""
        made = {
            name: getattr(self, name) for name in ("weights", "loading", "loaded", "running", "peak", "upper_estimate")
        }
        return {**asdict(self), **made}


_known: dict[str, Cost] = {}


def forget() -> None:
    """Empty the cache of this process."""
    _known.clear()


def of(
    source: str | os.PathLike[str],
    *,
    outputs: Sequence[str] | None = None,
    shapes: Mapping[str, Sequence[int]] | None = None,
    external: str | os.PathLike[str] | None = None,
    resizable: bool = False,
    images: Sequence[_core.ImageHint] = (),
    **arena_options: Any,
) -> Cost:
    """Find the memory that a model file will need, without loading it in this process.

    Parameters
    ----------
    source : path
        An ``.mnn`` file.
    outputs, shapes, external, resizable
        As for `Model`. Another branch or another shape has another cost.
    images : sequence of ImageHint
        Pictures that fill in the axes a file leaves open, as a `Task` derives them from its image specs.
    **arena_options
        The parameters of `Arena`, by name.

    Returns
    -------
    Cost
        The terms in bytes. They come from `mnnlite.cache` if a file of the same content was measured with the same options.

    Raises
    ------
    ModelNotFoundError, ModelFormatError, UnsupportedModelError, ArgumentError, TensorNotFoundError
        Loading the model would raise this.
    EngineError
        The child process ended without an answer, because the file crashes the engine.

    Notes
    -----
    It starts a Python process (a few hundred milliseconds). Any thread may call it.
    """
    backend = arena_options.get("backend", "cpu")
    if backend in GPUS:
        raise ArgumentError(
            f"the engine does not count the memory of a network on backend {backend!r}, so its cost is not known; ask for the CPU's"
        )
    path = Path(checked_path(source, "the model"))
    refuse_address(path)
    pictures = [image.to_dict() for image in images]  # as JSON has them
    options = memory_probe.model_options(
        outputs, shapes, external, arena_options, resizable=bool(resizable), images=pictures
    )
    try:
        key = digest(path) + json.dumps(options, sort_keys=True)
    except OSError as error:
        raise ModelNotFoundError(f"cannot read {os.fspath(path)!r}: {error.strerror}") from None
    except TypeError as error:
        raise ArgumentError(f"options: {error}; wanted numbers, words and sequences of them") from None
    found = _known.get(key)
    if found is None:
        # What else it depends on: this version's measurement, and the engine's kernels for this CPU.
        lasting = f"{_core.__version__} {_core.engine_version()} {_core.active_isa()} {key}"
        found = _from_cache(cache.load("cost", lasting))
        if found is None:
            found = _measure(path, options)
            cache.store("cost", lasting, asdict(found))
        _known[key] = found
    return found


def _from_cache(value: Any) -> Cost | None:
    if not isinstance(value, dict) or not all(type(each) is int for each in value.values()):
        return None
    try:
        return Cost(**value)
    except TypeError:  # not these fields
        return None


def digest(path: Path) -> str:
    """Of the file and of external weights beside it."""
    import hashlib  # OpenSSL takes four megabytes: only where it is needed

    digest = hashlib.sha256()
    for each in (path, Path(f"{path}.weight")):
        if each is path or each.is_file():
            with each.open("rb") as file:
                while block := file.read(1 << 16):
                    digest.update(block)
    return digest.hexdigest()


def _measure(path: Path, options: dict[str, Any]) -> Cost:
    found = memory_probe.measure(path, options, run=False)
    terms = found.terms
    buffer = terms["file"]
    weights = terms["static"] - terms["outputs"]
    loaded = found["release model buffer"].anonymous
    peaks = [found[stage].peak for stage in memory_probe.LOADING]
    if all(peak is not None for peak in peaks):
        transient = max(peak for peak in peaks if peak is not None) - buffer - weights - terms["inputs"]
    else:  # the kernel does not measure peaks: the weights once more, which is more than was ever seen
        transient = terms["static"]
    return Cost(
        model_buffer=buffer,
        static=terms["static"],
        dynamic=terms["dynamic"],
        inputs=terms["inputs"],
        outputs=terms["outputs"],
        load_transient=transient,
        overhead=loaded - weights - terms["inputs"],
        staging=terms["staging"],
        multiply_adds=terms["multiply_adds"],
    )
