"""The measures of the demo and of `observe.compare` by hand: boxes, precision, how far two tensors are apart."""

from __future__ import annotations

import numpy as np
import pytest

from mnnlite import demo
from mnnlite.demo import metrics
from mnnlite.observe.metrics import Difference, difference

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


def test_overlaps__by_hand() -> None:
    others = np.array(
        [(0, 0, 10, 10), (5, 5, 15, 15), (10, 0, 20, 10), (12, 12, 20, 20), (2, 2, 4, 7), (3, 3, 3, 3)], float
    )
    found = metrics.overlaps(np.array([0.0, 0.0, 10.0, 10.0]), others)
    np.testing.assert_allclose(found, [1, 25 / 175, 0, 0, 10 / 100, 0])
    assert metrics.overlaps(np.zeros(4), np.zeros((1, 4))) == 0  # nothing with nothing
    tiny = np.array([0, 0, 1e-6, 1e-6])
    assert metrics.overlaps(tiny, tiny[None]) == pytest.approx(1e-3)  # below a thousandth of a pixel there is no box


def test_average_precision__goes_by_score_and_keeps_the_best_precision_behind() -> None:
    hits = [(0.1, False), (0.9, False), (0.8, True), (0.2, True), (0.5, False)]
    # Best first: F T F T F, precision 0 1/2 1/3 2/4 2/5; behind each recall step the best is 1/2.
    assert metrics.average_precision(hits, 2) == pytest.approx(0.5)
    assert metrics.average_precision(hits, 4) == pytest.approx(0.25)
    hits = [(0.1, False), (0.9, True), (0.8, False), (0.3, True)]  # T F T F: 1, then 2/3
    assert metrics.average_precision(hits, 2) == pytest.approx(5 / 6)
    assert metrics.average_precision([(0.9, True)], 0) == 0
    assert metrics.average_precision([(0.3, True), (0.4, True)], 2) == 1


def test_match__half_of_both_is_enough_and_less_is_not() -> None:
    objects = [scene_object("sign", (0, 0, 10, 10)), scene_object("sign", (40, 0, 50, 10), clear=False)]
    score = np.array([0.5], np.float32)
    half, less = np.array([(0, 0, 10, 5)], np.float32), np.array([(0, 0, 10, 4.9)], np.float32)
    assert metrics.match(half, score, objects) == [(0.5, True)]
    assert metrics.match(less, score, objects) == [(0.5, False)]
    assert metrics.match(less, score, objects, 0.49) == [(0.5, True)]
    assert metrics.match(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), objects) == []
    for height, counts in ((3.0, False), (2.9, True)):  # near enough to one that nobody could have found
        box = np.array([(40, 0, 50, height)], np.float32)
        assert metrics.match(box, score, objects) == ([(0.5, False)] if counts else [])
    assert metrics.match(half, score, []) == [(0.5, False)]
    assert metrics.match(half, score, objects[1:]) == [(0.5, False)]


def test_match__of_equal_scores_the_first_comes_first_and_takes_the_nearest() -> None:
    objects = [scene_object("sign", (0, 0, 10, 10)), scene_object("sign", (1, 0, 11, 10))]
    boxes = np.array([(1, 0, 11, 10), (0, 0, 10, 10), (0, 0, 11, 10)], np.float32)
    hits = metrics.match(boxes, np.array([0.5, 0.5, 0.25], np.float32), objects)
    assert hits == [(0.5, True), (0.5, True), (0.25, False)]
    assert all(type(score) is float for score, _ in hits)
    elsewhere = [(90, 90, 99, 99)]
    many = np.array([*elsewhere * 2, (0, 0, 10, 10), *elsewhere * 297], np.float32)
    hits = metrics.match(many, np.tile(np.array([0.5, 0.25, 0.75], np.float32), 100), objects)
    assert hits[0] == (0.75, True)  # the first of a hundred with this score
    assert sum(right for _, right in hits) == 1


def test_accuracy_beside_what_always_says_the_same() -> None:
    pairs = [("a", "a"), ("b", "a"), ("b", "b"), ("a", "c")]
    assert metrics._accuracy(pairs, "a") == (0.5, 0.5, 4)
    assert metrics._accuracy(pairs, "c") == (0.5, 0.25, 4)
    assert metrics._accuracy([*pairs, ("c", "c"), ("c", "c")], "c") == (4 / 6, 0.5, 6)
    assert metrics._accuracy([("a", "a")], "a") == (1, 1, 1)
    assert metrics._accuracy([], "a") == (0, 0, 0)


def test_what_is_not_looked_at_is_nothing() -> None:
    found = metrics._known(np.array([[0, 1], [254, 255]], np.uint8))
    np.testing.assert_array_equal(found, [[0, 1], [254, 0]])
    assert found.dtype == np.uint8


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


def test_difference__says_where_and_what_is_around():
    reference = np.arange(30, dtype=np.float64).reshape(2, 3, 5)
    for place, first, last in (
        ((0, 1, 0), 0, 3),
        ((0, 2, 1), 0, 4),
        ((1, 0, 2), 0, 5),
        ((1, 1, 3), 1, 5),
        ((1, 2, 4), 2, 5),
    ):
        found = reference.copy()
        found[place] -= 100
        told = difference(found, reference)
        assert told.worst == place
        assert all(type(index) is int for index in told.worst)
        assert told.around == tuple(found[place[:2]][first:last])
        assert told.around_reference == tuple(reference[place[:2]][first:last])
        assert (told.max_abs, told.relative, told.largest) == (100, 100 / 29, 29)
        assert (told.not_finite, told.not_finite_reference) == (0, 0)


def test_difference__of_nothing_and_of_one_number():
    told = difference(np.zeros((0, 3)), np.zeros((0, 3)))
    assert told == Difference(0.0, 0.0, 1.0, (), (), (), 0, 0, 0.0)
    told = difference(np.float64(3), np.float64(-4))
    assert told == Difference(7.0, 7 / 4, -1.0, (), (3.0,), (-4.0,), 0, 0, 4.0)


def test_difference__of_directions():
    def cosine(a, b):
        return difference(np.array(a, float), np.array(b, float)).cosine

    assert cosine([[3, 0]], [[3, 4]]) == pytest.approx(0.6)
    assert cosine([3, 4], [-6, -8]) == pytest.approx(-1)
    assert cosine([0, 0], [0, 0]) == 1  # two nothings are the same
    assert cosine([0, 0], [1, 0]) == 0
    assert cosine([1, 0], [0, 0]) == 0
    assert cosine([1e-21, 0], [0, 1e-21]) == 1  # and so are what is smaller than any value that means something
    assert cosine([1e-15, 0], [0, 1e-15]) == 0
    assert cosine([1e-12, 0], [3e-12, 4e-12]) == pytest.approx(0.6)
    for seed in range(50):
        values = np.random.default_rng(seed).normal(size=1000)
        assert cosine(values, values * 3) <= 1  # not a rounding more


def test_difference__counts_what_is_not_finite():
    nan, inf = np.nan, np.inf
    told = difference(np.array([nan, inf, 1, 2, -inf]), np.array([nan, 1.0, nan, 6, -inf]))
    assert (told.not_finite, told.not_finite_reference) == (3, 3)
    assert (told.max_abs, told.relative, told.worst) == (inf, inf, (1,))
    assert told.largest == 6
    assert told.cosine == pytest.approx(1)  # of what is finite in both
    told = difference(np.array([nan, 5.0, 3.0]), np.array([nan, 4.0, 1.0]))
    assert (told.max_abs, told.relative, told.worst) == (2, 0.5, (2,))
    assert told.cosine == pytest.approx(23 / (34 * 17) ** 0.5)
    assert np.isnan(told.around[0])
    assert told.around[1:] == (5, 3)
    for a, b in (([nan, 1], [inf, 1]), ([inf, 1], [nan, 1]), ([1, 1], [nan, 1]), ([1, 1], [inf, 1])):
        assert difference(np.array(a), np.array(b)).max_abs == inf
