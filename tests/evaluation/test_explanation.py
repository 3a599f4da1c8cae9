import numpy as np
import pandas as pd
import pytest
from scipy import stats

from lotus.evaluation.explanation import (
    compare_explanations,
    explained_patients,
    explained_summary,
)

NAN = float("nan")


def table_of(**columns):
    """Six patches of three patients; in the last one nobody knows lacunae."""
    defaults = {
        "name": [*"abcdef"],
        "slice": "s",
        "patient": ["1", "1", "1", "2", "2", "3"],
        "group": ["x", "x", "x", "y", "y", "y"],
        "explained": "x",
        "lacunae": [0.1, 0.3, 0.0, 0.2, 0.4, NAN],
        "pointing": [1.0, 0.0, NAN, 1.0, 1.0, NAN],
        "energy": [0.5, 0.3, NAN, 0.3, NAN, NAN],
        "deletion": [0.4, 0.5, 0.6, 0.2, NAN, 0.1],
        "insertion": [0.4, 0.5, 0.6, 0.2, NAN, 0.1],
        "road": [0.1, 0.2, 0.3, -0.2, NAN, 0.4],
    }
    return pd.DataFrame(defaults | columns)


def test_patients_count_what_their_means_are_of():
    found = explained_patients(table_of()).set_index("patient")
    assert found["patches"].tolist() == [3, 2, 1]
    assert found["with_lacunae"].tolist() == [2, 2, 0]
    assert found["without_lacunae"].tolist() == [1, 0, 0]
    assert found["not_annotated"].tolist() == [0, 0, 1]
    assert found["empty_map"].tolist() == [0, 1, 0]
    assert found.loc["1", ["lacunae", "energy", "deletion"]].tolist() == [0.2, 0.4, 0.5]
    assert np.isnan(found.loc["3", "energy"])


def test_every_patient_counts_once_and_chance_is_that_of_the_same_patches():
    found = explained_summary(table_of()).set_index("score")
    assert found.loc["energy", ["mean", "chance"]].tolist() == pytest.approx([0.35, 0.2])
    assert found.loc["energy", ["patients", "patches"]].tolist() == [2, 3]
    assert found.loc["pointing", ["mean", "chance"]].tolist() == pytest.approx([0.75, 0.25])
    assert found.loc["road", ["mean", "chance"]].tolist() == pytest.approx([0.4 / 3, 0.0])
    assert found.loc["road", "p_t"] == pytest.approx(stats.ttest_1samp([0.2, -0.2, 0.4], 0).pvalue)
    assert found.loc["road", "sd"] == pytest.approx(np.std([0.2, -0.2, 0.4], ddof=1))
    assert np.isnan(found.loc["deletion", ["chance", "p_t"]].astype(float)).all()


def test_a_patch_is_compared_where_both_are_defined():
    other = table_of(
        energy=[0.1, NAN, NAN, 0.2, 0.1, NAN], road=[0.0, 0.1, 0.1, 0.1, 0.1, 0.1]
    ).iloc[::-1]
    found = compare_explanations(table_of(), other).set_index("score")
    # Patch a of patient 1 and patch d of patient 2.
    energy = found.loc["energy", ["patients", "patches", "mean", "other", "difference"]]
    assert energy.tolist() == pytest.approx([2, 2, 0.4, 0.15, 0.25])
    road = found.loc["road"]
    differences = [(0.1 + 0.1 + 0.2) / 3, -0.3, 0.3]
    assert road["difference"] == pytest.approx(np.mean(differences))
    assert road["p_t"] == pytest.approx(stats.ttest_1samp(differences, 0).pvalue)
    assert road["patients"] == 3
    assert road["p_holm"] >= road["p_t"]


def test_explanations_of_other_patches_or_masks_are_refused():
    with pytest.raises(ValueError, match="1 patches are explained for one of the two networks al"):
        compare_explanations(table_of(), table_of().iloc[1:])
    other = table_of(lacunae=[0.1, 0.3, 0.0, 0.25, 0.4, NAN])
    with pytest.raises(ValueError, match="patch d has other lacunae in the two explanations"):
        compare_explanations(table_of(), other)
