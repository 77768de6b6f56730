"""Where the pixels of a network lie in the frame."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from mnnlite.errors import ArgumentError
from mnnlite.specs import ANCHORS


class BatchItem(NamedTuple):
    """Where a slot of the batch lies in the frame, as decoders need it.

    Parameters
    ----------
    to_frame : 9 floats
        3x3, row-major: network pixel -> frame pixel.
    net_size : (width, height)
        Pixels of the network's input.
    frame_size : (width, height)
        Pixels of the whole frame.
    item : int
        The ``item`` of this slot's rows.
    picture : (left, top, right, bottom), optional
        The part of the input that the picture fills, without the bars of a letterbox, in network pixels. None: all of it.
    """

    to_frame: tuple[float, ...]
    net_size: tuple[int, int]
    frame_size: tuple[int, int]
    item: int = 0
    picture: tuple[int, int, int, int] | None = None


def _size(value: Any, what: str) -> tuple[int, int]:
    try:
        width, height = (int(side) for side in value)
    except (TypeError, ValueError):
        raise ArgumentError(f"{what}: wanted (width, height) in pixels, got {value!r}") from None
    if width < 1 or height < 1:
        raise ArgumentError(f"{what}: wanted at least 1x1 pixels, got {width}x{height}")
    return width, height


def batch_item(image: Any, frame_size: tuple[int, int]) -> BatchItem:
    """Where a whole frame lies in the input of a network.

    Parameters
    ----------
    image : ImageSpec, (3, 3) array or None
        A spec with ``size`` and ``fit``, or a matrix network pixel -> frame pixel. None: the frame is stretched over the
        input, and the input counts as large as the frame. So relative coordinates and pixels both mean the frame.
    frame_size : (width, height)

    Returns
    -------
    BatchItem

    Raises
    ------
    ArgumentError
        The size or the matrix cannot be used.
    """
    width, height = _size(frame_size, "frame_size")
    if image is None:
        return BatchItem((1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0), (width, height), (width, height))
    if not hasattr(image, "fit"):
        matrix = np.asarray(image, np.float64)
        if matrix.shape != (3, 3) or not np.isfinite(matrix).all() or abs(np.linalg.det(matrix)) < 1e-300:
            raise ArgumentError("image: wanted an ImageSpec, a finite invertible 3x3 matrix or None")
        corners = np.linalg.inv(matrix) @ np.array([[0.0, width], [0.0, height], [1.0, 1.0]])
        size = np.abs(corners[:2, 1] / corners[2, 1] - corners[:2, 0] / corners[2, 0])
        net = max(1, round(float(size[0]))), max(1, round(float(size[1])))
        return BatchItem(tuple(float(entry) for entry in matrix.ravel()), net, (width, height))
    if image.size is None:
        raise ArgumentError("image: the spec has no size, so the place of pixels in the frame is not known")
    net_width, net_height = image.size
    share_x, share_y = ANCHORS[getattr(image, "anchor", "center")]
    picture = None
    if image.fit == "stretch":
        scale_x, scale_y, shift_x, shift_y = width / net_width, height / net_height, 0.0, 0.0
    elif image.fit == "crop":
        scale_x = scale_y = 1.0 / max(net_width / width, net_height / height)
        shift_x, shift_y = (width - net_width * scale_x) * share_x, (height - net_height * scale_y) * share_y
    else:  # a letterbox, whose picture has whole pixels: mnnlite.reference.image.place
        ratio = min(net_width / width, net_height / height)
        inner = (
            int(min(max(round(width * ratio), 1), net_width)),
            int(min(max(round(height * ratio), 1), net_height)),
        )
        multiple = getattr(image, "multiple", 0)
        if multiple:
            net_width, net_height = (-(-side // multiple) * multiple for side in inner)
        left, top = int((net_width - inner[0]) * share_x), int((net_height - inner[1]) * share_y)
        scale_x, scale_y = width / inner[0], height / inner[1]
        shift_x, shift_y = -(left * scale_x), -(top * scale_y)
        picture = (left, top, left + inner[0], top + inner[1])
    matrix9 = (scale_x, 0.0, shift_x, 0.0, scale_y, shift_y, 0.0, 0.0, 1.0)
    return BatchItem(matrix9, (net_width, net_height), (width, height), picture=picture)
