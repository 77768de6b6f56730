"""Class scores."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mnnlite.reference.decode import math

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from mnnlite.reference.decode.frame_box import Item


class Ranked(NamedTuple):
    """Rows of classes, best first within each item."""

    scores: NDArray[np.float32]
    class_ids: NDArray[np.int32]
    items: NDArray[np.int32]


def activate(logits: NDArray[np.float32], activation: str) -> NDArray[np.float32]:
    """Scores of one slot's (C,) outputs."""
    if activation == "softmax":
        powers = math.exp(logits - logits.max())
        total = np.cumsum(powers.astype(np.float64))[-1]  # summed in order
        scores: NDArray[np.float32] = (powers.astype(np.float64) / total).astype(np.float32)
        return scores
    return math.sigmoid(logits) if activation == "sigmoid" else logits


def decode(
    outputs: NDArray[np.float32],
    items: Sequence[Item],
    *,
    activation: str = "softmax",
    top_k: int = 5,
    score: float = 0.0,
) -> Ranked:
    """Take the best `top_k` classes of (N, C, ...) outputs that have at least `score`; ties go to the lower class."""
    scores, class_ids, owners = [], [], []
    for slot, item in enumerate(items):
        activated = activate(np.asarray(outputs[slot], np.float32).ravel(), activation)
        best = [c for c in np.argsort(-activated, kind="stable").tolist() if activated[c] >= np.float32(score)][:top_k]
        scores += [activated[c] for c in best]
        class_ids += best
        owners += [item.item] * len(best)
    return Ranked(np.array(scores, np.float32), np.array(class_ids, np.int32), np.array(owners, np.int32))
