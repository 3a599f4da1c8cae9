import numpy as np
import pandas as pd
import pytest

from lotus.cli import main
from lotus.imaging import volume_writer


@pytest.fixture
def plates(tmp_path):
    """Plates of two voxels, six apart, of 10 µm voxels: a quarter is bone."""
    bone = np.zeros((16, 12, 12), np.uint8)
    bone[np.isin(np.arange(16) % 8, (3, 4))] = 255
    path = tmp_path / "plates.tif"
    with volume_writer(path, bone.shape, bone.dtype, (10.0, 10.0, 10.0)) as write:
        for plane in bone:
            write(plane)
    return path


def lotus(*arguments):
    return main([str(argument) for argument in arguments])


def summary(folder):
    return pd.read_csv(folder / "summary.csv", keep_default_na=False).set_index("measure")


def test_trabecular_bone(plates, tmp_path, capsys):
    assert lotus("measure", "trabecular", plates, "--output", tmp_path / "out") == 0
    table = summary(tmp_path / "out")
    assert list(table) == ["value", "sd", "n", "unit", "definition"]
    assert float(table["value"]["BV/TV"]) == 0.25
    assert float(table["value"]["TV"]) == pytest.approx(16 * 12 * 12 * 1e-6)
    assert table["unit"]["TV"] == "mm³"
    assert (table["definition"] != "").all()
    assert "BV/TV" in (tmp_path / "out" / "measurement.html").read_text()
    printed = capsys.readouterr().out
    assert "WARNING: Tb.Th is below 3 voxels" in printed
    assert "everything is in voxels" not in printed


def test_the_size_on_the_command_line_goes_first(plates, tmp_path):
    options = ("--output", tmp_path, "--voxel-size-um", 1, 2, 3)
    assert lotus("measure", "trabecular", plates, *options) == 0
    assert float(summary(tmp_path)["value"]["TV"]) == pytest.approx(16 * 12 * 12 * 6e-9)


def test_measures_stand_beside_those_of_another_volume(plates, tmp_path):
    other, here = tmp_path / "other", tmp_path / "here"
    assert lotus("measure", "trabecular", plates, "--output", other) == 0
    options = ("--output", here, "--voxel-size-um", 20, "--against", other)
    assert lotus("measure", "trabecular", plates, *options) == 0
    found = pd.read_csv(here / "against.csv").set_index("measure")
    assert found.loc["BV", "value"] == pytest.approx(8 * found.loc["BV", "against"])
    assert found.loc["BV", "relative"] == pytest.approx(7)
    assert found.loc["BV/TV", "difference"] == 0
    assert "+700.0%" in (here / "measurement.html").read_text()
    assert not (other / "against.csv").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--against", "nowhere"), "nowhere has no summary.csv"),
        (("--classes", "bone"), "bone is no class with its value"),
        (("--classes", "bnoe=1"), "bnoe=1 is no class with its value"),
        (("--classes", "bone=3"), "holds no bone: no voxel has the value 3"),
        (("--voxel-size-um", 1, 2), "one positive number or three"),
        (("--thickness-convention", "bonej"), "invalid choice: 'bonej'"),
    ],
)
def test_bad_options_are_one_line(plates, tmp_path, capsys, options, message):
    output = tmp_path / "out"
    assert lotus("measure", "trabecular", plates, "--output", output, *options) == 2
    assert message in capsys.readouterr().err
    assert not output.exists()


def test_an_unknown_measurement_is_refused(plates, capsys):
    assert lotus("measure", "everything", plates) == 2
    assert "invalid choice: 'everything'" in capsys.readouterr().err


@pytest.fixture
def lacuna(tmp_path):
    """A ball of 9 voxels of 0.5 µm with a rod; binary."""
    z, y, x = np.mgrid[-8:9, -8:9, -8:18]
    lcn = (z**2 + y**2 + x**2 <= 20) | ((z**2 + y**2 <= 0) & (x > 0))
    path = tmp_path / "lcn.tif"
    with volume_writer(path, lcn.shape, np.dtype(np.uint8), (0.5, 0.5, 0.5)) as write:
        for plane in lcn:
            write(plane.astype(np.uint8) * 255)
    return path, lcn


@pytest.mark.slow
def test_porosity(lacuna, tmp_path, capsys):
    (path, lcn), output = lacuna, tmp_path / "out"
    assert lotus("measure", "porosity", path, "--output", output, "--minimum-voxels", 50) == 0
    table = summary(output)
    assert float(table["value"]["LCN/(bone+LCN)"]) == pytest.approx(lcn.mean())
    assert {"LCN.Th", "Lc.N/BV", "Ca.Dn", "distance to LCN", "node degree"} <= set(table.index)
    assert (table["definition"] != "").all()
    assert len(pd.read_csv(output / "cells.csv")) == 1
    assert len(pd.read_csv(output / "porosity_by_slice.csv")) == len(lcn)
    assert (output / "thickness.ome.zarr").is_dir()
    assert "Thickness of the LCN" in (output / "measurement.html").read_text()
    assert "WARNING: 1 lacunae are few" in capsys.readouterr().out
    assert not list(output.glob(".*"))


@pytest.mark.slow
def test_lacunae(lacuna, tmp_path):
    (path, lcn), output = lacuna, tmp_path / "out"
    options = ("--output", output, "--minimum-voxels", 50, "--canaliculus-um", 1.1)
    assert lotus("measure", "lacunae", path, *options) == 0
    (row,) = pd.read_csv(output / "cells.csv").to_dict("records")
    assert row["canaliculi"] == 1
    assert row["volume_px"] < lcn.sum()
    assert float(summary(output)["value"]["Lc.V"]) == pytest.approx(row["volume_um3"])
    assert not (output / "thickness.ome.zarr").exists()


def test_instances(tmp_path, capsys):
    labels = np.zeros((6, 8, 8), np.uint8)
    labels[1:5, 1:4, 1:7], labels[1:5, 4:7, 1:7] = 3, 5
    path, output = tmp_path / "labels.tif", tmp_path / "out"
    with volume_writer(path, labels.shape, labels.dtype, (0.5, 0.5, 0.5)) as write:
        for plane in labels:
            write(plane)
    options = ("--output", output, "--minimum-voxels", 10)
    assert lotus("measure", "lacunae", path, *options) == 2
    assert "holds the values 3 and 5 besides 0" in capsys.readouterr().err
    assert lotus("measure", "lacunae", path, *options, "--instances") == 0
    assert pd.read_csv(output / "cells.csv")["label"].tolist() == [3, 5]


def test_micrometres_without_a_voxel_size_are_one_line(lacuna, tmp_path, capsys):
    path = tmp_path / "plain.tif"
    with volume_writer(path, lacuna[1].shape, np.dtype(np.uint8), (None, None, None)) as write:
        for plane in lacuna[1]:
            write(plane.astype(np.uint8))
    output = tmp_path / "out"
    assert lotus("measure", "lacunae", path, "--output", output, "--canaliculus-um", 1) == 2
    assert "give --voxel-size-um Z Y X" in capsys.readouterr().err
    assert not output.exists()
