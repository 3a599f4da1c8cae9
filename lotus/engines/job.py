"""A job: what it runs, what is left of it, and where it is run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from lotus.engines.inputs import fingerprint, fingerprints, read_begun, write_begun
from lotus.runs import RunFolder
from lotus.runs.invocations import status_of_last_fit


class JobFailed(ValueError):
    """Jobs did not come to their end."""


class Job(Protocol):
    """Commands that work in one run folder, and that go on where they were stopped.

    What "finished" means a job says itself: a training may end with the scores of its test, a
    pretraining has none, and what made masks is to be run again once its network has changed.
    """

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

    def begin(self) -> None:
        """Make ready before the first command, with the folder to itself.

        Raises:
            JobFailed: It cannot be run.
        """

    def end(self) -> None:
        """Take note that the last command ended well.

        Raises:
            JobFailed: What the commands should have left is not there.
        """


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
    """`lotus fit`, then perhaps `lotus test`, in a run folder ``<runs>/<experiment>/<run>``.

    Attributes:
        runs: Folder of all runs.
        experiment: Name of the experiment.
        run: Name of the run.
        arguments: Further arguments of `lotus fit`.
        tested: Whether the test images are scored after the training; a pretraining has none.
        inputs: Files of earlier jobs that it starts from or learns from.
    """

    runs: Path
    experiment: str
    run: str
    arguments: tuple[str, ...]
    tested: bool = True
    inputs: tuple[Path, ...] = ()

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
        """Whether it was scored, or trained where it is not tested, from what its inputs are now.

        The table of scores appears whole and last.
        """
        is_done = RunFolder(self.folder).scores.is_file() if self.tested else self._is_trained
        return is_done and self._outdated() is None

    def commands(self) -> list[list[str]]:
        """What of the job is left to run, as arguments of `lotus`.

        A training goes on from its last checkpoint; one that came to its end is left alone.
        """
        if self.is_finished:
            return []
        fit = fit_command(self.runs, self.experiment, self.run, self.arguments)
        test = ["test", "--config", str(RunFolder(self.folder).config)]
        return [*([] if self._is_trained else [fit]), *([test] if self.tested else [])]

    def begin(self) -> None:
        """Write down the inputs that it is begun with.

        Raises:
            JobFailed: It was begun with another content of an input, which weights in the folder
                already know.
        """
        if outdated := self._outdated():
            raise JobFailed(
                f"{self.folder} was trained with another {outdated}; remove the folder to train it "
                "again"
            )
        if self.inputs:
            record = RunFolder(self.folder).begun
            write_begun(record, self.arguments, fingerprints(self.inputs), finished=False)

    def end(self) -> None:
        """The run folder says itself how the training ended."""

    @property
    def _is_trained(self) -> bool:
        return status_of_last_fit(RunFolder(self.folder).environment) == "finished"

    def _outdated(self) -> str | None:
        """An input that has changed since the training was begun."""
        run = RunFolder(self.folder)
        begun = read_begun(run.begun) if self.inputs and run.config.is_file() else None
        if begun is None:
            return None
        return next(
            (
                str(path)
                for path in self.inputs
                if begun["inputs"].get(str(path), fingerprint(path)) != fingerprint(path)
            ),
            None,
        )


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
    """Say which jobs failed, and why; the same reason once.

    Args:
        jobs: What was run.
        reasons: Of each job, why it failed; None if it did not.

    Raises:
        JobFailed: If one failed.
    """
    folders: dict[str, list[str]] = {}
    for job, why in zip(jobs, reasons, strict=True):
        if why:
            folders.setdefault(why, []).append(str(job.folder))
    if folders:
        failed = sum(map(len, folders.values()))
        said = "; ".join(f"{', '.join(names)}: {why}" for why, names in folders.items())
        raise JobFailed(f"{failed} of {len(jobs)} jobs failed: {said}")
