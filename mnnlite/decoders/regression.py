"""The family of measurements: numbers in the network's own unit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from mnnlite.decoders.base import Decoder
from mnnlite.decoders.options import option


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Regression(Decoder):
    """Numbers in the network's own unit, such as an age or angles, (N, D) of one output or several; gives `Measurements`.

    Notes
    -----
    Definition: `mnnlite.reference.decode.regression`. Sources of ``expectation``: Rothe et al. 2015; Ruiz et al. 2018.
    """

    family: ClassVar[str] = "regression"

    mode: str = option(
        "values",
        "word",
        "values: the numbers themselves; expectation: the mean of each output's bins after softmax; probabilities: the same without "
        "softmax, which the network applies",
        choices=("values", "expectation", "probabilities"),
    )
    scale: float = option(1.0, "number", "the numbers are multiplied by it", low=-1e12, high=1e12)
    offset: float = option(0.0, "number", "and then this is added", low=-1e12, high=1e12)
    quantities: tuple[str, ...] = option(
        (), "names", 'names of the numbers, as texts show them: ("yaw", ...)', native=False
    )
    unit: str = option("", "text", "unit of the numbers, as texts show it", native=False)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the quantities, with the unit in brackets."""
        return tuple(f"{each} [{self.unit}]" if self.unit else each for each in self.quantities)
