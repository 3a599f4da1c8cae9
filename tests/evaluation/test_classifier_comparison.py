"""Classifiers compared on the same patches."""

import pandas as pd
import pytest

from lotus.evaluation.classification import at_level
from lotus.evaluation.classifier_comparison import compare_classifiers
from lotus.evaluation.patient_resampling import bootstrap_over_patients, exchange_test
from tests.evaluation.test_classification import GROUPS, patches

METHODS = {
    name: patches(6, GROUPS[:2], seed=seed) for seed, name in enumerate(("MGA", "VGG16", "AlexNet"))
}


@pytest.mark.parametrize("level", ["patch", "patient"])
def test_cells_are_scores_intervals_and_tests_of_the_level(level):
    found = compare_classifiers(METHODS, "MGA", ["f1", "ece"], level=level)
    cases = {name: at_level(table, level) for name, table in METHODS.items()}
    assert (found.cases.n, found.cases.n_patients) == (len(cases["MGA"]), 6)
    assert found.cases.patients == {"ill": 3, "well": 3}
    for name, cells in found.cells.items():
        assert list(cells) == ["f1", "ece"]
        assert cells["f1"].interval == bootstrap_over_patients(cases[name])["f1"]
        if name != "MGA":
            assert cells["ece"].test == exchange_test(cases[name], cases["MGA"])["ece"]
    assert found.cells["MGA"]["f1"].test is None


def test_holm_goes_over_the_methods_and_the_best_is_marked():
    right = {name: table.assign(predicted=table["group"]) for name, table in METHODS.items()}
    other = {"ill": "well", "well": "ill"}
    wrong = METHODS["MGA"].assign(predicted=METHODS["MGA"]["group"].map(other))
    ece = METHODS["MGA"].assign(p_ill=0.5, p_well=0.5)
    methods = {"a": right["MGA"], "b": wrong, "c": wrong.assign(p_ill=ece["p_ill"])}
    found = compare_classifiers(methods, "a", ["accuracy"])
    assert [name for name in methods if found.cells[name]["accuracy"].is_best] == ["a"]
    for name in ("b", "c"):
        cell = found.cells[name]["accuracy"]
        assert (cell.test.p, cell.p_holm) == (2 / 2**6, 4 / 2**6)


def test_the_lowest_calibration_error_is_the_best():
    sure = METHODS["MGA"].assign(p_ill=1.0, p_well=0.0)  # right in half of the cases
    unsure = sure.assign(p_ill=0.51, p_well=0.49)
    found = compare_classifiers({"sure": sure, "unsure": unsure}, "sure", ["ece"])
    assert found.cells["unsure"]["ece"].is_best
    assert not found.cells["sure"]["ece"].is_best


def test_a_method_on_other_patches_stands_apart():
    other = patches(3, GROUPS[:2], seed=9)
    found = compare_classifiers(METHODS, "MGA", ["accuracy"], apart={"teacher": other})
    cell = found.apart["teacher"]["accuracy"]
    assert (cell.test, cell.is_best) == (None, False)
    assert found.cases_apart["teacher"].patients == {"ill": 2, "well": 1}


def test_several_seeds_have_a_spread():
    seeds = [patches(6, GROUPS[:2], seed=seed).assign(seed=seed) for seed in range(3)]
    found = compare_classifiers({"MGA": pd.concat(seeds)}, "MGA", ["accuracy"])
    each = pd.Series([(own["group"] == own["predicted"]).mean() for own in seeds])
    cell = found.cells["MGA"]["accuracy"]
    assert (cell.value, cell.sd_of_seeds) == pytest.approx((each.mean(), each.std()))
    assert (found.cases.n, found.cases.seeds) == (60, 3)


MGA = METHODS["MGA"]


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (MGA.iloc[1:], "patch P0s0@0,0 was classified by MGA and not by other"),
        (pd.concat([MGA, patches(7, GROUPS[:2]).tail(1)]), "by other and not by MGA"),
        (MGA.assign(seed=4), "patch P0s0@0,0 was classified by MGA and not by other"),
        (MGA.assign(seed=-4), r"patch P0s0@0,0 \(seed -4\) was classified by other and not by MGA"),
        (MGA.assign(slice="x"), "patch P0s0@0,0 is of another patient, slice or group for other"),
        (
            MGA.rename(columns={"p_well": "p_fine"}),
            "other tells apart ill, fine, and MGA ill, well",
        ),
    ],
)
def test_what_cannot_be_compared(other, message):
    with pytest.raises(ValueError, match=message):
        compare_classifiers({"MGA": MGA, "other": other}, "MGA", ["accuracy"])


def test_unknown_names():
    with pytest.raises(ValueError, match="no method is called 'x'; found MGA, VGG16, AlexNet"):
        compare_classifiers(METHODS, "x", ["accuracy"])
    with pytest.raises(ValueError, match="no score 'dice' of classifiers; expected accuracy, prec"):
        compare_classifiers(METHODS, "MGA", ["dice"])
