import json

import numpy as np
import pytest
import tifffile

from lotus.morphometry.anisotropy import anisotropy, even_directions, phase_changes

CUBES = (1.0, 1.0, 1.0)


def ellipsoid(axes, size=64):
    """An ellipsoid of these half axes in the middle of a cube."""
    places = np.indices((size,) * 3) - (size - 1) / 2
    return ((places / np.array(axes)[:, None, None, None]) ** 2).sum(axis=0) <= 1


def test_directions_are_even():
    units = even_directions(200)
    assert np.linalg.norm(units, axis=1) == pytest.approx(1)
    # Second moments of directions without preference.
    assert units.T @ units / 200 == pytest.approx(np.eye(3) / 3, abs=0.01)


@pytest.mark.parametrize("axes", [(24, 12, 12), (12, 18, 24), (20, 20, 20)])
def test_intercepts_of_an_ellipsoid_are_as_long_as_its_axes(axes):
    # Mean intercepts of a body that is stretched are those of the body, stretched.
    found = anisotropy(ellipsoid(axes), CUBES)
    shortest, _, longest = sorted(axes)
    assert found.degree == pytest.approx(1 - (shortest / longest) ** 2, abs=0.06)
    assert found.lengths / found.lengths[0] == pytest.approx(
        np.sort(axes)[::-1] / longest, rel=0.08
    )


@pytest.mark.parametrize("axis", range(3))
def test_the_longest_axis_comes_first(axis):
    axes = np.full(3, 12.0)
    axes[axis] = 24.0
    assert abs(anisotropy(ellipsoid(axes), CUBES).axes[0, axis]) == pytest.approx(1, abs=0.01)


def test_flat_voxels_are_measured_as_they_are():
    # The same ball, once in cubes and once in voxels twice as high as wide.
    places = np.indices((32, 64, 64)) * np.array([2.0, 1.0, 1.0])[:, None, None, None] - 31.5
    mask = (places**2).sum(axis=0) <= 20**2
    assert anisotropy(mask, (2.0, 1.0, 1.0)).degree < 0.1
    assert anisotropy(mask, CUBES).degree > 0.6


def test_rods_go_on_for_ever():
    across = np.arange(80) % 20 < 9
    rods = np.broadcast_to(across[:, None] & across, (80, 80, 80)).copy()
    found = anisotropy(rods, CUBES)
    assert found.degree > 0.95
    assert abs(found.axes[0, 0]) == pytest.approx(1, abs=0.02)


def test_changes_count_both_ways_and_by_length():
    plates = np.zeros((90, 90, 90), bool)
    plates[np.arange(90) // 9 % 2 == 1] = True
    one, none, _ = phase_changes(plates, (0.5, 0.5, 0.5), np.eye(3))
    assert one == pytest.approx(1 / 4.5, rel=0.15)
    assert none == 0


@pytest.mark.parametrize("mask", [np.zeros((9, 9, 9), bool), np.ones((9, 9, 9), bool)])
def test_without_a_phase_change_it_is_not_defined(mask):
    assert np.isnan(anisotropy(mask, CUBES).degree)


def test_without_room_for_a_line_it_is_not_defined():
    mask = np.zeros((2, 30, 30), bool)
    mask[0] = True
    assert np.isnan(anisotropy(mask, CUBES).degree)


@pytest.mark.slow
def test_trabecular_bone_as_bonej(shared_data):
    folder = shared_data / "bone_microct_lhdl"
    mask = tifffile.imread(folder / "lhdl_g1_t63_purified_binary.tif") > 0
    reference = json.loads((shared_data / "reference_values.json").read_text())["bonej1"]
    expected = reference["stacks"]["lhdl_g1_t63_purified"]
    found = anisotropy(mask, CUBES)
    assert found.degree == pytest.approx(np.mean(expected["DA_runs"]), abs=0.06)
    principal = np.array(expected["DA_principal_xyz_run1"])[::-1]
    assert abs(found.axes[0] @ principal) > np.cos(np.radians(15))
