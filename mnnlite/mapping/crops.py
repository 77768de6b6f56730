"""Crops as proofs of elements: the best box of each, enlarged by a fifth, with private boxes blurred."""

from __future__ import annotations

import base64
import tempfile
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mnnlite import video

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from mnnlite.frame import Frame
    from mnnlite.mapping.element import Element
    from mnnlite.mapping.measurements import Measurements

__all__ = ["blurred", "crops_of"]

AROUND = 0.2  # of the box's sides, on each side half of it
SQUARES = 4  # what is blurred has so many squares across and down left


def blurred(picture: NDArray[np.uint8], box: Iterable[float]) -> None:
    """Blur a box of an RGB picture in place: a few squares remain, from which the content cannot be recovered."""
    height, width = picture.shape[:2]
    x1, y1, x2, y2 = (round(float(value)) for value in box)
    x1, y1, x2, y2 = max(x1, 0), max(y1, 0), min(x2 + 1, width), min(y2 + 1, height)
    if x2 <= x1 or y2 <= y1:
        return
    rows = np.linspace(y1, y2, SQUARES + 1).round().astype(int)
    columns = np.linspace(x1, x2, SQUARES + 1).round().astype(int)
    for top, bottom in pairwise(rows.tolist()):
        for left, right in pairwise(columns.tolist()):
            part = picture[top:bottom, left:right]
            if part.size:
                part[:] = part.reshape(-1, 3).mean(axis=0).astype(np.uint8)


def crops_of(frames: Iterable[Frame], elements: Iterable[Element], given: Measurements) -> dict[str, str]:
    """Read the video again and cut out the best box of each element.

    Parameters
    ----------
    frames : iterable of Frame
        The video from its beginning. Frames have their number in ``meta["frame"]``.
    elements : iterable of mnnlite.mapping.element.Element
    given : Measurements
        The measurements of the drive, which have the boxes to blur.

    Returns
    -------
    dict of str to str
        By the id of an element: a ``data:`` address of a PNG.
    """
    wanted: dict[int, list[tuple[str, tuple[float, ...]]]] = {}
    for element in elements:
        if element.proof:
            shown, box = element.proof[0]
            wanted.setdefault(shown, []).append((element.id, box))
    private: dict[int, list[list[float]]] = {}
    for row, boxes in given.private.items():
        private[int(given.frame[row])] = boxes
    crops: dict[str, str] = {}
    last = max(wanted, default=-1)
    with tempfile.TemporaryDirectory(prefix="mnnlite-crops-") as folder:
        file = Path(folder) / "crop.png"
        for frame in frames:
            number = frame.meta.get("frame", -1) if isinstance(frame.meta, dict) else -1
            for name, box in wanted.get(number, ()):
                picture = video.to_rgb(frame)
                for each in private.get(number, ()):
                    blurred(picture, each)
                video.write_picture(file, _cut(picture, box))
                crops[name] = "data:image/png;base64," + base64.b64encode(file.read_bytes()).decode()
            if number >= last:
                break
    return crops


def _cut(picture: NDArray[np.uint8], box: tuple[float, ...]) -> NDArray[np.uint8]:
    x1, y1, x2, y2 = box
    across, down = (x2 - x1) * AROUND / 2, (y2 - y1) * AROUND / 2
    left, top = max(int(x1 - across), 0), max(int(y1 - down), 0)
    return np.ascontiguousarray(picture[top : int(y2 + down) + 1, left : int(x2 + across) + 1])
