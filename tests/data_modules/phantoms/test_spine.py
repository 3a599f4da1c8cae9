"""A spine and its network: geometry, and its voxels against geometry."""

from itertools import pairwise

import cc3d
import numpy as np
import pytest

from data_modules.phantoms.drawing import draw_smooth_volume
from data_modules.phantoms.lacunae import Ellipsoids
from data_modules.phantoms.spine import Canaliculi, Outline, Spine, draw_spine
from data_modules.phantoms.spine_voxels import BONE, LCN, Grid, draw_voxels

NO_WAVES = np.zeros(0)
ROUND = Outline(20.0, NO_WAVES, NO_WAVES, NO_WAVES, NO_WAVES)
NO_LACUNAE = Ellipsoids(np.zeros((0, 3)), np.zeros((0, 3)), np.zeros((0, 3, 3)))
NO_CANALICULI = Canaliculi(np.zeros((0, 3, 3)), np.zeros(0))


def spine(seed=0, height=39.0, diameter=38.0, voxel=0.376):
    return draw_spine(height, diameter, voxel, np.random.default_rng(seed))


def ellipsoid(centre, semi_axes, angle=0.4):
    """Long axis along z, the others turned about it."""
    c, s = np.cos(angle), np.sin(angle)
    axes = np.array([[[1.0, 0, 0], [0, c, s], [0, -s, c]]])
    return Ellipsoids(np.array([centre], float), np.array([semi_axes], float), axes)


def shell(lacunae, number, more):
    """Points of an ellipsoid's surface and inside it, from its middle."""
    sphere = np.random.default_rng(0).standard_normal((2000, 3))
    sphere /= np.maximum(np.linalg.norm(sphere, axis=1, keepdims=True), 1.0)
    return (sphere * (lacunae.semi_axes_um[number] + more)) @ lacunae.axes[number]


def test_an_outline_without_waves_is_an_ellipse():
    assert ROUND.depth_um(np.array(3.0), np.array(0.0), np.array(4.0)) == pytest.approx(6.0)
    # Flat along y: its surface is at 8.5 µm.
    assert ROUND.depth_um(np.array(0.0), np.array(8.5), np.array(0.0)) == pytest.approx(0.0)


def test_waves_go_inwards_and_turn_along_the_axis():
    waved = Outline(20.0, *(np.array([value]) for value in (2.0, 0.1, 0.0, np.pi / 8)))
    z, angle = np.array(4.0), np.array(0.3)
    depth = waved.depth_um(z, 0.85 * 5 * np.sin(angle), 5 * np.cos(angle))
    assert depth == pytest.approx(10 * (1 - 0.1 * (1 + np.cos(2 * 0.3 + np.pi / 8 * 4))) - 5)


def test_lacunae_lie_deep_in_bone_along_the_spine_and_apart():
    for seed in range(6):
        one = spine(seed)
        lacunae = one.lacunae
        assert (one.outline.depth_um(*lacunae.centre_um.T) > 3.0).all()
        # Long axes within 30° of the spine, flat sides towards the surface.
        assert (np.abs(lacunae.axes[:, 0, 0]) > np.cos(np.deg2rad(30))).all()
        outwards = lacunae.centre_um[:, 1:] / np.linalg.norm(
            lacunae.centre_um[:, 1:], axis=1, keepdims=True
        )
        across = (lacunae.axes[:, 2, 1:] * outwards).sum(axis=1)
        assert (np.abs(across) > np.cos(np.deg2rad(45))).all()
        # Drawn with half a micrometre more all around, they do not touch.
        for number in range(len(lacunae)):
            points = lacunae.centre_um[number] + shell(lacunae, number, 0.45)
            for other in range(number):
                unit = (points - lacunae.centre_um[other]) @ lacunae.axes[other].T
                wide = lacunae.semi_axes_um[other] + 0.45
                assert (np.linalg.norm(unit / wide, axis=1) > 1).all()


def test_eight_lacunae_on_forty_micrometres_none_thicker_than_a_few():
    spines = [spine(seed) for seed in range(20)]
    z = [one.lacunae.centre_um[:, 0] for one in spines]
    assert np.mean([((c > 0) & (c < 39)).sum() for c in z]) == pytest.approx(8, abs=2)
    thickness = [2 * one.lacunae.semi_axes_um[:, 2].max() for one in spines]
    assert 2.8 < np.mean(thickness) < 4.0


def test_a_thin_spine_is_a_small_copy_with_a_lacuna():
    whole, thin = spine(3), spine(3, height=3.9, diameter=3.8, voxel=0.0376)
    np.testing.assert_allclose(thin.lacunae.centre_um, whole.lacunae.centre_um / 10)
    np.testing.assert_allclose(thin.lacunae.semi_axes_um, whole.lacunae.semi_axes_um / 10)
    np.testing.assert_allclose(thin.canaliculi.controls, whole.canaliculi.controls / 10)
    for seed in range(10):
        centre = spine(seed, height=0.4).lacunae.centre_um
        assert ((centre[:, 0] > 0) & (centre[:, 0] < 0.4)).any()


def test_every_lacuna_has_canaliculi_and_near_ones_are_joined_once():
    one = spine(1)
    start, end = one.canaliculi.controls[:, 0], one.canaliculi.controls[:, 2]
    centre = one.lacunae.centre_um
    of = (start[:, None] == centre[None]).all(axis=2)
    to = (end[:, None] == centre[None]).all(axis=2)
    assert ((of & ~to.any(axis=1)[:, None]).sum(axis=0) >= 14).all()
    joins = [
        tuple(sorted((a.argmax(), b.argmax()))) for a, b in zip(of, to, strict=True) if b.any()
    ]
    assert len(joins) == len(set(joins)) > 0
    gap = np.linalg.norm(centre[:, None] - centre[None], axis=2)
    assert all(0 < gap[pair] <= 16 for pair in joins)
    nearest = np.argwhere(gap + np.eye(len(gap)) * 99 == (gap + np.eye(len(gap)) * 99).min())[0]
    assert tuple(sorted(nearest)) in joins


def test_canaliculi_leave_the_flat_faces_and_have_the_lengths_and_widths_of_theirs():
    for scale in (1.0, 0.1):
        one = spine(5, height=39 * scale, diameter=38 * scale, voxel=1e-4)
        start, end = one.canaliculi.controls[:, 0], one.canaliculi.controls[:, 2]
        free = ~(end[:, None] == one.lacunae.centre_um[None]).all(axis=2).any(axis=1)
        length = np.linalg.norm(end - start, axis=1)[free] / scale
        assert 5.0 <= length.min() < 6.0
        assert 11.0 < length.max() <= 12.0
        width = 2 * one.canaliculi.radius_um / scale
        assert 0.25 <= width.min() < 0.28
        assert 0.47 < width.max() <= 0.5
        of = (start[free, None] == one.lacunae.centre_um[None]).all(axis=2).argmax(axis=1)
        along = np.einsum("nik,nk->ni", one.lacunae.axes[of], (end - start)[free])
        long, middle, flat = np.abs(along).mean(axis=0)
        assert long < middle < flat


def test_pieces_follow_the_curve():
    controls = np.array(
        [[[0, 0, 0], [0, 0, 2.0], [0, 2.0, 2.0]], [[1, 1, 1], [2, 1, 1], [3, 1, 1]]]
    )
    middles, lengths, radii = Canaliculi(controls, np.array([0.1, 0.2])).pieces(0.05)
    assert (lengths <= 0.05 + 1e-12).all()
    # Length of the parabola (2t - t²)(0, 0, 2) + t² (0, 2, 0), by quadrature; a straight line.
    t = (np.arange(100_000) + 0.5) / 100_000
    arc = np.hypot(4 * t, 4 * (1 - t)).mean()
    assert lengths[radii == 0.1].sum() == pytest.approx(arc, rel=1e-3)
    assert lengths[radii == 0.2].sum() == pytest.approx(2.0)
    np.testing.assert_allclose(middles[radii == 0.2][:, 1:], 1.0)
    assert [len(part) for part in NO_CANALICULI.pieces(1.0)] == [0, 0, 0]


def test_voxels_hold_the_volume_of_an_ellipsoid_at_its_place():
    lacunae = ellipsoid((6.0, 1.0, -2.0), (4.0, 2.0, 1.5))
    voxels = draw_voxels(Spine(ROUND, lacunae, NO_CANALICULI), Grid((0, 48), 96, 0.25))
    volume = 4 / 3 * np.pi * 12.0
    assert voxels.voids.sum() * 0.25**3 == pytest.approx(volume, rel=0.01)
    assert (voxels.lacunae == 1).sum() * 0.25**3 == pytest.approx(volume, rel=0.01)
    centre = np.argwhere(voxels.lacunae == 1).mean(axis=0)
    # Voxel i has its middle at (i + 1/2) 0.25 µm, y and x from the middle of the slice.
    np.testing.assert_allclose((centre + 0.5) * 0.25 - [0, 12, 12], [6.0, 1.0, -2.0], atol=0.02)
    # The flat axis is the third of the axes: (0, -sin, cos).
    spread = np.cov(np.argwhere(voxels.lacunae == 1).T) * 0.25**2
    flat = np.array([0.0, -np.sin(0.4), np.cos(0.4)])
    assert flat @ spread @ flat == pytest.approx(1.5**2 / 5, rel=0.06)
    assert spread[0, 0] == pytest.approx(4.0**2 / 5, rel=0.06)


def test_voxels_hold_the_volume_of_a_tube_and_of_the_rod():
    tube = np.array([[[2.0, -6.0, 0.0], [4.0, 0.0, 1.0], [6.0, 6.0, 2.0]]])
    canaliculi = Canaliculi(tube, np.array([0.8]))
    voxels = draw_voxels(Spine(ROUND, NO_LACUNAE, canaliculi), Grid((0, 40), 96, 0.25))
    length = np.linalg.norm(tube[0, 2] - tube[0, 0])
    volume = np.pi * 0.8**2 * length + 4 / 3 * np.pi * 0.8**3
    assert voxels.voids.sum() * 0.25**3 == pytest.approx(volume, rel=0.03)
    assert voxels.bone.sum() * 0.25**3 == pytest.approx(np.pi * 10 * 8.5 * 10, rel=0.005)
    # The axis is in the middle of the slices.
    np.testing.assert_allclose(voxels.bone, voxels.bone[:, ::-1, ::-1], atol=1e-5)


def test_classes_are_what_has_half_of_the_voxel_and_nothing_is_outside_of_bone():
    beyond = np.array([[[5.0, 0.0, 0.0], [5.0, 0.0, 8.0], [5.0, 0.0, 16.0]]])
    parts = Spine(ROUND, NO_LACUNAE, Canaliculi(beyond, np.array([0.6])))
    voxels = draw_voxels(parts, Grid((0, 40), 128, 0.25))
    assert (voxels.voids <= voxels.bone).all()
    classes = voxels.classes()
    np.testing.assert_array_equal(classes > 0, voxels.bone >= 0.5)
    np.testing.assert_array_equal(classes == LCN, (voxels.voids >= 0.5) & (voxels.bone >= 0.5))
    assert set(np.unique(classes)) == {0, LCN, BONE}


def test_the_thinnest_canaliculi_are_in_one_piece():
    for seed in range(4):
        rng = np.random.default_rng(seed)
        controls = np.add(rng.uniform(-6, 6, (1, 3, 3)), [6.5, 0, 0])
        parts = Spine(ROUND, NO_LACUNAE, Canaliculi(controls, np.array([0.8 * 0.25])))
        classes = draw_voxels(parts, Grid((0, 52), 96, 0.25)).classes()
        assert cc3d.connected_components(classes == LCN, connectivity=26).max() == 1


def test_blocks_of_slices_are_those_of_the_whole():
    one = spine(2, height=12.0)
    whole = draw_voxels(one, Grid((0, 32), 128, 0.376))
    for first, stop in pairwise([0, 7, 8, 32]):
        part = draw_voxels(one, Grid((first, stop), 128, 0.376))
        for name in ("bone", "voids", "lacunae"):
            np.testing.assert_array_equal(getattr(part, name), getattr(whole, name)[first:stop])


def test_smooth_volume_has_unit_variance_and_the_same_slices_in_any_blocks():
    volume = draw_smooth_volume((40, 60, 60), 6.0, np.random.default_rng(0))
    whole = volume.slices(0, 40)
    assert whole.shape == (40, 60, 60)
    assert whole.std() == pytest.approx(1.0, abs=0.1)
    # Neighbours are alike along every axis, voxels a wavelength apart are not.
    for axis in range(3):
        near = np.corrcoef(whole.ravel(), np.roll(whole, 1, axis).ravel())[0, 1]
        far = np.corrcoef(whole.ravel(), np.roll(whole, 8, axis).ravel())[0, 1]
        assert near > 0.8
        assert abs(far) < 0.15
    np.testing.assert_array_equal(whole[7:19], volume.slices(7, 19))
