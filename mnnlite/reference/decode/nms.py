"""Non-maximum suppression."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mnnlite.reference.decode import math

if TYPE_CHECKING:
    from numpy.typing import NDArray

_F = np.float32


class Survivors(NamedTuple):
    """What is left, best first: which candidates, with their scores, boxes and points as they are now."""

    which: NDArray[np.intp]
    scores: NDArray[np.float32]
    boxes: NDArray[np.float32]
    points: NDArray[np.float32] | None


def _shared(box: NDArray[np.float32], others: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Areas of the intersections and unions of an x1, y1, x2, y2 box with (N, 4) others; 0 and 1 where they do not touch."""
    x1, y1, x2, y2 = others.T
    width = np.minimum(box[2], x2) - np.maximum(box[0], x1)
    height = np.minimum(box[3], y2) - np.maximum(box[1], y1)
    touch = (width > 0) & (height > 0)
    with np.errstate(over="ignore", invalid="ignore"):  # of those that do not touch
        shared = width * height
        joined = (box[2] - box[0]) * (box[3] - box[1]) + (x2 - x1) * (y2 - y1) - shared
    return np.where(touch, shared, _F(0)), np.where(touch, joined, _F(1))


def overlaps(box: NDArray[np.float32], others: NDArray[np.float32], iou: float) -> NDArray[np.bool_]:
    """With which of (N, 4) others intersection over union of the box is larger than `iou`; with none if it is empty."""
    shared, joined = _shared(box, others)
    return (shared > 0) & (shared > _F(iou) * joined)


def quad_iou(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    """Intersection over union of two convex quadrilaterals (4, 2), clipped after Sutherland and Hodgman (1974)."""

    def area(polygon: list[tuple[float, float]]) -> float:
        twice = 0.0
        for (x1, y1), (x2, y2) in zip(polygon, polygon[1:] + polygon[:1], strict=True):
            twice += x1 * y2 - x2 * y1
        return twice / 2

    subject = [(float(x), float(y)) for x, y in a]
    clip = [(float(x), float(y)) for x, y in b]
    area_a, signed_b = abs(area(subject)), area(clip)
    if area_a == 0 or signed_b == 0:
        return 0.0
    side = 1 if signed_b > 0 else -1
    for (x1, y1), (x2, y2) in zip(clip, clip[1:] + clip[:1], strict=True):
        clipped = []
        for p, q in zip(subject, subject[1:] + subject[:1], strict=True):
            dp = side * ((x2 - x1) * (p[1] - y1) - (y2 - y1) * (p[0] - x1))
            dq = side * ((x2 - x1) * (q[1] - y1) - (y2 - y1) * (q[0] - x1))
            if dp >= 0:
                clipped.append(p)
            if dp * dq < 0:
                t = dp / (dp - dq)
                clipped.append((p[0] + t * (q[0] - p[0]), p[1] + t * (q[1] - p[1])))
        subject = clipped
        if not subject:
            return 0.0
    shared = abs(area(subject)) if len(subject) > 2 else 0.0
    return shared / (area_a + abs(signed_b) - shared)


def gaussian_iou(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    """How alike the Gaussians of two parallelograms (4, 2) are: ProbIoU, 1 - the Hellinger distance.

    Source: Llerena et al. 2021, equations 4 to 9; the small numbers are those of ultralytics, utils/metrics.py.
    """
    tiny = 1e-7

    def covariance(q: NDArray[np.float64]) -> NDArray[np.float64]:
        sides = np.stack([q[1] - q[0], q[3] - q[0]], axis=1)
        product: NDArray[np.float64] = sides @ sides.T
        return product / 12  # of a uniform distribution

    p, q = np.asarray(a, np.float64).reshape(4, 2), np.asarray(b, np.float64).reshape(4, 2)
    one, other = covariance(p), covariance(q)
    (xx, xy), (_, yy) = one + other
    dx, dy = (p[0] + p[2]) / 2 - (q[0] + q[2]) / 2
    determinant = xx * yy - xy * xy
    apart = ((xx * dy**2 + yy * dx**2) / 4 - xy * dx * dy / 2) / (determinant + tiny)
    if not apart < 100:
        return 0.0
    single = [max(m[0, 0] * m[1, 1] - m[0, 1] ** 2, 0.0) for m in (one, other)]
    shapes = np.log(determinant / (4 * np.sqrt(single[0] * single[1]) + tiny) + tiny) / 2
    distance = min(max(apart + shapes, tiny), 100.0)
    return float(1 - np.sqrt(1 - np.exp(-distance) + tiny))


def order(scores: NDArray[np.float32], class_ids: NDArray[np.int32], index: NDArray[np.int32]) -> NDArray[np.intp]:
    """Better score first, then lower index, then lower class: the one order of candidates everywhere."""
    return np.lexsort((class_ids, index, -scores))


def nms(
    boxes: NDArray[np.float32],
    scores: NDArray[np.float32],
    class_ids: NDArray[np.int32],
    iou: float,
    *,
    index: NDArray[np.int32] | None = None,
    agnostic: bool = False,
    top_k: int = 1000,
    corners: NDArray[np.float32] | None = None,
    fast: bool = False,
    gaussian: bool = False,
) -> NDArray[np.intp]:
    """Greedy suppression: which of the (N, 4) boxes survive, best first.

    A box goes if one that was kept, of the same class unless `agnostic`, overlaps it by more than `iou`. Only the best
    `top_k` enter. Ties go to the lower `index`. With `corners` (N, 4, 2) the overlap is that of the quadrilaterals,
    or with `gaussian` that of their Gaussians. `fast` (Bolya et al. 2019, YOLACT, section 3.3): boxes that went suppress
    others too. Nothing goes at an `iou` of 1.
    """
    if index is None:
        index = np.arange(len(boxes), dtype=np.int32)

    def over(a: int, others: NDArray[np.intp]) -> bool:
        if corners is None:
            return bool(overlaps(boxes[a], boxes[others], iou).any())
        if gaussian:
            return any(gaussian_iou(corners[b], corners[a]) > _F(iou) for b in others)
        near = others[overlaps(boxes[a], boxes[others], 0)]
        return any(_F(quad_iou(corners[b], corners[a])) > _F(iou) for b in near)

    ranked = order(scores, class_ids, index)[:top_k]
    if iou >= 1 and not fast:
        return ranked
    stays = np.ones(len(ranked), bool)
    for n, candidate in enumerate(ranked.tolist()):
        better = ranked[:n] if fast else ranked[:n][stays[:n]]
        if not agnostic:
            better = better[class_ids[better] == class_ids[candidate]]
        stays[n] = not over(candidate, better)
    return ranked[stays]


def soft(
    boxes: NDArray[np.float32],
    scores: NDArray[np.float32],
    class_ids: NDArray[np.int32],
    *,
    index: NDArray[np.int32],
    sigma: float,
    score: float,
    agnostic: bool = False,
    top_k: int = 1000,
) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """Bodla et al. 2017, equation 3: overlapping boxes' scores shrink by exp(-iou^2 / sigma); at `score` they go."""
    left = order(scores, class_ids, index)[:top_k].tolist()
    now = {i: scores[i] for i in left}
    kept = []
    while left:
        best = min(left, key=lambda i: (-now[i], index[i], class_ids[i]))
        kept.append(best)
        left.remove(best)
        for i, shared, joined in zip(left, *_shared(boxes[best], boxes[left]), strict=True):
            if shared > 0 and (agnostic or class_ids[i] == class_ids[best]):
                iou = shared / joined
                now[i] = now[i] * math.exp(-(iou * iou) / _F(sigma))[()]
        left = [i for i in left if now[i] > _F(score)]
    return np.array(kept, np.intp), np.array([now[i] for i in kept], np.float32)


def weighted(
    boxes: NDArray[np.float32],
    scores: NDArray[np.float32],
    class_ids: NDArray[np.int32],
    iou: float,
    *,
    index: NDArray[np.int32],
    points: NDArray[np.float32] | None = None,
    agnostic: bool = False,
    top_k: int = 1000,
) -> Survivors:
    """MediaPipe, non_max_suppression_calculator.cc: what overlaps the best box is averaged with it, weighted by score."""
    left = order(scores, class_ids, index)[:top_k].tolist()
    kept, new_boxes, new_points = [], [], []
    while left:
        best, *others = left
        near = overlaps(boxes[best], boxes[others], iou)
        group = [best] + [
            i for i, over in zip(others, near, strict=True) if over and (agnostic or class_ids[i] == class_ids[best])
        ]
        left = [i for i in others if i not in group]
        total = _F(0)
        box = np.zeros(4, _F)
        place = np.zeros_like(points[best]) if points is not None else None
        for i in group:
            total = total + scores[i]
            box = box + boxes[i] * scores[i]
            if points is not None and place is not None:
                place = place + points[i] * scores[i]
        kept.append(best)
        new_boxes.append(box / total if total > 0 else boxes[best])
        if place is not None:
            new_points.append(place / (total if total > 0 else _F(1)))
    return Survivors(
        np.array(kept, np.intp),
        scores[np.array(kept, np.intp)],
        np.array(new_boxes, np.float32).reshape(-1, 4),
        np.array(new_points, np.float32) if points is not None else None,
    )
