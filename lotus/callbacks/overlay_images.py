"""Validation images with outlines on the W&B dashboard."""

from typing import Any

import numpy as np
import pytorch_lightning as pl
from numpy.typing import NDArray
from pytorch_lightning.loggers import WandbLogger

from lotus.batch import Batch, Prediction
from lotus.callbacks.prediction_writer import preview, spacing_of
from lotus.reports.overlays import overlay


class OverlayImages(pl.Callback):
    """Log the first validation images with true and predicted outlines.

    Without a W&B logger nothing is drawn.

    Args:
        every_n_epochs: Epochs between two sets of images, at least 1.
        n_images: Images per set.

    Raises:
        ValueError: If `every_n_epochs` is not positive.
    """

    def __init__(self, every_n_epochs: int = 5, n_images: int = 4) -> None:
        if every_n_epochs < 1:
            raise ValueError(f"every_n_epochs is {every_n_epochs}; it must be at least 1")
        self.every_n_epochs = every_n_epochs
        self.n_images = n_images
        self._drawn: dict[str, NDArray[np.uint8]] = {}

    def on_validation_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Forget the images of the epoch before."""
        self._drawn = {}

    def on_validation_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Batch,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Draw one image if it is wanted."""
        wanted = len(self._drawn) < self.n_images and self._is_due(trainer)
        if not wanted or "instances" not in batch:
            return
        prediction: Prediction = outputs
        self._drawn[batch["name"][0]] = overlay(
            preview(batch["image"][0]),
            prediction["labels"],
            batch["instances"][0].cpu().numpy(),
            spacing_of(batch),
        )

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Hand the images to W&B."""
        if not self._drawn:
            return
        for logger in _wandb_loggers(trainer):
            logger.log_image(
                "validation/overlays",
                images=list(self._drawn.values()),
                caption=[f"{name}, epoch {trainer.current_epoch}" for name in self._drawn],
            )

    def _is_due(self, trainer: pl.Trainer) -> bool:
        return (
            trainer.is_global_zero
            and not trainer.sanity_checking
            and trainer.current_epoch % self.every_n_epochs == 0
            and bool(_wandb_loggers(trainer))
        )


def _wandb_loggers(trainer: pl.Trainer) -> list[WandbLogger]:
    return [logger for logger in trainer.loggers if isinstance(logger, WandbLogger)]
