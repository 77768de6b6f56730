"""A model with its image spec and its decoder: a frame in, results out."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeAlias, overload

from mnnlite import _core, decoders, results
from mnnlite.decoders import BatchItem, Decoder, Function, Raw, as_decoder
from mnnlite.errors import ArgumentError, ClosedError, UnsupportedModelError
from mnnlite.files import refuse_address
from mnnlite.frame import Frame
from mnnlite.integrity import open_model
from mnnlite.model import Model
from mnnlite.specs import ImageSpec, TaskSpec
from mnnlite.trial import trial_options, try_model

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from typing_extensions import Self, TypeVar

    from mnnlite.arena import Arena
    from mnnlite.decoders.base import Detector

    R = TypeVar("R", default=Any)
    Path: TypeAlias = "str | os.PathLike[str]"
    Images: TypeAlias = "ImageSpec | Mapping[str, ImageSpec] | None"
    # What a decoder gives depends on its options: of points with confidences, of masks, of polygons.
    Found: TypeAlias = "results.Detections | results.Keypoints | results.Instances"
    Areas: TypeAlias = "results.Masks | results.Polygons"
else:
    from typing import TypeVar

    R = TypeVar("R")


__all__ = ["Task", "load_model", "ready_spec"]

_STAGES = ("preprocess", "infer", "decode")


class Task(Generic[R]):
    """One network's work on a frame in one native call: image to tensor, inference, tensor to results.

    Parameters
    ----------
    spec : TaskSpec, Model or path
        What to run. The caller closes a `Model`; otherwise the task loads a model of its own and closes it. With a path
        alone, the task uses the network as its file says, see `mnnlite.describe`.
    image, decoder
        As in `TaskSpec`, for a model or a path. With either of them, the task ignores what the file says.
    arena : Arena, optional
        The arena that the task shares with other tasks.

    Raises
    ------
    ArgumentError, LayoutError, DTypeError
        The image spec does not fit the input, or it does not say which of several inputs takes the image.
    DecoderError, TensorNotFoundError
        The decoder does not fit the outputs.
    ModelError, EngineError
        As `Model`.

    Notes
    -----
    Threads: only one call may run in an arena at a time (`BusyError`). A call releases the GIL once. It allocates nothing
    natively if the task has seen the frame's format and size before.
    """

    @overload
    def __init__(self: Task[results.Results], spec: Path, *, arena: Arena | None = ...) -> None: ...
    @overload
    def __init__(
        self: Task[Found], spec: Path | Model, *, image: Images = ..., decoder: decoders.Yolo, arena: Arena | None = ...
    ) -> None: ...
    @overload
    def __init__(
        self: Task[results.Detections],
        spec: Path | Model,
        *,
        image: Images = ...,
        decoder: Detector,
        arena: Arena | None = ...,
    ) -> None: ...
    @overload
    def __init__(
        self: Task[results.Classes],
        spec: Path | Model,
        *,
        image: Images = ...,
        decoder: decoders.Classification,
        arena: Arena | None = ...,
    ) -> None: ...
    @overload
    def __init__(
        self: Task[Areas],
        spec: Path | Model,
        *,
        image: Images = ...,
        decoder: decoders.Segmentation,
        arena: Arena | None = ...,
    ) -> None: ...
    @overload
    def __init__(
        self: Task[results.Polylines],
        spec: Path | Model,
        *,
        image: Images = ...,
        decoder: decoders.Lanes,
        arena: Arena | None = ...,
    ) -> None: ...
    @overload
    def __init__(
        self: Task[results.Polygons],
        spec: Path | Model,
        *,
        image: Images = ...,
        decoder: decoders.DbText,
        arena: Arena | None = ...,
    ) -> None: ...
    @overload
    def __init__(
        self: Task[results.Texts],
        spec: Path | Model,
        *,
        image: Images = ...,
        decoder: decoders.Ctc,
        arena: Arena | None = ...,
    ) -> None: ...
    @overload
    def __init__(
        self: Task[results.Keypoints],
        spec: Path | Model,
        *,
        image: Images = ...,
        decoder: decoders.Keypoints | decoders.SimCC,
        arena: Arena | None = ...,
    ) -> None: ...
    @overload
    def __init__(
        self: Task[results.Maps],
        spec: Path | Model,
        *,
        image: Images = ...,
        decoder: decoders.Maps,
        arena: Arena | None = ...,
    ) -> None: ...
    @overload
    def __init__(
        self: Task[results.Measurements],
        spec: Path | Model,
        *,
        image: Images = ...,
        decoder: decoders.Regression,
        arena: Arena | None = ...,
    ) -> None: ...
    @overload
    def __init__(
        self: Task[results.Embeddings],
        spec: Path | Model,
        *,
        image: Images = ...,
        decoder: decoders.Embedding,
        arena: Arena | None = ...,
    ) -> None: ...
    @overload
    def __init__(
        self: Task[dict[str, NDArray[Any]]],
        spec: Path | Model,
        *,
        image: Images = ...,
        decoder: Literal["raw"] | decoders.Raw,
        arena: Arena | None = ...,
    ) -> None: ...
    @overload
    def __init__(
        self: Task[dict[str, results.Results]],
        spec: Path | Model,
        *,
        image: Images = ...,
        decoder: Mapping[str, Decoder],
        arena: Arena | None = ...,
    ) -> None: ...
    @overload
    def __init__(
        self: Task[Any],
        spec: TaskSpec | Model | Path,
        *,
        image: Images = ...,
        decoder: Decoder | str | Mapping[str, Decoder] | None = ...,
        arena: Arena | None = ...,
        _model: Model | None = ...,
    ) -> None: ...
    def __init__(
        self,
        spec: TaskSpec | Model | str | os.PathLike[str],
        *,
        image: ImageSpec | Mapping[str, ImageSpec] | None = None,
        decoder: Decoder | str | Mapping[str, Decoder] | None = None,
        arena: Arena | None = None,
        _model: Model | None = None,
    ) -> None:
        if isinstance(spec, TaskSpec):
            if image is not None or decoder is not None:
                raise ArgumentError("image and decoder belong to the TaskSpec; pass them there")
            self.spec, model = spec, _model
        elif isinstance(spec, Model):
            self.spec, model = TaskSpec(None, image, "raw" if decoder is None else decoder), spec
        elif image is None and decoder is None:
            self.spec, model = _by_path(spec, arena)
        else:
            self.spec, model = TaskSpec(spec, image, "raw" if decoder is None else decoder), None
        if self.spec.feed:
            raise ArgumentError("feed: takes what other tasks give, so it needs a mnnlite.Runtime; add the task to one")
        images = _images(self.spec.image)
        self._owns_model = model is None or isinstance(spec, (str, os.PathLike))
        self.model = load_model(self.spec, arena) if model is None else model
        try:
            self._native: _core.Task | None = self._make(images)
        except BaseException:
            if self._owns_model:
                self.model.close()
            raise

    def _make(self, images: dict[str, ImageSpec]) -> _core.Task:
        inputs, outputs = list(self.model.inputs), list(self.model.outputs)
        if self.spec.outputs is not None:  # a model that others use too may have more
            outputs = [name for name in outputs if name in self.spec.outputs]
        if "" in images:
            if len(inputs) > 1:
                raise ArgumentError(
                    f"the network has the inputs {', '.join(map(repr, inputs))}; say which takes the image: "
                    f"image={{{inputs[0]!r}: ...}}"
                )
            images = {inputs[0]: images[""]}
        self._takes_frames = bool(images)
        self._adapts = _adapts(self.spec)
        if self._adapts and (len(images) > 1 or self.spec.batch > 1):
            raise ArgumentError(
                "multiple: the input takes the shape of each picture, so the task has one image and batch=1; "
                f"got {len(images)} images and batch={self.spec.batch}"
            )
        decoder = _decoder(self.spec.decoder)
        self._single = not isinstance(decoder, dict)
        self._order: list[str] = []  # of results
        self._decoders: dict[str, Decoder] = {}
        self._functions: dict[str, tuple[Function, list[str]]] = {}
        self._python_ns = 0
        raw: list[str] = []
        entries: list[tuple[object, dict[str, Any], list[str]]] = []
        for name, each in decoder.items() if isinstance(decoder, dict) else [("", decoder)]:
            chosen = [name] if name in outputs and not each.tensors else list(each.select(dict.fromkeys(outputs)))
            if isinstance(each, Raw):
                raw = chosen
                continue
            self._order.append(name)
            if isinstance(each, Function):
                self._functions[name] = each, chosen
                raw += [output for output in chosen if output not in raw]
            else:
                self._decoders[name] = each
                entries.append((each.family, each.native_options(), chosen))
        self._check_batch(images, raw)
        return _core.Task(
            self.model.native,
            images=list(images.items()),
            decoders=entries,
            raw=raw,
            state=list(self.spec.state.items()),
            batch=self.spec.batch,
        )

    def _check_batch(self, images: dict[str, ImageSpec], raw: list[str]) -> None:
        """Refuse another batch than the one that a network is fixed to, though its input takes any shape."""
        batch = self.spec.batch
        if batch == 1 or not images:
            return
        firsts = [info.shape[0] for info in self.model.outputs.values() if info.name not in raw and len(info.shape) > 2]
        if firsts and batch not in firsts and all(first < batch for first in firsts):
            raise ArgumentError(
                f"batch is {batch}, but the network{self._file} is fixed to {max(firsts)}: its outputs stay "
                f"{', '.join(f'{name} {info.shape}' for name, info in self.model.outputs.items())}; use batch={max(firsts)}, or "
                "export it with an open first axis"
            )

    @property
    def _file(self) -> str:
        return f" {os.fspath(self.spec.model)}" if isinstance(self.spec.model, (str, os.PathLike)) else ""

    @property
    def native(self) -> _core.Task:
        """The native task; raises `ClosedError` after `close`."""
        if self._native is None:
            raise ClosedError("the task is closed; make a new one")
        return self._native

    @property
    def adapts(self) -> bool:
        """Whether the input takes the shape of each picture: ``multiple`` of its `ImageSpec`."""
        return self._adapts

    @property
    def decoders(self) -> dict[str, Decoder]:
        """The native decoders by the name of their result, in the order of the native task's results; none for ``"raw"``."""
        return self._decoders

    @property
    def functions(self) -> dict[str, Function]:
        """The decoders in Python, by the name of their result."""
        return {name: function for name, (function, _) in self._functions.items()}

    def collect(
        self,
        found: Sequence[_core.NativeResults],
        raw: dict[str, Any],
        slots: Sequence[tuple[Any, ...]],
        frame: Frame | None,
        out: Mapping[str, results.Results | None] | None = None,
    ) -> tuple[Any, int]:
        """Make what a call returns from the native task's results, for code that runs the native task itself.

        Parameters
        ----------
        found : list
            One entry per native decoder, as `mnnlite.results.from_native` takes it.
        raw : dict of str to ndarray
            The outputs that no native decoder reads.
        slots : list of tuple
            Where the slots of the batch lie in the frame, as the native task returns it.
        frame : Frame, optional
            The frame whose size, timestamp and meta the results get.
        out : dict of str to Results, optional
            Results whose memory is reused.

        Returns
        -------
        result, ns
            What the call returns, and the nanoseconds that decoders in Python took.

        Raises
        ------
        DecoderError
            A decoder in Python raised an exception.
        """
        if not self._order:
            return raw, 0
        size = None if frame is None else (frame.width, frame.height)
        made: dict[str, Any] = {}
        for (name, decoder), each in zip(self._decoders.items(), found, strict=True):
            mine = None if out is None else out[name]
            result = made[name] = results.from_native(each, names=decoder.names, frame_size=size, out=mine)
            if frame is not None:
                result.timestamp_ns, result.meta = frame.timestamp_ns, frame.meta
        spent = 0
        if self._functions:
            spent = self._call_functions(made, raw, slots, frame)
            made = {name: made[name] for name in self._order}
        return made[""] if self._single else made, spent

    def _call_functions(
        self, made: dict[str, Any], raw: dict[str, Any], slots: Sequence[tuple[Any, ...]], frame: Frame | None
    ) -> int:
        """Let the decoders in Python add their results. Returns nanoseconds."""
        begin = time.perf_counter_ns()
        items = [BatchItem(*each) for each in slots]
        for name, (function, chosen) in self._functions.items():
            # Without a slot nothing has run, and the outputs are of another frame.
            arrays = {output: raw[output] if items else raw[output][:0] for output in chosen}
            result = made[name] = function.call(arrays, items)
            if frame is not None and isinstance(result, results.Results):
                result.timestamp_ns, result.meta = frame.timestamp_ns, frame.meta
        return time.perf_counter_ns() - begin

    def __call__(
        self,
        frame: Frame | NDArray[Any] | Sequence[Frame] | Sequence[NDArray[Any]] | None = None,
        format: str | None = None,
        *,
        out: R | None = None,
        borrow: bool = False,
    ) -> R:
        """Run the task on one frame, or on several in one batch.

        Parameters
        ----------
        frame : Frame, array with `format`, sequence of these, or None
            At most ``batch`` frames; the ``item`` of a row says which frame it comes from. None for a task without an
            image spec, whose inputs you write through ``task.model.input(name)``.
        format : str, optional
            The format of an array, as in `Frame`: ``"BGR"``, ``"RGB"``, ``"GRAY"`` and so on.
        out : Results, dict of str to Results, or dict of str to ndarray, optional
            What an earlier call returned. This call reuses its memory and returns it, so a loop of
            ``found = task(frame, out=found)`` allocates nothing. None, also in a dict, asks for new memory. Results hold
            as many rows as the decoder's own limits allow (``max_detections`` and the like), and ``truncated`` says
            whether there were more. Memory that is too small for that, as after a larger frame, is replaced. Arrays of
            ``"raw"`` must have the output's shape and dtype. Arrays taken from `out` before show the new results. After
            an error the content of `out` is undefined. Decoders in Python do not take it.
        borrow : bool
            Whether results and arrays are views of the task's own memory, valid until its next call.

        Returns
        -------
        Results, dict of str to Results, or dict of str to ndarray
            One decoder gives its type of results, a dict of decoders gives a dict, and ``"raw"`` gives the outputs. A
            decoder in Python gives what it returns.

        Raises
        ------
        ArgumentError
            The argument is not a frame, or there are more frames than ``batch``. A task without an image spec got a
            frame, or one with an image spec got none. `out` is not of the type that the task returns.
        DecoderError
            Scores are NaN or infinite (the error names the tensor), or a decoder in Python raised an exception.
        EngineError, OutOfMemoryError, BusyError, ClosedError
        """
        frames = self._frames(frame, format)
        native = self.native
        if borrow and self._adapts:
            raise ArgumentError("borrow: with multiple, outputs move when a picture has another shape; take copies")
        kept, buffers = None, None
        arrays: Any = None
        if out is not None:
            if borrow:
                raise ArgumentError(
                    "out and borrow: results are either in your memory or in the task's; pass one of them"
                )
            if self._order:
                kept = self._kept(out)
                buffers = [None if kept[name] is None else results.buffer_of(kept[name]) for name in self._decoders]
            else:
                arrays = out
        found, raw, slots = native.run([each._handle for each in frames], borrow, buffers, arrays)
        self._python_ns = 0
        result: R
        result, self._python_ns = self.collect(found, raw, slots, frames[0] if frames else None, kept)
        return result

    def _kept(self, out: Any) -> dict[str, Any]:
        """The results whose memory is used again, by name, checked before anything runs."""
        if not self._single and not isinstance(out, Mapping):
            raise ArgumentError(f"out: got a {type(out).__name__}, wanted a dict of results, as the task returns it")
        given = {"": out} if self._single else dict(out)
        for name, each in given.items():
            if name not in self._order:
                raise ArgumentError(f"out: there is no result {name!r}; there are {', '.join(map(repr, self._order))}")
            if name in self._functions and each is not None:
                raise ArgumentError(
                    f"out: {name or 'the result'!r} is made in Python, in memory of its own; out= is for native decoders"
                )
        for name, kind in zip(self._decoders, self.native.kinds, strict=True):
            if given.get(name) is not None:
                results.check_out(given[name], kind)
        return {name: given.get(name) for name in self._decoders}

    def _frames(self, frame: Any, format: str | None) -> list[Frame]:
        if format is not None:
            if isinstance(frame, Frame):
                raise ArgumentError(f"format is {format!r}, but a Frame says itself what it is; leave it out")
            several = isinstance(frame, (list, tuple))
            frames = [Frame(each, format) for each in (frame if several else [frame])]
        else:
            several = isinstance(frame, Iterable) and not isinstance(frame, (str, bytes))
            frames = [] if frame is None else list(frame) if several else [frame]
        for each in frames:
            if not isinstance(each, Frame):
                raise ArgumentError(
                    f"got a {type(each).__name__}, wanted a mnnlite.Frame, or an array and its format: task(array, 'BGR')"
                )
        if frames and not self._takes_frames:
            raise ArgumentError("the task has no image spec, so it takes no frame; give it image=ImageSpec(...)")
        if not frames and self._takes_frames:
            raise ArgumentError("the task needs a frame")
        return frames

    def reset_state(self) -> None:
        """Forget what the task carries from frame to frame: fill the inputs that ``state`` feeds with zeros."""
        self.native.reset_state()

    @property
    def timing(self) -> dict[str, int]:
        """Nanoseconds of the last call's stages ``preprocess``, ``infer`` and ``decode``, which includes decoders in Python."""
        stages = dict(zip(_STAGES, self.native.times, strict=True))
        stages["decode"] += self._python_ns
        return stages

    def close(self) -> None:
        """Close the task, and its model if the task loaded it. Closing twice is fine."""
        if self._native is None:
            return
        if self._owns_model:
            self.model.close()
        self._native = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Task({self.model!r}{', closed' if self._native is None else ''})"


def _images(image: ImageSpec | Mapping[str, ImageSpec] | None) -> dict[str, ImageSpec]:
    """By input name; "" is the only input."""
    if image is None:
        return {}
    images = dict(image) if isinstance(image, Mapping) else {"": image}
    for each in images.values():
        if not isinstance(each, ImageSpec):
            raise ArgumentError(
                f"image is a {type(each).__name__}, wanted an ImageSpec or a dict of input to ImageSpec"
            )
    return images


def _decoder(decoder: Any) -> Decoder | dict[str, Decoder]:
    if isinstance(decoder, Mapping) and decoder and "family" not in decoder:
        several = {str(name): _decoder(each) for name, each in decoder.items()}
        for name, each in several.items():
            if not isinstance(each, Decoder) or isinstance(each, Raw):
                raise ArgumentError(f"decoder {name!r} of several: wanted a decoder, not {decoder[name]!r}")
        return several  # type: ignore[return-value]
    return as_decoder(decoder)


def _by_path(path: str | os.PathLike[str], arena: Arena | None) -> tuple[TaskSpec, Model | None]:
    """The task that a file describes, and the model where it had to be loaded to tell."""
    from mnnlite import conversion, descriptions  # only a task that is given by its path needs them

    refuse_address(path)
    said = descriptions.SelfDescription(conversion.ready(path), path)
    spec = said.task_spec()
    if spec is not None:
        return spec, None
    model = Model(said.path, arena=arena, _images=said.image_sizes())
    try:
        return said.read(model).one(), model
    except BaseException:
        model.close()
        raise


def image_hints(spec: TaskSpec) -> list[_core.ImageHint]:
    """The pictures that a task's inputs are for: they fill in the axes that the file leaves open."""
    return [
        _core.ImageHint(
            input=name,
            width=(each.size or (0, 0))[0],
            height=(each.size or (0, 0))[1],
            channels=each.channels,
            batch=spec.batch,
            layout=each.layout,
        )
        for name, each in _images(spec.image).items()
    ]


def ready_spec(spec: TaskSpec) -> TaskSpec:
    """The task with an .mnn file as its model; an .onnx or .tflite file is converted, once."""
    from mnnlite import conversion

    if not conversion.is_foreign(spec.model):  # most are not, and the rest of that package is not loaded
        return spec

    return conversion.ready_spec(spec)


def load_model(spec: TaskSpec, arena: Arena | None) -> Model:
    """Load the model of a task, with the shapes that its pictures give it."""
    options = spec.engine.given()
    spec = ready_spec(spec)
    try:
        return Model(
            spec.model,
            outputs=spec.outputs,
            shapes=spec.shapes,
            external=spec.external,
            sha256=spec.sha256,
            weights_sha256=spec.weights_sha256,
            trial=spec.trial,
            arena=arena,
            resizable=_adapts(spec),
            _images=image_hints(spec),
            **options,
        )
    except UnsupportedModelError as error:
        if spec.batch == 1:
            raise
        raise type(error)(
            f"{error}; batch is {spec.batch}, and most networks are exported for a batch of 1: leave batch away, or export it with "
            "an open first axis",
            op=error.op,
            details=error.details,
        ) from None


def try_task(spec: TaskSpec, arena_options: Mapping[str, Any], seconds: float) -> None:
    """Load and run the model of a task in a child process, as `load_model` would in an arena of these options."""
    model, weights = open_model(spec.model, spec.external, spec.sha256, spec.weights_sha256)
    options = trial_options(spec.outputs, spec.shapes, image_hints(spec), _adapts(spec), arena_options)
    what = "bytes" if isinstance(spec.model, (bytes, bytearray, memoryview)) else os.fspath(spec.model)
    try_model(model, weights, options, seconds, what)


def _adapts(spec: TaskSpec) -> bool:
    return any(each.multiple for each in _images(spec.image).values())
