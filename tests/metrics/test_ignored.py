"""Label maps of images of which something is to be ignored."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from lotus.metrics.functional import dice, without_ignored

SHAPE = (6, 7)
labels = hnp.arrays(np.int32, SHAPE, elements=st.integers(0, 3))


def row(text):
    return np.array([[int(sign) for sign in text]])


@pytest.mark.parametrize(
    ("prediction", "target", "ignored", "expected"),
    [
        # Of what is left nothing is true: most of it is to be ignored, half of it, a part.
        ("0111", "0000", "0011", "0000"),
        ("1111", "0000", "0011", "1100"),
        ("1110", "0000", "0010", "1100"),
        # Most of it is to be ignored, but the rest overlaps a true object, or one that is hidden.
        ("0111", "0100", "0011", "0100"),
        ("0111", "0020", "0011", "0000"),
    ],
)
def test_predicted_objects_are_cut_or_dropped(prediction, target, ignored, expected):
    cleared, true = without_ignored(row(prediction), row(target), row(ignored) > 0)
    np.testing.assert_array_equal(cleared, row(expected))
    np.testing.assert_array_equal(true, np.where(row(ignored), 0, row(target)))


@given(labels, labels, hnp.arrays(np.bool_, SHAPE))
@settings(max_examples=50, deadline=None)
def test_ignored_pixels_change_nothing(prediction, target, ignored):
    cleared, true = without_ignored(prediction, target, ignored)
    assert not cleared[ignored].any()
    assert not true[ignored].any()
    assert np.isin(cleared, prediction).all() or (cleared == 0).any()
    kept = cleared > 0
    np.testing.assert_array_equal(cleared[kept], prediction[kept])
    again = without_ignored(prediction, np.where(ignored, 3, target), ignored)
    np.testing.assert_array_equal(again[1], true)
    np.testing.assert_array_equal(again[0], cleared)


def test_nothing_ignored_leaves_everything():
    prediction, target = row("0120"), row("1100")
    cleared, true = without_ignored(prediction, target, row("0000") > 0)
    np.testing.assert_array_equal(cleared, prediction)
    np.testing.assert_array_equal(true, target)
    assert dice(cleared, true) == dice(prediction, target)


def test_numbers_of_any_size():
    prediction = np.array([[2**32 - 1, 2**32 - 1, 5]], np.uint32)
    cleared, _ = without_ignored(prediction, row("100"), row("010") > 0)
    np.testing.assert_array_equal(cleared, [[2**32 - 1, 0, 5]])


def test_maps_of_other_sizes_are_refused():
    with pytest.raises(ValueError, match=r"shape \(1, 3\) and label maps \(1, 4\)"):
        without_ignored(row("0000"), row("0000"), row("000") > 0)
