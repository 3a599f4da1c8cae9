"""Gathering the folds of a cross-validation, without any training."""

import numpy as np
import pytest

from lotus.evaluation.crossval import gather_folds
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
