"""The best checkpoint of a training, of its last phase if it has several."""

from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from lightning_utilities.core.rank_zero import rank_zero_warn
from pytorch_lightning.callbacks import ModelCheckpoint
from torch import Tensor

from lotus.runs.invocations import Origin


class BestCheckpoint(ModelCheckpoint):
    """Keeps the checkpoint with the best score of the latest phase that was validated.

    What acts in a later phase alone would be lost if an epoch of an earlier one could win. So the
    first validation of a phase takes the place of whatever the phase before has left. If the
    training ends before its last phase was validated, a warning says so.

    Args:
        **options: Those of Lightning's ``ModelCheckpoint``, with a score to monitor.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._origin: Origin | None = None
        self._phase = 1

    @property
    def state_key(self) -> str:
        """That of Lightning's own class, under which runs of version 0.1 kept their best score."""
        return super().state_key.replace(type(self).__qualname__, ModelCheckpoint.__qualname__, 1)

    @property
    def origin(self) -> Origin | None:
        """Epoch and phase of the kept checkpoint, and how many phases there are; None without."""
        return self._origin

    def on_load_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Let what a run keeps be where the run is now, before all callbacks take their states.

        Lightning would forget the best score of a run that was moved.
        """
        for state in checkpoint["callbacks"].values():
            if isinstance(state, dict) and "dirpath" in state:
                state.update(_moved(state, str(self.dirpath)))

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """See which phase the epoch belongs to; at its end the task may be in the next."""
        task: Any = pl_module
        self._phase = task.phase

    def check_monitor_top_k(self, trainer: pl.Trainer, current: Tensor | None = None) -> bool:
        """Whether an epoch is the best of its phase so far.

        Args:
            trainer: Of the training.
            current: Its score; None where there was no validation.
        """
        if current is None:
            return False
        # What version 0.1 kept does not say its phase, and may be of the first.
        if (1 if self._origin is None else self._origin["phase"]) != self._phase:
            self.best_k_models.clear()
        is_best = super().check_monitor_top_k(trainer, current)
        if is_best:
            task: Any = trainer.lightning_module
            epoch, phases = trainer.current_epoch, task.phases
            self._origin = {"epoch": epoch, "phase": self._phase, "phases": phases}
        return is_best

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Say loudly that the last phase left nothing."""
        super().on_train_end(trainer, pl_module)
        if self._origin is not None and self._origin["phase"] < self._origin["phases"]:
            rank_zero_warn(
                f"{self.best_model_path} is of phase {self._origin['phase']} of "
                f"{self._origin['phases']} (epoch {self._origin['epoch']}): no epoch of the last "
                "phase was validated, so what acts in it has no part in any score; train for more "
                "epochs or let the phases before it end earlier"
            )

    def state_dict(self) -> dict[str, Any]:
        """What a resumed training needs."""
        return {**super().state_dict(), "origin": self._origin}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from :meth:`state_dict`."""
        super().load_state_dict(state_dict)
        self._origin = state_dict.get("origin")


def _moved(state: dict[str, Any], folder: str) -> dict[str, Any]:
    """The state of a ``ModelCheckpoint`` whose files lie in another folder now."""

    def here(path: str) -> str:
        return str(Path(folder, Path(path).name)) if path else path

    moved = {key: here(value) for key, value in state.items() if key.endswith("_path")}
    kept = {here(path): score for path, score in state["best_k_models"].items()}
    return {**moved, "best_k_models": kept, "dirpath": folder}
