"""Trials: which come, which come again, and what is remembered of them."""

import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lotus.sweeps import Sweep, Trial
from lotus.sweeps.distributions import distribution_of
from lotus.sweeps.results import write_results
from lotus.sweeps.sources import BayesTrials, ListedTrials
from lotus.sweeps.tune import validations


def sweep_of(method, parameters, run_cap=None):
    distributions = {key: distribution_of(key, content) for key, content in parameters.items()}
    return Sweep(method, "val_dice", True, distributions, None, run_cap)


SPACE = {"a": {"min": 0.0, "max": 1.0}, "b": {"values": ["x", "y"]}, "c": {"min": 1, "max": 3}}


def finish(trial: Trial, *values: float) -> None:
    """What a training leaves behind."""
    rows = "".join(f"{epoch},{value}\n" for epoch, value in enumerate(values))
    (trial.folder / "metrics.csv").write_text(f"epoch,val_dice\n{rows}")
    entry = {"stage": "fit", "status": "finished"}
    (trial.folder / "environment.json").write_text(json.dumps({"invocations": [entry]}))


def everything_from(source) -> list[Trial]:
    return list(iter(source.next, None))


def test_a_grid_has_every_combination_once(tmp_path):
    sweep = sweep_of("grid", {key: SPACE[key] for key in "bc"} | {"d": {"value": 0.5}})
    found = [
        t.parameters for t in everything_from(ListedTrials(sweep, tmp_path, [], count=None, seed=0))
    ]
    assert found == [{"b": b, "c": c, "d": 0.5} for b in "xy" for c in (1, 2, 3)]
    assert len(ListedTrials(sweep, tmp_path, [], count=4, seed=0).trials) == 4
    with pytest.raises(ValueError, match="a has no list of values"):
        ListedTrials(sweep_of("grid", SPACE), tmp_path, [], count=None, seed=0)


def test_random_trials_depend_on_the_seed_alone(tmp_path):
    sweep = sweep_of("random", SPACE)
    few = ListedTrials(sweep, tmp_path / "one", [], count=3, seed=5).trials
    many = ListedTrials(sweep, tmp_path / "two", [], count=6, seed=5).trials
    other = ListedTrials(sweep, tmp_path / "three", [], count=3, seed=6).trials
    assert [t.parameters for t in few] == [t.parameters for t in many[:3]]
    assert [t.parameters for t in few] != [t.parameters for t in other]
    with pytest.raises(ValueError, match="give --count"):
        ListedTrials(sweep, tmp_path, [], count=None, seed=0)


def test_done_trials_do_not_come_again_and_others_must_be_the_same(tmp_path):
    sweep = sweep_of("random", SPACE)
    first, second, third = ListedTrials(sweep, tmp_path, [], count=3, seed=0).trials
    finish(first, 0.5)
    second.record(stopped=True)
    again = ListedTrials(sweep, tmp_path, [], count=3, seed=0)
    assert [trial.state for trial in again.trials] == ["finished", "stopped", "unfinished"]
    assert everything_from(again) == [third]
    with pytest.raises(ValueError, match=r"trial000 tried .* give the sweep and --seed as they"):
        ListedTrials(sweep, tmp_path, [], count=3, seed=1)


def test_a_metric_that_no_validation_logs_is_refused_after_the_first_training(tmp_path):
    trials = ListedTrials(sweep_of("random", SPACE), tmp_path, [], count=2, seed=0).trials
    trials[0].refuse_without("val_dise")  # not yet trained
    finish(trials[0], float("nan"))
    trials[0].refuse_without("val_dice")  # undefined is not unknown
    message = "trial000 finished without a val_dise; its validations have: val_dice$"
    with pytest.raises(ValueError, match=message):
        trials[0].refuse_without("val_dise")
    finish(trials[1])
    (trials[1].folder / "metrics.csv").write_text("epoch,train_loss\n0,1\n")
    with pytest.raises(ValueError, match="nothing, as there was none"):
        trials[1].refuse_without("val_dice")


def test_iterations_are_validations_not_epochs(tmp_path):
    # Validated every third epoch, with one epoch that ran twice and one row of the training.
    rows = "2,0.5\n3,\n5,0.25\n5,0.75\n8,0.625\n"
    (tmp_path / "metrics.csv").write_text(f"epoch,val_dice\n{rows}")
    assert validations(tmp_path, "val_dice") == [(1, 0.5), (2, 0.75), (3, 0.625)]


def test_a_bayes_search_without_optuna_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    message = r"^found no package optuna; install 'lotus-bone\[cluster\]'$"
    with pytest.raises(ValueError, match=message):
        BayesTrials(sweep_of("bayes", SPACE), tmp_path, [], count=3, seed=0)


def test_parameters_become_arguments_of_fit(tmp_path):
    given = {"a": 1e-05, "b": "x.Y", "c": [1, 2], "d": True, "e": None}
    trial = Trial(tmp_path / "runs/experiment/run", 2, ("--config", "c.yaml"), given)
    fit = ["--a=1e-05", "--b=x.Y", "--c=[1, 2]", "--d=true", "--e=null"]
    place = ["--runs", str(tmp_path / "runs/experiment"), "--experiment", "run", "--run"]
    assert trial.commands() == [["fit", "--config", "c.yaml", *fit, *place, "trial002"]]
    assert trial.folder == tmp_path / "runs/experiment/run/trial002"


def test_the_table_has_the_best_validation_of_every_trial(tmp_path):
    sweep = sweep_of("random", SPACE)
    trials = ListedTrials(sweep, tmp_path, [], count=3, seed=0).trials
    finish(trials[0], 0.5, float("nan"), 0.7, 0.6)
    finish(trials[1], 0.9, 0.2)
    best = write_results(sweep, trials, tmp_path / "sweep.csv")
    table = pd.read_csv(tmp_path / "sweep.csv")
    assert list(table.columns) == ["trial", "a", "b", "c", "val_dice", "epoch", "state"]
    np.testing.assert_array_equal(table["val_dice"], [0.7, 0.9, np.nan])
    np.testing.assert_array_equal(table["epoch"], [2, 0, np.nan])
    assert list(table["state"]) == ["finished", "finished", "unfinished"]
    assert best == trials[1]
    fewest = Sweep("random", "val_dice", False, sweep.parameters, None, None)
    assert write_results(fewest, trials, tmp_path / "sweep.csv") == trials[1]
    assert write_results(sweep, trials[2:], tmp_path / "sweep.csv") is None


def search(source: BayesTrials, ends: int) -> None:
    """Let so many trials come to their end; the score is best at a = 0.3."""
    for _ in range(ends):
        trial = source.next()
        assert trial is not None
        trial.record()
        finish(trial, value := 1 - (trial.parameters["a"] - 0.3) ** 2)
        source.tell(trial, value)


def test_bayes_learns_and_goes_on_where_it_was_stopped(tmp_path):
    sweep = sweep_of("bayes", {"a": {"min": 0.0, "max": 10.0}})
    search(BayesTrials(sweep, tmp_path, [], count=40, seed=0), 25)
    # One more was begun, and has no result yet.
    begun = BayesTrials(sweep, tmp_path, [], count=40, seed=0).next()
    assert begun is not None
    assert begun.number == 25
    begun.record()

    again = BayesTrials(sweep, tmp_path, [], count=40, seed=0)
    assert len(again.trials) == 26
    first = again.next()
    assert first == begun
    finish(first, 0.0)
    again.tell(first, None)
    search(again, 14)
    assert again.next() is None
    assert [trial.number for trial in again.trials] == list(range(40))
    tried = np.array([trial.parameters["a"] for trial in again.trials])
    assert np.abs(tried[-10:] - 0.3).mean() < np.abs(tried[:10] - 0.3).mean() / 2


def test_what_bayes_does_not_know_is_refused(tmp_path):
    with pytest.raises(ValueError, match="give --count"):
        BayesTrials(sweep_of("bayes", SPACE), tmp_path, [], count=None, seed=0)
    normal = sweep_of("bayes", {"a": {"distribution": "normal"}})
    with pytest.raises(ValueError, match="a has the distribution normal"):
        BayesTrials(normal, tmp_path, [], count=3, seed=0)
    known = [*SPACE.values(), {"distribution": "log_uniform_values", "min": 0.1, "max": 1}]
    known += [{"value": 3}, {"distribution": "q_uniform", "min": 0.0, "max": 1.0, "q": 0.25}]
    sweep = sweep_of("bayes", {f"k{number}": content for number, content in enumerate(known)})
    trial: Trial | None = BayesTrials(sweep, Path(tmp_path), [], count=3, seed=0).next()
    assert trial is not None
    assert trial.parameters["k4"] == 3
    assert trial.parameters["k5"] in (0, 0.25, 0.5, 0.75, 1)


def test_a_trial_is_as_good_as_the_last_phase_of_its_training(tmp_path):
    """Its best checkpoint is one of that phase, too."""
    (trial,) = ListedTrials(sweep_of("random", SPACE), tmp_path, [], count=1, seed=0).trials
    finish(trial)
    rows = "0,0.9,\n0,,1\n1,0.5,\n1,,2\n2,0.6,\n2,,2\n"
    (trial.folder / "metrics.csv").write_text(f"epoch,val_dice,phase\n{rows}")
    assert trial.best(sweep_of("random", SPACE)) == (2, 0.6)
