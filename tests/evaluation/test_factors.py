"""What scores follow, beside scipy's own tests and enumerated permutations."""

from itertools import permutations, product

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from lotus.evaluation.factors import factor_tests
from lotus.evaluation.statistics import rank_correlation


def cells(seed=0):
    rng = np.random.default_rng(seed)
    grid = product(["unet", "sensor3d"], [10, 20, 30, 50, 70], [32, 64])
    rows = [
        {"network": n, "slices": s, "batch": b, "dice": s / 100 + rng.normal(0, 0.1) + (n > "t")}
        for n, s, b in grid
    ]
    return pd.DataFrame(rows).assign(loss=lambda table: -table["dice"])


def chosen(table, **values):
    for name, value in values.items():
        table = table[table[name] == value]
    (row,) = table.to_dict("records")
    return row


def test_numbers_are_correlated_over_all_and_within_levels():
    table = cells()
    found = factor_tests(table, ["network", "slices", "batch"], ["dice", "loss"])
    row = chosen(found, factor="slices", among="all", score="dice")
    assert row["effect"] == pytest.approx(stats.spearmanr(table["slices"], table["dice"])[0])
    assert row["n"] == 20
    own = table[table["network"] == "unet"]
    row = chosen(found, factor="slices", among="network unet", score="dice")
    expected = stats.spearmanr(own["slices"], own["dice"])
    assert row["effect"] == pytest.approx(expected[0])
    assert row["p"] == pytest.approx(expected[1], abs=0.01)
    assert row["n"] == 10
    opposite = chosen(found, factor="slices", among="network unet", score="loss")
    assert opposite["effect"] == pytest.approx(-row["effect"])
    assert set(found[found["factor"] == "batch"]["test"]) == {"Spearman"}


def test_words_are_compared_in_cells_that_are_equal_otherwise():
    table = cells().sample(frac=1, random_state=1)
    found = factor_tests(table, ["network", "slices", "batch"], ["dice"])
    (row,) = found[found["factor"] == "network"].to_dict("records")
    wide = table.pivot(index=["slices", "batch"], columns="network", values="dice")
    second, first = row["among"].split(" - ")
    difference = wide[second] - wide[first]
    assert row["effect"] == pytest.approx(difference.mean())
    assert row["p"] == pytest.approx(stats.wilcoxon(difference).pvalue)
    assert (row["test"], row["n"], row["least_p"]) == ("Wilcoxon", 10, 2 / 2**10)


def test_five_pairs_cannot_be_significant():
    table = cells().query("batch == 32")
    found = factor_tests(table, ["network", "slices"], ["dice"])
    row = chosen(found, factor="network", score="dice")
    assert row["p"] == row["least_p"] == 0.0625


def test_a_single_factor_of_words_makes_no_test():
    table = pd.DataFrame({"network": ["unet", "sensor3d"], "dice": [0.8, 0.9]})
    (row,) = factor_tests(table, ["network"], ["dice"]).to_dict("records")
    assert row["effect"] == pytest.approx(0.1)
    assert row["n"] == 1
    assert np.isnan(row["p"])


def test_a_cell_is_there_once():
    with pytest.raises(ValueError, match="two cells are network unet, slices 10, batch 32"):
        factor_tests(pd.concat([cells(), cells()[:1]]), ["network", "slices", "batch"], ["dice"])


@pytest.mark.parametrize("second", [[3, 1, 2, 5, 4, 6], [1, 1, 2, 2, 3, 3], [2, 1, 2, 1, 2, 1]])
def test_ranks_are_tested_by_all_orders(second):
    first = np.array([10, 20, 20, 30, 50, 70])
    found = rank_correlation(first, second)
    rho = stats.spearmanr(first, second)[0]
    others = [stats.spearmanr(first, order)[0] for order in permutations(second)]
    share = np.mean(np.abs(others) >= abs(rho) - 1e-12)
    assert found.rho == pytest.approx(rho)
    assert found.p == pytest.approx(share)


def test_of_many_pairs_orders_are_drawn_always_the_same():
    x = np.arange(20.0)
    y = x + np.random.default_rng(0).normal(0, 9, 20)
    found = rank_correlation(x, y)
    assert found.p == pytest.approx(stats.spearmanr(x, y)[1], abs=5e-3)
    assert found == rank_correlation(x, y)


def test_undefined_values_are_left_out():
    found = rank_correlation([1, 2, np.nan, 4, 5], [1, 2, 3, np.nan, 7])
    assert (found.n, found.rho) == (3, pytest.approx(1))
    for constant in ([1, 1, 1], [np.nan, np.nan, 1]):
        assert np.isnan(rank_correlation([1, 2, 3], constant).p)
    with pytest.raises(ValueError, match=r"equal length, got shapes \(2,\), \(3,\)"):
        rank_correlation([1, 2], [1, 2, 3])
