"""Class maps of the slices of a test or prediction as files, and the scores of a test."""

from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
from numpy.typing import NDArray

from lotus.batch import Batch, SlabPrediction
from lotus.callbacks.prediction_writer import (
    of_all_processes,
    preview,
    remove_run_files,
    spacing_of,
)
from lotus.imaging.raster import write_image, write_label_map
from lotus.metrics.functional import confusion_matrix, confusion_scores
from lotus.runs import RunFolder
from lotus.runs.scores import write_rows

Row = dict[str, float]


class SlabWriter(pl.Callback):
    """Write class maps and previews of slices; score each of them when a test ends.

    Every slice ``volume_z0012`` gives its class map, an 8-bit picture as the network saw it and,
    where it is annotated, the true class map. A test writes into the run folder and ends with the
    scores, one row per slice; a prediction writes into a subfolder. Files that an earlier call left
    there are removed first.
    """

    def __init__(self) -> None:
        self._rows: dict[str, Row] = {}
        self._patients: dict[str, str] = {}

    def on_test_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Remove what an earlier test wrote."""
        self._rows.clear()
        self._patients.clear()
        remove_run_files(trainer, RunFolder(Path(trainer.default_root_dir)))

    def on_predict_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Remove what an earlier prediction wrote."""
        remove_run_files(trainer, RunFolder(Path(trainer.default_root_dir)).predicted)

    def on_test_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Batch,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Write and score the slices of one sample."""
        task: Any = pl_module
        given: SlabPrediction = outputs
        names = write_slices(RunFolder(Path(trainer.default_root_dir)), given["classes"], batch)
        true, ignored = _truth(batch)
        for number, name in enumerate(names):
            counts = confusion_matrix(
                given["classes"][number], true[number], len(task.class_names), ignored[number]
            )
            self._rows[name] = confusion_scores(counts, task.class_names)
            self._patients[name] = batch["patient"][0]

    def on_predict_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: SlabPrediction,
        batch: Batch,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Write the slices of one sample."""
        write_slices(RunFolder(Path(trainer.default_root_dir)).predicted, outputs["classes"], batch)

    def on_test_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write the scores once every process has written its own slices."""
        rows, patients = of_all_processes(self._rows), of_all_processes(self._patients)
        if trainer.is_global_zero:
            write_rows(rows, patients, RunFolder(Path(trainer.default_root_dir)).scores)


def write_slices(run: RunFolder, classes: NDArray[np.uint8], batch: Batch) -> list[str]:
    """Write the files of a sample of whole slices.

    Args:
        run: Gets class maps, pictures and, where there are masks, true class maps.
        classes: Predicted classes (n, Y, X).
        batch: Batch of this sample alone.

    Returns:
        Names of the n slices.
    """
    volume, z = batch["name"][0].rpartition("_z")[0], int(batch["z"][0])
    names = [f"{volume}_z{z + number:04d}" for number in range(len(classes))]
    margin = (batch["image"].shape[1] - len(classes)) // 2
    spacing = spacing_of(batch)
    true, _ = _truth(batch) if "mask" in batch else (None, None)
    for number, name in enumerate(names):
        write_label_map(run.prediction_of(name), classes[number], spacing)
        write_image(run.image_of(name), preview(batch["image"][0, margin + number]))
        if true is not None:
            write_label_map(run.target_of(name), true[number], spacing)
    return names


def _truth(batch: Batch) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """True classes (n, Y, X) of a sample, and where nothing is known of them."""
    size = batch["mask"].shape[-2:]
    true = batch["mask"].reshape(-1, *size).cpu().numpy().astype(np.uint8)
    ignored = batch.get("ignored")
    if ignored is None:
        return true, np.zeros(true.shape, np.bool_)
    return true, ignored.reshape(-1, *size).cpu().numpy()
