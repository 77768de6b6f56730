"""A frame with everything that was found in it."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from mnnlite.draw import Style, color_of, label, text_block
from mnnlite.results import Classes, Masks, Results
from mnnlite.results.base import Boxed
from mnnlite.video import to_rgb

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from mnnlite.frame import Frame

__all__ = ["draw_results"]


def draw_results(frame: Frame, results: Mapping[str, Any], parents: Mapping[str, str]) -> NDArray[np.uint8]:
    """Draw all results of a frame on an RGB picture of it: areas first, so that they hide nothing.

    Parameters
    ----------
    frame : Frame
    results : dict
        By task.
    parents : dict of str to str
        The result that each cascade's crops are boxes of, ``"task"`` or ``"task.decoder"``: what a crop shows is written at
        its box.

    Returns
    -------
    (H, W, 3) uint8
    """
    picture = to_rgb(frame)
    found = [one for one in _each(results) if isinstance(one[1], Results)]
    words: list[str] = []
    at_boxes: list[tuple[Classes, Boxed]] = []
    drawn: Counter[type[Results]] = Counter()
    for name, each in sorted(found, key=lambda one: not isinstance(one[1], Masks)):
        if isinstance(each, Classes):  # they have no place of their own in the picture
            boxes = dict(found).get(parents.get(name.split(".")[0], ""))
            if isinstance(boxes, Boxed):
                at_boxes.append((each, boxes))
            else:
                words += [f"{name}: {row.label or row.class_id} {row.score:.2f}" for row in each]
            continue
        # The same class of two tasks has two colours.
        each.draw(picture, Style(hue=drawn[type(each)], alpha=0.35))
        drawn[type(each)] += 1
    for classes, boxes in at_boxes:
        _draw_at_boxes(picture, classes, boxes)
    text_block(picture, (8, 8), words)
    return picture


def _draw_at_boxes(picture: NDArray[np.uint8], classes: Classes, boxes: Boxed) -> None:
    """The best class of each crop, at the bottom of the box that it was cut from."""
    seen: set[int] = set()
    for row in classes:
        if row.item in seen or not 0 <= row.item < len(boxes):
            continue
        seen.add(row.item)
        left, _, _, bottom = boxes.boxes_xyxy[row.item]
        color = color_of(int(boxes.class_ids[row.item]))
        label(picture, (float(left), float(bottom)), f"{row.label or row.class_id} {row.score:.2f}", color)


def _each(results: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Results by name, those of several decoders on one inference side by side."""
    flat: list[tuple[str, Any]] = []
    for name, result in results.items():
        flat += (
            [(f"{name}.{key}", one) for key, one in result.items()] if isinstance(result, dict) else [(name, result)]
        )
    return flat
