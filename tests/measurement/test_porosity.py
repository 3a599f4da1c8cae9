"""The network of small volumes of which everything is known, from file to tables."""

import json

import numpy as np
import pytest
from scipy.ndimage import distance_transform_edt

from lotus.imaging import open_volume
from lotus.measurement.lcn import lcn_of
from lotus.measurement.porosity import measure_porosity
from lotus.measurement.volume import open_labels
from lotus.morphometry.thickness import local_thickness
from tests.measurement.conftest import SPACING, ball

pytestmark = pytest.mark.slow  # thickness is compiled

VOXEL = 0.25**3


@pytest.fixture
def porosity_of(network_of, tmp_path):
    def measured(labels, *, convention="surface", **options):
        return network_of(
            lambda lcn: measure_porosity(lcn, convention, tmp_path / "out"), labels, **options
        )

    return measured


def rows(measured):
    return {row.measure: row for row in measured.measures}


def values(measured):
    return {row.measure: row.value for row in measured.measures}


def test_volumes_and_porosity(porosity_of, bone_with_a_lacuna):
    measured = porosity_of(bone_with_a_lacuna)
    found = values(measured)
    inside = (bone_with_a_lacuna == 1).sum()
    bone = (bone_with_a_lacuna > 1).sum()
    assert found["LCN.V"] == pytest.approx(inside * VOXEL)
    assert found["BV"] == pytest.approx(bone * VOXEL)
    assert found["LCN/bone"] == pytest.approx(inside / bone)
    assert found["LCN/(bone+LCN)"] == pytest.approx(inside / (inside + bone))
    profile = measured.tables["porosity_by_slice"]
    assert profile["lcn_px"].tolist() == (bone_with_a_lacuna == 1).sum(axis=(1, 2)).tolist()
    assert profile["bone_px"].tolist() == (bone_with_a_lacuna > 1).sum(axis=(1, 2)).tolist()
    assert profile["z_um"][2] == pytest.approx(0.625)


def test_cells_and_lacunae(porosity_of, bone_with_a_lacuna):
    labels = bone_with_a_lacuna
    labels[4, 4, 4:14] = 1  # ten voxels are too few for a cell
    measured = porosity_of(labels)
    found = rows(measured)
    assert found["Cell.N"].value == found["Lc.N"].value == len(measured.cells) == 1
    assert measured.cells["volume_px"].tolist() == [(labels == 1).sum() - 10]
    assert found["Cell.V"].value == pytest.approx(((labels == 1).sum() - 10) * VOXEL)
    bone_mm3 = (labels > 1).sum() * VOXEL * 1e-9
    assert found["Lc.N/BV"].value == pytest.approx(1 / bone_mm3)
    assert found["Lc.N/BV"].unit == "mm⁻³"
    # The lacuna is what the ball was, to the ring at which the canaliculus leaves it.
    tissue = (labels > 0).sum()
    body = ball(labels.shape, (12, 12, 12), 6).sum()
    assert found["lacunae/(bone+LCN)"].value == pytest.approx(body / tissue, rel=0.03)
    both = found["lacunae/(bone+LCN)"].value + found["canaliculi/(bone+LCN)"].value
    assert both == pytest.approx((labels == 1).sum() / tissue)
    assert porosity_of(labels, least=10).cells["volume_px"].min() == 10


def test_thickness_and_its_map(porosity_of, bone_with_a_lacuna, tmp_path):
    expected = local_thickness(bone_with_a_lacuna == 1, SPACING)
    inside = expected[expected > 0]
    found = rows(porosity_of(bone_with_a_lacuna))
    assert found["LCN.Th"].value == pytest.approx(inside.mean(), rel=1e-5)
    assert found["LCN.Th"].sd == pytest.approx(inside.std(), rel=1e-4)
    assert found["LCN.Th max"].value == pytest.approx(inside.max())
    assert found["LCN.Th"].n == inside.size
    assert found["LCN.Th unresolved"].value == pytest.approx((inside < 0.75).mean())
    with open_volume(tmp_path / "out" / "thickness.ome.zarr") as volume:
        assert volume.spacing_um == pytest.approx(SPACING)
        np.testing.assert_array_equal(np.stack(list(volume.planes)), expected)
    centre = rows(porosity_of(bone_with_a_lacuna, convention="centre"))
    assert centre["LCN.Th"].value > found["LCN.Th"].value
    assert "centre" in centre["LCN.Th"].definition


def test_canaliculi_and_distances(porosity_of, bone_with_a_lacuna):
    measured = porosity_of(bone_with_a_lacuna)
    found = rows(measured)
    length = (40 - 12 - 6) * 0.25
    # Three voxels are missing at the ends.
    assert length - 0.8 < found["Ca.L"].value < length
    tissue = (bone_with_a_lacuna > 0).sum() * VOXEL
    assert found["Ca.Dn"].value == pytest.approx(found["Ca.L"].value / tissue)
    assert found["Ca.Dn"].unit == "µm⁻²"
    assert found["canaliculi per lacuna"].value == 1
    distance = distance_transform_edt(bone_with_a_lacuna != 1, sampling=SPACING)
    distance = distance[bone_with_a_lacuna > 1]
    assert found["distance to LCN"].value == pytest.approx(distance.mean(), rel=1e-5)
    assert found["distance to LCN"].sd == pytest.approx(distance.std(), rel=1e-4)
    assert found["distance to LCN max"].value == pytest.approx(distance.max())
    assert len(measured.pictures) == 1
    assert {each.measure for each in measured.histograms} >= {"LCN.Th", "Cell.V", "edge length"}


def test_a_lacuna_across_blocks_is_one(porosity_of):
    labels = np.full((90, 16, 16), 3, np.uint8)
    labels[ball(labels.shape, (64, 8, 8), 6)] = 1
    found = values(porosity_of(labels))
    assert found["Cell.N"] == found["Lc.N"] == 1


def test_without_lcn_porosity_is_0_and_the_rest_undefined(porosity_of):
    measured = porosity_of(np.full((4, 8, 8), 3, np.uint8))
    found = values(measured)
    assert found["LCN/bone"] == found["LCN/(bone+LCN)"] == found["Cell.N"] == found["Lc.N/BV"] == 0
    assert np.isnan(found["LCN.Th"])
    assert found["Ca.L"] == 0
    assert np.isnan(found["distance to LCN"])
    assert len(measured.cells) == 0
    assert not measured.pictures
    assert any("holds no LCN: no voxel has the value 1" in line for line in measured.warnings)


def test_lcn_throughout_is_said(porosity_of):
    measured = porosity_of(np.full((8, 8, 8), 1, np.uint8))
    found = values(measured)
    assert found["LCN/(bone+LCN)"] == 1
    assert np.isnan(found["LCN/bone"])
    assert np.isnan(found["Lc.N/BV"])
    assert np.isnan(found["LCN.Th max"])
    assert any("LCN throughout" in line for line in measured.warnings)


def test_of_one_slice_the_porosity_is_measured(porosity_of, bone_with_a_lacuna, tmp_path):
    plane = bone_with_a_lacuna[12:13]
    measured = porosity_of(plane)
    found = values(measured)
    assert found["LCN/bone"] == pytest.approx((plane == 1).sum() / (plane > 1).sum())
    assert list(found) == ["LCN.V", "BV", "LCN/bone", "LCN/(bone+LCN)"]
    assert measured.cells is None
    assert any("is one slice" in line for line in measured.warnings)
    assert not (tmp_path / "out").exists()


def test_of_a_binary_all_else_is_bone(porosity_of, bone_with_a_lacuna):
    binary = (bone_with_a_lacuna == 1).astype(np.uint8) * 255
    measured = porosity_of(binary, classes=None)
    assert values(measured)["LCN/(bone+LCN)"] == pytest.approx((binary > 0).mean())
    assert any("all that is not LCN counts as bone" in line for line in measured.warnings)


def test_without_a_voxel_size_all_is_in_voxels(porosity_of, bone_with_a_lacuna):
    measured = porosity_of(bone_with_a_lacuna, spacing=None)
    found = rows(measured)
    assert found["LCN.V"].value == (bone_with_a_lacuna == 1).sum()
    assert {row.unit for row in measured.measures} <= {"", "voxel", "voxel³", "voxel⁻²", "voxel⁻³"}
    assert found["LCN.Th max"].value == pytest.approx(12, abs=1.5)
    assert found["canaliculi/(bone+LCN)"].value == 0
    assert np.isnan(found["Ca.L"].value)
    assert any("everything is in voxels" in line for line in measured.warnings)
    assert any("canaliculi are not told from lacunae" in line for line in measured.warnings)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"classes": {"bone": 3}}, "has the classes bone=3 and no lcn"),
        ({"spacing": None, "canaliculus": 1.0}, "states no voxel size, so canaliculi of 1 µm"),
        ({"canaliculus": -1.0}, "numbers from 0 are expected"),
        ({"least": -1}, "numbers from 0 are expected"),
    ],
)
def test_what_cannot_be_measured_is_refused(porosity_of, bone_with_a_lacuna, options, message):
    with pytest.raises(ValueError, match=message):
        porosity_of(bone_with_a_lacuna, **options)


def test_voxels_of_a_real_osteon(shared_data):
    stated = json.loads((shared_data / "reference_values.json").read_text())["osteon_fm40"]["R1"]
    path = shared_data / "osteon_fm40" / "FM40-1-R1_osteon_labels_183x1024x1024.tif"
    with open_labels(
        path, voxel_size_um=[0.4, 0.379, 0.379], classes={"lcn": 2, "bone": 1}
    ) as volume:
        canal, matrix = lcn_of(volume, None, 100).counts
    assert len(canal) == 183
    assert canal.sum() == stated["voxels"]["2_canal"]
    assert matrix.sum() == stated["voxels"]["1_matrix"]
