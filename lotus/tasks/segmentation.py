"""Supervised segmentation: teacher, student and every segmentation baseline."""

import logging
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from lightning_utilities.core.rank_zero import rank_zero_info
from monai.inferers import Inferer, SlidingWindowInferer
from monai.losses import DiceCELoss
from numpy.typing import NDArray
from pytorch_lightning.cli import LRSchedulerCallable, OptimizerCallable
from pytorch_lightning.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn
from torchmetrics import MeanMetric

from lotus.metrics.segmentation import InstanceScores
from lotus.tasks.checkpoint import read_checkpoint, segmenter_record, state_of
from lotus.transforms import ConnectedComponents, InstanceScheme

_log = logging.getLogger(__name__)


class SegmentationTask(pl.LightningModule):
    """Train one network on images and masks of one modality.

    Args:
        network: ``forward(image (B, C, Y, X)) -> logits (B, K, Y, X)``, or a list of logits,
            finest first, for deep supervision.
        class_names: foreground classes, in the order of the mask's values from 1.
        in_channels: channels of the images.
        loss: called with logits (B, K, Y, X) and target (B, 1, Y, X); soft Dice plus cross-entropy,
            1:1, by default (LOTUS, L_seg).
        optimizer: from parameters to an optimizer.
        lr_scheduler: from an optimizer to a scheduler that steps every epoch.
        instances: how objects are written into the target and read from the probability.
        inferer: how an image of any size goes through the network in validation and test.
        initial_weights: a checkpoint of a SegmentationTask or DistillationTask whose network's
            weights this one starts from.

    Raises:
        ValueError: ``initial_weights`` of another architecture.
        FileNotFoundError: ``initial_weights`` does not exist.
    """

    def __init__(
        self,
        network: nn.Module,
        class_names: list[str],
        in_channels: int = 3,
        loss: nn.Module | None = None,
        optimizer: OptimizerCallable = lambda parameters: torch.optim.Adam(
            parameters, lr=1e-3, weight_decay=1e-7
        ),
        lr_scheduler: LRSchedulerCallable | None = None,
        instances: InstanceScheme | None = None,
        inferer: Inferer | None = None,
        initial_weights: Path | None = None,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.network = network
        self.class_names = class_names
        self.in_channels = in_channels
        self.instances = instances or ConnectedComponents()
        self.channels = self.instances.channels(len(class_names))
        self.loss = loss or default_loss(self.channels)
        self.optimizer = optimizer
        self.lr_scheduler = lr_scheduler
        self.inferer = inferer or SlidingWindowInferer(
            roi_size=(256, 256), sw_batch_size=4, overlap=0.25, mode="gaussian"
        )
        self.val_scores, self.test_scores = InstanceScores(), InstanceScores()
        # Lightning's own mean is wrong where processes have unlike numbers of images.
        self.val_loss, self.test_loss = MeanMetric(), MeanMetric()
        if initial_weights is not None:
            start_from(network, initial_weights)

    def forward(self, image: Tensor) -> Tensor:
        """Logits (B, K, Y, X), the finest under deep supervision."""
        output = self.network(image)
        logits: Tensor = output[0] if isinstance(output, list | tuple) else output
        return logits

    def setup(self, stage: str) -> None:
        """Check that the network gives the channels that classes and instance scheme need."""
        # The order in memory that convolutions are fastest in, on processors and GPUs alike.
        self.to(memory_format=torch.channels_last)
        probe = torch.zeros(1, self.in_channels, 64, 64, device=self.device)
        was_training = self.network.training
        self.network.eval()
        with torch.no_grad():
            found = self(probe).shape[1]
        self.network.train(was_training)
        if found != self.channels:
            raise ValueError(
                f"the network gives {found} channels, but {len(self.class_names)} class(es) with "
                f"{type(self.instances).__name__} need {self.channels}: set out_channels to that"
            )

    def training_step(self, batch: dict[str, Any], batch_idx: int) -> Tensor:
        """Loss of one batch."""
        loss = self.segmentation_loss(self.network(batch["image"]), batch)
        self._log_training_loss(loss, len(batch["image"]))
        return loss

    def validation_step(self, batch: dict[str, Any], batch_idx: int) -> dict[str, Any]:
        """Loss and scores of one image at native size."""
        return self._evaluate(batch, self.val_loss, self.val_scores)

    def test_step(self, batch: dict[str, Any], batch_idx: int) -> dict[str, Any]:
        """Loss and scores of one image at native size."""
        return self._evaluate(batch, self.test_loss, self.test_scores)

    def predict_step(self, batch: dict[str, Any], batch_idx: int) -> dict[str, Any]:
        """Label map and foreground probability of one image at native size."""
        return self._decode(self._infer(batch["image"]))

    def on_validation_epoch_end(self) -> None:
        """Log the loss and the scores of the validation images."""
        self._log_scores("val", self.val_loss, self.val_scores)

    def on_test_epoch_end(self) -> None:
        """Log the loss and the scores of the test images."""
        self._log_scores("test", self.test_loss, self.test_scores)

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """The optimizer over what is trained, and its scheduler."""
        trained = [weight for weight in self.parameters() if weight.requires_grad]
        optimizer = self.optimizer(trained)
        if self.lr_scheduler is None:
            return optimizer
        return [optimizer], [self.lr_scheduler(optimizer)]

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add what segmenting needs besides weights: preprocessing, classes, pixel size."""
        checkpoint["segmenter"] = segmenter_record(self)

    def segmentation_loss(self, output: Any, batch: dict[str, Any]) -> Tensor:
        """L_seg of logits, or the mean over deep-supervision outputs, against a batch's truth."""
        target = self.instances.encode(batch["mask"], batch["instances"])[:, None]
        outputs = output if isinstance(output, list | tuple) else [output]
        losses = []
        for logits in outputs:
            resized = target
            if logits.shape[-2:] != target.shape[-2:]:
                size = logits.shape[-2:]
                resized = nn.functional.interpolate(target.float(), size, mode="nearest").long()
            losses.append(self.loss(logits.float(), resized))
        return torch.stack(losses).mean()

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

    def _evaluate(
        self, batch: dict[str, Any], loss: MeanMetric, scores: InstanceScores
    ) -> dict[str, Any]:
        logits = self._infer(batch["image"])
        loss.update(self.segmentation_loss(logits, batch))
        decoded = self._decode(logits)
        scores.update(decoded["labels"], batch["instances"][0].cpu().numpy())
        return decoded

    def _infer(self, image: Tensor) -> Tensor:
        logits: Tensor = self.inferer(image, self.forward)
        return logits

    def _decode(self, logits: Tensor) -> dict[str, NDArray[Any]]:
        if len(logits) != 1:
            raise ValueError(f"images are scored one at a time, got a batch of {len(logits)}")
        probability = probabilities(logits)[0].cpu().numpy()
        labels = self.instances.decode(probability)
        return {
            "labels": labels,
            "probability": self.instances.foreground(probability),
            "classes": self.instances.classes(probability, labels),
        }

    def _log_scores(self, stage: str, loss: MeanMetric, scores: InstanceScores) -> None:
        values = {"loss": loss.compute(), **scores.compute()}
        self.log_dict({f"{stage}_{name}": value.float() for name, value in values.items()})
        loss.reset()
        scores.reset()


def default_loss(channels: int) -> nn.Module:
    """Soft Dice plus cross-entropy, 1:1: of a sigmoid for one channel, else of a softmax.

    Dice is taken per image, so that the mean over processes is that of the joined batch. The
    released LOTUS code takes the Dice of the thresholded mask, which has no gradient.
    """
    loss: nn.Module = (
        DiceCELoss(sigmoid=True)
        if channels == 1
        else DiceCELoss(softmax=True, to_onehot_y=True, include_background=False)
    )
    return loss


def probabilities(logits: Tensor) -> Tensor:
    """Sigmoid of one channel, softmax of several, in float32; (B, K, Y, X)."""
    logits = logits.float()
    return logits.sigmoid() if logits.shape[1] == 1 else logits.softmax(dim=1)


def start_from(network: nn.Module, checkpoint: Path) -> None:
    """Copy the network weights of a checkpoint into a network of the same architecture.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not a checkpoint of this project, or of another architecture.
    """
    state = state_of(read_checkpoint(checkpoint), "network.")
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        detail = " ".join(str(error).split())[:300]
        raise ValueError(
            f"{checkpoint} holds another architecture than {type(network).__name__}: {detail}"
        ) from error
    rank_zero_info(f"weights of {checkpoint} loaded into {type(network).__name__}")
