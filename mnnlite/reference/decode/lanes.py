"""Lane and edge lines: from masks, and from heads with anchors (Qin et al. 2020, equations 3 to 6; Qin et al. 2022)."""

from __future__ import annotations

import math as _math
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mnnlite.reference.decode import frame_box, geometry, math

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_END = 12  # points at the end of a chain whose direction counts when it is continued


class Run(NamedTuple):
    """Pixels [x1, x2) of row y, all of one class."""

    y: int
    x1: int
    x2: int
    class_id: int


class Chain(NamedTuple):
    """Runs that follow one another from near to far, and the line through their middles."""

    runs: list[Run]
    points: NDArray[np.float64]

    @property
    def pixels(self) -> int:
        """How many there are in all runs."""
        return sum(run.x2 - run.x1 for run in self.runs)


def find_runs(classes: NDArray[np.uint8], skip: int) -> list[list[Run]]:
    """Runs of each row, from the lowest row up, without `skip` and 255."""
    rows = []
    for y in range(classes.shape[0] - 1, -1, -1):
        row = classes[y]
        borders = [0, *(np.flatnonzero(row[1:] != row[:-1]) + 1).tolist(), len(row)]
        found = [Run(y, a, b, int(row[a])) for a, b in pairwise(borders)]
        rows.append([run for run in found if run.class_id not in (skip, 255)])
    return rows


def make_chains(rows: list[list[Run]], min_pixels: int) -> list[Chain]:
    """Follow runs upwards where each touches one below and one above, corners included; small chains are noise."""
    chains: list[list[Run]] = []
    owner: dict[Run, int] = {}
    for n, row in enumerate(rows):
        below = rows[n - 1] if n else []
        touching = {
            run: [b for b in below if b.class_id == run.class_id and b.x1 <= run.x2 and run.x1 <= b.x2] for run in row
        }
        for run in row:
            under = touching[run]
            if len(under) == 1 and sum(under[0] in others for others in touching.values()) == 1:
                owner[run] = owner[under[0]]
                chains[owner[run]].append(run)
            else:
                owner[run] = len(chains)
                chains.append([run])
    return [Chain(runs, middle_line(runs)) for runs in chains if sum(r.x2 - r.x1 for r in runs) >= min_pixels]


def middle_line(runs: list[Run]) -> NDArray[np.float64]:
    """One point a row; one a column for chains that are more than twice as wide as high."""
    x1, x2 = min(run.x1 for run in runs), max(run.x2 for run in runs)
    if x2 - x1 <= 2 * len(runs):
        return np.array([((run.x1 + run.x2) / 2, run.y + 0.5) for run in runs])
    sums, counts = np.zeros(x2 - x1), np.zeros(x2 - x1)
    for run in runs:
        sums[run.x1 - x1 : run.x2 - x1] += run.y + 0.5
        counts[run.x1 - x1 : run.x2 - x1] += 1
    columns = np.flatnonzero(counts)
    points = np.stack([x1 + columns + 0.5, sums[columns] / counts[columns]], axis=1)
    return points[::-1] if points[0, 1] < points[-1, 1] else points


def _unit(a: NDArray[np.float64], b: NDArray[np.float64]) -> tuple[float, float]:
    dx, dy = (float(value) for value in b - a)
    length = _math.hypot(dx, dy)
    return (dx / length, dy / length) if length > 0 else (0.0, 0.0)


def cost(a: Chain, b: Chain, reach: float) -> float | None:
    """How badly `b` continues `a`; None if it does not."""
    if a.runs[0].class_id != b.runs[0].class_id:
        return None
    gx, gy = (float(value) for value in b.points[0] - a.points[-1])
    gap = _math.hypot(gx, gy)
    if gap > reach:
        return None
    d = _unit(a.points[-1 - min(len(a.points) - 1, _END)], a.points[-1])
    e = _unit(b.points[0], b.points[min(len(b.points) - 1, _END)])
    aside, aside_back = abs(gx * d[1] - gy * d[0]), abs(gx * e[1] - gy * e[0])
    allowed = 2 + 0.12 * gap
    if d != (0, 0) and (gx * d[0] + gy * d[1] < -2 or aside > allowed):
        return None
    if e != (0, 0) and (gx * e[0] + gy * e[1] < -2 or aside_back > allowed):
        return None
    bend = 1 - (d[0] * e[0] + d[1] * e[1]) if d != (0, 0) and e != (0, 0) else 0.5
    return None if bend > 0.3 else gap + 4 * (aside + aside_back) + 20 * bend


def link(chains: list[Chain], reach: float) -> list[list[Chain]]:
    """Join chains to lines: the pair that fits best of all, again and again, each end used once."""
    after: dict[int, int] = {}
    before: dict[int, int] = {}
    while True:
        best: tuple[float, int, int] | None = None
        for a in range(len(chains)):
            for b in range(len(chains)):
                if a == b or a in after or b in before:
                    continue
                price = cost(chains[a], chains[b], reach)
                if price is None or (best is not None and price >= best[0]):
                    continue
                head = a
                while head in before:
                    head = before[head]
                if head != b:
                    best = (price, a, b)
        if best is None:
            break
        after[best[1]], before[best[2]] = best[2], best[1]
    lines = []
    for head in range(len(chains)):
        if head not in before:
            line, at = [chains[head]], head
            while at in after:
                at = after[at]
                line.append(chains[at])
            lines.append(line)
    return lines


class Line(NamedTuple):
    """A line in pixels of the frame, (P, 2), from near to far."""

    points: NDArray[np.float32]
    class_id: int
    score: np.float32


def decode(
    classes: NDArray[np.uint8],
    probability: NDArray[np.float64],
    to_frame: tuple[float, ...],
    *,
    background: int = 0,
    max_gap: float = 0.25,
    min_length: float = 0.08,
    min_pixels: int = 8,
    tolerance: float = 1.0,
    score: float = 0.0,
    max_lines: int = 16,
) -> list[Line]:
    """Lines of a class map (H, W), the longest first; `probability` is that of each pixel's class."""
    height = classes.shape[0]
    lines = []
    for line in link(make_chains(find_runs(classes, background), min_pixels), max_gap * height):
        points = np.concatenate([chain.points for chain in line])
        length = sum(_math.hypot(*(float(v) for v in b - a)) for a, b in pairwise(points))
        total = sum(probability[r.y, r.x1 : r.x2].sum() for chain in line for r in chain.runs)
        mean = np.float32(total / sum(chain.pixels for chain in line))
        if length >= min_length * height and mean >= np.float32(score):
            lines.append((length, line[0].runs[0].class_id, mean, points))
    found = []
    for _, class_id, mean, points in sorted(lines, key=lambda line: -line[0])[:max_lines]:
        placed = np.array([frame_box.apply(to_frame, float(x), float(y)) for x, y in points])
        kept = geometry.simplify_line(placed, tolerance)
        if len(kept) >= 2:
            found.append(Line(kept.astype(np.float32), class_id, mean))
    return found


def decode_rows(
    output: NDArray[np.float32], item: frame_box.Item, row_anchors: Sequence[float], *, min_points: int = 3
) -> list[Line]:
    """(cells + 1, rows, lanes) logits of one slot: for each lane and row the mean cell of the softmax.

    The last cell is "no lane here". Training bins x into ``floor(x / step)`` with
    ``step = (width - 1) / (cells - 1)`` (cfzd/Ultra-Fast-Lane-Detection, data/dataset.py), so a cell's middle is half a
    step further.
    """
    cells = output.shape[0] - 1
    step = (item.net_size[0] - 1) / (cells - 1)
    found = []
    for lane in range(output.shape[2]):
        points, confidences = [], []
        for row in range(output.shape[1] - 1, -1, -1):
            logits = output[:, row, lane]
            most = logits[:-1].max()
            if logits[-1] > most:
                continue
            powers = math.exp(logits - most).astype(np.float64)
            total = np.cumsum(powers[:-1])[-1]
            mean = np.cumsum(powers[:-1] * np.arange(cells))[-1] / total
            points.append(frame_box.apply(item.to_frame, (mean + 0.5) * step, float(row_anchors[row])))
            confidences.append(float(np.float32(total / (total + powers[-1]))))
        if len(points) >= min_points:
            found.append(
                Line(np.array(points).astype(np.float32), lane, np.float32(sum(confidences) / len(confidences)))
            )
    return found


def locate(logits: NDArray[np.float32]) -> float:
    """Where a lane crosses an anchor, as a fraction of the picture: the mean cell of the softmax within 1 of the best."""
    best = int(logits.argmax())
    near = np.arange(max(best - 1, 0), min(best + 1, len(logits) - 1) + 1)
    powers = math.exp(logits[near] - logits[best]).astype(np.float64)
    return float((np.cumsum(powers * near)[-1] / np.cumsum(powers)[-1] + 0.5) / (len(logits) - 1))


def decode_anchors(
    outputs: dict[str, NDArray[np.float32]],
    item: frame_box.Item,
    row_anchors: Sequence[float],
    column_anchors: Sequence[float],
    *,
    row_lanes: Sequence[int] = (1, 2),
    column_lanes: Sequence[int] = (0, 3),
    crop_ratio: float = 1.0,
    min_points: int = 3,
) -> list[Line]:
    """``loc_row``, ``loc_col`` (cells, anchors, lanes) and ``exist_row``, ``exist_col`` (2, anchors, lanes) of one slot.

    A lane of rows must be on more than half of them, one of columns on more than a quarter
    (cfzd/Ultra-Fast-Lane-Detection-v2, demo.py). Anchors and places are fractions of the whole picture, of whose height the
    network sees the lowest `crop_ratio`.
    """
    found = []
    for lane in sorted([*row_lanes, *column_lanes]):
        by_row = lane in row_lanes
        side, anchors, fraction = ("row", row_anchors, 0.5) if by_row else ("col", column_anchors, 0.25)
        no, yes = outputs[f"exist_{side}"][:, :, lane]
        there = np.flatnonzero(yes > no)
        if len(there) < min_points or not len(there) > fraction * len(anchors):
            continue
        along = np.array([float(anchors[k]) for k in there.tolist()])
        across = np.array([locate(outputs[f"loc_{side}"][:, k, lane]) for k in there])
        x, y = (across, along) if by_row else (along, across)
        y = (y - 1 + crop_ratio) / crop_ratio
        if y[-1] > y[0]:
            x, y = x[::-1], y[::-1]
        points = [
            frame_box.apply(item.to_frame, float(a) * item.net_size[0], float(b) * item.net_size[1])
            for a, b in zip(x, y, strict=True)
        ]
        score = np.cumsum(math.sigmoid(yes[there] - no[there]).astype(np.float64))[-1] / len(there)
        found.append(Line(np.array(points).astype(np.float32), lane, np.float32(score)))
    return found
