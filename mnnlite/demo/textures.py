"""Faces of signs and boards as textures, painted once and kept."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from mnnlite.demo.canvas import Face, Texture, pyramid

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike

__all__ = ["BOARDS", "billboard_face", "board_face", "shop_face", "sign_face"]

SIDE = 96  # of a sign's texture, in texels
RED, WHITE, BLACK, BLUE, YELLOW = (
    (0.78, 0.06, 0.09),
    (0.95, 0.95, 0.94),
    (0.05, 0.05, 0.06),
    (0.05, 0.25, 0.66),
    (0.97, 0.76, 0.06),
)
# Ground and text of boards.
BOARDS = (
    ((0.04, 0.27, 0.62), WHITE),
    ((0.02, 0.42, 0.24), WHITE),
    (WHITE, BLACK),
    ((0.98, 0.80, 0.10), BLACK),
)
_CENTER = (SIDE / 2, SIDE / 2)


def _regular(corners: int, radius: float, turn: float) -> list[tuple[float, float]]:
    angles = [turn + 2 * math.pi * index / corners for index in range(corners)]
    return [(SIDE / 2 + radius * math.sin(angle), SIDE / 2 - radius * math.cos(angle)) for angle in angles]


def _disc(face: Face, radius: float, color: ArrayLike) -> None:
    face.ellipse(_CENTER, (radius, radius), color)


def _triangle(face: Face, up: bool, rim: float) -> None:
    """A white triangle with a red rim."""
    for inset, color in ((1.0, WHITE), (2.5, RED), (rim, WHITE)):
        tip, base = (3 + 1.7 * inset, SIDE - 7 - inset) if up else (SIDE - 3 - 1.7 * inset, 7 + inset)
        face.polygon([(SIDE / 2, tip), (SIDE - 2 - 1.7 * inset, base), (2 + 1.7 * inset, base)], color)


def _speed_limit(face: Face, text: str, rim: float) -> None:
    _disc(face, 47, WHITE)
    _disc(face, 46, RED)
    _disc(face, 46 - rim, WHITE)
    wide = 29 if len(text) > 2 else 23
    face.text(text, (SIDE / 2 - wide, 30, SIDE / 2 + wide, 66), BLACK, 0.19)


def _end_of_limits(face: Face, text: str, rim: float) -> None:
    _disc(face, 47, BLACK)
    _disc(face, 45, WHITE)
    for shift in (-12, -4, 4, 12):
        face.stroke([(24 + shift, 76 + shift * 0.4), (72 + shift, 20 + shift * 0.4)], 3.2 + 0.1 * rim, BLACK)


def _no_entry(face: Face, text: str, rim: float) -> None:
    _disc(face, 47, WHITE)
    _disc(face, 45.5, RED)
    half = 5 + rim * 0.35
    face.polygon([(16, 48 - half), (80, 48 - half), (80, 48 + half), (16, 48 + half)], WHITE)


def _no_parking(face: Face, text: str, rim: float) -> None:
    _disc(face, 47, WHITE)
    _disc(face, 46, RED)
    _disc(face, 46 - rim, BLUE)
    face.stroke([(20, 20), (76, 76)], rim, RED)


def _give_way(face: Face, text: str, rim: float) -> None:
    _triangle(face, False, 7 + rim * 0.7)


def _stop(face: Face, text: str, rim: float) -> None:
    face.polygon(_regular(8, 48.5, math.pi / 8), WHITE)
    face.polygon(_regular(8, 46.5 - rim * 0.1, math.pi / 8), RED)
    face.text(text, (13, 33, 83, 63), WHITE, 0.19)


def _priority_road(face: Face, text: str, rim: float) -> None:
    for radius, color in ((48, BLACK), (46.5, WHITE), (34 + rim * 0.2, BLACK), (32 + rim * 0.2, YELLOW)):
        face.polygon(_regular(4, radius, 0), color)


def _danger(face: Face, text: str, rim: float) -> None:
    _triangle(face, True, 7 + rim * 0.5)
    face.stroke([(48, 42), (48, 64)], 8, BLACK)
    face.ellipse((48, 75), (4.6, 4.6), BLACK)


def _curve(face: Face, text: str, rim: float) -> None:
    _triangle(face, True, 7 + rim * 0.5)
    face.stroke([(43, 80), (43, 66), (49, 60), (54, 54)], 6.5, BLACK)
    face.polygon([(45, 50), (59, 45), (59, 61)], BLACK)


def _crossroads(face: Face, text: str, rim: float) -> None:
    _triangle(face, True, 7 + rim * 0.5)
    face.stroke([(34, 80), (62, 52)], 6.5, BLACK)
    face.stroke([(62, 80), (34, 52)], 6.5, BLACK)


def _keep_right(face: Face, text: str, rim: float) -> None:
    _disc(face, 47, WHITE)
    _disc(face, 45.5 - rim * 0.1, BLUE)
    face.stroke([(28, 28), (60, 60)], 10, WHITE)
    face.polygon([(72, 72), (72, 44), (44, 72)], WHITE)


def _crosswalk_ahead(face: Face, text: str, rim: float) -> None:
    face.polygon([(2, 2), (94, 2), (94, 94), (2, 94)], WHITE)
    face.polygon([(4, 4), (92, 4), (92, 92), (4, 92)], BLUE)
    face.polygon([(48, 10 + rim * 0.3), (88, 84), (8, 84)], WHITE)
    face.ellipse((48, 38), (5, 5), BLACK)
    face.stroke([(48, 44), (48, 58), (40, 74)], 6.5, BLACK)
    face.stroke([(48, 58), (57, 74)], 6, BLACK)
    face.stroke([(38, 54), (48, 47), (58, 54)], 4.5, BLACK)
    for x in (20, 34, 62, 76):
        face.stroke([(x, 78), (x + 4, 78)], 3, BLACK)


_PAINTERS: dict[str, Callable[[Face, str, float], None]] = {
    "speed limit": _speed_limit,
    "end of limits": _end_of_limits,
    "no entry": _no_entry,
    "no parking": _no_parking,
    "give way": _give_way,
    "stop": _stop,
    "priority road": _priority_road,
    "danger": _danger,
    "curve": _curve,
    "crossroads": _crossroads,
    "keep right": _keep_right,
    "crosswalk ahead": _crosswalk_ahead,
}


@lru_cache(maxsize=256)
def sign_face(sign: str, text: str, variant: int) -> Texture:
    """The face of a sign; variants (0 to 3) differ in the thickness of rims."""
    face = Face(SIDE, SIDE)
    _PAINTERS[sign](face, text, (7.0, 8.5, 10.0, 11.5)[variant])
    return pyramid(face.picture)


@lru_cache(maxsize=64)
def board_face(text: str, style: int, aspect: int) -> Texture:
    """A board with a text and a rim; `aspect` is its width over its height."""
    ground, ink = BOARDS[style]
    wide = SIDE // 2 * aspect
    face = Face(wide, SIDE // 2)
    face.polygon([(0, 0), (wide, 0), (wide, 48), (0, 48)], ground)
    for y in (2.5, 45.5):
        face.stroke([(3, y), (wide - 3, y)], 1.6, ink)
    for x in (2.5, wide - 2.5):
        face.stroke([(x, 3), (x, 45)], 1.6, ink)
    face.text(text, (9, 10.5, wide - 9, 37.5), ink, 0.18)
    return pyramid(face.picture)


@lru_cache(maxsize=64)
def billboard_face(seed: int) -> Texture:
    """An advertisement: areas of colour and lines that are nobody's text. It is no board."""
    rng = np.random.default_rng(seed)
    face = Face(96, 64)
    face.polygon([(0, 0), (96, 0), (96, 64), (0, 64)], rng.random(3) * 0.9)
    for _ in range(3):
        x, y = rng.random(2) * (96, 64)
        if rng.random() < 0.5:
            face.ellipse((x, y), 4 + rng.random(2) * 22, rng.random(3))
        else:
            wide, high = 6 + rng.random(2) * 30
            face.polygon([(x, y), (x + wide, y), (x + wide, y + high), (x, y + high)], rng.random(3))
    ink = rng.random(3)
    for line in range(int(rng.integers(1, 4))):
        y, x = 12 + 16 * line + 6 * rng.random(), 8 + 30 * rng.random()
        face.stroke([(x, y), (x + 20 + 40 * rng.random(), y)], 2 + 4 * rng.random(), ink)
    return pyramid(face.picture)


@lru_cache(maxsize=64)
def shop_face(seed: int) -> Texture:
    """A shop's sign: as round or square as a road sign, in colours and with a picture that no road sign has."""
    rng = np.random.default_rng(seed)
    face = Face(SIDE, SIDE)
    ground, ink = rng.random(3) * 0.95, rng.random(3)
    if rng.random() < 0.6:
        _disc(face, 47, ink)
        _disc(face, 47 - 12 * rng.random(), ground)
    else:
        face.polygon(_regular(int(rng.integers(4, 7)), 47, math.pi / 4 * rng.random()), ground)
    shape = int(rng.integers(0, 4))
    if shape == 0:
        face.text("".join(chr(65 + value) for value in rng.integers(0, 26, 2)), (24, 34, 72, 62), ink, 0.2)
    elif shape == 1:
        face.polygon(_regular(3 + int(rng.integers(0, 4)), 20 + 10 * rng.random(), 6 * rng.random()), ink)
    elif shape == 2:
        face.stroke(20 + rng.random((4, 2)) * 56, 6 + 4 * rng.random(), ink)
    else:
        face.ellipse(_CENTER, 10 + rng.random(2) * 18, ink)
        face.ellipse((48, 40), (8, 8), ground)
    return pyramid(face.picture)
