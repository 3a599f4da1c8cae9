"""`lotus clean` from volume to volume."""

import numpy as np
import pytest

from lotus.cli import main
from lotus.imaging import open_volume
from lotus.imaging.ome_zarr import OmeZarr
from lotus.imaging.volume_stores import write_volume
from lotus.masks import PoreCleaning, clean_pores

CLASSES = ("--classes", "lcn=1", "shade_off=2", "bone=3")


@pytest.fixture
def labels():
    """A block of bone in background with two pores, a gap in one, an island and a fragment."""
    volume = np.zeros((70, 20, 24), np.uint8)
    volume[3:68, 2:17, 3:20] = 3
    volume[10:60, 4:8, 5:9] = 1
    volume[20:40, 12, 5:18] = 1
    volume[30, 5, 6] = 3
    volume[64, 14, 14] = 1
    volume[30:50, 2:17, 18:20] = 2
    volume[0, 0, 0] = 3
    return volume


def read(path):
    with open_volume(path) as volume:
        return np.stack([*volume.planes]), volume.spacing_um


@pytest.mark.parametrize("name", ["out.ome.zarr", "out.ome.tif"])
def test_a_volume_is_cleaned_and_cropped(tmp_path, labels, name, capsys):
    write_volume(tmp_path / "in.ome.tif", labels, (0.2, 0.1, 0.1))
    output = tmp_path / "new" / name
    assert main(["clean", str(tmp_path / "in.ome.tif"), "--output", str(output), *CLASSES]) == 0
    expected = labels[3:68, 2:17, 3:20].copy()
    expected[expected == 2] = 3
    expected[27, 3, 3] = 1
    expected[61, 12, 11] = 3
    found, spacing = read(output)
    np.testing.assert_array_equal(found, expected)
    assert spacing == pytest.approx((0.2, 0.1, 0.1))
    assert [path.name for path in output.parent.iterdir()] == [name]
    said = capsys.readouterr().out
    assert "1 pores of fewer than 100 voxels became bone, 1 bodies beside" in said
    assert "of 70 x 20 x 24 voxels (Z, Y, X) those from 3 to 68, 2 to 17, 3 to 20 are left" in said


def test_an_ome_zarr_says_its_classes_itself(tmp_path, labels):
    source, output = tmp_path / "in.ome.tif", tmp_path / "out.ome.zarr"
    write_volume(source, labels)
    assert main(["clean", str(source), "--output", str(output), *CLASSES, "--no-crop"]) == 0
    assert OmeZarr.open(output).class_names == {1: "lcn", 3: "bone"}
    again = tmp_path / "again.ome.tif"
    options = ["--closing-px", "2", "--minimum-voxels", "1000", "--keep-fragments", "--no-crop"]
    assert main(["clean", str(output), "--output", str(again), *options]) == 0
    first, _ = read(output)
    cleaning = PoreCleaning(closing_radius=2, minimum_size=1000, keep_fragments=True)
    ((_, expected),) = clean_pores(lambda a, b: first[a:b], 70, cleaning, block_depth=99).blocks()
    found, spacing = read(again)
    np.testing.assert_array_equal(found, expected)
    assert spacing == (None, None, None)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--classes", "lcn=1"], "has no value for bone (classes: lcn=1); give such as --classes"),
        ([], "has no value for lcn (classes: none)"),
        ([*CLASSES, "--closing-px", "-1"], "neither can be below 0"),
        (["--classes", "lcn=1", "bone=1"], "pores are 1 and the matrix 1"),
        (["--classes", "lcn=7", "bone=8", "--output", "in.ome.tif"], "is the volume that is read"),
        ([*CLASSES, "--output", "out.png"], "a volume is written as .ome.zarr or .ome.tif"),
    ],
)
def test_what_cannot_be_is_said_in_a_line(tmp_path, labels, options, said, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_volume(tmp_path / "in.ome.tif", labels)
    output = [] if "--output" in options else ["--output", "out.ome.tif"]
    assert main(["clean", "in.ome.tif", *output, *options]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line
    assert [path.name for path in tmp_path.iterdir()] == ["in.ome.tif"]


def test_background_alone_is_refused(tmp_path, capsys):
    write_volume(tmp_path / "in.ome.tif", np.zeros((2, 8, 8), np.uint8))
    output = tmp_path / "out.ome.tif"
    assert main(["clean", str(tmp_path / "in.ome.tif"), "--output", str(output), *CLASSES]) == 2
    assert "is background alone" in capsys.readouterr().err
    assert not output.exists()
