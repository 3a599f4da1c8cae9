"""What every task has in common."""

from abc import ABC, abstractmethod
from typing import Any

import pytorch_lightning as pl
from numpy.typing import NDArray
from pytorch_lightning.cli import LRSchedulerCallable, OptimizerCallable
from pytorch_lightning.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn

from lotus.metrics.segmentation import InstanceScores
from lotus.tasks.checkpoint import segmenter_record


class BaseTask(pl.LightningModule, ABC):
    """Trains a network that finds objects, and scores those of whole images.

    Args:
        network: the network.
        class_names: foreground classes, in the order of the mask's values from 1.
        in_channels: channels of the images.
        optimizer: from parameters to an optimizer.
        lr_scheduler: from an optimizer to a scheduler that steps every epoch.

    Attributes:
        patients: whom the weights know, as plain data for the checkpoints; None if nobody said.
    """

    def __init__(
        self,
        network: nn.Module,
        class_names: list[str],
        in_channels: int,
        optimizer: OptimizerCallable,
        lr_scheduler: LRSchedulerCallable | None,
    ) -> None:
        super().__init__()
        self.network = network
        self.class_names = class_names
        self.in_channels = in_channels
        self.optimizer = optimizer
        self.lr_scheduler = lr_scheduler
        self.patients: dict[str, Any] | None = None
        self.val_scores, self.test_scores = InstanceScores(), InstanceScores()

    @abstractmethod
    def predict_step(self, batch: dict[str, Any], batch_idx: int) -> dict[str, NDArray[Any]]:
        """The objects of one image at native size.

        Returns:
            ``labels``, int32 (Y, X), and ``probability`` of the foreground, float32 (Y, X).
        """

    def on_validation_epoch_end(self) -> None:
        """Log the scores of the validation images."""
        self._log_scores("val", self.val_scores)

    def on_test_epoch_end(self) -> None:
        """Log the scores of the test images."""
        self._log_scores("test", self.test_scores)

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """The optimizer over what is trained, and its scheduler."""
        trained = [weight for weight in self.parameters() if weight.requires_grad]
        optimizer = self.optimizer(trained)
        if self.lr_scheduler is None:
            return optimizer
        return [optimizer], [self.lr_scheduler(optimizer)]

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add what segmenting needs besides weights, and whom the weights know."""
        checkpoint["segmenter"] = segmenter_record(self)
        if self.patients is not None:
            checkpoint["patients"] = self.patients

    def _log_training_loss(self, loss: Tensor, batch_size: int) -> None:
        self.log(
            "train_loss",
            loss,
            on_step=False,
            on_epoch=True,
            prog_bar=True,
            batch_size=batch_size,
            sync_dist=True,
        )

    def _log_scores(self, stage: str, scores: InstanceScores) -> None:
        values = scores.compute()
        self.log_dict({f"{stage}_{name}": value.float() for name, value in values.items()})
        scores.reset()
