"""A job: what it runs, what is left of it, and where it is run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from lotus.runs import RunFolder


class JobFailed(ValueError):
    """Jobs did not come to their end."""


class Job(Protocol):
    """Commands that work in one run folder, and that go on where they were stopped."""

    @property
    def name(self) -> str:
        """What tells the job from the others that run with it."""

    @property
    def folder(self) -> Path:
        """The run folder."""

    @property
    def is_finished(self) -> bool:
        """Whether nothing is left to run."""

    def commands(self) -> list[list[str]]:
        """What is left to run, in order, as arguments of `lotus`."""


class Engine(Protocol):
    """Where jobs run."""

    def run(
        self,
        jobs: Sequence[Job],
        notify: Callable[[str], None] = print,
        on_end: Callable[[Job], None] = lambda job: None,
    ) -> None:
        """Bring every job to its end; finished ones are not run again.

        Args:
            jobs: What to run.
            notify: Gets a line when a job starts, goes on and ends.
            on_end: Gets every job that came to its end, now or earlier. What it raises stops the
                others, as Ctrl-C would.

        Raises:
            JobFailed: After all others were run, if jobs failed; names each and its reason.
        """


@dataclass(frozen=True)
class TrainingJob:
    """`lotus fit`, then `lotus test`, in a run folder ``<runs>/<experiment>/<run>``.

    Attributes:
        runs: Folder of all runs.
        experiment: Name of the experiment.
        run: Name of the run.
        arguments: Further arguments of `lotus fit`.
    """

    runs: Path
    experiment: str
    run: str
    arguments: tuple[str, ...]

    @property
    def name(self) -> str:
        """Experiment and run, as the folds of several methods run together."""
        return f"{self.experiment}/{self.run}"

    @property
    def folder(self) -> Path:
        """The run folder."""
        return self.runs / self.experiment / self.run

    @property
    def is_finished(self) -> bool:
        """Whether the test images are scored; their table appears whole and last."""
        return RunFolder(self.folder).scores.is_file()

    def commands(self) -> list[list[str]]:
        """What of the job is left to run, as arguments of `lotus`.

        A training goes on from its last checkpoint. One that came to its end goes through `fit`
        again, which finds nothing left to train.
        """
        if self.is_finished:
            return []
        fit = fit_command(self.runs, self.experiment, self.run, self.arguments)
        return [fit, ["test", "--config", str(RunFolder(self.folder).config)]]


def fit_command(runs: Path, experiment: str, run: str, arguments: Sequence[str]) -> list[str]:
    """`lotus fit` in ``<runs>/<experiment>/<run>``, from its last checkpoint where it has one.

    Args:
        runs: Folder of all runs.
        experiment: Name of the experiment.
        run: Name of the run.
        arguments: Further arguments of `lotus fit`.

    Returns:
        Arguments of `lotus`.
    """
    fit = ["fit", *arguments, "--runs", str(runs), "--experiment", experiment, "--run", run]
    if RunFolder(runs / experiment / run).last.is_file():
        fit += ["--ckpt_path", "last"]
    return fit


def refuse_failures(jobs: Sequence[Job], reasons: Sequence[str | None]) -> None:
    """Say which jobs failed, and why.

    Args:
        jobs: What was run.
        reasons: Of each job, why it failed; None if it did not.

    Raises:
        JobFailed: If one failed.
    """
    failed = [f"{job.folder}: {why}" for job, why in zip(jobs, reasons, strict=True) if why]
    if failed:
        raise JobFailed(f"{len(failed)} of {len(jobs)} jobs failed: {'; '.join(failed)}")
