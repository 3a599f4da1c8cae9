"""Instances from masks."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis.extra import numpy as hnp
from scipy.ndimage import label

from lotus.masks import connected_components, split_touching


def same_partition(a, b):
    """Whether two label maps differ by the ids at most."""
    pairs = {*zip(a.ravel().tolist(), b.ravel().tolist(), strict=True)}
    return len(pairs) == len({x for x, _ in pairs}) == len({y for _, y in pairs})


@given(hnp.arrays(np.bool_, hnp.array_shapes(min_dims=2, max_dims=3, max_side=9)))
@example(np.array([[False], [False], [True]]))
@settings(max_examples=200, deadline=None)
def test_components_touch_by_corners(mask):
    labels = connected_components(mask)
    expected, count = label(mask, structure=np.ones((3,) * mask.ndim))
    assert labels.dtype == np.int32
    assert labels.max() == count
    assert same_partition(labels, expected)


def test_small_components_are_left_out_in_pixels_and_in_micrometres():
    mask = np.zeros((10, 20), np.uint8)
    mask[1:3, 1:3], mask[5:8, 5:8], mask[1:5, 12:18] = 255, 7, 1
    assert connected_components(mask).max() == 3
    assert np.bincount(connected_components(mask, minimum_size=9).ravel())[1:].tolist() == [24, 9]
    # 9 px are 2.25 µm² at 0.5 µm.
    labels = connected_components(mask, minimum_size=2.3, spacing_um=(0.5, 0.5))
    assert np.bincount(labels.ravel())[1:].tolist() == [24]
    assert not connected_components(mask, minimum_size=25).any()
    assert not connected_components(np.zeros((4, 4), int)).any()


def test_touching_discs_are_split_and_keep_their_foreground():
    y, x = np.mgrid[:40, :60]
    mask = ((y - 20) ** 2 + (x - 19) ** 2 < 121) | ((y - 20) ** 2 + (x - 39) ** 2 < 121)
    assert connected_components(mask).max() == 1
    labels = split_touching(mask)
    assert labels.max() == 2
    np.testing.assert_array_equal(labels > 0, mask)
    assert labels[20, 19] != labels[20, 39]
    assert abs(int((labels == 1).sum()) - int((labels == 2).sum())) < 0.05 * mask.sum()
    assert split_touching(mask, minimum_size=1000).max() == 0


def test_a_mask_without_background_and_an_empty_one_are_not_split():
    assert (split_touching(np.ones((6, 6), bool)) == 1).all()
    assert not split_touching(np.zeros((6, 6), bool)).any()


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"got shape \(4,\)"):
        connected_components(np.ones(4))
    with pytest.raises(ValueError, match="2 numbers in µm"):
        connected_components(np.ones((4, 4)), 3, spacing_um=(1.0, 1.0, 1.0))
