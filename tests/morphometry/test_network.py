"""Networks of rods, crosses and helices of which lengths and nodes are known."""

import numpy as np
import pytest
from scipy.ndimage import convolve, gaussian_filter
from scipy.spatial import cKDTree
from skimage.morphology import skeletonize

from lotus.masks import connected_components, fill_voids
from lotus.morphometry.branch_length import smoothed_lengths
from lotus.morphometry.network import canalicular_network

pytestmark = pytest.mark.slow  # skan compiles its loops


def tubes(shape, *paths, radius):
    """Voxels within a radius of the points of any path."""
    voxels = np.argwhere(np.ones(shape, bool))
    distance, _ = cKDTree(np.concatenate(paths)).query(voxels, distance_upper_bound=radius + 1e-9)
    return np.isfinite(distance).reshape(shape)


def line(start, end):
    return np.linspace(start, end, 600)


def helix(radius, pitch, turns, centre):
    angle = np.linspace(0, 2 * np.pi * turns, 4000)
    axis, circle = pitch * angle / (2 * np.pi), radius * np.array([np.cos(angle), np.sin(angle)])
    return np.column_stack([axis, *circle]) + centre


def length_of(path):
    return np.linalg.norm(np.diff(path, axis=0), axis=1).sum()


@pytest.mark.parametrize(
    "direction",
    [(1, 0, 0), (1, 1, 0), (1, 1, 1), (1, 0.5, 0), (1, 0.3, 0.2), (0.2, 1, 0.5), (-0.9, 0.1, 1)],
)
@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (0.3, 0.2, 0.1)])
def test_straight_rods_have_their_length_at_any_angle(direction, spacing):
    middle, half = (
        np.array([40.0, 40.0, 40.0]),
        33 * np.array(direction) / np.linalg.norm(direction),
    )
    rod = tubes((81, 81, 81), line(middle - half, middle + half), radius=1.2)
    network = canalicular_network(rod, spacing=spacing)
    assert network.degrees.tolist() == [1, 1]
    expected = np.linalg.norm(2 * half * spacing)
    # Half a voxel is missing at either end, and the grid adds at most 1.5 %.
    assert 0.95 * expected < network.length < 1.015 * expected
    assert network.lengths.tolist() == [network.length]


def test_staircases_are_as_long_as_the_line_they_follow():
    random = np.random.default_rng(0)
    for _ in range(20):
        end = random.normal(size=3)
        end *= 80 / np.linalg.norm(end)
        steps = int(np.abs(end).max())
        voxels = np.rint(np.linspace(0, end, steps + 1)).astype(int)
        straight = np.linalg.norm(voxels[-1])
        (length,) = smoothed_lengths(voxels, np.array([0]))
        assert length == pytest.approx(straight, rel=0.015)


def test_each_of_many_paths_has_its_own_length():
    paths = [np.array([[2, 2, 2]]), np.array([[0, 0, 0], [1, 1, 1]])]
    paths += [np.array([[0, 0, i] for i in range(n)]) + 5 for n in (3, 10, 11, 12, 30)]
    starts = np.cumsum([0, *map(len, paths)])[:-1]
    lengths = smoothed_lengths(np.concatenate(paths), starts, (1.0, 1.0, 0.5))
    assert lengths.tolist() == pytest.approx([0, 1.5, 1, 4.5, 5, 5.5, 14.5])
    assert not len(smoothed_lengths(np.zeros((0, 3), int), np.zeros(0, int)))


@pytest.mark.parametrize(("radius", "pitch"), [(6, 20), (12, 25)])
def test_a_helix_is_not_shortened(radius, pitch):
    path = helix(radius, pitch, turns=2, centre=(4, radius + 4, radius + 4))
    side = 2 * radius + 9
    network = canalicular_network(tubes((2 * pitch + 9, side, side), path, radius=1.0))
    assert network.degrees.tolist() == [1, 1]
    assert network.length == pytest.approx(length_of(path), rel=0.03)


@pytest.mark.parametrize("radius", [0.6, 1.5, 3.0])
@pytest.mark.parametrize("ends", [((20, 2, 4), (20, 38, 36)), ((5, 12, 2), (35, 28, 38))])
def test_a_cross_is_one_node_of_four_branches_however_thick(radius, ends):
    ends = np.array(ends, float)
    across = line(np.array([20.0, 2, 30]), np.array([20.0, 38, 10]))
    cross = tubes((41, 41, 41), line(*ends), across, radius=radius)
    network = canalicular_network(cross)
    assert sorted(network.degrees.tolist()) == [1, 1, 1, 1, 4]
    assert len(network.lengths) == 4
    # Round caps reach out by the radius that thinning takes away.
    assert network.length == pytest.approx(length_of(ends) + length_of(across), rel=0.04)


def test_canaliculi_of_a_lacuna_are_counted_outside_it():
    shape, middle = (61, 61, 61), np.array([30.0, 30, 30])
    ball = (((np.argwhere(np.ones(shape, bool)) - middle) ** 2).sum(axis=1) <= 100).reshape(shape)
    tips = middle + 28 * np.array(
        [(1, 0, 0), (-1, 0, 0), (0, 0.8, 0.6), (0, -0.8, 0.6), (0, 0.6, -0.8), (0.6, -0.8, 0)]
    )
    lcn = ball | tubes(shape, *(line(middle, tip) for tip in tips), radius=1.2)
    network = canalicular_network(lcn, ball.astype(np.int32))
    assert network.lacuna_degrees.tolist() == [6]
    assert network.degrees.tolist() == [1] * 6
    # A voxel is missing where it leaves the lacuna and about its radius at its tip.
    assert 6 * (28 - 10 - 2) < network.length < 6 * (28 - 10)


def test_a_canaliculus_between_two_lacunae_is_one_branch():
    lcn = np.zeros((21, 21, 60), bool)
    lcn[5:16, 5:16, 5:16] = lcn[5:16, 5:16, 45:56] = True
    lacunae = lcn.astype(np.int32)
    lacunae[:, :, 30:] *= 2
    lcn[10, 10, 16:45] = True
    network = canalicular_network(lcn, lacunae)
    assert network.lacuna_degrees.tolist() == [1, 1]
    assert len(network.degrees) == 0
    assert [network.length] == network.lengths.tolist() == pytest.approx([28])


def test_a_bump_on_a_rod_is_no_branch():
    lcn = np.zeros((15, 15, 50), bool)
    lcn[5:10, 5:10, 2:48] = True
    bumped = lcn.copy()
    bumped[10, 6:9, 20:23] = bumped[11, 7, 21] = True
    for rod in (lcn, bumped):
        network = canalicular_network(rod)
        assert network.degrees.tolist() == [1, 1]
        assert len(network.lengths) == 1


@pytest.mark.parametrize(("hair", "is_branch"), [(1, False), (6, True)])
def test_a_hair_is_a_branch_if_it_reaches_out_of_the_rod(hair, is_branch):
    lcn = np.zeros((15, 25, 50), bool)
    lcn[5:10, 3:8, 2:48] = True
    lcn[7, 8 : 8 + hair, 25] = True
    network = canalicular_network(lcn)
    assert sorted(network.degrees.tolist()) == ([1, 1, 1, 3] if is_branch else [1, 1])
    # A rod of 46 voxels loses two at either end.
    assert network.length == pytest.approx(41 + is_branch * (hair + 2), abs=1.5)


def test_two_voxels_are_the_shortest_canaliculus():
    lcn = np.zeros((3, 3, 4), bool)
    lcn[1, 1, 1:3] = True
    assert canalicular_network(lcn, spacing=(1.0, 1.0, 0.5)).length == pytest.approx(0.5)


@pytest.mark.parametrize("seed", [7, 48])
def test_a_spur_of_a_rough_rod_is_no_branch(seed):
    z, y, x = np.mgrid[:13, :13, :40]
    noise = gaussian_filter(np.random.default_rng(seed).normal(size=z.shape), 1.0)
    rough = (np.hypot(z - 6, y - 6) <= 3 + noise / noise.std()) & (x > 2) & (x < 37)
    labels = connected_components(rough)
    rod = fill_voids(labels == np.bincount(labels[labels > 0]).argmax())
    skeleton = skeletonize(rod)
    neighbours = convolve(skeleton.astype(int), np.ones((3, 3, 3)), mode="constant") - 1
    assert (neighbours[skeleton] == 1).sum() == 3
    network = canalicular_network(rod)
    assert network.degrees.tolist() == [1, 1]
    assert network.lengths.tolist() == [pytest.approx(network.length)]
    assert 30 < network.length < 40


def test_a_ring_has_its_length_and_no_node():
    angle = np.linspace(0, 2 * np.pi, 2000)
    path = np.column_stack([np.full(2000, 4.0), 20 + 15 * np.cos(angle), 20 + 15 * np.sin(angle)])
    network = canalicular_network(tubes((9, 41, 41), path, radius=1.2))
    assert network.length == pytest.approx(2 * np.pi * 15, rel=0.03)
    assert len(network.lengths) == 1
    assert len(network.degrees) == 0


@pytest.mark.parametrize("voxels", [(), [(2, 2, 2)]])
def test_without_canaliculi_there_is_no_length(voxels):
    lcn = np.zeros((5, 5, 5), bool)
    for place in voxels:
        lcn[place] = True
    network = canalicular_network(lcn, np.zeros(lcn.shape, np.int32))
    assert network.length == 0
    assert not len(network.lengths)
    assert not len(network.degrees)
