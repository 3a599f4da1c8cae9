import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from lotus.masks import connected_components, label_in_blocks, object_moments

MASKS = hnp.arrays(
    np.bool_,
    hnp.array_shapes(min_dims=3, max_dims=3, min_side=1, max_side=7),
    elements=st.integers(0, 3).map(lambda number: number == 0),
)


def reader(mask):
    return lambda start, stop: mask[start:stop]


def spiral():
    """A path that climbs through all slices by the corners of voxels, up and down again."""
    mask = np.zeros((9, 5, 5), np.uint8)
    for z in range(9):
        mask[z, z % 3, z % 2] = 1
        mask[z, 4, 4] = z != 4
    return mask


@given(MASKS, st.integers(1, 4), st.integers(0, 3))
@example(np.ones((5, 2, 2), bool), 2, 0)
@example(np.zeros((3, 2, 2), bool), 1, 0)
@example(spiral(), 2, 0)
@settings(max_examples=150, deadline=None)
def test_blocks_give_the_labels_and_numbers_of_the_whole(mask, block_depth, minimum_size):
    components = label_in_blocks(
        reader(mask), len(mask), block_depth=block_depth, minimum_size=minimum_size
    )
    starts, blocks = zip(*components.blocks(), strict=True)
    assert list(starts) == list(range(0, len(mask), block_depth))
    expected = connected_components(mask, minimum_size)
    labels = np.concatenate(blocks)
    assert labels.dtype == np.int32
    np.testing.assert_array_equal(labels, expected)
    whole = object_moments(expected, int(expected.max()))
    for name, value in vars(whole).items():
        np.testing.assert_array_equal(getattr(components.moments, name), value, err_msg=name)


def test_all_eight_corners_of_a_voxel_join_across_blocks():
    for dz in (0, 2):
        for dy, dx in np.ndindex(3, 3):
            mask = np.zeros((3, 3, 3), bool)
            mask[1, 1, 1] = mask[dz, dy, dx] = True
            assert len(label_in_blocks(reader(mask), 3, block_depth=1).moments) == 1


def test_no_more_than_a_block_is_asked_for():
    asked = []

    def read(start, stop):
        asked.append((start, stop))
        return np.ones((stop - start, 2, 2), bool)

    list(label_in_blocks(read, 7, block_depth=3).blocks())
    assert asked == [(0, 3), (3, 6), (6, 7)] * 2


def test_an_empty_block_is_refused():
    with pytest.raises(ValueError, match="a block has 0 slices"):
        label_in_blocks(reader(np.ones((2, 2, 2))), 2, block_depth=0)
