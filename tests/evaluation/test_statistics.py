"""Paired tests against textbook examples, and what they do with undefined scores."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from lotus.evaluation.statistics import holm, paired_test

# Student (1908): hours of sleep gained by ten patients under two drugs; t = -4.0621, p = 0.002833.
FIRST = [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0]
SECOND = [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4]


def test_students_sleep_data():
    found = paired_test(FIRST, SECOND)
    assert found.n == 10
    assert found.difference == pytest.approx(-1.58)
    assert found.p_t == pytest.approx(0.002833, abs=1e-6)
    assert found.p_wilcoxon == pytest.approx(stats.wilcoxon(FIRST, SECOND).pvalue)


def test_undefined_pairs_are_left_out():
    with_gaps = paired_test([*FIRST, np.nan, 1e12], [*SECOND, 5.0, np.nan])
    assert with_gaps == paired_test(FIRST, SECOND)


@pytest.mark.parametrize("n", [0, 1])
def test_too_few_pairs_have_no_p_value(n):
    found = paired_test([0.5] * n, [0.25] * n)
    assert found.n == n
    assert np.isnan([found.p_t, found.p_wilcoxon]).all()


def test_equal_scores_do_not_differ():
    found = paired_test([0.2, 0.4, 0.6], [0.2, 0.4, 0.6])
    assert (found.difference, found.p_t, found.p_wilcoxon) == (0, 1, 1)


@pytest.mark.parametrize(
    ("method", "reference"),
    [
        ([0.5, 0.75], [0.25, 0.5]),
        ([0.5, 0.75, 0.625], [0.25, 0.5, 0.375]),
        ([0.3, 0.9, 0.7], [0.1, 0.7, 0.5]),  # equal but for the rounding of doubles
        ([0.8666666667, 0.7333333333], [0.8555555555, 0.7222222222]),  # and of ten digits
    ],
)
def test_equal_differences_leave_the_t_test_undefined(method, reference):
    found = paired_test(method, reference)
    assert found.difference > 0
    assert np.isnan(found.p_t)
    assert found.p_wilcoxon == 2 * 0.5**found.n


def test_a_small_variance_is_one():
    found = paired_test([0.5 + 1e-6, 0.75, 0.625], [0.25, 0.5, 0.375])
    assert 0 < found.p_t < 1e-10


def test_unlike_lengths():
    with pytest.raises(ValueError, match="two lists of equal length"):
        paired_test([1.0, 2.0], [1.0])


def test_holms_example():
    # Four tests at 0.01, 0.04, 0.03, 0.005: multiplied by 4, 3, 2, 1 in ascending order, monotone.
    assert holm([0.01, 0.04, 0.03, 0.005]).tolist() == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.01, np.nan, 0.04])[[0, 2]].tolist() == pytest.approx([0.02, 0.04])
    assert np.isnan(holm([0.01, np.nan])[1])
    assert len(holm([])) == 0


@settings(max_examples=8, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_never_lowers_and_keeps_the_order(p_values):
    corrected = holm(p_values)
    assert (corrected >= np.array(p_values) - 1e-12).all()
    assert (corrected <= 1).all()
    assert (np.diff(corrected[np.argsort(p_values)]) >= -1e-12).all()
