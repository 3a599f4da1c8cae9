"""Projection and filtered back projection, against points, scikit-image and exact integrals."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from skimage.transform import iradon

from data_modules.phantoms.tomography import (
    filtered_back_projection,
    in_circle,
    project,
    scan_angles,
)


def smooth_slices(depth, size, seed=0):
    noise = np.random.default_rng(seed).random((depth, size, size))
    return (gaussian_filter(noise, (0, 2, 2)) * in_circle(size)).astype(np.float32)


def test_projection_is_that_of_squares_cut_into_points():
    slices, angles = smooth_slices(2, 12), np.array([0.0, 0.4, np.pi / 2, 2.5])
    # 200 x 200 points in every pixel; each falls into one detector pixel.
    inner = (np.arange(200) + 0.5) / 200 - 0.5
    expected = np.zeros((4, 2, 12))
    for number, angle in enumerate(angles):
        for y, x in np.argwhere(in_circle(12)):
            place = (x - 5.5 + inner[None]) * np.cos(angle) + (y - 5.5 + inner[:, None]) * np.sin(
                angle
            )
            seen = np.clip(np.rint(place + 5.5).astype(int), 0, 11)
            share = np.bincount(seen.ravel(), minlength=12) / seen.size
            expected[number] += share * slices[:, y, x, None]
    np.testing.assert_allclose(project(slices, angles), expected, atol=0.03)


def test_projections_along_the_axes_are_sums_of_rows_and_columns():
    slices = smooth_slices(3, 20)
    found = project(slices, np.array([0.0, np.pi / 2, np.pi]))
    np.testing.assert_allclose(found[0], slices.sum(axis=1), atol=2e-3)
    np.testing.assert_allclose(found[1], slices.sum(axis=2), atol=2e-3)
    np.testing.assert_allclose(found[2], found[0][:, ::-1], atol=2e-3)
    # Nothing is lost at any angle.
    mass = project(slices, np.array([0.3, 1.2, 2.8])).sum(axis=2)
    np.testing.assert_allclose(mass, np.tile(slices.sum(axis=(1, 2)), (3, 1)), rtol=1e-5)


def test_projection_of_a_disk_is_its_chord():
    # Beside the rim, where the disk is a staircase of pixels.
    offset = np.arange(101) - 50.0
    disk = (np.hypot(offset[:, None], offset[None, :]) <= 30).astype(np.float32)
    chord = 2 * np.sqrt(np.maximum(30**2 - offset**2, 0))
    found = project(disk[None], np.array([0.7, 1.9]))
    inside = np.abs(offset) < 26
    np.testing.assert_allclose(found[:, 0, inside], [chord[inside]] * 2, rtol=0.03)


# 33 needs more than one group of angles, and not a whole number of them.
@pytest.mark.parametrize("size", [9, 33])
def test_back_projection_is_that_of_scikit_image(size):
    angles = scan_angles(size)
    projections = project(smooth_slices(2, size), angles)
    found = filtered_back_projection(projections, angles)
    # scikit-image counts y downwards; its middle is that of a slice of odd size.
    for number in range(2):
        peer = iradon(projections[:, number].T, np.rad2deg(angles), filter_name="ramp")[::-1]
        np.testing.assert_allclose(found[number][in_circle(size)], peer[in_circle(size)], atol=2e-5)
    assert (found[:, ~in_circle(size)] == 0).all()


def test_a_slice_comes_back():
    y, x = np.mgrid[:64, :64]
    bumps = [(24, 30, 7.0, 1.0), (40, 26, 8.0, 0.7), (34, 43, 6.0, -0.5)]
    slices = sum(h * np.exp(-((y - a) ** 2 + (x - b) ** 2) / s**2) for a, b, s, h in bumps)[None]
    angles = scan_angles(64)
    assert len(angles) == 101  # ceil(64 pi / 2)
    found = filtered_back_projection(project(slices.astype(np.float32), angles), angles)
    np.testing.assert_allclose(found, slices, atol=0.02)


def test_slices_do_not_know_of_each_other():
    slices, angles = smooth_slices(3, 24), scan_angles(24)
    whole = project(slices, angles)
    np.testing.assert_array_equal(whole[:, 1:2], project(slices[1:2], angles))
    np.testing.assert_array_equal(
        filtered_back_projection(whole, angles)[1:2],
        filtered_back_projection(whole[:, 1:2], angles),
    )
