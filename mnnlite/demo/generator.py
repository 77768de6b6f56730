"""Roads made up from a seed."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from mnnlite.demo.classes import SIGNS, SPEEDS, SYMBOLS
from mnnlite.demo.world import SIGN_SIDE, Item, Line, Look, Road, World

__all__ = ["random_text", "random_tint", "random_world"]

PLACES = (
    "ULM", "BONN", "KIEL", "KOELN", "ESSEN", "JENA", "GERA", "HOF", "TRIER", "AALEN",
    "BERN", "BASEL", "CHUR", "ZUG", "WIEN", "GRAZ", "LINZ", "WELS", "PARIS", "LYON",
    "NICE", "METZ", "LILLE", "BREST", "ROMA", "MILANO", "PISA", "BARI", "OSLO", "BERGEN",
    "LUND", "MALMO", "TURKU", "OULU", "RIGA", "KAUNAS", "PRAHA", "BRNO", "ZAGREB", "SPLIT",
    "DELFT", "GENT", "BRUGGE", "YORK", "LEEDS", "BATH", "DOVER", "PORTO", "FARO", "VIGO",
    "CADIZ", "XIAN", "WUHAN", "JINAN", "HEFEI", "QINGDAO", "EXIT", "CENTRUM", "NORD", "SUED",
    "OST", "WEST",
)  # fmt: skip


def random_world(
    rng: np.random.Generator, seed: int, near: float = 4.0, far: float = 70.0, crowd: float = 1.0
) -> World:
    """Make up a stretch of road.

    Parameters
    ----------
    rng : numpy.random.Generator
    seed : int
        Kept with the world; what is random while it is painted comes from it.
    near, far : float
        Where objects stand, in metres along the road.
    crowd : float
        How many there are; 1 is right for the 66 metres of the defaults.
    """
    road = _road(rng)
    return World(seed, road, _look(rng), _Maker(rng, road, near, far, crowd).items())


def _choose(rng: np.random.Generator, options: dict[str, float]) -> str:
    names = list(options)
    return names[int(np.searchsorted(np.cumsum(list(options.values())), rng.random() * sum(options.values())))]


def _between(rng: np.random.Generator, low: float, high: float) -> float:
    return float(low + (high - low) * rng.random())


def _road(rng: np.random.Generator) -> Road:
    surface = _choose(rng, {"dry": 0.42, "wet": 0.25, "snow": 0.18, "unpaved": 0.15})
    curvature = _between(rng, -1, 1) ** 3 / 90
    width = _between(rng, 2.9, 3.8)
    count = 2 if surface == "unpaved" else int(rng.integers(1, 5))
    own = int(rng.integers(max(count // 2, 0), count))
    one_way = rng.random() < 0.35
    offset = _between(rng, -0.45, 0.45)
    left = -(own + 0.5) * width + offset
    right = left + count * width
    lanes = tuple(left + (index + 0.5) * width for index in range(count))
    oncoming = tuple(not one_way and index < count // 2 and index != own for index in range(count))
    grey, white = _between(rng, 0.22, 0.45), _between(rng, 0.56, 0.70)
    tones = {
        "dry": (grey, grey, grey * _between(rng, 0.96, 1.06)),
        "wet": (grey * 0.62, grey * 0.64, grey * 0.70),
        "snow": (white, white * 1.03, white * 1.08),
        "unpaved": (_between(rng, 0.48, 0.60), _between(rng, 0.40, 0.47), _between(rng, 0.28, 0.36)),
    }
    green, sand = (0.24, 0.36, 0.14), (0.47, 0.42, 0.30)
    mix = rng.random()
    verge = tuple((g + (s - g) * mix) * _between(rng, 0.8, 1.2) for g, s in zip(green, sand, strict=True))
    if rng.random() < 0.35:
        verge = (0.52, 0.50, 0.48)  # a pavement
    if surface == "snow":
        verge = (0.86, 0.88, 0.92)
    shoulder = _between(rng, 0.25, 1.3)
    return Road(
        curvature,
        left - shoulder,
        right + shoulder,
        width,
        lanes,
        oncoming,
        _lines(rng, surface, left, right, shoulder, width, count, one_way),
        surface,
        tones[surface],
        verge,  # type: ignore[arg-type]
        _between(rng, 0.02, 0.09),
    )


def _lines(
    rng: np.random.Generator,
    surface: str,
    left: float,
    right: float,
    shoulder: float,
    width: float,
    count: int,
    one_way: bool,
) -> tuple[Line, ...]:
    if surface == "unpaved":
        return ()
    worn = _between(rng, 0.55, 1.0) if surface != "snow" else _between(rng, 0.5, 0.75)
    thick = _between(rng, 0.11, 0.2)
    yellow = rng.random() < 0.4
    lines = []
    for edge, side in ((left, -1), (right, 1)):
        style = _choose(rng, {"solid": 0.55, "kerb": 0.3, "bare": 0.15})
        if style == "kerb":
            lines.append(Line("kerb", edge + side * shoulder, width=_between(rng, 0.18, 0.32)))
        if style == "solid" or (style == "kerb" and shoulder > 0.7 and rng.random() < 0.6):
            lines.append(
                Line("solid", edge, "yellow" if yellow and one_way and side < 0 else "white", thick, worn=worn)
            )
    period = _between(rng, 6.0, 12.5)
    dash = period * _between(rng, 0.33, 0.5)
    for index in range(1, count):
        middle = not one_way and index == count // 2
        style = _choose(
            rng, {"dashed": 0.4, "solid": 0.25, "double": 0.35} if middle else {"dashed": 0.85, "solid": 0.15}
        )
        color = "yellow" if yellow and middle else "white"
        lines.append(Line(style, left + index * width, color, thick, period, dash, worn))
    return tuple(lines)


def _look(rng: np.random.Generator) -> Look:
    light = _choose(rng, {"day": 0.58, "dusk": 0.14, "night": 0.14, "glare": 0.14})
    weather = _choose(rng, {"clear": 0.4, "cloudy": 0.3, "rain": 0.13, "fog": 0.09, "snowfall": 0.08})
    warm = _between(rng, -0.06, 0.06)
    level = {"day": _between(rng, 0.8, 1.15), "dusk": _between(rng, 0.35, 0.6), "night": _between(rng, 0.1, 0.2)}.get(
        light, 0.95
    )
    if light == "dusk":
        warm += 0.08
    return Look(
        light,
        weather,
        (level * (1 + warm), level, level * (1 - warm + (0.12 if light == "night" else 0))),
        {"night": _between(rng, 0.7, 1.0), "dusk": _between(rng, 0.1, 0.35)}.get(light, 0.0),
        {"fog": _between(rng, 0.012, 0.03), "rain": 0.005, "snowfall": 0.007}.get(
            weather, _between(rng, 0.0005, 0.003)
        ),
        _between(rng, 0.006, 0.03) * (1.4 if light == "night" else 1.0),
        (_between(rng, -2.5, 2.5), _between(rng, -1.5, 1.5)) if rng.random() < 0.35 else (0.0, 0.0),
        _between(rng, 0.0, 0.8),
        _between(rng, 0.85, 1.2),
        (_between(rng, 0.1, 0.9), _between(rng, 0.05, 0.4), _between(rng, 0.4, 0.9))
        if light == "glare"
        else (0.0, 0.0, 0.0),
    )


def random_text(rng: np.random.Generator) -> str:
    """What a board says: a place, the number of a route, or letters and digits."""
    kind = rng.random()
    if kind < 0.3:
        return PLACES[int(rng.integers(0, len(PLACES)))]
    if kind < 0.65:  # the number of a route
        return SYMBOLS[10 + int(rng.integers(0, 26))] + str(int(rng.integers(1, 10 ** int(rng.integers(1, 4)))))
    return "".join(SYMBOLS[int(value)] for value in rng.integers(0, len(SYMBOLS), int(rng.integers(2, 7))))


def random_tint(rng: np.random.Generator) -> tuple[float, float, float]:
    """What age and light do to a face."""
    level = _between(rng, 0.72, 1.05)
    return level * _between(rng, 0.95, 1.05), level, level * _between(rng, 0.93, 1.05)


class _Maker:
    """Puts objects along a road. What it asks of `rng`, and in which order, is part of what a seed means."""

    def __init__(self, rng: np.random.Generator, road: Road, near: float, far: float, crowd: float) -> None:
        self.rng, self.road, self.near, self.far, self.crowd = rng, road, near, far, crowd
        self.made: list[Item] = []

    def add(self, kind: str, s: float, d: float, **what: Any) -> None:
        self.made.append(Item(len(self.made) + 1, kind, s, d, **what))

    def number(self, mean: float) -> int:
        return int(self.rng.poisson(mean * self.crowd))

    def reach(self, power: float = 1.4, least: float = 0.0) -> float:
        """More near than far; over a long stretch evenly."""
        start = self.near + least
        part = float(self.rng.random()) ** (power if self.crowd <= 1 else 1.0)
        return float(start + (self.far - start) * part)

    def beside(self, least: float = 0.4, most: float = 2.6) -> float:
        side = 1 if self.rng.random() < 0.72 else -1
        edge = self.road.right if side > 0 else -self.road.left
        return side * (edge + _between(self.rng, least, most))

    def off(self, least: float, most: float) -> float:
        if self.rng.random() < 0.5:
            return self.road.right + _between(self.rng, least, most)
        return self.road.left - _between(self.rng, least, most)

    def items(self) -> tuple[Item, ...]:
        """Everything."""
        rng, road = self.rng, self.road
        for _ in range(self.number(1.5)):
            self._signs()
        for _ in range(self.number(0.7)):
            high, text = _between(rng, 0.6, 0.95), random_text(rng)
            self._board(self.reach(least=5), self.beside(1.4, 3.0), high, _between(rng, 1.3, 2.3), text)
        for _ in range(self.number(0.38)):
            self._gantry(self.reach(1.0, 14))
        for _ in range(self.number(0.22)):
            self.add(
                "speed camera",
                self.reach(least=4),
                self.beside(0.5, 1.8),
                width=_between(rng, 0.6, 0.8),
                height=_between(rng, 0.75, 1.0),
                z=_between(rng, 1.8, 2.8),
                variant=int(rng.integers(0, 3)),
                color=random_tint(rng),
                name="pole",
            )
        for _ in range(self.number(0.3)):
            s, d, step = self.reach(), _between(rng, road.left, road.right), _between(rng, 1.5, 5.0)
            if abs(d) < 1.2:
                d += math.copysign(1.2, d)
            for index in range(int(rng.integers(1, 6))):
                high = _between(rng, 0.6, 0.85)
                self.add(
                    "cone",
                    s + index * step,
                    d + index * _between(rng, -0.1, 0.1),
                    width=high * 0.62,
                    height=high,
                    color=random_tint(rng),
                )
        for lane, oncoming in zip(road.lanes, road.oncoming, strict=True):
            for _ in range(self.number(0.75)):
                self._vehicle(
                    self.reach(1.2, 6.0 if abs(lane) < 1.8 else 1.0), lane + _between(rng, -0.3, 0.3), oncoming
                )
        if rng.random() < 0.15:
            for index in range(int(rng.integers(1, 4))):  # parked beside the road
                self._vehicle(self.near + 6 + 9 * index + _between(rng, 0, 2), road.right + 1.1, False, parked=True)
        if road.surface != "unpaved":
            for _ in range(self.number(0.45)):
                lane = road.lanes[int(rng.integers(0, len(road.lanes)))]
                name = _choose(rng, {"ahead": 0.4, "left": 0.2, "right": 0.2, "ahead left": 0.1, "ahead right": 0.1})
                back = road.oncoming[road.lanes.index(lane)]
                self.add(
                    "arrow",
                    self.reach(1.3, 1.0),
                    lane,
                    width=0.5,
                    length=_between(rng, 4.0, 6.0),
                    name=name,
                    turn=math.pi if back else 0.0,
                )
            for _ in range(self.number(0.3)):
                self.add(
                    "crosswalk",
                    self.reach(1.2, 2.0),
                    (road.left + road.right) / 2,
                    width=road.right - road.left - 0.3,
                    length=_between(rng, 2.8, 4.2),
                    variant=int(rng.integers(0, 3)),
                    color=random_tint(rng),
                )
        self._scenery()
        return tuple(self.made)

    def _signs(self) -> None:
        """A sign on a pole, or two."""
        rng = self.rng
        name = SIGNS[int(rng.integers(0, len(SIGNS) - 1))] if rng.random() < 0.7 else "speed limit"
        text = self._text_of(name)
        side = SIGN_SIDE * _between(rng, 0.9, 1.2)
        s, d, z = self.reach(least=3), self.beside(), _between(rng, 1.5, 2.4)
        turn = _between(rng, -0.25, 0.25)
        for last in (False, True):
            common: dict[str, Any] = {"variant": int(rng.integers(0, 4)), "color": random_tint(rng)}
            self.add("sign", s, d, width=side, height=side, z=z, turn=turn, name=name, text=text, **common)
            if last or rng.random() >= 0.15:
                return
            name = SIGNS[int(rng.integers(0, len(SIGNS) - 1))]
            text = self._text_of(name)
            z += side * 1.06

    def _text_of(self, sign: str) -> str:
        if sign == "speed limit":
            return SPEEDS[int(self.rng.integers(0, len(SPEEDS)))]
        return "STOP" if sign == "stop" else ""

    def _board(self, s: float, d: float, high: float, z: float, text: str) -> None:
        rng = self.rng
        aspect = 2 if len(text) <= 3 else 3 if len(text) <= 5 else 4
        self.add(
            "board",
            s,
            d + math.copysign(high * aspect / 2 - 0.8, d),
            width=high * aspect,
            height=high,
            z=z,
            turn=_between(rng, -0.2, 0.2),
            text=text,
            variant=int(rng.integers(0, 4)),
            length=aspect,
            color=random_tint(rng),
        )

    def _gantry(self, s: float) -> None:
        rng, road = self.rng, self.road
        z = _between(rng, 4.9, 5.8)
        left, right = road.left - 0.8, road.right + 0.8
        self.add("gantry", s, (left + right) / 2, width=right - left, z=z + 0.3, height=0.35, color=(0.55, 0.57, 0.58))
        for lane in road.lanes:
            what = _choose(rng, {"camera": 0.55, "board": 0.25, "lamp": 0.1, "none": 0.1})
            if what == "camera":
                self.add(
                    "speed camera",
                    s - 0.3,
                    lane + _between(rng, -0.4, 0.4),
                    width=_between(rng, 0.65, 0.9),
                    height=_between(rng, 0.55, 0.75),
                    z=z - 0.25,
                    variant=int(rng.integers(0, 3)),
                    color=random_tint(rng),
                    name="gantry",
                )
            elif what == "board":
                text = random_text(rng)
                high = _between(rng, 0.75, 1.0)
                aspect = 2 if len(text) <= 3 else 3 if len(text) <= 5 else 4
                self.add(
                    "board",
                    s - 0.3,
                    lane,
                    width=high * aspect,
                    height=high,
                    z=z + 0.1,
                    text=text,
                    variant=int(rng.integers(0, 2)),
                    length=aspect,
                    color=random_tint(rng),
                )
            elif what == "lamp":
                self.add("lamp", s - 0.2, lane, width=0.9, height=0.25, z=z - 0.1, name="box", color=random_tint(rng))

    def _vehicle(self, s: float, d: float, oncoming: bool, parked: bool = False) -> None:
        rng = self.rng
        shape = _choose(rng, {"car": 0.68, "van": 0.18, "truck": 0.14})
        width, height, length = {"car": (1.78, 1.48, 4.3), "van": (1.95, 2.1, 5.2), "truck": (2.45, 3.4, 8.5)}[shape]
        scale = _between(rng, 0.93, 1.07)
        shade = _between(rng, 0.08, 0.9)
        color = (
            (shade, shade, shade)
            if rng.random() < 0.6
            else tuple(float(value) for value in 0.08 + 0.75 * rng.random(3))
        )
        speed = 0.0 if parked else -_between(rng, 10, 16) if oncoming else _between(rng, 6, 15)
        self.add(
            "vehicle",
            s,
            d,
            width=width * scale,
            height=height * scale,
            length=length * scale,
            name=shape,
            color=color,
            speed=speed,
            turn=math.pi if oncoming else 0.0,
        )

    def _scenery(self) -> None:
        rng = self.rng
        for _ in range(self.number(0.55)):
            wide = _between(rng, 1.6, 4.0)
            self.add(
                "billboard",
                self.reach(1.2, 6),
                self.off(2.5 + wide / 2, 8),
                width=wide,
                height=wide * _between(rng, 0.4, 0.8),
                z=_between(rng, 0.8, 3.0),
                turn=_between(rng, -0.4, 0.4),
                variant=int(rng.integers(0, 1 << 30)),
                color=random_tint(rng),
            )
        for _ in range(self.number(0.7)):
            side = _between(rng, 0.5, 1.1)
            self.add(
                "shop sign",
                self.reach(1.4, 3),
                self.off(0.8, 5),
                width=side,
                height=side,
                z=_between(rng, 1.6, 3.2),
                turn=_between(rng, -0.3, 0.3),
                variant=int(rng.integers(0, 1 << 30)),
                color=random_tint(rng),
            )
        for _ in range(self.number(3.0)):
            self.add(
                "tree",
                self.reach(1.0, 4),
                self.off(2.0, 14),
                width=_between(rng, 2.0, 5.0),
                height=_between(rng, 4.0, 9.0),
                variant=int(rng.integers(0, 1 << 30)),
            )
        for _ in range(self.number(1.0)):
            self.add("lamp", self.reach(1.0, 4), self.off(0.5, 1.5), height=_between(rng, 5.0, 8.0), name="pole")
        for _ in range(self.number(0.9)):
            shade = _between(rng, 0.35, 0.85)
            self.add(
                "house",
                self.reach(0.8, 10),
                self.off(7, 16),
                width=_between(rng, 6, 12),
                height=_between(rng, 4, 11),
                length=_between(rng, 6, 14),
                color=(shade, shade * _between(rng, 0.8, 1.0), shade * _between(rng, 0.65, 0.95)),
                variant=int(rng.integers(0, 1 << 30)),
            )
