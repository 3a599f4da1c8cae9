"""Where the curves of a run go: always a CSV file, and W&B."""

import os
from pathlib import Path
from typing import Any

from lightning_fabric.loggers.csv_logs import _ExperimentWriter
from lightning_fabric.loggers.logger import rank_zero_experiment
from lightning_utilities.core.rank_zero import rank_zero_warn
from pytorch_lightning.loggers import CSVLogger, Logger, WandbLogger

from lotus.runs.curves import logged_columns


class _AppendingWriter(_ExperimentWriter):
    """Lightning's writer deletes the metrics.csv that it finds; this one goes on with it."""

    def _check_log_dir_exists(self) -> None:
        if Path(self.metrics_file_path).is_file():
            self.metrics_keys = logged_columns(Path(self.metrics_file_path))


class RunCSVLogger(CSVLogger):
    """metrics.csv straight in the run folder, kept when the run is resumed or tested.

    Args:
        run: The run folder.
    """

    def __init__(self, run: Path) -> None:
        super().__init__(save_dir=run.parent, name="", version=run.name)

    @property
    def log_dir(self) -> str:
        """The run folder."""
        return str(Path(self.save_dir) / str(self.version))

    @property
    @rank_zero_experiment
    def experiment(self) -> _ExperimentWriter:
        """The writer of metrics.csv."""
        if self._experiment is None:
            self._experiment = _AppendingWriter(self.log_dir)
        return self._experiment

    def log_hyperparams(self, params: Any = None) -> None:
        """Nothing: config.yaml beside metrics.csv holds them."""

    def save(self) -> None:
        """Write what was logged since the last time."""
        self.experiment.save()


class RunWandbLogger(WandbLogger):
    """W&B that goes on offline where its server cannot be reached or refuses the key.

    Args:
        **options: Those of Lightning's ``WandbLogger``.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        # W&B has no such setting any more, and warns of it even if it is not given.
        self._wandb_init.pop("anonymous", None)

    @property
    @rank_zero_experiment
    def experiment(self) -> Any:
        """The W&B run; its folder is made when it starts, since until then it may be refused."""
        from wandb.errors import Error

        if self.save_dir is not None:
            Path(self.save_dir).mkdir(parents=True, exist_ok=True)
        try:
            return super().experiment
        except Error as error:
            reason = str(error).partition("\n")[0]
            rank_zero_warn(
                f"W&B does not take this run ({reason}); it is kept offline in "
                f"{self.save_dir}/wandb, and `wandb sync` sends it later"
            )
            self._offline = True
            self._wandb_init["mode"] = "offline"
            return super().experiment


def run_loggers(runs: Path, experiment: str, run: str) -> list[Logger]:
    """CSV, and W&B unless ``WANDB_MODE=disabled``; runs of one experiment share a group.

    W&B is offline unless an API key is set, and never asks for a login. An offline run is sent
    later with ``wandb sync``; one that cannot be sent is kept offline.

    Args:
        runs: The folder of all runs.
        experiment: Name of the experiment.
        run: Name of the run.
    """
    folder = runs / experiment / run
    loggers: list[Logger] = [RunCSVLogger(folder)]
    mode = os.environ.get("WANDB_MODE", "")
    if mode != "disabled":
        loggers.append(
            RunWandbLogger(
                project=os.environ.get("WANDB_PROJECT", "lotus"),
                group=experiment,
                name=run,
                save_dir=folder,
                offline=mode == "offline" or not os.environ.get("WANDB_API_KEY"),
            )
        )
    return loggers
