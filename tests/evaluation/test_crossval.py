"""Gathering the folds of a cross-validation, without any training."""

import numpy as np
import pandas as pd
import pytest

from lotus.evaluation.crossval import gather_folds, score_folds
from lotus.imaging import write_image, write_label_map


@pytest.fixture
def folds(tmp_path):
    """Two folds of two images each, and what they test."""
    folds = {tmp_path / "fold0": {"a", "b"}, tmp_path / "fold1": {"c", "d"}}
    for number, (folder, names) in enumerate(folds.items()):
        for name in names:
            write(folder, name, number + 1)
    return folds


def write(folder, name, value):
    labels = np.full((4, 5), value, np.uint8)
    for kind in ("predictions", "targets"):
        write_label_map(folder / kind / f"{name}.tif", labels)
    write_image(folder / "images" / f"{name}.png", labels)


def test_every_image_comes_from_the_fold_that_tests_it(folds, tmp_path):
    stale = tmp_path / "cv/predictions/stale.tif"
    stale.parent.mkdir(parents=True)
    stale.touch()
    assert gather_folds(folds, tmp_path / "cv") == {"a": 0, "b": 0, "c": 1, "d": 1}
    for folder, names in folds.items():
        for name in names:
            for file in (f"predictions/{name}.tif", f"targets/{name}.tif", f"images/{name}.png"):
                assert (tmp_path / "cv" / file).read_bytes() == (folder / file).read_bytes()
    assert not stale.exists()
    assert len([path for path in (tmp_path / "cv").rglob("*") if path.is_file()]) == 12


def test_mean_and_deviation_are_those_of_the_folds(tmp_path):
    """Dice 2/3 of one of three images is a fold of 8/9 beside one of 1 and one of 0."""
    names = {"a": (20, 20), "b": (20, 20), "c": (20, 10), "d": (20, 20), "e": (20, 0)}
    fold_of = {"a": 0, "b": 1, "c": 1, "d": 1, "e": 2}
    for name, (true, predicted) in names.items():
        for kind, size in (("targets", true), ("predictions", predicted)):
            labels = (np.arange(20) < size).astype(np.uint8).reshape(4, 5)
            write_label_map(tmp_path / "cv" / kind / f"{name}.tif", labels)
    score_folds(tmp_path / "cv", fold_of, dict.fromkeys(names, "P"))
    table = pd.read_csv(tmp_path / "cv/fold_scores.csv").set_index("fold")
    assert table["images"].tolist()[:3] == [1, 3, 1]
    dice = table["dice"]
    assert dice[["0", "1", "2"]].tolist() == pytest.approx([1, 8 / 9, 0])
    assert dice["mean"] == pytest.approx(17 / 27)
    squares = (1 - 17 / 27) ** 2 + (8 / 9 - 17 / 27) ** 2 + (17 / 27) ** 2
    assert dice["sd"] == pytest.approx((squares / (3 - 1)) ** 0.5)


def test_an_image_of_two_folds_is_refused(folds, tmp_path):
    """Its prediction would silently be that of the later fold."""
    _, second = folds
    write(second, "b", 2)
    folds[second].add("b")
    with pytest.raises(ValueError, match=r"^b is tested by fold 0 and by fold 1$"):
        gather_folds(folds, tmp_path / "cv")
    assert not (tmp_path / "cv").exists()


@pytest.mark.parametrize(
    ("kind", "suffix", "message"),
    [
        ("predictions", "tif", "d was not predicted"),
        ("targets", "tif", "d has no target"),
        ("images", "png", "d is not in images"),
    ],
)
def test_a_lost_file_is_named_with_its_fold(kind, suffix, message, folds, tmp_path):
    (tmp_path / f"fold1/{kind}/d.{suffix}").unlink()
    with pytest.raises(ValueError, match=f"fold1: {message}; remove the folder to run the fold"):
        gather_folds(folds, tmp_path / "cv")
    assert not (tmp_path / "cv").exists()
