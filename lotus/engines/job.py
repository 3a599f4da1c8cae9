"""One training as a job: what it runs, what is left of it, and how it ends."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

LOG = "log.txt"


class JobFailed(ValueError):
    """Jobs did not come to their end."""


@dataclass(frozen=True)
class TrainingJob:
    """`lotus fit`, then `lotus test`, in a run folder ``<runs>/<experiment>/<name>``.

    Attributes:
        runs: Folder of all runs.
        experiment: Name of the experiment.
        name: Name of the run.
        arguments: Further arguments of `lotus fit`.
    """

    runs: Path
    experiment: str
    name: str
    arguments: tuple[str, ...]

    @property
    def folder(self) -> Path:
        """The run folder."""
        return self.runs / self.experiment / self.name

    @property
    def is_finished(self) -> bool:
        """Whether the test images are scored; scores.csv appears whole and last."""
        return (self.folder / "scores.csv").is_file()

    def commands(self) -> list[list[str]]:
        """What of the job is left to run, as arguments of `lotus`.

        A training goes on from its last checkpoint. One that came to its end goes through `fit`
        again, which finds nothing left to train.
        """
        if self.is_finished:
            return []
        fit = ["fit", *self.arguments, "--runs", str(self.runs)]
        fit += ["--experiment", self.experiment, "--run", self.name]
        if (self.folder / "checkpoints" / "last.ckpt").is_file():
            fit += ["--ckpt_path", "last"]
        return [fit, ["test", "--config", str(self.folder / "config.yaml")]]


def run_command(arguments: Sequence[str], log: Path, environment: Mapping[str, str]) -> str | None:
    """Run one `lotus` command in a process of its own, whose memory is given back at its end.

    Args:
        arguments: Of `lotus`.
        log: What it prints is added to this file.
        environment: All its variables.

    Returns:
        None if it ended well, else the last line it printed and its exit status.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("a+b") as stream:
        start = stream.seek(0, 2)
        command = [sys.executable, "-m", "lotus.cli", *arguments]
        status = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=stream, stderr=stream, env=dict(environment)
        ).returncode
        if status == 0:
            return None
        stream.seek(start)
        lines = stream.read().decode(errors="replace").splitlines()
    said = next((line for line in reversed(lines) if line.strip()), "it printed nothing")
    return f"{said.strip()} (exit status {status})"
