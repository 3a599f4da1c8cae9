import json
import math

import numpy as np
import pytest
import tifffile

from lotus.imaging import volume_writer
from lotus.measurement.trabecular import measure_trabecular
from lotus.measurement.volume import open_labels


def measured(path, mask, spacing=(10.0, 10.0, 10.0), convention="surface"):
    with volume_writer(path, mask.shape, np.uint8, spacing) as write:
        for plane in mask:
            write(plane.astype(np.uint8))
    with open_labels(path, foreground="bone") as volume:
        found = measure_trabecular(volume, convention)
    return {row.measure: row for row in found.measures}, found


@pytest.fixture
def plates():
    """Two plates of two voxels, six apart and three from the volume's ends."""
    bone = np.zeros((16, 12, 12), bool)
    bone[np.isin(np.arange(16) % 8, (3, 4))] = True
    return bone


def test_plates_by_hand(plates, tmp_path):
    rows, found = measured(tmp_path / "a.tif", plates)
    value = {name: row.value for name, row in rows.items()}
    mm = 0.01  # a voxel
    area = 4 * 11 * 11 * mm**2
    assert value["BV"] == pytest.approx(4 * 144 * mm**3)
    assert value["BV/TV"] == 0.25
    assert value["BS"] == pytest.approx(area)
    assert value["BS/BV"] == pytest.approx(area / (4 * 144 * mm**3))
    assert value["BS/TV"] == pytest.approx(area / (16 * 144 * mm**3))
    assert (value["Tb.Th"], value["Tb.Th max"], rows["Tb.Th"].sd) == (20, 20, 0)
    # Between the plates lie 6 voxels. At the ends only half a ball is seen, whose centre is that of
    # the last voxel, 2.5 voxels from the plate.
    assert value["Tb.Sp"] == pytest.approx((6 * 60 + 6 * 50) / 12)
    assert value["Tb.N"] == pytest.approx(1 / (0.02 + 0.055))
    assert value["Tb.Th unresolved"] == 1.0
    assert value["Tb.Sp unresolved"] == 0.0
    assert value["Euler"] == 2
    # A plate that the volume cuts all around has no connections.
    assert value["Euler corrected"] == 0
    assert value["Conn.D"] == pytest.approx(1 / (16 * 144 * mm**3))
    assert rows["Tb.Th"].n == 4 * 144
    assert [each.measure for each in found.histograms] == ["Tb.Th", "Tb.Sp"]
    assert "Tb.Th is below 3 voxels" in found.warnings[0]


def test_units(plates, tmp_path):
    rows, _ = measured(tmp_path / "a.tif", plates)
    units = {name: row.unit for name, row in rows.items()}
    assert [units[name] for name in ("BV", "BS", "BS/BV", "Tb.Th", "Tb.N", "Conn.D", "DA")] == [
        *("mm³", "mm²", "mm⁻¹", "µm", "mm⁻¹", "mm⁻³", "")
    ]


def test_without_voxel_size_all_is_in_voxels(plates, tmp_path):
    rows, found = measured(tmp_path / "a.tif", plates, (None, None, None))
    assert (rows["Tb.Th"].value, rows["Tb.Th"].unit) == (2, "voxel")
    assert (rows["BV"].value, rows["BV"].unit) == (4 * 144, "voxel³")
    assert rows["Conn.D"].unit == "voxel⁻³"
    assert "everything is in voxels" in found.warnings[0]


def test_flat_voxels(plates, tmp_path):
    rows, _ = measured(tmp_path / "a.tif", plates, (5.0, 10.0, 10.0))
    assert rows["Tb.Th"].value == 10
    assert rows["BS"].value == pytest.approx(4 * 11 * 11 * 1e-4)


def test_shade_off_is_bone(plates, tmp_path):
    labels = np.where(plates, 3, 0).astype(np.uint8)
    labels[3] = 2
    tifffile.imwrite(tmp_path / "a.tif", labels, photometric="minisblack")
    with open_labels(tmp_path / "a.tif", classes={"bone": 3, "shade_off": 2, "lcn": 1}) as volume:
        found = measure_trabecular(volume, "surface")
    assert found.measures[2].value == 0.25


def test_all_bone_has_no_thickness_and_says_so(tmp_path):
    rows, found = measured(tmp_path / "a.tif", np.ones((4, 5, 6), bool))
    assert math.isnan(rows["Tb.Th"].value)
    assert math.isnan(rows["Tb.Sp"].value)
    assert math.isnan(rows["DA"].value)
    assert rows["BV/TV"].value == 1
    assert found.warnings == [
        f"{tmp_path / 'a.tif'} is all bone: thickness and spacing are not defined"
    ]


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (np.ones((1, 5, 6), bool), "is one slice"),
        (np.zeros((4, 5, 6), bool), "holds no bone: no voxel has the value 1"),
    ],
)
def test_what_is_no_trabecular_bone_is_refused(mask, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        measured(tmp_path / "a.tif", mask)


@pytest.mark.slow
def test_real_bone_as_bonej(shared_data):
    reference = json.loads((shared_data / "reference_values.json").read_text())["bonej1"]
    expected = reference["stacks"]["lhdl_g1_t63_purified"]
    path = shared_data / "bone_microct_lhdl" / "lhdl_g1_t63_purified_binary.tif"
    with open_labels(path, voxel_size_um=[19.5], foreground="bone") as volume:
        found = measure_trabecular(volume, "centre")
    value = {row.measure: row.value for row in found.measures}
    assert value["BV/TV"] == expected["BVTV"]
    assert value["Conn.D"] == pytest.approx(expected["ConnD_per_mm3"], rel=1e-9)
    assert value["Tb.Th"] == pytest.approx(expected["TbTh_masked_um_mean"], rel=0.02)
    assert value["Tb.Sp"] == pytest.approx(expected["TbSp_masked_um_mean"], rel=0.02)
    assert value["DA"] == pytest.approx(np.mean(expected["DA_runs"]), abs=0.06)
    assert found.warnings == []
