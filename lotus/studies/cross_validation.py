"""The folds of one configuration: planned, run as jobs, gathered and scored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from data_modules.folds import (
    Folds,
    load_folds,
    make_folds,
    pairs_of,
    with_records,
    write_folds,
)
from data_modules.manifest import Record
from data_modules.splits import ANNOTATED, SplitNeeds, Splits, write_splits
from lotus.engines import TrainingJob
from lotus.engines.job_commands import available_cores
from lotus.evaluation.classified_runs import gather_classified_folds
from lotus.evaluation.crossval import gather_folds, have_objects, score_folds, score_their_own
from lotus.runs import RunFolder
from lotus.studies.numbered import FoldCount, numbered
from lotus.training.configuration import read_configuration
from lotus.training.same_configuration import refuse_another_configuration


@dataclass(frozen=True)
class CrossValidation:
    """The folds of one configuration.

    Attributes:
        folder: Holds the splits, a run folder per fold and, once scored, the out-of-fold
            predictions and their scores.
        folds: Who trains, validates and tests in each fold.
        jobs: The training of each fold.
        tested: The images that each fold tests.
    """

    folder: Path
    folds: Folds
    jobs: tuple[TrainingJob, ...]
    tested: tuple[tuple[Record, ...], ...]

    @classmethod
    def plan(
        cls,
        folder: Path,
        fit_arguments: Sequence[str],
        n_folds: FoldCount,
        fold_seed: int,
        *,
        like: Folds | None = None,
        every_group: bool = False,
        inputs: Sequence[str] = (),
        tested: bool = True,
    ) -> CrossValidation:
        """Make the folds, or take those that were made before.

        Nothing is trained and no image is read, but all folds are known to have what they need.

        Args:
            folder: Of the splits, the runs and the out-of-fold scores.
            fit_arguments: Of `lotus fit`; ``{fold}`` is the number of the fold.
            n_folds: Number of folds, or ``pairs``.
            fold_seed: Seed of the folds.
            like: Folds of the same patients to take instead of new ones.
            every_group: Whether validation and test sets of new folds have every group, also where
                the data themselves do not ask for it. Pairs always do.
            inputs: Files that a fold starts from or learns from, with ``{fold}``.
            tested: Whether the folds score their test images.

        Raises:
            ValueError: The configuration cannot be used, other folds are there or folds of another
                configuration, or a fold could not train, validate or test.
        """
        first: Any = read_configuration(numbered(fit_arguments, "fold", 0)).data
        needs = replace(first.needs, every_group=True) if every_group else first.needs
        if n_folds == "pairs":
            needs = replace(needs, every_group=True)
            n_folds = pairs_of(first.records, needs)
        modules = [first, *_other_data(first, fit_arguments, n_folds)]
        folds = folds_in(folder, first.records, n_folds, fold_seed, like, needs=needs)
        # What makes the data of every fold makes other records of the same patients.
        whole = folds if like is None else like
        own = [folds if data is first else with_records(whole, data.records) for data in modules]
        splits = [of.splits[number] for number, of in enumerate(own)]
        _check_folds(modules, splits)
        jobs = []
        for number in range(n_folds):
            split = write_split_file(folder, own[number], number)
            arguments = (*numbered(fit_arguments, "fold", number), "--splits", str(split))
            name = RunFolder(folder).fold(number).path.name
            read = tuple(map(Path, numbered(inputs, "fold", number)))
            jobs.append(TrainingJob(folder.parent, folder.name, name, arguments, tested, read))
        # All folds come from one command, so that one that was begun tells of all.
        begun = next((job for job in jobs if RunFolder(job.folder).config.is_file()), jobs[0])
        refuse_another_configuration(begun.folder, begun.arguments)
        images = tuple(
            tuple(data.select("test", split)) for data, split in zip(modules, splits, strict=True)
        )
        return cls(folder, folds, tuple(jobs), images if tested else ())

    def score(self) -> int:
        """Gather and score the out-of-fold predictions, or classified patches, of finished folds.

        Returns:
            Number of images; 0 where none are tested.

        Raises:
            ValueError: A fold did not predict or classify just the images it tests.
        """
        if not self.tested:
            return 0
        if any(RunFolder(job.folder).classified.is_file() for job in self.jobs):
            slices = {
                job.folder: {record.name: record.patient for record in records}
                for job, records in zip(self.jobs, self.tested, strict=True)
            }
            gather_classified_folds(slices, self.folder)
            return sum(map(len, self.tested))
        expected = {
            job.folder: {record.name for record in records}
            for job, records in zip(self.jobs, self.tested, strict=True)
        }
        fold_of = gather_folds(expected, self.folder)
        patients = {record.name: record.patient for records in self.tested for record in records}
        if have_objects([*expected]):
            score_folds(self.folder, fold_of, patients, available_cores())
        else:
            score_their_own(self.folder, [*expected], fold_of, patients)
        return len(fold_of)


def experiment_of(arguments: Sequence[str]) -> str:
    """Name of the experiment that a configuration gives itself."""
    return str(read_configuration(numbered(arguments, "fold", 0)).keys["experiment"])


def _other_data(first: Any, fit_arguments: Sequence[str], n_folds: int) -> list[Any]:
    """The data modules of the other folds; the first again where all have the same data."""
    if not _data_differ(fit_arguments):
        return [first] * (n_folds - 1)
    others = (numbered(fit_arguments, "fold", number) for number in range(1, n_folds))
    return [read_configuration(arguments).data for arguments in others]


def _data_differ(fit_arguments: Sequence[str]) -> bool:
    """Whether the number of the fold stands in more than arguments of the model."""
    key = ""
    for text in fit_arguments:
        key = text if text.startswith("--") else key
        if "{fold}" in text and not key.startswith("--model."):
            return True
    return False


def _check_folds(modules: Sequence[Any], splits: Sequence[Splits]) -> None:
    """Say at once what would stop folds, rather than when they are reached."""
    problems = []
    for number, (data, split) in enumerate(zip(modules, splits, strict=True)):
        try:
            data.check_splits(split)
        except ValueError as error:
            problems.append(f"fold {number}: {error}")
    if problems:
        more = f" ({len(problems) - 1} more folds cannot be used)" if problems[1:] else ""
        raise ValueError(problems[0] + more)


def folds_in(
    folder: Path,
    records: Sequence[Record],
    n_folds: int,
    seed: int,
    like: Folds | None = None,
    *,
    needs: SplitNeeds = ANNOTATED,
) -> Folds:
    """The folds that were made in a folder before, or new ones.

    Args:
        folder: Of a cross-validation.
        records: All records of its data.
        n_folds: Number of folds.
        seed: Seed of the folds.
        like: Folds of the same patients to take instead of new ones.
        needs: What the sets of new ones are to have.

    Raises:
        ValueError: There are folds of another number or seed, or of other records.
    """
    path = RunFolder(folder).splits
    if path.is_file():
        folds = load_folds(path, records)
        if (len(folds.splits), folds.seed) != (n_folds, seed):
            raise ValueError(
                f"{path} has {len(folds.splits)} folds of seed {folds.seed}; give --folds and "
                "--fold-seed as they were, or another --run"
            )
        return folds
    if like is None:
        folds = make_folds(records, n_folds, seed=seed, needs=needs)
    else:
        folds = with_records(like, records)
    write_folds(path, folds)
    return folds


def write_split_file(folder: Path, folds: Folds, number: int) -> Path:
    """The split of one fold as a file that `lotus fit` takes."""
    path = RunFolder(folder).split_of_fold(number)
    write_splits(path, folds.splits[number])
    return path
