"""How a study repeats what is not run once: by folds of the patients, or by seeds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from data_modules.folds import Folds
from lotus.engines import Job
from lotus.evaluation.choices import ComparisonUnit
from lotus.studies.cross_validation import CrossValidation, write_split_file
from lotus.studies.numbered import FoldCount, RepeatedBy
from lotus.studies.seed_runs import SeedRuns


class Planned(Protocol):
    """A stage that is ready to be run."""

    @property
    def jobs(self) -> Sequence[Job]:
        """What is to be run."""

    def score(self) -> int:
        """Score what the jobs have tested; the number of scored images."""


class Repeats(Protocol):
    """What tells the repetitions of a study apart."""

    by: RepeatedBy
    unit: ComparisonUnit

    @property
    def first(self) -> int:
        """Number of the first repetition."""

    @property
    def numbers(self) -> Sequence[int]:
        """Of the repetitions.

        Raises:
            ValueError: They are not known before a training is planned.
        """

    def heed(self, data: Any) -> None:
        """Take note of what a training needs of the splits; before any stage is planned.

        Args:
            data: Its data module.
        """

    def plan(
        self,
        folder: Path,
        fit_arguments: Sequence[str],
        *,
        inputs: Sequence[str],
        tested: bool,
        made_data: bool,
    ) -> Planned:
        """The trainings of one stage.

        Args:
            folder: Of the stage, with a folder per repetition.
            fit_arguments: Of `lotus fit`, with the placeholder of the repetition.
            inputs: Files that a training starts from or learns from, likewise.
            tested: Whether test images are scored.
            made_data: Whether another stage has made its data.

        Raises:
            ValueError: The configuration or the data cannot be used.
        """

    def split_file(self, folder: Path, number: int) -> Path:
        """The file with the split of a repetition, for a command that is no training.

        Raises:
            ValueError: There is none.
        """


@dataclass
class FoldRepeats:
    """Every patient is tested in one fold, and trained on or chosen by in the others.

    Attributes:
        n_folds: Number of folds, or ``pairs``.
        fold_seed: Seed of the folds.
    """

    n_folds: FoldCount
    fold_seed: int
    by: RepeatedBy = field(default="fold", init=False)
    unit: ComparisonUnit = field(default="patient", init=False)
    first: int = field(default=0, init=False)
    _first: Folds | None = field(default=None, init=False)
    _every_group: bool = field(default=False, init=False)

    @property
    def numbers(self) -> Sequence[int]:
        """From 0."""
        if self.n_folds == "pairs":
            if self._first is None:
                raise ValueError(
                    "how many pairs of patients there are is not known before a training; give "
                    "--folds a number"
                )
            return range(len(self._first.splits))
        return range(self.n_folds)

    def heed(self, data: Any) -> None:
        """All trainings share the folds, so that what one needs all of them get."""
        self._every_group |= data.needs.every_group

    def plan(
        self,
        folder: Path,
        fit_arguments: Sequence[str],
        *,
        inputs: Sequence[str],
        tested: bool,
        made_data: bool,
    ) -> CrossValidation:
        """The folds of one stage; data that were made are divided as those of the first stage."""
        planned = CrossValidation.plan(
            folder,
            fit_arguments,
            self.n_folds if self._first is None else len(self._first.splits),
            self.fold_seed,
            like=self._first if made_data else None,
            every_group=self._every_group,
            inputs=inputs,
            tested=tested,
        )
        if self._first is None:
            self._first = planned.folds
        return planned

    def split_file(self, folder: Path, number: int) -> Path:
        """The split of a fold of the first stage that trains."""
        if self._first is None:
            raise ValueError("no training with data of its own is run per fold, so none is split")
        return write_split_file(folder, self._first, number)


@dataclass
class SeedRepeats:
    """Every repetition has the split of the data, and a seed of its own.

    Attributes:
        seeds: The seeds.
    """

    seeds: Sequence[int]
    by: RepeatedBy = field(default="seed", init=False)
    unit: ComparisonUnit = field(default="seed", init=False)

    @property
    def first(self) -> int:
        """The first seed."""
        return self.seeds[0]

    @property
    def numbers(self) -> Sequence[int]:
        """The seeds."""
        return self.seeds

    def heed(self, data: Any) -> None:
        """The split is that of the data themselves."""

    def plan(
        self,
        folder: Path,
        fit_arguments: Sequence[str],
        *,
        inputs: Sequence[str],
        tested: bool,
        made_data: bool,
    ) -> SeedRuns:
        """One training per seed."""
        return SeedRuns.plan(folder, fit_arguments, self.seeds, inputs=inputs, tested=tested)

    def split_file(self, folder: Path, number: int) -> Path:
        """There is none."""
        raise ValueError("a study over seeds has no split files; {splits} is for folds")
