"""Boxes, labels, areas and lines on a picture, in plain NumPy.

All functions change a (H, W, 3) uint8 array in place. Coordinates are pixels of the array, pixel i covers [i, i+1).
Colours are triples in the order of the array's channels. Edges are smoothed by coverage.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from mnnlite.errors import ArgumentError, DTypeError, LayoutError
from mnnlite.records import Record

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

    Color = tuple[int, int, int]
    Image = NDArray[np.uint8]

__all__ = [
    "Style",
    "box",
    "class_map",
    "color_of",
    "dots",
    "label",
    "png",
    "polyline",
    "text",
    "text_block",
    "text_size",
]

# Twelve colours that differ in hue and lightness, so that neighbours in the list are told apart on roads and skies.
PALETTE: tuple[Color, ...] = (
    (61, 90, 254),
    (0, 200, 83),
    (255, 145, 0),
    (213, 0, 249),
    (0, 184, 212),
    (255, 23, 68),
    (174, 234, 0),
    (124, 77, 255),
    (255, 214, 0),
    (29, 233, 182),
    (255, 64, 129),
    (141, 110, 99),
)

# Strokes on a grid of 15 rows: 0 is the top of capitals, 4 of small letters, e (14) the base line, i (18) the foot
# of g.
# A point is two base-36 digits, x and y. "~" rounds the corners of a stroke, "@" also closes it.
_GLYPHS: dict[str, str] = {
    " ": "", "!": "0009 0e0e", '"': "0004 3034", "#": "302e 706e 0585 0a8a",
    "$": "~82602002052767898c6e2e0c 404h", "%": "800e @00303404 @5a8a8e5e", "&": "~8e232140526407090c2e4e89",
    "'": "0004",
    "(": "~30040a3e", ")": "~00343a0e", "*": "3137 0355 5303", "+": "1979 4646 464c", ",": "1e0g", "-": "0959",
    ".": "0e0e", "/": "600g", "0": "@5020020c2e5e7c72", "1": "13404e", "2": "~0220507275 750e7e",
    "3": "~02205072755737 ~3757797c5e2e0c", "4": "5e500a8a", "5": "701006 ~062555777c5e2e0c",
    "6": "~725020030c2e5e7c79572709", "7": "00702e", "8": "@5020020527577572 @5727090c2e5e7c79",
    "9": "~0c2e5e7b7250200205275775", ":": "0606 0e0e", ";": "1616 1e0g", "<": "64096e", "=": "0676 0b7b",
    ">": "04690e",
    "?": "~022050727448494a 4e4e", "@": "~6e2e0b032060838a6b6454343739485a6a", "A": "0e408e 1a7a",
    "B": "0e00 ~005082865707 ~0757898c5e0e", "C": "~826020020c2e6e8c", "D": "0e00 ~0050838b5e0e", "E": "80000e8e 0767",
    "F": "80000e 0767", "G": "~826020020c2e6e8c 8c8848", "H": "000e 808e 0787", "I": "000e", "J": "~606c4e1e0c",
    "K": "000e 8009 368e", "L": "000e8e", "M": "0e0059a0ae", "N": "0e008e80", "O": "@6020020c2e6e8c82",
    "P": "0e00 ~005082865808", "Q": "@6020020c2e6e8c82 5a8f", "R": "0e00 ~005082865808 488e",
    "S": "~82602002052767898c6e2e0c", "T": "0080 404e", "U": "~000c2e6e8c80", "V": "004e80", "W": "003e639ec0",
    "X": "008e 800e", "Y": "004780 474e", "Z": "00800e8e", "[": "30000e3e", "\\": "006g", "]": "00303e0e",
    "^": "043064",
    "_": "0f8f", "`": "0022", "a": "747e ~765424060c2e5e7c", "b": "000e ~062454767c5e2e0c", "c": "~765424060c2e5e7c",
    "d": "707e ~765424060c2e5e7c", "e": "0979 ~79765424060c2e5e7c", "f": "~6040222e 0454",
    "g": "~747f5i2i0h ~765424060c2e5e7c", "h": "000e ~062454767e", "i": "040e 0000", "j": "~343g1i0i 3030",
    "k": "000e 640a 287e", "l": "~000c1e2e", "m": "040e ~062444565e ~567494a6ae", "n": "040e ~062454767e",
    "o": "@5424060c2e5e7c76", "p": "040i ~062454767c5e2e0c", "q": "747i ~765424060c2e5e7c", "r": "040e ~072454",
    "s": "~7654240608295a7a7c5e2e0c", "t": "~202c3e5e 0454", "u": "~040c2e5e7c 747e", "v": "043e64", "w": "043e558ea4",
    "x": "046e 640e", "y": "043e 641i", "z": "04640e6e", "{": "~402025072a2e4e", "|": "000h", "}": "~002025472a2e0e",
    "~": "~09274a67", "°": "@00303404",
}  # fmt: skip
_UNKNOWN = "000e8e8000"


@dataclass(frozen=True, eq=False, repr=False)
class Style(Record):
    """The thickness, size and transparency of drawings.

    Parameters
    ----------
    thickness : float, optional
        Thickness of lines, in pixels. By default it follows from the size of the image.
    text_size : int, optional
        Height of capitals, in pixels. By default it follows from the size of the image.
    alpha : float in [0, 1]
        How strongly the colour of an area covers the picture.
    hue : int
        A number that is added to class numbers before they choose a colour, so that tasks on one picture differ.
    """

    thickness: float | None = None
    text_size: int | None = None
    alpha: float = 0.45
    hue: int = 0

    def line(self, image: Image) -> float:
        """Thickness of lines on this image."""
        return self.thickness if self.thickness is not None else max(1.5, round(min(image.shape[:2]) / 270))

    def caps(self, image: Image) -> int:
        """Height of capitals on this image."""
        return self.text_size if self.text_size is not None else max(9, round(min(image.shape[:2]) / 52))


_DEFAULT = Style()


def check_image(image: Any) -> None:
    """Refuse an image that cannot be drawn on.

    Raises
    ------
    ArgumentError
        It is not an array, or it cannot be written to.
    DTypeError, LayoutError
        It is not uint8, or not (H, W, 3).
    """
    if not isinstance(image, np.ndarray):
        raise ArgumentError(f"image: wanted a NumPy array, got {type(image).__name__}")
    if image.dtype != np.uint8:
        raise DTypeError(f"image: wanted uint8, got {image.dtype}")
    if image.ndim != 3 or image.shape[2] != 3:
        raise LayoutError(f"image: wanted (height, width, 3), got {image.shape}")
    if not image.flags.writeable:
        raise ArgumentError("image: is read-only; draw on a copy")


def color_of(class_id: int, instance: int = 0) -> Color:
    """Colour of a class, or of one of several instances of the same class."""
    return PALETTE[(max(class_id, 0) + instance) % len(PALETTE)]


def _blend(image: Image, coverage: NDArray[np.float32], left: int, top: int, color: Sequence[int]) -> None:
    """Mix `color` into the image where `coverage` (h, w) in [0, 1] says so; what lies outside is cut off."""
    height, width = coverage.shape
    x1, y1, x2, y2 = max(left, 0), max(top, 0), min(left + width, image.shape[1]), min(top + height, image.shape[0])
    if x1 >= x2 or y1 >= y2:
        return
    part = image[y1:y2, x1:x2]
    weight = coverage[y1 - top : y2 - top, x1 - left : x2 - left, None]
    part[...] = (part + (np.asarray(color, np.float32) - part) * weight + 0.5).astype(np.uint8)


def _segment_coverage(
    coverage: NDArray[np.float32], left: int, top: int, start: NDArray[Any], end: NDArray[Any], radius: float
) -> None:
    """Raise `coverage` to that of a line with round ends; its origin is pixel (left, top)."""
    reach = radius + 1
    x1, y1 = np.floor(np.minimum(start, end) - reach).astype(int) - (left, top)
    x2, y2 = np.ceil(np.maximum(start, end) + reach).astype(int) - (left, top)
    x1, y1, x2, y2 = max(x1, 0), max(y1, 0), min(x2, coverage.shape[1]), min(y2, coverage.shape[0])
    if x1 >= x2 or y1 >= y2:
        return
    x = np.arange(x1, x2, dtype=np.float32) + np.float32(left + 0.5 - start[0])
    y = (np.arange(y1, y2, dtype=np.float32) + np.float32(top + 0.5 - start[1]))[:, None]
    dx, dy = np.float32(end[0] - start[0]), np.float32(end[1] - start[1])
    length2 = dx * dx + dy * dy
    along = np.clip((x * dx + y * dy) / length2, 0, 1) if length2 > 0 else np.zeros_like(x + y)
    distance = np.hypot(x - along * dx, y - along * dy)
    part = coverage[y1:y2, x1:x2]
    np.maximum(part, np.clip(np.float32(radius + 0.5) - distance, 0, 1), out=part)


def strokes(character: str) -> list[NDArray[np.float64]]:
    """Lines of a character, each (N, 2) x and y: 0 is the top of capitals, 14 the base line."""
    result = []
    for stroke in _GLYPHS.get(character, _UNKNOWN).split():
        digits = stroke.lstrip("~@")
        points = np.array([[int(digits[i], 36), int(digits[i + 1], 36)] for i in range(0, len(digits), 2)], float)
        for _ in range(3 if stroke[0] in "~@" else 0):  # corner cutting after Chaikin (1974); ends stay where they are
            if stroke[0] == "@":
                after = np.roll(points, -1, axis=0)
                points = np.stack([0.75 * points + 0.25 * after, 0.25 * points + 0.75 * after], 1).reshape(-1, 2)
            else:
                cut = np.stack([0.75 * points[:-1] + 0.25 * points[1:], 0.25 * points[:-1] + 0.75 * points[1:]], 1)
                points = np.concatenate([points[:1], cut.reshape(-1, 2)[1:-1], points[-1:]])
        result.append(np.concatenate([points, points[:1]]) if stroke[0] == "@" else points)
    return result


@lru_cache(maxsize=1024)
def _glyph(character: str, caps: int) -> tuple[NDArray[np.float32], float]:
    """Coverage of a character with capitals of `caps` pixels, and how far the next one is.

    The array has a margin of one stroke; its base line is at row ``margin + caps``.
    """
    unit, radius = caps / 14, max(0.55, caps / 17)
    lines = strokes(character)
    right = max((points[:, 0].max() for points in lines), default=1.0)
    margin = _margin(caps)
    shape = (int(np.ceil(19 * unit)) + 2 * margin, int(np.ceil(right * unit)) + 2 * margin + 1)
    coverage = np.zeros(shape, np.float32)
    for points in lines:
        placed = points * unit + margin
        for start, end in pairwise(placed):
            _segment_coverage(coverage, 0, 0, start, end, radius)
    coverage.flags.writeable = False
    return coverage, (right + 3.6) * unit


def _margin(caps: int) -> int:
    return int(np.ceil(caps / 17)) + 1


def text_size(content: str, caps: int) -> tuple[int, int]:
    """Width and height of `text` in pixels, including descenders."""
    width = sum(_glyph(character, caps)[1] for character in content)
    return int(np.ceil(width)), int(np.ceil(caps * 18 / 14)) + 1


def text(image: Image, position: tuple[float, float], content: str, color: Sequence[int], caps: int) -> None:
    """Write a line of text; `position` is the top left corner of its capitals, `caps` their height in pixels."""
    x, top, margin = float(position[0]), round(position[1]), _margin(caps)
    for character in content:
        coverage, advance = _glyph(character, caps)
        _blend(image, coverage, round(x) - margin, top - margin, color)
        x += advance


def _on(color: Sequence[int]) -> Color:
    """Black or white, whichever reads better on `color`; the order of channels does not matter."""
    return (0, 0, 0) if color[1] * 2 + color[0] + color[2] > 500 else (255, 255, 255)


def label(
    image: Image, position: tuple[float, float], content: str, color: Sequence[int], style: Style = _DEFAULT
) -> None:
    """Write a text on a filled tag above `position`, moved so that it stays within the image."""
    if not content:
        return
    caps = style.caps(image)
    pad = max(2, caps // 3)
    width, height = text_size(content, caps)[0] + 2 * pad - caps // 5, caps + 2 * pad
    left = int(min(max(round(position[0]), 0), max(image.shape[1] - width, 0)))
    top = round(position[1]) - height
    if top < 0:
        top = int(min(max(round(position[1]), 0), max(image.shape[0] - height, 0)))
    image[top : top + height, left : left + width] = color
    text(image, (left + pad, top + pad), content, _on(color), caps)


def box(image: Image, corners: ArrayLike, color: Sequence[int], caption: str = "", style: Style = _DEFAULT) -> None:
    """Draw the outline of an x1, y1, x2, y2 box and a caption on its top edge."""
    x1, y1, x2, y2 = (float(value) for value in np.asarray(corners, np.float64))
    thickness = max(1, round(style.line(image)))
    height, width = image.shape[:2]
    outer = [
        round(min(max(x1, 0), width)),
        round(min(max(y1, 0), height)),
        round(min(max(x2, 0), width)),
        round(min(max(y2, 0), height)),
    ]
    left, top, right, bottom = outer
    t = min(thickness, max(1, min(right - left, bottom - top)))
    for rows, columns in (
        (slice(top, top + t), slice(left, right)),
        (slice(max(bottom - t, 0), bottom), slice(left, right)),
        (slice(top, bottom), slice(left, left + t)),
        (slice(top, bottom), slice(max(right - t, 0), right)),
    ):
        image[rows, columns] = color
    label(image, (left, top), caption, color, style)


def polyline(
    image: Image, points: ArrayLike, color: Sequence[int], closed: bool = False, style: Style = _DEFAULT
) -> None:
    """Draw a smooth-edged line through (P, 2) points."""
    path = np.asarray(points, np.float64).reshape(-1, 2)
    if len(path) == 0:
        return
    if closed:
        path = np.concatenate([path, path[:1]])
    radius = style.line(image) / 2
    size = np.array([image.shape[1], image.shape[0]])
    low = np.clip(np.floor(path.min(axis=0) - radius - 1), 0, size).astype(int)
    high = np.clip(np.ceil(path.max(axis=0) + radius + 1), 0, size).astype(int)
    if (high <= low).any():
        return
    coverage = np.zeros((high[1] - low[1], high[0] - low[0]), np.float32)
    ends = pairwise(path) if len(path) > 1 else [(path[0], path[0])]
    for start, end in ends:
        _segment_coverage(coverage, int(low[0]), int(low[1]), start, end, radius)
    _blend(image, coverage, int(low[0]), int(low[1]), color)


def dots(image: Image, points: ArrayLike, color: Sequence[int], style: Style = _DEFAULT) -> None:
    """Draw a ringed dot at each of (P, 2) points."""
    radius = style.line(image) * 1.25
    for point in np.asarray(points, np.float64).reshape(-1, 2):
        left, top = (int(value) for value in np.floor(point - radius - 3))
        side = int(np.ceil(2 * radius)) + 7
        for reach, paint in ((radius + 1.0, (255, 255, 255)), (radius, color)):
            coverage = np.zeros((side, side), np.float32)
            _segment_coverage(coverage, left, top, point, point, reach)
            _blend(image, coverage, left, top, paint)


def class_map(image: Image, classes: NDArray[np.uint8], class_ids: ArrayLike, style: Style = _DEFAULT) -> None:
    """Tint the pixels of the given classes and draw their borders.

    Parameters
    ----------
    image : (H, W, 3) uint8
    classes : (H, W) uint8
        The class of each pixel.
    class_ids : sequence of int
        The classes to show.
    style : Style
        `alpha` says how strong the tint is.
    """
    ids = np.unique(np.asarray(class_ids, np.int64))
    shown = np.zeros(256, np.bool_)
    shown[ids[(ids >= 0) & (ids < 256)]] = True
    tint = np.array([color_of(c, style.hue) for c in range(256)], np.float32)
    weight = np.where(shown, style.alpha, 0).astype(np.float32)
    edge = np.zeros(classes.shape, np.bool_)
    different = classes[1:] != classes[:-1]
    edge[1:] |= different
    edge[:-1] |= different
    different = classes[:, 1:] != classes[:, :-1]
    edge[:, 1:] |= different
    edge[:, :-1] |= different
    edge &= shown[classes]
    cover = weight[classes]
    cover[edge] = 1
    image[...] = (image + (tint[classes] - image) * cover[..., None] + 0.5).astype(np.uint8)


def text_block(image: Image, position: tuple[float, float], lines: Sequence[str], style: Style = _DEFAULT) -> None:
    """Write lines on a dark block whose top left corner is `position`."""
    if not lines:
        return
    caps = style.caps(image)
    pad, step = max(2, caps // 3), round(caps * 1.7)
    width = max(text_size(line, caps)[0] for line in lines) + 2 * pad
    height = step * (len(lines) - 1) + caps + 2 * pad
    left, top = round(position[0]), round(position[1])
    _blend(image, np.full((height, width), 0.6, np.float32), left, top, (0, 0, 0))
    for index, line in enumerate(lines):
        text(image, (left + pad, top + pad + index * step), line, (255, 255, 255), caps)


def png(image: Image) -> bytes:
    """A (H, W, 3) uint8 RGB image as a PNG file. Source: the PNG specification, W3C 2003, sections 5 and 9 (filter 0)."""
    check_image(image)
    height, width = image.shape[:2]
    rows = np.zeros((height, 1 + 3 * width), np.uint8)
    rows[:, 1:] = image.reshape(height, -1)

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    head = struct.pack(">2I5B", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(rows.tobytes(), 6))
        + chunk(b"IEND", b"")
    )
