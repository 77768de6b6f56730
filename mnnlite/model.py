"""One network from file to outputs: load, run, close."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

from mnnlite import _core
from mnnlite.arena import Arena, native_options, own_arena, session_options, shared_arena
from mnnlite.engine_options import GPUS
from mnnlite.errors import ArgumentError, EngineError, ModelError, ModelFormatError, UnsupportedModelError
from mnnlite.files import checked_path, refuse_address
from mnnlite.integrity import open_model
from mnnlite.specs import TensorInfo
from mnnlite.trial import seconds_of, trial_options, try_model

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from typing_extensions import Self

__all__ = ["Arena", "Model", "check_kind"]

_log = logging.getLogger("mnnlite.model")


class Model:
    """One network, ready to run.

    Loading deserialises the file, creates the session, plans its memory and releases the model buffer. Input memory is
    mnnlite's own and outputs lie outside the memory that models share, so views of both stay valid between runs.

    Parameters
    ----------
    source : path or bytes-like
        An ``.mnn`` file or its content.
    outputs : list of str, optional
        The session gets only the operators that lead to these outputs; the others need neither memory nor time.
    shapes : dict of str to tuple of int, optional
        Shapes of inputs, which the engine gets before it plans memory. Inputs whose shape the file leaves open need them.
    resizable : bool
        Keep the model buffer so that `resize` works.
    external : path, optional
        The file with the weights of a model saved with ``--saveExternalData``. By default ``source + ".weight"`` if
        there is one.
    sha256, weights_sha256 : str, optional
        What the model and the file with its weights must hash to, in hexadecimal digits; ``mnnlite lock`` writes them
        into a pipeline file.
    trial : bool or float
        Load and run the model in a child process first, so that a crash of the engine becomes an error here. This is for files
        of unknown origin. It costs some tenths of a second, once for the same file and options. A number is the most seconds
        that the trial may take; True means 60.
    arena : Arena, optional
        The arena that the model shares with other models. By default the model makes its own from `arena_options`.
    fallback : {None, "cpu"}
        See `Arena`.
    **arena_options
        The parameters of `Arena`, by name. Together with `arena` those of them that its models share (``backend``, ``power``,
        ``threads``) must equal the arena's; ``precision``, ``memory_mode``, ``winograd``, ``weights`` and ``weights_dir`` are this
        model's own.

    Raises
    ------
    ModelNotFoundError, ModelFormatError
        There is no such file; or it is empty, damaged, not an MNN model, or has another hash. mnnlite verifies every model
        before the engine gets it: everything that the file refers to exists, and each operator has the inputs and attributes
        that the engine needs. With `trial`, the engine crashed on the model.
    UnsupportedModelError
        The engine cannot execute it: an unknown operator, or shapes that depend on the content of the input.
    TensorNotFoundError
        `outputs` or `shapes` name a tensor that the network does not have.
    ArgumentError, BackendUnavailableError, OutOfMemoryError, BusyError

    Notes
    -----
    Threads: one call at a time; a second thread that enters gets `BusyError`. The GIL is released while the network is
    loaded, run or resized. A model does not survive ``fork``.
    """

    def __init__(
        self,
        source: str | os.PathLike[str] | bytes | bytearray | memoryview,
        *,
        outputs: Sequence[str] | None = None,
        shapes: Mapping[str, Sequence[int]] | None = None,
        resizable: bool = False,
        external: str | os.PathLike[str] | None = None,
        sha256: str | None = None,
        weights_sha256: str | None = None,
        trial: bool | float = False,
        arena: Arena | None = None,
        fallback: str | None = None,
        _images: Sequence[_core.ImageHint] = (),
        _on_stage: Callable[[str], object] | None = None,
        **arena_options: Any,
    ) -> None:
        self._owns_arena = arena is None
        self.arena = own_arena(arena_options, fallback) if arena is None else shared_arena(arena, arena_options)
        if not isinstance(source, (bytes, bytearray, memoryview)):
            source = checked_path(source, "the model")
        self._name = source if isinstance(source, str) else "bytes"
        if external is not None:
            external = checked_path(external, "external")
        names = _names(outputs)
        options = session_options(self.arena, arena_options)
        try:
            check_kind(source)
            model, weights = open_model(source, external, sha256, weights_sha256)
            limit = seconds_of(trial)
            if limit is not None:
                tried = trial_options(outputs, _shapes(shapes), _images, resizable, options)
                try_model(model, weights, tried, limit, self._name)
            with _kept_kernels(self.arena, model, options) as cache_file:
                self._native = _core.Model(
                    model,
                    weights,
                    arena=self.arena.native,
                    outputs=names,
                    shapes=_shapes(shapes),
                    images=list(_images),
                    resizable=bool(resizable),
                    on_stage=_on_stage,
                    engine=native_options(self.arena, options),
                    cache_file=cache_file,
                )
        except (ModelError, ArgumentError, EngineError) as error:  # of one file among many: say which
            if isinstance(source, str) and error.args and source not in str(error.args[0]):
                error.args = (f"{source}: {error.args[0]}", *error.args[1:])
            if shapes and isinstance(error, UnsupportedModelError):
                asked = ", ".join(f"{name}={'x'.join(map(str, dims))}" for name, dims in shapes.items())
                error.args = (
                    f"{error.args[0]}; it was asked to take {asked} (shapes=, --shape), and may take only the shapes that it was "
                    "exported for",
                    *error.args[1:],
                )
            raise
        self.arena._keep(self._native)

    @property
    def native(self) -> _core.Model:
        """The native model."""
        return self._native

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._native.closed

    @property
    def inputs(self) -> dict[str, TensorInfo]:
        """The network's inputs by name."""
        return {info[0]: TensorInfo(*info) for info in self._native.inputs()}

    @property
    def outputs(self) -> dict[str, TensorInfo]:
        """The outputs that a run computes, by name; with ``outputs=[...]`` at loading only those."""
        return {info[0]: TensorInfo(*info) for info in self._native.outputs()}

    def input(self, name: str) -> NDArray[Any]:
        """Give a writable array over the memory of an input; what is written there is what the next run reads.

        The values stay until they are overwritten: a run does not consume them.

        Parameters
        ----------
        name : str

        Returns
        -------
        ndarray
            Shape and dtype as in `inputs`. The tensor's own memory where `input_is_direct`; otherwise memory of the
            same meaning in plain order that each run packs into the network's layout.

        Raises
        ------
        TensorNotFoundError, ClosedError
        """
        view: NDArray[Any] = self._native.input_view(name)
        return view

    def input_is_direct(self, name: str) -> bool:
        """Tell whether `input` is the tensor's own memory (no copy at all)."""
        return self._native.input_is_direct(name)

    def run(
        self,
        inputs: Mapping[str, NDArray[Any]] | None = None,
        outputs: Iterable[str] | None = None,
        borrow: bool = False,
        *,
        out: Mapping[str, NDArray[Any]] | None = None,
    ) -> dict[str, NDArray[Any]]:
        """Run the network.

        Parameters
        ----------
        inputs : dict of str to ndarray, optional
            Values to copy into inputs first: exact shape and dtype, C-contiguous. Inputs that are not named keep what
            they hold.
        outputs : list of str, optional
            Only the operators that these outputs need are run; the weights are held once whatever is chosen.
        borrow : bool
            Return read-only views instead of copies, valid until this model's next run. They keep the network's memory
            alive.
        out : dict of str to ndarray, optional
            Arrays to copy outputs into instead of new ones.

        Returns
        -------
        dict of str to ndarray
            The wanted outputs.

        Raises
        ------
        TensorNotFoundError, DTypeError, LayoutError, ArgumentError
            Nothing was run.
        EngineError, OutOfMemoryError
            MNN's code is in ``details["engine_code"]``.
        BusyError, ClosedError, StateError
            In use by another thread; closed; or used after ``fork``.

        Notes
        -----
        Releases the GIL once for the copies and the run. mnnlite allocates nothing; NumPy makes the arrays.
        """
        if outputs is not None and not isinstance(outputs, (list, tuple)):
            outputs = _names(outputs)
        if out is not None:
            out = _dict(out, "out") or {}
            self._native.check_out(out)
        return self._native.run(_dict(inputs, "inputs"), outputs, borrow, out)

    def resize(self, shapes: Mapping[str, Sequence[int]]) -> None:
        """Give inputs new shapes and plan memory anew. Views taken before do not show the new tensors.

        Parameters
        ----------
        shapes : dict of str to tuple of int

        Raises
        ------
        StateError
            The model buffer was released: load with ``resizable=True``.
        BusyError
            Views of inputs or borrowed outputs are alive.
        ArgumentError, TensorNotFoundError, UnsupportedModelError, OutOfMemoryError
            The network keeps the shapes it had.
        """
        self._native.resize(_shapes(shapes))

    @property
    def timing(self) -> dict[str, int]:
        """Nanoseconds: ``deserialize``, ``create_session``, ``release_model_buffer``, the last ``infer``, ``close``."""
        return self._native.timing()

    def memory(self) -> dict[str, Any]:
        """Memory terms in bytes.

        Returns
        -------
        dict
            On a GPU ``static`` and ``dynamic`` are None: the engine does not count them, and models of an arena share nothing there.
            ``model_buffer`` (0 once released), ``static`` (weights, outputs and what else lives as long as the model),
            ``dynamic`` (feature maps; models of one arena share one buffer as large as the largest of these),
            ``inputs`` (mnnlite's own), ``outputs`` (part of ``static``), ``mapped`` (part of ``static`` too: lies in a file).
        """
        return self._native.memory()

    @property
    def mflops(self) -> float:
        """Multiply-adds of one run in millions, as the engine counts them."""
        return float(self._native.facts()["mflops"])

    def operators(self) -> list[tuple[str, str, float]]:
        """Name, type and MFLOP of each operator, in order of execution. Nothing is executed."""
        return self._native.operators()

    def facts(self) -> dict[str, Any]:
        """Engine facts: ``mflops``, ``backend``, ``computes_in_half``, ``file_bytes``, ``converter_version``."""
        return self._native.facts()

    def close(self) -> None:
        """Free the network and give its memory back to the system. Closing twice is fine.

        Borrowed views that are still alive keep the network's memory until they are gone.

        Raises
        ------
        BusyError
            Another thread is running the model.
        """
        if self._native.closed:
            return
        self._native.close()
        if self._owns_arena:
            self.arena.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        if self.closed:
            return f"Model({self._name!r}, closed)"
        return f"Model({self._name!r}, inputs={list(self.inputs)}, outputs={list(self.outputs)})"


def _kept_kernels(arena: Arena, model: Any, options: Mapping[str, Any]) -> AbstractContextManager[str]:
    """The file that the engine keeps a GPU's kernels in; none for the CPU."""
    backend = arena.native.backend
    if backend not in GPUS:
        return nullcontext("")
    from mnnlite import tuning_cache  # not for those who have no GPU

    return tuning_cache.engine_file(model, {**options, "backend": backend})


def _names(names: object) -> list[str]:
    if names is None:
        return []
    if isinstance(names, str):
        raise ArgumentError(f"outputs is the string {names!r}; pass a list of names")
    if not isinstance(names, Iterable):
        raise ArgumentError(f"outputs is {names!r:.80}; pass a list of names")
    found = list(names)
    for each in found:
        # What UTF-8 has no form for is no tensor's name, and the engine's names are bytes.
        if not isinstance(each, str) or "\0" in each or each != each.encode("utf-8", "replace").decode():
            raise ArgumentError(f"outputs: {each!r:.80} cannot be the name of a tensor")
    return found


def _shapes(shapes: Mapping[str, Sequence[int]] | None) -> dict[str, list[int]]:
    result: dict[str, list[int]] = {}
    if shapes is not None and not isinstance(shapes, Mapping):
        raise ArgumentError(f"shapes is a {type(shapes).__name__}; pass a dict of input to shape")
    for name, dims in (shapes or {}).items():
        try:
            result[str(name)] = [int(extent) for extent in dims]
        except (TypeError, ValueError, OverflowError):
            raise ArgumentError(f"the shape of {name!r} is {dims!r}; pass a tuple of whole numbers") from None
        if any(not -(2**31) <= extent < 2**31 for extent in result[str(name)]):
            raise ArgumentError(f"the shape of {name!r} is {dims!r}; an axis does not fit 32 bits")
    return result


_CONVERTED = {".onnx": "an ONNX file", ".tflite": "a TFLite file"}


def check_kind(source: object) -> None:
    """Refuse by its name what is no .mnn file, before the engine finds that it is damaged."""
    if not isinstance(source, str):
        return
    suffix = os.path.splitext(source)[1].lower()
    refuse_address(source)
    if suffix in _CONVERTED:
        raise ModelFormatError(
            f"{source} is {_CONVERTED[suffix]}, not an MNN model: convert it with mnnlite convert {source}"
        )
    if suffix == ".toml":
        raise ModelFormatError(
            f"{source} is a pipeline, not a model: mnnlite.pipeline.load reads it, mnnlite run runs it"
        )


def _dict(mapping: Mapping[str, Any] | None, what: str) -> dict[str, Any] | None:
    if mapping is None or isinstance(mapping, dict):
        return mapping
    if isinstance(mapping, Mapping):
        return dict(mapping)
    raise ArgumentError(f"{what} is a {type(mapping).__name__}; pass a dict of name to array")
