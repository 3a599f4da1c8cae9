"""Classes by grey value alone, against an exhaustive search and values computed by hand."""

from itertools import combinations

import numpy as np
import pytest

from lotus.masks import classes_in_ranges, multi_otsu_classes


def within_class_sum(values, limits):
    """Sum of squared distances from the mean of each class, of values divided at the limits."""
    parts = np.split(np.sort(values), np.searchsorted(np.sort(values), limits))
    return sum(((part - part.mean()) ** 2).sum() for part in parts if len(part))


def test_classes_are_those_of_least_variance_within():
    # Whole numbers from 0 to 255 fall into one bin each, so that nothing is lost to bins.
    rng = np.random.default_rng(0)
    values = np.concatenate([rng.normal(m, 9, 60) for m in (40, 120, 210)]).round()
    values = np.concatenate([values.clip(0, 255), [0, 255]])
    found = multi_otsu_classes(values, classes=3)
    candidates = np.unique(values)[1:]
    best = min(combinations(candidates, 2), key=lambda limits: within_class_sum(values, limits))
    np.testing.assert_array_equal(found, np.searchsorted(best, values, side="right"))


def test_even_grey_values_are_divided_into_even_classes():
    grey = np.arange(256.0)
    np.testing.assert_array_equal(multi_otsu_classes(grey, 2), grey >= 128)
    np.testing.assert_array_equal(multi_otsu_classes(grey), grey // 64)


def test_as_many_grey_values_as_classes_are_enough():
    np.testing.assert_array_equal(multi_otsu_classes(np.array([3.0, 1.0, 2.0]), 3), [2, 0, 1])


def test_shape_order_and_type_are_kept_and_nan_is_dark():
    volume = np.array([[[0.9, 0.1], [np.nan, 0.5]], [[0.12, 0.92], [0.52, 0.11]]])
    expected = [[[2, 0], [0, 1]], [[0, 2], [1, 0]]]
    found = multi_otsu_classes(volume, classes=3)
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, expected)


def test_sixteen_bits_and_scale_change_nothing():
    rng = np.random.default_rng(1)
    grey = rng.random((20, 30)) ** 2
    stored = (grey * 65535).round().astype(np.uint16)
    np.testing.assert_array_equal(
        multi_otsu_classes(stored), multi_otsu_classes(stored / 65535.0 - 3.0)
    )


@pytest.mark.parametrize(
    ("image", "classes", "message"),
    [
        (np.arange(9.0), 1, "found 1 classes; expected 2 to 5"),
        (np.arange(9.0), 6, "found 6 classes; expected 2 to 5"),
        (np.array([1.0, 1.0, 2.0]), 3, "found 2 different grey values; 3 classes need as many"),
        (np.full(4, np.nan), 2, "found 0 different grey values"),
    ],
)
def test_what_cannot_be_divided_is_refused(image, classes, message):
    with pytest.raises(ValueError, match=message):
        multi_otsu_classes(image, classes)


def test_both_ends_of_a_range_belong_to_it_and_gaps_to_nothing():
    grey = np.array(
        [[0.049, 0.05, 0.42, 0.425], [0.43, 0.53, 0.535, 0.54], [0.89, 0.9, 1.0, np.nan]]
    )
    found = classes_in_ranges(grey)
    np.testing.assert_array_equal(found, [[0, 1, 1, 0], [2, 2, 0, 3], [3, 0, 0, 0]])
    np.testing.assert_array_equal(
        classes_in_ranges(np.array([1, 2, 3, 4]), {9: (4, 4), 1: (1, 2)}), [1, 1, 0, 9]
    )


@pytest.mark.parametrize(
    ("ranges", "message"),
    [
        ({1: (0.1, 0.5), 2: (0.5, 0.7)}, "expected lowest to highest, all apart"),
        ({1: (0.5, 0.1)}, "expected lowest to highest"),
        ({0: (0.1, 0.2)}, "found the classes 0; expected 1 to 255"),
        ({256: (0.1, 0.2)}, "found the classes 256"),
    ],
)
def test_ranges_that_cannot_be_are_refused(ranges, message):
    with pytest.raises(ValueError, match=message):
        classes_in_ranges(np.zeros(3), ranges)
