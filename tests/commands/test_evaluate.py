"""The `lotus evaluate` command."""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile

from lotus.commands import evaluate

COLUMNS = "name,n_true,n_pred,dice,iou,hd,hd95,aji,aji_plus,pq,sq,dq,precision,recall,f1,undefined"


def run(*arguments: str) -> None:
    parser = argparse.ArgumentParser()
    evaluate.add_arguments(parser)
    evaluate.run(parser.parse_args(arguments))


@pytest.fixture
def folders(tmp_path: Path) -> list[str]:
    """One pair: two true instances of class 2, one of them found; arguments to score it."""
    target = np.zeros((20, 20), np.uint8)
    target[2:6, 2:6] = target[12:16, 12:16] = 2
    prediction = target.copy()
    prediction[10:] = 0
    for name, labels in (("predictions", prediction), ("targets", target)):
        (tmp_path / name).mkdir()
        tifffile.imwrite(tmp_path / name / "image.tif", labels)
    return [
        *("--predictions", str(tmp_path / "predictions"), "--targets", str(tmp_path / "targets")),
        *("--output", str(tmp_path / "out" / "scores.csv")),
    ]


def test_the_table_is_written_and_the_means_are_printed(folders, tmp_path, capsys):
    run(*folders, "--kind", "semantic", "--class", "2")
    lines = (tmp_path / "out" / "scores.csv").read_text().splitlines()
    assert lines[0] == COLUMNS
    assert [line.split(",")[0] for line in lines[1:]] == ["image", "mean"]
    assert lines[1].startswith("image,2,1,0.6666666667,0.5,")
    printed = capsys.readouterr().out
    assert "1 images" in printed
    assert "0.6667" in printed


def test_pixel_size_and_compatibility_add_columns_at_the_end(folders, tmp_path):
    run(*folders, "--kind", "binary", "--pixel-size-um", "0.5", "--compat", "lotus2024")
    scores = pd.read_csv(tmp_path / "out" / "scores.csv")
    added = list(scores.columns[len(COLUMNS.split(",")) :])
    assert added[:2] == ["hd_um", "hd95_um"]
    assert "lotus2024_foreground_iou" in added
    assert scores["hd_um"][0] == pytest.approx(scores["hd"][0] / 2)


def test_semantic_masks_need_a_class_and_nothing_is_written(folders, tmp_path):
    with pytest.raises(ValueError, match="--class K"):
        run(*folders, "--kind", "semantic")
    assert not (tmp_path / "out").exists()


def write_folders(folder: Path, prediction: np.ndarray, target: np.ndarray) -> list[str]:
    """Two folders of one image; arguments to score it."""
    for name, mask in (("predictions", prediction), ("targets", target)):
        (folder / name).mkdir(exist_ok=True)
        tifffile.imwrite(folder / name / "image.tif", mask)
    return [
        *("--predictions", str(folder / "predictions"), "--targets", str(folder / "targets")),
        *("--output", str(folder / "scores.csv")),
    ]


SQUARES = np.zeros((20, 30), np.uint8)
SQUARES[2:6, 2:8] = SQUARES[12:16, 2:8] = SQUARES[2:6, 20:26] = 1


def test_masks_without_0_are_asked_about_and_then_scored(tmp_path, capsys):
    """Pixel classifiers write 1 and 2; predictions beside every object are not perfect."""
    shifted = np.roll(SQUARES, 6, axis=0)
    folders = write_folders(tmp_path, shifted + 1, SQUARES + 1)
    for options in ([], ["--mask-values", "object=2", "background=1"]):
        option = "--prediction-values" if options else "--mask-values"
        message = f"does not hold 0, .* such as {option} background=1 object=2"
        with pytest.raises(ValueError, match=message):
            run(*folders, "--kind", "binary", *options)
    assert not (tmp_path / "scores.csv").exists()
    said = ["background=1", "object=2"]
    run(*folders, "--kind", "binary", "--mask-values", *said, "--prediction-values", *said)
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == "targets: binary: 1 is background, 2 object (12.0 % of the pixels)"
    assert printed[1] == printed[0].replace("targets", "predictions")
    scores = pd.read_csv(tmp_path / "scores.csv")
    assert scores["n_true"][0] == 3
    assert scores["dice"][0] == 0


def test_masks_of_0_and_255_number_no_objects(tmp_path):
    folders = write_folders(tmp_path, SQUARES * 255, SQUARES * 255)
    with pytest.raises(ValueError, match=r"image\.tif has it in 3 places: .* of kind binary"):
        run(*folders, "--kind", "instances")
    run(*folders, "--kind", "binary")
    assert pd.read_csv(tmp_path / "scores.csv")["n_true"][0] == 3


def test_shades_are_scored_from_a_threshold_on(tmp_path, capsys):
    shades = np.where(SQUARES, 0.9, 0.2).astype(np.float32)
    folders = write_folders(tmp_path, shades, SQUARES)
    run(*folders, "--kind", "binary", "--prediction-values", "binarise-at=0.5")
    assert "predictions: binary: object from 0.5 on (12.0 %" in capsys.readouterr().out
    assert pd.read_csv(tmp_path / "scores.csv")["dice"][0] == 1


def test_predictions_that_are_all_object_are_only_scored(tmp_path, capsys):
    run(*write_folders(tmp_path, SQUARES * 0 + 1, SQUARES), "--kind", "binary")
    assert capsys.readouterr().err == ""
    assert pd.read_csv(tmp_path / "scores.csv")["iou"][0] == pytest.approx(0.12)


def test_soft_edges_are_warned_of(tmp_path, capsys):
    soft = SQUARES * 255
    soft[6, 2:8], soft[16, 2:8], soft[1, 20:26] = 90, 90, 90
    run(*write_folders(tmp_path, SQUARES, soft), "--kind", "binary")
    (warning,) = capsys.readouterr().err.splitlines()
    path = tmp_path / "targets/image.tif"
    assert warning.startswith(f"warning: {path} holds 90 and 255 besides 0: all are object, soft")


@pytest.mark.parametrize(
    ("kind", "n_true", "n_pred"), [("instances", 2, 3), ("binary", 3, 5), ("semantic", 3, 5)]
)
def test_ignored_pixels_do_not_count(tmp_path, capsys, kind, n_true, n_pred):
    """A column is ignored that divides both of two objects; so is most of a predicted one."""
    target = np.zeros((20, 30), np.uint8)
    target[2:6, 2:12] = 1
    target[10:14, 20:26] = 1 if kind != "instances" else 2
    prediction = target.copy()
    target[:, 6:8] = 255
    prediction[16:20, 5:9] = 1 if kind != "instances" else 3  # half of it is to be ignored
    prediction[8:12, 5:8] = 1 if kind != "instances" else 4  # two thirds of it are
    options = ["--kind", kind, *(["--class", "1"] if kind == "semantic" else [])]
    run(*write_folders(tmp_path, prediction, target), *options, "--ignore-value", "255")
    assert "255 is ignored (6.7 %)" in capsys.readouterr().out
    scores = pd.read_csv(tmp_path / "scores.csv")
    assert scores["n_true"][0] == n_true
    assert scores["n_pred"][0] == n_pred
    shared = 8 * 4 + 4 * 6
    assert scores["dice"][0] == pytest.approx(2 * shared / (2 * shared + 8))
