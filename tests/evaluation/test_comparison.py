"""Comparisons of methods, against hand-computed tables."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from lotus.evaluation.comparison import compare_methods, read_scores

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


def test_undefined_units_are_counted():
    cell = compare_methods(METHODS, "LOTUS", ["hd"]).cells["student"]["hd"]
    assert cell.undefined == 1
    assert cell.mean == pytest.approx(6.5)
    assert cell.test.n == 2


def test_holm_goes_over_the_methods_of_a_score():
    cells = compare_methods(METHODS, "LOTUS", ["dice"], unit="image").cells
    p_values = [cells[name]["dice"].test.p_t for name in ("student", "other")]
    low = np.argmin(p_values)
    corrected = [cells[name]["dice"].p_holm for name in ("student", "other")]
    assert corrected[low] == pytest.approx(min(2 * p_values[low], 1))


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (table([0.1] * 4, names=["a1", "a2", "b1", "d1"]), "image c1 was scored for LOTUS and not"),
        (table([0.1] * 4, n_true=[3, 3, 4, 3]), "image b1 has 3 true objects for LOTUS and 4 for"),
        (table([0.1] * 4).drop(columns="dice"), "other has no score 'dice'"),
        (table([0.1] * 4).drop(columns="patient"), "patients of other are not in its scores.csv"),
    ],
)
def test_what_cannot_be_compared(other, message):
    with pytest.raises(ValueError, match=message):
        compare_methods({"LOTUS": METHODS["LOTUS"], "other": other}, "LOTUS", ["dice"])


def test_unknown_reference_and_unit():
    with pytest.raises(ValueError, match="no method is called 'x'; found LOTUS, student, other"):
        compare_methods(METHODS, "x", ["dice"])
    with pytest.raises(ValueError, match="unit is 'cell'"):
        compare_methods(METHODS, "LOTUS", ["dice"], unit="cell")


def test_reading(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"has no scores\.csv"):
        read_scores(tmp_path)
    rows = METHODS["LOTUS"].reset_index()
    rows.loc[len(rows)] = ["mean", 3, 0.7, 6.0, np.nan]
    rows.to_csv(tmp_path / "scores.csv", index=False)
    pd.testing.assert_frame_equal(read_scores(tmp_path), METHODS["LOTUS"], check_dtype=False)
    pd.concat([rows, rows]).to_csv(tmp_path / "scores.csv", index=False)
    with pytest.raises(ValueError, match="image a1 is there twice"):
        read_scores(tmp_path)
