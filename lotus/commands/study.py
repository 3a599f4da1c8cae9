"""Run the stages of a study in order, and compare its methods on the same folds in one table."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from lotus.commands.crossval import add_fold_arguments
from lotus.commands.engine_arguments import engine_of

USAGE = """Files of studies are in experiments/studies. Further arguments are those of `lotus fit`,
for every method."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line; `lotus fit` takes what is not declared here.

    Args:
        parser: Parser of `lotus study`.
    """
    parser.epilog = USAGE
    parser.add_argument("study", type=Path, help="YAML file with the methods")
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="folder of all runs")
    parser.add_argument("--run", required=True, help="its name; the methods are folders inside")
    parser.add_argument(
        "--set",
        nargs="+",
        default=[],
        metavar="NAME=VALUE",
        help="variables of the study, such as data=data/mine/manifest.csv",
    )
    parser.add_argument(
        "--seeds",
        nargs="+",
        type=int,
        metavar="SEED",
        help="repeat by these seeds on the split of the data, instead of by folds",
    )
    add_fold_arguments(parser)


def run(arguments: argparse.Namespace, fit_arguments: list[str]) -> None:
    """Run what is left of all stages, score the methods and write their table.

    Args:
        arguments: Of :func:`add_arguments`.
        fit_arguments: Of `lotus fit`, the same for every fold of every method.

    Raises:
        ValueError: The study, a configuration or a fold cannot be used, or a fold failed. Nothing
            has been trained if a configuration or a fold cannot be used.
    """
    from lotus.studies.repeats import FoldRepeats, Repeats, SeedRepeats
    from lotus.studies.running import StudyRun
    from lotus.studies.study import read_study

    repeats: Repeats = FoldRepeats(arguments.folds, arguments.fold_seed)
    if arguments.seeds:
        repeats = SeedRepeats(arguments.seeds)
    study = read_study(arguments.study, dict(map(_variable, arguments.set)), repeats.by)
    folder = arguments.runs / study.name / arguments.run
    StudyRun(study, folder, fit_arguments, repeats).run(engine_of(arguments))


def _variable(text: str) -> tuple[str, Any]:
    import yaml

    name, separator, value = text.partition("=")
    if not separator:
        raise ValueError(f"--set has {text!r}; expected NAME=VALUE")
    try:
        return name, yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise ValueError(f"--set has {text!r}, whose value is not YAML") from error
