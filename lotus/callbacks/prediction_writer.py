"""Predictions of a test or prediction as files, and the scores of a test."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytorch_lightning as pl
import torch
import torch.distributed
from lightning_utilities.core.rank_zero import rank_zero_warn
from numpy.typing import NDArray

from lotus.batch import Batch, Prediction
from lotus.evaluation.folders import common_pixel_size, evaluate_folders
from lotus.imaging.raster import write_image, write_label_map
from lotus.runs import RunFolder
from lotus.runs.scores import add_patients, write_scores

T = TypeVar("T")


class PredictionWriter(pl.Callback):
    """Write label maps and image previews; score them when a test ends.

    Every image gives a label map, an 8-bit picture of it as the network saw it and, where it is
    annotated, the true label map. A test writes into the run folder and ends with the scores; a
    prediction writes into a subfolder, so that it never mixes with the images that were scored.
    Files that an earlier call left there are removed first.
    """

    def __init__(self) -> None:
        self._patients: dict[str, str] = {}

    def on_test_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Remove what an earlier test wrote."""
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
        """Write one image."""
        prediction: Prediction = outputs
        write_prediction(RunFolder(Path(trainer.default_root_dir)), prediction["labels"], batch)
        self._patients[batch["name"][0]] = batch["patient"][0]

    def on_predict_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Prediction,
        batch: Batch,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Write one image."""
        run = RunFolder(Path(trainer.default_root_dir)).predicted
        write_prediction(run, outputs["labels"], batch)

    def on_test_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Score all images once every process has written its own."""
        patients = of_all_processes(self._patients)
        trainer.strategy.barrier("predictions written")
        if trainer.is_global_zero:
            score_run(RunFolder(Path(trainer.default_root_dir)), patients)


def write_prediction(run: RunFolder, labels: NDArray[np.integer[Any]], batch: Batch) -> None:
    """Write the files of one image.

    Args:
        run: Gets the prediction, the picture and the target.
        labels: Predicted label map (Y, X).
        batch: Batch of this image alone.

    Raises:
        ValueError: If the batch holds several images.
    """
    if len(batch["name"]) != 1:
        raise ValueError(f"predictions are written for one image per batch, got {batch['name']}")
    name = batch["name"][0]
    spacing = spacing_of(batch)
    write_label_map(run.prediction_of(name), labels, spacing)
    write_image(run.image_of(name), preview(batch["image"][0]))
    if "instances" in batch:
        target = batch["instances"][0].cpu().numpy()
        write_label_map(run.target_of(name), target, spacing)


def preview(image: torch.Tensor) -> NDArray[np.uint8]:
    """8-bit picture of an image (C, Y, X) in [0, 1]: (Y, X, 3) if its three channels differ.

    Otherwise the first channel alone, (Y, X).
    """
    scaled = (image.float().clamp(0, 1) * 255).round().to(torch.uint8).cpu().numpy()
    if scaled.shape[0] == 3 and (scaled != scaled[:1]).any():
        return np.ascontiguousarray(scaled.transpose(1, 2, 0))
    return np.ascontiguousarray(scaled[0])


def spacing_of(batch: Batch) -> tuple[float, float] | None:
    """Pixel size (Y, X) in µm of the first image of a batch; None where it is unknown."""
    y, x = batch["spacing_um"][0, -2:].tolist()
    return (y, x) if np.isfinite((y, x)).all() else None


def score_run(run: RunFolder, patients: Mapping[str, str]) -> Path | None:
    """Score predictions against targets and write the table, with the column `patient` last.

    Distances are given in µm too where all images have the same square pixels.

    Args:
        run: Has predictions and targets.
        patients: Patient of each image.

    Returns:
        Path of the table; None, with a warning, if no image was annotated.
    """
    if not any(run.targets.glob("*.tif")):
        rank_zero_warn(f"no test image has a mask, so {run.scores} is not written")
        return None
    frame = evaluate_folders(
        run.predictions,
        run.targets,
        kind="instances",
        pixel_size_um=common_pixel_size(run.targets),
    )
    write_scores(add_patients(frame, patients), run.scores)
    return run.scores


def of_all_processes(facts: dict[str, T]) -> dict[str, T]:
    """What is known of every process's share of the images.

    Args:
        facts: Of this process's images, by their names.
    """
    if not torch.distributed.is_initialized():
        return facts
    shares: list[dict[str, T]] = [{}] * torch.distributed.get_world_size()
    torch.distributed.all_gather_object(shares, facts)
    return {name: fact for share in shares for name, fact in share.items()}


def remove_run_files(trainer: pl.Trainer, run: RunFolder) -> None:
    """Remove what an earlier call left in the folders that every scored run has, and its scores.

    Args:
        trainer: Of the call.
        run: The folder.
    """
    patterns = [place / pattern for place, pattern in run.patterns.items()]
    remove_earlier_files(trainer, *patterns, run.scores)


def remove_earlier_files(trainer: pl.Trainer, *patterns: Path) -> None:
    """Remove the files of an earlier call; rank zero does it while the others wait.

    Args:
        trainer: Of the call.
        *patterns: Files, whose names may be glob patterns.
    """
    if trainer.is_global_zero:
        for path in [path for of in patterns for path in of.parent.glob(of.name)]:
            path.unlink()
    trainer.strategy.barrier("earlier files removed")
