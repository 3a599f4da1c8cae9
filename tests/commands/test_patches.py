import numpy as np
import pandas as pd
import pytest

from data_modules.manifest import Record, write_manifest
from lotus.cli import main
from lotus.imaging.raster import write_image, write_label_map


@pytest.fixture
def manifest(tmp_path):
    """Three slices of one patient; tissue of the first two is their left half."""
    records = []
    for number in range(3):
        image, mask = tmp_path / f"s{number}.png", tmp_path / f"t{number}.png"
        write_image(image, np.random.default_rng(number).integers(0, 99, (24, 24)).astype(np.uint8))
        tissue = np.zeros((24, 24), np.uint8)
        tissue[:, : 12 if number < 2 else 1] = 255
        write_label_map(mask, tissue)
        records.append(Record(image, None, "binary", "ct", "p", "g", None, tissue=mask))
    write_manifest(tmp_path / "manifest.csv", records)
    return tmp_path / "manifest.csv"


def lotus(*arguments):
    return main([str(argument) for argument in arguments])


@pytest.mark.slow
def test_it_writes_the_table_and_says_what_is_in_it(manifest, tmp_path, capsys):
    output = tmp_path / "out"
    assert lotus("patches", manifest, "--output", output, "--size", 12) == 0
    table = pd.read_csv(output / "patches.csv")
    assert table[["name", "y", "x"]].to_numpy().tolist() == [
        *(["s0", 0, 0], ["s0", 12, 0], ["s1", 0, 0], ["s1", 12, 0], ["s2", 0, 0])
    ]
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("5 patches of 12 px in 3 slices of 1 patients")
    assert second.startswith("s2 of 3 slices have no patch with 99% bone")


def test_its_options(manifest, tmp_path):
    options = ("--size", 12, "--stride", 6, "--bone", 0.5, "--slices-per-patient", 1)
    assert lotus("patches", manifest, "--output", tmp_path, *options) == 0
    table = pd.read_csv(tmp_path / "patches.csv")
    assert set(table["name"]) == {"s1"}
    assert sorted(set(table["x"])) == [0, 6]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--bone", 1.5), "--bone 1.5: take a share from 0 to 1"),
        (("--size", 25), "s0.png: image is 24 pixels long; expected at least the patch's 25"),
        (("--stride", 0), "expected at least 1 pixel"),
        (("--modality", "he"), "no image of modality 'he'; found ct"),
    ],
)
def test_bad_options_are_one_line(manifest, tmp_path, capsys, options, message):
    arguments = ("--size", 12) if "--size" not in options else ()
    assert lotus("patches", manifest, "--output", tmp_path / "out", *arguments, *options) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_manifest_without_tissue_says_what_to_run(manifest, tmp_path, capsys):
    table = pd.read_csv(manifest, dtype=str, keep_default_na=False).drop(columns="tissue")
    table.to_csv(manifest, index=False)
    assert lotus("patches", manifest, "--output", tmp_path / "out") == 2
    assert "no image of ct has a mask of its tissue; `lotus enhance" in capsys.readouterr().err
