"""Scores and maps of the classes, where a network tells several apart."""

from pathlib import Path
from typing import Any, Literal

import pytorch_lightning as pl

from lotus.batch import Batch, Prediction
from lotus.callbacks.prediction_writer import remove_earlier_files, spacing_of
from lotus.imaging.raster import write_label_map
from lotus.metrics.segmentation import SemanticScores
from lotus.runs import RunFolder


class ClassScores(pl.Callback):
    """Log Dice and IoU of every class, and write the class maps of a test or prediction.

    Validation and test log `val_dice_<class>`, `val_iou_<class>` and their macro averages (`test_…`
    likewise). A test writes the class maps into the run folder, a prediction into its subfolder;
    files that an earlier call left there are removed first. The other scores of a run take all
    classes together as foreground.
    """

    scores: SemanticScores

    def on_validation_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start without images."""
        self._start(pl_module)

    def on_test_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start without images and files."""
        self._start(pl_module)
        _remove_maps(trainer, RunFolder(Path(trainer.default_root_dir)))

    def on_predict_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start without files."""
        _remove_maps(trainer, RunFolder(Path(trainer.default_root_dir)).predicted)

    def on_validation_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Batch,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Score one image."""
        self._update(outputs, batch)

    def on_test_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Batch,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Score one image and write its classes."""
        self._update(outputs, batch)
        _write(RunFolder(Path(trainer.default_root_dir)), outputs, batch)

    def on_predict_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Prediction,
        batch: Batch,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Write the classes of one image."""
        _write(RunFolder(Path(trainer.default_root_dir)).predicted, outputs, batch)

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Log the scores of the validation images."""
        self._log("val", pl_module)

    def on_test_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Log the scores of the test images."""
        self._log("test", pl_module)

    def _start(self, pl_module: pl.LightningModule) -> None:
        task: Any = pl_module
        self.scores = SemanticScores(task.class_names).to(pl_module.device)

    def _update(self, prediction: Prediction, batch: Batch) -> None:
        self.scores.update(prediction["classes"], batch["mask"][0].cpu().numpy())

    def _log(self, stage: Literal["val", "test"], pl_module: pl.LightningModule) -> None:
        # How many are undefined the instance scores count already, under that name.
        means = {name: mean for name, mean in self.scores.compute().items() if name != "undefined"}
        pl_module.log_dict({f"{stage}_{name}": mean for name, mean in means.items()})


def _remove_maps(trainer: pl.Trainer, run: RunFolder) -> None:
    remove_earlier_files(trainer, run.classes_of("*"))


def _write(run: RunFolder, prediction: Prediction, batch: Batch) -> None:
    write_label_map(run.classes_of(batch["name"][0]), prediction["classes"], spacing_of(batch))
