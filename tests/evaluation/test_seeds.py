"""Scores of several seeds come into one table, and are compared seed by seed."""

import pandas as pd
import pytest
from scipy import stats

from lotus.evaluation.comparison import compare_methods
from lotus.evaluation.seeds import score_seeds
from lotus.runs import RunFolder
from lotus.runs.scores import read_score_table, read_scores, write_scores


def scored(run, dice, names=("a", "b")):
    """A run whose images have these Dice coefficients."""
    images = pd.DataFrame({"name": names, "n_true": 1.0, "dice": dice, "undefined": [0.0, 1.0]})
    means = {"name": "mean", "n_true": 1.0, "dice": images["dice"].mean(), "undefined": 1.0}
    table = pd.concat([images, pd.DataFrame([means])]).assign(patient=["P1", "P2", ""])
    write_scores(table, run.scores)
    return run


@pytest.fixture
def method(tmp_path):
    def of(name, **dice):
        folder = tmp_path / name
        seeds = {int(seed[1:]): values for seed, values in dice.items()}
        runs = {s: scored(RunFolder(folder).seed(s), values) for s, values in seeds.items()}
        assert score_seeds(runs, folder) == 2 * len(runs)
        return RunFolder(folder)

    return of


def test_one_row_per_image_and_seed_and_means_by_hand(method):
    run = method("ours", s1=(0.2, 0.4), s7=(0.6, 0.9))
    table = read_score_table(run.scores)
    assert table["seed"].iloc[:-1].tolist() == [1, 1, 7, 7]
    assert table["dice"].tolist() == pytest.approx([0.2, 0.4, 0.6, 0.9, 0.525])
    assert table["undefined"].iloc[-1] == 2
    assert list(read_scores(run.scores).index) == [
        *("a (seed 1)", "b (seed 1)", "a (seed 7)", "b (seed 7)"),
    ]
    seeds = pd.read_csv(run.seed_scores).set_index("seed")["dice"]
    assert seeds.index.tolist() == ["1", "7", "mean", "sd"]
    # SD of 0.3 and 0.75 with n - 1
    assert seeds.tolist() == pytest.approx([0.3, 0.75, 0.525, 0.45 / 2**0.5])


def test_methods_are_paired_by_seed(method):
    ours = method("ours", s1=(0.2, 0.4), s2=(0.6, 0.9), s3=(0.5, 0.5))
    theirs = method("theirs", s1=(0.1, 0.4), s2=(0.6, 0.8), s3=(0.2, 0.4))
    tables = {name: read_scores(run.scores) for name, run in (("ours", ours), ("theirs", theirs))}
    found = compare_methods(tables, "theirs", ["dice"], unit="seed")
    assert found.n == 3
    cell = found.cells["ours"]["dice"]
    assert cell.mean == pytest.approx((0.3 + 0.75 + 0.5) / 3)
    assert cell.test.p_t == pytest.approx(stats.ttest_rel([0.3, 0.75, 0.5], [0.25, 0.7, 0.3])[1])


def test_other_images_of_a_seed_are_named(tmp_path):
    runs = {
        1: scored(RunFolder(tmp_path).seed(1), (0.1, 0.2)),
        2: scored(RunFolder(tmp_path).seed(2), (0.1, 0.2), ("a", "c")),
    }
    with pytest.raises(ValueError, match=r"image b was tested with seed 1 and not with seed 2"):
        score_seeds(runs, tmp_path)


def test_a_table_without_seeds_has_no_such_unit(tmp_path):
    table = read_scores(scored(RunFolder(tmp_path), (0.1, 0.2)).scores)
    with pytest.raises(ValueError, match="ours has no seeds"):
        compare_methods({"ours": table}, "ours", ["dice"], unit="seed")
