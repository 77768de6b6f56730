"""Decoders in Python."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from mnnlite.decoders.base import Raw
from mnnlite.decoders.placing import Placed, place

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import ArrayLike, NDArray


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
