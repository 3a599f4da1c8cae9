import numpy as np
import pytest

from lotus.imaging.pyramid import block_depth, coarser, levels_of


@pytest.mark.parametrize(
    ("shape", "depth"),
    [((420, 512, 512), 32), ((2154, 2154, 2154), 8), ((3, 9000, 9000), 1), ((5, 4, 4), 32)],
)
def test_a_block_is_bounded_by_slices_and_by_voxels(shape, depth):
    assert block_depth(shape) == depth


@pytest.mark.parametrize("depth", [1, 4, 64])
@pytest.mark.parametrize("shape", [(420, 513, 700), (67, 2000, 3), (1, 1, 1), (900, 20, 30)])
def test_blocks_are_whole_chunks_and_shards_of_every_level(shape, depth):
    """Checked voxel by voxel along z: no chunk of a level belongs to two blocks."""
    for level in levels_of(shape, depth):
        block_of = np.arange(shape[0]) // depth
        chunk_of = np.arange(shape[0]) // level.factors[0] // level.chunk[0]
        for chunk in np.unique(chunk_of):
            assert len(np.unique(block_of[chunk_of == chunk])) == 1
        assert level.shard[0] == level.chunk[0]
        sides = zip(level.shard[1:], level.chunk[1:], level.shape[1:], strict=True)
        assert all(shard % chunk == 0 and shard >= side for shard, chunk, side in sides)
        expected = [-(-s // f) for s, f in zip(shape, level.factors, strict=True)]
        assert list(level.shape) == expected


def test_levels_end_where_they_are_small_and_halve_slices_within_a_block():
    levels = levels_of((420, 512, 512), 32)
    assert [level.shape for level in levels] == [(420, 512, 512), (210, 256, 256)]
    assert [level.chunk for level in levels] == [(32, 128, 128), (16, 128, 128)]
    # Slices that are written one by one stay as many.
    levels = levels_of((420, 1000, 100), 1)
    assert [level.shape for level in levels] == [(420, 1000, 100), (420, 500, 50), (420, 250, 25)]


def test_a_coarser_block_is_the_mean_of_grey_values():
    block = np.zeros((2, 2, 3), np.float32)
    block[1, 1, 1] = 8.0
    block[:, :, 2] = 3.0
    np.testing.assert_array_equal(coarser(block, is_label=False), [[[1.0, 3.0]]])


@pytest.mark.parametrize("is_label", [False, True])
def test_a_single_slice_is_not_halved_along_z(is_label):
    block = np.full((1, 4, 4), 7, np.uint8)
    assert coarser(block, is_label=is_label).shape == (1, 2, 2)
    assert coarser(np.full((3, 5, 1), 7, np.uint8), is_label=is_label).shape == (2, 3, 1)


def test_labels_are_taken_and_not_mixed():
    block = np.random.default_rng(0).integers(0, 9, (4, 6, 7)).astype(np.uint16)
    expected = np.array(
        [[[block[z, y, x] for x in (0, 2, 4, 6)] for y in (0, 2, 4)] for z in (0, 2)]
    )
    found = coarser(block, is_label=True)
    np.testing.assert_array_equal(found, expected)
    assert found.dtype == np.uint16


@pytest.mark.parametrize(("depth", "edge"), [(32, 128), (16, 128), (8, 256), (1, 256)])
def test_chunks_of_few_slices_are_wider(depth, edge):
    (finest, *_) = levels_of((100, 1000, 300), depth)
    assert finest.chunk == (depth, edge, edge)
