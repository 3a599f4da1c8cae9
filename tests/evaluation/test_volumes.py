"""Scores of segmented volumes, beside sums over all voxels."""

import numpy as np
import pandas as pd
import pytest

from lotus.cli import main
from lotus.evaluation.volumes import score_volumes
from lotus.imaging.ome_zarr_metadata import label_classes
from lotus.imaging.volume_stores import write_volume


@pytest.fixture
def volumes():
    rng = np.random.default_rng(0)
    true = rng.integers(0, 4, (37, 9, 8)).astype(np.uint8)
    found = np.where(rng.random(true.shape) < 0.7, true, rng.integers(0, 4, true.shape))
    return found.astype(np.uint8), true


def dice(found, true):
    return 2 * (found & true).sum() / (found.sum() + true.sum())


def test_scores_of_slices_and_of_all_voxels(volumes):
    found, true = volumes
    values = {"lcn": [1], "bone": [2, 3]}
    scores = score_volumes(
        lambda a, b: found[a:b],
        lambda a, b: true[a:b],
        range(5, 30),
        predicted_values=values,
        true_values=values,
    )
    assert list(scores.index) == [*map(str, range(5, 30)), "all"]
    part = slice(5, 30)
    assert scores.loc["all", "dice_lcn"] == pytest.approx(dice(found[part] == 1, true[part] == 1))
    assert scores.loc["all", "dice_bone"] == pytest.approx(dice(found[part] > 1, true[part] > 1))
    assert scores.loc["7", "dice_lcn"] == pytest.approx(dice(found[7] == 1, true[7] == 1))
    merged = [np.minimum(each[part], 2) for each in volumes]
    assert scores.loc["all", "accuracy"] == pytest.approx((merged[0] == merged[1]).mean())


def test_slices_of_another_size_are_refused(volumes):
    found, true = volumes
    with pytest.raises(ValueError, match="slice 0 is 9 x 7 in the segmented volume and 9 x 8"):
        score_volumes(
            lambda a, b: found[a:b, :, 1:],
            lambda a, b: true[a:b],
            range(2),
            predicted_values={"lcn": [1]},
            true_values={"lcn": [1]},
        )


def test_from_file_to_table(tmp_path, volumes, capsys):
    found, true = volumes
    # The network has no shade-off, and other numbers.
    write_volume(
        tmp_path / "found.ome.zarr",
        np.array([0, 2, 1, 1], np.uint8)[found],
        classes=label_classes(["bone", "lcn"]),
    )
    write_volume(tmp_path / "true.ome.tif", true)
    command = ["evaluate-volume", str(tmp_path / "found.ome.zarr"), str(tmp_path / "true.ome.tif")]
    options = ["--true-classes", "lcn=1", "bone=3", "shade_off=2", "--merge", "shade_off=bone"]
    output = tmp_path / "scores.csv"
    assert main([*command, "--output", str(output), *options, "--slices", "30", "37"]) == 0
    table = pd.read_csv(output, index_col="slice")
    assert list(table.index) == [*map(str, range(30, 37)), "all"]
    assert table.loc["all", "dice_bone"] == pytest.approx(dice(found[30:] > 1, true[30:] > 1))
    assert table.loc["all", "dice_lcn"] == pytest.approx(dice(found[30:] == 1, true[30:] == 1))
    assert f"dice_lcn         {table.loc['all', 'dice_lcn']:.4f}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ([], "nothing says what the values mean"),
        (["--classes", "lcn=1", "--slices", "5", "5"], "slices 5 to 5 of 37"),
        (["--classes", "lcn=1", "--slices", "5", "38"], "slices 5 to 38 of 37"),
        (["--classes", "lcn=1", "--merge", "lcn=bone"], "expected NAME=NAME of lcn"),
        (
            ["--classes", "lcn=1", "--true-classes", "bone=1"],
            "the true volume has the classes bone",
        ),
    ],
)
def test_what_cannot_be_scored_is_said(tmp_path, volumes, options, said, capsys):
    for name, labels in zip(("found", "true"), volumes, strict=True):
        write_volume(tmp_path / f"{name}.ome.tif", labels)
    command = ["evaluate-volume", *(str(tmp_path / f"{n}.ome.tif") for n in ("found", "true"))]
    assert main([*command, "--output", str(tmp_path / "s.csv"), *options]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line
    assert not (tmp_path / "s.csv").exists()
