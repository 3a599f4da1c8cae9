"""Hausdorff distances against MONAI, SciPy's trees and cases measured by hand."""

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from monai.metrics import compute_hausdorff_distance
from scipy.ndimage import binary_erosion
from scipy.spatial import cKDTree

from lotus.metrics.functional import hausdorff_distance, hausdorff_distances
from lotus.metrics.functional.surface_distance import boundary, nearest_distances

PERCENTILES = (100.0, 95.0, 50.0, 3.0)
MASKS = hnp.arrays(np.bool_, hnp.array_shapes(min_dims=2, max_dims=3, max_side=7))


def monai_distances(prediction, target, percentiles, spacing=None):
    batch = [torch.tensor(mask != 0)[None, None] for mask in (prediction, target)]
    return [
        float(compute_hausdorff_distance(*batch, True, percentile=p, spacing=spacing))
        for p in percentiles
    ]


def random_mask(rng, shape, share):
    mask = rng.random(shape) < share
    mask.flat[rng.integers(mask.size)] = True
    return mask


@pytest.mark.parametrize("shape", [(40, 55), (1, 30), (12, 9, 17)])
@pytest.mark.parametrize("share", [0.002, 0.1, 0.7])
def test_values_are_those_of_monai(shape, share):
    rng = np.random.default_rng(7)
    prediction, target = random_mask(rng, shape, share), random_mask(rng, shape, 0.2)
    spacing = (2.0, 0.5, 0.75)[: len(shape)]
    for voxel in (None, spacing):
        np.testing.assert_allclose(
            hausdorff_distances(prediction, target, PERCENTILES, voxel),
            monai_distances(prediction, target, PERCENTILES, voxel),
            rtol=1e-5,
        )


@pytest.mark.parametrize("shape", [(90, 300), (300, 90), (5, 60, 70), (60, 5, 80)])
@pytest.mark.parametrize("voxel", [(1.0, 1.0, 1.0), (0.3, 2.0, 0.7), (50.0, 0.1, 4.0)])
@pytest.mark.parametrize("shares", [(0.0005, 0.0005), (0.3, 0.0005), (0.3, 0.3)])
def test_nearest_distances_near_and_far_are_those_of_a_tree(shape, voxel, shares):
    rng = np.random.default_rng(3)
    voxel = voxel[: len(shape)]
    edge, other = (random_mask(rng, shape, share) for share in shares)
    tree = cKDTree(np.argwhere(other) * voxel)
    np.testing.assert_allclose(
        nearest_distances(edge, other, voxel),
        tree.query(np.argwhere(edge) * voxel)[0],
        rtol=1e-5,
    )


def test_many_pixels_far_apart_are_exact():
    top, bottom = np.zeros((2, 200, 200), bool)
    top[:60:2] = bottom[-60::3] = True
    tree = cKDTree(np.argwhere(bottom))
    for edge, other in ((top, bottom), (top.T, bottom.T)):
        expected = np.sort(tree.query(np.argwhere(top))[0])
        np.testing.assert_allclose(
            np.sort(nearest_distances(edge, other, (1.0, 1.0))), expected, rtol=1e-6
        )


def test_a_nearer_pixel_beyond_the_searched_lines_is_found():
    edge, other = np.zeros((2, 1, 100, 100), bool)
    edge[0, 0, 0] = other[0, 32, 20] = other[0, 33, 0] = True
    assert nearest_distances(edge, other, (1.0, 1.0, 1.0)).tolist() == [33]


@given(MASKS)
@settings(max_examples=50, deadline=None)
def test_boundary_is_the_mask_minus_its_erosion(mask):
    np.testing.assert_array_equal(boundary(mask), mask & ~binary_erosion(mask))


@given(hnp.arrays(np.bool_, (2, 6, 9)), st.floats(0.1, 9), st.floats(0.1, 9))
@settings(max_examples=60, deadline=None)
def test_bounds_order_and_symmetry(masks, height, width):
    assume(masks[0].any() and masks[1].any())
    there = hausdorff_distances(masks[0], masks[1], PERCENTILES, (height, width))
    assert there == hausdorff_distances(masks[1], masks[0], PERCENTILES, (height, width))
    assert all(a >= b for a, b in itertools.pairwise(there))
    assert 0 <= there[0] < math.hypot(6 * height, 9 * width)
    assert hausdorff_distance(masks[0], masks[0]) == 0


def test_two_rectangles_by_hand():
    target, prediction = np.zeros((2, 30, 40), np.uint8)
    target[5:10, 5:15] = 1
    prediction[5:10, 5:18] = 9
    assert hausdorff_distance(prediction, target) == 3
    assert hausdorff_distance(prediction, target, spacing=(10, 0.5)) == 1.5
    # Label ids play no part: anything non-zero is foreground.
    assert hausdorff_distance(prediction * 5, target) == 3


def test_directed_percentiles_are_compared_not_pooled():
    """One false pixel among few predicted ones, and a tenth of many true ones found."""
    target, prediction = np.zeros((2, 3, 200), bool)
    target[1, :100] = prediction[1, 5:100:10] = True
    prediction[1, 190] = True
    # From the prediction: ten distances of 0 and one of 91. From the target: up to 5 pixels.
    assert hausdorff_distance(prediction, target, percentile=95) == pytest.approx(91 / 2)
    assert hausdorff_distance(prediction, target) == 91


def test_undefined_cases():
    empty, mask = np.zeros((3, 4), int), np.eye(3, 4, dtype=int)
    assert all(math.isnan(d) for d in hausdorff_distances(empty, empty))
    assert hausdorff_distances(empty, mask) == hausdorff_distances(mask, empty) == (5, 5)
    assert hausdorff_distance(empty, mask, spacing=(2, 2)) == 10


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"spacing": (1.0,)}, "2 positive numbers"),
        ({"spacing": (1.0, 0.0)}, "2 positive numbers"),
        ({"percentile": 101}, "0 to 100"),
    ],
)
def test_arguments_out_of_range_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        hausdorff_distance(np.eye(3, dtype=int), np.eye(3, dtype=int), **arguments)
    with pytest.raises(ValueError, match=r"\(Y, X\) or \(Z, Y, X\), got shape \(5,\)"):
        hausdorff_distance(np.ones(5, int), np.ones(5, int))
