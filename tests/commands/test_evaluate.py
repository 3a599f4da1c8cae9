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
