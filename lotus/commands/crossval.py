"""Cross-validate a configuration: every fold, out-of-fold predictions and their scores."""

from __future__ import annotations

import argparse
from pathlib import Path

from lotus.commands.engine_arguments import add_engine_arguments, engine_of
from lotus.runs import RunFolder
from lotus.studies.numbered import FoldCount

USAGE = """`{fold}` in an argument stands for the number of the fold, for example
--model.init_args.teacher 'runs/teacher/cv/fold{fold}/checkpoints/best.ckpt'. Further arguments are
those of `lotus fit`."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line; `lotus fit` takes what is not declared here.

    Args:
        parser: Parser of `lotus crossval`.
    """
    parser.epilog = USAGE
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="folder of all runs")
    parser.add_argument("--experiment", help="its name (default: that of the configuration)")
    parser.add_argument("--run", required=True, help="its name; the folds are folders inside")
    add_fold_arguments(parser)


def add_fold_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare how folds are made and run.

    Args:
        parser: Of a command that cross-validates.
    """
    parser.add_argument(
        "--folds",
        type=_fold_count,
        default=5,
        metavar="N|pairs",
        help="number of folds (%(default)s); `pairs`: as many as leave one patient of every group "
        "out at a time",
    )
    parser.add_argument("--fold-seed", type=int, default=0, help="seed of the folds (%(default)s)")
    add_engine_arguments(parser)


def run(arguments: argparse.Namespace, fit_arguments: list[str]) -> None:
    """Run what is left of the folds, then score all of them.

    Args:
        arguments: Of :func:`add_arguments`.
        fit_arguments: Of `lotus fit`, the same for every fold.

    Raises:
        ValueError: The configuration, the folds or a fold's run cannot be used, or a fold failed.
    """
    from lotus.studies.cross_validation import CrossValidation, experiment_of

    engine = engine_of(arguments)
    experiment = arguments.experiment or experiment_of(fit_arguments)
    folder = arguments.runs / experiment / arguments.run
    folds = CrossValidation.plan(folder, fit_arguments, arguments.folds, arguments.fold_seed)
    engine.run(folds.jobs)
    images = folds.score()
    print(f"{images} images in {len(folds.jobs)} folds: {RunFolder(folder).scores}")


def _fold_count(text: str) -> FoldCount:
    return "pairs" if text == "pairs" else int(text)
