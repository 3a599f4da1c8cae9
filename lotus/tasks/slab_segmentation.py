"""Segmentation of volumes, slab by slab."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import pytorch_lightning as pl
import torch
from numpy.typing import NDArray
from pytorch_lightning.callbacks import EarlyStopping
from pytorch_lightning.cli import OptimizerCallable
from torch import Tensor, nn
from torchmetrics import MeanMetric

from lotus.batch import Batch, SlabPrediction
from lotus.metrics.voxels import VoxelScores
from lotus.networks import SlabNetwork, as_slab_network, store_channels_last
from lotus.runs import RunFolder
from lotus.runs.charts import Chart
from lotus.runs.convergence import Convergence, converged_after, write_convergence
from lotus.runs.curves import read_curve
from lotus.tasks.base import BaseTask
from lotus.tasks.checkpoint import network_description
from lotus.tasks.description import describe
from lotus.tasks.initial_weights import start_from_classes
from lotus.tasks.precision import inference_precision
from lotus.windows import (
    OVERLAP,
    WINDOW,
    predict_slices,
    slab_input,
    slab_reach,
    window_grid,
    windows_at_once,
)

IGNORED = -100
"""The target of voxels of which nothing is known, as PyTorch's losses have it."""


class SlabSegmentationTask(BaseTask):
    """Train a network to tell the classes of every voxel of a volume.

    In validation, test and prediction, slices go through the network as in `lotus segment`: in
    overlapping windows whose probabilities are blended within slices, and along z where the
    network speaks of several slices of a slab. Scores are those of all voxels together.

    Args:
        network: A :class:`lotus.networks.SlabNetwork`, such as ``lotus.networks.Sensor3D`` or
            ``lotus.networks.VolumetricNetwork``; or ``forward(image (B, C, Y, X)) -> logits (B, K,
            Y, X)``, which sees one slice at a time. K is one more than there are classes.
        class_names: Foreground classes, in the order of the mask's values from 1.
        loss: Called with logits (B, K, ...) and classes (B, ...), of which -100 is to be ignored;
            categorical cross-entropy by default.
        optimizer: From parameters to an optimizer; by default Adadelta with Keras' classic values,
            lr 1, rho 0.95, epsilon 1e-7.
        in_channels: Channels of a slice.
        window: Side of the windows in pixels, a multiple of 32.
        overlap: Share of a window that its neighbour covers as well, in [0, 1).
        initial_weights: A checkpoint of this task to start from; see
            :func:`lotus.tasks.initial_weights.start_from_classes`.
        **kwargs: Those of :class:`lotus.tasks.base.BaseTask`.

    Raises:
        ValueError: ``initial_weights`` of another architecture, or a window or an overlap out of
            range.
        FileNotFoundError: ``initial_weights`` does not exist.
    """

    monitor: ClassVar[str] = "val_dice"
    inference_kind: ClassVar[str] = "volume_segmenter"

    def __init__(
        self,
        network: nn.Module,
        class_names: list[str],
        loss: nn.Module | None = None,
        optimizer: OptimizerCallable = lambda parameters: torch.optim.Adadelta(
            parameters, lr=1.0, rho=0.95, eps=1e-7
        ),
        in_channels: int = 1,
        window: int = WINDOW,
        overlap: float = OVERLAP,
        initial_weights: Path | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(optimizer, **kwargs)
        window_grid((1, 1), window, overlap)
        self.save_hyperparameters()
        self.network = network
        self.class_names = list(class_names)
        self.loss = loss or nn.CrossEntropyLoss(ignore_index=IGNORED)
        self.in_channels = in_channels
        self.window = window
        self.overlap = overlap
        self.initial_weights = initial_weights
        self._made_anew: list[str] = []
        if initial_weights is not None:
            self._made_anew = start_from_classes(network, initial_weights, self.class_names)
        self.configure_metrics()

    @property
    def slab_network(self) -> SlabNetwork:
        """The network as one that takes slabs."""
        return as_slab_network(self.network)

    def configure_metrics(self) -> None:
        """Scores of the voxels, and the loss."""
        self.val_scores, self.test_scores = (VoxelScores(self.class_names) for _ in range(2))
        self.val_loss, self.test_loss = MeanMetric(), MeanMetric()

    def callbacks(self) -> list[pl.Callback]:
        """Class maps of the tested slices in the run folder, and their scores."""
        # Pictures and tables are not needed to build a task.
        from lotus.callbacks import SlabWriter

        return [SlabWriter()]

    def charts(self) -> list[Chart]:
        """Dice of every class."""
        curves = {f"val_dice_{name}": name for name in self.class_names}
        note = "Over all validation voxels together."
        return [Chart("Dice of the classes", curves, "Dice", note)]

    def summary(self) -> dict[str, Any]:
        """What slabs the network takes, how many weights it has, and where they start."""
        start = {"initial_weights": str(self.initial_weights), "made_anew": self._made_anew}
        return {
            "parameters": sum(weight.numel() for weight in self.network.parameters()),
            "slices": self.slab_network.slices,
            "output_slices": self.slab_network.output_slices,
            **({} if self.initial_weights is None else start),
        }

    def origins(self) -> list[Path]:
        """The checkpoint that the weights start from."""
        return [] if self.initial_weights is None else [self.initial_weights]

    def inference_record(self) -> dict[str, Any]:
        """Everything but weights that is needed to segment a volume.

        Raises:
            ValueError: The network neither came from a configuration nor keeps its arguments.
        """
        data = self._data
        return {
            "network": network_description(self),
            "class_names": list(self.class_names),
            "in_channels": self.in_channels,
            "slices": self.slab_network.slices,
            "preprocessing": describe(getattr(data, "preprocessing", None)),
            "spacing_um": describe(getattr(data, "spacing_um", None)),
            "window": self.window,
            "overlap": self.overlap,
            "precision": "32" if self._trainer is None else inference_precision(self.trainer),
        }

    def after_fit(self, run: RunFolder) -> None:
        """Record after how many epochs the training had converged, if it has a stopping rule."""
        rule = self.trainer.early_stopping_callback
        if not isinstance(rule, EarlyStopping) or rule.monitor is None:
            return
        curve = read_curve(run.curves, rule.monitor)
        found = converged_after(curve, abs(rule.min_delta), maximize=rule.mode == "max")
        if found is not None:
            record = Convergence(
                epochs=self.trainer.current_epoch,
                converged_after=found,
                monitor=rule.monitor,
                min_delta=abs(rule.min_delta),
                patience=rule.patience,
                stopped=rule.stopped_epoch > 0,
            )
            write_convergence(run.convergence, record)

    def setup(self, stage: str) -> None:
        """Store weights of images channels last; check that network, classes and data fit.

        Raises:
            ValueError: The network has another number of classes or slices than the data.
        """
        store_channels_last(self.network)
        network = self.slab_network
        self._check_data(network)
        probe = torch.zeros(1, network.slices, self.in_channels, 64, 64, device=self.device)
        was_training = self.network.training
        self.network.eval()
        with torch.no_grad():
            found = tuple(network(probe).shape)
        self.network.train(was_training)
        several = () if network.output_slices == 1 else (network.output_slices,)
        expected = (1, len(self.class_names) + 1, *several, 64, 64)
        if found != expected:
            raise ValueError(
                f"the network gives {found} for a slab of {network.slices} slices of 64 x 64 "
                f"pixels, but background and {', '.join(self.class_names)} need {expected}: set "
                "out_channels to the number of classes and one more"
            )

    def forward(self, slab: Tensor) -> Tensor:
        """Logits (B, K, Y, X), or of several slices (B, K, D, Y, X), of slabs (B, T, C, Y, X)."""
        return self.slab_network(slab)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Loss of one batch."""
        loss: Tensor = self.loss(self(batch["image"]).float(), _target(batch))
        self.log_training_loss(loss, len(batch["image"]))
        return loss

    def validation_step(self, batch: Batch, batch_idx: int) -> SlabPrediction:
        """Loss and scores of whole slices."""
        return self._evaluate(batch, self.val_loss, self.val_scores)

    def test_step(self, batch: Batch, batch_idx: int) -> SlabPrediction:
        """Loss and scores of whole slices."""
        return self._evaluate(batch, self.test_loss, self.test_scores)

    def predict_step(self, batch: Batch, batch_idx: int) -> SlabPrediction:
        """Classes of whole slices."""
        return {"classes": self._segmented(batch).argmax(axis=1).astype(np.uint8)}

    def on_validation_epoch_end(self) -> None:
        """Log the loss and the scores of the validation voxels."""
        self._log("val", self.val_loss, self.val_scores)

    def on_test_epoch_end(self) -> None:
        """Log the loss and the scores of the test voxels."""
        self._log("test", self.test_loss, self.test_scores)

    def _evaluate(self, batch: Batch, loss: MeanMetric, scores: VoxelScores) -> SlabPrediction:
        probabilities = self._segmented(batch)
        classes = probabilities.argmax(axis=1).astype(np.uint8)
        target = _target(batch).reshape(-1, *classes.shape[1:])
        # Where nothing is known there is no loss to take a mean of.
        if (target != IGNORED).any():
            logits = torch.from_numpy(probabilities).to(self.device).clamp_min(1e-12).log()
            loss.update(self.loss(logits, target), weight=int((target != IGNORED).sum()))
        true = target.cpu().numpy()
        scores.update(classes, np.where(true == IGNORED, 0, true), true == IGNORED)
        return {"classes": classes}

    def _segmented(self, batch: Batch) -> NDArray[np.float32]:
        """Blended probabilities (n, K, Y, X) of the slices that a sample of whole ones is of."""
        if len(batch["image"]) != 1:
            raise ValueError(f"slices are scored one sample at a time, got {len(batch['image'])}")
        network = self.slab_network
        slices = batch["image"][0, :, 0].cpu().numpy()
        reach = slab_reach(network.slices, network.output_slices)
        z, depth = int(batch["z"][0]), int(batch["depth"][0])
        first = z - reach
        found = predict_slices(
            self._probabilities(network),
            lambda start, stop: slices[start - first : stop - first],
            (depth, slices.shape[1], slices.shape[2]),
            (z, z + len(slices) - 2 * reach),
            slices=network.slices,
            output_slices=network.output_slices,
            window=self.window,
            overlap=self.overlap,
            batch_size=windows_at_once(self.device),
        )
        return np.stack([probabilities for _, probabilities in found])

    def _probabilities(self, network: SlabNetwork) -> Callable[[NDArray[np.float32]], Tensor]:
        def predict(windows: NDArray[np.float32]) -> Tensor:
            logits = network(slab_input(windows, self.in_channels, self.device))
            return logits.float().softmax(dim=1)

        return predict

    @property
    def _data(self) -> Any:
        """The data module of the trainer; None without either."""
        return None if self._trainer is None else getattr(self.trainer, "datamodule", None)

    def _check_data(self, network: SlabNetwork) -> None:
        """Refuse data with other slabs or classes."""
        slabs = getattr(self._data, "slabs", None)
        if slabs is None:
            return
        needed = network.slices, network.output_slices
        if (slabs.slices, slabs.output_slices) != needed:
            raise ValueError(
                f"the data give slabs of {slabs.slices} slices with masks of {slabs.output_slices},"
                f" the network takes {needed[0]} and segments {needed[1]}: set slices and "
                "output_slices of the data to that"
            )
        if self._data.class_names != self.class_names:
            raise ValueError(
                f"the task has the classes {', '.join(self.class_names)}, the data have "
                f"{', '.join(self._data.class_names)}: give both the same"
            )

    def _log(self, stage: Literal["val", "test"], loss: MeanMetric, scores: VoxelScores) -> None:
        self.log(f"{stage}_loss", loss.compute())
        loss.reset()
        self.log_scores(stage, scores)


def _target(batch: Batch) -> Tensor:
    """The mask of a batch, with what is to be ignored."""
    ignored = batch.get("ignored")
    mask = batch["mask"]
    return mask if ignored is None else mask.masked_fill(ignored, IGNORED)
