"""The trials of a sweep: checked, run on an engine, and written into one table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from lotus.engines import Engine
from lotus.runs import RunFolder
from lotus.sweeps import Sweep, Trial
from lotus.sweeps.results import write_results
from lotus.sweeps.running import runner_of
from lotus.sweeps.sources import BayesTrials, ListedTrials, TrialSource, trials_in
from lotus.sweeps.trial import Parameters, as_arguments
from lotus.training.configuration import read_configuration
from lotus.training.same_configuration import refuse_another_configuration

_OF_THE_SWEEP = {"runs", "experiment", "run"}


def search(
    sweep: Sweep,
    engine: Engine,
    folder: Path,
    fit_arguments: list[str],
    count: int | None,
    seed: int,
) -> tuple[Sequence[Trial], Trial]:
    """Run what is left of the trials, and write the table of all of them.

    Args:
        sweep: What is searched.
        engine: Where trials run.
        folder: Of the sweep, with a run folder per trial.
        fit_arguments: Of `lotus fit`, the same for every trial.
        count: Number of trials; None for the sweep's own.
        seed: Of the search.

    Returns:
        All trials, and the best of them.

    Raises:
        ValueError: The sweep or the configuration cannot be used, or no trial was validated.
    """
    run_trials = runner_of(sweep, engine)
    check_keys(sweep, fit_arguments)
    _refuse_other_trials(folder, fit_arguments)
    source = _source(sweep, folder, fit_arguments, count, seed)
    try:
        run_trials(source, folder)
    finally:
        table = RunFolder(folder).trial_table
        best = write_results(sweep, source.trials, table) if source.trials else None
    if best is None:
        raise ValueError(f"no trial has a {sweep.metric}; see {folder}")
    return source.trials, best


def check_keys(sweep: Sweep, fit_arguments: list[str]) -> None:
    """Parse the configuration with the sweep's keys and listed values; nothing is trained.

    Args:
        sweep: Whose parameters are checked.
        fit_arguments: Of `lotus fit`, the same for every trial.

    Raises:
        ValueError: The configuration itself cannot be used, or a key or value does not fit it.
    """
    for key in sorted(_OF_THE_SWEEP & sweep.parameters.keys()):
        raise ValueError(f"sweep parameter {key}: the sweep itself names the folders of its trials")
    read_configuration(fit_arguments)
    random = np.random.default_rng(0)
    first: Parameters = {}
    for key, distribution in sweep.parameters.items():
        values = distribution.of.get("values") or [distribution.draw(random)]
        for value in reversed(values):
            try:
                read_configuration([*fit_arguments, *as_arguments({**first, key: value})])
            except ValueError as error:
                raise ValueError(f"sweep parameter {key}, {value}: {error}") from error
        first[key] = value


def _refuse_other_trials(folder: Path, fit_arguments: list[str]) -> None:
    """Trials of one sweep differ in its parameters alone, so that the first one tells."""
    for trial in trials_in(folder, fit_arguments)[:1]:
        refuse_another_configuration(trial.folder, trial.fit_arguments)


def _source(
    sweep: Sweep, folder: Path, fit_arguments: list[str], count: int | None, seed: int
) -> TrialSource:
    source = BayesTrials if sweep.method == "bayes" else ListedTrials
    return source(sweep, folder, fit_arguments, count=count or sweep.run_cap, seed=seed)
