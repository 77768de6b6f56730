"""Painting in plain NumPy: convex shapes, ellipses, strokes and textures, with edges smoothed by coverage."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from mnnlite.draw import strokes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

    F32 = NDArray[np.float32]
    Color = ArrayLike  # three numbers in [0, 1]: red, green, blue

__all__ = ["Canvas", "Face", "Texture", "pyramid"]

NOTHING, GROUND = -1, 0  # owners of pixels that belong to no object
CAPS = 14.0  # the height of capitals in `draw.strokes`
GAP = 4.2  # between two of its characters


class _Painter:
    """Shapes as coverage; what a covered pixel becomes is up to `_blend`."""

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height

    def _blend(self, rows: slice, columns: slice, coverage: F32, color: Color, **how: Any) -> None:
        raise NotImplementedError

    def _window(self, low: NDArray[Any], high: NDArray[Any]) -> tuple[slice, slice, F32, F32] | None:
        """What of a box lies on the canvas, and the centres of its pixels."""
        x1, y1 = max(int(np.floor(low[0])) - 1, 0), max(int(np.floor(low[1])) - 1, 0)
        x2, y2 = min(int(np.ceil(high[0])) + 1, self.width), min(int(np.ceil(high[1])) + 1, self.height)
        if x1 >= x2 or y1 >= y2:
            return None
        x = np.arange(x1, x2, dtype=np.float32) + np.float32(0.5)
        y = np.arange(y1, y2, dtype=np.float32)[:, None] + np.float32(0.5)
        return slice(y1, y2), slice(x1, x2), x, y

    def polygon(self, points: ArrayLike, color: Color, **how: Any) -> None:
        """Fill a convex polygon of (N, 2) pixels."""
        corners = np.asarray(points, np.float64)
        if not np.isfinite(corners).all() or np.abs(corners).max() > 1e5:
            return
        after = np.roll(corners, -1, axis=0)
        turned = float(np.sum(corners[:, 0] * after[:, 1] - after[:, 0] * corners[:, 1]))
        window = self._window(corners.min(axis=0), corners.max(axis=0))
        if window is None or abs(turned) < 1e-6:
            return
        rows, columns, x, y = window
        coverage = np.ones((y.shape[0], x.shape[0]), np.float32)
        for (ax, ay), (bx, by) in zip(corners, after, strict=True):
            length = float(np.hypot(bx - ax, by - ay)) * (1 if turned > 0 else -1)
            if abs(length) > 1e-9:
                dx, dy = (bx - ax) / length, (by - ay) / length
                inside = np.float32(dx) * y - np.float32(dy) * x + np.float32(dy * ax - dx * ay + 0.5)
                np.minimum(coverage, inside, out=coverage)
        self._blend(rows, columns, np.maximum(coverage, 0, out=coverage), color, **how)

    def ellipse(self, center: ArrayLike, radii: ArrayLike, color: Color, **how: Any) -> None:
        """Fill an ellipse with horizontal and vertical axes, in pixels."""
        middle, size = np.asarray(center, np.float64), np.maximum(np.asarray(radii, np.float64), 0.3)
        window = self._window(middle - size, middle + size)
        if window is None or not np.isfinite(size).all():
            return
        rows, columns, x, y = window
        reach = np.hypot(
            (x - np.float32(middle[0])) / np.float32(size[0]), (y - np.float32(middle[1])) / np.float32(size[1])
        )
        coverage = np.clip((1 - reach) * np.float32(size.min()) + np.float32(0.5), 0, 1)
        self._blend(rows, columns, coverage, color, **how)

    def stroke(self, points: ArrayLike, width: float, color: Color, **how: Any) -> None:
        """Draw a line of `width` pixels with round ends through (N, 2) pixels; thinner than a pixel is fainter."""
        path = np.asarray(points, np.float64)
        if not np.isfinite(path).all() or np.abs(path).max() > 1e5:
            return
        radius = width / 2
        window = self._window(path.min(axis=0) - radius, path.max(axis=0) + radius)
        if window is None:
            return
        rows, columns, x, y = window
        nearest = np.full((y.shape[0], x.shape[0]), np.float32(1e9))
        for start, end in pairwise(path.astype(np.float32)):
            direction = end - start
            px, py = x - start[0], y - start[1]
            length2 = max(float(direction @ direction), 1e-9)
            along = np.clip((px * direction[0] + py * direction[1]) / np.float32(length2), 0, 1)
            np.minimum(nearest, np.hypot(px - along * direction[0], py - along * direction[1]), out=nearest)
        coverage = np.clip(np.float32(max(radius, 0.5) + 0.5) - nearest, 0, 1) * np.float32(min(1.0, width))
        self._blend(rows, columns, coverage, color, **how)

    def text(self, content: str, box: Sequence[float], color: Color, weight: float = 0.16, **how: Any) -> None:
        """Write a line of capitals and digits that fills a box as far as their proportions allow.

        Parameters
        ----------
        content : str
        box : x1, y1, x2, y2
            In pixels; the text is centred in it.
        color : three numbers in [0, 1]
        weight : float
            Thickness of strokes, relative to the height of capitals.
        """
        glyphs = [strokes(character) for character in content]
        widths = [max((float(line[:, 0].max()) for line in glyph), default=1.0) for glyph in glyphs]
        total = sum(widths) + GAP * (len(content) - 1)
        x1, y1, x2, y2 = box
        pen = weight * (y2 - y1)
        unit_y = (y2 - y1 - pen) / CAPS
        unit_x = min((x2 - x1 - pen) / total, unit_y * 1.15)
        x = (x1 + x2 - total * unit_x) / 2
        for glyph, wide in zip(glyphs, widths, strict=True):
            for line in glyph:
                self.stroke(line * (unit_x, unit_y) + (x, y1 + pen / 2), pen, color, **how)
            x += (wide + GAP) * unit_x


Texture = tuple["F32", ...]  # a picture with alpha, premultiplied, and its halvings; each with an empty rim


def pyramid(picture: F32) -> Texture:
    """Make a texture of (H, W, 4) premultiplied colours whose sides are multiples of 16."""
    levels = []
    for level in range(5):
        if level:
            picture = (picture[::2, ::2] + picture[1::2, ::2] + picture[::2, 1::2] + picture[1::2, 1::2]) / np.float32(
                4
            )
        levels.append(np.pad(picture, ((1, 1), (1, 1), (0, 0))))
    return tuple(levels)


class Face(_Painter):
    """A transparent picture that shapes are painted on: the face of a sign."""

    def __init__(self, width: int, height: int) -> None:
        super().__init__(width, height)
        self.picture = np.zeros((height, width, 4), np.float32)

    def _blend(self, rows: slice, columns: slice, coverage: F32, color: Color, **how: Any) -> None:
        part = self.picture[rows, columns]
        part += (np.append(np.asarray(color, np.float32), np.float32(1)) - part) * coverage[..., None]


class Canvas(_Painter):
    """A frame in the making: colour, how much it shines back at a lamp, depth, and which object a pixel belongs to."""

    def __init__(self, width: int, height: int) -> None:
        super().__init__(width, height)
        self.rgb = np.zeros((3, height, width), np.float32)  # planes: broadcasting over a last axis of 3 is slow
        self.retro = np.zeros((height, width), np.float32)  # 1: a sign's sheeting, or a lamp of its own
        self.depth = np.full((height, width), np.float32(1e4))
        self.owner = np.full((height, width), np.int16(NOTHING))
        self.touched: list[tuple[slice, slice]] = []

    def _blend(  # type: ignore[override]
        self,
        rows: slice,
        columns: slice,
        coverage: F32,
        color: Color,
        *,
        depth: float = 1e4,
        owner: int = NOTHING,
        retro: float = 0.0,
        alpha: float = 1.0,
        flat: bool = False,
    ) -> None:
        """`flat` objects lie on the ground and keep its depth; without an owner they are painted on what is there."""
        if alpha != 1.0:
            coverage = coverage * np.float32(alpha)
        part = self.rgb[:, rows, columns]
        part += (np.asarray(color, np.float32)[:, None, None] - part) * coverage
        shine = self.retro[rows, columns]
        shine += (np.float32(retro) - shine) * coverage
        self._own(rows, columns, coverage > 0.5 * min(alpha, 1.0), depth, owner, flat)

    def _own(self, rows: slice, columns: slice, most: NDArray[np.bool_], depth: float, owner: int, flat: bool) -> None:
        if not flat:
            self.depth[rows, columns][most] = depth
        if owner != NOTHING or not flat:
            self.owner[rows, columns][most] = owner
            self.touched.append((rows, columns))

    def decal(
        self, texture: Texture, matrix: NDArray[np.float64], tint: Color, *, depth: float, owner: int, retro: float
    ) -> None:
        """Paint a texture through a projective map of the unit square (x to the right, y down) to pixels."""
        corners = np.array([[0, 0, 1], [1, 0, 1], [1, 1, 1], [0, 1, 1]], np.float64) @ matrix.T
        if (corners[:, 2] <= 0.1).any():
            return
        corners = corners[:, :2] / corners[:, 2:]
        window = self._window(corners.min(axis=0), corners.max(axis=0))
        if window is None:
            return
        rows, columns, x, y = window
        back = np.linalg.inv(matrix).astype(np.float32)
        w = back[2, 0] * x + (back[2, 1] * y + back[2, 2])
        u = (back[0, 0] * x + (back[0, 1] * y + back[0, 2])) / w
        v = (back[1, 0] * x + (back[1, 1] * y + back[1, 2])) / w
        # The level whose texels are about as large as pixels.
        span = max(float(np.hypot(*(corners[1] - corners[0]))), 1.0)
        level = int(np.clip(round(float(np.log2((texture[0].shape[1] - 2) / span))), 0, len(texture) - 1))
        painted = _bilinear(texture[level], u, v)
        alpha = painted[..., 3]
        part = self.rgb[:, rows, columns]
        part *= 1 - alpha
        part += np.moveaxis(painted[..., :3] * np.asarray(tint, np.float32), 2, 0)
        shine = self.retro[rows, columns]
        shine += (np.float32(retro) - shine) * alpha
        self._own(rows, columns, alpha > 0.5, depth, owner, flat=False)

    def take_touched(self, owner: int) -> tuple[tuple[int, int, int, int], int] | None:
        """The box x1, y1, x2, y2 and number of pixels an object owns among what was painted since the last call."""
        touched, self.touched = self.touched, []
        if not touched:
            return None
        top, left = min(rows.start for rows, _ in touched), min(columns.start for _, columns in touched)
        bottom, right = max(rows.stop for rows, _ in touched), max(columns.stop for _, columns in touched)
        mine = self.owner[top:bottom, left:right] == owner
        ys, xs = np.flatnonzero(mine.any(axis=1)), np.flatnonzero(mine.any(axis=0))
        if not len(ys):
            return None
        box = (left + int(xs[0]), top + int(ys[0]), left + int(xs[-1]) + 1, top + int(ys[-1]) + 1)
        return box, int(np.count_nonzero(mine))


def _bilinear(picture: F32, u: F32, v: F32) -> F32:
    """Colours at places of the unit square; nothing outside of it. The picture has a rim of one empty texel."""
    height, width = picture.shape[0] - 2, picture.shape[1] - 2
    x = np.clip(u * np.float32(width) + np.float32(0.5), 0, np.float32(width + 0.999))
    y = np.clip(v * np.float32(height) + np.float32(0.5), 0, np.float32(height + 0.999))
    left, top = x.astype(np.int32), y.astype(np.int32)
    fx, fy = (x - left)[..., None], (y - top)[..., None]
    flat = picture.reshape(-1, 4)
    at = top * np.int32(width + 2) + left
    upper = flat[at] + (flat[at + 1] - flat[at]) * fx
    lower = flat[at + (width + 2)] + (flat[at + (width + 3)] - flat[at + (width + 2)]) * fx
    result: F32 = upper + (lower - upper) * fy
    return result
