import json
from itertools import product

import numpy as np
import pytest
import tifffile
from skimage.measure import euler_number

from lotus.morphometry.connectivity import euler
from tests.morphometry.bodies import ball, blobs


def cells_one_by_one(mask):
    """Corners, edges, faces and voxels as places on a grid twice as fine, each named once."""
    return {
        tuple(2 * np.array(voxel) + offset)
        for voxel in np.argwhere(mask)
        for offset in product((0, 1, 2), repeat=3)
    }


def contribution(mask):
    """The corrected characteristic, cell by cell."""
    ends = [(0, 2 * size) for size in mask.shape]
    total = 0.0
    for cell in cells_one_by_one(mask):
        dimension = sum(place % 2 for place in cell)
        shared = sum(place in end for place, end in zip(cell, ends, strict=True))
        total += (-1) ** dimension * 0.5**shared
    return total


@pytest.mark.parametrize("share", [0.1, 0.3, 0.6])
@pytest.mark.parametrize("seed", range(3))
def test_it_is_the_alternating_sum_of_cells(seed, share):
    mask = blobs(seed, shape=(4, 5, 6), share=share)
    found = euler(mask)
    assert found.corrected == contribution(mask)
    assert found.characteristic == euler_number(mask, connectivity=3)


def torus():
    z, y, x = np.indices((9, 21, 21)) - np.array([4, 10, 10])[:, None, None, None]
    return (np.hypot(y, x) - 6) ** 2 + z**2 <= 9


@pytest.mark.parametrize(
    ("mask", "characteristic"),
    [
        (ball(9), 1),
        (ball(9) & ~np.pad(ball(3), 3), 2),  # a cavity
        (torus(), 0),
        (np.concatenate([ball(5), ball(5)]), 2),
        (np.eye(3, dtype=bool)[None], 1),  # voxels that touch by edges are one part
        (np.zeros((3, 4, 5), bool), 0),
    ],
)
def test_parts_less_tunnels_and_cavities(mask, characteristic):
    assert euler(mask).characteristic == characteristic
    # Nothing is cut.
    if not (mask[0].any() or mask[:, 0].any() or mask[..., 0].any()):
        assert euler(mask).corrected == characteristic


@pytest.mark.parametrize("axis", range(3))
def test_the_corrected_one_adds_up_over_boxes_but_for_what_crosses_between(axis):
    # A structure that fills the cut between both boxes, so that either sees all of it.
    mask = np.moveaxis(np.repeat(blobs(5, shape=(1, 7, 8), share=0.4), 6, axis=0), 0, axis)
    one, other = np.split(mask, [2], axis=axis)
    assert euler(one).corrected + euler(other).corrected == euler(mask).corrected


def test_slices_may_come_from_anywhere():
    mask = blobs(1)
    assert euler(iter(mask)) == euler(mask)
    assert euler([]).characteristic == 0


@pytest.mark.parametrize("stack", ["lhdl_g1_t63_purified", "lhdl_g1_t63", "lhdl_raw_otsu84"])
def test_trabecular_bone_as_bonej(shared_data, stack):
    mask = tifffile.imread(shared_data / "bone_microct_lhdl" / f"{stack}_binary.tif") > 0
    reference = json.loads((shared_data / "reference_values.json").read_text())["bonej1"]
    expected = reference["stacks"][stack]
    found = euler(mask)
    assert (found.characteristic, found.corrected, found.connectivity) == (
        expected["euler"],
        expected["delta_chi"],
        expected["connectivity"],
    )
