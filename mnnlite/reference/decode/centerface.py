"""Heat maps of centres.

Sources: Xu et al. 2020 (CenterFace), section 3.2 and Star-Clouds/CenterFace, prj-python/centerface.py decode; Zhou et al.
2019 (Objects as Points), section 4 and xingyizhou/CenterNet, src/lib/models/decode.py ctdet_decode.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from mnnlite.reference.decode import math
from mnnlite.reference.decode.detections import Candidates, Found, emit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from mnnlite.reference.decode.frame_box import Item

_F = np.float32


def _is_peak(heat: NDArray[np.float32]) -> NDArray[np.bool_]:
    """No neighbour among eight is higher; (C, H, W)."""
    padded = np.pad(heat, ((0, 0), (1, 1), (1, 1)), constant_values=-np.inf)
    height, width = heat.shape[1:]
    around = [padded[:, y : y + height, x : x + width] for y in range(3) for x in range(3)]
    result: NDArray[np.bool_] = np.max(around, axis=0) <= heat
    return result


def decode(
    outputs: Sequence[NDArray[np.float32]],
    items: Sequence[Item],
    *,
    score: float = 0.5,
    variant: str = "centerface",
    sigmoid: bool = False,
    peaks: bool | None = None,
    **options: Any,
) -> Found:
    """Heat map (N, C, H, W), size (N, 2, H, W), offset (N, 2, H, W), landmarks (N, 2 P, H, W); the last two may be missing.

    centerface: ``height, width = exp(size) stride``, centre at ``(cell + offset + 0.5) stride``, everything y before x,
    landmarks relative to the box. centernet: ``width, height = size * stride``, centre at ``(cell + offset) stride``, x
    first, local maxima only.
    """
    centernet = variant == "centernet"
    peaks = centernet if peaks is None else peaks
    slots = []
    for slot, item in enumerate(items):
        heat, size = (np.asarray(output[slot], _F) for output in outputs[:2])
        rows, columns = heat.shape[1:]
        stride = np.array([item.net_size[0] / columns, item.net_size[1] / rows]).astype(_F)
        y, x = np.mgrid[0:rows, 0:columns].astype(_F)
        offset = np.asarray(outputs[2][slot], _F) if len(outputs) > 2 else None
        if centernet:
            dx, dy = (offset[0], offset[1]) if offset is not None else (_F(0.5), _F(0.5))
            cx, cy = (x + dx) * stride[0], (y + dy) * stride[1]
            w, h = size[0] * stride[0], size[1] * stride[1]
        else:
            dx, dy = (offset[1], offset[0]) if offset is not None else (_F(0), _F(0))
            cx, cy = (x + dx + _F(0.5)) * stride[0], (y + dy + _F(0.5)) * stride[1]
            h, w = math.exp(size[0]) * stride[1], math.exp(size[1]) * stride[0]
        boxes = np.stack([cx - w * _F(0.5), cy - h * _F(0.5), cx + w * _F(0.5), cy + h * _F(0.5)], axis=-1).reshape(
            -1, 4
        )
        cut = math.logit(score) if sigmoid else _F(score)
        passing = heat > cut
        if peaks:
            passing &= _is_peak(heat)
        else:
            passing &= np.arange(len(heat))[:, None, None] == heat.argmax(axis=0)
        class_ids, cells = np.nonzero(passing.reshape(len(heat), -1))
        value = heat.reshape(len(heat), -1)[class_ids, cells]
        points = None
        if len(outputs) > 3:
            raw = np.asarray(outputs[3][slot], _F).reshape(-1, 2, rows * columns)[:, :, cells]
            box = boxes[cells]
            u = raw[:, 1] * (box[:, 2] - box[:, 0]) + box[:, 0]
            v = raw[:, 0] * (box[:, 3] - box[:, 1]) + box[:, 1]
            points = np.stack([u, v], axis=-1).transpose(1, 0, 2)
        final = math.sigmoid(value) if sigmoid else value
        slots.append(
            (item, Candidates(boxes[cells], final, class_ids.astype(np.int32), cells.astype(np.int32), points))
        )
    return emit(slots, score=score, **{"iou": 0.3, **options})
