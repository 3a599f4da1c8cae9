"""Gathering the folds of a cross-validation, without any training."""

import numpy as np
import pandas as pd
import pytest

from lotus.evaluation.crossval import gather_folds, have_objects, score_folds, score_their_own
from lotus.imaging import write_image, write_label_map
from lotus.runs.class_maps import ClassMap, read_class_maps, write_class_maps
from lotus.runs.scores import write_domains, write_rows


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


@pytest.fixture
def domain_folds(folds):
    """The same folds as tests of class maps leave them: with their table and their own scores."""
    for number, (folder, names) in enumerate(folds.items()):
        maps = [
            ClassMap(
                image=folder / f"images/{name}.png",
                labels=folder / f"predictions/{name}.tif",
                domain=name,
                classes={"bone": 1},
                certainty=0.5,
                uncertain_tiles=number,
                tiles=4,
                uncertain=False,
            )
            for name in sorted(names)
        ]
        write_class_maps(folder / "predictions", maps)
        rows = {name: {"dice": 0.1 * (ord(name) - ord("a"))} for name in names}
        write_rows(rows, dict.fromkeys(names, f"P{number}"), folder / "scores.csv")
    return folds


def test_class_maps_of_all_folds_come_in_one_table(domain_folds, tmp_path):
    before = {
        folder: (folder / "predictions/class_maps.csv").read_bytes() for folder in domain_folds
    }
    for _ in range(2):  # what is there is replaced
        gather_folds(domain_folds, tmp_path / "cv")
    found = read_class_maps(tmp_path / "cv/predictions")
    assert [each.domain for each in found] == ["a", "b", "c", "d"]
    assert [each.uncertain_tiles for each in found] == [0, 0, 1, 1]
    for each in found:
        assert each.labels == tmp_path / f"cv/predictions/{each.domain}.tif"
        assert each.image == tmp_path / f"cv/images/{each.domain}.png"
        assert each.labels.is_file()
    assert before == {f: (f / "predictions/class_maps.csv").read_bytes() for f in domain_folds}


def test_class_maps_keep_the_scores_of_their_tests(domain_folds, tmp_path):
    """Objects of class maps would be other scores: here all of them would be 1."""
    fold_of = gather_folds(domain_folds, tmp_path / "cv")
    assert not have_objects([*domain_folds])
    patients = {"a": "P0", "b": "P0", "c": "P1", "d": "P1"}
    score_their_own(tmp_path / "cv", [*domain_folds], fold_of, patients)
    scores = pd.read_csv(tmp_path / "cv/scores.csv")
    assert list(scores) == ["name", "dice", "fold", "patient"]
    assert scores["dice"].tolist() == pytest.approx([0, 0.1, 0.2, 0.3, 0.15])
    assert scores["patient"].tolist()[:4] == ["P0", "P0", "P1", "P1"]
    table = pd.read_csv(tmp_path / "cv/fold_scores.csv").set_index("fold")
    assert table["dice"].tolist() == pytest.approx([0.05, 0.25, 0.15, 0.02**0.5])
    assert table["images"].tolist()[:2] == [2, 2]
    assert not (tmp_path / "cv/domains.csv").exists()
    for number, folder in enumerate(domain_folds):
        write_domains(folder / "domains.csv", {"a": {"f1": number / 2}, "b": {"f1": 1.0}})
    score_their_own(tmp_path / "cv", [*domain_folds], fold_of, patients)
    domains = pd.read_csv(tmp_path / "cv/domains.csv")
    assert domains.to_dict("list") == {
        "domain": ["a", "b", "a", "b"],
        "f1": [0.0, 1.0, 0.5, 1.0],
        "fold": [0, 0, 1, 1],
    }


def test_objects_are_scored_where_tests_counted_them(folds, tmp_path):
    assert have_objects([*folds])  # without scores, as another program leaves them
    for folder, names in folds.items():
        rows = {name: {"dice": 1.0, "n_true": 2.0} for name in names}
        write_rows(rows, {}, folder / "scores.csv")
    assert have_objects([*folds])
