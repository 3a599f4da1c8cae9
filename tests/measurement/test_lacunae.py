"""Lacunae of small volumes of which everything is known."""

import numpy as np
import pytest

from lotus.measurement.lacunae import measure_lacunae
from tests.measurement.conftest import ball


def rows(measured):
    return {row.measure: row for row in measured.measures}


@pytest.fixture
def two_lacunae(bone_with_a_lacuna):
    labels = np.concatenate([bone_with_a_lacuna, np.full((30, 24, 40), 3, np.uint8)])
    labels[ball(labels.shape, (55, 10, 28), 5)] = 1
    return labels


@pytest.mark.slow
def test_those_that_the_edge_cuts_count_and_have_no_part_in_means(network_of, two_lacunae):
    measured = network_of(measure_lacunae, two_lacunae)
    found, cells = rows(measured), measured.cells
    assert (found["Lc.N"].value, found["Lc.N cut"].value) == (2, 1)
    assert cells["touches_border"].tolist() == [False, True]
    assert cells["canaliculi"].tolist() == [1, 0]
    assert (found["Lc.V"].value, found["Lc.V"].n) == (cells["volume_um3"][0], 1)
    assert found["Lc.V"].value == pytest.approx(4 / 3 * np.pi * 1.5**3, rel=0.05)
    assert found["Lc.V"].unit == "µm³"
    for axis in ("major", "middle", "minor"):
        assert found[f"Lc {axis} axis"].value == pytest.approx(3, rel=0.05)
    assert found["Lc.St"].value == pytest.approx(0, abs=0.05)
    assert found["Lc canaliculi"].value == 1
    assert any("2 lacunae are few" in line for line in measured.warnings)
    assert len(measured.pictures) == 1


def test_where_canaliculi_are_not_resolved_all_of_the_lcn_is_lacunae(network_of, two_lacunae):
    measured = network_of(measure_lacunae, two_lacunae, canaliculus=0.4)
    assert measured.cells["volume_px"].sum() == (two_lacunae == 1).sum()
    assert "canaliculi" not in measured.cells
    assert any(
        "0.4 µm, the limit between them, is < 2 voxels" in each for each in measured.warnings
    )


def test_without_lacunae_there_is_an_empty_table(network_of):
    measured = network_of(measure_lacunae, np.full((4, 8, 8), 3, np.uint8))
    found = rows(measured)
    assert found["Lc.N"].value == 0
    assert np.isnan(found["Lc.V"].value)
    assert len(measured.cells) == 0
    assert "stretch" in measured.cells


def test_one_slice_is_refused(network_of, two_lacunae):
    with pytest.raises(ValueError, match="is one slice; lacunae are measured in volumes"):
        network_of(measure_lacunae, two_lacunae[:1])
