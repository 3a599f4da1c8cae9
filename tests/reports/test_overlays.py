import numpy as np
import pytest

from lotus.reports.overlays import (
    AGREEMENT_COLOUR,
    PREDICTION_COLOUR,
    TARGET_COLOUR,
    overlay,
    scale_bar_length,
    to_rgb,
)


def box(y, x, size=8):
    labels = np.zeros((40, 60), dtype=np.int32)
    labels[y : y + size, x : x + size] = 1
    return labels


def pixels_of(picture, colour):
    return set(map(tuple, np.argwhere((picture == colour).all(axis=2)).tolist()))


def ring(y, x, size=8):
    inside = {(i, j) for i in range(y, y + size) for j in range(x, x + size)}
    core = {(i, j) for i in range(y + 1, y + size - 1) for j in range(x + 1, x + size - 1)}
    return inside - core


def test_each_outline_has_its_colour_and_the_rest_of_the_image_stays():
    image = np.full((40, 60), 77, dtype=np.uint8)
    picture = overlay(image, prediction=box(20, 40), target=box(5, 5))
    assert pixels_of(picture, TARGET_COLOUR) == ring(5, 5)
    assert pixels_of(picture, PREDICTION_COLOUR) == ring(20, 40)
    assert len(pixels_of(picture, (77, 77, 77))) == 40 * 60 - 2 * len(ring(5, 5))


@pytest.mark.parametrize(("shift", "agrees"), [(0, True), (1, True), (8, False)])
def test_outlines_within_one_pixel_agree(shift, agrees):
    image = np.zeros((40, 60, 3), dtype=np.float32)
    picture = overlay(image, prediction=box(5, 5 + shift), target=box(5, 5))
    on_left_edge = tuple(picture[9, 5])
    assert on_left_edge == (AGREEMENT_COLOUR if agrees else TARGET_COLOUR)


def test_touching_objects_are_separated():
    labels = np.zeros((40, 60), dtype=np.int32)
    labels[10:20, 10:20], labels[10:20, 20:30] = 1, 2
    picture = overlay(np.zeros((40, 60), dtype=np.uint8), labels, None)
    assert tuple(picture[15, 19]) == tuple(picture[15, 20]) == PREDICTION_COLOUR
    assert tuple(picture[15, 14]) == (0, 0, 0)


def test_magnification_enlarges_image_and_outlines_alike():
    image = np.zeros((40, 60), dtype=np.uint8)
    picture = overlay(image, None, box(5, 5), magnification=3)
    assert picture.shape == (120, 180, 3)
    rows, columns = np.array(sorted(pixels_of(picture, TARGET_COLOUR))).T
    assert (rows.min(), rows.max()) == (columns.min(), columns.max()) == (15, 38)


def test_scale_bar_has_the_length_it_says():
    image = np.zeros((100, 200), dtype=np.uint8)
    picture = overlay(image, None, None, spacing_um=(1.0, 0.5))
    white = (picture[-40:] == 255).all(axis=2)
    longest = white.sum(axis=1).max() + 2  # its black border belongs to it
    assert longest - 1 == 20 / 0.5  # a quarter of 200 px is 25 µm


@pytest.mark.parametrize(
    ("longest", "length"), [(25, 20), (5, 5), (4.99, 2), (1.9, 1), (0.3, 0.2), (1000, 1000)]
)
def test_scale_bar_lengths_are_round(longest, length):
    assert scale_bar_length(longest) == pytest.approx(length)


def test_float_images_are_clipped_and_not_a_number_is_black():
    image = np.array([[-1.0, 0.5], [np.nan, 2.0]])
    assert to_rgb(image)[..., 0].tolist() == [[0, 128], [0, 255]]


def test_what_cannot_be_drawn_is_refused():
    image = np.zeros((40, 60), dtype=np.uint8)
    with pytest.raises(ValueError, match=r"target has shape \(40, 61\), the image \(40, 60\)"):
        overlay(image, None, np.zeros((40, 61), dtype=np.int32))
    with pytest.raises(ValueError, match=r"shape \(40, 60, 4\)"):
        overlay(np.zeros((40, 60, 4), dtype=np.uint8), None, None)
