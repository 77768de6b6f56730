"""Key points as they are regressed, or from heat maps.

Sources: Zhang et al. 2020 (DARK), section 3.1; Xiao et al. 2018 (Simple Baselines); with offsets Papandreou et al. 2018
(PersonLab), section 3.1, and tensorflow/tfjs-models, posenet/src/single_pose.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mnnlite.reference.decode import frame_box, math

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


def _shift(before: float, top: float, after: float, subpixel: str) -> float:
    """From the middle of the best pixel to the peak, along one axis."""
    if subpixel == "none" or before == after:
        return 0.0
    if subpixel == "quarter":
        return 0.25 if after > before else -0.25
    a, b, c = before, top, after
    if before > 0 and after > 0:
        a, b, c = (float(value) for value in np.log([a, b, c]))
    bend = a - 2 * b + c
    return min(max((a - c) / (2 * bend), -0.5), 0.5) if bend < 0 else 0.0


def regressed(
    output: NDArray[np.float32],
    items: Sequence[frame_box.Item],
    *,
    values: int = 2,
    relative: bool = False,
    confidence: bool = True,
    sigmoid: bool = False,
) -> NDArray[np.float32]:
    """(N, P, 3) of x, y in pixels of the frame and the confidence, from numbers (N, P * values)."""
    result = np.ones((len(items), output[0].size // values, 3), np.float32)
    for slot, item in enumerate(items):
        for k, point in enumerate(np.reshape(output[slot], (-1, values)).astype(np.float64)):
            width, height = item.net_size if relative else (1, 1)
            result[slot, k, :2] = frame_box.apply(item.to_frame, point[0] * width, point[1] * height)
            if confidence and values > 2:
                last = np.float32(point[-1])
                result[slot, k, 2] = math.sigmoid(last) if sigmoid else last
    return result


def decode(
    output: NDArray[np.float32], items: Sequence[frame_box.Item], *, subpixel: str = "parabola"
) -> NDArray[np.float32]:
    """(N, P, 3) of x, y in pixels of the frame and the height of the peak, from maps (N, P, rows, columns).

    ``parabola``: the top of the parabola through the logarithms of three neighbours (exact for a Gaussian), or through
    the values where one is not positive.
    """
    result = np.zeros((len(items), output.shape[1], 3), np.float32)
    for slot, item in enumerate(items):
        rows, columns = output.shape[2:]
        for k, heat in enumerate(np.asarray(output[slot], np.float32)):
            row, column = divmod(int(heat.argmax()), columns)
            x, y = column + 0.5, row + 0.5
            top = float(heat[row, column])
            if 0 < column < columns - 1:
                x += _shift(float(heat[row, column - 1]), top, float(heat[row, column + 1]), subpixel)
            if 0 < row < rows - 1:
                y += _shift(float(heat[row - 1, column]), top, float(heat[row + 1, column]), subpixel)
            scaled = x * (item.net_size[0] / columns), y * (item.net_size[1] / rows)
            result[slot, k] = *frame_box.apply(item.to_frame, *scaled), top
    return result


def offsets(
    heat: NDArray[np.float32],
    beside: NDArray[np.float32],
    items: Sequence[frame_box.Item],
    *,
    order: str = "xy",
    sigmoid: bool = False,
) -> NDArray[np.float32]:
    """(N, P, 3) of x, y in pixels of the frame and the confidence, from maps (N, P, rows, columns) and (N, 2 P, rows, columns).

    ``cell * (side - 1) / (cells - 1) + offset`` in pixels of the network's input, at the cell where the heat map is highest.
    The first P maps of offsets are x, or y with ``order="yx"``.
    """
    result = np.zeros((len(items), heat.shape[1], 3), np.float32)
    for slot, item in enumerate(items):
        points, rows, columns = heat.shape[1:]
        step = [
            (side - 1) / (cells - 1) if cells > 1 else 0.0
            for side, cells in zip(item.net_size, (columns, rows), strict=True)
        ]
        for k in range(points):
            row, column = divmod(int(heat[slot, k].argmax()), columns)
            both = [float(beside[slot, half * points + k, row, column]) for half in range(2)]
            dx, dy = both if order == "xy" else both[::-1]
            top = np.float32(heat[slot, k, row, column])
            place = frame_box.apply(item.to_frame, column * step[0] + dx, row * step[1] + dy)
            result[slot, k] = *place, math.sigmoid(top) if sigmoid else top
    return result
