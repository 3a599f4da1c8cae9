"""Classified patches of folds and seeds in one table, without any training."""

import pandas as pd
import pytest

from lotus.evaluation.classification import classification_scores
from lotus.evaluation.classified_runs import gather_classified_folds, gather_classified_seeds
from lotus.runs import RunFolder
from lotus.runs.classified import read_classified, write_classified
from lotus.runs.scores import read_scores
from tests.evaluation.test_classification import GROUPS, patches

ALL = patches(6, GROUPS[:2], n=3)


@pytest.fixture
def folds(tmp_path):
    """Three folds of a pair of patients each, and the patient of every slice they test."""
    folds = {}
    for number in range(3):
        own = ALL[ALL["patient"].isin([f"P{2 * number}", f"P{2 * number + 1}"])]
        write_classified(own, tmp_path / f"fold{number}/classified.csv")
        folds[tmp_path / f"fold{number}"] = dict(zip(own["slice"], own["patient"], strict=True))
    return folds


def test_patches_of_all_folds_come_into_one_table(folds, tmp_path):
    assert gather_classified_folds(folds, tmp_path / "cv") == len(ALL)
    run = RunFolder(tmp_path / "cv")
    found = read_classified(run.classified)
    pd.testing.assert_frame_equal(found[list(ALL)], ALL, check_dtype=False)
    assert found.groupby("patient")["fold"].first().tolist() == [0, 0, 1, 1, 2, 2]
    scores = read_scores(run.scores)
    assert list(scores) == ["accuracy", "fold", "patient"]
    right = (ALL["group"] == ALL["predicted"]).to_numpy()
    assert scores["accuracy"].tolist() == right.tolist()
    table = pd.read_csv(run.scores)
    assert table.iloc[-1]["accuracy"] == pytest.approx(right.mean())


def test_scores_of_the_folds_have_a_mean_and_a_deviation(folds, tmp_path):
    gather_classified_folds(folds, tmp_path / "cv")
    found = pd.read_csv(tmp_path / "cv/fold_scores.csv").set_index("fold")
    each = [
        classification_scores(ALL[ALL["slice"].isin(slices)])["f1"] for slices in folds.values()
    ]
    assert found["f1"][["0", "1", "2"]].tolist() == pytest.approx(each)
    assert found["f1"]["mean"] == pytest.approx(sum(each) / 3)
    assert found["f1"]["sd"] == pytest.approx(pd.Series(each).std())
    assert found["patches"][["0", "1", "2"]].tolist() == [12, 12, 12]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda own: own.replace("P2s0", "x"), "fold1: x is not one of its test images; remove"),
        (lambda own: own[own["patient"] == "P2"], "fold1: no patch of patient P3 was classified"),
        (
            lambda own: own.assign(patient=own["patient"].replace("P2", "P8")),
            "fold1: P2s0 is of patient P8, and now of P2",
        ),
        (lambda own: own.rename(columns={"p_ill": "p_i", "p_well": "p_w"}).replace(
            {"ill": "i", "well": "w"}), "fold1 tells apart i, w, and .*fold0 ill, well"),
    ],
)  # fmt: skip
def test_what_a_fold_should_not_have_classified_is_named(change, message, folds, tmp_path):
    path = tmp_path / "fold1/classified.csv"
    write_classified(change(read_classified(path)), path)
    with pytest.raises(ValueError, match=message):
        gather_classified_folds(folds, tmp_path / "cv")
    assert not (tmp_path / "cv").exists()


def test_a_fold_without_a_table_is_named(folds, tmp_path):
    (tmp_path / "fold2/classified.csv").unlink()
    with pytest.raises(FileNotFoundError, match=r"fold2 has no classified\.csv"):
        gather_classified_folds(folds, tmp_path / "cv")


def test_seeds_stand_below_each_other(tmp_path):
    runs = {}
    for seed in (3, 5):
        runs[seed] = RunFolder(tmp_path / f"seed{seed}")
        write_classified(patches(6, GROUPS[:2], seed=seed, n=3), runs[seed].classified)
    assert gather_classified_seeds(runs, tmp_path) == 2 * len(ALL)
    found = read_classified(tmp_path / "classified.csv")
    assert found["seed"].value_counts().to_dict() == {3: len(ALL), 5: len(ALL)}
    assert read_scores(tmp_path / "scores.csv").index[0] == "P0s0@0,0 (seed 3)"
    scores = pd.read_csv(tmp_path / "seed_scores.csv").set_index("seed")
    each = [(own["group"] == own["predicted"]).mean() for _, own in found.groupby("seed")]
    assert scores["accuracy"].tolist()[:3] == pytest.approx([*each, sum(each) / 2])

    write_classified(read_classified(runs[5].classified).iloc[1:], runs[5].classified)
    with pytest.raises(ValueError, match="patch P0s0@0,0 was tested with seed 3 and not with see"):
        gather_classified_seeds(runs, tmp_path)
