import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lotus.transforms.tiles import REGION, TILE, tile_corners


def test_a_region_gives_four_quadrants_and_its_centre():
    corners = tile_corners(448, 448)
    assert corners.dtype == np.int64
    assert corners.tolist() == [[0, 0], [0, 224], [224, 0], [224, 224], [112, 112]]


def test_the_usual_sizes_and_the_smallest():
    assert (REGION, TILE) == (448, 224)
    assert tile_corners(1, 2, region=2).tolist() == [[0, 0], [0, 1]]


def test_regions_lie_side_by_side_in_rows():
    corners = tile_corners(8, 12, region=4)
    assert len(corners) == 2 * 3 * 5
    assert corners[:5].tolist() == [[0, 0], [0, 2], [2, 0], [2, 2], [1, 1]]
    np.testing.assert_array_equal(corners[5:10], corners[:5] + np.array([0, 4]))
    np.testing.assert_array_equal(corners[15:], corners[:15] + np.array([4, 0]))


def test_the_last_region_ends_at_the_edge():
    first = [[0, 0], [0, 2], [2, 0], [2, 2], [1, 1]]
    second = [[0, 1], [0, 3], [2, 1], [2, 3], [1, 2]]
    assert tile_corners(4, 5, region=4).tolist() == first + second


def test_in_an_image_shorter_than_a_region_the_quadrants_overlap():
    assert tile_corners(224, 300).tolist() == [[0, 0], [0, 76], [0, 38]]
    assert tile_corners(224, 224).tolist() == [[0, 0]]


@settings(max_examples=40, deadline=None)
@given(height=st.integers(3, 40), width=st.integers(3, 40))
def test_tiles_cover_every_pixel_within_the_image_once_each(height, width):
    seen = np.zeros((height, width), int)
    corners = tile_corners(height, width, region=6)
    for y, x in corners.tolist():
        window = seen[y : y + 3, x : x + 3]
        assert window.shape == (3, 3)
        window += 1
    assert seen.min() >= 1
    assert len({tuple(corner) for corner in corners.tolist()}) == len(corners)


@pytest.mark.parametrize("size", [(223, 500), (500, 223)])
def test_an_image_smaller_than_a_tile_is_refused(size):
    with pytest.raises(ValueError, match=rf"{size[0]} x {size[1]} px; expected at least a tile"):
        tile_corners(*size)


@pytest.mark.parametrize("region", [447, 0, -2])
def test_a_region_is_even(region):
    with pytest.raises(ValueError, match=f"region is {region} px; expected an even number"):
        tile_corners(500, 500, region=region)
