"""Search parameters of a configuration by a sweep file in the schema of W&B."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lotus.commands.engine_arguments import add_engine_arguments, engine_of
from lotus.runs import RunFolder
from lotus.training.same_configuration import refuse_another_configuration

if TYPE_CHECKING:
    from lotus.sweeps import Sweep
    from lotus.sweeps.sources import TrialSource

_OF_THE_SWEEP = {"runs", "experiment", "run"}
USAGE = """Further arguments are those of `lotus fit`. Trials are judged on validation images; test
images are not looked at. method: bayes and early_terminate need --engine ray."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line; `lotus fit` takes what is not declared here.

    Args:
        parser: Parser of `lotus sweep`.
    """
    parser.epilog = USAGE
    parser.add_argument("--sweep", type=Path, required=True, help="what to search: a YAML file")
    parser.add_argument("--count", type=int, help="number of trials; by default run_cap")
    parser.add_argument("--seed", type=int, default=0, help="seed of the search (%(default)s)")
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="folder of all runs")
    parser.add_argument("--experiment", default="sweep", help="its name (%(default)s)")
    parser.add_argument("--run", required=True, help="its name; the trials are folders inside")
    add_engine_arguments(parser)


def run(arguments: argparse.Namespace, fit_arguments: list[str]) -> None:
    """Run what is left of the trials, then write their table and name the best one.

    Args:
        arguments: Of :func:`add_arguments`.
        fit_arguments: Of `lotus fit`, the same for every trial.

    Raises:
        ValueError: The sweep or the configuration cannot be used, or a trial failed.
    """
    from lotus.sweeps import read_sweep
    from lotus.sweeps.results import write_results
    from lotus.sweeps.running import runner_of

    if arguments.count is not None and arguments.count < 1:
        raise ValueError(f"found --count {arguments.count}; expected at least 1")
    sweep = read_sweep(arguments.sweep)
    run_trials = runner_of(sweep, engine_of(arguments))
    check_keys(sweep, fit_arguments)
    folder = arguments.runs / arguments.experiment / arguments.run
    _refuse_other_trials(folder, fit_arguments)
    source = _source(sweep, folder, fit_arguments, arguments.count, arguments.seed)
    try:
        run_trials(source, folder)
    finally:
        table = RunFolder(folder).trial_table
        best = write_results(sweep, source.trials, table) if source.trials else None
    if best is None:
        raise ValueError(f"no trial has a {sweep.metric}; see {folder}")
    epoch, value = best.best(sweep) or (0, float("nan"))
    print(f"{len(source.trials)} trials: {table}")
    print(f"best: {best.name}, {sweep.metric} {value:.4g} at epoch {epoch}")
    print(shlex.join(["lotus", "fit", *best.fit_arguments]))


def check_keys(sweep: Sweep, fit_arguments: list[str]) -> None:
    """Parse the configuration with the sweep's keys and listed values; nothing is trained.

    Args:
        sweep: Whose parameters are checked.
        fit_arguments: Of `lotus fit`, the same for every trial.

    Raises:
        ValueError: The configuration itself cannot be used, or a key or value does not fit it.
    """
    from lotus.sweeps.trial import Parameters, as_arguments
    from lotus.training.configuration import read_configuration

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
    from lotus.sweeps.sources import trials_in

    for trial in trials_in(folder, fit_arguments)[:1]:
        refuse_another_configuration(trial.folder, trial.fit_arguments)


def _source(
    sweep: Sweep, folder: Path, fit_arguments: list[str], count: int | None, seed: int
) -> TrialSource:
    from lotus.sweeps.sources import BayesTrials, ListedTrials

    source = BayesTrials if sweep.method == "bayes" else ListedTrials
    return source(sweep, folder, fit_arguments, count=count or sweep.run_cap, seed=seed)
