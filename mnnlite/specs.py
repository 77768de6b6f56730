"""Plain data that describes tensors, images and tasks: frozen, hashable, checked when it is made."""

from __future__ import annotations

import math
import numbers
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mnnlite.engine_options import OPTION_NAMES, EngineOptions
from mnnlite.errors import ArgumentError
from mnnlite.records import Record
from mnnlite.trial import seconds_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Literal, TypeAlias

    from numpy.typing import NDArray

    from mnnlite._image import FrameLike
    from mnnlite.engine_options import BackendName, GpuMemory, MemoryMode, Precision, Tuning, Weights, Winograd

    Fit: TypeAlias = Literal["stretch", "letterbox", "crop"]
    Color: TypeAlias = Literal["RGB", "BGR", "RGBA", "BGRA", "GRAY"]
    Filter: TypeAlias = Literal["bilinear", "nearest", "area"]
    Anchor: TypeAlias = Literal["center", "top_left", "bottom"]
    DType: TypeAlias = Literal["float32", "float16", "uint8", "int8"]
    Layout: TypeAlias = Literal["NCHW", "NHWC", "NC4HW4", "NC8HW8"]

__all__ = ["ImageSpec", "TaskSpec", "TensorInfo"]

FITS = ("stretch", "letterbox", "crop")
COLORS = {"RGB": 3, "BGR": 3, "RGBA": 4, "BGRA": 4, "GRAY": 1}
FILTERS = ("nearest", "bilinear", "area")
# Of what is over, in the picture (a crop) or beside it (a letterbox), the part to the left and above.
ANCHORS = {"center": (0.5, 0.5), "top_left": (0.0, 0.0), "bottom": (0.5, 1.0)}
DTYPES = ("float32", "float16", "uint8", "int8")
LAYOUTS = ("NCHW", "NHWC", "NC4HW4", "NC8HW8")
MAX_SIDE = 16384


def _word(name: str, value: Any, allowed: Iterable[str]) -> str:
    words = tuple(allowed)
    if value not in words:
        raise ArgumentError(f"{name}: got {value!r}, wanted one of {', '.join(repr(word) for word in words)}")
    return str(value)


def _whole(name: str, value: Any, low: int, high: int) -> int:
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or not low <= int(value) <= high:
        raise ArgumentError(f"{name}: got {value!r}, wanted a whole number from {low} to {high}")
    return int(value)


def _real(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, numbers.Real) or not math.isfinite(float(value)):
        raise ArgumentError(f"{name}: got {value!r}, wanted a finite number")
    return float(value)


def _per_channel(name: str, value: Any, channels: int, color: str) -> tuple[float, ...]:
    if isinstance(value, numbers.Real):
        value = (value,) * channels
    try:
        values = tuple(value)
    except TypeError:
        raise ArgumentError(f"{name}: got {value!r}, wanted a number or one number per channel of {color}") from None
    if len(values) == 1:
        values = values * channels
    if len(values) != channels:
        raise ArgumentError(
            f"{name}: got {len(values)} numbers, wanted 1 or {channels}, one per channel of color={color!r}"
        )
    return tuple(_real(f"{name}[{index}]", item) for index, item in enumerate(values))


@dataclass(frozen=True, eq=False, repr=False)
class TensorInfo(Record):
    """Describes an input or output of a network as Python sees it.

    Parameters
    ----------
    name : str
    shape : tuple of int
    dtype : str
        ``"float32"``, ``"float16"``, ``"int32"``, ``"uint8"`` or ``"int8"``.
    layout : str
        ``"NCHW"`` or ``"NHWC"`` for four axes, ``"plain"`` otherwise, as the network's file says. Some exporters put NHWC
        data into a tensor that the file calls NCHW.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    layout: str


@dataclass(frozen=True, eq=False, repr=False)
class ImageSpec(Record):
    """How a frame becomes the input tensor of a network: region, size, colour, normalisation, dtype and layout.

    Parameters
    ----------
    size : (width, height) or None
        Pixels of the network's input. ``None``: the size of the tensor the spec is used with.
    fit : {"stretch", "letterbox", "crop"}
        ``stretch`` ignores the aspect ratio; ``letterbox`` keeps it and fills the rest with `pad`; ``crop`` keeps it
        and drops what does not fit.
    color : {"RGB", "BGR", "RGBA", "BGRA", "GRAY"}
        The order of channels the network was trained with. Alpha is 255 where the frame has none.
    mean, std : number or one per channel, in the order of `color`
        ``y = (p - mean) / std`` with p in [0, 255], whatever the bits of the frame. For a 16-bit value v, p is v / 257.
    filter : {"bilinear", "nearest", "area"}
        ``bilinear`` and ``nearest`` have half-pixel centres, as OpenCV's ``INTER_LINEAR`` and ``INTER_NEAREST_EXACT``.
        ``area`` averages the frame pixels that a network pixel covers, without aliasing. It enlarges an axis bilinearly.
    pad : number or one per channel, in the order of `color`
        The value of p where there is no picture: in the bars of a letterbox, or outside the frame.
    anchor : {"center", "top_left", "bottom"}
        Where the picture lies in a letterbox, or which part of it a crop keeps. ``bottom`` is horizontally in the middle: a
        wide crop then keeps the road and not the sky.
    multiple : int
        With ``fit="letterbox"``: the input has the smallest size that holds the picture and is a multiple of this, instead
        of the whole `size`. The task resizes the network's input for each picture, which takes milliseconds when the shape
        changes, and it keeps its model resizable. Use it for lines of text of any length. 0: always the whole size.
    dtype : {"float32", "float16", "uint8", "int8"} or None
        ``None``: the tensor's own; float32 where there is no tensor.
    layout : {"NCHW", "NHWC", "NC4HW4", "NC8HW8"} or None
        ``None``: the tensor's own; NCHW where there is no tensor. An explicit layout names the axes.
    scale, zero_point : float or None, int or None
        For tensors of integers: ``q = round(y / scale) + zero_point``. ``None``: the tensor's own; 1 and 0 where it has none.

    Raises
    ------
    ArgumentError
        A value cannot be used; the error says which, what was got and what was wanted.

    Notes
    -----
    Definition: `mnnlite.reference.image`.
    """

    size: tuple[int, int] | None = None
    fit: Fit = "stretch"
    color: Color = "RGB"
    mean: tuple[float, ...] | float = 0.0
    std: tuple[float, ...] | float = 1.0
    filter: Filter = "bilinear"
    pad: tuple[float, ...] | float = 0.0
    anchor: Anchor = "center"
    multiple: int = 0
    dtype: DType | None = None
    layout: Layout | None = None
    scale: float | None = None
    zero_point: int | None = None

    def __post_init__(self) -> None:
        def put(name: str, value: object) -> None:
            object.__setattr__(self, name, value)

        if self.size is not None:
            try:
                width, height = self.size
            except (TypeError, ValueError):
                raise ArgumentError(f"size: got {self.size!r}, wanted (width, height) in pixels or None") from None
            put("size", (_whole("size[0]", width, 1, MAX_SIDE), _whole("size[1]", height, 1, MAX_SIDE)))
        _word("fit", self.fit, FITS)
        _word("color", self.color, COLORS)
        _word("filter", self.filter, FILTERS)
        _word("anchor", self.anchor, tuple(ANCHORS))
        for name in ("mean", "std", "pad"):
            put(name, _per_channel(name, getattr(self, name), self.channels, self.color))
        for index, value in enumerate(self.std_):
            if value == 0 or not 1e-30 < abs(value) < 1e30:
                raise ArgumentError(f"std[{index}]: got {value!r}, wanted a number other than 0: p is divided by it")
        for index, value in enumerate(self.pad_):
            if not 0 <= value <= 255:
                raise ArgumentError(f"pad[{index}]: got {value!r}, wanted 0 to 255")
        put("multiple", _whole("multiple", self.multiple, 0, MAX_SIDE))
        if self.multiple:
            if self.fit != "letterbox" or self.size is None:
                raise ArgumentError("multiple: is for fit='letterbox' with a size; leave it 0 otherwise")
            if self.size[0] % self.multiple or self.size[1] % self.multiple:
                raise ArgumentError(f"multiple: size {self.size} is not a multiple of {self.multiple}; change either")
        if self.dtype is not None:
            put("dtype", _word("dtype", str(getattr(self.dtype, "__name__", self.dtype)), DTYPES))
        if self.layout is not None:
            _word("layout", self.layout, LAYOUTS)
        if self.scale is not None:
            put("scale", _real("scale", self.scale))
            if not 1e-30 < float(self.scale or 0) < 1e30:
                raise ArgumentError(f"scale: got {self.scale!r}, wanted a number greater than 0")
        if self.zero_point is not None:
            put("zero_point", _whole("zero_point", self.zero_point, -128, 255))

    @property
    def channels(self) -> int:
        """Number of channels of `color`: 1, 3 or 4."""
        return COLORS[self.color]

    @property
    def mean_(self) -> tuple[float, ...]:
        """`mean`, one number per channel."""
        return self.mean if isinstance(self.mean, tuple) else (self.mean,) * self.channels

    @property
    def std_(self) -> tuple[float, ...]:
        """`std`, one number per channel."""
        return self.std if isinstance(self.std, tuple) else (self.std,) * self.channels

    @property
    def pad_(self) -> tuple[float, ...]:
        """`pad`, one number per channel."""
        return self.pad if isinstance(self.pad, tuple) else (self.pad,) * self.channels

    def apply(self, frame: FrameLike | Sequence[FrameLike], out: NDArray[Any] | None = None) -> NDArray[Any]:
        """Convert frames to an input array, exactly as a task fills its network's input. Needs no model.

        Parameters
        ----------
        frame : Frame or sequence of N Frames
            Frames and regions of frames, all of the same format.
        out : C-contiguous array, optional
            An array of the shape and dtype of the result. It may have more than N slots; only the first N are written.

        Returns
        -------
        array (N, C, H, W) float32, or as `layout` and `dtype` say
            NC4HW4 and NC8HW8 are (N, groups, H, W, 4 or 8). This is `out` if it was given.

        Raises
        ------
        ArgumentError, DTypeError, LayoutError
            The spec has no size, a turned region was to be filtered by `area`, frames have different formats, or `out` does
            not fit.

        Notes
        -----
        Allocates the result if `out` is not given, and copies no frame. Any number of threads may call it. It releases the
        GIL once. Definition: `mnnlite.reference.image.convert`.
        """
        from mnnlite import _image  # only here: plain data must not need the extension to be imported

        return _image.convert(self, frame, out)


def _names(name: str, value: Any) -> tuple[str, ...]:
    names = None if isinstance(value, (str, bytes)) or not isinstance(value, Iterable) else tuple(value)
    if not names or not all(isinstance(each, str) for each in names):
        raise ArgumentError(f"{name}: got {value!r:.80}, wanted a list of names")
    return names


def _shapes(value: Any) -> dict[str, tuple[int, ...]]:
    if not isinstance(value, Mapping):
        raise ArgumentError(f"shapes: got {value!r:.80}, wanted {{input: (1, 3, 224, 224)}}")
    shapes = {}
    for name, shape in value.items():
        if isinstance(shape, (str, bytes)) or not isinstance(shape, Iterable):
            raise ArgumentError(f"shapes: got {shape!r:.80} for {name!r}, wanted whole numbers")
        shapes[str(name)] = tuple(_whole("shapes", extent, 1, 2**31 - 1) for extent in shape)
    return shapes


@dataclass(frozen=True, eq=False, repr=False)
class TaskSpec(Record):
    """A network with what goes in and what comes out, as data, like a ``[[task]]`` of a pipeline file.

    Parameters
    ----------
    model : path or bytes
        An ``.mnn`` file or its content.
    image : ImageSpec, dict of str to ImageSpec, or None
        How a frame becomes the input; a dict by name if the network has several inputs. None: the caller writes the inputs.
    decoder : decoder spec, str, or dict of str to decoder spec
        How the outputs become results. A string is a family with its defaults; ``"raw"`` returns the outputs. In a dict,
        several decoders read one inference. The key names the result. If an output has that name, the decoder reads it;
        otherwise ``tensors=`` of the decoder names its outputs.
    outputs : sequence of str, optional
        The outputs to create; the session has only the branch that leads to them, see `Model`.
    shapes : dict of str to tuple of int, optional
        Shapes of inputs. Without them, the ``size`` of an image sets the open axes of its input.
    batch : int
        The most frames or regions of one call.
    state : dict of str to str
        ``{input: output}``: the output becomes the input of the next frame. The first input is zeros; see
        `Task.reset_state`.
    feed : dict of str to str or array
        ``{input: "task.output"}``: outputs of tasks that ran before on the same frame, copied before each run; or an
        array, copied once. Only for a Runtime, which runs several tasks on a frame.
    backend, fallback, tuning, gpu_memory : str, optional
        On what the engine computes this network; see `Arena` for the words. The default is what the `Runtime` has. In a runtime,
        tasks of a GPU have a lane of their own beside the others, and one whose backend is not there falls back if `fallback` says
        so.
    winograd, memory_mode, precision, weights : str, optional
        How the engine computes this network; see `Arena` for the words. The default is what the arena, or the `Runtime`, has.
        Tasks that share an arena may differ in them.
    threads : int, optional
        Number of the engine's threads; the default is that of the arena or the runtime. In a shared arena it must be the
        arena's. In a runtime, a lane has one arena for each number that its tasks ask for; `Runtime.plan` says what that
        costs.
    external : path, optional
        The file of external weights.
    sha256, weights_sha256 : str, optional
        The SHA-256 that the model and the file of weights must have; ``mnnlite lock`` writes them.
    trial : bool or float
        Whether a child process loads and runs the model first, or how many seconds that may take; see `Model`.

    Raises
    ------
    ArgumentError
        A value cannot be used.
    """

    model: Any
    image: ImageSpec | Mapping[str, ImageSpec] | None = None
    decoder: Any = "raw"
    outputs: Sequence[str] | None = None
    shapes: Mapping[str, Sequence[int]] | None = None
    batch: int = 1
    state: Mapping[str, str] = field(default_factory=dict)
    feed: Mapping[str, Any] = field(default_factory=dict)
    threads: int | None = None
    precision: Precision | None = None
    winograd: Winograd | None = None
    memory_mode: MemoryMode | None = None
    weights: Weights | None = None
    backend: BackendName | None = None
    fallback: Literal["cpu"] | None = None
    tuning: Tuning | None = None
    gpu_memory: GpuMemory | None = None
    external: Any = None
    sha256: str | None = None
    weights_sha256: str | None = None
    trial: bool | float = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "batch", _whole("batch", self.batch, 1, 1024))
        object.__setattr__(self, "threads", self.engine.threads)
        for key in ("sha256", "weights_sha256"):
            object.__setattr__(self, key, checked_hash(getattr(self, key), key))
        seconds_of(self.trial)
        if not isinstance(self.feed, Mapping):
            raise ArgumentError(f"feed: got {self.feed!r:.80}, wanted {{input: 'task.output'}}")
        for name, source in self.feed.items():
            if not isinstance(name, str) or (isinstance(source, str) and "." not in source):
                raise ArgumentError(f"feed: got {name!r}: {source!r}, wanted input name to 'task.output' or an array")
        if self.outputs is not None:
            object.__setattr__(self, "outputs", _names("outputs", self.outputs))
        if self.shapes is not None:
            object.__setattr__(self, "shapes", _shapes(self.shapes))
        if not isinstance(self.state, Mapping):
            raise ArgumentError(f"state: got {self.state!r:.80}, wanted {{input: output}}")
        for name, output in self.state.items():
            if not isinstance(name, str) or not isinstance(output, str):
                raise ArgumentError(f"state: got {name!r}: {output!r}, wanted input name to output name")

    @property
    def engine(self) -> EngineOptions:
        """The engine options as one value; `dataclasses.replace(spec, **options.given())` sets them in another spec."""
        return EngineOptions(**{name: getattr(self, name) for name in OPTION_NAMES})


def checked_hash(text: object, key: str) -> str | None:
    """Check a SHA-256 and return it in lower case; None stays None.

    Raises
    ------
    ArgumentError
        It is not 64 hexadecimal digits.
    """
    if text is None:
        return None
    if not isinstance(text, str) or not re.fullmatch("[0-9a-fA-F]{64}", text):
        raise ArgumentError(f"{key} is {text!r}; it must be the 64 hexadecimal digits of a SHA-256")
    return text.lower()
