"""Decoder families: how the outputs of a network become results, as frozen data.

One class per family of heads, none per network. Each option is described once, here, at its field: that is what checks
constructors and pipeline files, what ``mnnlite inspect --decoders`` lists and what the documentation shows.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import MISSING, Field, dataclass, field, fields
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, cast

import numpy as np

from mnnlite import _core, results
from mnnlite.errors import ArgumentError, DecoderABIError, DTypeError, TensorNotFoundError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = [
    "Decoder",
    "Raw",
    "Classification",
    "FastestDet",
    "Segmentation",
    "Yolo",
    "Ssd",
    "YoloFastestV2",
    "NanoDet",
    "CenterFace",
    "Lanes",
    "Ctc",
    "DbText",
    "Keypoints",
    "Embedding",
    "Plugin",
    "Function",
    "Option",
    "Placed",
    "as_decoder",
    "get_include",
    "families",
    "from_dict",
    "nms",
    "options_of",
    "place",
]


class Option(NamedTuple):
    """What one option of a family means and which values it takes."""

    name: str
    type: str
    default: Any
    doc: str
    low: float | None
    high: float | None
    choices: tuple[str, ...]


def _option(
    default: Any,
    type_: str,
    doc: str,
    *,
    low: float | None = None,
    high: float | None = None,
    choices: tuple[str, ...] = (),
    native: bool = True,
) -> Any:
    """Describe an option; `type_` is one of number, whole, flag, word, text, names, numbers, path."""
    return field(
        default=default,
        metadata={"type": type_, "doc": doc, "low": low, "high": high, "choices": choices, "native": native},
    )


def _names_from(value: Any, where: str) -> tuple[str, ...]:
    """Names from a sequence of texts, or from a text file with one name a line."""
    if isinstance(value, (str, Path)):
        try:
            lines = Path(value).read_text(encoding="utf-8").splitlines()
        except OSError as error:
            raise ArgumentError(
                f"{where}: cannot read names from {str(value)!r} ({error.strerror}); "
                "wanted a text file with one name a line, or a list of names"
            ) from None
        except UnicodeDecodeError:
            raise ArgumentError(f"{where}: {str(value)!r} is not a UTF-8 text file with one name a line") from None
        while lines and not lines[-1]:
            lines.pop()
        return tuple(lines)
    return tuple(value)


class Placed(NamedTuple):
    """Where a slot of the batch lies in the frame: what decoders need to know about the picture.

    Parameters
    ----------
    to_frame : 9 floats
        3x3, row-major: network pixel -> frame pixel.
    net_size : (width, height)
        Pixels of the network's input.
    frame_size : (width, height)
        Pixels of the whole frame.
    item : int
        What the rows of this slot carry as ``item``.
    """

    to_frame: tuple[float, ...]
    net_size: tuple[int, int]
    frame_size: tuple[int, int]
    item: int = 0


def _size(value: Any, what: str) -> tuple[int, int]:
    try:
        width, height = (int(side) for side in value)
    except (TypeError, ValueError):
        raise ArgumentError(f"{what}: wanted (width, height) in pixels, got {value!r}") from None
    if width < 1 or height < 1:
        raise ArgumentError(f"{what}: wanted at least 1x1 pixels, got {width}x{height}")
    return width, height


def place(image: Any, frame_size: tuple[int, int]) -> Placed:
    """Where a whole frame lies in the input of a network.

    Parameters
    ----------
    image : ImageSpec, (3, 3) array or None
        A spec with ``size`` and ``fit``; a matrix network pixel -> frame pixel; or None: the frame stretched over the
        input, whose size is taken as the frame's, so that relative and pixel coordinates both mean the frame.
    frame_size : (width, height)

    Returns
    -------
    Placed

    Raises
    ------
    ArgumentError
        A size or matrix that cannot be used.
    """
    width, height = _size(frame_size, "frame_size")
    if image is None:
        return Placed((1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0), (width, height), (width, height))
    if not hasattr(image, "fit"):
        matrix = np.asarray(image, np.float64)
        if matrix.shape != (3, 3) or not np.isfinite(matrix).all() or abs(np.linalg.det(matrix)) < 1e-300:
            raise ArgumentError("image: wanted an ImageSpec, a finite invertible 3x3 matrix or None")
        corners = np.linalg.inv(matrix) @ np.array([[0.0, width], [0.0, height], [1.0, 1.0]])
        size = np.abs(corners[:2, 1] / corners[2, 1] - corners[:2, 0] / corners[2, 0])
        net = max(1, round(float(size[0]))), max(1, round(float(size[1])))
        return Placed(tuple(float(entry) for entry in matrix.ravel()), net, (width, height))
    if image.size is None:
        raise ArgumentError("image: the spec has no size, so the place of pixels in the frame is not known")
    net_width, net_height = image.size
    if image.fit == "stretch":
        scale_x, scale_y, shift_x, shift_y = width / net_width, height / net_height, 0.0, 0.0
    elif image.fit == "crop":
        scale_x = scale_y = 1.0 / max(net_width / width, net_height / height)
        shift_x, shift_y = (width - net_width * scale_x) / 2, (height - net_height * scale_y) / 2
    else:  # a letterbox, whose picture has whole pixels: mnnlite.reference.image.place
        ratio = min(net_width / width, net_height / height)
        inner = (
            int(min(max(round(width * ratio), 1), net_width)),
            int(min(max(round(height * ratio), 1), net_height)),
        )
        multiple = getattr(image, "multiple", 0)
        if multiple:
            net_width, net_height = (-(-side // multiple) * multiple for side in inner)
        centered = getattr(image, "anchor", "center") == "center"
        left, top = ((net_width - inner[0]) // 2, (net_height - inner[1]) // 2) if centered else (0, 0)
        scale_x, scale_y = width / inner[0], height / inner[1]
        shift_x, shift_y = -(left * scale_x), -(top * scale_y)
    matrix9 = (scale_x, 0.0, shift_x, 0.0, scale_y, shift_y, 0.0, 0.0, 1.0)
    return Placed(matrix9, (net_width, net_height), (width, height))


_REAL_DTYPES = "biuf"
_NATIVE_DTYPES = (np.float32, np.float16, np.int32, np.int8, np.uint8, np.bool_)


def _native_array(name: str, value: ArrayLike) -> NDArray[Any]:
    """A C-contiguous array of a dtype that native decoders read; wider numbers are converted, with a range check."""
    array = np.asarray(value)
    if array.dtype.kind not in _REAL_DTYPES:
        raise DTypeError(f"output {name!r}: wanted an array of real numbers, got dtype {array.dtype}")
    if array.dtype.kind == "f" and array.dtype not in (np.float32, np.float16):
        array = array.astype(np.float32)
    elif array.dtype not in _NATIVE_DTYPES:
        if array.size and (int(array.min()) < -(2**31) or int(array.max()) >= 2**31):
            raise DTypeError(f"output {name!r}: {array.dtype} values do not fit int32, the widest integers decoded")
        array = array.astype(np.int32)
    return np.ascontiguousarray(array).reshape(array.shape)


@dataclass(frozen=True, kw_only=True)
class Decoder:
    """Base of all decoder specs: frozen, hashable data that is checked when it is made.

    Parameters
    ----------
    tensors : tuple of str
        Names of the outputs the decoder takes, in the family's order; empty: all it is given, in their order.
    """

    family: ClassVar[str] = ""
    _BATCHED_RANK: ClassVar[int] = 2  # outputs of a lower rank have no batch axis

    tensors: tuple[str, ...] = _option((), "names", "outputs taken, in the family's order; empty: all", native=False)

    def __post_init__(self) -> None:
        for entry in fields(self):
            value = getattr(self, entry.name)
            checked = _checked(f"{type(self).__name__}.{entry.name}", value, entry)
            object.__setattr__(self, entry.name, checked)
        # Native code has the last word on its own options; a spec that exists can be used.
        object.__setattr__(self, "_idle", [_core.ArrayDecoder(self.family, self.native_options())])

    def __getstate__(self) -> dict[str, Any]:
        return {entry.name: getattr(self, entry.name) for entry in fields(self)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        for name, value in state.items():
            object.__setattr__(self, name, value)
        self.__post_init__()

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the classes, by class id; empty if there are none."""
        return ()

    def native_options(self) -> dict[str, Any]:
        """The options as ``_core`` takes them: numbers, texts and lists."""
        return {
            entry.name: getattr(self, entry.name)
            for entry in fields(self)
            if entry.metadata["native"] and getattr(self, entry.name) is not None
        }

    def to_dict(self) -> dict[str, Any]:
        """Family and the options that differ from their defaults: what `from_dict` and pipeline files take."""
        result: dict[str, Any] = {"family": self.family}
        for entry in fields(self):
            value = getattr(self, entry.name)
            if value != entry.default:
                result[entry.name] = list(value) if isinstance(value, tuple) else value
        return result

    def select(self, outputs: Mapping[str, Any]) -> dict[str, Any]:
        """The outputs this decoder takes, in its order.

        Raises
        ------
        TensorNotFoundError
            An output named in `tensors` is not there.
        """
        if not self.tensors:
            return dict(outputs)
        for name in self.tensors:
            if name not in outputs:
                close = get_close_matches(name, list(outputs), 1)
                hint = f"; did you mean {close[0]!r}?" if close else ""
                raise TensorNotFoundError(
                    f"{self.family}: there is no output {name!r} among {', '.join(map(repr, outputs))}{hint}"
                )
        return {name: outputs[name] for name in self.tensors}

    def decode(
        self,
        outputs: Mapping[str, ArrayLike],
        frame_size: tuple[int, int],
        image: Any = None,
        *,
        items: Sequence[Placed] | None = None,
    ) -> results.Results:
        """Decode arrays, without a model.

        Parameters
        ----------
        outputs : dict of name to array
            float32, float16, int32, int8 or uint8 are read as they are; float64 and other integers are converted.
        frame_size : (width, height)
            Pixels of the frame that results are in.
        image : ImageSpec, (3, 3) array or None
            How the frame got into the network, see `place`. None: stretched.
        items : sequence of Placed, optional
            One per slot of the batch, instead of `frame_size` and `image` for all of them.

        Returns
        -------
        Results
            The family's type, in pixels of the frame. Own arrays.

        Raises
        ------
        DecoderError
            Shapes that the family does not take; NaN or infinite scores or boxes.
        ArgumentError, DTypeError, TensorNotFoundError
            Arguments that cannot be used.

        Notes
        -----
        Threads: any number, each call has its own memory. Releases the GIL. Definition: `mnnlite.reference.decode`.
        """
        chosen = {name: _native_array(name, value) for name, value in self.select(outputs).items()}
        if items is None:
            where = place(image, frame_size)
            items = [where._replace(item=slot) for slot in range(self._slots(chosen))]
        tensors = [(name, array, 0, None, 0.0, 0) for name, array in chosen.items()]
        slots = [(*entry[:1], *entry.net_size, *entry.frame_size, entry.item) for entry in items]
        idle = cast("list[_core.ArrayDecoder]", self.__dict__["_idle"])
        try:
            native = idle.pop()  # atomic: two threads never get the same one
        except IndexError:
            native = _core.ArrayDecoder(self.family, self.native_options())
        try:
            found = native.decode(tensors, slots)
        finally:
            idle.append(native)
        return results.from_native(found, names=self.names, frame_size=items[0].frame_size if items else None)

    def _slots(self, arrays: Mapping[str, NDArray[Any]]) -> int:
        """How many slots the arrays hold: the length of the first axis, 1 for arrays without a batch."""
        first = next(iter(arrays.values()), None)
        return 1 if first is None or first.ndim < self._BATCHED_RANK else int(first.shape[0])


def _checked(where: str, value: Any, entry: Field[Any]) -> Any:
    """Return the value in its stored form, or raise ArgumentError."""
    meta = entry.metadata
    if value is None and entry.default is None:
        return None
    kind = meta["type"]
    if kind in ("number", "whole"):
        wanted = "a whole number" if kind == "whole" else "a number"
        if meta["low"] is not None or meta["high"] is not None:
            low, high = meta["low"], meta["high"]
            wanted += f" in [{low:g}, {high:g}]" if low is not None and high is not None else f" of at least {low:g}"
        if isinstance(value, bool) or not isinstance(value, numbers.Real) or not math.isfinite(float(value)):
            raise ArgumentError(f"{where}: wanted {wanted}, got {value!r}")
        if kind == "whole" and not isinstance(value, numbers.Integral):
            raise ArgumentError(f"{where}: wanted {wanted}, got {value!r}")
        if (meta["low"] is not None and value < meta["low"]) or (meta["high"] is not None and value > meta["high"]):
            raise ArgumentError(f"{where}: wanted {wanted}, got {value!r}")
        return int(float(value)) if kind == "whole" else float(value)
    if kind == "flag":
        if not isinstance(value, (bool, np.bool_)):
            raise ArgumentError(f"{where}: wanted true or false, got {value!r}")
        return bool(value)
    if kind == "word":
        if value not in meta["choices"]:
            raise ArgumentError(f"{where}: wanted one of {', '.join(map(repr, meta['choices']))}, got {value!r}")
        return str(value)
    if kind == "function":
        if not callable(value):
            raise ArgumentError(f"{where}: wanted a function, got {value!r}")
        return value
    if kind == "text":
        if not isinstance(value, str):
            raise ArgumentError(f"{where}: wanted a text, got {value!r}")
        return value
    if kind == "path" and isinstance(value, (str, Path)):
        _names_from(value, where)
        return str(value)
    if kind in ("names", "path"):
        wanted = "a list of texts" + (" or a path to a file with one a line" if kind == "path" else "")
        if kind == "names" and isinstance(value, str):
            value = (value,)
        if not isinstance(value, Iterable) or isinstance(value, (bytes, Mapping)):
            raise ArgumentError(f"{where}: wanted {wanted}, got {value!r}")
        names = tuple(value)
        for name in names:
            if not isinstance(name, str):
                raise ArgumentError(f"{where}: wanted {wanted}, got {name!r} in it")
        return names
    if kind == "numbers":
        if isinstance(value, (str, bytes)) or not isinstance(value, Iterable):
            raise ArgumentError(f"{where}: wanted a list of numbers, got {value!r}")
        entries = tuple(value)
        for number in entries:
            if isinstance(number, bool) or not isinstance(number, numbers.Real) or not math.isfinite(float(number)):
                raise ArgumentError(f"{where}: wanted a list of finite numbers, got {number!r} in it")
        return tuple(float(number) for number in entries)
    raise AssertionError(f"{where}: unknown kind of option {kind!r}")


@dataclass(frozen=True, kw_only=True)
class _Named(Decoder):
    """A family whose results have classes."""

    classes: tuple[str, ...] | str | None = _option(
        None, "path", "names of the classes: a list, or a text file with one a line", native=False
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        names = () if self.classes is None else _names_from(self.classes, f"{type(self).__name__}.classes")
        object.__setattr__(self, "_names", names)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the classes, by class id; empty if there are none."""
        return cast("tuple[str, ...]", self.__dict__["_names"])


@dataclass(frozen=True, kw_only=True)
class _Detector(_Named):
    """A family that finds boxes."""

    score: float = _option(0.25, "number", "boxes with a larger score are kept", low=0, high=1)
    iou: float = _option(0.45, "number", "of two boxes that overlap more, the better is kept", low=0, high=1)
    max_detections: int = _option(300, "whole", "rows per item; the best are kept", low=1, high=1 << 20)
    nms: str = _option(
        "hard",
        "word",
        "what happens to boxes that overlap: hard: the better is kept; soft: scores of the others shrink (Bodla 2017); "
        "weighted: they are averaged by their scores (MediaPipe)",
        choices=("hard", "soft", "weighted"),
    )
    sigma: float = _option(
        0.5, "number", "of soft suppression: scores shrink by exp(-iou^2 / sigma)", low=1e-3, high=1e3
    )
    agnostic: bool = _option(False, "flag", "boxes of different classes suppress one another too")
    top_k: int = _option(1000, "whole", "candidates that enter the suppression; the best are kept", low=1, high=1 << 20)
    clip: bool = _option(True, "flag", "boxes are cut to the frame")


@dataclass(frozen=True, kw_only=True)
class Raw(Decoder):
    """No decoding: the task gives the outputs as arrays, ``{name: array}``."""

    family: ClassVar[str] = "raw"

    def decode(self, outputs: Mapping[str, ArrayLike], *_: Any, **__: Any) -> Any:
        """Return the selected outputs as they are."""
        return self.select(outputs)


@dataclass(frozen=True, kw_only=True)
class Classification(_Named):
    """Class scores: (N, C) or with trailing axes of 1; gives `Classes`, best first.

    Notes
    -----
    Definition: `mnnlite.reference.decode.classification`.
    """

    family: ClassVar[str] = "classification"

    activation: str = _option(
        "softmax",
        "word",
        "what turns the output into scores; none: the network did it, or sigmoid for several classes at once",
        choices=("softmax", "sigmoid", "none"),
    )
    top_k: int = _option(5, "whole", "classes per item, the best", low=1, high=1 << 30)
    score: float = _option(0.0, "number", "classes with at least this score", low=-1e30, high=1e30)


@dataclass(frozen=True, kw_only=True)
class FastestDet(_Detector):
    """FastestDet: (N, 5 + C, rows, columns), objectness and classes activated; gives `Detections`.

    Notes
    -----
    Definition: `mnnlite.reference.decode.fastestdet`. Source: github.com/dog-qiuqiu/FastestDet.
    """

    family: ClassVar[str] = "fastestdet"

    score: float = _option(0.5, "number", "boxes with a larger score are kept", low=0, high=1)


@dataclass(frozen=True, kw_only=True)
class Ssd(_Detector):
    """SSD: scores (N, A, C) and boxes (N, A, 4 + 2 points) in either order; gives `Detections`.

    Where both fit (four classes and no points), the first output is the scores.

    Notes
    -----
    Definition: `mnnlite.reference.decode.ssd`. Sources: Liu et al. 2016, section 2.2; MediaPipe,
    tensors_to_detections_calculator.cc and ssd_anchors_calculator.cc.
    """

    family: ClassVar[str] = "ssd"

    boxes: str = _option(
        "corners",
        "word",
        "what the numbers of a box are: corners x1, y1, x2, y2; centers x, y, width, height; deltas to anchors",
        choices=("corners", "centers", "deltas"),
    )
    order: str = _option("xy", "word", "yx: y comes before x, and height before width", choices=("xy", "yx"))
    units: str = _option("relative", "word", "of decoded boxes", choices=("relative", "pixels"))
    activation: str = _option(
        "none", "word", "what turns the output into scores", choices=("none", "sigmoid", "softmax")
    )
    background: int = _option(
        -1, "whole", "class that is none and is not counted in class ids; -1: there is none", low=-1, high=1 << 20
    )
    points: int = _option(0, "whole", "key points after the numbers of a box", low=0, high=1024)
    anchors: tuple[float, ...] = _option((), "numbers", "of deltas: x, y, width, height of each anchor, relative")
    strides: tuple[float, ...] = _option((), "numbers", "generate anchors: stride of each layer in network pixels")
    aspect_ratios: tuple[float, ...] = _option((1.0,), "numbers", "generate anchors: width / height, in each layer")
    min_scale: float = _option(0.2, "number", "generate anchors: size in the first layer, relative", low=0, high=10)
    max_scale: float = _option(0.95, "number", "generate anchors: size in the last layer, relative", low=0, high=10)
    interpolated_aspect_ratio: float = _option(
        1.0, "number", "generate anchors: one more a layer, between its size and the next; 0: none", low=0, high=100
    )
    anchor_offset: float = _option(0.5, "number", "generate anchors: centre in its cell", low=-1, high=1)
    reduce_lowest_layer: bool = _option(False, "flag", "generate anchors: only three in the first layer")
    fixed_anchor_size: bool = _option(False, "flag", "generate anchors: width and height are 1")
    input_size: tuple[float, ...] = _option(
        (), "numbers", "generate anchors: width and height of the input; empty: square"
    )
    variances: tuple[float, ...] = _option((0.1, 0.1, 0.2, 0.2), "numbers", "of deltas: factors of x, y, width, height")
    exponential: bool = _option(True, "flag", "of deltas: width and height are exponents")

    @classmethod
    def mediapipe_face(cls, **options: Any) -> Ssd:
        """Options of MediaPipe's short-range face detector: 896 anchors, 6 points, weighted suppression.

        Source: mediapipe/modules/face_detection/face_detection_short_range.pbtxt.
        """
        usual: dict[str, Any] = {
            "boxes": "deltas",
            "activation": "sigmoid",
            "points": 6,
            "strides": (8, 16, 16, 16),
            "fixed_anchor_size": True,
            "variances": (1 / 128,) * 4,
            "exponential": False,
            "nms": "weighted",
            "score": 0.5,
            "iou": 0.3,
        }
        return cls(**{**usual, **options})


@dataclass(frozen=True, kw_only=True)
class Yolo(_Detector):
    """The YOLO family; gives `Detections`, or `Keypoints` for points with confidences.

    ``v8`` (also v9, v11): (N, 4 + C, A) or its transpose, boxes x, y, width, height in network pixels.
    ``v5`` (also v7 and heads made of it): flat (N, A, 5 + C) with placed boxes, or the raw grids of all strides,
    (N, anchors (5 + C), rows, columns) or (N, anchors, rows, columns, 5 + C). ``v3``: the same, with its own boxes.
    ``yolox``: flat (N, A, 5 + C) with boxes relative to cells. ``end2end``: rows that the network suppressed itself,
    (N, K, 6), (K, 6) or (K, 7) with the slot first.

    Notes
    -----
    Definition: `mnnlite.reference.decode.yolo`. Sources: Redmon and Farhadi 2018; ultralytics yolov5 models/yolo.py and
    ultralytics nn/modules/head.py; Ge et al. 2021; WongKinYiu/yolov7 models/experimental.py.
    """

    family: ClassVar[str] = "yolo"
    _BATCHED_RANK: ClassVar[int] = 3

    version: str = field(
        default="v8",
        kw_only=False,
        metadata={
            "type": "word",
            "doc": "how the outputs are laid out; v9 and v11 are v8, v7 is v5, v10 is end2end",
            "low": None,
            "high": None,
            "choices": ("v3", "v5", "v8", "yolox", "end2end"),
            "native": True,
        },
    )
    activation: str = _option(
        "usual",
        "word",
        "of scores, and of the numbers of raw grids; usual: sigmoid for raw grids, none for the others",
        choices=("usual", "none", "sigmoid"),
    )
    units: str = _option("pixels", "word", "of boxes that the network placed", choices=("pixels", "relative"))
    points: int = _option(
        0, "whole", "points of each box: v8 after the classes, v5 between objectness and classes", low=0, high=1024
    )
    point_values: int = _option(2, "whole", "numbers a point: x, y or x, y, confidence", low=2, high=3)
    rotated: bool = _option(False, "flag", "v8: the last number is the box's angle in radians; points are its corners")
    channels: str = _option(
        "auto", "word", "v8: which axis holds 4 + C; auto: the shorter one", choices=("auto", "last", "first")
    )
    anchors: tuple[float, ...] = _option(
        (), "numbers", "raw grids: width, height in network pixels, finest grid first; empty: the COCO models'"
    )
    strides: tuple[float, ...] = _option((8.0, 16.0, 32.0), "numbers", "yolox: strides of the grids")
    columns: str = _option(
        "", "text", "end2end: what a row holds, of x y x y, s score, c class, b slot; empty: xyxysc or bxyxycs"
    )


@dataclass(frozen=True, kw_only=True)
class YoloFastestV2(_Detector):
    """Yolo-FastestV2: two grids (N, rows, columns, 15 + C), activated by the network; gives `Detections`.

    Notes
    -----
    Definition: `mnnlite.reference.decode.yolofastestv2`. Source: github.com/dog-qiuqiu/Yolo-FastestV2.
    """

    family: ClassVar[str] = "yolofastestv2"

    score: float = _option(0.3, "number", "boxes with a larger score are kept", low=0, high=1)
    anchors: tuple[float, ...] = _option(
        (), "numbers", "width, height in network pixels, 3 a grid, finest first; empty: the COCO model's"
    )
    layout: str = _option(
        "NHWC", "word", "order of the outputs' axes; own: as the tensors say", choices=("NHWC", "NCHW", "own")
    )


@dataclass(frozen=True, kw_only=True)
class NanoDet(_Detector):
    """NanoDet and NanoDet-Plus: one output (N, A, C + 4 (reg_max + 1)), or classes and distances of each stride.

    Gives `Detections`. The outputs of each stride may come in any order.

    Notes
    -----
    Definition: `mnnlite.reference.decode.nanodet`. Sources: Li et al. 2020, equation 6; github.com/RangiLyu/nanodet.
    """

    family: ClassVar[str] = "nanodet"

    score: float = _option(0.4, "number", "boxes with a larger score are kept", low=0, high=1)
    iou: float = _option(0.6, "number", "of two boxes that overlap more, the better is kept", low=0, high=1)
    strides: tuple[float, ...] = _option((8.0, 16.0, 32.0, 64.0), "numbers", "strides of the grids, finest first")
    reg_max: int = _option(7, "whole", "largest distance of a side, in strides", low=1, high=64)
    cell_offset: float = _option(
        0.0, "number", "centre of a cell, in strides: 0 for NanoDet-Plus, 0.5 for the first NanoDet", low=0, high=1
    )
    sigmoid: bool = _option(False, "flag", "class scores are logits")


@dataclass(frozen=True, kw_only=True)
class CenterFace(_Detector):
    """CenterFace and CenterNet: heat map, size, offset and landmarks (N, ., rows, columns); gives `Detections`.

    The last two outputs may be missing. CenterFace: size and offset are y before x, sizes are logarithms.

    Notes
    -----
    Definition: `mnnlite.reference.decode.centerface`. Sources: Xu et al. 2020, section 3.2; Zhou et al. 2019, section 4.
    """

    family: ClassVar[str] = "centerface"

    score: float = _option(0.5, "number", "boxes with a larger score are kept", low=0, high=1)
    iou: float = _option(0.3, "number", "of two boxes that overlap more, the better is kept", low=0, high=1)
    variant: str = _option(
        "centerface",
        "word",
        "centernet: one heat map a class, sizes in cells, x before y, only local maxima count",
        choices=("centerface", "centernet"),
    )
    sigmoid: bool = _option(False, "flag", "the heat map holds logits")
    peaks: bool | None = _option(None, "flag", "only cells that no neighbour exceeds; not given: as the variant")


@dataclass(frozen=True, kw_only=True)
class Segmentation(_Named):
    """A class per pixel: scores per class, one score, or a map of class numbers; gives `Masks`.

    Notes
    -----
    Definition: `mnnlite.reference.decode.segmentation`.
    """

    family: ClassVar[str] = "segmentation"

    mode: str = _option(
        "auto",
        "word",
        "argmax over channels; binary: one channel and a threshold; classes: integers are classes. "
        "auto: argmax for several channels, else classes for integers and binary for floats",
        choices=("auto", "argmax", "binary", "classes"),
    )
    activation: str = _option("none", "word", "of a binary map", choices=("none", "sigmoid"))
    threshold: float = _option(0.5, "number", "a binary map is 1 where it is larger", low=-1e30, high=1e30)
    layout: str = _option(
        "own", "word", "order of the output's axes; own: as the tensor says", choices=("own", "NCHW", "NHWC")
    )
    size: str = _option(
        "network", "word", "maps as the network gives them, or as large as the frame", choices=("network", "frame")
    )
    background: int = _option(
        -2, "whole", "class that gets no row; -1: none; -2: 0 for two-class maps, else none", low=-2, high=254
    )
    min_area: float = _option(0.0, "number", "smaller areas get no row, in frame pixels squared", low=0, high=1e12)
    scores: bool = _option(False, "flag", "score is the mean softmax of an argmax map (slow); else 1")
    output: str = _option("masks", "word", "masks give Masks, polygons give Polygons", choices=("masks", "polygons"))
    tolerance: float | None = _option(
        None, "number", "polygons: no dropped corner is further from the outline, in frame pixels (1)", low=0, high=1e6
    )
    holes: bool | None = _option(None, "flag", "polygons: inner outlines too (true)")
    max_polygons: int | None = _option(None, "whole", "polygons: rows per item, the largest (256)", low=1, high=16384)
    max_points: int | None = _option(
        None, "whole", "polygons: corners of all rows of an item (16384)", low=4, high=1 << 24
    )

    def native_options(self) -> dict[str, Any]:
        """The options as ``_core`` takes them."""
        options = super().native_options()
        if self.output == "polygons":
            if options.pop("size") != "network":
                raise ArgumentError("Segmentation.size: is for masks; polygons are in pixels of the frame anyway")
        else:
            for name in ("tolerance", "holes", "max_polygons", "max_points"):
                if name in options:
                    raise ArgumentError(f"Segmentation.{name}: is for output='polygons'")
        return options


@dataclass(frozen=True, kw_only=True)
class Lanes(_Named):
    """Lane and edge lines, from a mask or from a row-anchor head; gives `Polylines`, from near to far, longest first.

    ``head="mask"``: the outputs that `Segmentation` takes. Lines are the middles of runs of pixels, row by row (column
    by column where a line lies flat); they end where areas split or join, and are continued over gaps by the piece that
    fits best. ``head="rows"``: (N, cells + 1, rows, lanes), Ultra-Fast-Lane-Detection.

    Notes
    -----
    Definition: `mnnlite.reference.decode.lanes`. Source of row anchors: Qin et al. 2020, equations 3 to 6.
    """

    family: ClassVar[str] = "lanes"
    _OF_HEAD: ClassVar[dict[str, str]] = {
        **dict.fromkeys(
            (
                "mode",
                "activation",
                "threshold",
                "layout",
                "scores",
                "background",
                "max_gap",
                "min_length",
                "min_pixels",
            ),
            "mask",
        ),
        **dict.fromkeys(("row_anchors", "min_points"), "rows"),
    }

    head: str = _option("mask", "word", "what the output is", choices=("mask", "rows"))
    score: float = _option(0.0, "number", "lines with at least this mean probability", low=0, high=1)
    tolerance: float = _option(
        1.0, "number", "no dropped point is further from the line, in frame pixels", low=0, high=1e6
    )
    degree: int = _option(0, "whole", "of the polynomial through the points; 0: the points themselves", low=0, high=3)
    max_lines: int = _option(16, "whole", "rows per item, the longest", low=1, high=256)
    mode: str = _option("auto", "word", "mask: see Segmentation", choices=("auto", "argmax", "binary", "classes"))
    activation: str = _option("none", "word", "mask: of a binary map", choices=("none", "sigmoid"))
    threshold: float = _option(0.5, "number", "mask: a binary map is 1 where it is larger", low=-1e30, high=1e30)
    layout: str = _option("own", "word", "mask: order of the output's axes", choices=("own", "NCHW", "NHWC"))
    background: int = _option(0, "whole", "mask: class that is no line; -1: none", low=-1, high=254)
    max_gap: float = _option(
        0.25, "number", "mask: gaps that a line is continued over, in heights of the map", low=0, high=10
    )
    min_length: float = _option(
        0.08, "number", "mask: shorter lines are dropped, in heights of the map", low=0, high=10
    )
    min_pixels: int = _option(8, "whole", "mask: smaller pieces are noise", low=1, high=1 << 24)
    row_anchors: tuple[float, ...] = _option((), "numbers", "rows: y of each row in network pixels, growing")
    min_points: int = _option(3, "whole", "rows: lanes with fewer points are dropped", low=2, high=1 << 20)

    def native_options(self) -> dict[str, Any]:
        """The options as ``_core`` takes them: those of the head."""
        options = super().native_options()
        return {name: value for name, value in options.items() if self._OF_HEAD.get(name, self.head) == self.head}


@dataclass(frozen=True, kw_only=True)
class Ctc(Decoder):
    """Text by CTC, greedy: (N, T, symbols); gives `Texts` with a confidence per character.

    Notes
    -----
    Definition: `mnnlite.reference.decode.ctc`. Source: Graves et al. 2006, section 3.2.
    """

    family: ClassVar[str] = "ctc"
    _BATCHED_RANK: ClassVar[int] = 3

    keys: tuple[str, ...] | str | None = _option(
        None, "path", "the symbols without the blank: a list, or a text file with one a line", native=False
    )
    space: bool = _option(False, "flag", "a space follows the keys")
    blank: str = _option("first", "word", "which symbol is the blank", choices=("first", "last"))
    activation: str = _option("none", "word", "what turns the output into probabilities", choices=("none", "softmax"))
    score: float = _option(0.0, "number", "texts with at least this mean confidence", low=0, high=1)
    keep_empty: bool = _option(False, "flag", "an item without text is a row too")
    first_axis: str = _option("batch", "word", "time: the output is (T, 1, symbols)", choices=("batch", "time"))

    def native_options(self) -> dict[str, Any]:
        """The options as ``_core`` takes them, the keys as texts."""
        options = super().native_options()
        if self.keys is not None:
            options["keys"] = _names_from(self.keys, "Ctc.keys")
        return options


@dataclass(frozen=True, kw_only=True)
class DbText(Decoder):
    """Text areas by differentiable binarization: a probability map (N, 1, H, W); gives `Polygons` of four corners.

    Notes
    -----
    Definition: `mnnlite.reference.decode.dbtext`. Source: Liao et al. 2020, section 3.5.
    """

    family: ClassVar[str] = "dbtext"

    threshold: float = _option(0.3, "number", "a pixel is text where it is larger", low=0, high=1)
    score: float = _option(0.6, "number", "areas with at least this mean probability", low=0, high=1)
    unclip: float = _option(1.5, "number", "how far areas grow: by unclip * area / perimeter", low=0, high=10)
    min_size: float = _option(3.0, "number", "shorter sides are dropped, in pixels of the map", low=0, high=1e6)
    max_candidates: int = _option(1000, "whole", "rows per item, the largest", low=1, high=16384)
    sigmoid: bool = _option(False, "flag", "the map holds logits")


@dataclass(frozen=True, kw_only=True)
class Keypoints(Decoder):
    """Key points: a heat map each, (N, P, rows, columns), or regressed, (N, P * values); gives `Keypoints`.

    Notes
    -----
    Definition: `mnnlite.reference.decode.keypoints`. Sources: Zhang et al. 2020 (DARK), Xiao et al. 2018.
    """

    family: ClassVar[str] = "keypoints"

    mode: str = _option("heatmap", "word", "what the output is", choices=("heatmap", "regressed"))
    subpixel: str = _option(
        "parabola",
        "word",
        "heat maps: how the peak is found between pixels; parabola is exact for Gaussians",
        choices=("parabola", "quarter", "none"),
    )
    units: str = _option(
        "pixels", "word", "regressed: of the network's input, or relative to it", choices=("relative", "pixels")
    )
    values: int = _option(
        2, "whole", "regressed: numbers a point; beyond x, y the last is the confidence", low=2, high=16
    )
    activation: str = _option("none", "word", "of the confidences", choices=("none", "sigmoid"))
    layout: str = _option("own", "word", "heat maps: order of the output's axes", choices=("own", "NCHW", "NHWC"))
    score: float = _option(0.0, "number", "rows with at least this mean confidence", low=-1e30, high=1e30)


@dataclass(frozen=True, kw_only=True)
class Embedding(Decoder):
    """Feature vectors (N, D), scaled to length 1; gives `Embeddings`.

    Notes
    -----
    Definition: `mnnlite.reference.decode.embedding`.
    """

    family: ClassVar[str] = "embedding"

    normalize: bool = _option(True, "flag", "scale each vector to length 1")


class Plugin(Decoder):
    """A native decoder from outside: an object with ``__mnnlite_decoder__``, or where to find one.

    Parameters
    ----------
    decoder : object or str
        An object whose attribute ``__mnnlite_decoder__`` is a capsule named ``mnnlite_decoder_v1`` that holds a
        ``mnnlite_decoder_v1`` (see ``mnnlite/decoder.h``), or ``"package.module:attribute"`` that names such an object.
    options : dict, optional
        Numbers, booleans, texts and lists of numbers, handed to its ``create``.
    classes, tensors
        As for the built-in families.

    Raises
    ------
    DecoderABIError
        It was built for another version of ``decoder.h``, or the attribute is no such capsule.
    DecoderError
        Its ``create`` refused the options.
    ArgumentError
        There is no such object.

    Notes
    -----
    Runs without the GIL. It is tried on zeros whenever it is planned for a shape. Definition of the interface:
    ``mnnlite/decoder.h``; `get_include` gives its folder, ``mnnlite/decoder.pxd`` its Cython face.
    """

    decoder: Any
    options: Mapping[str, Any]
    classes: tuple[str, ...] | str | None

    def __init__(
        self,
        decoder: Any,
        options: Mapping[str, Any] | None = None,
        *,
        classes: Sequence[str] | str | None = None,
        tensors: Sequence[str] = (),
    ) -> None:
        found = _load_plugin(decoder) if isinstance(decoder, str) else decoder
        capsule = getattr(found, "__mnnlite_decoder__", None)
        if capsule is None:
            raise DecoderABIError(f"{decoder!r} has no __mnnlite_decoder__, the capsule of a native decoder")
        names = None if classes is None else classes if isinstance(classes, str) else tuple(classes)
        for name, value in (
            ("decoder", decoder),
            ("options", dict(options or {})),
            ("classes", names),
            ("tensors", tuple(tensors)),
            ("_names", () if names is None else _names_from(names, "Plugin.classes")),
            ("family", capsule),
        ):
            object.__setattr__(self, name, value)
        object.__setattr__(self, "_idle", [_core.ArrayDecoder(self.family, self.native_options())])

    def __getstate__(self) -> dict[str, Any]:
        if not isinstance(self.decoder, str):
            raise TypeError("only a Plugin made from 'package.module:attribute' can be pickled")
        return {
            "decoder": self.decoder,
            "options": self.options,
            "classes": self.classes,
            "tensors": self.tensors,
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        Plugin.__init__(self, state.pop("decoder"), state.pop("options"), **state)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Plugin):
            return NotImplemented
        return (self.decoder, self.options, self.classes, self.tensors) == (
            other.decoder,
            other.options,
            other.classes,
            other.tensors,
        )

    def __hash__(self) -> int:
        return hash((str(self.decoder), str(sorted(self.options.items())), self.classes, self.tensors))

    def __repr__(self) -> str:
        return f"Plugin({self.decoder!r}, {dict(self.options)!r})"

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the classes, by class id; empty if there are none."""
        return cast("tuple[str, ...]", self.__dict__["_names"])

    def native_options(self) -> dict[str, Any]:
        """The options as its ``create`` gets them."""
        return dict(self.options)

    def to_dict(self) -> dict[str, Any]:
        """What `from_dict` takes: the place of the decoder as ``family``, and its options."""
        if not isinstance(self.decoder, str):
            raise ArgumentError("only a Plugin made from 'package.module:attribute' can be written down")
        result: dict[str, Any] = {"family": self.decoder, **self.options}
        if self.classes is not None:
            result["classes"] = self.classes if isinstance(self.classes, str) else list(self.classes)
        if self.tensors:
            result["tensors"] = list(self.tensors)
        return result


def _load_plugin(place: str) -> Any:
    module, _, attribute = place.partition(":")
    try:
        return getattr(import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise ArgumentError(f"decoder {place!r}: {error}; wanted 'package.module:attribute'") from error


@dataclass(frozen=True, kw_only=True)
class Function(Raw):
    """A decoder in Python: outputs as arrays go to a function, with the GIL and its price.

    Parameters
    ----------
    function : callable
        Called with ``({name: array}, items)``, where `items` is a list of `Placed`, one per slot. Returns `Results` (see
        their ``from_arrays`` and ``from_points``) or anything else.
    """

    function: Callable[[dict[str, NDArray[Any]], list[Placed]], Any] = field(
        default=lambda outputs, items: outputs,
        kw_only=False,
        metadata={
            "type": "function",
            "doc": "called with the outputs and where their slots lie",
            "low": None,
            "high": None,
            "choices": (),
            "native": False,
        },
    )

    def call(self, outputs: Mapping[str, ArrayLike], items: Sequence[Placed]) -> Any:
        """Call the function on the selected outputs."""
        return self.function({name: np.asarray(value) for name, value in self.select(outputs).items()}, list(items))

    def decode(self, outputs: Mapping[str, ArrayLike], *arguments: Any, **options: Any) -> Any:
        """Decode arrays, without a model; the arguments of `Decoder.decode`."""
        return self._decode(outputs, *arguments, **options)

    def _decode(
        self,
        outputs: Mapping[str, ArrayLike],
        frame_size: tuple[int, int],
        image: Any = None,
        *,
        items: Sequence[Placed] | None = None,
    ) -> Any:
        if items is None:
            where = place(image, frame_size)
            arrays = {name: np.asarray(value) for name, value in self.select(outputs).items()}
            items = [where._replace(item=slot) for slot in range(self._slots(arrays))]
        return self.call(outputs, items)


def as_decoder(value: Any, base: Path | str | None = None) -> Decoder:
    """Make a decoder spec from whatever may stand for one.

    Parameters
    ----------
    value : Decoder, str, dict, object with ``__mnnlite_decoder__``, or callable
        A spec; a family's name or a plug-in's ``"package.module:attribute"``; either with options in a dict (see
        `from_dict`); a native decoder; or a Python function (see `Function`).
    base : path, optional
        Folder that relative paths are relative to.

    Raises
    ------
    ArgumentError, DecoderABIError, DecoderError
        Nothing of these, or one that cannot be used.
    """
    if isinstance(value, Decoder):
        return value
    if isinstance(value, (str, Mapping)):
        return from_dict(value, base)
    if hasattr(value, "__mnnlite_decoder__"):
        return Plugin(value)
    if callable(value):
        return Function(value)
    raise ArgumentError(
        f"decoder: got a {type(value).__name__}, wanted a decoder, a family's name, an object with __mnnlite_decoder__ "
        "or a function"
    )


def get_include() -> str:
    """Folder of ``mnnlite/decoder.h``, for compilers: ``-I$(python -c "import mnnlite; print(mnnlite.get_include())")``."""
    return str(Path(__file__).parent / "include")


def nms(
    boxes_xyxy: ArrayLike,
    scores: ArrayLike,
    class_ids: ArrayLike | None = None,
    iou: float = 0.45,
    *,
    agnostic: bool = False,
    top_k: int = 1 << 30,
) -> NDArray[np.int64]:
    """Greedy non-maximum suppression.

    Parameters
    ----------
    boxes_xyxy : (N, 4) float32
    scores : (N,) float32
    class_ids : (N,) int32, optional
        Boxes of different classes do not suppress one another, unless `agnostic`.
    iou : float in [0, 1]
        Of two boxes whose intersection over union is larger, the better one is kept; of equal scores the earlier.
    top_k : int
        Only the best enter.

    Returns
    -------
    (K,) int64
        Indices of the boxes that are kept, best first.

    Raises
    ------
    ArgumentError
        Shapes that do not fit, or numbers that are not finite.

    Notes
    -----
    Complexity O(N K). Definition: `mnnlite.reference.decode.nms`.
    """
    boxes = np.asarray(boxes_xyxy, np.float32)
    classes = np.zeros(len(boxes), np.int32) if class_ids is None else np.asarray(class_ids, np.int32)
    if not 0 <= iou <= 1 or top_k < 1:
        raise ArgumentError(f"wanted iou in [0, 1] and top_k of at least 1, got {iou} and {top_k}")
    kept: NDArray[np.int64] = _core.nms(boxes, np.asarray(scores, np.float32), classes, iou, agnostic, top_k)
    return kept


_FAMILIES: dict[str, type[Decoder]] = {
    spec.family: spec
    for spec in (
        Raw,
        Classification,
        FastestDet,
        Segmentation,
        Yolo,
        Ssd,
        YoloFastestV2,
        NanoDet,
        CenterFace,
        Lanes,
        Ctc,
        DbText,
        Keypoints,
        Embedding,
    )
}


def families() -> dict[str, type[Decoder]]:
    """Every family by its name, the class's name in lower case."""
    return dict(_FAMILIES)


def options_of(family: str | type[Decoder]) -> list[Option]:
    """The options of a family: the one table that checking, inspection and documentation are made from."""
    spec = _FAMILIES[family] if isinstance(family, str) else family
    return [
        Option(
            entry.name,
            entry.metadata["type"],
            None if entry.default is MISSING else entry.default,
            entry.metadata["doc"],
            entry.metadata["low"],
            entry.metadata["high"],
            entry.metadata["choices"],
        )
        for entry in fields(spec)
    ]


def _unknown(what: str, got: str, known: Iterable[str]) -> ArgumentError:
    known = sorted(known)
    close = get_close_matches(got, known, 1)
    return ArgumentError(
        f"{what} {got!r} is not known; " + (f"did you mean {close[0]!r}?" if close else f"there are {', '.join(known)}")
    )


def from_dict(options: Mapping[str, Any] | str, base: Path | str | None = None) -> Decoder:
    """Make a decoder spec from a family's name and options, as pipeline files hold them.

    Parameters
    ----------
    options : dict with "family", or the name of a family
        A family with a colon is a plug-in's ``"package.module:attribute"``; its options go to its ``create``.
    base : path, optional
        Folder that relative paths (``classes``) are relative to.

    Returns
    -------
    Decoder

    Raises
    ------
    ArgumentError
        An unknown family or option (with the closest known one), or a value that cannot be used.
    """
    entries = {"family": options} if isinstance(options, str) else dict(options)
    family = entries.pop("family", None)
    if isinstance(family, str) and ":" in family:
        common = {key: entries.pop(key) for key in ("classes", "tensors") if key in entries}
        if base is not None and isinstance(common.get("classes"), str):
            common["classes"] = str(Path(base) / common["classes"])
        return Plugin(family, entries, **common)
    if not isinstance(family, str):
        raise ArgumentError(f"decoder: wanted a family's name, got {family!r}; there are {', '.join(_FAMILIES)}")
    if family not in _FAMILIES:
        raise _unknown("decoder family", family, _FAMILIES)
    spec = _FAMILIES[family]
    known = {entry.name: entry for entry in fields(spec)}
    for key, value in entries.items():
        if key not in known:
            raise _unknown(f"{family} option", str(key), known)
        if base is not None and known[key].metadata["type"] == "path" and isinstance(value, str):
            entries[key] = str(Path(base) / value)
    return spec(**entries)
