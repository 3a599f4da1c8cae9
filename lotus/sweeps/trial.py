"""One trial of a sweep: a training whose run folder says which parameters it tries."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lotus.atomic import atomic_path
from lotus.engines.job import fit_command
from lotus.runs import RunFolder
from lotus.runs.curves import best_validation, logged_columns
from lotus.runs.invocations import status_of_last_fit
from lotus.sweeps.schema import Sweep

Parameters = dict[str, Any]
"""Keys of `lotus fit` and their values, of any type that JSON has."""


@dataclass(frozen=True)
class Trial:
    """`lotus fit` with some parameters, in ``<sweep>/trialNNN``; test images are not looked at.

    Attributes:
        sweep: Folder of the sweep, ``<runs>/<experiment>/<run>``.
        number: From 0.
        arguments: Of `lotus fit`, the same for every trial.
        parameters: What this trial tries.
    """

    sweep: Path
    number: int
    arguments: tuple[str, ...]
    parameters: Parameters

    @property
    def name(self) -> str:
        """Name of the run."""
        return self._run.path.name

    @property
    def folder(self) -> Path:
        """The run folder."""
        return self._run.path

    @property
    def _run(self) -> RunFolder:
        return RunFolder(self.sweep).trial(self.number)

    @property
    def fit_arguments(self) -> list[str]:
        """Of `lotus fit`, the parameters last."""
        return [*self.arguments, *as_arguments(self.parameters)]

    @property
    def state(self) -> str:
        """``finished``, ``stopped`` (early) or ``unfinished``."""
        if self._earlier_record().get("stopped"):
            return "stopped"
        status = status_of_last_fit(self._run.environment)
        return "finished" if status == "finished" else "unfinished"

    @property
    def is_finished(self) -> bool:
        """Whether it came to its end, or was stopped early."""
        return self.state != "unfinished"

    def commands(self) -> list[list[str]]:
        """What is left to run, as arguments of `lotus`."""
        return [fit_command(self.sweep.parent, self.sweep.name, self.name, self.fit_arguments)]

    def begin(self) -> None:
        """Nothing is to be made ready."""

    def end(self) -> None:
        """The run folder says itself how the training ended."""

    def record(self, stopped: bool = False) -> None:
        """Write down the parameters.

        Args:
            stopped: Whether it is not to go on.

        Raises:
            ValueError: The folder holds a trial of other parameters.
        """
        earlier = self._earlier_record()
        if earlier and earlier["parameters"] != self.parameters:
            raise ValueError(
                f"{self.folder} tried {earlier['parameters']}, and now it would be "
                f"{self.parameters}; give the sweep and --seed as they were, or another --run"
            )
        stopped = stopped or earlier.get("stopped", False)
        content = {"parameters": self.parameters, "stopped": stopped}
        with atomic_path(self._run.trial_record) as path:
            path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")

    def best(self, sweep: Sweep) -> tuple[int, float] | None:
        """Epoch and value of the validation that its best checkpoint is of, if there was one."""
        return best_validation(self._run.curves, sweep.metric, maximize=sweep.maximize)

    def refuse_without(self, metric: str) -> None:
        """Refuse a metric that a whole training did not log: no other trial will.

        Args:
            metric: Name of a validation score.

        Raises:
            ValueError: It came to its end without one; names those that it has.
        """
        logged = logged_columns(self._run.curves)
        if self.state == "finished" and metric not in logged:
            scores = ", ".join(sorted(name for name in logged if name.startswith("val_")))
            raise ValueError(
                f"{self.folder} finished without a {metric}; its validations have: "
                f"{scores or 'nothing, as there was none'}"
            )

    def _earlier_record(self) -> Mapping[str, Any]:
        try:
            text = self._run.trial_record.read_text(encoding="utf-8")
            content: Mapping[str, Any] = json.loads(text)
        except (OSError, ValueError):
            return {}
        return content


def as_arguments(parameters: Mapping[str, Any]) -> list[str]:
    """Parameters as the agent of W&B hands them over, ``--key=value``.

    Args:
        parameters: Keys of `lotus fit` and values of any type that JSON has.
    """
    return [
        f"--{key}={value if isinstance(value, str) else json.dumps(value)}"
        for key, value in parameters.items()
    ]
