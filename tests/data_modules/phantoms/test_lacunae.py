"""Lacunae in space and their sections, against geometry and stereology."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import pdist

from data_modules.phantoms.drawing import Ellipses, draw_coverage, draw_labels, smooth_noise
from data_modules.phantoms.lacunae import (
    MINIMUM_DISTANCE_UM,
    Ellipsoids,
    LacunaPopulation,
    cut_ellipsoids,
    keep_apart,
    sample_centres,
    shape_ellipsoids,
)

pytestmark = pytest.mark.slow

HUMAN = LacunaPopulation(20_600.0, 410.0, 150.0, 3.9, 1.9)


def random_lacunae(count, rng):
    centre = rng.random((count, 3)) * [10.0, 200.0, 200.0] - [5.0, 0.0, 0.0]
    normal = rng.uniform(0, np.pi, count)
    return shape_ellipsoids(centre, normal, rng.normal(0.4, 0.3, count), HUMAN, rng)


def test_centres_have_the_wanted_density_and_keep_apart():
    centres = sample_centres((400.0, 400.0, 400.0), 20_600.0, np.random.default_rng(1))
    assert len(centres) == pytest.approx(20_600 * 0.4**3, rel=0.06)
    assert pdist(centres).min() > MINIMUM_DISTANCE_UM
    # The box's faces are no barrier: a thin slab has the same density as a thick one.
    slab = [
        len(sample_centres((10.0, 800.0, 800.0), 20_600.0, np.random.default_rng(seed)))
        for seed in range(20)
    ]
    assert np.mean(slab) == pytest.approx(20_600e-9 * 10 * 800 * 800, rel=0.06)


def test_another_distance_is_kept():
    centres = sample_centres((60.0, 60.0, 60.0), 325_000.0, np.random.default_rng(3), 6.5)
    assert 6.5 < pdist(centres).min() < 7.5
    assert len(centres) == pytest.approx(325_000e-9 * 60**3, rel=0.3)


def test_impossible_density_is_refused():
    with pytest.raises(ValueError, match="is not possible; take a value between 0 and 52,"):
        sample_centres((50.0, 50.0, 50.0), 80_000.0, np.random.default_rng(0))


def test_size_and_shape_are_those_of_human_lacunae():
    lacunae = random_lacunae(4000, np.random.default_rng(2))
    assert lacunae.volume_um3.mean() == pytest.approx(410, rel=0.03)
    assert lacunae.volume_um3.std() == pytest.approx(150, rel=0.08)
    # Dong et al. 2014: 18.9 ± 4.9, 9.2 ± 2.1 and 4.8 ± 1.1 µm.
    np.testing.assert_allclose(2 * lacunae.semi_axes_um.mean(axis=0), [18.9, 9.2, 4.8], rtol=0.07)
    frames = np.einsum("nij,nkj->nik", lacunae.axes, lacunae.axes)
    np.testing.assert_allclose(frames, np.broadcast_to(np.eye(3), frames.shape), atol=1e-12)


def test_of_lacunae_that_are_too_near_the_first_stays():
    # Along x: long ones of half-length 5 and 3 with 0.6 µm between, and one far off; a flat one
    # above the first, whose flat side is 0.9 µm away.
    axes = np.tile(np.eye(3)[[2, 1, 0]], (4, 1, 1))
    centre = np.array([[0, 0, 0], [0, 0, 8.6], [0, 0, 30.0], [3.9, 0, 0]])
    semi_axes = np.array([[5, 2, 2], [3, 2, 2], [3, 2, 2], [5, 2, 1.0]])
    lacunae = Ellipsoids(centre, semi_axes, axes)
    for gap, kept in ((0.5, [0, 1, 2, 3]), (0.7, [0, 2, 3]), (1.0, [0, 2])):
        found = keep_apart(lacunae, gap)
        np.testing.assert_array_equal(found.centre_um, centre[kept])
        np.testing.assert_array_equal(found.semi_axes_um, semi_axes[kept])


def test_plane_through_a_sphere():
    sphere = Ellipsoids(np.array([[3.0, 20.0, 30.0]]), np.full((1, 3), 5.0), np.eye(3)[None])
    outline, share, cut = cut_ellipsoids(
        sphere, thickness_um=0.0, pixel_size_um=0.5, minimum_area_um2=0.0
    )
    np.testing.assert_allclose(outline.semi_axes, [[8.0, 8.0]])  # 3-4-5 triangle, 0.5 µm pixels
    np.testing.assert_allclose(outline.centre, [[39.5, 59.5]])
    assert share.tolist() == [1.0]
    assert cut.tolist() == [True]
    # A slab of 4 µm reaches to z = 2, one µm from the centre, and is filled from -2 to 2.
    outline, share, _ = cut_ellipsoids(
        sphere, thickness_um=4.0, pixel_size_um=1.0, minimum_area_um2=0.0
    )
    np.testing.assert_allclose(outline.semi_axes, [[np.sqrt(24)] * 2])
    np.testing.assert_allclose(share, [1.0])
    assert (
        len(cut_ellipsoids(sphere, thickness_um=0.0, pixel_size_um=0.5, minimum_area_um2=60.0)[0])
        == 0
    )


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**31))
def test_section_is_where_the_ellipsoid_meets_the_plane(seed):
    lacuna = random_lacunae(1, np.random.default_rng(seed))
    pixel = 0.25
    shape = (960, 960)
    outline, _, _ = cut_ellipsoids(
        lacuna, thickness_um=0.0, pixel_size_um=pixel, minimum_area_um2=0.0
    )
    drawn = draw_labels(shape, outline) > 0
    y, x = np.meshgrid(*((np.arange(n) + 0.5) * pixel for n in shape), indexing="ij")
    offset = np.stack([np.zeros_like(y), y, x], -1) - lacuna.centre_um[0]
    inside = (((offset @ lacuna.axes[0].T) / lacuna.semi_axes_um[0]) ** 2).sum(-1) < 1
    assert (drawn != inside).sum() <= 2


def test_area_fraction_of_a_plane_is_the_volume_fraction():
    # Delesse's principle, the mean over many planes.
    rng = np.random.default_rng(3)
    centre = sample_centres((400.0, 300.0, 300.0), 20_600.0, rng)
    angle, elevation = rng.uniform(0, np.pi, (2, len(centre)))
    solid = shape_ellipsoids(centre, angle, elevation, HUMAN, rng)
    fractions = []
    for z in np.arange(40.0, 361.0, 10.0):
        moved = Ellipsoids(solid.centre_um - [z, 0, 0], solid.semi_axes_um, solid.axes)
        outline, _, _ = cut_ellipsoids(
            moved, thickness_um=0.0, pixel_size_um=1.0, minimum_area_um2=0.0
        )
        fractions.append(np.pi * outline.semi_axes.prod(axis=1).sum() / 300.0**2)
    expected = solid.volume_um3.sum() / (400.0 * 300.0**2)
    assert np.mean(fractions) == pytest.approx(expected, rel=0.06)


@settings(max_examples=20, deadline=None)
@given(st.floats(6.0, 15.0), st.floats(2.5, 6.0), st.floats(0.0, np.pi), st.integers(0, 99))
def test_drawn_area_is_that_of_the_ellipse(long, short, angle, seed):
    centre = 20 + np.random.default_rng(seed).random((1, 2))
    ellipse = Ellipses(centre, np.array([[long, short]]), np.array([angle]))
    area = np.pi * long * short
    assert draw_coverage((42, 42), ellipse).sum() == pytest.approx(area, rel=0.03)
    assert (draw_labels((42, 42), ellipse) == 1).sum() == pytest.approx(area, rel=0.12)


def test_ellipses_beyond_the_border_are_cut_off():
    corners = Ellipses(np.array([[0.0, 0.0], [50.0, 50.0]]), np.full((2, 2), 5.0), np.zeros(2))
    labels = draw_labels((20, 20), corners)
    assert set(np.unique(labels)) == {0, 1}
    assert labels[19].max() == 0  # nothing wraps around


@pytest.mark.parametrize("wavelength", [2.0, 9.0, 40.0])
def test_smooth_noise_has_unit_variance_and_the_asked_scale(wavelength):
    rng = np.random.default_rng(4)
    fields = np.stack([smooth_noise((128, 128), wavelength, rng) for _ in range(30)])
    assert fields.mean() == pytest.approx(0.0, abs=0.1)
    assert fields.std() == pytest.approx(1.0, abs=0.1)
    far = min(int(2 * wavelength), 100)
    assert np.mean(fields[:, :, far:] * fields[:, :, :-far]) == pytest.approx(0, abs=0.15)
