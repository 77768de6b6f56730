"""Pictures of noise, each of its seed, for tests that only ask whether two ways give the same."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mnnlite import Frame


def noise(seed: int = 0, width: int = 75, height: int = 43, channels: int = 3) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels), np.uint8)


def noisy_frame(seed: int = 0, width: int = 75, height: int = 43) -> Frame:
    """The same as a frame, which carries its seed."""
    return Frame(noise(seed, width, height), "BGR", meta=seed)
