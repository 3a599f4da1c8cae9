"""`lotus pre-label` in rounds: slices out, corrections back, a manifest to train with."""

import csv

import numpy as np
import pytest
import tifffile

from data_modules.manifest import Record, read_manifest, write_manifest
from data_modules.splits import Splits, write_splits
from lotus.cli import main
from lotus.imaging import read_label_map
from lotus.imaging.volume_stores import write_volume
from lotus.inference.slice_drafts import entropies
from tests.inference.volumes import thresholds

DEPTH = 30
# Of the network of thresholds, grey values at which two classes are equally likely.
UNSURE = (0.3, 0.6)


@pytest.fixture
def data(tmp_path):
    """A volume without a mask, whose slices 4, 12 and 20 are between classes; one that tests."""
    rng = np.random.default_rng(0)
    grey = rng.choice([0.02, 0.45, 0.98], (DEPTH, 32, 32))
    grey[[4, 12, 20]] = rng.choice(UNSURE, (3, 32, 32))
    grey[[5, 13]] = np.where(rng.random((2, 32, 32)) < 0.5, grey[[5, 13]], 0.3)
    folder = tmp_path / "data"
    write_volume(folder / "a.ome.tif", np.rint(255 * grey).astype(np.uint8), (0.1, 0.1, 0.1))
    truth = np.digitize(grey, UNSURE).astype(np.uint8)
    write_volume(folder / "truth.ome.tif", truth, (0.1, 0.1, 0.1))
    common = ("semantic", "ct", "P1", "unknown", 0.1, 0.1)
    image, mask = folder / "a.ome.tif", folder / "truth.ome.tif"
    test = Record(image, mask, *common, split="test", z_start=26, z_stop=30)
    write_manifest(folder / "manifest.csv", [Record(image, None, *common, z_stop=26), test])
    write_manifest(folder / "labelled.csv", [Record(image, mask, *common, z_stop=26), test])
    return folder, truth


@pytest.fixture
def checkpoint(tmp_path):
    run = tmp_path / "run"
    path = thresholds(run / "checkpoints" / "best.ckpt")
    splits = Splits(("P1/a[0:2]",), ("P1/a[22:26]",), ("P1/a[26:30]",), 0, "", "drawn")
    write_splits(run / "splits.json", splits)
    (run / "config.yaml").write_text("")
    return path


def pre_label(*arguments):
    return main(["pre-label", *map(str, arguments)])


def listed(folder):
    with (folder / "slices.csv").open() as file:
        return [(row["z"], row["uncertainty"], row["decision"]) for row in csv.DictReader(file)]


def labelled(folder):
    rows = [row for row in read_manifest(folder / "manifest.csv") if row.split != "test"]
    return {row.z_start: row for row in rows if row.mask is not None}


def test_without_a_network_slices_are_spread_and_empty(tmp_path, data, capsys):
    folder, truth = data
    command = (folder / "manifest.csv", "--output", tmp_path / "r0", "--slices", 5)
    assert pre_label(*command) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0] == f"5 of 23 slices written to {tmp_path / 'r0'}"
    assert said[1] == "0 corrected, 0 accepted, 0 rejected, 5 open"
    assert listed(tmp_path / "r0") == [(str(z), "", "") for z in (2, 6, 11, 16, 20)]
    assert labelled(tmp_path / "r0") == {}
    label = tmp_path / "r0/labels/a_z0006.tif"
    assert not read_label_map(label).any()
    tifffile.imwrite(label, truth[6])
    assert pre_label(*command) == 0
    assert capsys.readouterr().out.splitlines()[0] == "1 corrected, 0 accepted, 0 rejected, 4 open"
    assert list(labelled(tmp_path / "r0")) == [6]


def test_a_network_asks_for_what_it_is_least_sure_of(tmp_path, data, checkpoint, capsys):
    folder, _ = data
    output = tmp_path / "r1"
    command = (folder / "manifest.csv", "--checkpoint", checkpoint, "--output", output)
    command += ("--slices", 3, "--device", "cpu")
    assert pre_label(*command) == 0
    # 20 is within three slices of those that validate.
    rows = listed(output)
    assert {z for z, *_ in rows[:2]} == {"4", "12"}
    assert [float(u) for _, u, _ in rows] == sorted((float(u) for _, u, _ in rows), reverse=True)
    assert all(abs(int(rows[2][0]) - z) >= 5 for z in (4, 12))
    draft = read_label_map(output / "labels/a_z0004.tif")
    grey = tifffile.imread(output / "grey/a_z0004.tif") / 255
    np.testing.assert_array_equal(draft, np.digitize(grey, UNSURE))
    text = (output / "slices.csv").read_text().splitlines()
    accepted = [line + ("accept" if line.startswith("a,4,") else "") for line in text]
    rejected = [line + ("reject" if line.startswith("a,12,") else "") for line in accepted]
    (output / "slices.csv").write_text("\n".join(rejected) + "\n")
    tifffile.imwrite(output / "labels/a_z0012.tif", 1 - np.eye(32, dtype=np.uint8))
    assert pre_label(*command) == 0
    assert "0 corrected, 1 accepted, 1 rejected, 1 open" in capsys.readouterr().out
    (row,) = labelled(output).values()
    assert (row.z_start, row.z_stop, row.mask) == (4, 5, output / "labels/a_z0004.tif")
    assert row.origin == output / "origin.json"
    other = (*command[:-4], "--slices", 4, "--device", "cpu")
    assert pre_label(*other) == 2
    assert "was changed by hand, for slices that another checkpoint" in capsys.readouterr().err


def test_rounds_of_a_rehearsal(tmp_path, data, checkpoint, capsys):
    folder, truth = data
    truth_of = ("--rehearse", folder / "labelled.csv")
    first, second = tmp_path / "r0", tmp_path / "r1"
    assert pre_label(folder / "labelled.csv", *truth_of, "--output", first, "--slices", 4) == 0
    assert "0 corrected, 4 accepted, 0 rejected, 0 open" in capsys.readouterr().out
    before = labelled(first)
    for z, row in before.items():
        np.testing.assert_array_equal(read_label_map(row.mask), truth[z])
    assert all(row.origin is None for row in before.values())
    command = (first / "manifest.csv", *truth_of, "--checkpoint", checkpoint, "--output", second)
    assert pre_label(*command, "--slices", 3, "--device", "cpu") == 0
    after = labelled(second)
    assert len(after) == 7
    assert before.keys() < after.keys()
    assert {4, 12} <= after.keys()
    assert all(z < 19 for z in after.keys() - before.keys())
    for z, row in after.items():
        np.testing.assert_array_equal(read_label_map(row.mask), truth[z])
    assert {z for z, row in after.items() if row.origin} == after.keys() - before.keys()
    assert pre_label(*command, "--slices", 2, "--device", "cpu") == 0
    (test,) = [row for row in read_manifest(second / "manifest.csv") if row.split == "test"]
    assert test.mask == folder / "truth.ome.tif"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--slices", "24"], "24 slices are to be labelled; there are 23 that have no mask, may"),
        (["--slices", "2", "--output", "{data}"], "holds the manifest that is read"),
        (["--slices", "2", "--modality", "mr"], "no image of modality mr; found ct"),
        (["--slices", "2", "--checkpoint", "{run}"], "has 0.1 x 0.1 x 0.1 µm per voxel"),
    ],
)
def test_what_cannot_be_is_said_in_a_line(tmp_path, data, checkpoint, options, said, capsys):
    folder, _ = data
    thresholds(checkpoint, spacing_um=[0.3, 0.3, 0.3])
    filled = [o.format(data=folder, run=checkpoint.parents[1]) for o in options]
    output = [] if "--output" in options else ["--output", tmp_path / "out"]
    assert pre_label(folder / "manifest.csv", *output, *filled) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line
    assert not (tmp_path / "out").exists()


def test_entropy_is_a_share_of_the_most():
    probabilities = np.array([[1, 1 / 3, 0.5], [0, 1 / 3, 0.5], [0, 1 / 3, 0]])[:, None]
    found = entropies(probabilities.astype(np.float32))
    np.testing.assert_allclose(found, [[0, 1, np.log(2) / np.log(3)]], atol=1e-6)
