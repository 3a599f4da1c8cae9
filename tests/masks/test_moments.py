import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from lotus.masks import joined_moments, object_moments

LABELS = hnp.arrays(
    np.int32, hnp.array_shapes(min_dims=3, max_dims=3, max_side=6), elements=st.integers(0, 4)
)


def places(labels, number):
    return np.argwhere(labels == number)


@given(LABELS, st.integers(0, 5))
@settings(max_examples=60, deadline=None)
def test_sums_are_those_over_the_places_of_the_voxels(labels, first_slice):
    moments = object_moments(labels, 5, first_slice)
    assert len(moments) == 5
    for number in range(1, 6):
        own = places(labels, number) + np.array([first_slice, 0, 0])
        row = number - 1
        assert moments.count[row] == len(own)
        np.testing.assert_array_equal(moments.first[row], own.sum(axis=0))
        np.testing.assert_array_equal(moments.second[row], own.T @ own)
        if len(own):
            np.testing.assert_array_equal(moments.lower[row], own.min(axis=0))
            np.testing.assert_array_equal(moments.upper[row], own.max(axis=0) + 1)
            np.testing.assert_allclose(moments.centroids[row], own.mean(axis=0))
            expected = np.cov(own.T, bias=True)
            np.testing.assert_allclose(moments.covariances[row], expected, atol=1e-12)
        else:
            assert np.isnan(moments.centroids[row]).all()
            assert np.isnan(moments.covariances[row]).all()


@given(LABELS, st.integers(1, 6))
@settings(max_examples=30, deadline=None)
def test_parts_of_a_volume_add_up_to_the_whole(labels, cut):
    parts = [object_moments(labels[:cut], 4), object_moments(labels[cut:], 4, cut)]
    merged = joined_moments(parts).renumbered(np.tile(np.arange(1, 5), 2), 4)
    for name, value in vars(object_moments(labels, 4)).items():
        np.testing.assert_array_equal(getattr(merged, name), value, err_msg=name)


def test_objects_with_one_new_number_become_one_and_those_with_none_are_left_out():
    labels = np.array([[[1, 0, 2, 3]]])
    merged = object_moments(labels, 3).renumbered(np.array([2, 0, 2]), 2)
    assert merged.count.tolist() == [0, 2]
    assert merged.centroids[1].tolist() == [0, 0, 1.5]
    assert (merged.lower[1].tolist(), merged.upper[1].tolist()) == ([0, 0, 0], [1, 1, 4])


def test_far_from_the_corner_no_digit_is_lost():
    # Two voxels side by side: the variance is a quarter, a 10^-14th of the squared place.
    labels = np.zeros((1, 1, 4_000_002), np.uint8)
    labels[0, 0, -2:] = 1
    covariance = object_moments(labels, 1, first_slice=3_000_000).covariances[0]
    assert covariance[2, 2] == 0.25
    assert np.count_nonzero(covariance) == 1


@pytest.mark.parametrize("labels", [np.zeros((2, 2), int), np.zeros((2, 2, 2))])
def test_what_is_no_label_volume_is_refused(labels):
    with pytest.raises(ValueError, match=r"a label volume is \(Z, Y, X\) integers"):
        object_moments(labels, 1)
