"""Paths of a plane skeleton."""

from __future__ import annotations

import numpy as np

from lotus.morphometry.skeleton_paths import skeleton_paths


def test_a_staircase_is_one_path_in_order():
    skeleton = np.zeros((20, 20), bool)
    for step in range(8):
        skeleton[2 + step, 3 + step] = skeleton[2 + step, 4 + step] = True
    [path] = skeleton_paths(skeleton).paths
    assert len(path.pixels) == 16
    assert np.abs(np.diff(path.pixels, axis=0)).sum(axis=1).max() == 1
    assert path.junctions == (-1, -1)
    assert not path.closed


def test_a_closed_path_goes_round():
    skeleton = np.zeros((10, 12), bool)
    skeleton[2, 3:8] = skeleton[7, 3:8] = skeleton[3:7, 2] = skeleton[3:7, 8] = True
    [path] = skeleton_paths(skeleton).paths
    assert path.closed
    assert len(path.pixels) == skeleton.sum()
    assert not path.is_spur


def test_a_t_has_three_paths_of_which_all_end_at_its_junction():
    skeleton = np.zeros((12, 21), bool)
    skeleton[3, :] = skeleton[3:10, 10] = True
    found = skeleton_paths(skeleton)
    assert sorted(len(path.pixels) for path in found.paths) == [6, 10, 10]
    assert all(path.is_spur for path in found.paths)
    assert all(sorted(path.junctions) == [-1, 0] for path in found.paths)
    np.testing.assert_allclose(found.junctions, [[3, 10]])


def test_a_bridge_of_one_pixel_touches_both_junctions():
    skeleton = np.zeros((9, 15), bool)
    skeleton[:, 6] = skeleton[:, 8] = skeleton[4, 7] = True
    found = skeleton_paths(skeleton)
    [bridge] = [path for path in found.paths if min(path.junctions) >= 0]
    assert bridge.pixels.tolist() == [[4, 7]]
    assert sorted(bridge.junctions) == [0, 1]


def test_nothing_has_no_paths():
    found = skeleton_paths(np.zeros((5, 5), bool))
    assert found.paths == []
    assert found.junctions.shape == (0, 2)
