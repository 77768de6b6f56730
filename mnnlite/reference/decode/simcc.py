"""SimCC: key points from the scores of columns and rows.

Sources: Li et al. 2022 (SimCC), section 3.2; mmpose, codecs/utils/post_processing.py get_simcc_maximum.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mnnlite.reference.decode import frame_box

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


def decode(
    columns: NDArray[np.float32],
    rows: NDArray[np.float32],
    items: Sequence[frame_box.Item],
    *,
    confidence: str = "smaller",
) -> NDArray[np.float32]:
    """(N, P, 3): x, y in the frame and a confidence. The first best bin of (N, P, bins), at bin * size / bins."""
    found = np.empty((len(items), columns.shape[1], 3), np.float32)
    for slot, item in enumerate(items):
        unit = item.net_size[0] / columns.shape[2], item.net_size[1] / rows.shape[2]
        for k in range(columns.shape[1]):
            x, y = columns[slot, k], rows[slot, k]
            at = frame_box.apply(item.to_frame, float(x.argmax() * unit[0]), float(y.argmax() * unit[1]))
            both = np.array([x.max(), y.max()], np.float32)
            found[slot, k] = (*at, both.min() if confidence == "smaller" else (both[0] + both[1]) * np.float32(0.5))
    return found
