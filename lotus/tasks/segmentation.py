"""Supervised segmentation: teacher, student and every segmentation baseline."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from lightning_utilities.core.rank_zero import rank_zero_info
from numpy.typing import NDArray
from pytorch_lightning.cli import OptimizerCallable
from torch import Tensor, nn
from torchmetrics import MeanMetric

from lotus.batch import Batch, Prediction
from lotus.losses import loss_of_known_pixels
from lotus.metrics.segmentation import InstanceScores
from lotus.schemes import ConnectedComponents, InstanceScheme
from lotus.tasks.checkpoint import read_checkpoint, state_of
from lotus.tasks.instances import InstanceTask, as_scored
from lotus.tasks.native_grid import as_seen, at_native_size
from lotus.tasks.precision import inference_precision
from lotus.windows import (
    OVERLAP,
    WINDOW,
    network_input,
    segment_array,
    window_grid,
    windows_at_once,
)


class SegmentationTask(InstanceTask):
    """Train one network on images and masks of one modality.

    In validation, test and prediction an image of any size goes through the network as in
    `lotus segment`: in overlapping windows whose probabilities are blended. What is scored is what
    a checkpoint gives when it is used.

    Args:
        network: ``forward(image (B, C, Y, X)) -> logits (B, K, Y, X)``, or a list of logits,
            finest first, for deep supervision.
        class_names: Foreground classes, in the order of the mask's values from 1.
        loss: Called with logits (B, K, Y, X) and the target (B, C, Y, X) of the instance scheme;
            that of the scheme by default, of classes soft Dice plus cross-entropy, 1:1 (LOTUS,
            L_seg).
        optimizer: From parameters to an optimizer.
        instances: How objects are written into the target and read from the probability.
        window: Side of the windows in pixels, a multiple of 32. Along a side of an image that is
            shorter, it is the next multiple of 32, and the image is mirrored at its border.
        overlap: Share of a window that its neighbour covers as well, in [0, 1).
        initial_weights: A checkpoint of a SegmentationTask or DistillationTask whose network's
            weights this one starts from.
        deep_supervision_decay: Weight of each of several outputs in the loss relative to the one
            before it, 0 < decay <= 1. 1 takes their plain mean; nnU-Net has 0.5.
        **kwargs: Those of :class:`InstanceTask`.

    Raises:
        ValueError: ``initial_weights`` of another architecture, or a decay, a window or an overlap
            out of range.
        FileNotFoundError: ``initial_weights`` does not exist.
    """

    def __init__(
        self,
        network: nn.Module,
        class_names: list[str],
        loss: nn.Module | None = None,
        optimizer: OptimizerCallable = lambda parameters: torch.optim.Adam(
            parameters, lr=1e-3, weight_decay=1e-7
        ),
        instances: InstanceScheme | None = None,
        window: int = WINDOW,
        overlap: float = OVERLAP,
        initial_weights: Path | None = None,
        deep_supervision_decay: float = 1.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(network, class_names, optimizer, **kwargs)
        if not 0 < deep_supervision_decay <= 1:
            raise ValueError(
                f"deep_supervision_decay is above 0 and at most 1, got {deep_supervision_decay}"
            )
        window_grid((1, 1), window, overlap)
        self.save_hyperparameters()
        self.instances = instances or ConnectedComponents()
        self.channels = self.instances.channels(len(class_names))
        self.loss = loss or self.instances.default_loss(len(class_names))
        self.deep_supervision_decay = deep_supervision_decay
        self.window = window
        self.overlap = overlap
        self.initial_weights = initial_weights
        if initial_weights is not None:
            start_from(network, initial_weights)

    def configure_metrics(self) -> None:
        """Scores of the objects, and the loss."""
        super().configure_metrics()
        # Lightning's own mean is wrong where processes have unlike numbers of images.
        self.val_loss, self.test_loss = MeanMetric(), MeanMetric()

    def origins(self) -> list[Path]:
        """The checkpoint that the weights start from."""
        return [] if self.initial_weights is None else [self.initial_weights]

    def inference_record(self) -> dict[str, Any]:
        """Also the windows and the precision with which the network was validated."""
        trainer = self._trainer
        return super().inference_record() | {
            "window": self.window,
            "overlap": self.overlap,
            "precision": "32" if trainer is None else inference_precision(trainer),
        }

    def forward(self, image: Tensor) -> Tensor:
        """Logits (B, K, Y, X), the finest under deep supervision."""
        output = self.network(image)
        logits: Tensor = output[0] if isinstance(output, list | tuple) else output
        return logits

    def setup(self, stage: str) -> None:
        """Store weights channels last; check that the network and the loss fit the classes.

        Raises:
            ValueError: Classes and instance scheme need another number of channels or another loss.
        """
        # The order in memory that convolutions are fastest in, on processors and GPUs alike.
        self.to(memory_format=torch.channels_last)
        probe = torch.zeros(1, self.in_channels, 64, 64, device=self.device)
        was_training = self.network.training
        self.network.eval()
        with torch.no_grad():
            logits = self(probe)
        self.network.train(was_training)
        found = logits.shape[1]
        if found != self.channels:
            raise ValueError(
                f"the network gives {found} channels, but {len(self.class_names)} class(es) with "
                f"{type(self.instances).__name__} need {self.channels}: set out_channels to that"
            )
        self._check_loss(logits.float())

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Loss of one batch."""
        loss = self.segmentation_loss(self.network(batch["image"]), batch)
        self.log_training_loss(loss, len(batch["image"]))
        return loss

    def validation_step(self, batch: Batch, batch_idx: int) -> Prediction:
        """Loss and scores of one image at native size."""
        return self._evaluate(batch, self.val_loss, self.val_scores)

    def test_step(self, batch: Batch, batch_idx: int) -> Prediction:
        """Loss and scores of one image at native size."""
        return self._evaluate(batch, self.test_loss, self.test_scores)

    def predict_step(self, batch: Batch, batch_idx: int) -> Prediction:
        """Label map and foreground probability of one image at native size."""
        found = self._predict(as_seen(batch)["image"], self._probabilities)[0]
        return at_native_size(found, batch)

    def on_validation_epoch_end(self) -> None:
        """Log the loss and the scores of the validation images."""
        super().on_validation_epoch_end()
        self._log_loss("val", self.val_loss)

    def on_test_epoch_end(self) -> None:
        """Log the loss and the scores of the test images."""
        super().on_test_epoch_end()
        self._log_loss("test", self.test_loss)

    def segmentation_loss(self, output: Any, batch: Batch) -> Tensor:
        """L_seg of logits, or its weighted mean over several outputs, against a batch's truth.

        Pixels that the batch ignores have no part in it.
        """
        target = self.instances.encode(batch["mask"], batch["instances"])
        ignored = batch.get("ignored")
        outputs = output if isinstance(output, list | tuple) else [output]
        losses = []
        for logits in outputs:
            size = logits.shape[-2:]
            truth = _resized(target, size)
            unknown = None if ignored is None else _resized(ignored[:, None], size)[:, 0]
            losses.append(loss_of_known_pixels(self.loss, logits.float(), truth, unknown))
        steps = torch.arange(len(losses), device=target.device)
        weights = self.deep_supervision_decay**steps
        return (torch.stack(losses) * weights).sum() / weights.sum()

    def target_classes(self, batch: Batch) -> Tensor:
        """Class of each pixel (B, 1, Y, X) for schemes of pixel classes, -1 where it is ignored."""
        target = self.instances.encode(batch["mask"], batch["instances"])
        if "ignored" not in batch:
            return target
        return torch.where(batch["ignored"][:, None], -1, target)

    def _check_loss(self, logits: Tensor) -> None:
        """Refuse a loss that cannot be taken of these logits and a target of the scheme."""
        nothing = torch.zeros_like(logits[:, 0], dtype=torch.int32)
        target = self.instances.encode(nothing.long(), nothing)
        try:
            self.loss(logits, target)
        except (AssertionError, ValueError) as error:  # MONAI's losses assert
            detail = " ".join(str(error).split())
            raise ValueError(
                f"{type(self.loss).__name__} with these settings does not take {self.channels} "
                f"output(s) for {len(self.class_names)} class(es): give `loss: null` for the usual "
                f"one, or settings that fit ({detail})"
            ) from error

    def _evaluate(self, batch: Batch, loss: MeanMetric, scores: InstanceScores) -> Prediction:
        seen = as_seen(batch)
        found, blended = self._predict(seen["image"], self._probabilities_and_logits)
        logits = torch.from_numpy(blended)[None].to(self.device)
        loss.update(self.segmentation_loss(logits, seen))
        scored = as_scored(at_native_size(found, batch), batch)
        scores.update(scored["labels"], batch["instances"][0].cpu().numpy())
        return scored

    def _predict(
        self, image: Tensor, network: Callable[[NDArray[Any]], Tensor]
    ) -> tuple[Prediction, NDArray[np.float32]]:
        """Objects of an image (1, C, Y, X), and what else a network blends (K', Y, X).

        Args:
            image: In [0, 1].
            network: Gives probabilities (B, K, Y, X) of windows, or more maps after them.
        """
        if len(image) != 1:
            raise ValueError(f"images are scored one at a time, got a batch of {len(image)}")
        pixels = image[0].cpu().numpy()
        labels, blended = segment_array(
            network,
            pixels,
            self.instances,
            window_grid(pixels.shape[1:], self.window, self.overlap),
            channels=self.channels,
            batch_size=windows_at_once(self.device),
        )
        probability = blended[: self.channels]
        prediction: Prediction = {
            "labels": labels,
            "probability": self.instances.foreground(probability),
            "classes": self.instances.classes(probability, labels),
        }
        return prediction, blended[self.channels :]

    def _probabilities(self, windows: NDArray[np.float32]) -> Tensor:
        """Activated outputs (B, K, Y, X) of windows (B, C, Y, X)."""
        return self.instances.activate(self(network_input(windows, self.in_channels, self.device)))

    def _probabilities_and_logits(self, windows: NDArray[np.float32]) -> Tensor:
        """Activated outputs and then logits (B, 2 K, Y, X): the loss is taken of blended logits."""
        logits = self(network_input(windows, self.in_channels, self.device))
        return torch.cat((self.instances.activate(logits), logits.float()), dim=1)

    def _log_loss(self, stage: Literal["val", "test"], loss: MeanMetric) -> None:
        self.log(f"{stage}_loss", loss.compute())
        loss.reset()


def _resized(truth: Tensor, size: torch.Size) -> Tensor:
    """Truth (B, C, Y, X) at another size, each pixel that of the nearest."""
    if truth.shape[-2:] == size:
        return truth
    return nn.functional.interpolate(truth.float(), size, mode="nearest").to(truth.dtype)


def start_from(network: nn.Module, checkpoint: Path) -> None:
    """Copy the network weights of a checkpoint into a network of the same architecture.

    Raises:
        FileNotFoundError: No such file.
        ValueError: Not a checkpoint of this project, or of another architecture.
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
