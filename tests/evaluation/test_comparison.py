"""Comparisons of methods, against hand-computed tables."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from lotus.evaluation.comparison import compare_methods, per_image

IMAGES = ["a1", "a2", "b1", "c1"]
PATIENTS = ["a", "a", "b", "c"]


def table(dice, hd=(4.0, 6.0, 5.0, 9.0), names=IMAGES, n_true=3):
    frame = {"name": names, "n_true": n_true, "dice": dice, "hd": hd, "patient": PATIENTS}
    return pd.DataFrame(frame).set_index("name")


METHODS = {
    "LOTUS": table([0.8, 0.6, 0.9, 0.5]),
    "student": table([0.6, 0.6, 0.7, 0.4], (8.0, 8.0, 5.0, np.nan)),
    "other": table([0.7, 0.9, 0.6, 0.6], (1.0, 3.0, 2.0, 3.0)),
}


def test_patients_count_once():
    found = compare_methods(METHODS, "LOTUS", ["dice", "hd"])
    assert (found.n, found.unit, list(found.cells)) == (3, "patient", [*METHODS])
    cell = found.cells["LOTUS"]["dice"]
    patients = [0.7, 0.9, 0.5]
    assert cell.mean == pytest.approx(np.mean(patients))
    assert cell.sd == pytest.approx(np.std(patients, ddof=1))
    assert cell.test is None
    student = found.cells["student"]["dice"]
    assert student.test.p_t == pytest.approx(stats.ttest_rel([0.6, 0.7, 0.4], patients).pvalue)
    assert student.test.difference == pytest.approx(-0.4 / 3)


def test_images_count_each():
    found = compare_methods(METHODS, "LOTUS", ["dice"], unit="image")
    assert found.n == 4
    assert found.cells["student"]["dice"].mean == pytest.approx(0.575)


def test_the_best_is_the_highest_or_the_nearest():
    cells = compare_methods(METHODS, "LOTUS", ["dice", "hd"]).cells
    assert [name for name in cells if cells[name]["dice"].is_best] == ["LOTUS"]
    assert [name for name in cells if cells[name]["hd"].is_best] == ["other"]


def test_equal_methods_are_all_the_best():
    # The same scores on other images: 0.1 + 0.2 + 0.3 is not 0.3 + 0.2 + 0.1 in floating point.
    dice = [0.1, 0.2, 0.3, 0.7]
    tied = {"LOTUS": table(dice), "other": table(dice[::-1]), "worse": table([0.1, 0.2, 0.3, 0.6])}
    cells = compare_methods(tied, "LOTUS", ["dice"], unit="image").cells
    assert [name for name in cells if cells[name]["dice"].is_best] == ["LOTUS", "other"]


def test_undefined_units_are_counted():
    cell = compare_methods(METHODS, "LOTUS", ["hd"]).cells["student"]["hd"]
    assert (cell.undefined, cell.undefined_images) == (1, 1)
    assert cell.mean == pytest.approx(6.5)
    assert cell.test.n == 2


def test_an_undefined_image_of_a_defined_patient_is_counted():
    hd = (np.nan, 8.0, 5.0, 3.0)
    methods = {"LOTUS": METHODS["LOTUS"], "student": table([0.5] * 4, hd)}
    cell = compare_methods(methods, "LOTUS", ["hd"]).cells["student"]["hd"]
    assert (cell.undefined, cell.undefined_images) == (0, 1)
    assert cell.mean == pytest.approx(np.mean([8, 5, 3]))


def test_distances_that_stand_at_the_diagonal_are_counted():
    empty = table([0.0, 0.5, 0.5, 0.5], n_true=[3, 0, 0, 2]).assign(n_pred=[0, 4, 0, 2])
    cells = compare_methods({"LOTUS": empty}, "LOTUS", ["dice", "hd"]).cells["LOTUS"]
    assert (cells["hd"].replaced_images, cells["dice"].replaced_images) == (2, 0)


def test_all_images_of_all_methods():
    found = per_image(
        {"b": METHODS["LOTUS"], "a": table([0.1] * 4).drop(columns="patient")}, ["hd"]
    )
    assert list(found) == ["name", "patient", "method", "hd"]
    assert found["method"].tolist() == ["b"] * 4 + ["a"] * 4
    assert found["name"].tolist() == IMAGES * 2
    assert found["patient"].tolist()[:4] == PATIENTS
    assert found["hd"].tolist()[:4] == [4.0, 6.0, 5.0, 9.0]


def test_holm_goes_over_the_methods_of_a_score():
    """Not over all scores too: the lowest p-value of each is doubled, none fourfold."""
    scores = ["dice", "hd"]
    cells = compare_methods(METHODS, "LOTUS", scores, unit="image").cells
    for score in scores:
        pair = [cells[name][score] for name in ("student", "other")]
        low, high = sorted(pair, key=lambda cell: cell.test.p_t)
        assert 0 < 4 * low.test.p_t < 1
        assert low.p_holm == pytest.approx(2 * low.test.p_t)
        assert high.p_holm == pytest.approx(max(high.test.p_t, low.p_holm))


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (table([0.1] * 4, names=["a1", "a2", "b1", "d1"]), "image c1 was scored for LOTUS and not"),
        (table([0.1] * 4, n_true=[3, 3, 4, 3]), "image b1 has 3 true objects for LOTUS and 4 for"),
        (table([0.1] * 4).drop(columns="dice"), "other has no score 'dice'"),
        (
            table([0.1] * 4).drop(columns="patient"),
            "patients of other are not in its table of scores",
        ),
        (
            table([0.1] * 4).assign(patient=["a", "b", "a", "c"]),
            "image a2 is of patient a for LOTUS and of b for other",
        ),
    ],
)
def test_what_cannot_be_compared(other, message):
    with pytest.raises(ValueError, match=message):
        compare_methods({"LOTUS": METHODS["LOTUS"], "other": other}, "LOTUS", ["dice"])


def test_a_method_on_other_images_stands_apart():
    perfect = table([1.0] * 4, names=["e1", "e2", "f1", "g1"]).iloc[:3]
    found = compare_methods(METHODS, "LOTUS", ["dice"], apart={"teacher": perfect})
    assert [*found.cells] == [*METHODS]
    cell = found.apart["teacher"]["dice"]
    assert (cell.mean, cell.is_best, cell.test, found.n_apart) == (1.0, False, None, {"teacher": 2})
    assert [name for name in METHODS if found.cells[name]["dice"].is_best] == ["LOTUS"]


def test_unknown_reference_and_unit():
    with pytest.raises(ValueError, match="no method is called 'x'; found LOTUS, student, other"):
        compare_methods(METHODS, "x", ["dice"])
    with pytest.raises(ValueError, match="unit is 'cell'"):
        compare_methods(METHODS, "LOTUS", ["dice"], unit="cell")


def accuracy_table(accuracy, **columns):
    """Scores of a classifier: no objects to count, and here as many columns as it needs."""
    return pd.DataFrame({"name": IMAGES, "accuracy": accuracy, **columns}).set_index("name")


def test_a_table_without_objects():
    methods = {
        "mga": accuracy_table([1.0, 1.0, 1.0, 0.0], patient=PATIENTS),
        "plain": accuracy_table([1.0, 0.0, 0.0, 0.0], patient=PATIENTS),
    }
    found = compare_methods(methods, "plain", ["accuracy"])
    # By patient 1, 1, 0 and 1/2, 0, 0.
    cell = found.cells["mga"]["accuracy"]
    assert (cell.mean, cell.is_best, cell.test.n) == (pytest.approx(2 / 3), True, 3)
    assert cell.test.difference == pytest.approx(0.5)
    assert cell.test.p_t == pytest.approx(stats.ttest_rel([1, 1, 0], [0.5, 0, 0]).pvalue)
    assert found.cells["plain"]["accuracy"].mean == pytest.approx(1 / 6)


def test_images_need_no_patients():
    methods = {
        "mga": accuracy_table([1.0, 1.0, 1.0, 0.0]),
        "plain": accuracy_table([1.0, 0.0, 0.0, 0.0]),
    }
    found = compare_methods(methods, "plain", ["accuracy"], unit="image")
    assert found.n == 4
    assert [cells["accuracy"].mean for cells in found.cells.values()] == [0.75, 0.25]
    with pytest.raises(ValueError, match="patients of mga are not in its table of scores"):
        compare_methods(methods, "plain", ["accuracy"])


def test_objects_are_compared_where_both_count_them():
    counted = accuracy_table([1.0] * 4, n_true=3)
    methods = {"counts": counted, "does not": accuracy_table([0.5] * 4)}
    found = compare_methods(methods, "counts", ["accuracy"], unit="image")
    assert found.cells["counts"]["accuracy"].is_best


@pytest.mark.parametrize("score", ["test_loss", "ece", "hd99"])
def test_the_lowest_loss_is_the_best(score):
    methods = {
        "low": accuracy_table([1.0] * 4, **{score: 0.25}),
        "high": accuracy_table([1.0] * 4, **{score: 0.5}),
    }
    cells = compare_methods(methods, "high", [score], unit="image").cells
    assert [name for name in cells if cells[name][score].is_best] == ["low"]
