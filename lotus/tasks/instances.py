"""What tasks have in common that find objects."""

from abc import abstractmethod
from typing import Any, ClassVar

import numpy as np
import pytorch_lightning as pl
from pytorch_lightning.cli import LRSchedulerCallable, OptimizerCallable
from torch import nn

from lotus.batch import Batch, Prediction
from lotus.metrics.functional import without_ignored
from lotus.metrics.segmentation import InstanceScores
from lotus.tasks.base import BaseTask
from lotus.tasks.checkpoint import network_description
from lotus.tasks.description import describe


class InstanceTask(BaseTask):
    """Trains a network that finds objects, and scores those of whole images.

    Args:
        network: The network.
        class_names: Foreground classes, in the order of the mask's values from 1.
        optimizer: From parameters to an optimizer.
        in_channels: Channels of the images.
        lr_scheduler: From an optimizer to a scheduler that steps every epoch.
    """

    monitor: ClassVar[str] = "val_dice"

    def __init__(
        self,
        network: nn.Module,
        class_names: list[str],
        optimizer: OptimizerCallable,
        in_channels: int = 3,
        lr_scheduler: LRSchedulerCallable | None = None,
    ) -> None:
        super().__init__(optimizer, lr_scheduler)
        self.network = network
        self.class_names = class_names
        self.in_channels = in_channels
        self.configure_metrics()

    @abstractmethod
    def predict_step(self, batch: Batch, batch_idx: int) -> Prediction:
        """The objects of one image at native size."""

    def configure_metrics(self) -> None:
        """Scores of the objects of validation and test images."""
        self.val_scores, self.test_scores = InstanceScores(), InstanceScores()

    def callbacks(self) -> list[pl.Callback]:
        """Outlines on the dashboard, predictions in the run folder and their scores."""
        # Pictures and tables are not needed to build a task.
        from lotus.callbacks import OverlayImages, PredictionWriter

        return [OverlayImages(), PredictionWriter()]

    def inference_record(self) -> dict[str, Any]:
        """Everything but weights that is needed to segment.

        Preprocessing, pixel size and whether images of another are resampled to it are those of the
        data module that the task was trained with; a task saved without one records none of them.

        Raises:
            ValueError: The network neither came from a configuration nor keeps its arguments.
        """
        data = getattr(self.trainer, "datamodule", None) if self._trainer is not None else None
        return {
            "network": network_description(self),
            "class_names": list(self.class_names),
            "in_channels": self.in_channels,
            "instances": describe(getattr(self, "instances", None)),
            "preprocessing": describe(getattr(data, "preprocessing", None)),
            "spacing_um": describe(getattr(data, "spacing_um", None)),
            "resample": bool(getattr(data, "resamples", False)),
        }

    def on_validation_epoch_end(self) -> None:
        """Log the scores of the validation images."""
        self.log_scores("val", self.val_scores)

    def on_test_epoch_end(self) -> None:
        """Log the scores of the test images."""
        self.log_scores("test", self.test_scores)


def as_scored(prediction: Prediction, batch: Batch) -> Prediction:
    """The objects of an image without those pixels that its annotation ignores.

    Args:
        prediction: Of the image.
        batch: The image alone.

    Returns:
        Labels and classes as scores take them: :func:`lotus.metrics.functional.without_ignored`.
    """
    if "ignored" not in batch:
        return prediction
    target, ignored = (batch[key][0].cpu().numpy() for key in ("instances", "ignored"))
    labels, _ = without_ignored(prediction["labels"], target, ignored)
    classes = np.where(labels > 0, prediction["classes"], 0)
    return {"labels": labels, "probability": prediction["probability"], "classes": classes}
