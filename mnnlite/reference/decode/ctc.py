"""Connectionist temporal classification, greedy: Graves et al. 2006, section 3.2 (best path decoding)."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mnnlite.reference.decode import frame_box, math

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


class Read(NamedTuple):
    """A text, its mean confidence and that of each character."""

    text: str
    score: np.float32
    confidences: NDArray[np.float32]


def place(item: frame_box.Item, picture: tuple[int, int, int, int] | None = None) -> NDArray[np.float32]:
    """(4, 2) corners of a text in the frame: of the picture in the network's input, without the bars of a letterbox."""
    left, top, right, bottom = picture or (0, 0, *item.net_size)
    corners = ((left, top), (right, top), (right, bottom), (left, bottom))
    return np.array([frame_box.apply(item.to_frame, x, y) for x, y in corners], np.float32)


def decode(
    output: NDArray[np.float32], keys: Sequence[str], *, blank: str = "first", activation: str = "none"
) -> list[Read]:
    """Read (N, T, symbols): the best symbol of each step, repeats merged, blanks dropped.

    A character's confidence is its probability at the first step of its run.
    """
    texts = []
    for steps in np.asarray(output, np.float32):
        best = steps.argmax(axis=1)
        top = steps.max(axis=1)
        if activation == "softmax":
            powers = math.exp(steps - top[:, None]).astype(np.float64)
            top = (1 / np.cumsum(powers, axis=1)[:, -1]).astype(np.float32)
        skip = 0 if blank == "first" else steps.shape[1] - 1
        kept = [t for t in range(len(best)) if best[t] != skip and (t == 0 or best[t] != best[t - 1])]
        text = "".join(keys[best[t] - (1 if best[t] > skip else 0)] for t in kept)
        confidences = top[kept]
        mean = np.float32(np.cumsum(confidences.astype(np.float64))[-1] / len(kept)) if kept else np.float32(0)
        texts.append(Read(text, mean, confidences))
    return texts
