"""Classified patches of a test or prediction as a table, and the scores of a test."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytorch_lightning as pl
import torch.distributed

from lotus.batch import Classification, PatchBatch
from lotus.callbacks.prediction_writer import remove_earlier_files
from lotus.runs import RunFolder
from lotus.runs.classified import PROBABILITY, TEXT_COLUMNS, write_classified
from lotus.runs.scores import MEAN, add_patients, write_scores

if TYPE_CHECKING:
    from pandas import DataFrame

Row = tuple[Any, ...]


class ClassificationWriter(pl.Callback):
    """Write the probabilities of every patch, and when a test ends whether each was right.

    A test writes into the run folder and ends with the scores; a prediction writes into a
    subfolder. What an earlier call left there is removed first.
    """

    def __init__(self) -> None:
        self._rows: list[Row] = []

    def on_test_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Remove what an earlier test wrote."""
        self._start(trainer, RunFolder(Path(trainer.default_root_dir)))

    def on_predict_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Remove what an earlier prediction wrote."""
        self._start(trainer, RunFolder(Path(trainer.default_root_dir)).predicted)

    def on_test_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: PatchBatch,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Keep the rows of one batch."""
        self._keep(pl_module, outputs, batch)

    def on_predict_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Classification,
        batch: PatchBatch,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Keep the rows of one batch."""
        self._keep(pl_module, outputs, batch)

    def on_test_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write the table of all processes, and the scores last."""
        run = RunFolder(Path(trainer.default_root_dir))
        rows = _of_all_processes(self._rows)
        if trainer.is_global_zero:
            write_table(run, rows, _groups(pl_module))

    def on_predict_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write the table of all processes."""
        run = RunFolder(Path(trainer.default_root_dir)).predicted
        rows = _of_all_processes(self._rows)
        if trainer.is_global_zero:
            write_classified(_table(rows, _groups(pl_module)), run.classified)

    def _start(self, trainer: pl.Trainer, run: RunFolder) -> None:
        self._rows.clear()
        remove_earlier_files(trainer, run.classified, run.scores)

    def _keep(
        self, pl_module: pl.LightningModule, outputs: Classification, batch: PatchBatch
    ) -> None:
        groups = _groups(pl_module)
        probabilities = outputs["probabilities"].float().cpu()
        predicted = [groups[index] for index in probabilities.argmax(dim=1).tolist()]
        texts = (batch["name"], batch["slice"], batch["patient"], batch["group"], predicted)
        self._rows += [
            (*row, *values) for *row, values in zip(*texts, probabilities.tolist(), strict=True)
        ]


def write_table(run: RunFolder, rows: list[Row], groups: list[str]) -> None:
    """Write classified patches, and as their scores whether the most probable group is right.

    Args:
        run: Gets both tables.
        rows: Of every patch its texts, as `TEXT_COLUMNS` has them, and its probabilities.
        groups: All groups, in the order of their labels.
    """
    import pandas as pd  # A training, which writes no table before its end, starts without it.

    table = _table(rows, groups)
    write_classified(table, run.classified)
    right = table.assign(accuracy=(table["predicted"] == table["group"]).astype(float))
    means = {"name": [MEAN], "accuracy": [right["accuracy"].mean()]}
    scores = pd.concat([right[["name", "accuracy"]], pd.DataFrame(means)], ignore_index=True)
    patients = dict(zip(table["name"], table["patient"], strict=True))
    write_scores(add_patients(scores, patients), run.scores)


def _table(rows: list[Row], groups: list[str]) -> DataFrame:
    """One row per patch, sorted by name: processes that share them have them in another order."""
    import pandas as pd

    columns = [*TEXT_COLUMNS, *(f"{PROBABILITY}{group}" for group in groups)]
    table = pd.DataFrame(rows, columns=columns)
    return table.drop_duplicates("name").sort_values("name", ignore_index=True)


def _groups(pl_module: pl.LightningModule) -> list[str]:
    task: Any = pl_module
    return list(task.class_names)


def _of_all_processes(rows: list[Row]) -> list[Row]:
    """The rows of every process's share of the patches."""
    if not torch.distributed.is_initialized():
        return rows
    shares: list[list[Row]] = [[]] * torch.distributed.get_world_size()
    torch.distributed.all_gather_object(shares, rows)
    return [row for share in shares for row in share]
