"""Drawing on arrays."""

import numpy as np
import pytest

from mnnlite import decoders, draw, results
from mnnlite.errors import ArgumentError, DTypeError, LayoutError


def canvas(height=120, width=160):
    return np.full((height, width, 3), 128, np.uint8)


def test_a_box_lies_inside_its_corners():
    image = canvas()
    draw.box(image, (20, 30, 80, 70), (255, 0, 0), style=draw.Style(thickness=2))
    changed = np.argwhere((image != 128).any(axis=2))
    np.testing.assert_array_equal(changed.min(axis=0), [30, 20])
    np.testing.assert_array_equal(changed.max(axis=0), [69, 79])
    assert (image[50, 50] == 128).all()


def test_every_printable_character_has_a_shape_of_its_own():
    shapes = {}
    for code in range(33, 127):
        image = canvas(40, 40)
        draw.text(image, (10, 10), chr(code), (0, 0, 0), 16)
        assert (image != 128).any(), chr(code)
        shapes.setdefault(image.tobytes(), []).append(chr(code))
    assert [same for same in shapes.values() if len(same) > 1] == []


def test_text_stays_in_the_size_it_says():
    image = canvas()
    width, height = draw.text_size("Speed limit 80, gy", 12)
    draw.text(image, (5, 6), "Speed limit 80, gy", (0, 0, 0), 12)
    changed = np.argwhere((image != 128).any(axis=2))
    assert changed[:, 0].max() <= 6 + height
    assert changed[:, 1].max() <= 5 + width


@pytest.mark.parametrize("caption", ["", "car 0.91", "大慧寺路 0.5", "x" * 80])
@pytest.mark.parametrize("box", [(-50, -50, 20, 20), (150, 110, 400, 400), (500, 500, 600, 600), (10, 10, 10, 10)])
def test_nothing_outside_the_image_is_an_error(box, caption):
    image = canvas()
    draw.box(image, box, (0, 0, 255), caption)
    draw.polyline(image, np.reshape(box, (2, 2)), (0, 255, 0))
    draw.dots(image, np.reshape(box, (2, 2)), (0, 255, 0))
    tiny = canvas(3, 2)
    draw.box(tiny, box, (0, 0, 255), caption)


def test_a_line_covers_what_it_should():
    image = np.zeros((40, 40, 3), np.uint8)
    draw.polyline(image, [(5, 20), (35, 20)], (200, 200, 200), style=draw.Style(thickness=4))
    assert image[:, 20, 0].astype(int).sum() == pytest.approx(4 * 200, rel=0.05)
    draw.polyline(image, [], (1, 1, 1))


def test_areas_are_tinted_and_lined():
    image = canvas()
    classes = np.zeros((120, 160), np.uint8)
    classes[30:90, 40:120] = 7
    draw.class_map(image, classes, [7])
    assert (image[:29] == 128).all()
    assert (image[60, 80] != 128).any()
    np.testing.assert_array_equal(image[30, 80], draw.color_of(7))


def test_every_result_type_draws():
    head = np.zeros((1, 2, 12, 16), np.float32)
    head[0, 1, 3:6] = 4
    for result in (
        results.Detections.from_arrays(
            [[10, 40, 60, 90]], [0.5], [1], points=[[[20, 50], [30, 60]]], names=("a", "car")
        ),
        results.Detections.from_arrays([[10, 40, 60, 90]], [0.5], points=[[[10, 40], [60, 40], [60, 90], [10, 90]]]),
        results.Polylines.from_points([[(10, 100), (50, 60), (150, 20)]]),
        results.Polygons.from_points([[(10, 100), (50, 60), (150, 90)]], names=("sign",)),
        decoders.Segmentation().decode({"y": head}, (160, 120)),
        decoders.Classification(classes=("stop", "go")).decode({"y": np.array([[1.0, 2.0]])}, (160, 120)),
    ):
        image = canvas()
        assert result.draw(image) is image
        assert (image != 128).any(), type(result)


def test_what_cannot_be_drawn_on_is_refused():
    found = results.Detections.from_arrays([[0, 0, 5, 5]], [0.5])
    with pytest.raises(DTypeError, match="float32"):
        found.draw(np.zeros((4, 4, 3), np.float32))
    with pytest.raises(LayoutError, match=r"\(4, 4\)"):
        found.draw(np.zeros((4, 4), np.uint8))
    frozen = canvas()
    frozen.flags.writeable = False
    with pytest.raises(ArgumentError, match="read-only"):
        found.draw(frozen)
    with pytest.raises(ArgumentError, match="list"):
        found.draw([[1]])
