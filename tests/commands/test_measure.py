import numpy as np
import pandas as pd
import pytest

from lotus.cli import main
from lotus.imaging import volume_writer


@pytest.fixture
def plates(tmp_path):
    """Plates of two voxels, six apart, of 10 µm voxels: a quarter is bone."""
    bone = np.zeros((16, 12, 12), np.uint8)
    bone[np.arange(16) % 8 < 2] = 255
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
    assert "WARNING" not in capsys.readouterr().out


def test_the_size_on_the_command_line_goes_first(plates, tmp_path):
    options = ("--output", tmp_path, "--voxel-size-um", 1, 2, 3)
    assert lotus("measure", "trabecular", plates, *options) == 0
    assert float(summary(tmp_path)["value"]["TV"]) == pytest.approx(16 * 12 * 12 * 6e-9)


@pytest.mark.parametrize(
    ("options", "message"),
    [
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
