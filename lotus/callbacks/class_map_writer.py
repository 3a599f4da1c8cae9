"""Class maps of the ROIs of a test or prediction as files, and the scores of a test."""

from pathlib import Path
from typing import Any

import pytorch_lightning as pl

from lotus.batch import Batch, RoiPrediction
from lotus.callbacks.prediction_writer import (
    of_all_processes,
    preview,
    remove_run_files,
    spacing_of,
)
from lotus.imaging.raster import write_image, write_label_map
from lotus.metrics.regions import RegionScores, as_compared
from lotus.runs import RunFolder
from lotus.runs.class_maps import ClassMap, write_class_maps
from lotus.runs.scores import write_domains, write_rows

Row = dict[str, Any]


class ClassMapWriter(pl.Callback):
    """Write class maps and pictures of ROIs, and what they mean; score them when a test ends.

    Every ROI gives its class map, an 8-bit picture as the network saw it and, where it is
    annotated, the true class map; the table beside the class maps is that of `lotus segment`, so
    that `lotus measure histomorphometry` takes the folder. A test writes into the run folder and
    ends with the scores, one row per ROI, and those of each domain, as means over its ROIs and of
    all their pixels together; a prediction writes into a subfolder. Files that an earlier call left
    there are removed first.
    """

    def __init__(self) -> None:
        self._maps: dict[str, ClassMap] = {}
        self._rows: dict[str, Row] = {}
        self._patients: dict[str, str] = {}

    def on_test_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Remove what an earlier test wrote."""
        self._begin(trainer, RunFolder(Path(trainer.default_root_dir)))

    def on_predict_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Remove what an earlier prediction wrote."""
        self._begin(trainer, RunFolder(Path(trainer.default_root_dir)).predicted)

    def on_test_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Batch,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Write and score one ROI."""
        task: Any = pl_module
        found: RoiPrediction = outputs
        self._write(RunFolder(Path(trainer.default_root_dir)), found, batch, task.class_names)
        name, domain = batch["name"][0], batch["modality"][0]
        scores = RegionScores(task.class_names[domain])
        scores.update(*as_compared(found, batch, task.class_names))
        values = {key: float(value) for key, value in scores.compute().items()}
        self._rows[name] = {
            "dice": values["dice_macro"],
            "iou": values["iou_macro"],
            "f1": values["f1"],
            **{f"dice_{each}": values[f"dice_{each}"] for each in task.class_names[domain]},
            "routed": float(found["domain"] == domain),
            "certainty": found["certainty"],
        }
        self._patients[name] = batch["patient"][0]

    def on_predict_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: RoiPrediction,
        batch: Batch,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Write one ROI."""
        task: Any = pl_module
        run = RunFolder(Path(trainer.default_root_dir)).predicted
        self._write(run, outputs, batch, task.class_names)

    def on_test_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write scores and the table of class maps once every process has written its own."""
        rows, patients = of_all_processes(self._rows), of_all_processes(self._patients)
        run = RunFolder(Path(trainer.default_root_dir))
        self._end(trainer, run)
        if trainer.is_global_zero and rows:
            task: Any = pl_module
            logged = {name: float(value) for name, value in trainer.callback_metrics.items()}
            write_domains(run.domain_scores, {d: _of(d, logged) for d in task.class_names})
            write_rows(rows, patients, run.scores)

    def on_predict_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write the table of class maps once every process has written its own."""
        self._end(trainer, RunFolder(Path(trainer.default_root_dir)).predicted)

    def _begin(self, trainer: pl.Trainer, run: RunFolder) -> None:
        for facts in (self._maps, self._rows, self._patients):
            facts.clear()
        remove_run_files(trainer, run)

    def _write(
        self, run: RunFolder, found: RoiPrediction, batch: Batch, names: dict[str, list[str]]
    ) -> None:
        name, spacing = batch["name"][0], spacing_of(batch)
        write_label_map(run.prediction_of(name), found["classes"], spacing)
        write_image(run.image_of(name), preview(batch["image"][0]))
        if "mask" in batch:
            target = batch["mask"][0].cpu().numpy().astype("uint8")
            write_label_map(run.target_of(name), target, spacing)
        self._maps[name] = ClassMap.of(
            found,
            names[found["domain"]],
            image=run.image_of(name),
            labels=run.prediction_of(name),
        )

    def _end(self, trainer: pl.Trainer, run: RunFolder) -> None:
        maps = of_all_processes(self._maps)
        if trainer.is_global_zero and maps:
            write_class_maps(run.predictions, [maps[name] for name in sorted(maps)])


def _of(domain: str, logged: Row) -> Row:
    """The scores of a domain among those that a test logged."""
    start = f"test_{domain}_"
    return {name.removeprefix(start): logged[name] for name in logged if name.startswith(start)}
