import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import distance_transform_edt

from lotus.morphometry.matrix_distance import distance_blocks


def distances(structure, spacing, block_depth):
    blocks = distance_blocks(
        lambda a, b: structure[a:b], len(structure), spacing, block_depth=block_depth
    )
    starts, parts = zip(*blocks, strict=True)
    assert list(starts) == list(range(0, len(structure), block_depth))
    return np.concatenate(parts)


@given(
    st.integers(0, 10_000),
    st.integers(1, 90),
    st.integers(1, 30),
    st.integers(1, 4),
    st.tuples(*[st.sampled_from([0.4, 1.0, 2.5])] * 3),
)
@settings(max_examples=40, deadline=None)
def test_blocks_have_the_distances_of_the_whole(seed, depth, block_depth, voxels, spacing):
    structure = np.zeros((depth, 3, 4), bool)
    random = np.random.default_rng(seed)
    structure.ravel()[random.integers(0, structure.size, voxels)] = True
    expected = distance_transform_edt(~structure, sampling=spacing)
    np.testing.assert_allclose(distances(structure, spacing, block_depth), expected, rtol=1e-5)


def test_a_nearer_voxel_beyond_the_first_halo_is_found():
    structure = np.zeros((120, 1, 60), bool)
    structure[50, 0, 55] = structure[100, 0, 0] = True
    # The halo of 16 slices shows the one that is 56 voxels away, not that at 38.
    assert distances(structure, (1.0, 1.0, 1.0), 3)[62, 0, 0] == 38


def test_without_a_size_voxels_are_the_unit():
    structure = np.zeros((3, 4, 4), bool)
    structure[0, 0, 0] = True
    ((_, distance),) = distance_blocks(lambda a, b: structure[a:b], 3)
    assert distance[[2, 0, 0], [0, 3, 0], [0, 0, 3]].tolist() == [2, 3, 3]


@pytest.mark.parametrize("block_depth", [1, 40])
def test_without_a_structure_distances_are_infinite(block_depth):
    assert np.isinf(distances(np.zeros((40, 2, 2), bool), (1.0, 1.0, 1.0), block_depth)).all()
