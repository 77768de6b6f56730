"""The measures of the demo and of `observe.compare` by hand: boxes, precision, how far two tensors are apart."""

from __future__ import annotations

import numpy as np
import pytest

from mnnlite import demo
from mnnlite.demo import metrics
from mnnlite.observe.metrics import difference

# Boxes ----------------------------------------------------------------------------------------------------------


def scene_object(kind: str, box: tuple[int, int, int, int], clear: bool = True):
    return demo.SceneObject(1, kind, demo.OBJECTS.index(kind), box, (0.0, 10.0), 1.0, clear, "", "")


def test_average_precision__known_values() -> None:
    """Two of two found, one false between them: precision 1 up to recall 1/2, then 2/3."""
    assert metrics.average_precision([(0.9, True), (0.8, False), (0.7, True)], 2) == pytest.approx(0.5 + 0.5 * 2 / 3)
    assert metrics.average_precision([(0.9, True)], 4) == pytest.approx(0.25)
    assert metrics.average_precision([], 3) == 0
    assert metrics.average_precision([(0.5, False)], 3) == 0


def test_match__a_thing_is_found_once_and_unclear_ones_do_not_count() -> None:
    objects = [scene_object("sign", (10, 10, 30, 30)), scene_object("sign", (100, 10, 104, 14), clear=False)]
    boxes = np.array([(11, 10, 30, 30), (10, 10, 30, 29), (100, 10, 104, 14), (200, 10, 220, 30)], np.float32)
    hits = metrics.match(boxes, np.array([0.6, 0.9, 0.8, 0.7], np.float32), objects)
    assert hits == [(pytest.approx(0.9), True), (pytest.approx(0.7), False), (pytest.approx(0.6), False)]


# Tensors --------------------------------------------------------------------------------------------------------


def test_difference__by_hand():
    found = difference(np.array([[1, 2, 3, 4], [5, 6, 7.5, 8]]), np.array([[1, 2, 3, 4], [5, 6, 7, 8.0]]))
    assert (found.max_abs, found.relative, found.worst) == (0.5, 0.5 / 8, (1, 2))
    assert found.around == (5, 6, 7.5, 8)
    assert found.around_reference == (5, 6, 7, 8)


@pytest.mark.parametrize(
    ("a", "b", "relative"),
    [
        ([np.nan, 1], [np.nan, 1], 0),
        ([np.inf, 1], [np.inf, 1], 0),
        ([np.inf, 1], [-np.inf, 1], np.inf),
        ([np.nan, 1], [0, 1], np.inf),
        ([0, 0], [0, 0], 0),
        ([1e-41, 0], [2e-41, 0], 0),
    ],
)
def test_difference__of_special_values(a, b, relative):
    found = difference(np.array(a, np.float32), np.array(b, np.float32))
    assert found.relative == pytest.approx(relative, abs=1e-15)


def test_difference__of_whole_numbers_is_by_value():
    """One lost among a thousand is one that is lost."""
    top = np.zeros(1001, np.uint8)
    top[17] = 255
    assert difference(np.zeros(1001, np.uint8), top).relative == 1
    assert difference(np.arange(10), np.array([0, 1, 2, 3, 4, 5, 6, 7, 8, 0])).relative == 9 / 8
    assert difference(np.zeros((0, 3)), np.zeros((0, 3))).relative == 0
    assert difference(np.float32(2), np.float32(1)).max_abs == 1
