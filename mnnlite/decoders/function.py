"""Decoders in Python."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from mnnlite import results
from mnnlite.decoders.external import External
from mnnlite.decoders.geometry import BatchItem, batch_item
from mnnlite.errors import ArgumentError, DecoderError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import ArrayLike, NDArray


class Function(External):
    """A decoder in Python: a function that gets the outputs as arrays. It holds the GIL, which costs time.

    Parameters
    ----------
    decoder : callable or str
        A function that is called with ``({name: array}, items)``, or ``"package.module:attribute"`` that names it. `items` is
        a list of `BatchItem`, one per slot of the batch; ``items[k].to_frame`` maps points of the network to the frame. The
        function returns `Results` (see their ``from_arrays`` and ``from_points``), or anything else, which the task returns
        as it is.
    options : dict, optional
        Passed as keyword arguments.
    classes, tensors
        As for the built-in families. Results without names get those of `classes`.

    Raises
    ------
    ArgumentError
        There is no such function.

    Notes
    -----
    In a task, the thread that waits for the result calls the function, after the native part and with the GIL. The lane goes
    on meanwhile. The function's time is part of the stage ``decode``. An exception that it raises becomes a `DecoderError`.
    """

    family: ClassVar[str] = "function"

    def _take(self, found: Any) -> None:
        if not callable(found):
            raise ArgumentError(f"decoder {self.decoder!r}: wanted a function, got a {type(found).__name__}")
        object.__setattr__(self, "_function", found)

    @property
    def function(self) -> Callable[..., Any]:
        """The function itself."""
        found: Callable[..., Any] = self.__dict__["_function"]
        return found

    def call(self, outputs: Mapping[str, NDArray[Any]], items: Sequence[BatchItem]) -> Any:
        """Call the function on outputs.

        Raises
        ------
        DecoderError
            The function raised an exception.
        """
        try:
            found = self.function(dict(outputs), list(items), **self.options)
        except Exception as error:
            text = " ".join(str(error).split())
            raise DecoderError(f"decoder {self.title}: {type(error).__name__}: {text}", op="decode") from error
        if isinstance(found, results.Results):
            found.names = found.names or self.names
            if found.frame_size is None and items:
                found.frame_size = items[0].frame_size
        return found

    def decode(
        self,
        outputs: Mapping[str, ArrayLike],
        frame_size: tuple[int, int],
        image: Any = None,
        *,
        items: Sequence[BatchItem] | None = None,
        out: results.Results | None = None,
    ) -> Any:
        """Decode arrays, without a model. Takes the arguments of `Decoder.decode`, except `out`."""
        if out is not None:
            raise ArgumentError(f"out: decoder {self.title} makes its own results; out= is for native decoders")
        arrays = {name: np.asarray(value) for name, value in self.select(outputs).items()}
        if items is None:
            where = batch_item(image, frame_size)
            items = [where._replace(item=slot) for slot in range(self._slots(arrays))]
        return self.call(arrays, items)
