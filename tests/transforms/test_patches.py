import numpy as np
import pytest

from lotus.transforms import bone_fractions, bone_patches, patch_grid, patches_per_axis


def test_the_papers_slices_have_sixty_patches_per_axis():
    assert patches_per_axis(3300) == 60
    assert len(patch_grid((3300, 3300))) == 3600


@pytest.mark.parametrize(
    ("length", "size", "stride", "count"), [(10, 10, 10, 1), (19, 10, 10, 1), (20, 10, 5, 3)]
)
def test_only_whole_patches_count(length, size, stride, count):
    assert patches_per_axis(length, size=size, stride=stride) == count


def test_grid_runs_row_by_row():
    np.testing.assert_array_equal(
        patch_grid((7, 8), size=3, stride=2),
        [(y, x) for y in (0, 2, 4) for x in (0, 2, 4)],
    )


def test_fractions_match_cropped_means():
    bone = np.random.default_rng(0).random((23, 31)) < 0.6
    grid = patch_grid(bone.shape, size=7, stride=4)
    expected = [bone[y : y + 7, x : x + 7].mean() for y, x in grid]
    np.testing.assert_allclose(bone_fractions(bone, size=7, stride=4), expected)


def test_a_volume_has_cubes():
    bone = np.random.default_rng(0).random((9, 12, 15)) < 0.6
    grid = patch_grid(bone.shape, size=5, stride=4)
    np.testing.assert_array_equal(
        grid, [(z, y, x) for z in (0, 4) for y in (0, 4) for x in (0, 4, 8)]
    )
    cubes = [bone[z : z + 5, y : y + 5, x : x + 5].mean() for z, y, x in grid]
    np.testing.assert_allclose(bone_fractions(bone, size=5, stride=4), cubes)
    best = bone_patches(bone, size=5, stride=4)
    np.testing.assert_array_equal(best, grid[[np.argmax(cubes)]])


def test_patches_with_enough_bone_are_kept():
    bone = np.zeros((20, 30), bool)
    bone[:10, :20] = True
    bone[0, 0] = False
    np.testing.assert_array_equal(bone_patches(bone, size=10, stride=10), [(0, 0), (0, 10)])
    np.testing.assert_array_equal(
        bone_patches(bone, size=10, stride=10, minimum_fraction=1.0), [(0, 10)]
    )


def test_the_best_patch_stands_in_where_none_has_enough_bone():
    bone = np.zeros((20, 20), bool)
    bone[10:14, 12:15] = True
    np.testing.assert_array_equal(bone_patches(bone, size=10, stride=10), [(10, 10)])


@pytest.mark.parametrize(("length", "size", "stride"), [(5, 6, 1), (5, 0, 1), (5, 2, 0)])
def test_impossible_grids_are_refused(length, size, stride):
    with pytest.raises(ValueError, match="expected"):
        patches_per_axis(length, size=size, stride=stride)
