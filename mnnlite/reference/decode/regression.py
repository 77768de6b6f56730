"""Numbers in the network's own unit. Sources: Rothe et al. 2015 (DEX), equation 1; Ruiz et al. 2018 (Hopenet), 3.2."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mnnlite.reference.decode import math

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


def decode(
    outputs: Sequence[NDArray[np.float32]], *, mode: str = "values", scale: float = 1.0, offset: float = 0.0
) -> NDArray[np.float32]:
    """(N, D): the outputs' numbers side by side, or of each the mean of its bins, after softmax or by its probabilities.

    Scaled, then shifted.
    """
    if mode == "values":
        values = np.concatenate([output.reshape(len(output), -1) for output in outputs], axis=1).astype(np.float64)
    else:
        means = []
        for output in outputs:
            logits = np.asarray(output, np.float32).reshape(len(output), -1)
            if mode == "probabilities":
                means.append((logits.astype(np.float64) * np.arange(logits.shape[1])).sum(axis=1))
                continue
            powers = math.exp(logits - logits.max(axis=1, keepdims=True)).astype(np.float64)
            means.append((powers * np.arange(powers.shape[1])).sum(axis=1) / powers.sum(axis=1))
        values = np.stack(means, axis=1)
    return (values * scale + offset).astype(np.float32)
