"""What stands along the road, painted as flat faces and boxes in space."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from mnnlite.demo import textures
from mnnlite.demo.canvas import NOTHING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import ArrayLike, NDArray

    from mnnlite.demo.canvas import Canvas, Texture
    from mnnlite.demo.course import Curve
    from mnnlite.demo.world import Arc, Item
    from mnnlite.mapping.pinhole import PinholeCamera

__all__ = ["Painter"]

NEAR = 0.4  # metres from the lens; what reaches nearer is not painted
POST = (0.45, 0.46, 0.47)
DARK = (0.04, 0.04, 0.05)


class Painter:
    """Paints items on a canvas; `s` of an item counts from the camera here.

    After each item `low` and `high` are its corners in pixels, also where they lie outside of the frame.
    """

    def __init__(self, canvas: Canvas, camera: PinholeCamera, arc: Arc | Curve) -> None:
        self.canvas, self.camera, self.arc = canvas, camera, arc
        self.low, self.high = np.zeros(2), np.zeros(2)
        self._item: Item
        self._owner = NOTHING
        self._depth = 0.0

    def paint(self, item: Item, s: float, owner: int) -> None:
        """Paint one item."""
        x, y, heading = self.arc.place(s, item.d)
        self._item, self._owner = item, owner
        self._x, self._y = x, y
        turn = heading + (item.turn if item.kind not in ("vehicle", "arrow") else 0.0)
        self._right = (math.cos(turn), -math.sin(turn))  # unit vector of the face, from its left to its right
        self._ahead = (math.sin(turn), math.cos(turn))
        self._depth = max(y, NEAR)
        self._s = s
        self.low, self.high = np.full(2, np.inf), np.full(2, -np.inf)
        _PAINT[item.kind](self, item)

    # ---- pieces; a is to the right and b forward from the item's place, z above the ground, in metres

    def _pixels(self, places: Sequence[tuple[float, float, float]]) -> NDArray[np.float64] | None:
        local = np.array(places)
        points = np.stack(
            [
                self._x + local[:, 0] * self._right[0] + local[:, 1] * self._ahead[0],
                self._y + local[:, 0] * self._right[1] + local[:, 1] * self._ahead[1],
                local[:, 2],
            ],
            axis=1,
        )
        pixels, depths = self.camera.project(points)
        return pixels if depths.min() > NEAR else None

    def _size(self) -> float:
        """Pixels of a metre there."""
        return self.camera.focal / self._depth

    def _shape(
        self,
        places: Sequence[tuple[float, float, float]],
        color: ArrayLike,
        retro: float = 0.0,
        owned: bool = True,
        flat: bool = False,
        alpha: float = 1.0,
    ) -> None:
        pixels = self._pixels(places)
        if pixels is None:
            return
        if owned:
            self._reach(pixels)
        owner = self._owner if owned else NOTHING
        self.canvas.polygon(pixels, color, depth=self._depth, owner=owner, retro=retro, flat=flat, alpha=alpha)

    def _reach(self, pixels: NDArray[np.float64]) -> None:
        self.low, self.high = np.minimum(self.low, pixels.min(axis=0)), np.maximum(self.high, pixels.max(axis=0))

    def _rectangle(
        self,
        left: float,
        bottom: float,
        right: float,
        top: float,
        color: ArrayLike,
        b: float = 0.0,
        retro: float = 0.0,
    ) -> None:
        self._shape([(left, b, bottom), (right, b, bottom), (right, b, top), (left, b, top)], color, retro)

    def _post(self, a: float, bottom: float, top: float, wide: float, color: ArrayLike = POST) -> None:
        """A pole; it is never part of the object."""
        pixels = self._pixels([(a, 0.02, bottom), (a, 0.02, top)])
        if pixels is not None:
            self.canvas.stroke(pixels, wide * self._size(), color, depth=self._depth)

    def _decal(self, texture: Texture, retro: float) -> None:
        item = self._item
        half, top = item.width / 2, item.z + item.height
        matrix = self.camera.matrix
        across = np.array([self._right[0], self._right[1], 0.0]) * item.width
        corner = np.array([self._x - half * self._right[0], self._y - half * self._right[1], top, 1.0])
        mapped = np.stack([matrix[:, :3] @ across, matrix[:, 2] * -item.height, matrix @ corner], axis=1)
        pixels = self._pixels([(-half, 0, item.z), (half, 0, item.z), (half, 0, top), (-half, 0, top)])
        if pixels is not None:
            self._reach(pixels)
            self.canvas.decal(texture, mapped, item.color, depth=self._depth, owner=self._owner, retro=retro)

    # ---- kinds

    def _sign(self, item: Item) -> None:
        self._post(0, 0, item.z + item.height / 2, 0.07)
        self._decal(textures.sign_face(item.name, item.text, item.variant), 1.0)

    def _board(self, item: Item) -> None:
        if item.z < 4:
            for side in (-0.3, 0.3):
                self._post(side * item.width, 0, item.z, 0.09)
        self._decal(textures.board_face(item.text, item.variant, round(item.length)), 0.9)

    def _billboard(self, item: Item) -> None:
        for side in (-0.3, 0.3):
            self._post(side * item.width, 0, item.z, 0.14)
        self._decal(textures.billboard_face(item.variant), 0.05)

    def _shop_sign(self, item: Item) -> None:
        self._post(0, 0, item.z + item.height / 2, 0.08, (0.3, 0.3, 0.32))
        self._decal(textures.shop_face(item.variant), 0.3)

    def _speed_camera(self, item: Item) -> None:
        shade = (0.72, 0.42, 0.86)[item.variant]
        body = [shade * value for value in item.color]
        if item.variant == 2 and item.name == "pole":
            body = [0.9, 0.7, 0.1]
        left, right, bottom, top = -item.width / 2, item.width / 2, item.z, item.z + item.height
        if item.name == "pole":
            self._post(0, 0, bottom + 0.05, 0.16)
        else:
            self._post(0, top, top + 0.35, 0.1)
        self._rectangle(left, bottom, right, top, body)
        if item.name == "pole":  # two windows, one above the other
            self._rectangle(left * 0.62, bottom + item.height * 0.55, right * 0.62, top - item.height * 0.1, DARK)
            self._rectangle(left * 0.62, bottom + item.height * 0.12, right * 0.62, bottom + item.height * 0.42, DARK)
            self._lens(0.0, bottom + item.height * 0.72, item.width * 0.16)
        else:  # a hood, a dark front with a lens, and a flash lamp
            self._rectangle(
                left, top - item.height * 0.16, right, top + item.height * 0.04, [value * 1.12 for value in body], -0.1
            )
            self._rectangle(left * 0.8, bottom + item.height * 0.12, right * 0.8, top - item.height * 0.22, DARK)
            self._lens(left * 0.3, bottom + item.height * 0.45, item.width * 0.15)
            self._rectangle(
                right * 0.25, bottom + item.height * 0.3, right * 0.65, bottom + item.height * 0.62, (0.75, 0.78, 0.8)
            )

    def _lens(self, a: float, z: float, radius: float) -> None:
        pixels = self._pixels([(a, -0.05, z)])
        if pixels is not None:
            size = radius * self._size()
            for scale, color in ((1.0, (0.55, 0.6, 0.68)), (0.65, (0.1, 0.1, 0.25))):
                self.canvas.ellipse(
                    pixels[0], (size * scale, size * scale), color, depth=self._depth, owner=self._owner
                )

    def _cone(self, item: Item) -> None:
        base, high = item.width / 2, item.height
        orange = [value * shade for value, shade in zip(item.color, (0.95, 0.33, 0.06), strict=True)]
        self._shape(
            [(-base, 0, 0), (base, 0, 0), (base, 0, 0.05 * high), (-base, 0, 0.05 * high)],
            [0.5 * value for value in orange],
        )

        def ring(low: float, top: float, color: ArrayLike, retro: float) -> None:
            wide = [(1 - part) * base * 0.72 + part * 0.03 for part in (low, top)]
            self._shape(
                [
                    (-wide[0], 0, low * high),
                    (wide[0], 0, low * high),
                    (wide[1], 0, top * high),
                    (-wide[1], 0, top * high),
                ],
                color,
                retro,
            )

        ring(0.03, 1.0, orange, 0.3)
        ring(0.35, 0.52, (0.93, 0.93, 0.93), 0.8)
        ring(0.66, 0.8, (0.93, 0.93, 0.93), 0.8)

    def _vehicle(self, item: Item) -> None:
        half, high, long = item.width / 2, item.height, item.length
        away = abs(item.turn) < 1
        body = np.asarray(item.color)
        pale, glass = body * 0.8 + 0.06, (0.13, 0.16, 0.19)
        self._shape(
            [
                (-half * 1.06, -0.1, 0.01),
                (half * 1.06, -0.1, 0.01),
                (half * 1.06, long, 0.01),
                (-half * 1.06, long, 0.01),
            ],
            (0.03, 0.03, 0.03),
            owned=False,
            flat=True,
            alpha=0.55,
        )
        side = -half if self._x > 0 else half  # the side that the camera sees
        if item.name == "car":
            waist, floor = high * 0.58, 0.2
            self._shape([(side, 0, floor), (side, long, floor), (side, long, waist), (side, 0, waist)], pale * 0.8)
            inner = side * 0.82
            self._shape(
                [(side, 0.2, waist), (side, long * 0.7, waist), (inner, long * 0.55, high), (inner, 0.7, high)], glass
            )
        else:
            waist, floor = high, 0.3
            self._shape([(side, 0, floor), (side, long, floor), (side, long, high), (side, 0, high)], pale * 0.8)
        for wheel in (0.15, 0.78):  # on the visible side, then what is seen of the tyres from behind
            self._shape(
                [
                    (side, long * wheel, 0),
                    (side, long * (wheel + 0.13), 0),
                    (side, long * (wheel + 0.13), 0.55),
                    (side, long * wheel, 0.55),
                ],
                DARK,
            )
        for wheel in (-0.85, 0.62):
            self._rectangle(wheel * half, 0, (wheel + 0.23) * half, 0.4, DARK)
        self._rectangle(-half, floor, half, waist, body)
        if item.name == "car":
            self._shape(
                [
                    (-half * 0.96, 0.1, waist),
                    (half * 0.96, 0.1, waist),
                    (half * 0.74, 0.6, high),
                    (-half * 0.74, 0.6, high),
                ],
                pale,
            )
            self._shape(
                [
                    (-half * 0.84, 0.12, waist * 1.04),
                    (half * 0.84, 0.12, waist * 1.04),
                    (half * 0.66, 0.5, high * 0.95),
                    (-half * 0.66, 0.5, high * 0.95),
                ],
                glass,
            )
        elif not away:
            self._rectangle(-half * 0.88, high * 0.5, half * 0.88, high * 0.82, glass, -0.02)
        elif item.name == "van":
            self._rectangle(-half * 0.8, high * 0.6, half * 0.8, high * 0.9, glass, -0.02)
        else:
            self._rectangle(-0.015, floor * 2, 0.015, high * 0.97, pale * 0.6, -0.02)
        light = (0.75, 0.05, 0.05) if away else (0.98, 0.97, 0.88)
        lower = min(high * 0.36, 0.7)
        for a in (-half * 0.95, half * 0.68):
            self._rectangle(a, lower, a + half * 0.27, lower + 0.2, light, -0.03, 1.3 if away else 2.0)
        self._rectangle(-half * 0.3, lower - 0.12, half * 0.3, lower + 0.02, (0.9, 0.9, 0.86), -0.03, 0.5)
        self._rectangle(-half, floor, half, floor + 0.12, body * 0.35, -0.02)

    def _arrow(self, item: Item) -> None:
        long, wide = item.length, 0.085
        back = abs(item.turn) > 1

        def piece(places: Sequence[tuple[float, float]]) -> None:
            points = []
            for a, b in places:
                a, b = (-a, long - b) if back else (a, b)
                points.append(self.arc.place(self._s + b, item.d + a)[:2])
            pixels, depths = self.camera.project(points)
            if depths.min() > NEAR:
                self._reach(pixels)
                self.canvas.polygon(pixels, (0.91, 0.91, 0.90), owner=self._owner, retro=0.4, flat=True, alpha=0.92)

        if "ahead" in item.name:
            piece([(-wide, 0), (wide, 0), (wide, 0.66 * long), (-wide, 0.66 * long)])
            piece([(-0.34, 0.64 * long), (0.34, 0.64 * long), (0, long)])
        for name, sign in (("left", -1), ("right", 1)):
            if name in item.name:
                top = 0.72 if item.name == name else 0.42
                piece([(-wide, 0), (wide, 0), (wide, top * long), (-wide, top * long)])
                piece(
                    [
                        (-wide * sign, (top - 0.14) * long),
                        (-wide * sign, top * long),
                        (0.42 * sign, (top + 0.1) * long),
                        (0.42 * sign, (top - 0.02) * long),
                    ]
                )
                piece(
                    [
                        (0.38 * sign, (top - 0.1) * long),
                        (0.38 * sign, (top + 0.2) * long),
                        (0.85 * sign, (top + 0.08) * long),
                    ]
                )

    def _tree(self, item: Item) -> None:
        rng = np.random.default_rng(item.variant)
        self._post(0, 0, item.height * 0.5, 0.28, (0.23, 0.17, 0.11))
        pixels = self._pixels([(0, 0, item.height * 0.66)])
        if pixels is None:
            return
        size = self._size()
        green = np.array([0.16, 0.27, 0.10]) * (0.7 + 0.6 * rng.random()) * (1 + 0.25 * (rng.random(3) - 0.5))
        for shade in (0.8, 0.95, 1.1):
            shift = (rng.random(2) - 0.5) * (item.width * 0.6, item.height * 0.25) * size
            radii = np.array([item.width * 0.36, item.height * 0.24]) * size * (0.8 + 0.5 * rng.random())
            self.canvas.ellipse(pixels[0] + shift, radii, green * shade, depth=self._depth)

    def _lamp(self, item: Item) -> None:
        if item.name == "box":
            self._rectangle(-0.45, item.z, 0.45, item.z + 0.25, (0.4, 0.41, 0.42))
            return
        self._post(0, 0, item.height, 0.12)
        pixels = self._pixels([(0, 0, item.height), (-1.2 if item.d > 0 else 1.2, 0, item.height + 0.1)])
        if pixels is not None:
            self.canvas.stroke(pixels, 0.12 * self._size(), POST, depth=self._depth)

    def _house(self, item: Item) -> None:
        half, high, color = item.width / 2, item.height, np.asarray(item.color)
        side = -half if item.d > 0 else half
        self._shape([(side, 0, 0), (side, item.length, 0), (side, item.length, high), (side, 0, high)], color * 0.75)
        self._rectangle(-half, 0, half, high, color)
        glass = (0.2, 0.24, 0.28)
        for row in range(max(int(high / 3), 1)):
            for column in range(3):
                a, z = (column - 1.35) * half * 0.6, 1.0 + 3 * row
                self._rectangle(a, z, a + half * 0.28, z + 1.3, glass, -0.02)
                b = item.length * (0.12 + 0.3 * column)
                self._shape([(side, b, z), (side, b + 1.3, z), (side, b + 1.3, z + 1.3), (side, b, z + 1.3)], glass)

    def _gantry(self, item: Item) -> None:
        half = item.width / 2
        for side in (-half, half):
            self._post(side, 0, item.z + item.height, 0.28, item.color)
        self._rectangle(-half, item.z, half, item.z + item.height, item.color)
        self._rectangle(
            -half, item.z + item.height * 0.4, half, item.z + item.height * 0.55, [value * 0.6 for value in item.color]
        )


_PAINT: dict[str, Callable[[Painter, Item], None]] = {
    "sign": Painter._sign,
    "board": Painter._board,
    "billboard": Painter._billboard,
    "shop sign": Painter._shop_sign,
    "speed camera": Painter._speed_camera,
    "cone": Painter._cone,
    "vehicle": Painter._vehicle,
    "arrow": Painter._arrow,
    "tree": Painter._tree,
    "lamp": Painter._lamp,
    "house": Painter._house,
    "gantry": Painter._gantry,
}
