"""What all decoder specs share."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, ClassVar, cast

import numpy as np

from mnnlite import _core, results
from mnnlite.decoders.geometry import BatchItem, batch_item
from mnnlite.decoders.options import checked, names_from, option
from mnnlite.errors import DTypeError, TensorNotFoundError
from mnnlite.records import Record
from mnnlite.suggest import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import ArrayLike, NDArray


_REAL_DTYPES = "biuf"
_NATIVE_DTYPES = (np.float32, np.float16, np.int32, np.int8, np.uint8, np.bool_)


def native_array(name: str, value: ArrayLike) -> NDArray[Any]:
    """A C-contiguous array of a dtype that native decoders read; converts wider numbers and checks their range."""
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


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Decoder(Record):
    """Base of all decoder specs: frozen, hashable data, checked when it is made.

    Parameters
    ----------
    tensors : tuple of str
        Names of the outputs the decoder reads, in the family's order. Empty: all outputs it gets, in their order.
    """

    family: ClassVar[str] = ""
    _BATCHED_RANK: ClassVar[int] = 2  # outputs of a lower rank have no batch axis

    tensors: tuple[str, ...] = option(
        (), "names", "outputs that it reads, in the family's order; empty: all", native=False
    )

    def __post_init__(self) -> None:
        for entry in fields(self):
            value = getattr(self, entry.name)
            object.__setattr__(self, entry.name, checked(f"{type(self).__name__}.{entry.name}", value, entry))
        # Native code has the last word on its own options; a spec that exists can be used.
        object.__setattr__(self, "_idle", [_core.ArrayDecoder(self.family, self.native_options())])

    def __getstate__(self) -> dict[str, Any]:
        return {entry.name: getattr(self, entry.name) for entry in fields(self)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        for name, value in state.items():
            object.__setattr__(self, name, value)
        self.__post_init__()

    @property
    def title(self) -> str:
        """The decoder's name in errors."""
        return self.family

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
        """The family and the options that differ from their defaults, as `from_dict` and pipeline files take them."""
        result: dict[str, Any] = {"family": self.family}
        for entry in fields(self):
            value = getattr(self, entry.name)
            if value != entry.default:
                result[entry.name] = list(value) if isinstance(value, tuple) else value
        return result

    def select(self, outputs: Mapping[str, Any]) -> dict[str, Any]:
        """The outputs that this decoder reads, in its order.

        Raises
        ------
        TensorNotFoundError
            An output named in `tensors` is not there.
        """
        if not self.tensors:
            return dict(outputs)
        for name in self.tensors:
            if name not in outputs:
                hint = did_you_mean(name, outputs, before="; ")
                raise TensorNotFoundError(
                    f"{self.title}: there is no output {name!r} among {', '.join(map(repr, outputs))}{hint}"
                )
        return {name: outputs[name] for name in self.tensors}

    def decode(
        self,
        outputs: Mapping[str, ArrayLike],
        frame_size: tuple[int, int],
        image: Any = None,
        *,
        items: Sequence[BatchItem] | None = None,
        out: results.Results | None = None,
    ) -> results.Results:
        """Decode arrays, without a model.

        Parameters
        ----------
        outputs : dict of name to array
            float32, float16, int32, int8 or uint8 are read as they are; float64 and other integers are converted.
        frame_size : (width, height)
            Pixels of the frame that results are in.
        image : ImageSpec, (3, 3) array or None
            How the frame became the network's input, see `batch_item`. None: it was stretched.
        items : sequence of BatchItem, optional
            One per slot of the batch. They replace `frame_size` and `image`, which are for all slots.
        out : Results, optional
            Results that an earlier call returned. This call reuses their memory and returns them. They hold as many
            rows as the decoder's own limits allow (``max_detections`` and the like), and ``truncated`` says whether
            there were more. Memory that is too small for that is replaced, once. Arrays taken from the results before show the
            new rows. After an error their content is undefined.

        Returns
        -------
        Results
            Of the family's type, in pixels of the frame, with arrays of their own.

        Raises
        ------
        DecoderError
            The family does not take these shapes, or scores or boxes are NaN or infinite.
        ArgumentError, DTypeError, TensorNotFoundError
            An argument cannot be used.

        Notes
        -----
        Any number of threads may call it: each call has its own memory. It releases the GIL. Definition:
        `mnnlite.reference.decode`.
        """
        chosen = {name: native_array(name, value) for name, value in self.select(outputs).items()}
        if items is None:
            where = batch_item(image, frame_size)
            items = [where._replace(item=slot) for slot in range(self._slots(chosen))]
        tensors = [(name, array, 0, None, 0.0, 0) for name, array in chosen.items()]
        idle = cast("list[_core.ArrayDecoder]", self.__dict__["_idle"])
        try:
            native = idle.pop()  # atomic: two threads never get the same one
        except IndexError:
            native = _core.ArrayDecoder(self.family, self.native_options())
        try:
            buffer = None if out is None else results.buffer_of(out)
            found = native.decode(tensors, items, out=buffer)
        finally:
            idle.append(native)
        size = items[0].frame_size if items else None
        return results.from_native(found, names=self.names, frame_size=size, out=out)

    def _slots(self, arrays: Mapping[str, NDArray[Any]]) -> int:
        """How many slots the arrays hold: the length of the first axis, 1 for arrays without a batch."""
        first = next(iter(arrays.values()), None)
        return 1 if first is None or first.ndim < self._BATCHED_RANK else int(first.shape[0])


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Named(Decoder):
    """A family whose results have classes."""

    classes: tuple[str, ...] | str | None = option(
        None, "path", "names of the classes: a list, or a text file with one name a line", native=False
    )

    def __post_init__(self) -> None:
        names = () if self.classes is None else names_from(self.classes, f"{type(self).__name__}.classes")
        object.__setattr__(self, "_names", names)  # before anything native is made: it counts them
        super().__post_init__()

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the classes, by class id; empty if there are none."""
        return cast("tuple[str, ...]", self.__dict__["_names"])

    def native_options(self) -> dict[str, Any]:
        """The options as ``_core`` takes them, and how many names there are."""
        options = super().native_options()
        if self.names:
            options["name_count"] = len(self.names)
        return options


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Detector(Named):
    """A family that finds boxes."""

    score: float = option(0.25, "number", "boxes with a larger score are kept", low=0, high=1)
    iou: float = option(0.45, "number", "of two boxes that overlap more, the better is kept", low=0, high=1)
    max_detections: int = option(300, "whole", "rows per item; the best are kept", low=1, high=1 << 20)
    nms: str = option(
        "hard",
        "word",
        "what happens to boxes that overlap; hard: the better is kept; fast: the same, but boxes that were removed still "
        "remove others (YOLACT); soft: the scores of the others shrink (Bodla 2017); weighted: boxes are averaged, "
        "weighted by their scores (MediaPipe)",
        choices=("hard", "fast", "soft", "weighted"),
    )
    sigma: float = option(0.5, "number", "nms soft: scores are multiplied by exp(-iou^2 / sigma)", low=1e-3, high=1e3)
    agnostic: bool = option(False, "flag", "boxes of different classes suppress each other too")
    top_k: int = option(1000, "whole", "candidates that enter the suppression; the best are kept", low=1, high=1 << 20)
    clip: bool = option(True, "flag", "boxes are cut to the frame")


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Raw(Decoder):
    """No decoding: the task returns the outputs as arrays, ``{name: array}``."""

    family: ClassVar[str] = "raw"

    def decode(self, outputs: Mapping[str, ArrayLike], *_: Any, **__: Any) -> Any:
        """Return the selected outputs as they are."""
        return self.select(outputs)
