"""Where a frame lies in a network's input, by hand: fits, anchors, matrices, and what is refused."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from mnnlite.decoders import batch_item
from mnnlite.errors import ArgumentError


def spec(fit: str, size: tuple[int, int] | None = (40, 20), **more: Any) -> Any:
    return SimpleNamespace(size=size, fit=fit, **more)


def at(image: Any, frame_size: tuple[int, int], *points: tuple[float, float]) -> list[tuple[float, float]]:
    """Pixels of the network's input in the frame."""
    matrix = np.array(batch_item(image, frame_size).to_frame).reshape(3, 3)
    found = [matrix @ (x, y, 1.0) for x, y in points]
    assert all(z == 1 for _, _, z in found)
    return [(x, y) for x, y, _ in found]


def test_without_a_spec_the_input_is_as_large_as_the_frame() -> None:
    item = batch_item(None, (30, 20))
    assert item == ((1, 0, 0, 0, 1, 0, 0, 0, 1), (30, 20), (30, 20), 0, None)
    assert at(None, (30, 20), (0, 0), (30, 20), (7, 3)) == [(0, 0), (30, 20), (7, 3)]


def test_stretched_corners_are_corners() -> None:
    item = batch_item(spec("stretch"), (100, 80))
    assert item[1:] == ((40, 20), (100, 80), 0, None)
    assert at(spec("stretch"), (100, 80), (0, 0), (40, 20), (10, 10)) == [(0, 0), (100, 80), (25, 40)]


@pytest.mark.parametrize(
    ("anchor", "frame_size", "corners"),
    [
        ({}, (100, 40), [(10, 0), (90, 40)]),  # scale 2: 80 x 40 of the frame, in its middle
        ({"anchor": "center"}, (80, 60), [(0, 10), (80, 50)]),
        ({"anchor": "top_left"}, (100, 40), [(0, 0), (80, 40)]),
        ({"anchor": "top_left"}, (80, 60), [(0, 0), (80, 40)]),
        ({"anchor": "bottom"}, (100, 40), [(10, 0), (90, 40)]),
        ({"anchor": "bottom"}, (80, 60), [(0, 20), (80, 60)]),
    ],
)
def test_a_crop_fills_the_input(anchor: dict[str, str], frame_size: tuple[int, int], corners: list[Any]) -> None:
    assert at(spec("crop", **anchor), frame_size, (0, 0), (40, 20)) == corners
    assert batch_item(spec("crop", **anchor), frame_size).picture is None


@pytest.mark.parametrize(
    ("more", "frame_size", "net", "picture"),
    [
        ({}, (80, 20), (40, 20), (0, 5, 40, 15)),
        ({}, (20, 80), (40, 20), (17, 0, 22, 20)),
        ({"anchor": "center"}, (60, 10), (40, 20), (0, 6, 40, 13)),  # 6.67 rows become 7; 6.5 above become 6
        ({"anchor": "top_left"}, (80, 20), (40, 20), (0, 0, 40, 10)),
        ({"anchor": "top_left"}, (20, 80), (40, 20), (0, 0, 5, 20)),
        ({"anchor": "bottom"}, (80, 20), (40, 20), (0, 10, 40, 20)),
        ({"anchor": "bottom"}, (20, 80), (40, 20), (17, 0, 22, 20)),
        ({}, (1000, 2), (40, 20), (0, 9, 40, 10)),  # never less than a pixel
        ({}, (2, 1000), (40, 20), (19, 0, 20, 20)),
        ({"multiple": 16}, (80, 20), (48, 16), (4, 3, 44, 13)),
        ({"multiple": 16}, (20, 80), (16, 32), (5, 6, 10, 26)),
        ({"multiple": 0}, (80, 20), (40, 20), (0, 5, 40, 15)),
    ],
)
def test_a_letterbox_has_whole_pixels(more: dict[str, Any], frame_size: Any, net: Any, picture: Any) -> None:
    image = spec("letterbox", **more)
    item = batch_item(image, frame_size)
    assert (item.net_size, item.frame_size, item.picture) == (net, frame_size, picture)
    left, top, right, bottom = picture
    (begin, end) = at(image, frame_size, (left, top), (right, bottom))
    assert begin == pytest.approx((0, 0), abs=1e-12)
    assert end == pytest.approx(frame_size, rel=1e-12)


@pytest.mark.parametrize(
    ("matrix", "net"),
    [
        ([[2, 0, 5], [0, 4, -3], [0, 0, 1]], (50, 20)),
        ([[0, -2, 10], [4, 0, 0], [0, 0, 1]], (20, 50)),  # turned by a quarter
        ([[2, 0, 0], [0, 2, 0], [0, 0, 2]], (100, 80)),  # the scale of a matrix is nothing
        ([[3, 0, 0], [0, 3, 0], [0, 0, 1]], (33, 27)),  # 33.3, 26.7
        ([[2, 0, 10], [0, 2, 4], [0, 0, 2]], (100, 80)),
        ([[1, 0, 10], [0, 1, 4], [0.001, 0, 1]], (110, 88)),  # a quadrilateral: from (-10, -4) to (100, 84)
        ([[0.5, 0, 0], [0, 0.5, 0], [0, 0, 1]], (200, 160)),
        (np.array([[2, 0, 0], [0, 2, 0], [0, 0, 1]], object), (50, 40)),
        ([[1000, 0, 0], [0, 1000, 0], [0, 0, 1]], (1, 1)),
    ],
)
def test_a_matrix_says_how_large_the_input_is(matrix: Any, net: tuple[int, int]) -> None:
    item = batch_item(matrix, (100, 80))
    assert item[1:] == (net, (100, 80), 0, None)
    assert list(item.to_frame) == [float(entry) for row in matrix for entry in row]
    assert all(type(entry) is float for entry in item.to_frame)


@pytest.mark.parametrize(
    ("image", "frame_size", "said"),
    [
        (None, (0, 4), r"frame_size: wanted at least 1x1 pixels, got 0x4$"),
        (None, (4, 0), r"frame_size: wanted at least 1x1 pixels, got 4x0$"),
        (None, 4, r"frame_size: wanted \(width, height\) in pixels, got 4$"),
        (None, (1, 2, 3), r"frame_size: wanted \(width, height\) in pixels, got \(1, 2, 3\)$"),
        (None, ("a", 2), r"frame_size: wanted \(width, height\) in pixels, got \('a', 2\)$"),
        (np.eye(2), (4, 4), r"^image: wanted an ImageSpec, a finite invertible 3x3 matrix or None$"),
        (np.zeros((3, 3)), (4, 4), "image: wanted an ImageSpec"),
        (np.diag([1, 1, np.nan]), (4, 4), "image: wanted an ImageSpec"),
        (np.diag([1, np.inf, 1]), (4, 4), "image: wanted an ImageSpec"),
        (
            spec("letterbox", None),
            (4, 4),
            r"^image: the spec has no size, so the place of pixels in the frame is not known$",
        ),
    ],
)
def test_what_is_refused(image: Any, frame_size: Any, said: str) -> None:
    with pytest.raises(ArgumentError, match=said):
        batch_item(image, frame_size)


def test_the_smallest_frame() -> None:
    assert batch_item(None, (1, 1)).frame_size == (1, 1)
