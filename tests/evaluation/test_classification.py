"""Levels and scores of classified patches, against plain loops and values by hand."""

import numpy as np
import pandas as pd
import pytest

from lotus.evaluation.classification import (
    at_level,
    calibration_curve,
    classification_scores,
    confusion_matrix,
)

GROUPS = ("ill", "well", "old")


def patches(n_patients=7, groups=GROUPS, seed=0, slices=2, n=5):
    """Random probabilities, in steps that make ties, of patients who are in a group each."""
    random = np.random.default_rng(seed)
    rows = []
    for patient in range(n_patients):
        group = groups[patient % len(groups)]
        for piece in range(slices * n):
            p = random.integers(1, 6, len(groups)).astype(float)
            p[groups.index(group)] += 1
            p = (0.97 * p / p.sum()).astype(np.float32)  # on no edge of a bin
            where = f"P{patient}s{piece // n}"
            row = {"name": f"{where}@{piece},0", "slice": where, "patient": f"P{patient}"}
            row |= {"group": group, "predicted": groups[int(p.argmax())]}
            rows.append(row | {f"p_{name}": p[i] for i, name in enumerate(groups)})
    return pd.DataFrame(rows)


def plain_scores(cases):
    """Every score as its definition reads."""
    groups = [name[2:] for name in cases if name.startswith("p_")]
    rows = cases.to_dict("records")
    right = sum(row["group"] == row["predicted"] for row in rows)
    precision, recall, f1, areas = [], [], [], []
    for group in groups:
        true = [row for row in rows if row["group"] == group]
        said = [row for row in rows if row["predicted"] == group]
        both = sum(row["predicted"] == group for row in true)
        precision.append(both / len(said) if said else 0.0)
        recall.append(both / len(true))
        f1.append(2 * both / (len(true) + len(said)))
        pairs = [
            (row[f"p_{group}"] > other[f"p_{group}"])
            + (row[f"p_{group}"] == other[f"p_{group}"]) / 2
            for row in true
            for other in rows
            if other["group"] != group
        ]
        areas.append(sum(pairs) / len(pairs))
    error = 0.0
    for k in range(15):
        inside = []
        for row in rows:
            values = [row[f"p_{group}"] for group in groups]
            if k / 15 <= max(values) < (k + 1) / 15:
                inside.append((max(values), row["group"] == groups[values.index(max(values))]))
        error += abs(sum(p for p, _ in inside) - sum(is_right for _, is_right in inside))
    return {
        "accuracy": right / len(rows),
        "precision": np.mean(precision),
        "recall": np.mean(recall),
        "f1": np.mean(f1),
        "auroc": np.mean(areas),
        "ece": error / len(rows),
    }


@pytest.mark.parametrize("groups", [GROUPS, GROUPS[:2]])
def test_scores_are_those_of_their_definitions(groups):
    cases = patches(groups=groups)
    assert classification_scores(cases) == pytest.approx(plain_scores(cases), abs=1e-5)


def test_of_several_seeds_the_scores_are_averaged():
    parts = [patches(seed=seed) for seed in (1, 2)]
    both = pd.concat([part.assign(seed=seed) for seed, part in enumerate(parts)])
    each = [classification_scores(part) for part in parts]
    expected = {name: (each[0][name] + each[1][name]) / 2 for name in each[0]}
    assert classification_scores(both) == pytest.approx(expected)
    assert confusion_matrix(both).to_numpy().sum() == len(both)


def test_without_a_case_of_a_group_its_averages_are_undefined():
    cases = patches().query("group != 'old'")
    scores = classification_scores(cases)
    assert {name for name, value in scores.items() if np.isnan(value)} == {
        *("precision", "recall", "f1", "auroc"),
    }


def test_a_group_that_is_never_predicted_has_no_precision():
    cases = patches(groups=GROUPS[:2]).assign(predicted="ill")
    scores = classification_scores(cases)
    share = (cases["group"] == "ill").mean()
    assert scores["precision"] == pytest.approx(share / 2)
    assert scores["recall"] == pytest.approx(0.5)


VOTES = pd.DataFrame(
    {
        "name": list("abcde"),
        "slice": ["s", "s", "s", "t", "t"],
        "patient": ["P"] * 5,
        "group": ["ill"] * 5,
        "predicted": ["ill", "well", "well", "ill", "well"],
        "p_ill": [0.9, 0.4, 0.4, 0.7, 0.1],
        "p_well": [0.1, 0.6, 0.6, 0.3, 0.9],
    }
)


def test_the_majority_votes_and_equal_votes_are_decided_by_the_means():
    slices = at_level(VOTES, "slice", "majority").set_index("name")
    assert slices["predicted"].to_dict() == {"s": "well", "t": "well"}, "t: 0.4 against 0.6"
    assert slices["p_ill"].to_dict() == pytest.approx({"s": 1 / 3, "t": 1 / 2})
    (patient,) = at_level(VOTES, "patient", "majority").to_dict("records")
    assert patient == {
        **{"name": "P", "patient": "P", "group": "ill", "predicted": "well"},
        **{"p_ill": pytest.approx(2 / 5), "p_well": pytest.approx(3 / 5)},
    }


def test_the_means_decide():
    slices = at_level(VOTES, "slice", "mean").set_index("name")
    assert slices["predicted"].to_dict() == {"s": "ill", "t": "well"}
    assert slices["p_ill"].to_dict() == pytest.approx({"s": 1.7 / 3, "t": 0.4})
    (p_ill,) = at_level(VOTES, "patient", "mean")["p_ill"]
    assert p_ill == pytest.approx(2.5 / 5), "of the patches, not of the slices"


def test_patches_stay_as_they_are():
    kept = at_level(VOTES, "patch", "majority")
    assert kept["name"].tolist() == list("abcde")
    assert kept["predicted"].tolist() == VOTES["predicted"].tolist()


def test_every_seed_votes_on_its_own():
    other = VOTES.assign(predicted="ill", seed=2)
    both = pd.concat([VOTES.assign(seed=1), other])
    found = at_level(both, "patient", "majority")
    assert found[["seed", "predicted"]].to_numpy().tolist() == [[1, "well"], [2, "ill"]]


def test_who_was_taken_for_whom():
    found = confusion_matrix(VOTES)
    assert found.loc["ill"].to_dict() == {"ill": 2, "well": 3}
    assert found.loc["well"].sum() == 0


def test_how_often_a_sure_classifier_is_right():
    found = calibration_curve(VOTES, bins=2)
    # All are surer than 1/2; the most probable group is right in 2 of 5.
    (row,) = found.to_dict("records")
    expected = {"n": 5, "confidence": 3.7 / 5, "accuracy": 2 / 5}
    assert row == pytest.approx(expected)
