"""Search parameters of a configuration by a sweep file in the schema of W&B."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path

from lotus.commands.engine_arguments import add_engine_arguments, engine_of
from lotus.runs import RunFolder

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
    from lotus.studies.parameter_search import search
    from lotus.sweeps import read_sweep

    if arguments.count is not None and arguments.count < 1:
        raise ValueError(f"found --count {arguments.count}; expected at least 1")
    sweep = read_sweep(arguments.sweep)
    folder = arguments.runs / arguments.experiment / arguments.run
    engine = engine_of(arguments)
    trials, best = search(sweep, engine, folder, fit_arguments, arguments.count, arguments.seed)
    epoch, value = best.best(sweep) or (0, float("nan"))
    print(f"{len(trials)} trials: {RunFolder(folder).trial_table}")
    print(f"best: {best.name}, {sweep.metric} {value:.4g} at epoch {epoch}")
    print(shlex.join(["lotus", "fit", *best.fit_arguments]))
