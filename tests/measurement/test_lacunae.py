"""Lacunae of small volumes of which everything is known."""

import numpy as np
import pandas as pd
import pytest
import tifffile

from lotus.imaging.volume_stores import write_volume
from lotus.masks import object_moments
from lotus.measurement.labelled_lacunae import LabelledLacunae
from lotus.measurement.lacunae import measure_lacunae
from lotus.measurement.volume import open_labels
from lotus.morphometry.cells import cell_table
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


def labelled(labels, tmp_path, least=1):
    write_volume(tmp_path / "labels.ome.tif", labels, (0.5, 0.25, 0.25))
    with open_labels(tmp_path / "labels.ome.tif") as volume:
        return measure_lacunae(LabelledLacunae(volume, 0.0, least))


def test_real_nuclei_are_measured_one_by_one(shared_data, tmp_path):
    labels = tifffile.imread(shared_data / "nuclei3d_stardist" / "mask3d.tif")
    cells = labelled(labels, tmp_path).cells
    values, counts = np.unique(labels[labels > 0], return_counts=True)
    assert cells["label"].tolist() == values.tolist()
    assert cells["volume_px"].tolist() == counts.tolist()
    assert (cells["volume_um3"] == cells["volume_px"] / 32).all()
    expected = cell_table(
        object_moments(labels, int(labels.max())), labels.shape, (0.5, 0.25, 0.25)
    )
    pd.testing.assert_frame_equal(cells.drop(columns="label"), expected.drop(columns="label"))


def test_values_without_order_across_blocks_and_small_ones(tmp_path):
    labels = np.zeros((150, 4, 4), np.uint16)
    labels[10:140, :2], labels[3, 3, 3], labels[60:70, 3] = 40_000, 9, 7
    measured = labelled(labels, tmp_path, least=2)
    assert measured.cells["label"].tolist() == [7, 40_000]
    assert measured.cells["volume_px"].tolist() == [40, 1040]
    assert rows(measured)["BV"].n == labels.size - 1081
    assert "values of the label map with >= 2 voxels" in rows(measured)["Lc.N"].definition


def test_an_empty_label_map_has_no_lacunae(tmp_path):
    measured = labelled(np.zeros((3, 4, 4), np.uint16), tmp_path)
    assert len(measured.cells) == 0
    assert any("holds no object" in line for line in measured.warnings)


def test_one_slice_is_refused(network_of, two_lacunae):
    with pytest.raises(ValueError, match="is one slice; lacunae are measured in volumes"):
        network_of(measure_lacunae, two_lacunae[:1])
