"""Cross-validate a configuration: every fold, out-of-fold predictions and their scores."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lotus.commands.engine_arguments import add_engine_arguments, engine_of

if TYPE_CHECKING:
    from data_modules.folds import Folds

USAGE = """`{fold}` in an argument stands for the number of the fold, for example
--model.init_args.teacher 'runs/teacher/cv/fold{fold}/checkpoints/best.ckpt'. Further arguments are
those of `lotus fit`."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line; `lotus fit` takes what is not declared here.

    Args:
        parser: Parser of `lotus crossval`.
    """
    parser.epilog = USAGE
    parser.add_argument("--folds", type=int, default=5, help="number of folds (%(default)s)")
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="folder of all runs")
    parser.add_argument("--experiment", default="crossval", help="its name (%(default)s)")
    parser.add_argument("--run", required=True, help="its name; the folds are folders inside")
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
    from lotus.commands.training import data_module
    from lotus.engines import TrainingJob
    from lotus.evaluation.crossval import gather_folds, score_folds

    engine = engine_of(arguments)
    data: Any = data_module(_of_fold(fit_arguments, 0))
    folder = arguments.runs / arguments.experiment / arguments.run
    folds = _folds(folder / "splits.json", data.records, arguments.folds, arguments.fold_seed)
    jobs = []
    for number in range(len(folds.splits)):
        splits = ("--splits", str(_split_file(folder, folds, number)))
        jobs.append(
            TrainingJob(
                arguments.runs / arguments.experiment,
                arguments.run,
                f"fold{number}",
                (*_of_fold(fit_arguments, number), *splits),
            )
        )
    engine.run(jobs)
    tested = [data.test_records(split) for split in folds.splits]
    fold_of = gather_folds(
        {
            job.folder: {record.name for record in records}
            for job, records in zip(jobs, tested, strict=True)
        },
        folder,
    )
    patients = {record.name: record.patient for records in tested for record in records}
    score_folds(folder, fold_of, patients)
    print(f"{len(fold_of)} images in {len(jobs)} folds: {folder / 'scores.csv'}")


def _of_fold(arguments: list[str], number: int) -> list[str]:
    return [argument.replace("{fold}", str(number)) for argument in arguments]


def _folds(path: Path, records: Any, n_folds: int, seed: int) -> Folds:
    """The folds that were made before, or new ones."""
    from data_modules.folds import load_folds, make_folds, write_folds

    if path.is_file():
        folds = load_folds(path, records)
        if (len(folds.splits), folds.seed) != (n_folds, seed):
            raise ValueError(
                f"{path} has {len(folds.splits)} folds of seed {folds.seed}; give --folds and "
                "--fold-seed as they were, or another --run"
            )
        return folds
    folds = make_folds(records, n_folds, seed)
    write_folds(path, folds)
    return folds


def _split_file(folder: Path, folds: Folds, number: int) -> Path:
    """The split of one fold as a file that `lotus fit` takes."""
    from data_modules.splits import write_splits

    path = folder / "splits" / f"fold{number}.json"
    write_splits(path, folds.splits[number])
    return path
