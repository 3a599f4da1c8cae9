import json

import numpy as np
import pytest
import tifffile

from lotus.morphometry import thickness
from lotus.morphometry.thickness import local_thickness, thickness_blocks
from tests.morphometry.bodies import ball, blobs, plate
from tests.morphometry.test_distance import distances_one_by_one, in_between

CONVENTIONS = ("surface", "centre")


def thickness_one_by_one(mask, spacing, convention):
    """Largest ball that holds each voxel, all centres tried for each."""
    fine = 2 if convention == "surface" else 1
    inside = in_between(mask) > 0.5 if fine == 2 else mask
    step = np.array(spacing) / fine
    squares = distances_one_by_one(inside, step)
    centres, squares = np.argwhere(inside), squares[inside]
    found = np.zeros(mask.shape)
    for voxel in np.argwhere(mask):
        near = (((centres - fine * voxel) * step) ** 2).sum(axis=1) <= squares
        found[tuple(voxel)] = 2 * np.sqrt(squares[near].max())
    return found


@pytest.mark.parametrize("convention", CONVENTIONS)
@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (2.0, 0.5, 1.0)])
@pytest.mark.parametrize("seed", range(3))
def test_it_is_the_largest_ball_that_holds_a_voxel(seed, spacing, convention):
    mask = blobs(seed, shape=(6, 8, 9), share=0.75 + 0.1 * seed)
    found = local_thickness(mask, spacing, convention=convention)
    assert found == pytest.approx(thickness_one_by_one(mask, spacing, convention), rel=1e-6)


@pytest.mark.parametrize("convention", CONVENTIONS)
@pytest.mark.parametrize("block", [1, 5, 40])
def test_blocks_make_up_the_whole(convention, block, monkeypatch):
    # Few voxels of background: most balls are larger than the first halo.
    monkeypatch.setattr(thickness, "_FIRST_HALO", 1)
    mask = blobs(3, shape=(40, 9, 10), share=0.997)
    asked = []

    def read(first, last):
        asked.append(last - first)
        return mask[first:last]

    blocks = [*thickness_blocks(read, mask.shape, (1, 1, 1), convention=convention, block=block)]
    assert [first for first, _ in blocks] == [*range(0, 40, block)]
    whole = local_thickness(mask, convention=convention)
    assert np.array_equal(np.concatenate([found for _, found in blocks]), whole)
    assert max(asked) > block or block == 40


@pytest.mark.parametrize(
    ("voxels", "surface", "centre"), [(1, 1, 2), (2, 2, 2), (3, 3, 4), (4, 4, 4), (7, 7, 8)]
)
@pytest.mark.parametrize("axis", range(3))
def test_plates_in_both_conventions(voxels, surface, centre, axis):
    # IPL reads plates of one voxel as 1, 1 and 2 in its three versions, those of three as 3.
    mask = np.moveaxis(plate(voxels), 0, axis)
    assert np.unique(local_thickness(mask)).tolist() == [0, surface]
    assert np.unique(local_thickness(mask, convention="centre")).tolist() == [0, centre]


@pytest.mark.parametrize(("diameter", "ipl"), [(5, 4), (10, 9), (20, 19)])
@pytest.mark.parametrize("convention", CONVENTIONS)
def test_balls_within_a_voxel_of_ipl(diameter, ipl, convention):
    largest = local_thickness(ball(diameter), convention=convention).max()
    if (diameter, convention) == (5, "centre"):  # Beyond by design: 2 x EDT of an odd ball.
        assert largest == pytest.approx(np.sqrt(32))
    else:
        assert abs(largest - ipl) <= 1.0


@pytest.mark.parametrize("direction", [(1, 0.4, 0.2), (1, 1, 1), (1, 1, 0)])
def test_oblique_plates_are_as_thick_as_upright_ones(direction):
    normal = np.array(direction) / np.linalg.norm(direction)
    places = np.stack(np.meshgrid(*3 * [np.arange(32) - 15.3], indexing="ij"), axis=-1)
    mask = np.abs(places @ normal) <= 3.5
    middle = local_thickness(mask)[8:-8, 8:-8, 8:-8]
    assert np.median(middle[middle > 0]) == pytest.approx(7.0, abs=0.5)


def test_a_flat_voxel_is_as_thick_as_it_is_high():
    assert local_thickness(plate(2), (3.0, 1.0, 1.0)).max() == 6.0
    assert local_thickness(plate(2), (0.25, 1.0, 1.0)).max() == 0.5


def test_a_slice_has_the_thickness_of_its_plane():
    mask = plate(3).transpose(1, 0, 2)[:1]
    assert np.unique(local_thickness(mask)).tolist() == [0, 3]


def test_nothing_and_everything():
    assert not local_thickness(np.zeros((3, 4, 5), bool)).any()
    assert np.isnan(local_thickness(np.ones((3, 4, 5), bool))).all()


@pytest.mark.parametrize(
    ("mask", "spacing", "message"),
    [
        (np.zeros((3, 4), bool), (1, 1, 1), r"a bool mask \(Z, Y, X\) is expected, not bool"),
        (np.zeros((3, 4, 5)), (1, 1, 1), "not float64"),
        (np.zeros((3, 4, 5), bool), (1, 1), "three positive numbers"),
        (np.zeros((3, 4, 5), bool), (1, 0, 1), "three positive numbers"),
    ],
)
def test_other_input_is_refused(mask, spacing, message):
    with pytest.raises(ValueError, match=message):
        local_thickness(mask, spacing)


@pytest.mark.slow
@pytest.mark.parametrize("stack", ["lhdl_g1_t63_purified", "lhdl_g1_t63", "lhdl_raw_otsu84"])
def test_trabecular_thickness_as_bonej(shared_data, stack):
    mask = tifffile.imread(shared_data / "bone_microct_lhdl" / f"{stack}_binary.tif") > 0
    reference = json.loads((shared_data / "reference_values.json").read_text())["bonej1"]
    expected = reference["stacks"][stack]
    found = local_thickness(mask, (19.5, 19.5, 19.5), convention="centre")[mask].astype(float)
    assert found.mean() == pytest.approx(expected["TbTh_masked_um_mean"], rel=0.02)
    assert found.max() == pytest.approx(expected["TbTh_um_max"], rel=1e-5)


@pytest.mark.slow
def test_trabecular_spacing_as_bonej(shared_data):
    folder = shared_data / "bone_microct_lhdl"
    marrow = tifffile.imread(folder / "lhdl_g1_t63_purified_binary.tif") == 0
    reference = json.loads((shared_data / "reference_values.json").read_text())["bonej1"]
    expected = reference["stacks"]["lhdl_g1_t63_purified"]
    found = local_thickness(marrow, (19.5, 19.5, 19.5), convention="centre")[marrow].astype(float)
    assert found.mean() == pytest.approx(expected["TbSp_masked_um_mean"], rel=0.02)
    assert found.std() == pytest.approx(expected["TbSp_masked_um_sd"], rel=0.02)
    assert found.max() == pytest.approx(expected["TbSp_um_max"], rel=1e-5)
