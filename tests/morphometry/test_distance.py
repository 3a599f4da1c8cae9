import edt
import numpy as np
import pytest

from lotus.morphometry.distance import squared_distances
from tests.morphometry.bodies import blobs


def in_between(mask):
    """The mask interpolated linearly onto a grid twice as fine."""
    values = mask.astype(float)
    for axis in range(3):
        values = np.moveaxis(values, axis, 0)
        fine = np.empty((2 * len(values) - 1, *values.shape[1:]))
        fine[::2], fine[1::2] = values, (values[1:] + values[:-1]) / 2
        values = np.moveaxis(fine, 0, axis)
    return values


def distances_one_by_one(inside, spacing):
    """Every point against every point of the background."""
    outside = np.argwhere(~inside)
    points = np.argwhere(np.ones_like(inside))
    steps = (points[:, None] - outside[None]) * np.array(spacing)
    return (steps**2).sum(axis=2).min(axis=1).reshape(inside.shape)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (2.0, 1.0, 1.5)])
def test_distances_between_voxels(seed, spacing):
    mask = blobs(seed, share=0.9)
    found = squared_distances(mask, spacing)
    assert found == pytest.approx(distances_one_by_one(mask, spacing))
    assert found == pytest.approx(edt.edtsq(mask, anisotropy=spacing, black_border=False))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (2.0, 1.0, 1.5)])
def test_on_the_fine_grid_the_surface_is_where_half_is_outside(seed, spacing):
    mask = blobs(seed, shape=(5, 6, 7), share=0.9)
    expected = distances_one_by_one(in_between(mask) > 0.5, spacing)
    assert squared_distances(mask, spacing, refinement=2) == pytest.approx(expected)


def test_the_border_of_the_image_is_no_background():
    mask = np.ones((1, 1, 6), bool)
    mask[..., 0] = False
    assert squared_distances(mask, (1, 1, 1)).ravel().tolist() == [0, 1, 4, 9, 16, 25]


def test_without_background_every_distance_is_infinite():
    assert np.isinf(squared_distances(np.ones((2, 3, 4), bool), (1, 1, 1))).all()
    assert (squared_distances(np.zeros((2, 3, 4), bool), (1, 1, 1)) == 0).all()
