import numpy as np
import pandas as pd
import pytest

from data_modules.manifest import Record, write_manifest
from lotus.cli import main
from lotus.commands import tile
from lotus.imaging.raster import write_image
from lotus.transforms import tiles


@pytest.fixture
def manifest(tmp_path):
    """Two fluorescent ROIs of one patient, and one in colour; the right quarter shows tissue."""
    records = []
    for name, channels in (("f0", 1), ("f1", 1), ("t0", 3)):
        pixels = np.random.default_rng(0).integers(0, 4, (16, 32)).astype(np.uint8)
        pixels[:, 24:] += np.random.default_rng(1).integers(60, 200, (16, 8)).astype(np.uint8)
        image = tmp_path / "images" / f"{name}.png"
        if channels == 3:
            pixels = np.stack([255 - pixels, 255 - pixels // 2, 255 - pixels // 3], axis=-1)
        write_image(image, pixels)
        modality = "fluorescence" if channels == 1 else "trichrome"
        records.append(Record(image, None, "semantic", modality, "p", "unknown", 1.0))
    write_manifest(tmp_path / "manifest.csv", records)
    return tmp_path / "manifest.csv"


def lotus(*arguments):
    return main([str(argument) for argument in arguments])


def test_it_writes_a_table_per_modality_and_says_what_is_in_it(manifest, tmp_path, capsys):
    output = tmp_path / "tiles"
    assert lotus("tile", manifest, "--output", output, "--region", 16) == 0
    corners = [[0, 24], [8, 24], [4, 20]]
    for modality, names in (("fluorescence", ["f0", "f1"]), ("trichrome", ["t0"])):
        table = pd.read_csv(output / f"{modality}.csv")
        expected = [[name, *corner] for name in names for corner in corners]
        assert table[["name", "y", "x"]].to_numpy().tolist() == expected
        assert set(table["size"]) == {8}
        assert table["bone_fraction"].tolist() == pytest.approx([1.0, 1.0, 0.5] * len(names))
    first, second = capsys.readouterr().out.splitlines()
    assert first.endswith("6 tiles of 8 px in 2 ROIs of 1 patients; 14 nearly empty ones left out")
    assert "trichrome.csv: 3 tiles of 8 px in 1 ROIs of 1 patients; 7 nearly" in second


def test_a_modality_can_be_chosen(manifest, tmp_path):
    options = ("--region", 16, "--modality", "trichrome", "--tissue", 0.6)
    assert lotus("tile", manifest, "--output", tmp_path / "out", *options) == 0
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["trichrome.csv"]
    assert len(pd.read_csv(tmp_path / "out/trichrome.csv")) == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--tissue", 1.5), "--tissue 1.5: take a share from 0 to 1"),
        (("--region", 15), "--region 15: take an even number, twice the tile"),
        (("--region", 40), "f0.png: the image is 16 x 32 px; expected at least a tile of 20 x 20"),
        (("--modality", "he"), "no image of modality 'he'; found fluorescence, trichrome"),
    ],
)
def test_bad_options_are_one_line(manifest, tmp_path, capsys, options, message):
    assert lotus("tile", manifest, "--output", tmp_path / "out", *options) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_defaults_are_those_of_the_functions():
    from data_modules.tiles import MINIMUM_TISSUE

    assert (tile.REGION, tile.MINIMUM_TISSUE) == (tiles.REGION, MINIMUM_TISSUE)
