"""Closing and filling of masks, against their definitions and other libraries."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import ndimage
from scipy.spatial.distance import cdist
from skimage.morphology import ball, closing, disk, opening

from lotus.masks import (
    close_with_disk,
    dilate_with_ball,
    fill_voids,
    open_with_ball,
    open_with_square,
)

SLICES = st.tuples(st.integers(5, 36), st.integers(5, 36))
VOLUMES = st.tuples(st.integers(2, 9), st.integers(5, 10), st.integers(5, 10))


def closing_by_definition(mask, radius):
    """Closing from all pairs of pixels: scikit-image's is wrong for disks wider than the image."""
    pixels = np.argwhere(np.ones(mask.shape, bool))
    near = cdist(pixels, pixels, "sqeuclidean") <= radius**2
    dilated = (near & mask.ravel()).any(axis=1)
    return (~near | dilated).all(axis=1).reshape(mask.shape)


@settings(max_examples=20, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    shape=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    side=st.integers(1, 21),
    density=st.floats(0.0, 0.7),
)
def test_opening_with_a_square_is_that_of_scikit_image(seed, shape, side, density):
    rng = np.random.default_rng(seed)
    smooth = ndimage.gaussian_filter(rng.random(shape), rng.uniform(0, 4))
    mask = smooth > np.quantile(smooth, density)
    # Scikit-image mirrors the border, which says another thing of images smaller than the square.
    side = min(side, *shape)
    expected = opening(mask, np.ones((side, side), bool))
    np.testing.assert_array_equal(open_with_square(mask, side), expected)


@settings(max_examples=20, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    shape=VOLUMES,
    diameter=st.floats(1.0, 9.0),
    spacing=st.tuples(*[st.sampled_from([0.5, 1.0, 1.7])] * 3),
    density=st.floats(0.0, 1.0),
)
@example(seed=0, shape=(3, 3, 3), diameter=3.0, spacing=(1.0, 1.0, 1.0), density=0.0)
@example(seed=0, shape=(3, 3, 3), diameter=3.0, spacing=(1.0, 1.0, 1.0), density=1.0)
def test_opening_and_dilation_with_a_ball_are_what_they_are_defined_as(
    seed, shape, diameter, spacing, density
):
    rng = np.random.default_rng(seed)
    smooth = ndimage.gaussian_filter(rng.random(shape), rng.uniform(0, 3))
    mask = smooth >= np.quantile(smooth, density)
    middles = np.argwhere(np.ones(shape, bool)) * spacing
    near = cdist(middles, middles, "sqeuclidean") <= (diameter / 2) ** 2
    dilated = (near & mask.ravel()).any(axis=1).reshape(shape)
    np.testing.assert_array_equal(dilate_with_ball(mask, diameter / 2, spacing), dilated)
    fits = (~near | mask.ravel()).all(axis=1)
    covered = (near & fits).any(axis=1).reshape(shape)
    np.testing.assert_array_equal(open_with_ball(mask, diameter, spacing), covered)


def test_a_ball_leaves_plates_of_its_width_and_takes_thinner_ones():
    for width in range(1, 9):
        mask = np.zeros((20, 9, 9), bool)
        mask[4 : 4 + width] = True
        assert open_with_ball(mask, 4.5).any() == (width >= 5)


@settings(max_examples=20, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    shape=SLICES | VOLUMES,
    radius=st.integers(1, 25),
    density=st.floats(0.0, 1.0),
)
def test_closing_through_distances_equals_its_definition(seed, shape, radius, density):
    rng = np.random.default_rng(seed)
    smooth = ndimage.gaussian_filter(rng.random(shape), rng.uniform(0, 4))
    mask = smooth > np.quantile(smooth, density)
    found = close_with_disk(mask, radius)
    np.testing.assert_array_equal(found, closing_by_definition(mask, radius))


@pytest.mark.parametrize(
    ("shape", "radius", "footprint"), [((90, 80), 10, disk(10)), ((24, 26, 28), 4, ball(4))]
)
def test_closing_through_distances_equals_scikit_image(shape, radius, footprint):
    mask = ndimage.gaussian_filter(np.random.default_rng(0).random(shape), 3) > 0.5
    np.testing.assert_array_equal(close_with_disk(mask, radius), closing(mask, footprint))


@pytest.mark.parametrize("value", [True, False])
def test_closing_keeps_full_and_empty_masks(value):
    mask = np.full((12, 15), value)
    np.testing.assert_array_equal(close_with_disk(mask, 25), mask)


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    shape=st.sampled_from([(24, 31), (7, 9, 11)]),
    density=st.floats(0.2, 0.9),
)
def test_filled_voids_equal_scipys(seed, shape, density):
    mask = np.random.default_rng(seed).random(shape) < density
    np.testing.assert_array_equal(fill_voids(mask), ndimage.binary_fill_holes(mask))


def test_a_tunnel_through_a_volume_is_no_void():
    mask = np.ones((5, 5, 5), np.bool_)
    mask[2, 2, :] = False  # open at both ends, though closed in every slice (Z, Y)
    np.testing.assert_array_equal(fill_voids(mask), mask)
    mask[2, 2, [0, -1]] = True
    assert fill_voids(mask).all()
