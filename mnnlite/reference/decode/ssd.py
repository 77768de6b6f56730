"""SSD heads: Liu et al. 2016, section 2.2; MediaPipe, tensors_to_detections_calculator.cc, ssd_anchors_calculator.cc."""

from __future__ import annotations

import math as _math
from typing import TYPE_CHECKING, Any

import numpy as np

from mnnlite.reference.decode import math
from mnnlite.reference.decode.detections import Candidates, Found, emit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from mnnlite.reference.decode.frame_box import Item

_F = np.float32


def make_anchors(
    strides: Sequence[float],
    input_size: tuple[float, float],
    *,
    aspect_ratios: Sequence[float] = (1.0,),
    min_scale: float = 0.2,
    max_scale: float = 0.95,
    interpolated_aspect_ratio: float = 1.0,
    anchor_offset: float = 0.5,
    reduce_lowest_layer: bool = False,
    fixed_anchor_size: bool = False,
) -> NDArray[np.float32]:
    """Anchors (A, 4) of cx, cy, width, height relative to the input, layer by layer, row by row.

    Layers of equal stride share their cells.
    """
    layers = len(strides)

    def scale(layer: int) -> float:
        if layers == 1:
            return (min_scale + max_scale) / 2
        return min_scale + (max_scale - min_scale) * layer / (layers - 1)

    anchors = []
    layer = 0
    while layer < layers:
        shapes: list[tuple[float, float]] = []
        last = layer
        while last < layers and strides[last] == strides[layer]:
            pairs = [(ratio, scale(last)) for ratio in aspect_ratios]
            if last == 0 and reduce_lowest_layer:
                pairs = [(1, 0.1), (2, scale(0)), (0.5, scale(0))]
            elif interpolated_aspect_ratio > 0:
                following = scale(last + 1) if last + 1 < layers else 1.0
                pairs.append((interpolated_aspect_ratio, _math.sqrt(scale(last) * following)))
            shapes += [
                (1.0, 1.0) if fixed_anchor_size else (s * _math.sqrt(ratio), s / _math.sqrt(ratio))
                for ratio, s in pairs
            ]
            last += 1
        columns, rows = (_math.ceil(side / strides[layer]) for side in input_size)
        for y in range(rows):
            for x in range(columns):
                for width, height in shapes:
                    anchors.append(((x + anchor_offset) / columns, (y + anchor_offset) / rows, width, height))
        layer = last
    return np.array(anchors, np.float32)


def decode(
    scores: NDArray[np.float32],
    boxes: NDArray[np.float32],
    items: Sequence[Item],
    *,
    score: float = 0.25,
    box_kind: str = "corners",
    order: str = "xy",
    units: str = "relative",
    activation: str = "none",
    background: int = -1,
    multi_label: bool = False,
    points: int = 0,
    anchors: NDArray[np.float32] | None = None,
    variances: Sequence[float] = (0.1, 0.1, 0.2, 0.2),
    exponential: bool = True,
    **options: Any,
) -> Found:
    """Decode scores (N, A, C) and boxes (N, A, 4 + 2 points).

    ``deltas``: ``cx = anchor cx + dx * variance * anchor width``, ``w = anchor width * exp(dw * variance)`` (without the
    exp if not `exponential`), points like centres. An anchor is of its best class, which is not the background; with
    `multi_label` of every class but the background whose score is larger (Liu et al. 2016, section 3: suppression per
    class).
    """
    slots = []
    v = np.asarray(variances, _F)
    for slot, item in enumerate(items):
        raw = np.asarray(boxes[slot], _F).reshape(-1, 4 + 2 * points).copy()
        if order == "yx":
            raw = raw.reshape(len(raw), -1, 2)[:, :, ::-1].reshape(len(raw), -1)
        size = np.array(item.net_size, _F) if units == "relative" or box_kind == "deltas" else np.ones(2, _F)
        if units == "pixels":
            size = np.ones(2, _F)
        if box_kind == "corners":
            placed = raw[:, :4] * np.tile(size, 2)
        else:
            centre, extent = raw[:, :2], raw[:, 2:4]
            if box_kind == "deltas":
                assert anchors is not None
                centre = anchors[:, :2] + centre * v[:2] * anchors[:, 2:]
                extent = anchors[:, 2:] * (math.exp(extent * v[2:]) if exponential else extent * v[2:])
            placed = np.concatenate([(centre - extent * _F(0.5)) * size, (centre + extent * _F(0.5)) * size], axis=1)
        marks = raw[:, 4:].reshape(len(raw), points, 2)
        if box_kind == "deltas" and anchors is not None:
            marks = anchors[:, None, :2] + marks * v[:2] * anchors[:, None, 2:]
        marks = marks * size
        values = np.asarray(scores[slot], _F).reshape(len(raw), -1)
        classes = values.copy()
        if background >= 0:
            classes[:, background] = -np.inf
        if activation == "softmax":
            powers = math.exp(values - values.max(axis=1, keepdims=True)).astype(np.float64)
            values = (powers / np.cumsum(powers, axis=1)[:, -1:]).astype(_F)
        cut = math.logit(score) if activation == "sigmoid" else _F(score)
        if multi_label:
            index, best = np.nonzero((values > cut) & np.isfinite(classes))
        else:
            best = classes.argmax(axis=1)
            index = np.flatnonzero(values[np.arange(len(values)), best] > cut)
            best = best[index]
        top = values[index, best]
        final = math.sigmoid(top) if activation == "sigmoid" else top
        ids = np.where((background >= 0) & (best > background), best - 1, best)
        slots.append(
            (
                item,
                Candidates(
                    placed[index].astype(_F),
                    final,
                    ids.astype(np.int32),
                    index.astype(np.int32),
                    marks[index].astype(_F) if points else None,
                ),
            )
        )
    return emit(slots, score=score, **options)
