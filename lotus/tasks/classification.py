"""Classification of patches: the group of a patient from a piece of a slice."""

from typing import Any, ClassVar, Literal

import pytorch_lightning as pl
import torch
from lightning_utilities.core.rank_zero import rank_zero_info
from pytorch_lightning.cli import OptimizerCallable
from torch import Tensor, nn
from torchmetrics import MeanMetric

from lotus.batch import Classification, PatchBatch
from lotus.metrics.classification import ClassificationScores
from lotus.networks import as_classifier
from lotus.tasks.base import BaseTask
from lotus.tasks.checkpoint import network_description
from lotus.tasks.description import describe


class ClassificationTask(BaseTask):
    """Train a network to tell the groups of patients apart in patches of their slices.

    The best checkpoint is that of the highest balanced accuracy over validation patches, each
    group counting the same: patients have different numbers of patches, and with the plain accuracy
    a network that always says the larger group would look better than chance. The loss is not
    taken, since a network that gets surer of what it gets wrong goes on getting better at the
    rest.

    Args:
        network: A :class:`lotus.networks.Classifier`, such as ``lotus.networks.TimmClassifier``.
        class_names: The groups, in the order of the labels; None takes those of the data.
        loss: Called with logits (B, K) and labels (B,); cross-entropy by default.
        optimizer: From parameters to an optimizer; that of Poles et al., BHI 2023, by default.
        in_channels: Channels of the patches.
        **kwargs: Those of :class:`lotus.tasks.base.BaseTask`.

    Attributes:
        weights_source: Where the network's weights were taken from before it was trained, in words.

    Raises:
        ValueError: A network that is no classifier.
    """

    monitor: ClassVar[str] = "val_balanced_accuracy"
    inference_kind: ClassVar[str] = "classifier"

    def __init__(
        self,
        network: nn.Module,
        class_names: list[str] | None = None,
        loss: nn.Module | None = None,
        optimizer: OptimizerCallable = lambda parameters: torch.optim.SGD(
            parameters, lr=1e-2, momentum=0.9, weight_decay=5e-4
        ),
        in_channels: int = 3,
        **kwargs: Any,
    ) -> None:
        super().__init__(optimizer, **kwargs)
        self.save_hyperparameters()
        self.weights_source = as_classifier(network).weights_source
        self.network = network
        self.class_names = class_names
        self.loss = loss or nn.CrossEntropyLoss()
        self.in_channels = in_channels
        self.configure_metrics()

    def configure_metrics(self) -> None:
        """Scores of the patches, and the loss."""
        self.val_scores, self.test_scores = ClassificationScores(), ClassificationScores()
        self.val_loss, self.test_loss = MeanMetric(), MeanMetric()

    def callbacks(self) -> list[pl.Callback]:
        """The table of classified patches, and their scores."""
        # Tables are not needed to build a task.
        from lotus.callbacks import ClassificationWriter

        return [ClassificationWriter()]

    def summary(self) -> dict[str, Any]:
        """Where the weights come from, and how many there are."""
        return {
            "weights_source": self.weights_source,
            "parameters": sum(weight.numel() for weight in self.network.parameters()),
        }

    def inference_record(self) -> dict[str, Any]:
        """Everything but weights that is needed to classify, and to explain that.

        Preprocessing, pixel size and size of the patches are those of the data module that the task
        was trained with; a task saved without one records none of them.

        Raises:
            ValueError: The network neither came from a configuration nor keeps its arguments.
        """
        data = self.data
        return {
            "network": network_description(self),
            "class_names": self.class_names,
            "in_channels": self.in_channels,
            "preprocessing": describe(getattr(data, "preprocessing", None)),
            "spacing_um": describe(getattr(data, "spacing_um", None)),
            "resize": describe(getattr(data, "resize", None)),
            "weights_source": self.weights_source,
        }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Remember where the checkpoint's weights came from; those of the constructor are gone."""
        self.weights_source = checkpoint[self.inference_kind]["weights_source"]

    def setup(self, stage: str) -> None:
        """Store weights channels last; check that network and data have the same groups.

        Raises:
            ValueError: They do not.
        """
        self.to(memory_format=torch.channels_last)
        groups = getattr(self.data, "groups", None)
        if groups and self.class_names is None:
            self.class_names = list(groups)
        if groups and self.class_names != list(groups):
            raise ValueError(
                f"the task has the groups {', '.join(self.class_names or [])}, the data have "
                f"{', '.join(groups)}: leave class_names out, or give those"
            )
        classes = as_classifier(self.network).classes
        if self.class_names is not None and classes != len(self.class_names):
            raise ValueError(
                f"the network has {classes} classes, but there are {len(self.class_names)} groups "
                f"({', '.join(self.class_names)}): set its classes to that"
            )
        if stage == "fit":
            rank_zero_info(f"weights of {type(self.network).__name__}: {self.weights_source}")

    def forward(self, image: Tensor) -> Tensor:
        """Logits (B, K) of patches (B, C, Y, X)."""
        logits: Tensor = self.network(image)
        return logits

    def logits(self, batch: PatchBatch) -> Tensor:
        """Logits (B, K) of a batch, as validation, test and prediction take them."""
        logits: Tensor = self(batch["image"])
        return logits

    def training_step(self, batch: PatchBatch, batch_idx: int) -> Tensor:
        """Loss of one batch."""
        loss: Tensor = self.loss(self.logits(batch).float(), batch["label"])
        self.log_training_loss(loss, len(batch["label"]))
        return loss

    def validation_step(self, batch: PatchBatch, batch_idx: int) -> Classification:
        """Loss and probabilities of one batch."""
        return self.evaluated(batch, self.logits(batch), self.val_loss, self.val_scores)

    def test_step(self, batch: PatchBatch, batch_idx: int) -> Classification:
        """Loss and probabilities of one batch."""
        return self.evaluated(batch, self.logits(batch), self.test_loss, self.test_scores)

    def predict_step(self, batch: PatchBatch, batch_idx: int) -> Classification:
        """Probabilities of one batch."""
        return {"probabilities": self.logits(batch).float().softmax(dim=1)}

    def evaluated(
        self, batch: PatchBatch, logits: Tensor, loss: MeanMetric, scores: ClassificationScores
    ) -> Classification:
        """Probabilities of a batch, which also count in loss and scores.

        Args:
            batch: The patches.
            logits: (B, K) of them.
            loss: Of the stage.
            scores: Of the stage.
        """
        values = logits.float()
        loss.update(self.loss(values, batch["label"]), weight=len(batch["label"]))
        probabilities = values.softmax(dim=1)
        scores.update(probabilities, batch["label"])
        return {"probabilities": probabilities}

    def on_validation_epoch_end(self) -> None:
        """Log the loss and the scores of the validation patches."""
        self._log("val", self.val_loss, self.val_scores)

    def on_test_epoch_end(self) -> None:
        """Log the loss and the scores of the test patches."""
        self._log("test", self.test_loss, self.test_scores)

    @property
    def data(self) -> Any:
        """The data module of the trainer; None without either."""
        return None if self._trainer is None else getattr(self.trainer, "datamodule", None)

    def _log(
        self, stage: Literal["val", "test"], loss: MeanMetric, scores: ClassificationScores
    ) -> None:
        self.log(f"{stage}_loss", loss.compute())
        loss.reset()
        self.log_scores(stage, scores)
